"""ImageNet weights from GluonCV's model store, with an end to waiting."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from pathlib import Path
from typing import Optional

import portalocker

from gluon_dkpr.backend import import_gluoncv
from gluon_dkpr.model_zoo.weights import WeightsError

# GluonCV asks without a time limit: behind a wall that swallows packets it would wait for minutes.
STALL_SECONDS = 30.0
_POLL_SECONDS = 0.1


def imagenet_file(name: str) -> Path:
    """Return the file with a network's ImageNet weights; GluonCV downloads it if it is not there.

    It is in ``models`` below ``MXNET_HOME``, by default ``~/.mxnet``, and is checked against
    GluonCV's list of SHA-1 sums. What an interrupted download leaves there is never used.

    Args:
        name: of a network in GluonCV's model store, such as ``resnet50_v1b``.

    Raises:
        WeightsError: if it cannot be downloaded, or nothing arrives for ``STALL_SECONDS``.
    """
    gluoncv = import_gluoncv()
    store = gluoncv.model_zoo.model_store
    file_name = f"{name}-{store.short_hash(name)}"
    path = _folder() / f"{file_name}.params"
    # GluonCV would do this, too, but write a lock, which a read-only folder does not take.
    if path.is_file() and gluoncv.utils.check_sha1(str(path), store.short_hash(name)):
        return path
    download = _Download(store.get_model_file, name)
    download.start()
    reason = download.watch([path.with_suffix(".zip"), path])
    if reason is None:
        return path
    _remove_partial(path)
    source = os.environ.get("MXNET_GLUON_REPO", store.apache_repo_url)
    raise WeightsError(
        f"ImageNet weights of {name} could not be downloaded from {source} ({reason}); GluonCV "
        f"looks for them in {path}: put that file there, or use --pretrained FILE (Gluon .params, "
        "torchvision .pth or .safetensors) or --pretrained none"
    )


def _folder() -> Path:
    """Return where GluonCV keeps its weights."""
    home = os.environ.get("MXNET_HOME", os.path.join("~", ".mxnet"))
    return Path(home).expanduser() / "models"


def _remove_partial(path: Path) -> None:
    """Remove an archive that came in part, unless another process is about to download it."""
    # GluonCV's own lock; a thread that still waits for data holds it, too.
    lock = portalocker.Lock(str(path.with_suffix(".lock")), timeout=0)
    with contextlib.suppress(OSError, portalocker.LockException), lock:
        path.with_suffix(".zip").unlink()


class _Download(threading.Thread):
    """A download that can be given up: the process does not wait for it at its end."""

    def __init__(self, function, name: str):
        super().__init__(daemon=True)
        self._function, self._model = function, name
        self._error: Optional[Exception] = None

    def run(self) -> None:
        """Download and keep the error."""
        try:
            self._function(self._model)
        # Whatever it is, it is about the network, the archive or the disk: requests, urllib3,
        # zipfile and GluonCV have no common error.
        except Exception as error:
            self._error = error

    def watch(self, growing) -> Optional[str]:
        """Wait for the end; return the reason if it failed or the files stopped to grow."""
        sizes, since = None, time.monotonic()
        while self.is_alive():
            self.join(_POLL_SECONDS)
            now = [_size(path) for path in growing]
            if now != sizes:
                sizes, since = now, time.monotonic()
            elif time.monotonic() - since > STALL_SECONDS:
                return f"no data for {STALL_SECONDS:g} seconds"
        return None if self._error is None else _reason(self._error)


def _size(path: Path) -> int:
    """Return the bytes of a file, 0 if it is not there: the download may rename or remove it."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _reason(error: Exception) -> str:
    """Return the innermost cause that requests and urllib3 wrap, as one short line."""
    while error.args and isinstance(error.args[0], Exception):
        error = error.args[0]
    error = getattr(error, "reason", error)
    text = " ".join(str(error).split()).split("> : ")[-1].split(">: ")[-1]
    return f"{type(error).__name__}: {text}"[:200]
