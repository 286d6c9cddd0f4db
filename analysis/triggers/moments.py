"""Collect the values of all signals of a rule, at a tick of the wheel or during a frame's scan."""

from collections.abc import Sequence

import numpy as np

from analysis.cells.areas import GROUPS, NAMES
from analysis.signals.position_lookup import PositionLookup
from analysis.signals.selectivity import Contrast
from analysis.triggers.signals import PROJECTION, RAMP, Moment, Value
from rig.messages import CellSignals, Cue, Lick, Position, TrialStart

_KEPT_TRIALS = 5
"""Number of trials that are kept, because frames are evaluated some seconds after their scan."""


class Moments:
    """The messages of the last trials, and the values of signals computed from them."""

    def __init__(self, of_frames: bool) -> None:
        """Start without messages; with of_frames, positions are kept for `of_frame`."""
        self._of_frames = of_frames
        self.contrasts: Sequence[Contrast] = ()
        """The contrasts of CellSignals, the reference first."""
        self._positions = PositionLookup()
        self._starts: dict[int, TrialStart] = {}
        self._cues: dict[int, int] = {}
        self._licks: list[int] = []

    def add(self, message: TrialStart | Cue | Lick) -> None:
        """Add a message. Licks and cues may arrive a little after their time."""
        match message:
            case TrialStart():
                self._starts[message.trial] = message
                self._forget(message.trial - _KEPT_TRIALS)
            case Cue():
                self._cues[message.trial] = message.t
            case Lick():
                self._licks.append(message.t)

    def of_tick(self, position: Position) -> Moment:
        """Add a Position; return the values at its time."""
        if self._of_frames:
            self._positions.add(position)
        return self._moment(position.t, position)

    def of_frame(self, signals: CellSignals) -> Moment:
        """Return the values for a frame: its activity, and behavior at the middle of its scan."""
        t = signals.scanned_t or signals.t
        moment = self._moment(t, self._positions.at(t), signals.frame)
        moment.values.update(_activity(signals, self.contrasts))
        return moment

    def _moment(self, t: int, position: Position, frame: int | None = None) -> Moment:
        start = self._starts.get(position.trial)
        if start is None:
            return Moment(t, -1, {}, "", frame)
        cue_t = self._cues.get(position.trial)
        cued = cue_t is not None and cue_t <= t
        licks = [lick for lick in self._licks if start.t <= lick <= t]
        values: dict[str, Value] = {
            "position_m": position.position_m,
            "speed_cm_s": position.speed_cm_s,
            "since_start_s": (t - start.t) / 1e9,
            "since_cue_s": (t - cue_t) / 1e9 if cued and cue_t is not None else None,
            "since_lick_s": (t - max(licks)) / 1e9 if licks else None,
            "licks": float(len(licks)),
            "trial": float(position.trial),
            "stimulus": start.stimulus,
            "moving": position.moving,
            "rewarded": start.rewarded,
            "cued": cued,
        }
        return Moment(t, position.trial, values, _place(position, start), frame)

    def _forget(self, trial: int) -> None:
        """Remove a trial and those before it."""
        old = [number for number in self._starts if number <= trial]
        for number in old:
            del self._starts[number]
            self._cues.pop(number, None)
        if old:
            since = min(start.t for start in self._starts.values())
            self._licks = [lick for lick in self._licks if lick >= since]


def _place(position: Position, start: TrialStart) -> str:
    """Return which of PLACES the mouse is in."""
    if position.phase == "corridor":
        return "texture" if position.position_m < start.texture_m else "grey"
    return "picture" if position.phase == "picture" else "grey"


def _activity(signals: CellSignals, contrasts: Sequence[Contrast]) -> dict[str, Value]:
    """Return the values of a frame's signals by name.

    A projection without a pair of stimuli in its name is that of the first contrast.
    """
    values: dict[str, Value] = {RAMP: signals.ramp}
    means = np.frombuffer(signals.area_activity, "<f4")
    values |= {f"activity.{name}": float(v) for name, v in zip(NAMES, means, strict=False)}
    rows = np.frombuffer(signals.area_projection, "<f4").reshape(-1, len(GROUPS))
    named = [(f".{a}.{b}", row) for (a, b), row in zip(contrasts, rows, strict=False)]
    for ending, row in [("", row) for row in rows[:1]] + named:
        for area, value in zip(GROUPS, row, strict=True):
            values[f"{PROJECTION}.{area}{ending}"] = float(value)
    return values
