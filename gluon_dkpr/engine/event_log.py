"""A run as TensorBoard shows it."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import time
from pathlib import Path

from PIL import Image
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.record_writer import RecordWriter

_VERSION = "brain.Event:2"


class EventLog:
    """Writes scalars of each epoch and pictures as event files. Used as a context.

    A file that cannot be written costs the log, not the run: one warning, and nothing more is
    written. What was written whole before stays readable.

    Args:
        folder: for the event files; made if it is missing.
        updates: steps of the optimiser that are done; what an interrupted run has written beyond
            them is taken back.
    """

    def __init__(self, folder: Path, updates: int):
        # Not tensorboardX's SummaryWriter, which hands events to a thread: a disk that is full for
        # a moment ends the thread, and the run waits for ever for room in the queue before it.
        self._writer, self._path, self._whole = None, Path(os.path.abspath(folder)), 0
        first = [Event(file_version=_VERSION)]
        if updates:
            first.append(Event(step=updates + 1, session_log=SessionLog(status=SessionLog.START)))
        with self._or_none():
            self._path.mkdir(parents=True, exist_ok=True)
            # Names tell the second: a run resumed within it would write over the file before.
            # Readers take files in the order of their names.
            count = len(list(self._path.glob("*tfevents*")))
            name = f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}.{count:04d}"
            self._path /= name
            self._writer = RecordWriter(str(self._path))
        self._write(first)

    def __enter__(self) -> EventLog:
        return self

    def __exit__(self, *_) -> None:
        self._close()

    def add_epoch(self, row: dict, updates: int) -> None:
        """Add the numbers of a row of metrics.csv."""
        values = []
        for name, value in row.items():
            if name != "epoch" and value != "":
                group, _, rest = name.partition("_")
                tag = f"{group}/{rest}" if group in ("train", "test") else f"run/{name}"
                values.append(Summary.Value(tag=tag, simple_value=float(value)))
        self._write(Event(step=updates, summary=Summary(value=[value])) for value in values)

    def add_picture(self, tag: str, path: Path, updates: int) -> None:
        """Add a PNG file; pictures of one tag are shown as a series."""
        with Image.open(path) as image:
            size = {"width": image.width, "height": image.height}
            channels = len(image.getbands())
        picture = Summary.Image(encoded_image_string=path.read_bytes(), colorspace=channels, **size)
        summary = Summary(value=[Summary.Value(tag=tag, image=picture)])
        self._write([Event(step=updates, summary=summary)])

    def _write(self, events) -> None:
        """Append events and see to it that they are in the file."""
        with self._or_none():
            if self._writer is not None:
                for event in events:
                    event.wall_time = time.time()
                    self._writer.write(event.SerializeToString())
                self._writer.flush()
                self._whole = self._path.stat().st_size

    @contextlib.contextmanager
    def _or_none(self):
        """Switch the log off if a file cannot be written."""
        try:
            yield
        except OSError as error:
            print(
                f"warning: {self._path}: {error.strerror}; training goes on without a log for "
                "TensorBoard",
                file=sys.stderr,
            )
            self._close()

    def _close(self) -> None:
        """Close the file behind its last whole event, and forget it."""
        if self._writer is not None:
            # What is left in its buffer may fail once more, or come after half an event.
            with contextlib.suppress(OSError):
                self._writer.close()
            with contextlib.suppress(OSError):
                os.truncate(self._path, self._whole)
            self._writer = None
