// A planar skeleton, as an export's signature tells it, and its kinematics (docs/conventions.md).

export class Skeleton {
  /** @param {object} signature of an export, parsed. */
  constructor(signature) {
    const { skeleton, bones, outputs } = signature;
    this.position = skeleton.position;
    this.jointNames = outputs[0].names;
    this.bones = bones.map((bone) => bone.joints);
    this.boneLengths = bones.map((bone) => bone.length);
    this.parameters = skeleton.parameters.map((parameter) => ({ ...parameter }));
    const number = new Map(this.parameters.map((parameter, i) => [parameter.name, i]));
    this.root = this.position.map((name) => number.get(name));
    const place = new Map(skeleton.joints.map((joint, i) => [joint.name, i]));
    this.nodes = skeleton.joints.map((joint) => ({
      parent: joint.parent === undefined ? -1 : place.get(joint.parent),
      offset: joint.offset,
      rotations: (joint.rotations ?? []).map((rotation) => ({
        parameter: number.get(rotation.parameter),
        coefficient: rotation.coefficient ?? 1,
        rest: rotation.rest ?? 0,
      })),
    }));
    this.shown = this.jointNames.map((name) => place.get(name));
  }

  /** Return the motion with every parameter within its bounds. */
  clamp(motion) {
    return motion.map((value, i) => {
      const { lower, upper } = this.parameters[i];
      return Math.min(Math.max(value, lower), upper);
    });
  }

  /** Return the joints (J, 2), px, of a motion (P,), px and radians. */
  joints(motion) {
    const placed = this.place(motion);
    return this.shown.map((node) => placed[node].at);
  }

  /** Return where every joint is, hidden ones too, and which way its bones leave it, radians. */
  place(motion) {
    const placed = [];
    for (const node of this.nodes) {
      const parent = placed[node.parent] ?? { at: this.root.map((i) => motion[i]), angle: 0 };
      const [cos, sin] = [Math.cos(parent.angle), Math.sin(parent.angle)];
      const [x, y] = node.offset;
      const at = [parent.at[0] + cos * x - sin * y, parent.at[1] + sin * x + cos * y];
      let { angle } = parent;
      for (const { parameter, coefficient, rest } of node.rotations) {
        angle += coefficient * motion[parameter] + rest;
      }
      placed.push({ at, angle });
    }
    return placed;
  }

  /**
   * Return how a joint moves with each parameter: (P, 2), px for a px or a radian.
   *
   * A rotation moves what is further out than its own joint, at a right angle to the way there.
   */
  jacobian(motion, joint) {
    const placed = this.place(motion);
    const moved = this.parameters.map(() => [0, 0]);
    this.root.forEach((parameter, axis) => {
      moved[parameter][axis] = 1;
    });
    const { at } = placed[this.shown[joint]];
    let node = this.nodes[this.shown[joint]].parent;
    for (; node >= 0; node = this.nodes[node].parent) {
      const [x, y] = [at[0] - placed[node].at[0], at[1] - placed[node].at[1]];
      for (const { parameter, coefficient } of this.nodes[node].rotations) {
        moved[parameter][0] -= coefficient * y;
        moved[parameter][1] += coefficient * x;
      }
    }
    return moved;
  }
}

export const distance = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);
