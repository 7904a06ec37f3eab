"""What TensorBoard is given: numbers and pictures of every epoch, once each."""

import io
import struct

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
