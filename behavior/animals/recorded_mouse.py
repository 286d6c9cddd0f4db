"""A mouse that repeats the running and licking of a recording from a virtual linear track.

The file is a CSV, gzipped or not, with one row for each pass of the game loop and at least these
columns: lap, pitch_counts (forward counts of the ball since the last row; 0.0135 cm a count), lick
(0: none) and time_ms. In Linear Track set1 (github.com/sn-lab/MouseGoggles) the position z_m
follows these counts: r = 0.994-0.999, 0.01335-0.01348 cm a count, with yaw and roll near zero.
"""

import zlib
from pathlib import Path
from typing import Annotated, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from rig.errors import Refused
from rig.messages import Message, Start

_COLUMNS = ["lap", "pitch_counts", "lick", "time_ms"]
Ints = NDArray[np.int64]


class Recording(msgspec.Struct, frozen=True):
    """The contents of a file: one value per row, except lick_t; times start at the first row."""

    t: Ints
    """Time of the row, ns."""
    counts: Ints
    """Forward counts since the first row."""
    lap: Ints
    """Number of the lap."""
    lick_t: Ints
    """Lick onsets, ns, without licks that are already on in the first row of a lap."""


class RecordedMouse:
    """A mouse that replays a recording with the pauses of its game loop, and then stops."""

    simulated: ClassVar[bool] = True

    class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
        """The recording, and the time in the recording at which the session begins."""

        mouse_file: str
        start_s: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 0.0

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._recording: Recording | None = None
        self._zero: int | None = None
        self._next_lick = 0

    def open(self) -> None:
        skipped = round(self.settings.start_s * 1e9)
        self._recording = read_recording(Path(self.settings.mouse_file))
        if skipped >= int(self._recording.t[-1]):
            lasts_s = int(self._recording.t[-1]) / 1e9
            raise Refused(
                f"start_s = {self.settings.start_s:g}, but {self.settings.mouse_file} lasts only "
                f"{lasts_s:.0f} s; set start_s to less"
            )
        self._next_lick = int(np.searchsorted(self._recording.lick_t, skipped))

    def handle(self, message: Message) -> None:
        if isinstance(message, Start):
            self._zero = message.t - round(self.settings.start_s * 1e9)

    def counts(self, now: int) -> int:
        recording = self._recording
        if recording is None or self._zero is None:
            return 0
        row = int(np.searchsorted(recording.t, now - self._zero, side="right")) - 1
        return int(recording.counts[row]) if row >= 0 else 0

    def licks(self, now: int) -> list[int]:
        if self._recording is None or self._zero is None:
            return []
        end = int(np.searchsorted(self._recording.lick_t, now - self._zero, side="right"))
        onsets = [int(t) + self._zero for t in self._recording.lick_t[self._next_lick : end]]
        self._next_lick = max(end, self._next_lick)
        return onsets


def read_recording(path: Path) -> Recording:
    """Read a recording.

    A file may contain several blocks; the times of each start again at a new lap. They are joined.

    Raises:
        Refused: The file is missing, empty, truncated or not a recording.
    """
    lap, forward, lick, time_ms = _columns(path)
    steps_ms = np.diff(time_ms)
    restarts = (steps_ms <= 0) & (np.diff(lap) != 0)
    if np.any((steps_ms <= 0) & ~restarts):
        row = int(np.argmax((steps_ms <= 0) & ~restarts)) + 3
        raise Refused(f"{path}, line {row}: time does not increase; use another recording")
    steps_ms[restarts] = round(float(np.median(steps_ms[~restarts])))
    t = np.concatenate(([0], np.cumsum(steps_ms))) * 1_000_000
    onset = (lick[1:] != 0) & (lick[:-1] == 0) & (np.diff(lap) == 0)
    return Recording(t, np.cumsum(forward) - forward[0], lap, t[1:][onset])


def _columns(path: Path) -> list[Ints]:
    import pandas as pd

    try:
        table = pd.read_csv(path, usecols=_COLUMNS)
        columns = [table[name].to_numpy() for name in _COLUMNS]
    except FileNotFoundError as error:
        raise Refused(f"{path} does not exist; correct mouse_file") from error
    except pd.errors.EmptyDataError as error:
        raise Refused(f"{path} is empty; use another recording") from error
    except (EOFError, zlib.error) as error:
        raise Refused(f"{path} is truncated ({error}); copy it again") from error
    except (OSError, ValueError) as error:
        raise Refused(
            f"{path} is not a recording ({error}); use a CSV with the columns {_COLUMNS}"
        ) from error
    if len(table) < 2:
        raise Refused(f"{path} is empty; use another recording")
    if not all(np.issubdtype(column.dtype, np.integer) for column in columns):
        raise Refused(
            f"{path}: a row is truncated or has values that are not integers; copy the file again"
        )
    return [column.astype(np.int64) for column in columns]
