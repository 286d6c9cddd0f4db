"""Arrays with one value per cell, read from the log into scratch files."""

import tempfile
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from rig.errors import Refused
from rig.messages import CellSignals, LearningSignals, Message
from rig.transport.envelope import Envelope

Rows = NDArray[np.float32]

CELL_FIELDS: dict[type[Message], tuple[str, ...]] = {
    CellSignals: ("traces",),
    LearningSignals: ("d_prime",),
}
"""The fields of messages that contain float32 values of each cell."""


def read_rows(
    messages: Iterable[tuple[Envelope, Message]],
    message_type: type[Message],
    field: str,
    sizes: NDArray[np.int64],
) -> Rows:
    """Read a field of all messages of a type: (messages, values), read-only.

    The scratch file needs 4 bytes per value, in the folder for temporary files (TMPDIR), and is
    deleted when this process ends. A message that is shorter than the longest gives a row of NaN.

    Args:
        messages: The messages of the log.
        message_type: The type of message.
        field: One of its CELL_FIELDS.
        sizes: Length of the field in bytes in each message, in the order of the log.

    Raises:
        Refused: There is not enough disk space for the scratch file.
    """
    values = int(sizes.max(initial=0)) // 4
    if not values:
        return np.zeros((len(sizes), 0), np.float32)
    unknown = np.full(values, np.nan, "<f4").tobytes()
    try:
        with tempfile.TemporaryFile() as file:
            for _, message in messages:
                if isinstance(message, message_type):
                    row = getattr(message, field)
                    file.write(row if len(row) == len(unknown) else unknown)
            return np.memmap(file, "<f4", "r", shape=(len(sizes), values))
    except OSError as error:
        need_gb = 4 * len(sizes) * values / 1e9
        raise Refused(
            f"{tempfile.gettempdir()} has no room for the {need_gb:.1f} GB of this session's "
            f"signals ({error.strerror}); free disk space, or set TMPDIR to another folder"
        ) from error
