"""The data that all exports share: completed trials, frames and events of one session."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.cells.model import Cells
from analysis.session.offline_tuning import placed_cells
from analysis.session.session import Session
from rig.errors import Refused

Floats = NDArray[np.float64]
CORRIDOR = "corridor"
WINDOW_FRAMES = 15
"""Frames that the study's scripts take before and after each cue and first lick."""
_WHERE = ("trial", "t_s", "position_m")


@dataclass(frozen=True, eq=False)
class Contents:
    """A session, with the tables that more than one export needs.

    A completed trial is a corridor that the animal ran to its end. Completed trials are numbered
    from 0; an aborted trial has no number (docs/reference/analysis.md).
    """

    session: Session
    missing: str = ""
    """What is missing from the log, in a sentence; empty if it is complete."""
    only_imaged: bool = False
    """Leave out trials that began before the first or ended after the last frame with signals."""

    @cached_property
    def task(self) -> dict[str, Any]:
        """The task's settings, every default included."""
        return dict(self.session.settings["task"])

    @cached_property
    def subject(self) -> str:
        """The animal's name."""
        return str(self.session.settings["subject"])

    @cached_property
    def day_and_number(self) -> tuple[str, str]:
        """Day (YYYYMMDD) and number on that day, from the folder's name.

        Raises Refused if the folder has another name than ses-DAY_NUMBER.
        """
        name = self.session.folder.resolve().name
        found = re.fullmatch(r"ses-(\d{8})_(\d+)", name)
        if found is None:
            raise Refused(
                f"{self.session.folder} was renamed: NWB, ALF and the study's files need the "
                "session's number on its day; name the folder ses-YYYYMMDD_N again, or export csv"
            )
        return found[1], found[2]

    @cached_property
    def began(self) -> datetime:
        """Date and time of the session clock's zero, with the time zone of the rig."""
        return datetime.fromisoformat(str(self.session.settings["began"]))

    @cached_property
    def trials(self) -> pd.DataFrame:
        """One row per completed corridor, numbered from 0: see Session.trials.

        grey_s is the time at which the animal entered the grey space after the texture.
        """
        done = self._completed
        if self.only_imaged:
            done = done[self._is_imaged]
        done = done.reset_index(drop=True)
        done["grey_s"] = self._entered_grey_s(done)
        return done

    @property
    def not_imaged(self) -> int:
        """Number of completed corridors that only_imaged leaves out."""
        return int((~self._is_imaged).sum())

    @cached_property
    def frames(self) -> pd.DataFrame:
        """One row for each frame with signals: number (of its completed trial, or NaN), stimulus,
        position_m (NaN outside a completed trial), moving, and middle_s, when it was scanned."""
        signals = self.session.decoded
        numbers = pd.Series(self.trials.index, index=self.trials.trial)
        number = signals.trial.map(numbers).to_numpy(np.float64)
        inside = np.isfinite(number)
        return pd.DataFrame(
            {
                "number": number,
                "stimulus": np.where(inside, signals.stimulus.astype(str), ""),
                "position_m": np.where(inside, signals.position_m, np.nan),
                "moving": signals.moving.to_numpy(bool) & inside,
                "middle_s": signals.scanned_t_s,
            }
        )

    @cached_property
    def licks(self) -> pd.DataFrame:
        """Licks inside completed trials: t_s, number, position_m."""
        licks = self.session.licks
        numbers = pd.Series(self.trials.index, index=self.trials.trial)
        table = licks.assign(number=licks.trial.map(numbers))
        inside: pd.DataFrame = table[np.isfinite(table.number)]
        return inside.reset_index(drop=True)

    @cached_property
    def cells(self) -> Cells | None:
        """The cells of the traces, in their order, as they are on the pages of their depth; None if
        nothing was imaged."""
        return placed_cells(self.session) if len(self.session.decoded) else None

    @cached_property
    def by_plane(self) -> list[NDArray[np.intp]]:
        """For each depth that has cells, the indices of its cells among the traces."""
        cells = self.cells
        if cells is None:
            return []
        return [np.flatnonzero(cells.plane == plane) for plane in np.unique(cells.plane)]

    @cached_property
    def area(self) -> NDArray[np.int16]:
        """Id of each cell's retinotopic area, -1 if unknown: (cells,)."""
        return np.empty(0, np.int16) if self.cells is None else self.cells.area

    @cached_property
    def d_prime(self) -> NDArray[np.float32]:
        """d' of each cell in the reference contrast at the end, NaN if undefined: (cells,)."""
        d_prime = self.session.d_prime
        if not d_prime.size:
            return np.full(self.session.traces.shape[1], np.nan, np.float32)
        return np.asarray(d_prime[-1])

    def remarks(self, also_missing: Sequence[str] = ()) -> list[str]:
        """Return what a reader of the exported files must know: whether the session was recovered
        or is incomplete. Empty for a session that ended by itself and of which nothing is missing.

        Args:
            also_missing: What is missing beside the messages of the log.
        """
        found = []
        if names := self.session.recovered_parts:
            did = (
                "did not end by itself and was"
                if len(names) == 1
                else ("did not end by themselves and were")
            )
            found.append(f"RECOVERED: {' and '.join(names)} {did} closed by rig recover")
        if missing := [*filter(None, [self.missing]), *also_missing]:
            found.append(f"INCOMPLETE: {'; '.join(missing)}")
        return found

    def frame_at(self, t_s: NDArray[np.float64]) -> NDArray[np.intp]:
        """Return the frame that was being scanned at each time: the one whose middle is nearest.

        A time before the first or after the last frame gets the first or the last one.
        """
        middles = self.frames.middle_s.to_numpy()
        if not len(middles):
            return np.zeros(len(t_s), np.intp)
        return np.searchsorted((middles[1:] + middles[:-1]) / 2, t_s).astype(np.intp)

    @cached_property
    def _completed(self) -> pd.DataFrame:
        """The rows of Session.trials that are completed corridors."""
        table = self.session.trials
        done: pd.DataFrame = table[(table.outcome == "done") & (table.picture == CORRIDOR)]
        return done

    @cached_property
    def _is_imaged(self) -> NDArray[np.bool_]:
        """True for completed corridors between the first and the last frame with signals.

        Without any frame, True for all.
        """
        trials, middles = self._completed, self.session.decoded.scanned_t_s.to_numpy(np.float64)
        if not len(middles):
            return np.ones(len(trials), bool)
        period_s = float(np.median(np.diff(middles))) if len(middles) > 1 else 0.0
        before_s = trials.start_s.to_numpy(np.float64) - middles[0]
        after_s = middles[-1] - trials.end_s.to_numpy(np.float64)
        return _is_covered(before_s, period_s) & _is_covered(after_s, period_s)

    def _entered_grey_s(self, trials: pd.DataFrame) -> Floats:
        """Return the time (s) of each trial's first Position beyond its texture: (trials,)."""
        position = self.session.position
        trial, t_s, position_m = (position[name].to_numpy() for name in _WHERE)
        entered = []
        columns = (trials[name] for name in ("trial", "texture_m", "start_s", "end_s"))
        for number, texture_m, start_s, end_s in zip(*columns, strict=True):
            first, last = np.searchsorted(t_s, np.array([start_s, end_s]))
            grey = (trial[first:last] == number) & (position_m[first:last] >= texture_m)
            entered.append(t_s[first + grey.argmax()] if grey.any() else end_s)
        return np.array(entered, np.float64)


def _is_covered(margins_s: Floats, period_s: float) -> NDArray[np.bool_]:
    """Return True for trials that do not exceed the imaging at its start, or at its end.

    They may exceed it by one frame period. If some exceed it by more, the imaging was cut off, and
    the others need WINDOW_FRAMES between them and the cut.

    Args:
        margins_s: How much longer the imaging is than each trial at that side, s.
        period_s: Time between two frames, s.
    """
    is_inside = margins_s >= -period_s
    return is_inside if is_inside.all() else margins_s >= WINDOW_FRAMES * period_s


def read_contents(folder: Path, partial: bool = False) -> Contents:
    """Return the contents of a session folder; with `partial`, also of one that is incomplete.

    Raises Refused if it has nothing to export, or is incomplete.
    """
    session = Session(folder)
    if not session.settings:
        raise Refused(f"{folder} never started, so there is nothing to export; choose another one")
    missing = _missing(session)
    if missing and not partial:
        raise Refused(
            f"{folder} is incomplete ({missing}); run: rig recover {folder}, or export what is "
            "there with --partial"
        )
    return Contents(session, missing)


def _missing(session: Session) -> str:
    completeness = session.completeness
    if completeness is None:
        return "its log was never closed"
    return "" if completeness.whole else completeness.missing or "messages are missing"
