"""Which pictures a photodiode saw when, laid on the flips of the session: by light alone."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rig.errors import Refused
from rig.messages import Flip
from stimuli.photodiode.patch_code import (
    PERIOD_FRAMES,
    Floats,
    Ints,
    PatchReading,
    decode,
    decode_edges,
)


class Lit(NamedTuple):
    """Pictures whose light was seen: place among the flips, when it was seen, and when flipped.

    seen_s is by the clock of whoever saw it, flip_s by the session's; exact where light changed.
    """

    at: Ints
    seen_s: Floats
    flip_s: Floats
    exact: NDArray[np.bool_]


class Clock(NamedTuple):
    """A line through what was seen and what was flipped: session = begin_s + rate * seen."""

    begin_s: float
    rate: float
    off_ms: float
    """By how much the worst one in a hundred of the exact pictures is off that line."""


def by_edges(edges_s: Floats, flips: list[Flip], refresh_hz: float) -> Lit:
    """Read the pictures off the times at which a line changed. Raises Refused if none is there."""
    return _laid_on(decode_edges(edges_s, refresh_hz), flips)


def by_trace(trace: Floats, sample_hz: float, flips: list[Flip], refresh_hz: float) -> Lit:
    """Read the pictures off a trace of levels. Raises Refused if none is there."""
    if trace.size < sample_hz or not np.isfinite(trace).all():
        raise Refused("the trace is shorter than a second, or holds what is no number; record anew")
    return _laid_on(decode(trace, sample_hz, refresh_hz), flips)


def clock(lit: Lit) -> Clock:
    """Lay a line through the pictures whose moment is exact."""
    seen_s, flip_s = lit.seen_s[lit.exact], lit.flip_s[lit.exact]
    rate, begin_s = np.polyfit(seen_s, flip_s, 1)
    off_s = np.abs(begin_s + rate * seen_s - flip_s)
    return Clock(float(begin_s), float(rate), float(np.percentile(off_s, 99)) * 1e3)


def _laid_on(seen: PatchReading, flips: list[Flip]) -> Lit:
    if not flips:
        raise Refused("this session showed no picture: its log has no flip; check the folder")
    numbers = np.array([flip.number for flip in flips], np.int64) % PERIOD_FRAMES
    order = np.argsort(numbers)
    at = order[np.clip(np.searchsorted(numbers[order], seen.number), 0, numbers.size - 1)]
    known = numbers[at] == seen.number
    if known.sum() < max(2, 0.9 * seen.number.size):
        raise Refused(
            f"of {seen.number.size} pictures that could be read off the light {known.sum()} are of "
            "this session; check the trace, its samples a second, and that the photodiode sat on "
            "the patch"
        )
    flip_s = np.array([flip.t for flip in flips], float) / 1e9
    return Lit(at[known], seen.t_s[known], flip_s[at[known]], seen.changed[known])
