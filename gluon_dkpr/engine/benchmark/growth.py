"""How time and graph of the kinematic layer, and the time of an epoch, grow with their sizes."""

from __future__ import annotations

import contextlib
import json
import tempfile
from pathlib import Path
from typing import Callable, Dict, List, Sequence, Tuple

import numpy as np
from scipy.stats import linregress

from gluon_dkpr.backend import mx
from gluon_dkpr.data import RecordDataset, make_toy_record
from gluon_dkpr.engine.benchmark import growth_figures, harness
from gluon_dkpr.engine.benchmark.harness import Contestant, Row
from gluon_dkpr.engine.benchmark.kinematics import (
    chain,
    human_of_24_turns,
    our_layer,
    random_step,
)
from gluon_dkpr.engine.benchmark.train import make_loop
from gluon_dkpr.engine.loop import Loop
from gluon_dkpr.engine.stop import StopRequest
from gluon_dkpr.nn import KinematicLayer
from gluon_dkpr.presets import get_preset

CHAINS, CHAIN_BATCH = (8, 16, 32, 64, 128, 256, 512), 52
BATCHES = (1, 4, 16, 64, 256, 1024, 4096, 16384)
#: Training images, all of which a loader keeps decoded in memory, and rounds of whole epochs.
IMAGES, EPOCH_ROUNDS = (256, 512, 1024, 2048, 4096), 3
LEVEL = 3
#: Points of a fit at least: with two there is no error.
FITTED = 3


def upper_half(sizes: Sequence[int]) -> Tuple[int, ...]:
    """Return the larger half of ascending sizes: small ones tell of fixed costs."""
    return tuple(sizes[-max(FITTED, (len(sizes) + 1) // 2) :])


def fit_power(medians: Dict[int, float]) -> dict:
    """Fit ``value = factor * size ** exponent`` by least squares of the logarithms.

    Args:
        medians: value by size, ascending; the upper half is fitted.

    Returns:
        ``exponent``, its standard ``error``, ``factor`` and the ``sizes`` that were fitted.
    """
    sizes = upper_half(list(medians))
    line = linregress(np.log(sizes), np.log([medians[size] for size in sizes]))
    return {
        "exponent": line.slope,
        "error": line.stderr,
        "factor": float(np.exp(line.intercept)),
        "sizes": sizes,
    }


def fit_doubling(values: Dict[int, int]) -> dict:
    """Fit ``value = a + b * log2(size)`` to the upper half; return ``b`` and its ``error``."""
    sizes = upper_half(list(values))
    line = linregress(np.log2(sizes), [values[size] for size in sizes])
    return {"per_doubling": line.slope, "error": line.stderr, "sizes": sizes}


def graph_size(layer: KinematicLayer) -> Tuple[int, int]:
    """Return the operators of the layer's forward graph, and how many follow each other."""
    nodes = json.loads(layer(mx.sym.var("motion")).tojson())["nodes"]
    depth: List[int] = []
    for node in nodes:  # inputs come first
        above = max((depth[source[0]] for source in node["inputs"]), default=0)
        depth.append(above + (node["op"] != "null"))
    return sum(node["op"] != "null" for node in nodes), max(depth)


def _grown(contestants: Dict[int, Contestant], seconds: float, rounds=None) -> dict:
    """Time contestants by size in one run; return spreads and the fit."""
    samples = harness.interleave(list(contestants.values()), seconds, rounds)
    spreads = {size: harness.spread(samples[one.name]) for size, one in contestants.items()}
    fit = fit_power({size: found["median"] for size, found in spreads.items()})
    return {"sizes": list(spreads), "seconds": list(spreads.values()), "fit": fit}


def measure_chains(seconds: float, seed: int) -> dict:
    """Return time and graph of chains of bones, each with one turn."""
    layers = {count: our_layer(chain(count)) for count in CHAINS}
    found = _grown(
        {
            count: harness.repeated(str(count), random_step(layer, CHAIN_BATCH, seed))
            for count, layer in layers.items()
        },
        seconds,
    )
    graphs = {count: graph_size(KinematicLayer(chain(count))) for count in CHAINS}
    found["operators"], found["depth"] = map(list, zip(*graphs.values()))
    found["depth_fit"] = fit_doubling({count: depth for count, (_, depth) in graphs.items()})
    return found


def measure_batches(seconds: float, seed: int) -> dict:
    """Return the time of the human body by poses of a batch."""
    layer = our_layer(human_of_24_turns())
    return _grown(
        {n: harness.repeated(str(n), random_step(layer, n, seed)) for n in BATCHES}, seconds
    )


def epochs_timer(loop: Loop) -> Callable[[int], float]:
    """Return a timer of whole epochs of a loop."""
    stop = StopRequest()

    def epoch():
        for _ in loop.run_epoch(stop):
            pass
        mx.nd.waitall()
        loop.progress = loop.progress.next_epoch()

    return harness.repeated("", epoch).time


def measure_data(seconds: float, seed: int) -> dict:
    """Return the time of an epoch of the toy problem by the number of its images."""
    config = get_preset(f"toy{LEVEL}").replace(train={"seed": seed})
    mx.random.seed(seed)
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="gluon_dkpr-"))
        contestants = {}
        for count in IMAGES:
            path = Path(folder) / str(count)
            make_toy_record(path, LEVEL, count, 0, seed)
            dataset = stack.enter_context(RecordDataset(path, "train"))
            loop = make_loop(Loop, config, dataset, [mx.cpu()])
            contestants[count] = Contestant(str(count), epochs_timer(loop))
        found = _grown(contestants, seconds, EPOCH_ROUNDS)
    return {**found, "batch": config.train.batch_size}


def summary(result: dict) -> List[Row]:
    """Return the exponents for the table of all benchmarks."""
    linear = "proportional: exponent 1"
    what = {
        "chain": "the kinematic layer over the length of a chain",
        "batch": "the kinematic layer over poses of a batch",
        "data": "an epoch of training over images",
    }
    return [Row(f"time of {text}", linear, result[k]["fit"]) for k, text in what.items()]


def _exponent(found: dict) -> str:
    fit = found["fit"]
    return f"{fit['exponent']:.2f} ± {fit['error']:.2f} ({fit['sizes'][0]} to {fit['sizes'][-1]})"


def _table(found: dict, head: str, unit: str, each: int = 1) -> str:
    """Return sizes with times and time per item; with the graph where it was looked at."""
    graph = "operators" in found
    rows = [[head, "ms", f"µs per {unit}", *(("operators", "depth") if graph else ())]]
    for i, (size, seconds) in enumerate(zip(found["sizes"], found["seconds"])):
        cells = [harness.cell(seconds, ".3g", 1e3), f"{1e6 * seconds['median'] / size / each:.3g}"]
        graphs = [str(found[key][i]) for key in ("operators", "depth")] if graph else []
        rows.append([f"{size:,}", *cells, *graphs])
    return harness.markdown_table(rows)


def page(result: dict) -> str:
    """Return the result as a page in Markdown."""
    chains, batches, data = (result[name] for name in ("chain", "batch", "data"))
    depth = chains["depth_fit"]
    return f"""# Growth

How time grows with the size of a problem: sizes take turns in one run, median (quartiles) of
{harness.ROUNDS} rounds. An exponent is the slope of a line through the logarithms, fitted by least
squares to the upper half of the sizes, ± its standard error; 1 is proportional.

## Length of a chain

The kinematic layer, forward and backward, on chains of bones with one turn each, batch
{CHAIN_BATCH}. *Operators* are those of the forward graph, *depth* is how many of them follow each
other on the longest path.

{_table(chains, "bones", "pose and bone", CHAIN_BATCH)}

Exponent of the time: {_exponent(chains)}. Each doubling of the length adds
{depth["per_doubling"]:.2f} ± {depth["error"]:.2f} operators to the depth (fitted as the exponents
are): it grows as the logarithm of the length.

![Time and graph by length of a chain](growth-chain.png)

## Batch

The same on the human body of 24 turns.

{_table(batches, "poses", "pose")}

Exponent of the time: {_exponent(batches)}.

![Time by size of the batch](growth-batch.png)

## Data

An epoch of training, `tools/train.py --preset toy{LEVEL}`: batches of {data["batch"]}, images
decoded once and kept in memory; {EPOCH_ROUNDS} rounds.

{_table(data, "images", "image")}

Exponent of the time: {_exponent(data)}.

![Time of an epoch by number of images](growth-data.png)

{harness.footer(result)}"""


def run(out: Path, command: str, seconds: float, threads: int, seed: int) -> str:
    """Measure, write ``out``, the page and the pictures beside it; return the page.

    Args:
        out: the JSON file; the pictures are ``growth-chain.png`` and so on beside it.
        command: what made it, for whoever wants to make it again.
        seconds: timed seconds of each size.
        threads: of MXNet, set by OMP_NUM_THREADS before it is imported.
        seed: of poses, images and weights.
    """
    conditions = harness.conditions(command, seed, threads)
    result = {
        **conditions,
        "chain": measure_chains(seconds, seed),
        "batch": measure_batches(seconds, seed),
        "data": measure_data(seconds, seed),
    }
    text = page(result)
    out.parent.mkdir(parents=True, exist_ok=True)
    growth_figures.write(result, out.parent)
    harness.write_result(out, result, text)
    return text
