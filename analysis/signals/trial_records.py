"""The stimulus, cue and licks of each completed trial."""

from dataclasses import dataclass

from rig.messages import TrialStart

ZONE_M = (2.0, 4.0)
"""Reward zone of a corridor without a cue, m: bins 20-40."""


@dataclass(frozen=True)
class PlacedLick:
    """A lick, and the position at its time."""

    t: int
    trial: int
    position_m: float


@dataclass(frozen=True)
class TrialRecord:
    """A completed trial."""

    trial: int
    stimulus: str
    cue_t: float
    """Time of the cue, ns; NaN if there was none."""
    cue_m: float
    """Position of the cue, m; NaN if there was none."""
    lick_t: float
    """Time of the first lick, ns; NaN if there was none."""
    responded: bool
    """True if there was a lick response."""
    licked: bool
    """True if there was a lick in the texture, whatever the reward mode."""


def record_of(
    start: TrialStart, cue: tuple[int, float] | None, licks: list[PlacedLick]
) -> TrialRecord:
    """Return the record of a trial.

    Args:
        start: The start of the trial.
        cue: Time (ns) and position (m) of its cue; None if there was none.
        licks: The licks of the trial.
    """
    own = sorted((lick for lick in licks if lick.trial == start.trial), key=lambda lick: lick.t)
    return TrialRecord(
        start.trial,
        start.stimulus,
        float("nan") if cue is None else float(cue[0]),
        float("nan") if cue is None else cue[1],
        float(own[0].t) if own else float("nan"),
        any(_is_response(start, cue, lick) for lick in own),
        any(0.0 <= lick.position_m < start.texture_m for lick in own),
    )


def _is_response(start: TrialStart, cue: tuple[int, float] | None, lick: PlacedLick) -> bool:
    """Return True if a lick is a lick response.

    It is if the lick is before the end of the reward delay after the cue (passive mode), or in the
    texture (other modes).
    In a corridor without a cue, the lick must be in the reward zone.
    """
    if lick.t < start.t:
        return False
    if start.cue_position_m is None:
        return ZONE_M[0] <= lick.position_m < ZONE_M[1]
    if start.reward_mode == "passive":
        return cue is not None and lick.t <= cue[0] + start.reward_delay_ms * 1e6
    return lick.position_m < start.texture_m
