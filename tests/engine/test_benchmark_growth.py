"""How time and graphs grow: the fits, the count of operators, and a whole run on small sizes."""

import json
from pathlib import Path
from unittest import mock

import cv2
import numpy as np
import pytest

from gluon_dkpr.backend import mx
from gluon_dkpr.engine.benchmark import growth, harness, kinematics, traffic
from gluon_dkpr.skeleton import human36m, planar


def test_a_power_is_found_in_the_upper_half():
    sizes = [2.0**i for i in range(8)]
    values = {size: 0.25 * size**1.5 + (100 if size < 16 else 0) for size in sizes}
    found = growth.fit_power(values)
    assert found["sizes"] == (16, 32, 64, 128)
    assert (found["exponent"], found["factor"]) == (pytest.approx(1.5), pytest.approx(0.25))
    assert found["error"] == pytest.approx(0, abs=1e-7)


def test_standard_error_is_that_of_least_squares():
    sizes, noise = [8, 16, 32, 64, 128, 256, 512], [0, 0, 0, 0.1, -0.2, 0.15, -0.05]
    values = {size: size * np.exp(e) for size, e in zip(sizes, noise)}
    found = growth.fit_power(values)
    # NumPy's way over the covariance of the coefficients.
    x, y = np.log(sizes[3:]), np.log([values[size] for size in sizes[3:]])
    (slope, _), covariance = np.polyfit(x, y, 1, cov=True)
    assert found["exponent"] == pytest.approx(slope)
    assert found["error"] == pytest.approx(np.sqrt(covariance[0, 0]))


def test_depth_by_doublings():
    found = growth.fit_doubling({4: 99, 8: 14, 16: 19, 32: 24, 64: 29})
    assert found["sizes"] == (16, 32, 64)
    assert found["per_doubling"] == pytest.approx(5)
    assert found["error"] == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize(
    "layer, operators, depth",
    [
        (lambda x: mx.sym.exp(mx.sym.sin(x) + mx.sym.cos(x)), 4, 3),
        (lambda x: mx.sym.exp(mx.sym.sin(mx.sym.cos(x))) * x, 4, 4),
    ],
)
def test_operators_and_the_longest_path(layer, operators, depth):
    assert growth.graph_size(layer) == (operators, depth)


def test_everything_is_written(monkeypatch, tmp_path):
    monkeypatch.setattr(harness, "ROUNDS", 2)
    monkeypatch.setattr(harness, "WATCH_SECONDS", 0.01)
    monkeypatch.setattr(growth, "CHAINS", (2, 4, 8))
    monkeypatch.setattr(growth, "BATCHES", (1, 2, 4))
    monkeypatch.setattr(growth, "IMAGES", (8, 16, 32))
    monkeypatch.setattr(growth, "EPOCH_ROUNDS", 1)
    text = growth.run(tmp_path / "new" / "g.json", "the command", 0.001, 1, seed=0)
    result = json.loads((tmp_path / "new" / "g.json").read_text())
    assert text == (tmp_path / "new" / "g.md").read_text()
    for name, sizes in (("chain", [2, 4, 8]), ("batch", [1, 2, 4]), ("data", [8, 16, 32])):
        found = result[name]
        assert found["sizes"] == found["fit"]["sizes"] == sizes
        assert all(seconds["median"] > 0 for seconds in found["seconds"])
        picture = cv2.imread(str(tmp_path / "new" / f"growth-{name}.png"))
        assert picture.std() > 10
        assert f"](growth-{name}.png)" in text
        assert f"Exponent of the time: {found['fit']['exponent']:.2f} ± " in text
    chains = result["chain"]
    assert chains["depth"] == sorted(chains["depth"])
    assert all(0 < deep <= count for deep, count in zip(chains["depth"], chains["operators"]))
    assert [row.ratio for row in growth.summary(result)] == [
        result[name]["fit"] for name in ("chain", "batch", "data")
    ]


def test_least_traffic():
    assert traffic.least_bytes(human36m(), 10) == 2 * 10 * (27 + 17 * 3) * 4
    assert traffic.least_bytes(planar(3), 1) == 2 * (3 + 3 * 2) * 4


def test_share_of_the_limit(monkeypatch):
    monkeypatch.setattr(traffic, "COPY_BYTES", 500)
    # 1000 bytes, read and written, in 1 s; then in 2 s. Ours moves 100 bytes in 1 s.
    found = traffic.share_of_limit(100, [1.0, 1.0], [1.0, 2.0])
    assert found["bytes"] == 100
    assert found["copy_bytes_per_second"]["median"] == 750
    assert (found["share"]["min"], found["share"]["median"]) == pytest.approx((0.1, 0.15))


def test_copying_copies_every_part(monkeypatch):
    copied = []
    monkeypatch.setattr(traffic, "COPY_BYTES", 4 * 103)
    monkeypatch.setattr(np, "copyto", lambda target, source: copied.append(len(source)))
    traffic.copy_contestant(2).time(1)
    assert sorted(copied) == [51, 52]


def test_operators_of_a_step(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    large, small = mx.nd.ones((300, 300)), mx.nd.ones((2,))

    def step():
        mx.nd.dot(large, large).wait_to_read()
        mx.nd.sin(mx.nd.sin(small)).wait_to_read()

    with mock.patch.object(mx.profiler, "set_config", wraps=mx.profiler.set_config) as configure:
        found = traffic.operators(step, 3)
    assert [(row["name"], row["count"]) for row in found] == [("dot", 1), ("sin", 2)]
    assert sum(row["share"] for row in found) == pytest.approx(1)
    assert found[0]["milliseconds"] > found[1]["milliseconds"]
    assert list(tmp_path.iterdir()) == []
    # The profiler removes what has the name of its trace when the process ends.
    trace = Path(configure.call_args.kwargs["filename"])
    assert trace.name == "trace.json" and not trace.parent.exists()


class Peer:
    """Agrees, and takes a second for everything."""

    def __init__(self, *command):
        self.asked = []

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass

    def ask(self, do, **arguments):
        self.asked.append(do)
        return {"time": 1.0, "versions": {"pytorch_kinematics": "1", "torch": "2"}}.get(do)


def test_layer_is_looked_into_at_the_largest_batch(monkeypatch, tmp_path):
    monkeypatch.setattr(harness, "ROUNDS", 2)
    monkeypatch.setattr(harness, "WATCH_SECONDS", 0.01)
    monkeypatch.setattr(kinematics, "BATCHES", (1, 6))
    monkeypatch.setattr(kinematics, "PROFILED", 1)
    monkeypatch.setattr(kinematics, "PeerProcess", Peer)
    monkeypatch.setattr(kinematics, "check_agreement", lambda *a: None)
    out = tmp_path / "k.json"
    text = kinematics.run(out, "command", 0.001, 2, 0, compiled=False, peer_python="none")
    races = json.loads(out.read_text())["races"]
    assert [("limit" in race, race["batch"]) for race in races] == [(False, 1), (True, 6)] * 2
    for race in races:
        assert len(race["seconds"]) == 3 and len(race["ratio"]) == 2  # the copy is no contestant
    for race in (races[1], races[3]):
        assert 0 < race["limit"]["share"]["median"] < 1
        names = {row["name"] for row in race["operators"]}
        assert {"sin", "_backward_sin"} < names
        assert text.count(f"The longest of {len(names)} kinds of operators") >= 1
    assert races[1]["limit"]["bytes"] == 2 * 6 * (24 + 51) * 4
    limits = [row for row in kinematics.summary(json.loads(out.read_text())) if "limit" in row[1]]
    assert [row.what for row in limits] == [
        "KinematicLayer, human, batch 6",
        "KinematicLayer, chain of 64, batch 6",
    ]
