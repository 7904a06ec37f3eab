// The network's picture: the pixels of gluon_dkpr/data/render.py, one for one.
//
// A canvas draws lines in its own way. Python draws with OpenCV, whose rule is this, in whole
// numbers of 1/65536 px: a bone is the rectangle of half a width to each side of its line; its four
// edges are drawn as thin lines, its rows are filled between two edges, and a small disc covers
// each end.

const ONE = 65536;
const HALF = ONE / 2;
// Python rounds joints to 1/16 px before it draws.
const FRACTIONS = 16;
// Half of OpenCV's thickness of 2, which makes a line 3 px wide.
const HALF_WIDTH = ONE;

/** Round to the nearest whole number, and a half to the even one, as NumPy and OpenCV do. */
function roundHalfToEven(value) {
  const below = Math.floor(value);
  const rest = value - below;
  if (rest !== 0.5) return Math.round(value);
  return below % 2 === 0 ? below : below + 1;
}

/**
 * Draw the bones of an object, white on black.
 *
 * @param {number[][]} joints (J, 2), px, x right and y down; the first pixel's centre is (0, 0).
 * @param {number[][]} bones pairs of joints' numbers.
 * @param {number} size of the square picture, px.
 * @returns {Uint8Array} size * size values, 0 or 1, row by row.
 */
export function drawObject(joints, bones, size) {
  const picture = new Picture(size);
  const points = joints.map((joint) =>
    joint.map((value) => (roundHalfToEven(value * FRACTIONS) * ONE) / FRACTIONS),
  );
  for (const [parent, child] of bones) drawBone(picture, points[parent], points[child]);
  return picture.pixels;
}

class Picture {
  constructor(size) {
    this.size = size;
    this.pixels = new Uint8Array(size * size);
  }

  set(x, y) {
    if (x >= 0 && y >= 0 && x < this.size && y < this.size) this.pixels[y * this.size + x] = 1;
  }

  /** Set the pixels of a row from one x to another, both included. */
  setRow(y, from, to) {
    for (let x = Math.max(from, 0); x <= Math.min(to, this.size - 1); x++) this.set(x, y);
  }
}

/** Return the pixel in which a coordinate lies. */
const pixelOf = (value) => Math.floor((value + HALF) / ONE);

function drawBone(picture, a, b) {
  const across = [(b[1] - a[1]) / ONE, (a[0] - b[0]) / ONE];
  const length = Math.hypot(...across);
  if (length > 0) {
    const [x, y] = across.map((value) => roundHalfToEven((value * HALF_WIDTH) / length));
    const corners = [
      [a[0] + x, a[1] + y],
      [a[0] - x, a[1] - y],
      [b[0] - x, b[1] - y],
      [b[0] + x, b[1] + y],
    ];
    corners.forEach((corner, i) => drawEdge(picture, corners[(i + 3) % 4], corner));
    fill(picture, corners);
  }
  for (const end of [a, b]) drawDisc(picture, pixelOf(end[0]), pixelOf(end[1]));
}

/** A disc of radius 1 is a cross of five pixels. */
function drawDisc(picture, x, y) {
  picture.setRow(y, x - 1, x + 1);
  picture.set(x, y - 1);
  picture.set(x, y + 1);
}

/** Draw a thin line: one pixel in each column, or in each row where it is steep. */
function drawEdge(picture, from, to) {
  const size = [Math.abs(to[0] - from[0]), Math.abs(to[1] - from[1])];
  const main = size[0] > size[1] ? 0 : 1;
  const other = 1 - main;
  const [begin, end] = to[main] < from[main] ? [to, from] : [from, to];
  picture.set(pixelOf(end[0]), pixelOf(end[1]));
  const slope = Math.trunc(((end[other] - begin[other]) * ONE) / (size[main] | 1));
  const steps = Math.floor((end[main] - begin[main]) / ONE);
  const pixel = [0, 0];
  for (let i = 0; i <= steps; i++) {
    pixel[main] = pixelOf(begin[main]) + i;
    pixel[other] = pixelOf(begin[other] + i * slope);
    picture.set(pixel[0], pixel[1]);
  }
}

/** Fill a convex shape, row by row, between the edges that go down from its top on either side. */
function fill(picture, corners) {
  const rows = corners.map((corner) => pixelOf(corner[1]));
  let top = 0;
  corners.forEach((corner, i) => {
    if (corner[1] < corners[top][1]) top = i;
  });
  const count = corners.length;
  const sides = [1, count - 1].map((turn) => ({ turn, corner: top, until: rows[top], x: 0, dx: 0 }));
  let edges = count;
  const last = Math.max(...rows);
  for (let y = rows[top]; y <= last; y++) {
    for (const side of sides) {
      if (y < side.until) continue;
      let from = side.corner;
      let next = (from + side.turn) % count;
      while (edges > 0) {
        edges -= 1;
        if (rows[next] > y) {
          const height = rows[next] - y;
          const way = corners[next][0] - corners[from][0];
          side.until = rows[next];
          side.dx = Math.trunc((2 * way + height) / (2 * height));
          side.x = corners[from][0];
          side.corner = next;
          break;
        }
        from = next;
        next = (next + side.turn) % count;
      }
      if (edges === 0 && y >= side.until) return;
    }
    const [left, right] = sides.map((side) => side.x).sort((a, b) => a - b);
    picture.setRow(y, pixelOf(left), pixelOf(right));
    for (const side of sides) side.x += side.dx;
  }
}
