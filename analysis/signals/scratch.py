"""Scratch files for arrays that grow with the session and would not fit in memory."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from rig.errors import Refused


class ScratchRows:
    """Rows of one value per cell in an anonymous temporary file.

    No other process can open the file, and it is deleted when this process ends, even if it is
    killed. All of its contents can be computed again from the messages of the session.
    """

    def __init__(self, folder: Path | None, cells: int, dtype: DTypeLike = np.float32) -> None:
        """Open an empty file.

        Args:
            folder: Folder of the file; None: the system's folder for temporary files.
            cells: Values per row.
            dtype: Type of the values.

        Raises:
            Refused: The folder cannot be written to.
        """
        self._where = f"scratch folder {folder or tempfile.gettempdir()}"
        try:
            # This is an io.FileIO, but the type stubs declare another type.
            self._file: Any = tempfile.TemporaryFile(buffering=0, dir=folder)  # noqa: SIM115
        except OSError as error:
            raise Refused(
                f"{self._where} cannot be written to ({error.strerror}); set TMPDIR to another "
                "folder"
            ) from error
        self._dtype = np.dtype(dtype)
        self.cells = cells
        """Values per row."""
        self._row_bytes = self._dtype.itemsize * cells

    def write(self, row: int, values: NDArray[Any]) -> None:
        """Store one or more rows, (cells,) or (rows, cells), from index `row` on.

        Raises:
            Refused: The disk is full, or the file cannot be written.
        """
        data = np.ascontiguousarray(values, self._dtype).tobytes()
        try:
            self._file.seek(row * self._row_bytes)
            written = self._file.write(data)
        except OSError as error:
            raise Refused(f"{self._where} cannot be written to ({error.strerror})") from error
        if written < len(data):
            raise Refused(
                f"{self._where} is full; free disk space, or set TMPDIR to another folder"
            )

    def read(self, row: int, rows: int, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return rows from index `row` on: (rows, cells). Rows that were never written are 0.

        Args:
            row: Index of the first row.
            rows: Number of rows.
            out: An array to fill and return, (rows, cells); reading into memory that is already
                in use takes a fifth of the time. None: a new array.
        """
        if out is None:
            out = np.empty((rows, self.cells), self._dtype)
        left = out.data.cast("B") if out.size else memoryview(b"")
        self._file.seek(row * self._row_bytes)
        while left and (size := self._file.readinto(left)):
            left = left[size:]
        if left:
            left[:] = bytes(len(left))
        return out

    def close(self) -> None:
        """Delete the file."""
        self._file.close()
