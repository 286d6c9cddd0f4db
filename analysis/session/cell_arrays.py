"""One row of all cells a frame: hours of them, on the disk, as memory would not hold them."""

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rig.errors import Refused
from rig.messages import CellSignals
from rig.transport.log import read

Rows = NDArray[np.float32]

FIELDS = ("traces", "d_prime")
"""What Decoded holds of each cell."""


def read_rows(log: Path, sizes: NDArray[np.int64]) -> dict[str, Rows]:
    """Return each of FIELDS as (Decoded words, cells), read-only, from files without a name.

    sizes are the bytes of each word's field, in the order of the log. A word said before the cells
    were known is a row of NaN. The files need 8 bytes a frame and cell, in the folder for temporary
    files (TMPDIR), and are gone with this process. Raises Refused if they do not fit there.
    """
    cells = int(sizes.max(initial=0)) // 4
    if not cells:
        return {field: np.zeros((len(sizes), 0), np.float32) for field in FIELDS}
    unknown = np.full(cells, np.nan, "<f4").tobytes()
    try:
        with tempfile.TemporaryFile() as traces, tempfile.TemporaryFile() as d_prime:
            files = dict(zip(FIELDS, (traces, d_prime), strict=True))
            for _, message in read(log):
                if isinstance(message, CellSignals):
                    for field, file in files.items():
                        row = getattr(message, field)
                        file.write(row if len(row) == len(unknown) else unknown)
            shape = (len(sizes), cells)
            return {name: np.memmap(file, "<f4", "r", shape=shape) for name, file in files.items()}
    except OSError as error:
        need_gb = 8 * len(sizes) * cells / 1e9
        raise Refused(
            f"{tempfile.gettempdir()} cannot hold the {need_gb:.1f} GB of this session's signals "
            f"({error.strerror}); make room, or set TMPDIR to another folder"
        ) from error
