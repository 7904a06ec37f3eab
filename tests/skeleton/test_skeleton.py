"""What a valid skeleton knows about itself."""

import copy
import dataclasses
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from strategies import skeletons

from gluon_dkpr.geometry import forward_kinematics
from gluon_dkpr.skeleton import Joint, Parameter, Rotation, Skeleton


@given(skeletons())
def test_equality_hash_pickle_and_copy(skeleton):
    for twin in (
        pickle.loads(pickle.dumps(skeleton)),
        copy.deepcopy(skeleton),
        dataclasses.replace(skeleton),
    ):
        assert twin == skeleton
        assert hash(twin) == hash(skeleton)
        assert twin.topological_order == skeleton.topological_order
        assert twin.bones == skeleton.bones


@given(skeletons())
def test_topology(skeleton):
    """Parents come first; every visible joint but the root ends one bone at a visible ancestor."""
    place = {index: i for i, index in enumerate(skeleton.topological_order)}
    assert sorted(place) == list(range(len(skeleton.joints)))
    for index, joint in enumerate(skeleton.joints):
        assert skeleton.joint(joint.name) is joint
        assert skeleton.joint_index(joint.name) == index
        if joint.parent is None:
            assert joint is skeleton.root
        else:
            assert place[skeleton.joint_index(joint.parent)] < place[index]
    children = [child for _, child in skeleton.bones]
    assert children == [name for name in skeleton.joint_names if name != skeleton.root.name]
    for parent, child in skeleton.bones:
        between = skeleton.joint(skeleton.joint(child).parent)
        while between.hidden:
            between = skeleton.joint(between.parent)
        assert between.name == parent


@given(skeletons())
def test_bone_lengths_are_those_of_the_zero_pose(skeleton):
    joints = forward_kinematics(skeleton, np.zeros((1, skeleton.num_parameters)))[0]
    start, end = skeleton.bone_indices.T
    found = np.linalg.norm(joints[end] - joints[start], axis=-1)
    np.testing.assert_allclose(skeleton.bone_lengths, found, atol=1e-12)


def test_bone_across_a_hidden_joint_counts_its_constant_turns():
    """R_x R_z takes -y to x: the two halves of the bone then lie in line."""
    quarters = (Rotation("x", None, 1.0, math.pi / 2), Rotation("z", None, 1.0, math.pi / 2))
    joints = (
        Joint("base", None, (), (Rotation("y", "bend", 1.0, 0.7),)),
        Joint("knee", "base", (1, 0, 0), quarters, hidden=True),
        Joint("foot", "knee", (0, -1, 0)),
    )
    skeleton = Skeleton("leg", 3, (Parameter("bend"),), joints)
    assert skeleton.bones == (("base", "foot"),)
    assert skeleton.bone_lengths.tolist() == pytest.approx([2.0])


@given(skeletons())
def test_scaled_multiplies_every_length_and_no_angle(skeleton):
    bigger = skeleton.scaled(2.0, "inch")
    assert bigger.length_unit == "inch"
    assert skeleton.scaled(2.0).length_unit == skeleton.length_unit
    np.testing.assert_array_equal(bigger.bone_lengths, 2 * skeleton.bone_lengths)
    factor = np.where(skeleton.is_angle(), 1.0, 2.0)
    for before, after in zip(skeleton.bounds(), bigger.bounds()):
        np.testing.assert_array_equal(after, before * factor)
    assert bigger.scaled(0.5, skeleton.length_unit) == skeleton
