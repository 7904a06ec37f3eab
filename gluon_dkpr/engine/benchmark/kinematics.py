"""The kinematic layer against pytorch_kinematics: forward and backward, in one run."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Callable, List, Optional, Sequence

import numpy as np

from gluon_dkpr.backend import mx
from gluon_dkpr.engine.benchmark import harness, traffic
from gluon_dkpr.engine.benchmark.harness import BenchmarkError, Contestant, Row
from gluon_dkpr.engine.benchmark.peer import PEERS, REQUIREMENTS, PeerProcess, make_environment
from gluon_dkpr.engine.benchmark.urdf import skeleton_to_urdf
from gluon_dkpr.nn import KinematicLayer
from gluon_dkpr.skeleton import Joint, Parameter, Rotation, Skeleton, human36m
from gluon_dkpr.types import Array

BATCHES = (1, 52, 4096)  # one picture, the paper's batch, a fit to many frames
OURS = "KinematicLayer"
#: Mode of the peer's program -> name in the table.
PEER_MODES = {
    "eager": "pytorch_kinematics, eager",
    "tensor": "pytorch_kinematics, tensor",
    "compiled": "pytorch_kinematics, compiled",
}
#: Both work in float32; relative to the largest number of either.
AGREEMENT = 1e-4
#: Calls that are profiled, and operators that the page names.
PROFILED, NAMED = 10, 5
PEER_PROGRAM = Path(__file__).with_name("peer_kinematics.py")


def human_of_24_turns() -> Skeleton:
    """Return the human body with its pelvis at the origin, which is what URDF can say."""
    human = human36m()
    angles = tuple(p for p in human.parameters if p.unit == "radian")
    return dataclasses.replace(human, name="human", position=(), parameters=angles)


def chain(count: int) -> Skeleton:
    """Return ``count`` bones in a row, a rotation at the start of each, axes in turn."""
    names = [f"turn{i}" for i in range(count)]
    joints = [Joint("joint0", None, (), (Rotation("z", names[0]),))]
    for i in range(1, count + 1):
        turns = (Rotation("zxy"[i % 3], names[i]),) if i < count else ()
        joints.append(Joint(f"joint{i}", f"joint{i - 1}", (0.0, 10.0, 5.0), turns))
    return Skeleton(f"chain of {count}", 3, tuple(map(Parameter, names)), tuple(joints))


def our_layer(skeleton: Skeleton, one_size: bool = True) -> KinematicLayer:
    """Return the layer as a loop would use it, over batches of one size or of any."""
    layer = KinematicLayer(skeleton)
    # With a known shape MXNet runs operators in groups, which a profile shows as one.
    layer.hybridize(static_alloc=True, static_shape=one_size)
    return layer


def our_step(layer: KinematicLayer, motion: Array, weight: Array) -> Callable:
    """Return a function of no arguments: joints, and the gradient of sum(weight * joints)."""
    data, head = mx.nd.array(motion), mx.nd.array(weight)
    data.attach_grad()

    def step():
        with mx.autograd.record():
            joints = layer(data)
        joints.backward(head)
        data.grad.wait_to_read()
        return joints, data.grad

    return step


def random_step(layer: KinematicLayer, batch: int, seed: int) -> Callable:
    """Return ``our_step`` on random poses."""
    skeleton = layer.skeleton
    random = np.random.RandomState(seed)
    motion = random.normal(size=(batch, skeleton.num_parameters))
    return our_step(layer, motion, random.normal(size=(batch, skeleton.num_joints, 3)))


def peer_contestant(peer: PeerProcess, case: str, mode: str, batch: int, seed: int) -> Contestant:
    """Return the peer's side of it."""

    def timed(calls: int) -> float:
        return peer.ask("time", case=case, mode=mode, batch=batch, calls=calls, seed=seed)

    return Contestant(PEER_MODES[mode], timed)


def check_agreement(layer: KinematicLayer, peer: PeerProcess, mode: str, seed: int) -> None:
    """Check that joints and gradients are the same.

    Raises:
        BenchmarkError: when they are not: the times would compare different things.
    """
    skeleton = layer.skeleton
    random = np.random.RandomState(seed)
    motion = random.uniform(-np.pi, np.pi, (8, skeleton.num_parameters))
    weight = random.normal(size=(8, skeleton.num_joints, 3))
    joints, gradient = our_step(layer, motion, weight)()
    theirs = peer.ask(
        "joints", case=skeleton.name, mode=mode, motion=motion.tolist(), weight=weight.tolist()
    )
    for name, ours in (("joints", joints.asnumpy()), ("gradient", gradient.asnumpy())):
        found = np.array(theirs[name])
        difference = np.abs(found - ours).max() / np.abs(ours).max()
        if not difference <= AGREEMENT:
            raise BenchmarkError(
                f"{skeleton.name}: {name} of {PEER_MODES[mode]} differ from ours by "
                f"{difference:.1e}, expected at most {AGREEMENT:.0e}"
            )


def race(
    skeleton: Skeleton,
    peer: PeerProcess,
    modes: Sequence[str],
    seconds: float,
    threads: int,
    seed: int,
) -> List[dict]:
    """Time one skeleton at every batch size; look into the layer at the largest."""
    layer = our_layer(skeleton)
    urdf, links = skeleton_to_urdf(skeleton)
    parameters = list(skeleton.parameter_names)
    peer.ask("build", case=skeleton.name, urdf=urdf, links=links, parameters=parameters)
    for mode in modes:
        check_agreement(layer, peer, mode, seed)
    results = []
    for batch in BATCHES:
        step = random_step(layer, batch, seed)
        contestants = [harness.repeated(OURS, step)]
        contestants += [peer_contestant(peer, skeleton.name, mode, batch, seed) for mode in modes]
        if batch == max(BATCHES):
            contestants.append(traffic.copy_contestant(threads))
        samples = harness.interleave(contestants, seconds)
        copies = samples.pop(traffic.COPY, None)
        ours = samples[OURS]
        found = {
            "skeleton": skeleton.name,
            "batch": batch,
            "seconds": {name: harness.spread(times) for name, times in samples.items()},
            "ratio": {
                name: harness.ratios(ours, times) for name, times in samples.items() if name != OURS
            },
        }
        if copies:
            least = traffic.least_bytes(skeleton, batch)
            found["limit"] = traffic.share_of_limit(least, ours, copies)
            alone = random_step(our_layer(skeleton, one_size=False), batch, seed)
            found["operators"] = traffic.operators(alone, PROFILED)
        results.append(found)
    return results


def summary(result: dict) -> List[Row]:
    """Return the ratios for the table of all benchmarks."""
    rows = []
    alone = ", 1 thread" if result["threads"] == 1 else ""
    for found in result["races"]:
        what = f"{OURS}, {found['skeleton']}, batch {found['batch']}{alone}"
        rows += [Row(what, name, ratio) for name, ratio in found["ratio"].items()]
        if "limit" in found:
            rows.append(Row(what, "limit: its inputs and outputs copied", found["limit"]["share"]))
    return rows


def _made_of(result: dict) -> str:
    """Return the paragraphs about the limit and the operators."""
    parts = []
    for found in result["races"]:
        if "limit" not in found:
            continue
        limit = found["limit"]
        gigabytes = harness.cell(limit["copy_bytes_per_second"], ".1f", 1e-9)
        rows = [["operator", "calls", "ms", "share"]]
        for row in found["operators"][:NAMED]:
            cells = f"{row['count']:g}", f"{row['milliseconds']:.3g}", f"{row['share']:.0%}"
            rows.append([f"`{row['name']}`", *cells])
        parts.append(f"""{found["skeleton"].capitalize()}, batch {found["batch"]}: motion, joints
and the gradients of both are {limit["bytes"] / 1e6:.2f} MB. NumPy's copy of a large array, with as
many threads in the same rounds, moved {gigabytes} GB/s, read and written. To move each of them once
at that rate takes {harness.cell(limit["share"], ".2%")} of the layer's time; the rest is computing,
and moving what lies between. The longest of {len(found["operators"])} kinds of operators:

{harness.markdown_table(rows)}
""")
    return "\n".join(parts)


def page(result: dict) -> str:
    """Return the result as a page in Markdown."""
    names = list(result["races"][0]["seconds"])
    head = ["skeleton, batch", *[f"{name}, ms" for name in names]]
    rows = [[*head, *[f"ratio to {name.split(', ')[1]}" for name in names[1:]]]]
    for found in result["races"]:
        times = [harness.cell(found["seconds"][name], ".3g", 1e3) for name in names]
        faster = [harness.cell(found["ratio"][name], ".3g") for name in names[1:]]
        rows.append([f"{found['skeleton']}, {found['batch']}", *times, *faster])
    found = result["peer_versions"]
    peers = f"pytorch_kinematics {found['pytorch_kinematics']}, torch {found['torch']}. "
    count = result["threads"]
    return f"""# Kinematic layer against pytorch_kinematics, {count} thread{"s" * (count > 1)} each

Forward and backward of all joints, float32. Median (quartiles) of {harness.ROUNDS} rounds; the
rounds of all columns take turns in one run, and a ratio is that of two neighbours. *Eager* is the
peer's documented `forward_kinematics` with the positions of all links stacked; *tensor* is its
`forward_kinematics_tensor`, without one object per link. Joints and gradients were found equal to
{AGREEMENT:.0e} before.

{harness.markdown_table(rows)}

## What the layer's time is made of

{_made_of(result)}
{harness.footer(result, peers)}"""


def run(
    out: Path,
    command: str,
    seconds: float,
    threads: int,
    seed: int,
    compiled: bool,
    peer_python: Optional[str],
) -> str:
    """Measure, write ``out`` and the page beside it; return the page.

    Args:
        out: the JSON file.
        command: what made it, for whoever wants to make it again.
        seconds: timed seconds of each column at each row.
        threads: of the peer; ours are set by OMP_NUM_THREADS before MXNet is imported.
        seed: of the poses.
        compiled: whether to time the peer through torch.compile, too.
        peer_python: a Python that has the peer's packages; ``None``: one is made in the
            repository's folder.
    """
    conditions = harness.conditions(command, seed, threads)
    python = peer_python or make_environment(PEERS, REQUIREMENTS)
    modes = list(PEER_MODES) if compiled else ["eager", "tensor"]
    with PeerProcess(python, PEER_PROGRAM, str(threads)) as peer:
        peer_versions = peer.ask("versions")
        races = []
        for skeleton in (human_of_24_turns(), chain(64)):
            races += race(skeleton, peer, modes, seconds, threads, seed)
    result = {
        **conditions,
        "peer_versions": peer_versions,
        "races": races,
    }
    text = page(result)
    harness.write_result(out, result, text)
    return text
