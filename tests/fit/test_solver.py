"""The compiled kinematics, the normal equations and the parts of the fit against the oracle."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import random_motion, skeletons

from gluon_dkpr.fit import fit_model
from gluon_dkpr.fit.euler import closest_angles, turned
from gluon_dkpr.fit.factor import PackedMatrix
from gluon_dkpr.fit.gd import descend
from gluon_dkpr.fit.lm import minimise
from gluon_dkpr.fit.normal import NormalEquations
from gluon_dkpr.fit.problem import Problem
from gluon_dkpr.fit.start import Starter
from gluon_dkpr.fit.symmetry import Symmetries
from gluon_dkpr.fit.tree import Tree
from gluon_dkpr.geometry import forward_kinematics, kinematic_jacobian
from gluon_dkpr.skeleton import Joint, Parameter, Rotation, Skeleton, human36m

SEEDS = st.integers(0, 2**32 - 1)
# Sums of some dozen float64 numbers in another order, relative to their size.
SUM_TOLERANCE = 1e-12
# The solution of a matrix with the condition number of these has lost some digits more.
SOLVE_TOLERANCE = 1e-10


@given(skeletons(), SEEDS)
@settings(max_examples=60)
def test_compiled_kinematics_equals_the_oracle(skeleton, seed):
    random = np.random.RandomState(seed)
    motion, scale = random_motion(skeleton, 4, seed), random.uniform(0.5, 2, 4)
    tree = Tree(skeleton)
    found = tree.joints(motion.T, scale).transpose(2, 0, 1)[..., : skeleton.dim]
    size = tree.reach + np.abs(motion).max()
    expected = forward_kinematics(skeleton, motion, scale)
    np.testing.assert_allclose(found, expected, rtol=0, atol=SUM_TOLERANCE * size)


@given(skeletons(), SEEDS, st.booleans())
@settings(max_examples=60)
def test_normal_equations_equal_products_of_jacobians(skeleton, seed, with_scale):
    random = np.random.RandomState(seed)
    motion, scale = random_motion(skeleton, 4, seed), random.uniform(0.5, 2, 4)
    tree = Tree(skeleton)
    weights = random.rand(skeleton.num_joints, 4)
    residual = np.zeros((skeleton.num_joints, 3, 4))
    residual[:, : skeleton.dim] = random.normal(size=(skeleton.num_joints, skeleton.dim, 4))
    jacobian = kinematic_jacobian(skeleton, motion, scale)
    if with_scale:
        root = tree.root_position(motion.T)[: skeleton.dim].T
        arms = forward_kinematics(skeleton, motion, scale) - root[:, None]
        by_scale = arms / scale[:, None, None]
        jacobian = np.concatenate([jacobian, by_scale[..., None]], axis=-1)
    wanted = residual[:, : skeleton.dim].transpose(2, 0, 1)
    product = np.einsum("bjdp,jb,bjdq->bpq", jacobian, weights, jacobian)
    right = np.einsum("bjdp,jb,bjd->pb", jacobian, weights, wanted)

    normal = NormalEquations(tree, with_scale)
    matrix, gradient = normal.assemble(tree.pose(motion.T, scale), residual, weights, scale)
    size = 1 + tree.reach**2
    dense = normal.structure.dense(matrix)
    np.testing.assert_allclose(dense, product, rtol=0, atol=SUM_TOLERANCE * size)
    np.testing.assert_allclose(gradient, right, rtol=0, atol=SUM_TOLERANCE * size)

    matrix[normal.structure.diagonal] += 1.0
    solution = normal.structure.solve(matrix, gradient)
    unit = np.eye(product.shape[1])
    expected = np.linalg.solve(product + unit, right.T[..., None])[..., 0].T
    np.testing.assert_allclose(solution, expected, rtol=0, atol=SOLVE_TOLERANCE * size)


def test_fill_in_of_a_ring():
    """Eliminating one of a ring of four couples its neighbours."""
    coupled = [{1, 3}, {0, 2}, {1, 3}, {2, 0}]
    structure = PackedMatrix([0, 1, 2, 3], coupled)
    matrix = np.zeros((structure.num_entries, 1))
    matrix[structure.diagonal] = 4.0
    for i, row in enumerate(coupled):
        for j in row:
            matrix[structure.place(i, j)] = 1.0
    dense = structure.dense(matrix)[0]
    right = np.arange(1.0, 5.0)[:, None]
    expected = np.linalg.solve(dense, right)
    np.testing.assert_allclose(structure.solve(matrix, right), expected, rtol=1e-14)


def test_human_matrix_has_no_fill_in():
    """27 diagonal entries, and one for each pair of which one is on the way to the other."""
    normal = NormalEquations(Tree(human36m()))
    trunk = 3 + 3  # position, pelvis
    above = sum(range(trunk)) + 2 * (trunk + trunk + 1 + trunk + 2 + trunk + 3)
    spine = trunk + trunk + 1
    upper = 2 * sum(trunk + 2 + i for i in range(4)) + sum(trunk + 2 + i for i in range(3))
    assert normal.structure.num_entries == 27 + above + spine + upper


@given(SEEDS)
@settings(max_examples=30)
def test_three_angles_of_a_rotation(seed):
    """Both kinds of axes at right angles: all different, and the first one repeated."""
    random = np.random.RandomState(seed)
    cyclic = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])
    for steps in ([cyclic, cyclic, cyclic], [cyclic, cyclic, cyclic.T]):
        angles = random.uniform(-np.pi, np.pi, (3, 5))
        frame = np.eye(3)[None]
        for step, angle in zip(steps, angles):
            frame = turned(frame, step, angle)
        found = closest_angles(steps, frame.transpose(0, 2, 1), np.zeros(3))
        again = np.eye(3)[None]
        for step, angle in zip(steps, found):
            again = turned(again, step, angle)
        # The arc cosine halves the digits where two axes fall together.
        np.testing.assert_allclose(again, frame, atol=1e-7)
        assert ((found**2).sum(0) <= (angles**2).sum(0) + 1e-6).all()


def test_start_is_close_for_exact_joints():
    skeleton, tree = human36m(), Tree(human36m())
    random = np.random.RandomState(0)
    motion = random.uniform(-1, 1, (200, 27)) * 0.8
    motion[:, 3:6] = random.uniform(-np.pi, np.pi, (200, 3))
    lower, upper = skeleton.bounds()
    motion = np.clip(motion, np.maximum(lower, -10), np.minimum(upper, 10))
    bent = [i for i, name in enumerate(skeleton.parameter_names) if "knee" in name or "elb" in name]
    motion[:, bent] = random.uniform(0.3, 2.0, (200, len(bent)))
    target = tree.joints(motion.T, np.ones(200))
    given_pose = np.zeros(27)
    given_pose[bent] = 1.3
    start = Starter(tree, given_pose).start(target, np.ones((17, 200)), np.ones(200))
    distance = np.sqrt(((tree.joints(start, np.ones(200)) - target) ** 2).sum(1))
    assert distance.mean() < 30.0  # mm; the trunk alone is not in closed form


@pytest.mark.parametrize("solver", ["lm", "gd"])
def test_the_tip_of_a_long_chain(solver):
    """So many turns lie between it and the root that its weight there would be 0."""
    turns = 170
    joints = [Joint("root", rotations=(Rotation("z", "turn0"),))]
    for i in range(1, turns):
        rotations = (Rotation("xyz"[i % 3], f"turn{i}"),)
        joints.append(Joint(f"joint{i}", joints[-1].name, (1.0, 0, 0), rotations, hidden=True))
    joints.append(Joint("tip", joints[-1].name, (1.0, 0, 0)))
    parameters = [Parameter(f"turn{i}") for i in range(turns)]
    parameters += [Parameter(axis, unit="length") for axis in "xyz"]
    chain = Skeleton("chain", 3, tuple(parameters), tuple(joints), position=tuple("xyz"))
    wanted = forward_kinematics(chain, np.full((2, turns + 3), 0.01))
    wanted[:, 0] = np.nan
    found = fit_model(chain, wanted, solver=solver)
    assert np.isfinite(found.motion).all() and found.converged.all()
    np.testing.assert_allclose(found.joints[:, 1], wanted[:, 1], atol=1e-6)


@pytest.mark.parametrize("solve", [minimise, descend])
def test_what_is_not_finite_has_not_converged(solve):
    tree = Tree(human36m())
    normal = NormalEquations(tree, False)
    start = np.zeros((27, 3))
    target = tree.joints(start, np.ones(3))
    unbound = np.full(27, -np.inf), np.full(27, np.inf)
    problem = Problem(tree, normal, target, np.ones((17, 3)), unbound)
    start[4, 1] = np.nan
    found = solve(problem, start)
    assert found.converged.tolist() == [True, False, True]
    assert np.isfinite(found.loss).tolist() == [True, False, True]


def test_symmetries_of_the_body_keep_the_joints():
    skeleton = human36m()
    symmetries = Symmetries(Tree(skeleton), skeleton.bounds())
    motion = random_motion(skeleton, 50, 0).clip(*skeleton.bounds())
    reference = random_motion(skeleton, 50, 1)
    found, signs = symmetries.nearest(motion.T, reference.T)
    before = forward_kinematics(skeleton, motion)
    after = forward_kinematics(skeleton, found.T)
    np.testing.assert_allclose(after, before, atol=1e-9)
    nearer = ((found.T - reference) ** 2).sum(1) <= ((motion - reference) ** 2).sum(1)
    assert nearer.all()
    assert (signs < 0).any()
