"""The memory of the input pipeline: flat over epochs, and independent of the size of the file."""

import json
import subprocess
import sys

import numpy as np
import pytest

from gluon_dkpr.data import ImageFormat, pose_layout, write_record
from gluon_dkpr.data.human import human_layout
from gluon_dkpr.data.record import RecordInfo
from gluon_dkpr.data.recordio import frame, pack
from gluon_dkpr.skeleton import human36m, planar

# Bytes that are resident after some warm-up epochs and after 20 more, in a process of its own.
EPOCHS = """
import gc, json, os, sys
from gluon_dkpr.data import BatchLoader, RecordDataset, to_network_input

def resident():
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")

dataset = RecordDataset(sys.argv[1], "train", on_damage="skip")
loader = BatchLoader(dataset, 16, cache=sys.argv[3], workers=int(sys.argv[2]), on_damage="skip")
sizes = []
for epoch in range(int(sys.argv[4]) + 20):
    images = sum(to_network_input(batch.images).shape[0] for batch in loader.epoch(epoch))
    assert images == len(dataset)
    sizes.append(resident())
print(json.dumps(sizes))
"""
WARM_UP = 5
GROWTH = 0.02


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """256 noisy pictures of 96 px; large enough for malloc to take them as it takes real ones."""
    path = tmp_path_factory.mktemp("photos") / "set"
    skeleton, image = planar(3), ImageFormat(96, 96, 3, "jpeg")
    layout, rng = pose_layout(skeleton), np.random.default_rng(0)
    label = np.zeros(layout.length, np.float32)
    samples = [
        (image.encode(rng.integers(0, 256, image.shape, dtype=np.uint8)), label) for _ in range(256)
    ]
    write_record(path, skeleton, layout, image, {"train": samples}, {})
    return path


@pytest.mark.parametrize(("workers", "cache"), [(1, "never"), (16, "never"), (2, "always")])
def test_memory_stays_flat_over_20_epochs(photos, workers, cache):
    run = subprocess.run(
        [sys.executable, "-c", EPOCHS, str(photos), str(workers), cache, str(WARM_UP)],
        check=True,
        capture_output=True,
        text=True,
    )
    sizes = json.loads(run.stdout)
    assert len(sizes) == WARM_UP + 20
    before = max(sizes[:WARM_UP])
    assert sizes[-1] < before * (1 + GROWTH), [size >> 20 for size in sizes]


# Opens a set, reads one sample and prints seconds to open and the growth of the resident memory.
OPEN = """
import json, os, sys, time
from gluon_dkpr.data import BatchLoader, RecordDataset

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")

before, begin = resident(), time.perf_counter()
dataset = RecordDataset(sys.argv[1], "train", on_damage="skip")
seconds = time.perf_counter() - begin
labels = [dataset.read([key])[1]["frame"][0] for key in json.loads(sys.argv[2])]
loader = BatchLoader(dataset, 52, on_damage="skip")
assert not loader.cached
assert sorted(loader.order(0)[:3].tolist()) != [0, 1, 2]
print(json.dumps([seconds, resident() - before, [float(label) for label in labels]]))
"""
FRAMES, RECORD_BYTES = 800_000, 20_000


def write_sparse_set(path, keys):
    """Write a set of the size of the paper's; only the records of ``keys`` are really there."""
    skeleton, image = human36m(), ImageFormat(224, 224, 3, "jpeg")
    layout = human_layout(skeleton)
    picture = image.encode(np.zeros(image.shape, np.uint8))
    with open(path.with_suffix(".rec"), "wb") as file:
        for key in keys:
            label = np.full(layout.length, key, np.float32)
            spare = RECORD_BYTES - len(frame(pack(key, label, picture)))
            file.seek(key * RECORD_BYTES)
            file.write(frame(pack(key, label, picture + bytes(spare))))
        file.truncate(FRAMES * RECORD_BYTES)
    lines = (f"{key}\t{key * RECORD_BYTES}\n" for key in range(FRAMES))
    path.with_suffix(".idx").write_text("".join(lines))
    splits = {"train": (0, FRAMES)}
    info = RecordInfo(skeleton, layout, image, splits, FRAMES * RECORD_BYTES, "0" * 64, {})
    path.with_suffix(".json").write_text(json.dumps(info.to_dict()))


def test_800000_frames_open_at_once_and_are_not_read(tmp_path):
    keys = [0, 400_001, FRAMES - 1]
    write_sparse_set(tmp_path / "set", keys)
    run = subprocess.run(
        [sys.executable, "-c", OPEN, str(tmp_path / "set"), json.dumps(keys)],
        check=True,
        capture_output=True,
        text=True,
    )
    seconds, growth, labels = json.loads(run.stdout)
    assert labels == keys
    assert seconds < 2
    # Index, keys and order, 6 MB each, and the text of the index while it is read; not 16 GB.
    assert growth < 100 << 20
