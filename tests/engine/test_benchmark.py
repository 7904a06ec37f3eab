"""The harness of the benchmarks, the URDF that is handed to the peer, and the peer's process."""

import importlib.util
import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation as ScipyRotation

import gluon_dkpr
from gluon_dkpr.engine.benchmark import harness, kinematics, peer, urdf
from gluon_dkpr.engine.benchmark.harness import BenchmarkError, Contestant
from gluon_dkpr.geometry import forward_kinematics, kinematic_jacobian
from gluon_dkpr.skeleton import Joint, Parameter, Rotation, Skeleton, human36m, planar

ROOT = Path(gluon_dkpr.__file__).parent.parent


class Recorder:
    """Contestants that take a fixed time and remember when they were called."""

    def __init__(self, **seconds):
        self.calls = []
        self.contestants = [Contestant(name, self._timer(name, s)) for name, s in seconds.items()]

    def _timer(self, name, seconds):
        def timed(calls):
            self.calls.append((name, calls))
            return seconds

        return timed


def test_rounds_take_turns():
    recorder = Recorder(ours=0.001, theirs=0.004)
    samples = harness.interleave(recorder.contestants, seconds=0.084)
    rounds = recorder.calls[-4 * harness.ROUNDS :]
    # A short untimed round before each timed one; the same time for both, hence fewer calls.
    one = [("ours", 1), ("ours", 4), ("theirs", 1), ("theirs", 1)]
    assert rounds == one * harness.ROUNDS
    assert samples == {"ours": [0.001] * harness.ROUNDS, "theirs": [0.004] * harness.ROUNDS}


def test_number_of_rounds_can_be_chosen():
    recorder = Recorder(ours=0.5, theirs=0.001)
    samples = harness.interleave(recorder.contestants, seconds=0.09, rounds=3)
    assert samples == {"ours": [0.5] * 3, "theirs": [0.001] * 3}
    # One that takes longer than its round is asked for one call, not for more to find that out.
    assert [calls for name, calls in recorder.calls if name == "ours"] == [2, 1, *[1, 1] * 3]


def test_statistics():
    expected = {"median": 3.0, "min": 1.0, "quartile1": 2.0, "quartile3": 4.0}
    assert harness.spread([5.0, 1.0, 4.0, 2.0, 3.0]) == expected
    # Round by round: 3, 2 and 1 times, though the medians of both columns are 2 and 3.
    assert harness.ratios([1.0, 2.0, 3.0], [3.0, 4.0, 3.0])["median"] == 2.0


def test_other_work_on_the_machine_is_seen(monkeypatch, capsys):
    monkeypatch.setattr(harness, "WATCH_SECONDS", 0.5)
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as other:
        found = harness.conditions("command", 0, 1)["machine"]
        other.kill()
    assert 0.5 / found["cores"] < found["busy_before"] <= 1.0
    assert harness.is_busy(found) and "the machine is busy" in capsys.readouterr().err
    assert not harness.is_busy({**found, "busy_before": 0.05})


@pytest.mark.parametrize("seed", [-1, 1 << 31])
@pytest.mark.parametrize("benchmark", ["growth", "fit", "all"])
def test_seeds_that_are_none(benchmark, seed, tmp_path, monkeypatch):
    monkeypatch.setattr(harness, "WATCH_SECONDS", 0.01)
    flags = [benchmark, "--seed", str(seed), "--out", str(tmp_path / "b.json")]
    with pytest.raises(BenchmarkError, match=f"seed is {seed}, expected 0 to "):
        load_tool().main(flags)
    assert list(tmp_path.iterdir()) == []


def test_table_and_files(tmp_path):
    table = harness.markdown_table([["case", "ms"], ["human", "1"]])
    assert table.splitlines() == ["| case | ms |", "| --- | ---: |", "| human | 1 |"]
    paths = harness.write_result(tmp_path / "new" / "result.json", {"command": "x"}, table)
    assert [path.name for path in paths] == ["result.json", "result.md"]
    found = json.loads(paths[0].read_text())
    assert found["command"] == "x"
    assert found["versions"]["mxnet"]
    assert found["date"].endswith("+00:00")
    assert paths[1].read_text() == table


def tilted():
    """Constant rotations before, between and after turns, and at a joint that does not turn."""
    half, tilt = 1 / np.sqrt(2), Rotation("y", None, 1.0, np.pi / 2)
    joints = (
        Joint("base", None, (1, 2, 3), (tilt, Rotation((half, 0, -half), "a", -1.0, 0.3))),
        Joint("ghost", "base", (0, 1, 0), (Rotation("x", None, 1.0, 0.4),), hidden=True),
        Joint("arm", "ghost", (0, 1, 1), (Rotation("x", "b", 1.0, -0.2), tilt)),
        Joint("hand", "arm", (2, 0, 0)),
        Joint("finger", "hand", (0, 0, 1), (Rotation("z", "c"), Rotation("y", "d", -1.0))),
        Joint("nail", "finger", (0.5, 0, 0)),
    )
    return Skeleton("tilted <1>", 3, tuple(map(Parameter, "dabc")), joints)


def urdf_positions(text, links, values):
    """Read a URDF as its specification says: origin by fixed axes x, y, z, then the joint."""
    pose = {"world": np.eye(4)}
    for joint in ElementTree.fromstring(text).iter("joint"):
        origin, axis = joint.find("origin").attrib, joint.find("axis")
        numbers = {key: [float(v) for v in text.split()] for key, text in origin.items()}
        place = np.eye(4)
        place[:3, 3] = numbers["xyz"]
        turn = ScipyRotation.from_euler("xyz", numbers["rpy"])
        if joint.get("type") == "continuous":
            vector = np.array([float(v) for v in axis.get("xyz").split()])
            turn = turn * ScipyRotation.from_rotvec(values[joint.get("name")] * vector)
        place[:3, :3] = turn.as_matrix()
        pose[joint.find("child").get("link")] = pose[joint.find("parent").get("link")] @ place
    return np.array([pose[link][:3, 3] for link in links])


@pytest.mark.parametrize(
    "skeleton",
    [kinematics.human_of_24_turns(), kinematics.chain(5), tilted()],
    ids=["human", "chain", "tilted"],
)
def test_urdf_has_the_same_joints(skeleton):
    text, links = urdf.skeleton_to_urdf(skeleton)
    assert text.count('type="continuous"') == skeleton.num_parameters
    for seed in range(3):
        motion = np.random.RandomState(seed).uniform(-3, 3, skeleton.num_parameters)
        values = dict(zip(skeleton.parameter_names, motion))
        expected = forward_kinematics(skeleton, [motion])[0]
        found = urdf_positions(text, links, values)
        np.testing.assert_allclose(found, expected, atol=1e-9 * np.abs(expected).max())


def test_urdf_is_the_shortest_tree():
    """24 turns, 8 ends that do not turn, the world: nothing that would only slow the peer."""
    text, _ = urdf.skeleton_to_urdf(kinematics.human_of_24_turns())
    assert text.count("<link ") == 24 + 8 + 1


@pytest.mark.parametrize("pitch", [np.pi / 2, -np.pi / 2, 0.3])
def test_urdf_angles_of_any_rotation(pitch):
    matrix = ScipyRotation.from_euler("xyz", [0.7, pitch, -1.2]).as_matrix()
    found = ScipyRotation.from_euler("xyz", urdf._roll_pitch_yaw(matrix)).as_matrix()
    np.testing.assert_allclose(found, matrix, atol=1e-7)


def shared():
    joints = (Joint("a", None, (), (Rotation("x", "t"),)), Joint("b", "a", (0, 0, 1)))
    twice = Joint("c", "b", (0, 0, 1), (Rotation("y", "t"),))
    return Skeleton("shared", 3, (Parameter("t"),), (*joints, twice))


@pytest.mark.parametrize("skeleton", [planar(3), human36m(), shared()], ids=lambda s: s.name)
def test_what_urdf_cannot_say_is_refused(skeleton):
    with pytest.raises(urdf.UrdfError, match="URDF"):
        urdf.skeleton_to_urdf(skeleton)


class FakePeer:
    """Answers with the oracle's joints and gradient, times a factor."""

    def __init__(self, skeleton, factor):
        self.skeleton, self.factor = skeleton, factor

    def ask(self, do, case, mode, motion, weight):
        assert (do, case) == ("joints", self.skeleton.name)
        jacobian = kinematic_jacobian(self.skeleton, motion)
        gradient = np.einsum("bjdp,bjd->bp", jacobian, weight)
        joints = forward_kinematics(self.skeleton, motion) * self.factor.get("joints", 1)
        return {"joints": joints, "gradient": gradient * self.factor.get("gradient", 1)}


def test_only_equal_results_are_timed():
    skeleton = kinematics.human_of_24_turns()
    layer = kinematics.our_layer(skeleton)
    kinematics.check_agreement(layer, FakePeer(skeleton, {}), "eager", seed=0)
    for name in ("joints", "gradient"):
        for factor in (1.001, -1.0, np.nan):
            wrong = FakePeer(skeleton, {name: factor})
            with pytest.raises(BenchmarkError, match=f"human: {name} of .* differ"):
                kinematics.check_agreement(layer, wrong, "eager", seed=0)


PROGRAM = """
import json, sys
print("ready", sys.argv[1], file=sys.stderr)
for line in sys.stdin:
    request = json.loads(line)
    if request["do"] == "fail":
        raise ValueError("no such chain")
    print(json.dumps(request), flush=True)
"""


def test_peer_process(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    with peer.PeerProcess(sys.executable, program, "2") as process:
        assert process.ask("echo", value=[1.5]) == {"do": "echo", "value": [1.5]}
        for _ in range(2):  # the second time it is already gone
            with pytest.raises(BenchmarkError, match="process ended: ValueError: no such chain"):
                process.ask("fail")
    assert process._process.returncode is not None


def test_peer_without_its_packages():
    """Our own environment has no torch: what a wrong --peer-python leads to."""
    ended = pytest.raises(BenchmarkError, match="process ended: ModuleNotFoundError")
    with peer.PeerProcess(sys.executable, kinematics.PEER_PROGRAM, "1") as process, ended:
        process.ask("versions")
    with pytest.raises(BenchmarkError, match=r"the peer's Python .*none: No such file"):
        peer.PeerProcess("/none", kinematics.PEER_PROGRAM)


def test_environment_is_made_once_and_anew_for_other_requirements(tmp_path, monkeypatch):
    folder, requirements = tmp_path / "peers", tmp_path / "peers.txt"
    requirements.write_text("torch==1\n")
    commands = []

    def succeed(command, **options):
        commands.append(command)
        folder.mkdir(exist_ok=True)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", succeed)
    for _ in range(2):
        assert peer.make_environment(folder, requirements) == folder / "bin" / "python"
    assert len(commands) == 2
    assert commands[0][-3:] == ("-m", "venv", str(folder))
    assert commands[1][-2:] == ("-r", str(requirements))
    requirements.write_text("torch==2\n")
    peer.make_environment(folder, requirements)
    assert len(commands) == 4


def test_environment_that_cannot_be_made_is_one_line(tmp_path, monkeypatch):
    folder, requirements = tmp_path / "peers", tmp_path / "peers.txt"
    requirements.write_text("torch==1\n")

    def fail_in_pip(command, **options):
        folder.mkdir(exist_ok=True)
        said = "WARNING: no net\nERROR: No matching distribution\nsome hint\n"
        return subprocess.CompletedProcess(command, int("pip" in command), "", said)

    monkeypatch.setattr(subprocess, "run", fail_in_pip)
    with pytest.raises(BenchmarkError) as caught:
        peer.make_environment(folder, requirements)
    assert "(ERROR: No matching distribution)" in str(caught.value)
    assert "--peer-python" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not folder.exists()


def load_tool():
    spec = importlib.util.spec_from_file_location("tool", ROOT / "tools" / "benchmark.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nothing"],
        ["kinematics", "--seconds", "0"],
        ["kinematics", "--seconds", "nan"],
        ["kinematics", "--threads", "0"],
        ["kinematics", "--out", "."],
        ["kinematics", "--out", "page.md"],
    ],
)
def test_wrong_flags(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        load_tool().main(arguments)
    assert caught.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
