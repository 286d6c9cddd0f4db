"""Position tuning: every cell's activity at 60 places of each corridor, exact as the mouse runs.

Activity of moving frames is a function of accumulated position in corridor lengths (trial +
position / length): linear between frames, at trial + b / 60, and beyond the first and last
moving frame in line with the nearest two. Of frames at one position the last counts.
"""

import math
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from analysis.jit import compiled
from rig.errors import Refused

Floats = NDArray[np.float32]

BINS = 60


class TrialStore:
    """Rows of (cells,) float32 on the disk, 60 a trial: memory would not hold a session of them.

    The file has no name: nobody else finds it, and it is gone with this process, however that
    ends. What it holds follows from the words of the session alone.
    """

    def __init__(self, folder: Path | None, cells: int) -> None:
        """Open an empty store in a folder; None: the system's own for such files."""
        self._where = f"scratch folder {folder or tempfile.gettempdir()}"
        try:
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 close() closes it
        except OSError as error:
            raise Refused(
                f"{self._where} cannot be written to ({error.strerror}); "
                "set TMPDIR to another folder"
            ) from error
        self._row_bytes = 4 * cells

    def write(self, row: int, values: Floats) -> None:
        """Keep a row. Raises Refused if the disk has no room for it."""
        try:
            written = os.pwrite(self._file.fileno(), values.tobytes(), row * self._row_bytes)
        except OSError as error:
            raise Refused(f"{self._where} cannot be written to ({error.strerror})") from error
        if written < self._row_bytes:
            raise Refused(f"{self._where} is full; make room, or set TMPDIR to another folder")

    def read(self, row: int, rows: int) -> Floats:
        """Return rows from there on: (rows, cells); what was never written is 0."""
        size = rows * self._row_bytes
        got = os.pread(self._file.fileno(), size, row * self._row_bytes).ljust(size, b"\0")
        return np.frombuffer(got, np.float32).reshape(rows, -1)

    def close(self) -> None:
        """Let the file go."""
        self._file.close()

    def __enter__(self) -> "TrialStore":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()


@dataclass(frozen=True)
class _State:
    """The last two moving frames at different positions, and the grid points up to here."""

    before: tuple[float, Floats] | None = None
    last: tuple[float, Floats] | None = None
    since: int = 0
    """The first grid point that the way between those two has determined."""
    point: int = 0
    """The first grid point that is not determined yet."""


class Tuning:
    """The interpolated activity of every trial, determined point by point as frames come."""

    def __init__(self, store: TrialStore | None, told: Callable[[int, Floats], None]) -> None:
        """Tell each row: its grid point (60 * trial + bin) and values; keep it in the store.

        A point that an aborted trial had a part in is determined, and told, once more.
        """
        self._store, self._told = store, told
        self._state = _State()
        self._trial = -1
        self._at_start = _State()
        self._left_out: set[int] = set()

    def add(self, trial: int, fraction: float, activity: Floats) -> None:
        """Take in a moving frame, (cells,), at position / length of a trial; in their order.

        A corridor does not go back: a frame behind the last one has no place in it.
        """
        at, state = trial + fraction, self._state
        if trial in self._left_out or (state.last is not None and at < state.last[0]):
            return
        if trial != self._trial:
            self._trial, self._at_start = trial, state
        if state.last is not None and at == state.last[0]:
            self._state = replace(state, last=(at, activity), point=state.since)
        else:
            self._state = _State(state.last, (at, activity), state.point, state.point)
        self._determine(1 + math.floor(at * BINS))

    def leave_out(self, trial: int) -> None:
        """Forget the frames of a trial that was aborted, and leave out those that still come."""
        self._left_out.add(trial)
        if trial == self._trial:
            self._state = self._at_start

    def finish(self, trials: int) -> None:
        """Determine what is left of so many trials: the mouse will not move any more."""
        self._determine(BINS * trials)

    def trial(self, trial: int) -> Floats:
        """Return the activity of a trial: (60, cells); NaN where it is not determined.

        Raises ValueError if nothing is kept.
        """
        if self._store is None:
            raise ValueError("this tuning keeps no trial: give it a store")
        rows = self._store.read(BINS * trial, BINS).copy()
        known = 0 if trial in self._left_out else self._state.point - BINS * trial
        rows[max(0, known) :] = np.nan
        return rows

    def _determine(self, end: int) -> None:
        state = self._state
        if state.before is None or state.last is None or end <= state.point:
            return
        (from_at, from_activity), (to_at, to_activity) = state.before, state.last
        for point in range(state.point, end):
            trial, bin_ = divmod(point, BINS)
            if trial in self._left_out:
                continue
            share = (trial + bin_ / BINS - from_at) / (to_at - from_at)
            row = np.empty(from_activity.size, np.float32)
            _between(from_activity, to_activity, share, row)
            if self._store is not None:
                self._store.write(point, row)
            self._told(point, row)
        self._state = replace(state, point=end)


@compiled
def _between(start: Floats, end: Floats, share: float, row: Floats) -> None:
    for c in range(row.size):
        value = np.float64(start[c])
        row[c] = value + (np.float64(end[c]) - value) * share
