// The page in the browser: a pose, its picture, and what two networks see in it.

import { drawObject } from "./drawing.js";
import { drag } from "./drag.js";
import { LoadError, Network, loadMeasured, loadRuntime, loadSignature } from "./networks.js";
import { whyNot } from "./rules.js";
import { Skeleton } from "./skeleton.js";
import { METHODS, Numbers, Sliders, Stage } from "./view.js";

const SIZE_PX = 128;
const NAMES = METHODS.map((method) => `toy6-${method}`);
const RADIAN = Math.PI / 180;
// In the order of the skeleton's parameters: px, px, then angles.
const START = [62, 42, 8 * RADIAN, 48 * RADIAN, -25 * RADIAN, 18 * RADIAN];

class Demo {
  constructor(root, signature, measured) {
    this.root = root;
    this.skeleton = new Skeleton(signature);
    this.networks = [];
    this.running = false;
    const move = (joint, target) => this.set(drag(this.skeleton, this.motion, joint, target));
    this.stage = new Stage(root, this.skeleton, move);
    const change = (i, value) => this.set(this.motion.map((old, k) => (k === i ? value : old)));
    const buttons = { "Random pose": () => this.set(this.random()), Reset: () => this.set(START) };
    this.sliders = new Sliders(root.querySelector("form"), this.skeleton, change, buttons);
    this.numbers = new Numbers(root, this.skeleton, measured);
    this.note = root.querySelector(".demo-note");
    this.set(START);
  }

  /** Take a motion: show it at once, and have the networks look at it. */
  set(motion) {
    this.motion = this.skeleton.clamp(motion);
    const joints = this.skeleton.joints(this.motion);
    this.pixels = drawObject(joints, this.skeleton.bones, SIZE_PX);
    this.stage.showPicture(this.pixels);
    this.stage.showTruth(joints);
    this.sliders.show(this.motion);
    this.numbers.showTruth(joints);
    const reason = whyNot(joints, this.skeleton.bones, SIZE_PX);
    const note = reason && `Not a pose of the training data: ${reason}.`;
    // Said once: the same text again would be read aloud again.
    if (this.note.textContent !== note) this.note.textContent = note;
    this.look();
  }

  /** Return a pose as the data sets have them: each parameter uniform, if the picture tells it. */
  random() {
    for (;;) {
      const motion = this.skeleton.parameters.map(
        ({ lower, upper }) => lower + Math.random() * (upper - lower),
      );
      if (!whyNot(this.skeleton.joints(motion), this.skeleton.bones, SIZE_PX)) return motion;
    }
  }

  /** Predict the latest picture; those that come while the networks are busy are left out. */
  async look() {
    if (!this.networks.length) return;
    this.root.setAttribute("aria-busy", "true");
    if (this.running) return;
    this.running = true;
    try {
      let seen;
      while (seen !== this.pixels) {
        seen = this.pixels;
        const { truth } = this.stage;
        for (const network of this.networks) this.show(network, await network.predict(seen), truth);
        // The browser draws, and takes what the visitor does, before the next picture.
        await new Promise((resolve) => setTimeout(resolve));
      }
    } catch (error) {
      this.networks = [];
      say(this.root, `The networks have stopped: ${error.message}`, true);
    }
    this.running = false;
    this.root.setAttribute("aria-busy", "false");
  }

  show({ signature: { method } }, { joints, motion }, truth) {
    this.stage.showObject(method, joints);
    this.numbers.showPrediction(method, joints, truth);
    if (motion) this.sliders.showGuess(motion);
  }
}

function say(root, text, isError = false) {
  const message = root.querySelector(".demo-message");
  message.textContent = text;
  message.classList.toggle("demo-error", isError);
}

async function start(root) {
  try {
    const [signature, measured] = await Promise.all([loadSignature(NAMES[0]), loadMeasured()]);
    root.querySelector(".demo-main").hidden = false;
    const demo = new Demo(root, signature, measured);
    const ort = await loadRuntime();
    // One after the other: WebAssembly is started once.
    const networks = [];
    for (const name of NAMES) networks.push(await Network.load(ort, name));
    demo.networks = networks;
    say(root, "");
    await demo.look();
  } catch (error) {
    say(root, error instanceof LoadError ? error.message : `This page fails: ${error}`, true);
    root.setAttribute("aria-busy", "false");
    if (!(error instanceof LoadError)) throw error;
  }
}

start(document.getElementById("demo"));
