"""The code blocks of all pages: checked, and run with small numbers (docs/pages.py)."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import compiler
import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
PAGES += sorted(
    path for path in (ROOT / "docs").rglob("*.md") if path.relative_to(ROOT).parts[1][0] != "_"
)
sys.path[:0] = [str(ROOT / "docs")]

from blocks import Page, PageError, check_block, check_command, looks_like  # noqa: E402

# What a page needs that not every environment has.
PEOPLE = ["pybullet_data", "anny", "skimage"]
NEEDS = {
    "docs/tutorials/mocap.md": ["pybullet_data"],
    "docs/tutorials/human36m.md": PEOPLE,
    "docs/people.md": PEOPLE,
    "docs/export.md": ["onnx", "onnxruntime"],
    "docs/how-to/serve.md": ["starlette", "uvicorn", "prometheus_client"],
    "docs/tutorials/deploy.md": ["onnx", "onnxruntime"],
}
NEED_COMPILER = ["docs/tutorials/deploy.md"]
INLINE = re.compile(r"`(?:python )?(tools/\w+\.py(?: [^`]*)?)`")


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def runs_something(path: Path) -> bool:
    return any(b.reason is None and b.language in ("python", "console") for b in Page(path).blocks)


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_blocks_are_run_or_say_why_not(path):
    for block in Page(path).blocks:
        check_block(block)


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_commands_within_the_text_have_flags_that_exist(path):
    for command in INLINE.findall(path.read_text(encoding="utf-8")):
        if " " in command and not re.search(r"[A-Z]{3,}\.md|^\S+ BENCHMARK", command):
            check_command(command, name(path))


def run(path: Path, *flags: str, timeout: int) -> subprocess.CompletedProcess:
    for module in NEEDS.get(os.path.relpath(path, ROOT), ()):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    if os.path.relpath(path, ROOT) in NEED_COMPILER and compiler.missing():
        pytest.skip(compiler.missing())
    command = [sys.executable, str(ROOT / "docs" / "pages.py"), *flags, str(path)]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=timeout, cwd=str(ROOT)
    )


@pytest.mark.parametrize("path", filter(runs_something, PAGES), ids=name)
def test_blocks_do_what_the_page_shows(path):
    done = run(path, "--small", timeout=600)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("path", filter(runs_something, PAGES), ids=name)
def test_blocks_do_what_the_page_shows_in_full_size(path):
    done = run(path, timeout=7200)
    assert done.returncode == 0, done.stderr


# -- and docs/pages.py itself


def write(folder: Path, text: str) -> Path:
    path = folder / "page.md"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "text",
    [
        "```python\nraise ValueError('no')\n```\n",
        "```console\n$ false\n```\n",
        "```console\n$ echo 3 apples\n3 pears\n```\n",
        "```python\nprint('a')\n```\n\n<!-- output -->\n```text\nb\n```\n",
        "<!-- picture: missing.png -->\n![A picture](missing.png)\n",
        "```python\nassert [] == [1]\n```\n",
    ],
    ids=["exception", "status", "other output", "other print", "no picture", "assertion"],
)
def test_what_does_not_hold_fails(tmp_path, text):
    done = run(write(tmp_path, text), "--small", timeout=120)
    assert done.returncode != 0


def test_blocks_share_a_process_and_a_folder(tmp_path):
    text = (
        "```{code-block} yaml\n:caption: one.yaml\n\na: 1\n```\n"
        "<!-- small: 100 -> 2 -->\n```python\ncount = 100\nopen('n', 'w').write('x' * count)\n```\n"
        "```console\n$ cat one.yaml; wc -c < n\na: 7\n100\n```\n"
        "```python\nprint(count)\n```\n<!-- output -->\n```text\n100\n```\n"
    )
    done = run(write(tmp_path, text), "--small", timeout=120)
    assert done.returncode == 0, done.stderr


def test_writing_puts_outputs_on_the_page(tmp_path):
    text = "```console\n$ seq 4\n1\n...\n4\n$ echo a  # why\n```\n\ntext\n"
    path = write(tmp_path, text)
    done = run(path, "--write", timeout=120)
    assert done.returncode == 0, done.stderr
    assert path.read_text() == "```console\n$ seq 4\n1\n...\n4\n$ echo a  # why\na\n```\n\ntext\n"


@pytest.mark.parametrize(
    "text",
    [
        "```console\n$ python tools/train.py --no-such-flag\n```\n",
        "```console\n$ python tools/no_such_tool.py\n```\n",
        "```console\n$ make no-such-target\n```\n",
        "<!-- not run: it wants a GPU -->\n```console\n$ python tools/train.py --epoch 3\n```\n",
        "```python\nthis is no python\n```\n",
        "```cpp\nint main() {}\n```\n",
        "<!-- not run: -->\n```python\n1\n```\n",
        "<!-- small: 8 -> 1 -->\n```python\n7\n```\n",
        "<!-- output -->\n\nno block\n",
    ],
)
def test_wrong_marks_and_flags_are_found(tmp_path, text):
    with pytest.raises(PageError):
        for block in Page(write(tmp_path, text)).blocks:
            check_block(block)


def test_flags_of_a_command_within_a_command_are_checked():
    check_command("python tools/launch.py -n 2 -- python tools/train.py --epochs 2", "here")
    with pytest.raises(PageError, match="--epoch"):
        check_command("python tools/launch.py -n 2 -- python tools/train.py --epoch 2", "here")


def test_outputs_look_alike_but_for_numbers():
    assert looks_like("epoch 8: 0.5 px\n...\nend", "start\nepoch  1: 1.25e-3 px\nmore\nend\n")
    assert looks_like("epoch 1\nepoch 2\nend", "epoch 1\nend")
    assert not looks_like("end\nstart", "start\nend")


# -- messages that the pages quote


@pytest.mark.parametrize(
    "message",
    [
        "are both installed and overwrite each other's files",
        "works on Python 3.8 to 3.11; found Python",
        "uses np.bool, which NumPy 1.24 removed",
        "are incomplete",
        "does not work beside torch",
        "needs modules that are missing",
        "was asked for, but this MXNet is a CPU build",
        "was asked for, but the number of GPUs found is",
        "the NVIDIA driver does not answer",
        "holds a training run already",
        "another configuration: ",
        "records are",
        "the gradient is not finite in",
        "workers, but --kvstore is",
        "here, where no other machine reaches it; add address=IPV4",
        "Horovod is not installed",
        "pybullet_data not found",
        "of it is white, expected white lines on black",
        "nothing in it is white",
        "no such data set; tools/make_h36m_record.py makes that of",
    ],
)
def test_quoted_messages_are_those_of_the_code(message):
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    code = [path.read_text(encoding="utf-8") for path in (ROOT / "gluon_dkpr").rglob("*.py")]
    joined = [re.sub(r'"\s*\n\s*f?"', "", text) for text in code]
    assert message in page
    assert any(message in text for text in joined)
