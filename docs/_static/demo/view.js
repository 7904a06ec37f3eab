// What the visitor sees and touches. It asks for new motions; it decides none.

import { distance } from "./skeleton.js";

const SVG = "http://www.w3.org/2000/svg";
export const METHODS = ["kinematic", "direct"];
const LAYERS = { truth: "truth", kinematic: "kinematic", direct: "direct joint" };
const DIGITS = 3;
// Of a finger, px of the screen.
const REACH_PX = 20;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const SHIFTED = 5;

/** Return a new element; attributes that are texts, children that are elements or texts. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function makeSvg(parent, tag, attributes = {}) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  parent.append(element);
  return element;
}

const spoken = (name) => name.replaceAll("_", " ");
const isAngle = (parameter) => parameter.unit === "radian";
const toShown = (parameter, value) => (isAngle(parameter) ? (value * 180) / Math.PI : value);
const fromShown = (parameter, value) => (isAngle(parameter) ? (value * Math.PI) / 180 : value);
const withUnit = (parameter, value) =>
  `${toShown(parameter, value).toFixed(1)}${isAngle(parameter) ? "°" : " px"}`;

/**
 * The picture with its overlays.
 *
 * @param {Element} root of the page's part.
 * @param {Skeleton} skeleton
 * @param {(joint: number, target: number[]) => void} onMove a joint is asked to go to a place, px.
 */
export class Stage {
  constructor(root, skeleton, onMove) {
    this.skeleton = skeleton;
    this.canvas = root.querySelector("canvas");
    this.svg = root.querySelector(".demo-stage svg");
    this.layers = {};
    for (const name of Object.keys(LAYERS)) this.addLayer(root.querySelector(".demo-layers"), name);
    this.handles = skeleton.jointNames.map((name, joint) => this.addHandle(name, joint, onMove));
    new ResizeObserver(() => this.fitReach()).observe(this.svg);
  }

  addLayer(legend, name) {
    const group = makeSvg(this.svg, "g", { class: name });
    const lines = this.skeleton.bones.map(() => makeSvg(group, "line"));
    const spots = name === "truth" ? [] : this.skeleton.jointNames.map(() =>
      makeSvg(group, "circle", { class: "spot", r: 1.1 }));
    this.layers[name] = { group, lines, spots };
    const box = make("input", { type: "checkbox", checked: "" });
    box.addEventListener("change", () => group.toggleAttribute("hidden", !box.checked));
    const swatch = document.createElementNS(SVG, "svg");
    swatch.setAttribute("viewBox", "0 0 30 15");
    swatch.setAttribute("aria-hidden", "true");
    makeSvg(swatch, "line", { class: name, x1: 3, y1: 7.5, x2: 27, y2: 7.5 });
    legend.append(make("label", {}, box, swatch, LAYERS[name]));
  }

  addHandle(name, joint, onMove) {
    const handle = makeSvg(this.svg, "g", {
      class: "demo-handle", tabindex: 0, role: "button", "data-joint": name,
    });
    handle.setAttribute("aria-roledescription", "movable joint");
    makeSvg(handle, "circle", { class: "reach", r: 6 });
    makeSvg(handle, "circle", { class: "ring", r: 2.2 });
    // The pointer that drags; other fingers on the same joint are left aside.
    let active = null;
    let offset = null;
    handle.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || active !== null) return;
      active = event.pointerId;
      const at = this.toPicture(event);
      offset = [this.truth[joint][0] - at[0], this.truth[joint][1] - at[1]];
      handle.setPointerCapture(event.pointerId);
    });
    // Else the page scrolls and takes the finger away: Chromium heeds no touch-action in an SVG.
    handle.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false });
    handle.addEventListener("pointermove", (event) => {
      if (event.pointerId !== active) return;
      const at = this.toPicture(event);
      onMove(joint, [at[0] + offset[0], at[1] + offset[1]]);
    });
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
      handle.addEventListener(end, (event) => {
        if (event.pointerId === active) active = null;
      });
    }
    handle.addEventListener("keydown", (event) => {
      const arrow = ARROWS[event.key];
      if (!arrow || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      const step = event.shiftKey ? SHIFTED : 1;
      onMove(joint, this.truth[joint].map((value, axis) => value + step * arrow[axis]));
    });
    return handle;
  }

  /** Return where in the picture a pointer is, px. */
  toPicture(event) {
    const box = this.svg.getBoundingClientRect();
    const size = this.canvas.width;
    return [event.clientX - box.left, event.clientY - box.top]
      .map((value) => (value / box.width) * size - 0.5);
  }

  fitReach() {
    const width = this.svg.getBoundingClientRect().width;
    if (!width) return;
    const radius = (REACH_PX / width) * this.canvas.width;
    for (const handle of this.handles) handle.querySelector(".reach").setAttribute("r", radius);
  }

  /** Show the network's input. */
  showPicture(pixels) {
    const size = this.canvas.width;
    const image = new ImageData(size, size);
    pixels.forEach((value, i) => image.data.set([255 * value, 255 * value, 255 * value, 255], 4 * i));
    this.canvas.getContext("2d").putImageData(image, 0, 0);
  }

  /** Show the true object and put its joints' handles there. */
  showTruth(joints) {
    this.truth = joints;
    this.showObject("truth", joints);
    this.handles.forEach((handle, i) => {
      const [x, y] = joints[i];
      handle.setAttribute("transform", `translate(${x} ${y})`);
      const name = spoken(this.skeleton.jointNames[i]);
      handle.setAttribute("aria-label", `${name}, at ${x.toFixed(0)}, ${y.toFixed(0)} px`);
    });
  }

  /** Show an object as "truth", "kinematic" or "direct". */
  showObject(name, joints) {
    const { lines, spots } = this.layers[name];
    this.skeleton.bones.forEach(([parent, child], i) => {
      const ends = { x1: joints[parent][0], y1: joints[parent][1] };
      Object.assign(ends, { x2: joints[child][0], y2: joints[child][1] });
      for (const [key, value] of Object.entries(ends)) lines[i].setAttribute(key, value);
    });
    spots.forEach((spot, i) => {
      spot.setAttribute("cx", joints[i][0]);
      spot.setAttribute("cy", joints[i][1]);
    });
  }
}

/** A slider for each motion parameter, and what the kinematic network says of it. */
export class Sliders {
  constructor(form, skeleton, onChange, buttons) {
    this.skeleton = skeleton;
    this.rows = skeleton.parameters.map((parameter, i) => {
      const [value, guess] = ["value", "guess"].map((name) => make("span", { class: name }));
      const id = `demo-${parameter.name}`;
      const input = make("input", {
        id, type: "range", name: parameter.name, step: 0.5,
        min: toShown(parameter, parameter.lower).toFixed(1),
        max: toShown(parameter, parameter.upper).toFixed(1),
      });
      input.addEventListener("input", () => onChange(i, fromShown(parameter, input.valueAsNumber)));
      const label = make("label", { for: id }, spoken(parameter.name));
      form.append(make("div", {}, make("div", { class: "row" }, label, guess, value), input));
      return { input, value, guess };
    });
    const row = make("div", { class: "demo-buttons" });
    for (const [text, act] of Object.entries(buttons)) {
      const button = make("button", { type: "button" }, text);
      button.addEventListener("click", act);
      row.append(button);
    }
    form.append(row);
    form.addEventListener("submit", (event) => event.preventDefault());
  }

  /** Show the true motion. */
  show(motion) {
    this.rows.forEach(({ input, value }, i) => {
      const parameter = this.skeleton.parameters[i];
      const text = withUnit(parameter, motion[i]);
      // A slider that the visitor holds stands where it should already.
      if (Math.abs(input.valueAsNumber - toShown(parameter, motion[i])) > 0.25) {
        input.value = toShown(parameter, motion[i]);
      }
      input.setAttribute("aria-valuetext", text);
      value.textContent = text;
    });
  }

  /** Show the motion that the kinematic network predicts. */
  showGuess(motion) {
    this.rows.forEach(({ guess }, i) => {
      guess.textContent = `kinematic: ${withUnit(this.skeleton.parameters[i], motion[i])}`;
    });
  }
}

/** The tables. */
export class Numbers {
  constructor(root, skeleton, measured) {
    this.skeleton = skeleton;
    const body = (name) => root.querySelector(`.demo-${name} tbody`);
    [this.error] = addRows(body("errors"), ["of this picture"], METHODS);
    const count = measured[0].int8.n.toLocaleString("en");
    const [test] = addRows(body("errors"), [`of ${count} test pictures`], METHODS);
    for (const { method, int8 } of measured) test[method].textContent = int8.joint_error.toFixed(2);
    const columns = ["truth", ...METHODS];
    const names = skeleton.jointNames.map(spoken);
    const bones = skeleton.bones.map((ends) => ends.map((i) => names[i]).join(" – "));
    this.bones = addRows(body("bones"), bones, columns);
    this.joints = addRows(body("joints"), names, columns);
    this.ranges = {};
  }

  /** Show the true joints. */
  showTruth(joints) {
    this.truth = joints;
    this.showBones("truth", joints);
  }

  /** Show the joints that a network predicts for the picture of these true ones. */
  showPrediction(method, joints, truth) {
    const errors = joints.map((joint, i) => distance(joint, truth[i]));
    const mean = errors.reduce((sum, error) => sum + error, 0) / errors.length;
    this.error[method].textContent = mean.toFixed(2);
    this.showBones(method, joints);
  }

  showBones(column, joints) {
    const lengths = this.skeleton.bones.map(([a, b]) => distance(joints[a], joints[b]));
    this.ranges[column] ??= lengths.map((length) => [length, length]);
    lengths.forEach((length, i) => {
      const [least, most] = this.ranges[column][i];
      const range = [Math.min(least, length), Math.max(most, length)];
      this.ranges[column][i] = range;
      const cell = this.bones[i][column];
      cell.textContent = length.toFixed(DIGITS);
      if (column === "truth") return;
      const text = range.map((value) => value.toFixed(1)).join(" to ");
      cell.append(make("span", { class: "range" }, text));
    });
    joints.forEach((joint, i) => {
      this.joints[i][column].textContent = joint.map((value) => value.toFixed(DIGITS)).join(", ");
    });
  }
}

/** Append a row for each name, and return each row's cells by column. */
function addRows(body, names, columns) {
  return names.map((name) => {
    const cells = columns.map((column) => make("td", { "data-column": column }, "–"));
    body.append(make("tr", {}, make("th", { scope: "row" }, name), ...cells));
    return Object.fromEntries(columns.map((column, i) => [column, cells[i]]));
  });
}
