"""What synchronised training moves: measured by real processes, and reckoned."""

import json
import os

import numpy as np
import pytest

from gluon_dkpr.engine.benchmark import scaling
from gluon_dkpr.engine.benchmark.harness import BenchmarkError
from gluon_dkpr.engine.benchmark.scaling import Assumption
from gluon_dkpr.engine.benchmark.scaling_worker import make_net, trained

PLAN = Assumption("machines", 100.0, 1e9, 2, (2, 8))


def simulate_traffic(gradient_bytes, workers):
    """Count bytes that leave and reach each machine with one server each, message by message."""
    out, into = np.zeros(workers), np.zeros(workers)
    share = gradient_bytes / workers
    for worker in range(workers):
        for server in range(workers):
            if worker != server:
                for source, target in ((worker, server), (server, worker)):
                    out[source] += share
                    into[target] += share
    return out, into


@pytest.mark.parametrize("workers", [1, 2, 3, 16])
def test_traffic_is_that_of_all_messages(workers):
    for total in simulate_traffic(1e6, workers):
        np.testing.assert_allclose(total, scaling.moved_bytes(1e6, workers))


def test_slowest_part_of_a_sum_counts():
    # 8 workers move 1.75 MB at 1 GB/s; either server of a machine handles 1 MB.
    assert scaling.sum_seconds(10**6, 8, PLAN, 1e9) == pytest.approx(1.75e-3)
    assert scaling.sum_seconds(10**6, 8, PLAN, 1e8) == pytest.approx(10e-3)
    assert scaling.sum_seconds(10**6, 8, PLAN._replace(servers=0), 1e8) == pytest.approx(1.75e-3)


def test_efficiency():
    assert scaling.efficiency(0.1, 0.1) == {"apart": 0.5, "overlapped": 1.0}
    assert scaling.efficiency(0.1, 0.4)["overlapped"] == pytest.approx(0.25)
    link = scaling.needed_link(10**8, 16, 0.1, 0.9)
    plan = PLAN._replace(link=link, servers=0, members=(16,))
    assert scaling.reckon(10**8, plan, 1.0)[0]["apart"] == pytest.approx(0.9)


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/net/dev"), reason="reads counters of Linux")
def test_groups_are_measured(tmp_path):
    command = "python tools/benchmark.py scaling"
    text = scaling.run(
        tmp_path / "s.json", command, 0.05, 1, 0, batch=2, size=32, backbone="resnet18_v1b"
    )
    result = json.loads((tmp_path / "s.json").read_text())
    expected = 4 * sum(p.data().size for p in trained(make_net("resnet18_v1b", 32)))
    assert [group["workers"] for group in result["groups"]] == [1, 2]
    for group in result["groups"]:
        assert group["gradient_bytes"] == expected
        # To the server and back, by every worker; and little else.
        moved = group["synchronise"]["bytes"]["median"]
        assert moved == pytest.approx(2 * expected * group["workers"], rel=0.1)
        assert group["compute"]["bytes"]["median"] < 0.1 * moved
    (row,) = scaling.summary(result)
    assert row.what == "training step of 2 workers"
    assert row.ratio == result["groups"][1]["efficiency"] and row.ratio["median"] > 0
    found = result["groups"][0]["synchronise"]["seconds"]["median"]
    assert result["server_rate"] == pytest.approx(2 * expected / found)
    assert f"{expected:,} bytes in float32" in text
    assert text.count("machines at 10 Gbit/s") == 9
    assert (tmp_path / "s.md").read_text() == text


def result_of(busy):
    seconds = {"seconds": dict.fromkeys(("median", "quartile1", "quartile3"), 0.5)}
    group = {"workers": 1, "arrays": 3, "gradient_bytes": 1000}
    group.update(compute=seconds, synchronise=seconds, step=seconds)
    machine = {"cpu": "some", "cores": 2, "busy_before": busy}
    return {
        "command": "command", "threads": 1, "batch": 4, "size": 32, "backbone": "resnet18_v1b",
        "machine": machine, "groups": [group], "server_rate": 4000.0, "plans": [],
    }  # fmt: skip


def test_page_says_when_its_times_are_worth_nothing():
    assert "busy" not in scaling.page(result_of(busy=0.02))
    assert "**The machine was busy" in scaling.page(result_of(busy=0.5))
    # Nobody counted the bytes.
    assert "| 1 | 500 (500–500) | 500 (500–500) | not counted |" in scaling.page(
        result_of(busy=0.02)
    )


def test_group_that_fails_is_one_line(monkeypatch, capfd):
    monkeypatch.setattr(scaling, "WORKER", "gluon_dkpr.no_such_module")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    with pytest.raises(BenchmarkError, match="a group of 1 workers ended with status 1"):
        scaling.measure(1, 1, (0.1, 0, 2, 32, "resnet18_v1b"))
    assert os.environ["OMP_NUM_THREADS"] == "3"
