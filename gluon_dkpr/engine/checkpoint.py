"""What a run can be continued from, written so that no interruption spoils it.

A run's folder ``checkpoint`` holds ``best.params`` with ``best.json``, the network of the lowest
test error, and folders ``last-EPOCH-STEP``, from which training goes on: parameters, optimiser,
what only one device knows, and ``state.json`` with everything else and the SHA-256 of the files. A
folder is written under another name and renamed; of a damaged one the one before takes the place.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple

from gluon_dkpr.backend import mx
from gluon_dkpr.engine.optimizer_state import Arrays
from gluon_dkpr.errors import DkprError
from gluon_dkpr.files import atomic_path, atomic_write, file_sha256
from gluon_dkpr.model_zoo import PoseNet
from gluon_dkpr.model_zoo.weights import WeightsError, open_weights

KINDS = ("best", "last")
FORMAT = "gluon_dkpr/checkpoint/1"
PARAMETERS, OPTIMIZER, STATE = "network.params", "optimizer.params", "state.json"
_FOLDER = re.compile(r"last-(\d{4,})-(\d{6,})")
_UNFINISHED = ".last-"


class CheckpointError(DkprError):
    """A checkpoint is missing, damaged or does not fit the network."""


class Saved(NamedTuple):
    """A checkpoint to go on from.

    Attributes:
        folder: ``checkpoint/last-EPOCH-STEP``.
        state: what ``state.json`` says.
    """

    folder: Path
    state: dict


def save_best(folder: Path, net: PoseNet, state: dict) -> None:
    """Write the parameters and how far the run was; what stood there stays if it cannot be.

    Args:
        folder: the run's ``checkpoint`` folder.
        net: the network.
        state: plain JSON data, such as ``{"epoch": 3}``.

    Raises:
        CheckpointError, OSError: if it cannot be written.
    """
    path, stamp = folder / "best.params", folder / "best.json"
    # Left in the opposite order, so best.json is renamed last.
    with atomic_write(stamp) as file, atomic_path(path) as temporary:
        _write_arrays(temporary, path, net.save_parameters)
        json.dump({**state, "sha256": file_sha256(temporary)}, file, indent=2)
        file.flush()  # a full disk is noticed while the old pair still stands
        # From here to the last rename there is none: never an old one beside new parameters.
        with contextlib.suppress(FileNotFoundError):
            stamp.unlink()


def save_last(
    folder: Path, net: PoseNet, state: dict, arrays: Optional[Arrays] = None, keep: int = 1
) -> None:
    """Write a checkpoint to go on from and remove all but the newest ``keep``.

    Args:
        folder: the run's ``checkpoint`` folder.
        net: the network.
        state: plain JSON data with at least ``epoch`` and ``step``, numbers from 0.
        arrays: of the optimiser and the devices, see ``optimizer_state``.
        keep: 1 or more.

    Raises:
        CheckpointError, OSError: if it cannot be written; what stood there stays.
    """
    name = f"last-{state['epoch']:04d}-{state['step']:06d}"
    temporary = folder / f"{_UNFINISHED}{name}-{secrets.token_hex(4)}"
    temporary.mkdir()
    try:
        _write_arrays(temporary / PARAMETERS, folder / name, net.save_parameters)
        if arrays:
            _write_arrays(temporary / OPTIMIZER, folder / name, lambda p: mx.nd.save(p, arrays))
        files = {path.name: file_sha256(path) for path in sorted(temporary.iterdir())}
        with atomic_write(temporary / STATE) as file:
            json.dump({"format": FORMAT, **state, "files": files}, file, indent=2, allow_nan=False)
        for path in temporary.iterdir():
            _sync(path)
        if (folder / name).exists():  # the same step, from before a restart
            shutil.rmtree(folder / name)
        os.replace(temporary, folder / name)
        _sync(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    for path in _folders(folder)[keep:]:
        shutil.rmtree(path)


def find_last(folder: Path, warn: Callable[[str], None] = print) -> Saved:
    """Return the newest checkpoint that is whole.

    Args:
        folder: the run's ``checkpoint`` folder.
        warn: is told of each that is not, in a line.

    Raises:
        CheckpointError: if there is none.
    """
    folders = _folders(folder)
    if not folders:
        raise CheckpointError(f"{folder}: no checkpoint last-EPOCH-STEP to go on from")
    for path in folders:
        try:
            return Saved(path, _checked_state(path))
        except CheckpointError as error:
            warn(f"{error}; going on from the checkpoint before")
    raise CheckpointError(f"{folder}: none of its {len(folders)} checkpoints is whole")


def checkpoint_of(path: Path) -> Optional[Tuple[Path, str]]:
    """Return run folder and kind of a checkpoint's file or folder, ``None`` if it is none."""
    if path.name == "best.params" and path.is_file():
        return path.parent.parent, "best"
    if path.name == PARAMETERS:
        path = path.parent
    if _FOLDER.fullmatch(path.name) and path.is_dir():
        return path.parent.parent, path.name
    return None


def tidy(folder: Path) -> None:
    """Remove what a killed process left half-written in the run's ``checkpoint`` folder."""
    for path in folder.glob(f"{_UNFINISHED}*"):
        shutil.rmtree(path, ignore_errors=True)
    for path in folder.glob(".best-*"):
        with contextlib.suppress(OSError):
            path.unlink()


def load_arrays(saved: Saved) -> Arrays:
    """Return the arrays of optimiser and devices of a checkpoint."""
    path = saved.folder / OPTIMIZER
    if OPTIMIZER not in saved.state["files"]:
        raise CheckpointError(f"{path}: not there, expected the optimiser's state")
    _check_arrays(path)
    try:
        return mx.nd.load(str(path))
    except mx.MXNetError as error:
        raise CheckpointError(f"{path}: cannot be read: {_last_line(error)}") from None


def load_epoch(folder: Path, kind: str) -> Optional[int]:
    """Return how many epochs a checkpoint of a run has behind it, ``None`` if it does not say."""
    path = folder / "best.json"
    if kind not in KINDS:
        epoch = _checked_state(folder / kind).get("epoch")
    elif kind == "best" and path.is_file():
        epoch = _read_json(path).get("epoch")
    elif kind == "best" and path.with_name("best.params").is_file():
        return None  # the run was killed between the two, or best.json is lost
    else:
        epoch = find_last(folder).state.get("epoch")
    if epoch is not None and (type(epoch) is not int or epoch < 0):
        raise CheckpointError(f"{folder}: epoch of '{kind}' is {epoch!r:.60}, expected 0 or more")
    return epoch


def load_parameters(net: PoseNet, path: Path, ctx) -> None:
    """Fill a network from a file.

    Raises:
        CheckpointError: if the file is missing, damaged or of another network.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file, expected the parameters of a run")
    stamp = path.with_name("best.json")
    if path.name == "best.params" and stamp.is_file():
        expected = _read_json(stamp).get("sha256")
        if expected is not None and file_sha256(path) != expected:
            raise CheckpointError(f"{path}: damaged: its SHA-256 is not that of {stamp.name}")
    _check_arrays(path)
    try:
        net.load_parameters(str(path), ctx=ctx)
    except (mx.MXNetError, AssertionError, ValueError, OSError) as error:
        reason = _last_line(error)
        raise CheckpointError(f"{path}: not the parameters of this network: {reason}") from None


def _folders(folder: Path) -> List[Path]:
    """Return the checkpoints to go on from, the newest first."""
    found: List[Tuple[Tuple[int, int], Path]] = []
    for path in folder.glob("last-*"):
        match = _FOLDER.fullmatch(path.name)
        if match and path.is_dir():
            found.append(((int(match[1]), int(match[2])), path))
    return [path for _, path in sorted(found, reverse=True)]


def _checked_state(path: Path) -> dict:
    state = _read_json(path / STATE)
    if state.get("format") != FORMAT or not isinstance(state.get("files"), dict):
        found = state.get("format")
        raise CheckpointError(f"{path / STATE}: format is {found!r:.60}, expected '{FORMAT}'")
    files: Dict[str, str] = state["files"]
    for name in {PARAMETERS, *files}:
        file = path / name
        if Path(name).name != name or not file.is_file():
            raise CheckpointError(f"{path}: '{name}' is not in it")
        if file_sha256(file) != files.get(name):
            raise CheckpointError(f"{file}: damaged: its SHA-256 is not that of {STATE}")
    return state


def _read_json(path: Path) -> dict:
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise CheckpointError(f"{path}: not valid JSON, expected how far a run was") from None
    if not isinstance(tree, dict):
        raise CheckpointError(f"{path}: not an object, expected how far a run was")
    return tree


def _write_arrays(path: Path, name: Path, write: Callable[[str], None]) -> None:
    """Let MXNet write a file, and read it back: a full disk at its end is not noticed."""
    # A forward pass brings weights into oneDNN's order, behind the back of whoever reads them.
    mx.nd.waitall()
    try:
        write(str(path))
        mx.nd.load(str(path))
    except mx.MXNetError as error:
        reason = _last_line(error)
        raise CheckpointError(f"{name}: cannot be written; is the disk full? {reason}") from None


def _check_arrays(path: Path) -> None:
    """Raise CheckpointError for a file that MXNet, which believes any size, should not meet."""
    try:
        with open_weights(path):
            pass
    except WeightsError as error:
        raise CheckpointError(f"{error}; expected what training wrote") from None


def _last_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[-1]


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
