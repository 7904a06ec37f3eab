"""The two-dimensional objects of the paper's toy problem (section 4.1 and figure 5).

Two arms leave the root. The first bone of each makes the angle ``theta`` with the object's axis,
one to the left and one to the right; each further level adds a bone with an angle of its own to the
end of both arms. From 6 parameters on the whole object is turned by ``orientation`` as well.

Inferred, because the paper does not state it: the ranges of the angles and the bone lengths above
3 parameters. They make the picture of every pose unambiguous, see ``gluon_dkpr.data.toy``.
"""

from __future__ import annotations

import math

from gluon_dkpr.skeleton.checks import SkeletonError
from gluon_dkpr.skeleton.parts import Joint, Parameter, Rotation
from gluon_dkpr.skeleton.skeleton import Skeleton

IMAGE_SIZE_PX = 128
LEVELS = (3, 6, 8, 10)
# 45 px is the paper's; the longer arms are given shorter bones so that they fit the image.
BONE_LENGTH_PX = {3: 45.0, 6: 30.0, 8: 22.0, 10: 18.0}
THETA_RANGE = (math.radians(10), math.radians(80))
ORIENTATION_RANGE = (math.radians(-60), math.radians(60))
BEND_RANGE = (math.radians(-60), math.radians(60))


def planar(num_parameters: int = 3) -> Skeleton:
    """Return the paper's planar object with 3, 6, 8 or 10 motion parameters.

    Lengths are in px of a 128x128 image, x right and y down. Parameters: ``x, y`` (the root),
    from 6 on ``orientation``, then ``theta``, then ``left_2, right_2, left_3, ...``. Joints: the
    root, then the left arm outwards, then the right arm outwards.

    Raises:
        SkeletonError: for another number of parameters.
    """
    if num_parameters not in LEVELS:
        raise SkeletonError(f"planar object of {num_parameters!r} parameters, expected {LEVELS}")
    bones_per_arm = max(1, (num_parameters - 2) // 2)
    length = BONE_LENGTH_PX[num_parameters]
    turned = num_parameters > 3
    parameters = [Parameter(axis, "length", 0.0, float(IMAGE_SIZE_PX)) for axis in "xy"]
    if turned:
        parameters.append(Parameter("orientation", "radian", *ORIENTATION_RANGE))
    parameters.append(Parameter("theta", "radian", *THETA_RANGE))
    joints = [Joint("root", rotations=(Rotation("z", "orientation"),) if turned else ())]
    # The rest bone points down the image. A positive angle turns x to y, hence down to the left.
    for side, coefficient in (("left", 1.0), ("right", -1.0)):
        swing = Rotation("z", "theta", coefficient)
        joints.append(Joint(f"{side}_swing", "root", (0.0, 0.0), (swing,), hidden=True))
        parent = f"{side}_swing"
        for i in range(1, bones_per_arm + 1):
            bend = (Rotation("z", f"{side}_{i + 1}"),) if i < bones_per_arm else ()
            joints.append(Joint(f"{side}_{i}", parent, (0.0, length), bend))
            parent = f"{side}_{i}"
    for i in range(2, bones_per_arm + 1):
        parameters += [Parameter(f"{s}_{i}", "radian", *BEND_RANGE) for s in ("left", "right")]
    return Skeleton(
        name=f"planar{num_parameters}",
        dim=2,
        parameters=tuple(parameters),
        joints=tuple(joints),
        position=("x", "y"),
        length_unit="px",
        left_right_pairs=tuple((f"left_{i}", f"right_{i}") for i in range(1, bones_per_arm + 1)),
    )
