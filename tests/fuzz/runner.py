"""One way to attack everything: a target is a reader, the files that it reads, and its errors."""

import contextlib
import json
import os
import random
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Sequence, Tuple

import yaml

from tests.fuzz.limits import StuckError, guarded, measured, time_limit
from tests.fuzz.mutations import mutated_bytes, mutated_text

MAX_REDUCTIONS = 300
#: Results of this session, by target.
TALLIES = {}


def write_file(path, content):
    path.write_bytes(content)


@dataclass(frozen=True)
class Case:
    """A valid input.

    Attributes:
        file: name in the target's folder.
        content: what is mutated; that of the file, or a part of it.
        write: writes the content, and whatever must fit it (checksums, sizes), given its path.
    """

    file: str
    content: bytes
    write: Callable[[Path, bytes], None] = write_file


def text_or_bytes(rng, case, tokens):
    """Return a mutated content: JSON and YAML half of the time as the trees that they are."""
    suffix = Path(case.file).suffix
    if suffix in (".json", ".yaml") and rng.random() < 0.6:
        load = json.loads if suffix == ".json" else yaml.safe_load
        return mutated_text(rng, load(case.content.decode("utf-8")), suffix)
    return mutated_bytes(rng, case.content, tokens)


def anything(_):
    """Check nothing of what is accepted."""


@dataclass(frozen=True)
class Target:
    """A reader of what a user brings.

    Attributes:
        name: of the target.
        prepare: makes, in a folder, what the cases need beside their own file; returns the cases.
        call: reads, given the path of the mutated file.
        errors: the documented ones.
        check: asserts what holds of everything that is accepted.
        mutate: from random numbers, case and tokens to another content.
        tokens: pieces that mean something to this reader.
        cost: one input counts as so many.
        least: share of the inputs that must be accepted, and refused.
        names_file: whether messages name the file.
        max_message: characters of a message, at most.
    """

    name: str
    prepare: Callable[[Path], Sequence[Case]]
    call: Callable[[Path], object]
    errors: Tuple[type, ...]
    check: Callable[[object], None] = anything
    mutate: Callable = text_or_bytes
    tokens: Tuple[bytes, ...] = ()
    cost: int = 1
    least: float = 0.005
    names_file: bool = True
    max_message: int = 900


class FuzzError(AssertionError):
    """An input did what no input may do."""


@dataclass
class Tally:
    accepted: int = 0
    refused: int = 0
    slowest: float = 0.0


@dataclass
class Session:
    """A target in a folder of its own."""

    target: Target
    folder: Path
    cases: Sequence[Case] = ()
    tally: Tally = field(default_factory=Tally)

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.cases = self.target.prepare(self.folder)
            before = os.getcwd()
            os.chdir(self.folder)  # what is written to a relative path is noticed
            stack.callback(os.chdir, before)
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
            for case in self.cases:  # imports and caches, and the seeds must be good
                case.write(self.folder / case.file, case.content)
            for case in self.cases:
                self.target.check(self.target.call(self.folder / case.file))
            stack.enter_context(guarded())
            self._files = self._listing()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self._stack.close()

    def input(self, seed, index):
        """Return case and content of the input of a number."""
        rng = random.Random(f"{seed} {self.target.name} {index}")
        case = self.cases[index % len(self.cases)]
        return case, self.target.mutate(rng, case, self.target.tokens)

    def attack(self, seed, first, count):
        """Try inputs.

        Raises:
            FuzzError: for the first that does something else than it should; says how to repeat
                it, and what is left of it when everything is taken away that does not matter.
        """
        for index in range(first, first + count):
            case, content = self.input(seed, index)
            # Tells which it was if the process dies.
            (self.folder / "input-number").write_text(f"{seed} {index}")
            try:
                accepted = self.judge(case, content)
            except FuzzError as failure:
                small, failure = self.reduced(case, content, failure)
                raise FuzzError(self._report(seed, index, case, small, failure)) from failure
            self.tally.accepted += accepted
            self.tally.refused += not accepted

    def judge(self, case, content):
        """Return whether an input is accepted.

        Raises:
            FuzzError: if it is neither accepted nor refused by a documented error, or costs more
                than it may.
        """
        path, outcome = self.folder / case.file, None
        case.write(path, content)
        try:
            with measured() as cost:
                outcome = self._outcome(path)
            # Once more before complaining: others may have had the machine.
            if cost.complaint():
                with measured() as cost:
                    outcome = self._outcome(path)
        finally:
            case.write(path, case.content)
        self.tally.slowest = max(self.tally.slowest, cost.seconds)
        if cost.complaint():
            raise FuzzError(cost.complaint())
        if self._listing() != self._files:
            raise FuzzError(f"left files: {sorted(self._listing() ^ self._files)}")
        return outcome

    def _outcome(self, path):
        try:
            with time_limit():
                self.target.check(self.target.call(path))
        except self.target.errors as error:
            message = str(error)
            if not message or "\n" in message or len(message) > self.target.max_message:
                raise FuzzError(f"message is no short line: {message[:2000]!r}") from error
            if self.target.names_file and str(self.folder) not in message:
                raise FuzzError(f"message does not name the file: {message!r}") from error
            return False
        except (Exception, StuckError) as error:
            raise FuzzError(f"{type(error).__name__}: {str(error)[:300]}") from error
        return True

    def reduced(self, case, content, failure):
        """Return a shorter content that fails in the same way, and its failure."""
        kind, size, tries = _kind(failure), len(content) // 2, 0
        while size and tries < MAX_REDUCTIONS:
            at = 0
            while at < len(content) and tries < MAX_REDUCTIONS:
                shorter, tries = content[:at] + content[at + size :], tries + 1
                try:
                    self.judge(case, shorter)
                except FuzzError as other:
                    if _kind(other) == kind:
                        content, failure = shorter, other
                        continue
                at += size
            size //= 2
        return content, failure

    def _listing(self):
        return {str(path) for path in self.folder.rglob("*")} | {str(self.folder / "input-number")}

    def _report(self, seed, index, case, small, failure):
        target = self.target.name
        return (
            f"{target}: {failure}\n"
            f"  input {index} of seed {seed}, in {case.file}; small: {small[:1500]!r}\n"
            f"  again: DKPR_FUZZ=1 DKPR_FUZZ_SEED={seed} DKPR_FUZZ_START={index} python -m pytest "
            f"'tests/fuzz/test_hostile_input.py::test_hostile_input[{target}]'"
        )


def _kind(failure):
    cause = failure.__cause__
    return type(cause) if cause is not None else str(failure).split()[0]
