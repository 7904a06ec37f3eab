"""Opening a file of weights, whatever its format."""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path
from typing import Dict, Iterator

from gluon_dkpr.model_zoo.weights.params_file import PARAMS_MAGIC, read_params
from gluon_dkpr.model_zoo.weights.safetensors_file import read_safetensors
from gluon_dkpr.model_zoo.weights.stored import MAX_READ_BYTES, StoredTensor, WeightsError
from gluon_dkpr.model_zoo.weights.torch_file import LEGACY_MAGIC, ZIP_MAGIC, read_legacy, read_zip

EXPECTED = "expected a Gluon .params, a torch.save state dict (.pth) or a .safetensors file"


@contextlib.contextmanager
def open_weights(path) -> Iterator[Dict[str, StoredTensor]]:
    """Yield the tensors of a file by name; their numbers can be read until the block ends.

    The format is told by the file's first bytes, not by its name. Nothing in the file is run, and
    no memory is spent on sizes that it only claims.

    Args:
        path: a Gluon ``.params`` file, a state dict that ``torch.save`` wrote (tensors of float16,
            bfloat16, float32 or float64), or a ``.safetensors`` file.

    Raises:
        WeightsError: if it is missing, damaged or something else. One that is raised in the block
            gets the file's name, too.
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise WeightsError(f"no such file, {EXPECTED}")
        with _SmallReads(path) as file:
            yield _reader(file)(file)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from None
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}") from None


class _SmallReads(io.FileIO):
    """A file that does not read at once what only a damaged archive would ask for.

    zipfile reads the list of an archive's entries in one piece, as long as the archive says.
    """

    def read(self, size: int = -1) -> bytes:
        """Return up to ``size`` bytes, or all that are left, like any file, or refuse."""
        if size is None or size < 0:
            size = os.fstat(self.fileno()).st_size - self.tell()
        if size > MAX_READ_BYTES:
            raise WeightsError(f"a list of {size} bytes, expected at most {MAX_READ_BYTES}")
        return super().read(max(size, 0))


def _reader(file):
    """Return the function that reads a file that begins like this one."""
    head = file.read(len(LEGACY_MAGIC))
    file.seek(0)
    if head.startswith(PARAMS_MAGIC):
        return read_params
    if head.startswith(ZIP_MAGIC):
        return read_zip
    if head.startswith(LEGACY_MAGIC):
        return read_legacy
    if head[8:9] == b"{":
        return read_safetensors
    if head.startswith(b"\x80"):
        raise WeightsError(f"a pickle that torch.save did not write is refused, {EXPECTED}")
    raise WeightsError(f"not a file of weights, {EXPECTED}")
