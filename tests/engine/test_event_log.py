"""What TensorBoard is given: numbers and pictures of every epoch, once each."""

import errno
import io
import os
import struct
import threading

import pytest
from PIL import Image
from steps import interrupt
from tensorboardX.proto.event_pb2 import Event

from gluon_dkpr.backend import mx
from gluon_dkpr.data import make_toy_record
from gluon_dkpr.engine.event_log import EventLog
from gluon_dkpr.engine.train import train
from gluon_dkpr.presets import get_preset

EPOCHS, STEPS = 3, 2


def read_events(folder):
    """Return the events of all files of a folder in the order in which they were written."""
    events = []
    for path in sorted(folder.iterdir()):
        data = path.read_bytes()
        begin = 0
        while begin < len(data):  # length, its checksum, event, its checksum
            (length,) = struct.unpack_from("<Q", data, begin)
            events.append(Event.FromString(data[begin + 12 : begin + 12 + length]))
            begin += 16 + length
    return events


def series(events, kind):
    """Return {tag: [(step, value), ...]} of values of a kind, as TensorBoard shows them."""
    found = {}
    for event in events:
        if event.HasField("session_log"):  # takes back what a lost run has written
            found = {
                tag: [(step, value) for step, value in points if step < event.step]
                for tag, points in found.items()
            }
        for value in event.summary.value:
            if value.WhichOneof("value") == kind:
                found.setdefault(value.tag, []).append((event.step, getattr(value, kind)))
    return found


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "toy3"
    make_toy_record(path, train=32 * STEPS, test=16)
    return get_preset("toy3").replace(
        data={"record": str(path)}, train={"epochs": EPOCHS, "batch_size": 32}
    )


def test_every_epoch_has_its_numbers_and_its_picture(config, tmp_path):
    train(config, tmp_path / "run", [mx.cpu()])
    events = read_events(tmp_path / "run" / "events")
    steps = [STEPS * epoch for epoch in range(1, EPOCHS + 1)]
    numbers = series(events, "simple_value")
    for tag in ("train/loss", "train/joint_error", "test/joint_error", "test/angle_error_deg"):
        assert [step for step, _ in numbers[tag]] == steps, tag
    rates = [value for _, value in numbers["run/learning_rate"]]
    assert rates == sorted(rates, reverse=True)
    assert 0 < rates[-1] < rates[0] < config.train.learning_rate
    assert all(norm > 0 for _, norm in numbers["run/gradient_norm"])
    pictures = series(events, "image")
    assert [step for step, _ in pictures["samples/last"]] == steps
    assert [step for step, _ in pictures["samples/best"]] == steps[-1:]
    sheets = [image.encoded_image_string for _, image in pictures["samples/last"]]
    assert len(set(sheets)) == EPOCHS
    with Image.open(tmp_path / "run" / "samples.png") as expected:
        for sheet in sheets:
            with Image.open(io.BytesIO(sheet)) as image:
                assert image.size == expected.size


def test_resumed_run_takes_back_what_it_does_again(config, tmp_path, monkeypatch):
    interrupt(monkeypatch, 2 * STEPS)
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "run", [mx.cpu()])
    # As of a run that was killed after its next epoch was shown and before it was saved.
    with EventLog(tmp_path / "run" / "events", STEPS) as lost:
        lost.add_epoch({"epoch": 2, "train_loss": 99.0}, 2 * STEPS)
    train(config, tmp_path / "run", [mx.cpu()], resume=True)
    losses = series(read_events(tmp_path / "run" / "events"), "simple_value")["train/loss"]
    assert [step for step, _ in losses] == [STEPS * epoch for epoch in range(1, EPOCHS + 1)]
    assert all(value < 99 for _, value in losses)


def test_logs_of_one_second_keep_apart(tmp_path):
    for step in (0, 1, 2):
        with EventLog(tmp_path, step) as log:
            log.add_epoch({"epoch": step + 1, "train_loss": float(step)}, step + 1)
    found = series(read_events(tmp_path), "simple_value")["train/loss"]
    assert found == [(1, 0.0), (2, 1.0), (3, 2.0)]


class FullDisk(io.FileIO):
    """A file on a disk that is full for so many writes, each of which takes half of its bytes."""

    failures = 0

    def write(self, data):
        if not FullDisk.failures:
            return super().write(data)
        FullDisk.failures -= 1
        super().write(bytes(data)[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("failures", [1, 1000])
def test_full_disk_costs_the_log_not_the_run(tmp_path, monkeypatch, capsys, failures):
    monkeypatch.setattr(
        "tensorboardX.record_writer.open_file", lambda path: io.BufferedWriter(FullDisk(path, "w"))
    )
    monkeypatch.setattr(FullDisk, "failures", 0)
    picture = tmp_path / "a.png"
    Image.new("RGB", (64, 32)).save(picture)
    with EventLog(tmp_path / "events", 0) as log:
        log.add_epoch({"epoch": 1, "train_loss": 1.0}, 5)
        monkeypatch.setattr(FullDisk, "failures", failures)
        # More than any queue holds.
        for epoch in range(2, 40):
            log.add_epoch({"epoch": epoch, "train_loss": 1.0}, 5 * epoch)
            log.add_picture("samples/last", picture, 5 * epoch)
    err = capsys.readouterr().err
    assert err.startswith(f"warning: {tmp_path}/events/events.out.tfevents.")
    assert err.count("\n") == 1
    assert "No space left on device; training goes on" in err
    # Nothing is left of the event that did not fit.
    assert series(read_events(tmp_path / "events"), "simple_value") == {"train/loss": [(5, 1.0)]}


def test_folder_that_cannot_be_made_costs_the_log(tmp_path, capsys):
    (tmp_path / "events").write_text("a file")
    with EventLog(tmp_path / "events", 7) as log:
        log.add_epoch({"epoch": 1, "train_loss": 1.0}, 5)
    assert capsys.readouterr().err.count("warning: ") == 1


def test_no_thread_writes(tmp_path):
    """A training that forks workers or is killed has no event in a queue."""
    before = threading.active_count()
    with EventLog(tmp_path, 0) as log:
        for epoch in range(30):
            log.add_epoch({"epoch": epoch, "train_loss": 1.0}, epoch + 1)
            assert len(series(read_events(tmp_path), "simple_value")["train/loss"]) == epoch + 1
        assert threading.active_count() == before
