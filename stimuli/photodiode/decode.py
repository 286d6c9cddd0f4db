"""Match the frames that a photodiode saw with the flips of a session."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rig.errors import Refused
from rig.messages import Flip
from stimuli.photodiode.patch_code import PERIOD_FRAMES, Floats, Ints, PatchDecoder, PatchReading

_MIN_MATCHED = 0.9
"""Smallest fraction of the decoded frames that must be flips of the session."""


class MatchedFlips(NamedTuple):
    """Flips whose light was seen, in order of time."""

    flip_index: Ints
    """Index of the flip in the list of flips."""
    seen_s: Floats
    """Time of the flip's light on the clock of the recorder, s."""
    flip_s: Floats
    """Time of the flip on the session's clock, s."""
    exact: NDArray[np.bool_]
    """True if the light changed with the flip; otherwise seen_s is interpolated."""


class ClockFit(NamedTuple):
    """The line session time = begin_s + rate * recorder time."""

    begin_s: float
    rate: float
    residual_ms: float
    """99th percentile of the absolute residual, over the exact flips."""


def match_edges(edges_s: Floats, flips: list[Flip], refresh_hz: float) -> MatchedFlips:
    """Match the times (s) at which a digital line changed with flips.

    Raises:
        Refused: Too few of the frames match.
    """
    return _match(PatchDecoder(refresh_hz).decode_edges(edges_s), flips)


def match_trace(
    trace: Floats, sample_hz: float, flips: list[Flip], refresh_hz: float
) -> MatchedFlips:
    """Match a recorded trace of photodiode levels with flips.

    Raises:
        Refused: The trace is not usable, or too few of the frames match.
    """
    if trace.size < sample_hz or not np.isfinite(trace).all():
        raise Refused(
            "the trace is shorter than a second or contains values that are not numbers; check "
            "the file"
        )
    return _match(PatchDecoder(refresh_hz).decode_trace(trace, sample_hz), flips)


def fit_clock(matched: MatchedFlips) -> ClockFit:
    """Fit the recorder's clock to the session's, by least squares over the exact flips."""
    seen_s, flip_s = matched.seen_s[matched.exact], matched.flip_s[matched.exact]
    rate, begin_s = np.polyfit(seen_s, flip_s, 1)
    residual_s = np.abs(begin_s + rate * seen_s - flip_s)
    return ClockFit(float(begin_s), float(rate), float(np.percentile(residual_s, 99)) * 1e3)


def _match(seen: PatchReading, flips: list[Flip]) -> MatchedFlips:
    if not flips:
        raise Refused("the session's log has no flip, so nothing was shown; check the folder")
    numbers = np.array([flip.number for flip in flips], np.int64) % PERIOD_FRAMES
    order = np.argsort(numbers)
    index = order[np.clip(np.searchsorted(numbers[order], seen.number), 0, numbers.size - 1)]
    known = numbers[index] == seen.number
    if known.sum() < max(2, _MIN_MATCHED * seen.number.size):
        raise Refused(
            f"{known.sum()} of the {seen.number.size} frames that could be decoded belong to this "
            "session; check the trace, its sampling rate, and that the photodiode was on the patch"
        )
    flip_s = np.array([flip.t for flip in flips], float) / 1e9
    return MatchedFlips(index[known], seen.t_s[known], flip_s[index[known]], seen.changed[known])
