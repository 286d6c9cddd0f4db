"""Read NumPy files of others: a damaged file is an error of one type, and allocates no memory."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


class UnreadableFileError(Exception):
    """A file cannot be read; the text gives the reason in one line."""


def unreadable(error: BaseException) -> UnreadableFileError:
    """Return an error with the first line of another's text, or its type if it has none."""
    if isinstance(error, OSError) and error.strerror:
        return UnreadableFileError(error.strerror)
    lines = str(error).strip().splitlines()
    return UnreadableFileError(lines[0][:200] if lines else type(error).__name__)


def read_array(path: Path, name: str = "") -> NDArray[Any]:
    """Read an array from an .npy, or the array of a name from an .npz, without unpickling.

    An .npy is taken whatever the name; an .npz needs one.

    Raises:
        UnreadableFileError: The file cannot be read.
    """
    try:
        loaded = np.load(path, allow_pickle=False, mmap_mode="r")
        if isinstance(loaded, np.lib.npyio.NpzFile):
            with loaded:
                return np.asarray(loaded[name])
        return np.array(loaded)
    except Exception as error:  # a damaged file makes NumPy raise any type of exception
        raise unreadable(error) from error
