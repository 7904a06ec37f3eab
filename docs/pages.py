#!/usr/bin/env python
"""Run the code blocks of pages: `python docs/pages.py docs/tutorials/toy.md`.

The blocks of a page run in order, in one folder that begins empty: Python blocks in one process,
console blocks as commands. What they print must look like what the page shows (numbers may
differ). With --small, which the tests use, data sets and trainings are small. With --write the
outputs and pictures on the page are replaced by those of this run.

Marks before a block, in HTML comments that no reader sees:

    <!-- not run: WHY -->            only flags of tools/*.py, or Python's grammar, are checked
    <!-- small: OLD -> NEW; ... -->  replaced in the block with --small
    <!-- output -->                  the text block is what the last Python block printed
    <!-- picture: FILE -->           the picture is a copy of this file of the run
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import List, Optional, Sequence, Tuple

DOCS = Path(__file__).resolve().parent
sys.path[:0] = [str(DOCS)]

from blocks import Block, Page, PageError, check_block, looks_like  # noqa: E402

from gluon_dkpr.cli import Parser, run  # noqa: E402
from gluon_dkpr.data import make_toy_record  # noqa: E402

ROOT = DOCS.parent
# What a page finds in its folder, as in a clone. Nothing can be written to the real ones: tools are
# links, samples are a copy.
LINKS = ("tools", "symbols", "Makefile")
COPIES = ("docs/samples", "docs/cpp")
PICTURE_WIDTH_PX = 1000


class Runner:
    """Runs the blocks of one page.

    Args:
        page: what to run.
        folder: where; it is the current folder meanwhile.
        small: replace as the page's marks say, and put a small toy data set there.
    """

    def __init__(self, page: Page, folder: Path, small: bool):
        self.page, self.folder, self.small = page, folder, small
        self.names = {"__name__": "__main__"}
        self.printed = ""
        prepare(folder, small)

    def run(self) -> None:
        for item in self.page.blocks:
            if item.picture:
                self.check_picture(item)
            elif item.output:
                self.check_output(item)
            elif item.reason is None and item.caption:
                self.write_file(item)
            elif item.reason is None and item.language == "python":
                self.run_python(item)
            elif item.reason is None and item.language == "console":
                self.run_console(item)

    def write_file(self, item: Block) -> None:
        path = Path(item.caption)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.text(item), encoding="utf-8")

    def run_python(self, item: Block) -> None:
        # Lines of a traceback are those of the page.
        code = compile("\n" * item.begin + self.text(item), str(self.page.path), "exec")
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, self.names)
        self.printed = printed.getvalue()

    def run_console(self, item: Block) -> None:
        shown: List[Tuple[str, List[str]]] = []
        for command, output in item.commands():
            wanted = self.replaced(item, command)
            # Targets of make are checked to exist; they use another environment than this one.
            found = output if re.match(r"make\b", wanted) else self.call(item, wanted)
            if not looks_like(output, found):
                raise PageError(f"{item}: $ {command}\nprinted\n{found}\nexpected\n{output}")
            shown.append((command, found))
        item.replace_outputs(shown)

    def call(self, item: Block, command: str) -> str:
        environment = {**os.environ, "PATH": f"{self.programs()}{os.pathsep}{os.environ['PATH']}"}
        done = subprocess.run(
            ["sh", "-ec", command],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode:
            raise PageError(f"{item}: $ {command}\nexit status {done.returncode}\n{done.stdout}")
        return done.stdout

    def programs(self) -> Path:
        """Return a folder in which `python` is the Python that runs this."""
        folder = self.folder.with_name("programs")
        if not folder.exists():
            folder.mkdir()
            script = folder / "python"
            script.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
            script.chmod(0o755)
        return folder

    def check_output(self, item: Block) -> None:
        if not looks_like(item.text, self.printed):
            raise PageError(f"{item}: printed\n{self.printed}\nexpected\n{item.text}")
        item.text = self.printed.rstrip() + "\n"

    def check_picture(self, item: Block) -> None:
        source = Path(item.picture)
        if not source.is_file():
            raise PageError(f"{item}: the run has made no {source}")

    def text(self, item: Block) -> str:
        return self.replaced(item, item.text)

    def replaced(self, item: Block, text: str) -> str:
        for old, new in item.small if self.small else ():
            text = text.replace(old, new)
        return text


def prepare(folder: Path, small: bool) -> None:
    """Make the folder look like a clone of the project."""
    for name in LINKS:
        (folder / name).symlink_to(ROOT / name)
    for name in COPIES:
        shutil.copytree(str(ROOT / name), str(folder / name))
    (folder / "data").mkdir()
    if small:
        for level in (3, 10):
            make_toy_record(folder / "data" / f"toy{level}", level, train=128, test=32)


def copy_picture(source: Path, target: Path) -> None:
    """Copy a picture, not wider than a page shows; as JPEG or with few colours, so it is small."""
    from PIL import Image

    target.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(source) as image:
        image = image.convert("RGB")
        if image.width > PICTURE_WIDTH_PX:
            height = round(image.height * PICTURE_WIDTH_PX / image.width)
            image = image.resize((PICTURE_WIDTH_PX, height), Image.LANCZOS)
        if target.suffix == ".jpg":
            image.save(target, quality=88, optimize=True)
        else:
            image.quantize(128, dither=Image.Dither.NONE).save(target, optimize=True)


def run_page(path: Path, small: bool, write: bool) -> None:
    """Run a page in a folder of its own."""
    page = Page(path)
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "clone")
        folder.mkdir()
        runner = Runner(page, folder, small)
        os.chdir(folder)
        try:
            runner.run()
            for item in page.blocks if write else ():
                if item.picture:
                    copy_picture(Path(item.picture), path.parent / item.text)
        finally:
            os.chdir(before)
    if write:
        path.write_text(page.rebuilt(), encoding="utf-8")


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Check and run the pages that the command line names."""
    parser = Parser(description=__doc__.split("\n")[0])
    parser.add_argument("pages", metavar="PAGE.md", nargs="+", type=Path)
    parser.add_argument("--small", action="store_true", help="small data sets, short trainings")
    parser.add_argument("--write", action="store_true", help="put outputs and pictures on the page")
    parser.add_argument("--check", action="store_true", help="run nothing, check marks and flags")
    args = parser.parse_args(arguments)
    if args.small and args.write:
        parser.error("--write shows readers what the full size prints, --small is for tests")
    for path in args.pages:
        for item in Page(path.resolve()).blocks:
            check_block(item)
        if not args.check:
            run_page(path.resolve(), args.small, args.write)


if __name__ == "__main__":
    run(main)
