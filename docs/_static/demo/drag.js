// From a joint that is dragged to the motion that takes it there.

import { distance } from "./skeleton.js";

const STEPS = 40;
// Added to JJᵀ, px² for a radian: small, a step goes straight to the target; large, a little that way.
const DAMPING = { first: 1, least: 1e-3, most: 1e7, down: 0.2, up: 6 };
const NEAR_PX = 1e-4;

/**
 * Return the motion that brings a joint as near to a place as the bounds let it.
 *
 * The root takes the object along. Any other joint turns what lies between it and the root, each
 * angle as little as possible: damped least squares (Levenberg and Marquardt), in steps that bring
 * the joint nearer; an angle that would leave its bounds is left out.
 *
 * @param {Skeleton} skeleton
 * @param {number[]} motion (P,), to begin with.
 * @param {number} joint its number.
 * @param {number[]} target where it should go, px.
 */
export function drag(skeleton, motion, joint, target) {
  if (joint === 0) {
    const moved = [...motion];
    skeleton.root.forEach((parameter, axis) => {
      moved[parameter] = target[axis];
    });
    return skeleton.clamp(moved);
  }
  const angles = skeleton.parameters
    .map((_, i) => i)
    .filter((i) => !skeleton.root.includes(i));
  let current = motion;
  let left = distanceTo(skeleton, current, joint, target);
  let damping = DAMPING.first;
  for (let i = 0; i < STEPS && left > NEAR_PX && damping < DAMPING.most; i++) {
    const next = step(skeleton, current, joint, target, angles, damping);
    const rest = distanceTo(skeleton, next, joint, target);
    const better = rest < left;
    if (better) [current, left] = [next, rest];
    damping = Math.max(damping * (better ? DAMPING.down : DAMPING.up), DAMPING.least);
  }
  return current;
}

const distanceTo = (skeleton, motion, joint, target) =>
  distance(skeleton.joints(motion)[joint], target);

function step(skeleton, motion, joint, target, angles, damping) {
  const at = skeleton.joints(motion)[joint];
  const wanted = [target[0] - at[0], target[1] - at[1]];
  const rows = skeleton.jacobian(motion, joint);
  let free = angles;
  for (;;) {
    const change = leastChange(rows, free, wanted, damping);
    const stuck = free.filter((i) => isOutward(skeleton.parameters[i], motion[i], change[i]));
    if (!stuck.length) {
      return skeleton.clamp(motion.map((value, i) => value + (change[i] ?? 0)));
    }
    free = free.filter((i) => !stuck.includes(i));
  }
}

const isOutward = ({ lower, upper }, value, change) =>
  (value >= upper && change > 0) || (value <= lower && change < 0);

/** Return the smallest change of the free parameters that moves the joint: Jᵀ(JJᵀ + d)⁻¹ w. */
function leastChange(rows, free, wanted, damping) {
  let [a, b, c] = [damping, 0, damping];
  for (const i of free) {
    const [x, y] = rows[i];
    a += x * x;
    b += x * y;
    c += y * y;
  }
  const determinant = a * c - b * b;
  const force = [
    (c * wanted[0] - b * wanted[1]) / determinant,
    (a * wanted[1] - b * wanted[0]) / determinant,
  ];
  const change = {};
  for (const i of free) change[i] = rows[i][0] * force[0] + rows[i][1] * force[1];
  return change;
}
