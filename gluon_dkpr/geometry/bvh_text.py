"""The text of a BVH file: its hierarchy and its numbers, every mistake with its line."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import List, NoReturn, Optional, Tuple

import numpy as np

from gluon_dkpr.errors import DkprError
from gluon_dkpr.files import read_bounded_text
from gluon_dkpr.types import Array

# Hours of motion fit in; the numbers take some times the file's size in memory.
MAX_BYTES = 128 << 20
MAX_JOINTS = 4096
# Farther out no length or angle is meant, and squares would overflow sooner or later.
MAX_NUMBER = 1e9
CHANNELS = tuple(f"{axis}{kind}" for kind in ("position", "rotation") for axis in "XYZ")
_CHANNEL_NAMES = {name.lower(): name for name in CHANNELS}


class BvhError(DkprError, ValueError):
    """A BVH file cannot be read or written; the message names the file and, if any, the line."""


@dataclass
class BvhNode:
    """A joint or an end site, as the file has it.

    Attributes:
        name: of the joint; empty for an end site.
        parent: place of the parent among the nodes; ``None`` for the root.
        offset: (x, y, z) in the file's unit.
        channels: of :data:`CHANNELS`, in the file's order.
        line: where it begins.
        is_end: whether it is an end site.
    """

    name: str
    parent: Optional[int]
    line: int
    offset: Optional[Tuple[float, ...]] = None
    channels: Optional[Tuple[str, ...]] = None
    is_end: bool = False


@dataclass
class BvhText:
    """What a file says.

    Attributes:
        nodes: parents before children, in the file's order.
        frames: shape (F, C), one column for each channel of each node, in their order; the file's
            unit and degrees.
        frame_time: seconds.
    """

    nodes: List[BvhNode]
    frames: Array
    frame_time: float


def read_text(path: Path) -> BvhText:
    """Read and parse a file.

    Raises:
        BvhError: if it cannot be read, is too large, or has any other form than a BVH file has.
    """
    text = read_bounded_text(path, MAX_BYTES, BvhError, "utf-8-sig")
    return _Parser(path, text).parse()


class _Parser:
    """Reads tokens line by line; a stack of open joints instead of recursion."""

    def __init__(self, path: Path, text: str):
        self.path = path
        self.lines = text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n").split("\n")
        self.row = -1  # of the line that the rest comes from
        self.rest: List[str] = []

    def fail(self, message: str, line: Optional[int] = None) -> NoReturn:
        line = min(self.row + 1, len(self.lines)) if line is None else line
        raise BvhError(f"{self.path}: line {line}: {message}")

    def token(self, expected: str) -> str:
        """Return the next word."""
        while not self.rest:
            self.row += 1
            if self.row >= len(self.lines):
                self.fail(f"the file ends, expected {expected}")
            self.rest = self.lines[self.row].split()
        return self.rest.pop(0)

    def expect(self, word: str) -> None:
        found = self.token(f"'{word}'")
        if found.lower() != word.lower():
            self.fail(f"{found!r:.60}, expected '{word}'")

    def number(self, what: str) -> float:
        return self.finite(self.token(what), what)

    def finite(self, text: str, what: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not abs(value) <= MAX_NUMBER:
            self.fail(f"{what} is {text!r:.60}, expected a number")
        return value

    def whole(self, what: str, largest: float) -> int:
        text = self.token(what)
        # Not isdigit alone, which '²' is too; a long one is no count either.
        if not (text.isdecimal() and len(text) <= 12 and int(text) <= largest):
            self.fail(f"{what} is {text!r:.60}, expected a whole number up to {largest}")
        return int(text)

    def parse(self) -> BvhText:
        self.expect("HIERARCHY")
        nodes = self.hierarchy()
        self.expect("MOTION")
        self.expect("Frames:")
        count = self.whole("number of frames", MAX_BYTES)
        self.expect("Frame")
        self.expect("Time:")
        frame_time = self.number("frame time")
        if frame_time <= 0:
            self.fail(f"frame time is {frame_time}, expected above 0")
        frames = self.frames(count, sum(len(node.channels or ()) for node in nodes))
        return BvhText(nodes, frames, frame_time)

    def hierarchy(self) -> List[BvhNode]:
        self.expect("ROOT")
        nodes, names = [], set()
        self.open_joint(nodes, names, None)
        stack = [0]
        while stack:
            node = nodes[stack[-1]]
            word = self.token("'}'").lower()
            if word == "}":
                self.close(node)
                stack.pop()
            elif word == "offset":
                self.read_offset(node)
            elif word == "channels" and not node.is_end:
                self.read_channels(node)
            elif word in ("joint", "end") and not node.is_end:
                if word == "joint":
                    self.open_joint(nodes, names, stack[-1])
                else:
                    self.open_end(nodes, stack[-1])
                stack.append(len(nodes) - 1)
            else:
                self.fail(f"{word!r:.60}, expected OFFSET, CHANNELS, JOINT, End Site or '}}'")
        return nodes

    def open_joint(self, nodes, names, parent) -> None:
        words = self.rest[:-1] if self.rest[-1:] == ["{"] else self.rest
        name = " ".join(words)
        if not name or not name.isprintable() or {"{", "}"} & set(words):
            self.fail(f"joint name is {name!r:.60}, expected a printable text")
        if name in names:
            self.fail(f"joint '{name:.60}' appears twice")
        self.rest = self.rest[len(words) :]
        names.add(name)
        self.append(nodes, BvhNode(name, parent, self.row + 1))

    def open_end(self, nodes, parent) -> None:
        self.expect("Site")
        # Some programs give it a name, of which nobody makes use.
        self.rest = self.rest[-1:] if self.rest[-1:] == ["{"] else []
        self.append(nodes, BvhNode("", parent, self.row + 1, is_end=True))

    def append(self, nodes, node) -> None:
        if len(nodes) >= MAX_JOINTS:
            self.fail(f"more than {MAX_JOINTS} joints")
        self.expect("{")
        nodes.append(node)

    def close(self, node) -> None:
        if node.offset is None:
            self.fail(f"joint '{node.name}' of line {node.line} ends without OFFSET")

    def read_offset(self, node) -> None:
        if node.offset is not None:
            self.fail(f"a second OFFSET for joint '{node.name}' of line {node.line}")
        node.offset = tuple(self.number("offset") for _ in range(3))

    def read_channels(self, node) -> None:
        if node.channels is not None:
            self.fail(f"a second CHANNELS for joint '{node.name}' of line {node.line}")
        channels = []
        for _ in range(self.whole("number of channels", len(CHANNELS))):
            word = self.token("a channel")
            name = _CHANNEL_NAMES.get(word.lower())
            if name is None or name in channels:
                problem = "appears twice" if name else f"is none of {', '.join(CHANNELS)}"
                self.fail(f"channel {word!r:.60} {problem}")
            channels.append(name)
        node.channels = tuple(channels)

    def frames(self, count: int, width: int) -> Array:
        """Read one frame a line; blank lines do not count."""
        if self.rest:
            self.fail(f"{self.rest[0]!r:.60}, expected the end of the line")
        rows = []
        while self.row + 1 < len(self.lines):
            self.row += 1
            words = self.lines[self.row].split()
            if not words:
                continue
            if len(rows) == count:
                self.fail(f"a frame more than the {count} of 'Frames:'")
            if len(words) != width:
                self.fail(f"{len(words)} numbers, expected {width} as there are channels")
            rows.append(self.frame(words))
        if len(rows) != count:
            self.fail(f"the file ends after {len(rows)} frames, expected {count}")
        return np.array(rows).reshape(count, width)

    def frame(self, words: List[str]) -> Array:
        try:
            row = np.array([float(word) for word in words])
        except ValueError:
            row = np.array([math.nan])
        if not (np.abs(row) <= MAX_NUMBER).all():
            for word in words:  # find it
                self.finite(word, "channel")
        return row
