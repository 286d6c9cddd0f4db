"""Read NumPy files of other programs; every damaged file raises the same type of error.

A damaged file never makes NumPy allocate memory for an array that the file cannot contain.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


class UnreadableFileError(Exception):
    """Raised if a file cannot be read; the text gives the reason in one line."""


def unreadable(error: BaseException) -> UnreadableFileError:
    """Convert any exception to UnreadableFileError, with one line of text.

    The line is the first of the exception's text, or the name of its type if it has no text.
    """
    if isinstance(error, OSError) and error.strerror:
        return UnreadableFileError(error.strerror)
    lines = str(error).strip().splitlines()
    return UnreadableFileError(lines[0][:200] if lines else type(error).__name__)


def read_array(path: Path, name: str = "") -> NDArray[Any]:
    """Read the array in an .npy, or the array called `name` in an .npz, without unpickling.

    For an .npy, `name` is ignored.

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
