"""Jobs of many threads, done together by one."""

import threading
import time

import numpy as np
import pytest
from servers import PATIENCE_S, Centroid, encoded, in_threads, running, toy_picture, until

from gluon_dkpr.engine.prediction import estimate_poses
from gluon_dkpr.service.batcher import Batcher


class Plain:
    """Work without a preparation."""

    def __init__(self, finish):
        self.finish = finish

    def prepare(self, job):
        return job


class Held:
    """Work that waits for its gate; doubles numbers, and refuses those below 0."""

    def __init__(self):
        self.gate, self.entered = threading.Event(), threading.Event()
        self.batches, self.threads = [], set()

    def prepare(self, job):
        if job == -2:
            raise ValueError(f"cannot prepare {job}")
        return job

    def finish(self, jobs):
        self.threads.add(threading.current_thread())
        self.batches.append(list(jobs))
        self.entered.set()
        assert self.gate.wait(PATIENCE_S)
        return [ValueError(f"cannot finish {job}") if job < 0 else 2 * job for job in jobs]


@pytest.fixture
def held():
    return Held()


def started(work, size=4, wait_s=0.0):
    batcher = Batcher(lambda: work, size, wait_s)
    assert batcher.start() is work
    return batcher


class TestBatcher:
    def test_what_waits_is_done_together_in_order(self, held):
        batcher = started(held)
        futures = [batcher.submit(0)]
        assert held.entered.wait(PATIENCE_S)
        futures += [batcher.submit(i) for i in range(1, 10)]
        assert len(batcher) == 9
        held.gate.set()
        assert [f.result(PATIENCE_S) for f in futures] == [2 * i for i in range(10)]
        assert held.batches == [[0], [1, 2, 3, 4], [5, 6, 7, 8], [9]]
        assert len(held.threads) == 1
        assert held.threads != {threading.current_thread()}
        assert batcher.close(PATIENCE_S)

    def test_the_first_waits_for_others_but_not_for_ever(self, held):
        held.gate.set()
        batcher = started(held, size=3, wait_s=0.2)
        begin = time.monotonic()
        assert batcher.submit(1).result(PATIENCE_S) == 2
        assert time.monotonic() - begin >= 0.2
        futures = [batcher.submit(i) for i in range(3)]
        begin = time.monotonic()
        assert [f.result(PATIENCE_S) for f in futures] == [0, 2, 4]
        assert held.batches == [[1], [0, 1, 2]]
        batcher.close()

    def test_what_is_cancelled_in_time_is_not_done(self, held):
        batcher = started(held)
        first = batcher.submit(0)
        assert held.entered.wait(PATIENCE_S)
        futures = [batcher.submit(i) for i in range(1, 4)]
        assert futures[1].cancel()
        assert not first.cancel()
        held.gate.set()
        assert [futures[i].result(PATIENCE_S) for i in (0, 2)] == [2, 6]
        assert held.batches == [[0], [1, 3]]
        batcher.close()

    def test_an_exception_is_its_owners_alone(self, held):
        held.gate.set()
        batcher = started(held, wait_s=0.2)
        futures = [batcher.submit(i) for i in (1, -1, -2, 3)]
        assert [futures[i].result(PATIENCE_S) for i in (0, 3)] == [2, 6]
        for i, message in ((1, "finish -1"), (2, "prepare -2")):
            with pytest.raises(ValueError, match=message):
                futures[i].result(PATIENCE_S)
        batcher.close()

    @pytest.mark.parametrize("finish", [lambda jobs: 1 / 0, lambda jobs: [1, 2, 3]])
    def test_work_that_fails_harms_only_its_batch(self, finish):
        works = iter([finish, lambda jobs: ["well"]])
        batcher = started(Plain(lambda jobs: next(works)(jobs)))
        with pytest.raises((ZeroDivisionError, RuntimeError)):
            batcher.submit(0).result(PATIENCE_S)
        assert batcher.submit(0).result(PATIENCE_S) == "well"
        batcher.close()

    def test_a_batch_goes_when_its_preparation_takes_long(self, held):
        held.prepare = lambda job: time.sleep(0.3) or job
        batcher = started(held)
        futures = [batcher.submit(i) for i in range(3)]
        assert held.entered.wait(PATIENCE_S)
        assert held.batches == [[0]]
        held.gate.set()
        assert [f.result(PATIENCE_S) for f in futures] == [0, 2, 4]
        batcher.close()

    def test_closing_does_what_waits_and_takes_no_more(self, held):
        batcher = started(held)
        futures = [batcher.submit(i) for i in range(6)]
        assert held.entered.wait(PATIENCE_S)
        assert not batcher.close(timeout=0.01)
        with pytest.raises(RuntimeError, match="closed"):
            batcher.submit(7)
        held.gate.set()
        assert batcher.close(PATIENCE_S)
        assert [f.result(0) for f in futures] == [2 * i for i in range(6)]

    def test_what_cannot_be_made_is_told_to_the_starter(self):
        def make():
            raise ValueError("no such model")

        with pytest.raises(ValueError, match="no such model"):
            Batcher(make, 1, 0).start()


class TestService:
    def test_requests_at_one_time_share_forward_passes(self):
        """15 wait while the first is computed: 1 + 8 + 7 pictures, each answer to its asker."""
        predictor = Centroid()
        pictures = [toy_picture(x=20.0 + 5 * i, y=100.0 - 4 * i) for i in range(16)]
        with running(predictor, wait_ms=200) as server:
            predictor.gate.clear()

            def ask(index):
                return lambda: server.pose(encoded(pictures[index]))

            def late(index):
                def call():
                    assert predictor.entered.wait(PATIENCE_S)
                    return ask(index)()

                return call

            def release():
                until(lambda: len(server.server.batcher) == 15, "15 requests wait")
                assert server.metric("dkpr_queue_length") == 15
                assert server.metric("dkpr_requests_in_flight") == 16
                predictor.gate.set()

            *answers, _ = in_threads([ask(0), *map(late, range(1, 16)), release])
            assert predictor.batches == [1, 8, 7]
            assert server.metric("dkpr_batch_pictures_count") == 3
            assert server.metric("dkpr_batch_pictures_sum") == 16
        # Made in the batcher's thread, it was called there alone.
        assert len(predictor.threads) == 2
        alone = Centroid()
        for picture, answer in zip(pictures, answers):
            (expected,) = estimate_poses(alone, [np.dstack([picture] * 3)])
            joints = np.array(list(answer.json["joints"].values()))
            np.testing.assert_array_equal(joints, expected.joints)
            motion = np.array(list(answer.json["motion"].values()))
            np.testing.assert_array_equal(motion, expected.motion)

    def test_good_and_bad_pictures_in_one_batch(self):
        predictor = Centroid()
        good, black = encoded(toy_picture()), encoded(np.zeros((64, 64), np.uint8))
        bodies = [good, b"nothing", black, good[: len(good) // 2], good]
        with running(predictor, wait_ms=500, batch=5) as server:
            calls = [lambda body=body: server.pose(body) for body in bodies]
            answers = in_threads(calls)
        assert [answer.status for answer in answers] == [200, 415, 422, 422, 200]
        assert "nothing in it is white" in answers[2].error
        assert sum(predictor.batches) == 2
