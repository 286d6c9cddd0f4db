"""Create the messages of an imaging session at their real rates, to measure the live page."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rig.messages import (
    CellsFound,
    CellSignals,
    Cue,
    Flip,
    Heartbeat,
    LearningSignals,
    Lick,
    Message,
    Position,
    TrialEnd,
    TrialStart,
    TrialVerdict,
    Valve,
    Wheel,
)

MS = 1_000_000
STIMULI = ("leaf1", "circle1")
_FLIP_MS, _VOLUME_MS, _BEAT_MS, _LICK_MS = 17, 100, 200, 700
_TRIAL_MS = 12_000
_SPEED_CM_S = 50.0
_CUE_MS, _REWARD_MS = 4_000, 5_000
_AREA_GROUPS, _SIGNS, _THRESHOLDS, _AREAS = 5, 3, 10, 4
SENDER_OF: dict[type[Message], str] = {
    CellSignals: "online",
    CellsFound: "online",
    Flip: "display",
    LearningSignals: "online",
    Lick: "hardware",
    TrialVerdict: "referee",
    Valve: "hardware",
    Wheel: "hardware",
}
"""The publisher of each type of message; the task publishes the types that are not listed."""


class Traffic:
    """An endless session of short trials."""

    def __init__(self, cells: int, tick_ms: int = 1, side_px: int = 1500) -> None:
        """Simulate the messages of a session.

        Args:
            cells: Number of cells.
            tick_ms: Time between two messages about the wheel and the position, ms.
            side_px: Height and width of the page that contains the cells, px.
        """
        self._cells, self._tick_ms, self._side_px = cells, tick_ms, side_px
        self._rng = np.random.default_rng(1)
        self._done: list[str] = []

    def between(self, begin_ms: int, end_ms: int) -> Iterator[Message]:
        """Yield the messages of each tick between two session times, ms."""
        for ms in range(begin_ms - begin_ms % -self._tick_ms, end_ms, self._tick_ms):
            yield from self._tick(ms)

    def next_trial_ms(self, ms: int) -> int:
        """Return the session time at which the next trial begins, ms."""
        return ms - ms % -_TRIAL_MS

    def found(self) -> CellsFound:
        """Return the masks of the cells: one run of three pixels per cell."""
        runs = np.zeros((self._cells, 4), "<u4")
        runs[:, 0] = np.arange(self._cells)
        runs[:, 1:3] = self._rng.integers(0, self._side_px - 3, (self._cells, 2))
        runs[:, 3] = 3
        return CellsFound(0, 0, 0, self._side_px, self._side_px, self._cells, runs.tobytes())

    def _tick(self, ms: int) -> Iterator[Message]:
        t, trial, into = ms * MS, ms // _TRIAL_MS, ms % _TRIAL_MS
        yield Wheel(t, ms, _SPEED_CM_S * ms / 1000)
        yield Position(t, trial, _SPEED_CM_S * into / 1e5, _SPEED_CM_S, True, "corridor")
        if self._is_due(into, 0):
            yield from self._turn(t, trial)
        if self._is_due(into, _CUE_MS):
            yield Cue(t, trial, _SPEED_CM_S * into / 1e5)
        if self._is_due(into, _REWARD_MS):
            yield Valve(t, trial + 1, "centre", 60.0, 3.0, t - MS)
        if self._is_due(ms % _LICK_MS, 0):
            yield Lick(t, "centre")
        if self._is_due(ms % _FLIP_MS, 0):
            yield Flip(t, ms // _FLIP_MS, _SPEED_CM_S * into / 1e5, t, t, False)
        if self._is_due(ms % _VOLUME_MS, 0):
            yield self._volume(t, ms // _VOLUME_MS, trial)
        if self._is_due(ms % _BEAT_MS, 0):
            yield Heartbeat(t, True)

    def _is_due(self, now_ms: int, due_ms: int) -> bool:
        return due_ms <= now_ms < due_ms + self._tick_ms

    def _turn(self, t: int, trial: int) -> Iterator[Message]:
        """End a trial and start the next one."""
        if trial > 0:
            yield TrialEnd(t, trial - 1, "done")
            yield TrialVerdict(t, trial - 1, ())
            self._done.append(STIMULI[(trial - 1) % 2])
            yield self._learning(t, trial - 1)
        stimulus, rewarded = STIMULI[trial % 2], trial % 2 == 0
        mode: Literal["active", "none"] = "active" if rewarded else "none"
        yield TrialStart(t, trial, stimulus, None, rewarded, 4.0, 2.0, 2.0, mode, 0.0)

    def _volume(self, t: int, frame: int, trial: int) -> CellSignals:
        fractions = self._rng.random(_AREA_GROUPS * _SIGNS * _THRESHOLDS, np.float32)
        return CellSignals(
            t,
            frame,
            trial,
            STIMULI[trial % 2],
            0.0,
            True,
            self._floats(self._cells).tobytes(),
            0.2,
            fractions.tobytes(),
            motion=((0.3, -0.2, 0.9),),
        )

    def _learning(self, t: int, trial: int) -> LearningSignals:
        trials = len(self._done)
        return LearningSignals(
            t,
            trial,
            trials,
            False,
            (STIMULI,),
            self._floats(self._cells).tobytes(),
            b"",
            (self._cells,),
            (),
            predicting=self._floats(_AREA_GROUPS).tobytes(),
            ramp_by_position=self._floats(trials * 60).tobytes(),
            projections=self._floats(_AREAS * trials * 70).tobytes(),
            stimuli=tuple(self._done),
            similarity=self._floats(_AREAS * trials * 2).tobytes(),
        )

    def _floats(self, count: int) -> NDArray[np.float32]:
        return self._rng.standard_normal(count, np.float32)
