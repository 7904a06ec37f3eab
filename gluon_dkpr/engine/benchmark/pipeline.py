"""The input pipeline alone against MXNet's ImageRecordIter, on one record in one run."""

from __future__ import annotations

import contextlib
import itertools
import tempfile
from pathlib import Path
from typing import Callable, Iterator, List, Optional, Tuple

import numpy as np

from gluon_dkpr.backend import mx
from gluon_dkpr.data import BatchLoader, RecordDataset, to_network_input
from gluon_dkpr.engine.benchmark import harness
from gluon_dkpr.engine.benchmark.harness import BenchmarkError, Contestant
from gluon_dkpr.engine.benchmark.pictures import write_pictures
from gluon_dkpr.types import Tensor

SIZE_PX, PICTURES, BATCH = 224, 2000, 52
#: Batches of one timed call: many more than any contestant has read ahead while others were timed.
UNIT = 20
PEER = "ImageRecordIter"
#: What each of our two rows yields, and the name of the peer's.
BYTES, FLOATS = "BatchLoader, uint8", "BatchLoader, network input"


@contextlib.contextmanager
def opened(record: Optional[str], count: int, size: int, seed: int) -> Iterator[RecordDataset]:
    """Open the split ``train`` of a data set; without a name, of one that is made for the block."""
    with contextlib.ExitStack() as stack:
        if record is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="gluon_dkpr-"))
            record = str(Path(folder) / "pictures")
            write_pictures(Path(record), count, size, seed)
        yield stack.enter_context(RecordDataset(record, "train"))


def endless(epoch: Callable[[int], Iterator]) -> Iterator:
    """Yield the batches of one epoch after the other."""
    return itertools.chain.from_iterable(map(epoch, itertools.count()))


def network_input(batch) -> Tensor:
    """Return a batch's images as a network takes them, in MXNet's memory."""
    return mx.nd.array(to_network_input(batch.images), dtype="float32")


def peer_iterator(dataset: RecordDataset, batch: int, workers: int):
    """Return ImageRecordIter on the file of a data set, in the order of the file."""
    height, width, channels = dataset.image_shape
    return mx.io.ImageRecordIter(
        path_imgrec=str(dataset.path),
        data_shape=(channels, height, width),
        label_width=dataset.layout.length,
        batch_size=batch,
        preprocess_threads=workers,
        scale=1 / 255,
        verbose=False,
    )


def our_contestants(dataset: RecordDataset, batch: int, workers: int) -> List[Contestant]:
    """Return our loader with and without the step from its bytes to the network's floats."""
    contestants = []
    for name in (BYTES, FLOATS):
        loader = BatchLoader(dataset, batch, cache="never", workers=workers)
        batches = endless(loader.epoch)

        def call(batches=batches, convert=name == FLOATS):
            for found in itertools.islice(batches, UNIT):
                if convert:
                    network_input(found).wait_to_read()

        contestants.append(harness.repeated(row(name, workers), call))
    return contestants


def peer_contestant(dataset: RecordDataset, batch: int, workers: int) -> Contestant:
    """Return the peer; like ours it begins anew at the end of the data."""
    iterator = peer_iterator(dataset, batch, workers)

    def epoch(_):
        iterator.reset()
        return iterator

    batches = endless(epoch)

    def call():
        for found in itertools.islice(batches, UNIT):
            found.data[0].wait_to_read()

    return harness.repeated(row(PEER, workers), call)


def row(name: str, workers: int) -> str:
    """Return what the table calls a contestant."""
    return f"{name}, {workers} thread{'s' if workers > 1 else ''}"


def check_agreement(dataset: RecordDataset, batch: int) -> None:
    """Check that both read the same images and labels.

    Raises:
        BenchmarkError: when they do not: the times would compare different things.
    """
    ours = next(BatchLoader(dataset, batch, shuffle=False, cache="never").epoch(0))
    theirs = peer_iterator(dataset, batch, 1).next()
    vectors = np.array([dataset.layout.pack(label) for label in _rows(ours.labels, len(ours))])
    pairs = (
        ("images", to_network_input(ours.images), theirs.data[0].asnumpy()[: len(ours)], 1e-6),
        ("labels", vectors, theirs.label[0].asnumpy()[: len(ours)], 0.0),
    )
    for name, own, other, tolerance in pairs:
        difference = np.abs(own - other).max()
        if not difference <= tolerance:
            raise BenchmarkError(
                f"{dataset.path}: {name} of {PEER} differ from ours by {difference:.1e}, "
                f"expected at most {tolerance:.0e}"
            )


def _rows(labels, count: int) -> Iterator[dict]:
    return ({name: values[i] for name, values in labels.items()} for i in range(count))


def measure(dataset: RecordDataset, batch: int, workers: Tuple[int, ...], seconds: float) -> dict:
    """Return images/s of every contestant, and of ours each in relation to the peer's.

    Args:
        dataset: what is read.
        batch: images of a batch.
        workers: numbers of threads, each of which is tried.
        seconds: timed seconds of each contestant.

    Raises:
        BenchmarkError: for a set that is too small, or if the peer reads something else.
    """
    if len(dataset) <= batch:  # the peer refuses it
        raise BenchmarkError(f"{dataset.path}: {len(dataset)} images, expected more than {batch}")
    check_agreement(dataset, batch)
    contestants = []
    for number in workers:
        contestants += our_contestants(dataset, batch, number)
        contestants.append(peer_contestant(dataset, batch, number))
    samples = harness.interleave(contestants, seconds)
    speeds = {name: UNIT * batch / np.array(times) for name, times in samples.items()}
    return {
        "images_per_second": {name: harness.spread(values) for name, values in speeds.items()},
        "ratio": {
            row(name, number): harness.ratios(
                samples[row(name, number)], samples[row(PEER, number)]
            )
            for number in workers
            for name in (BYTES, FLOATS)
        },
    }


def summary(result: dict) -> List[harness.Row]:
    """Return the ratios for the table of all benchmarks."""
    return [harness.Row(what, PEER, found) for what, found in result["pipeline"]["ratio"].items()]


def page(result: dict) -> str:
    """Return the result as a page in Markdown."""
    found, data = result["pipeline"], result["data"]
    rows = [["", "images/s (quartiles)", f"times {PEER} (quartiles)"]]
    for name, speed in found["images_per_second"].items():
        ratio = found["ratio"].get(name)
        rows.append(
            [name, harness.cell(speed, ",.0f"), harness.cell(ratio, ".2f") if ratio else ""]
        )
    return f"""# Input pipeline

Reading and decoding {data["pictures"]} JPEG images of {data["size"]} x {data["size"]} px and
{data["kilobytes"]:.1f} kB ({data["origin"]}) with labels of {data["label"]} numbers, in batches of
{result["batch"]}. *uint8* are the batches that our loader yields, checked by their checksums, in
random order; *network input* are the same as float32, channels first, in MXNet's memory.
{PEER} yields the latter, in the order of the file. Images and labels were found equal
before. Median (quartiles) of {harness.ROUNDS} rounds that take turns in one run; a ratio is that of
two neighbours.

{harness.markdown_table(rows)}

{harness.footer(result)}"""


def describe(dataset: RecordDataset, record: Optional[str]) -> dict:
    """Return what is read, for the result."""
    return {
        "pictures": len(dataset),
        "size": dataset.image_shape[0],
        "kilobytes": dataset.info.rec_bytes / dataset.info.count / 1000,
        "label": dataset.layout.length,
        "origin": "random textures" if record is None else Path(record).name,
    }


def run(
    out: Path, command: str, seconds: float, threads: int, seed: int, record: Optional[str] = None
) -> str:
    """Measure, write ``out`` and the page beside it; return the page.

    Args:
        out: the JSON file.
        command: what made it, for whoever wants to make it again.
        seconds: timed seconds of each contestant.
        threads: 1 and its doubles up to this number are tried.
        seed: of the pictures.
        record: NAME of a data set to read instead of textures.
    """
    conditions = harness.conditions(command, seed, threads)
    workers = tuple(2**i for i in range(threads.bit_length()))
    with opened(record, PICTURES, SIZE_PX, seed) as dataset:
        result = {
            **conditions,
            "batch": BATCH,
            "data": describe(dataset, record),
            "pipeline": measure(dataset, BATCH, workers, seconds),
        }
    text = page(result)
    harness.write_result(out, result, text)
    return text
