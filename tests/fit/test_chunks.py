"""The result of a frame depends on nothing but the frame: not on chunks, not on processes."""

import numpy as np
import pytest

from gluon_dkpr.fit import FitError, chunks, fit_model, gd
from gluon_dkpr.geometry import forward_kinematics
from gluon_dkpr.skeleton import human36m

HUMAN = human36m()


@pytest.fixture(scope="module")
def joints():
    random = np.random.RandomState(10)
    motion = random.normal(0, 0.5, (700, 27))
    return forward_kinematics(HUMAN, motion) + random.normal(0, 15, (700, 17, 3))


@pytest.fixture(scope="module")
def whole(joints):
    return fit_model(HUMAN, joints)


def test_result_does_not_depend_on_neighbours(joints, whole, monkeypatch):
    few = fit_model(HUMAN, joints[100:103])
    alone = fit_model(HUMAN, joints[101:102])
    np.testing.assert_array_equal(whole.motion[100:103], few.motion)
    np.testing.assert_array_equal(whole.motion[101:102], alone.motion)
    monkeypatch.setattr(chunks, "CHUNK", 300)
    np.testing.assert_array_equal(whole.motion, fit_model(HUMAN, joints).motion)


@pytest.mark.parametrize("count", [257, 513])
def test_descent_of_a_frame_depends_on_nothing_else(joints, count, monkeypatch):
    """Chunks of 256, whose rest is one frame, or with one frame more is not."""
    monkeypatch.setattr(gd, "ITERATIONS", 40)
    found, more, two = (
        fit_model(HUMAN, joints[:number], solver="gd", workers=workers)
        for number, workers in ((count, 1), (count + 1, 1), (count, 2))
    )
    alone = fit_model(HUMAN, joints[count - 1 : count], solver="gd")
    for name, values in vars(found).items():
        np.testing.assert_array_equal(values, getattr(more, name)[:count], err_msg=name)
        np.testing.assert_array_equal(values, getattr(two, name), err_msg=name)
        np.testing.assert_array_equal(values[-1:], getattr(alone, name), err_msg=name)


@pytest.mark.parametrize("sequence", [False, True])
def test_processes_find_the_same(joints, sequence):
    one = fit_model(HUMAN, joints, sequence=sequence)
    two = fit_model(HUMAN, joints, sequence=sequence, workers=2)
    for name, values in vars(one).items():
        np.testing.assert_array_equal(values, getattr(two, name), err_msg=name)


def test_chunks_are_shared_out_evenly(monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK", 1000)
    lengths = []

    def task(frames):
        lengths.append(len(frames))
        return chunks.Solution.empty(np.tile(frames.astype(float), (3, 1)))

    found = chunks.in_chunks(task, 2500, 3, workers=1)
    assert sum(lengths) == 2500 and max(lengths) - min(lengths) <= 2
    np.testing.assert_array_equal(found.unknowns, np.tile(np.arange(2500.0), (3, 1)))


@pytest.mark.parametrize("workers", [0, -1, 1.5, True, "2"])
def test_wrong_number_of_workers(workers):
    with pytest.raises(FitError, match="workers is .*expected a whole number above 0"):
        fit_model(HUMAN, np.zeros((1, 17, 3)), workers=workers)
