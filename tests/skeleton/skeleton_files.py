"""A small valid skeleton file to break, and equality to the last bit."""

import dataclasses

ARM = """\
format: gluon_dkpr/skeleton/1
name: arm
dim: 2
parameters:
- {name: bend, lower: -1.0, upper: 1.5}
joints:
- name: base
  rotations:
  - {axis: z, parameter: bend}
- name: hand
  parent: base
  offset: [1.0, 0.0]
left_right_pairs: [[base, hand]]
"""


def bits(value):
    """Return a value with its numbers as hexadecimal texts, which differ where any bit does."""
    if isinstance(value, float):
        return value.hex()
    if isinstance(value, dict):
        return {key: bits(item) for key, item in value.items()}
    return [bits(item) for item in value] if isinstance(value, tuple) else value


def same_to_the_bit(one, other):
    return one == other and bits(dataclasses.asdict(one)) == bits(dataclasses.asdict(other))
