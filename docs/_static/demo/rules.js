// Which poses the data sets have: gluon_dkpr/data/toy.py says the same and why.

import { distance } from "./skeleton.js";

const LINE_WIDTH_PX = 3;
const MARGIN_PX = LINE_WIDTH_PX / 2 + 0.5;
const MIN_DISTANCE_PX = 2 * LINE_WIDTH_PX;
const MIN_ANGLE = (15 * Math.PI) / 180;

/**
 * Return what is wrong with a pose, in words, or an empty text if it could be in the data.
 *
 * @param {number[][]} joints (J, 2), px.
 * @param {number[][]} bones pairs of joints' numbers.
 * @param {number} size of the picture, px.
 */
export function whyNot(joints, bones, size) {
  const last = size - 1 - MARGIN_PX;
  if (joints.some((joint) => joint.some((value) => value < MARGIN_PX || value > last))) {
    return "the object leaves the picture";
  }
  for (let i = 0; i < bones.length; i++) {
    for (let k = 0; k < i; k++) {
      const shared = bones[i].find((joint) => bones[k].includes(joint));
      if (shared === undefined) {
        const ends = [...bones[i], ...bones[k]].map((joint) => joints[joint]);
        if (segmentDistance(...ends) < MIN_DISTANCE_PX) return "two bones touch or cross";
      } else {
        const [a, b] = [bones[i], bones[k]].map((bone) => bone.find((joint) => joint !== shared));
        if (angle(joints[shared], joints[a], joints[b]) < MIN_ANGLE) return "two bones fold";
      }
    }
  }
  return "";
}

const cross = (u, v) => u[0] * v[1] - u[1] * v[0];
const minus = (a, b) => [a[0] - b[0], a[1] - b[1]];

function angle(corner, a, b) {
  const [u, v] = [minus(a, corner), minus(b, corner)];
  return Math.atan2(Math.abs(cross(u, v)), u[0] * v[0] + u[1] * v[1]);
}

function segmentDistance(a, b, c, d) {
  const apart = (p, q, r, s) => cross(minus(q, p), minus(r, p)) * cross(minus(q, p), minus(s, p)) < 0;
  if (apart(a, b, c, d) && apart(c, d, a, b)) return 0;
  return Math.min(
    pointDistance(a, c, d),
    pointDistance(b, c, d),
    pointDistance(c, a, b),
    pointDistance(d, a, b),
  );
}

function pointDistance(point, a, b) {
  const along = minus(b, a);
  const part = minus(point, a);
  const share = (part[0] * along[0] + part[1] * along[1]) / (along[0] ** 2 + along[1] ** 2);
  const clipped = Math.min(Math.max(share, 0), 1);
  return distance(point, [a[0] + clipped * along[0], a[1] + clipped * along[1]]);
}
