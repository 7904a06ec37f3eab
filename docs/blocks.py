"""The code blocks of a page in Markdown: finding, checking and rewriting them (see pages.py)."""

from __future__ import annotations

import ast
import contextlib
import io
import re
import runpy
import shlex
import sys
from pathlib import Path
from typing import Iterator, List, Optional, Tuple

from gluon_dkpr import cli
from gluon_dkpr.errors import DkprError

ROOT = Path(__file__).resolve().parent.parent
FENCE = re.compile(r"^(?P<fence>`{3,})(?P<info>[^`]*)$")
MARK = re.compile(r"^<!-- (not run|small|output|picture)(?:: (.*?))? ?-->$")
PICTURE = re.compile(r"^!\[[^\]]*\]\(([^)]+)\)")
# A checksum is a number, too.
NUMBER = re.compile(r"\b[0-9a-f]{64}\b|[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")
# Blocks that are no code: what is printed, formulas, notes, lists of pages.
NO_CODE = ("", "text", "json", "csv", "bibtex")
RUN = ("python", "console")


class PageError(DkprError):
    """A block does not do what its page says."""


class Block:
    """A fenced block, or a picture that a run makes.

    Attributes:
        language: of the block; empty for a picture.
        text: what is in it; of a picture, its link.
        caption: name of the file that it is written to, if any.
        reason: why it is not run, if it is not.
        small: (old, new) to replace with --small.
        output: whether it shows what the last Python block printed.
        picture: file of the run that the picture is a copy of.
        begin, end: lines of the text in the page, from 0; so many lines are above it.
    """

    def __init__(self, path: Path, language: str, caption: str, begin: int, marks: dict):
        self.path, self.language, self.caption, self.begin = path, language, caption, begin
        self.end, self.text = begin, ""
        self.reason: Optional[str] = marks.get("not run")
        self.small = _replacements(marks.get("small"))
        self.output = "output" in marks
        self.picture: Optional[str] = marks.get("picture")

    def __str__(self) -> str:
        return f"{self.path}:{self.begin}"

    def commands(self) -> Iterator[Tuple[str, str]]:
        """Yield each command of a console block and the lines shown below it."""
        lines = self.text.splitlines()
        prompt = any(line.startswith("$ ") for line in lines)
        place = 0
        while place < len(lines):
            line = lines[place]
            if prompt and not line.startswith("$ "):
                raise PageError(f"{self}: {line!r} is before any command")
            command = line[2:] if prompt else line
            while command.endswith("\\"):
                place += 1
                command = command[:-1].rstrip() + " " + lines[place].strip()
            place += 1
            begin = place
            while prompt and place < len(lines) and not lines[place].startswith("$ "):
                place += 1
            if command.split("#")[0].strip():
                yield command.split("  #")[0].rstrip(), "\n".join(lines[begin:place])

    def replace_outputs(self, shown: List[Tuple[str, str]]) -> None:
        """Put what commands printed below them; where there is a line `...`, only around it."""
        if not any(line.startswith("$ ") for line in self.text.splitlines()):
            return
        text, rest = [], dict(shown)
        before = dict(self.commands())
        lines = iter(self.text.splitlines())
        for line in lines:
            if line.startswith("$ "):
                whole = [line]
                while line.endswith("\\"):
                    line = next(lines)
                    whole.append(line)
                text += whole
                command = " ".join(part.rstrip("\\").strip() for part in whole)[2:]
                command = command.split("  #")[0].rstrip()
                text += _abridged(before[command], rest[command])
        self.text = "\n".join(text) + "\n"


class Page:
    """A page in Markdown.

    Raises:
        PageError: for a mark that no block follows.
    """

    def __init__(self, path: Path):
        self.path = path
        self.lines = path.read_text(encoding="utf-8").splitlines()
        self.blocks: List[Block] = list(self._find())

    def _find(self) -> Iterator[Block]:
        marks, place = {}, 0
        while place < len(self.lines):
            line = self.lines[place]
            mark, fence = MARK.match(line.strip()), FENCE.match(line)
            picture = PICTURE.match(line)
            if mark:
                marks[mark.group(1)] = mark.group(2) or ""
            elif fence:
                block, place = self._block(fence, place, marks)
                marks = {}
                if block is not None:
                    yield block
            elif picture and "picture" in marks:
                block = Block(self.path, "", "", place + 1, marks)
                block.text, marks = picture.group(1), {}
                yield block
            elif line.strip() and marks:
                raise PageError(f"{self.path}:{place + 1}: expected a block after {list(marks)}")
            place += 1

    def _block(self, fence, begin: int, marks: dict) -> Tuple[Optional[Block], int]:
        """Return the block whose fence is at a line, and the line of its end."""
        end = begin + 1
        while end < len(self.lines) and self.lines[end].rstrip() != fence.group("fence"):
            end += 1
        if end == len(self.lines):
            raise PageError(f"{self.path}:{begin + 1}: a block without an end")
        info = fence.group("info").strip()
        directive = re.match(r"\{([\w:.-]+)\}\s*(\w*)", info)
        if directive and directive.group(1) != "code-block":
            return None, end
        language, caption, first = info, "", begin + 1
        if directive:
            language = directive.group(2)
            while re.match(r":\w+:", self.lines[first]):
                if self.lines[first].startswith(":caption: "):
                    caption = self.lines[first][len(":caption: ") :].strip()
                first += 1
            if not self.lines[first].strip():
                first += 1
        block = Block(self.path, language, caption, first, marks)
        block.end = end
        block.text = "\n".join(self.lines[first:end]) + "\n"
        return block, end

    def rebuilt(self) -> str:
        """Return the page with the present texts of its blocks."""
        lines = list(self.lines)
        for block in reversed(self.blocks):
            if block.language:
                lines[block.begin : block.end] = block.text.splitlines()
        return "\n".join(lines) + "\n"


def check_block(block: Block) -> None:
    """Check what can be checked of a block without running it.

    Raises:
        PageError: for a language that is neither run nor marked, Python that does not parse, a tool
            or a flag that does not exist.
    """
    if block.picture or block.output or block.language in NO_CODE:
        return
    if block.language not in RUN and not block.caption and block.reason is None:
        raise PageError(f"{block}: {block.language} is neither run nor marked 'not run: WHY'")
    if block.reason == "":
        raise PageError(f"{block}: 'not run' without a reason")
    for old, _ in block.small:
        if old not in block.text:
            raise PageError(f"{block}: has no {old!r} to replace")
    if block.language == "python":
        try:
            ast.parse(block.text)
        except SyntaxError as error:
            raise PageError(f"{block}: {error}") from None
    elif block.language == "console":
        for command, _ in block.commands():
            check_command(command, str(block))


def check_command(command: str, where: str) -> None:
    """Check the targets of make and the flags of tools/*.py in a command.

    Raises:
        PageError: for one that does not exist.
    """
    words = shlex.split(command, comments=True)
    if words[:1] == ["make"]:
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        for word in words[1:]:
            if "=" not in word and not re.search(rf"^{re.escape(word)}:", makefile, re.MULTILINE):
                raise PageError(f"{where}: make has no target {word!r}")
    tools = [i for i, word in enumerate(words) if re.search(r"(^|/)tools/\w+\.py$", word)]
    for begin, end in zip(tools, tools[1:] + [len(words)]):
        arguments = words[begin + 1 : end]
        for stop in ("&&", "|", ">", "&", ";"):
            if stop in arguments:
                arguments = arguments[: arguments.index(stop)]
        if end < len(words):  # launch.py -n 2 -- python tools/train.py ...
            arguments = words[begin + 1 :]
        check_flags(words[begin], arguments, where)


def check_flags(tool: str, arguments: List[str], where: str) -> None:
    """Let a tool read its flags, and no more.

    Raises:
        PageError: if it refuses them.
    """

    def parse_args(self, args=None, namespace=None):
        original(self, args, namespace)
        raise SystemExit(0)  # the flags are right; nothing is done

    script = ROOT / "tools" / Path(tool).name
    if not script.is_file():
        raise PageError(f"{where}: there is no {tool}")
    arguments = [word for word in arguments if word not in ("...", "…")]
    original, argv = cli.Parser.parse_args, sys.argv
    said = io.StringIO()
    cli.Parser.parse_args, sys.argv = parse_args, [str(script), *arguments]
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            runpy.run_path(str(script), run_name="__main__")
    except SystemExit as stop:
        if stop.code == 0:
            return
    finally:
        cli.Parser.parse_args, sys.argv = original, argv
    raise PageError(f"{where}: {tool} {' '.join(arguments)}: {said.getvalue().strip()}")


def looks_like(shown: str, printed: str) -> bool:
    """Tell whether every line shown was printed, in this order, but for numbers and blanks.

    A line `...` stands for any lines; lines that differ by numbers alone, for any number of such.
    What is not shown at all may be anything.
    """
    found = [_plain(line) for line in printed.replace("\r", "\n").splitlines()]
    place, before = 0, ""
    for line in map(_plain, shown.splitlines()):
        if line in ("", "...", before):
            continue
        if line not in found[place:]:
            return False
        place, before = found.index(line, place) + 1, line
    return True


def _plain(line: str) -> str:
    return " ".join(NUMBER.sub("#", line).split())


def _abridged(shown: str, printed: str) -> List[str]:
    """Return printed lines; where the page has `...` only as many before and after it."""
    lines, printed_lines = shown.splitlines(), printed.rstrip().splitlines()
    if "..." not in lines:
        return printed_lines + ([""] if lines and not lines[-1].strip() else [])
    head = lines.index("...")
    tail = len(lines) - head - 1
    if head + tail >= len(printed_lines):
        return printed_lines
    return [*printed_lines[:head], "...", *printed_lines[len(printed_lines) - tail :]]


def _replacements(text: Optional[str]) -> List[Tuple[str, str]]:
    pairs = [part.split(" -> ") for part in (text or "").split("; ") if part]
    return [(old.strip(), new.strip()) for old, new in pairs]
