"""The photodiode's patch: a code of light in which a trace alone tells the number of each frame.

The bits of a maximal-length sequence, each two frames long: the light changes at every bit's
beginning, and once more in its middle if the bit is 1. So it changes at least every second frame,
a comparator on a digital line can follow it, and twenty bits anywhere tell where they stand.
A frame that stays longer lengthens its run of light but keeps its place in the order of runs.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_ORDER, _TAP = 20, 3
_BITS = 2**_ORDER - 1
PERIOD_FRAMES = 2 * _BITS
"""After so many frames the numbers begin again: 9.7 hours at 60 Hz, 4 at 144."""
_SEED = 0b10011010111100010110
_PROOF = 12
"""So many windows in a row must name one place before it is believed."""
_DOUBT = 24
"""So many runs on either side of a slip are left out: they may fit the code by chance."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class PatchReading(NamedTuple):
    """Frames that were seen: number (modulo PERIOD_FRAMES), time (s), and whether light changed.

    Where it did not change with a frame, its time is the middle between two changes.
    """

    number: Ints
    t_s: Floats
    changed: NDArray[np.bool_]


def encode(number: int) -> bool:
    """Return whether the patch is bright in the frame of that number (0 or more)."""
    turn, at = divmod(number, PERIOD_FRAMES)
    return bool(_levels()[at]) != bool(turn % 2)


def decode(trace: Floats, sample_hz: float, refresh_hz: float) -> PatchReading:
    """Return the frames that a photodiode saw: levels in any unit, the first at 0 s."""
    width = max(1, round(sample_hz / refresh_hz / 4))
    smooth = np.convolve(trace, np.full(width, 1 / width), mode="valid")
    dark, bright = np.percentile(smooth, [5, 95])
    low, high = dark + 0.4 * (bright - dark), dark + 0.6 * (bright - dark)
    sure = np.flatnonzero((smooth < low) | (smooth > high))
    side = smooth[sure] > high
    edges = sure[1:][side[1:] != side[:-1]]
    return decode_edges((edges + (width - 1) / 2) / sample_hz, refresh_hz)


def decode_edges(t_s: Floats, refresh_hz: float) -> PatchReading:
    """Return the frames seen from the times alone at which the light changed, in order."""
    starts, lengths, _ = _runs()
    held = np.rint(np.diff(t_s) * refresh_hz).astype(np.int64)
    run = np.full(held.size, -1)
    for first, last, shift in _stretches(held):
        if first < last:
            run[first:last] = (np.arange(first, last) + shift) % starts.size
    # In a run that was too short a frame never came up, and none can say which.
    known = np.flatnonzero((run >= 0) & (held >= lengths[run]))
    begun = starts[run[known]]
    halves = known[(lengths[run[known]] == 2) & (held[known] == 2)]
    number = np.concatenate([begun, starts[run[halves]] + 1])
    t = np.concatenate([t_s[known], (t_s[halves] + t_s[halves + 1]) / 2])
    changed = np.arange(number.size) < known.size
    order = np.argsort(t, kind="stable")
    return PatchReading(number[order], t[order], changed[order])


def _stretches(held: Ints) -> list[tuple[int, int, int]]:
    """Return where runs were recognised: from, to, and how far on in the code."""
    joined: list[tuple[int, int, int]] = []
    for first, last, shift in _anchors(held):
        if joined and joined[-1][2] == shift:  # nothing was lost in between: only frames held
            joined[-1] = (joined[-1][0], last, shift)
        else:
            joined.append((first, last, shift))
    if not joined:
        return []
    froms = [0, *(last for _, last, _ in joined[:-1])]
    tos = [*(first for first, _, _ in joined[1:]), held.size]
    return [
        (_since(held, first, floor, shift), _until(held, last, ceiling, shift), shift)
        for (first, last, shift), floor, ceiling in zip(joined, froms, tos, strict=True)
    ]


def _since(held: Ints, first: int, floor: int, shift: int) -> int:
    """Return from where on the runs went as the code does, looking back from `first`."""
    differ = _differing(held, floor, first, shift)
    if differ.size == 0:
        return floor if floor == 0 else floor + _DOUBT
    return floor + int(differ[-1]) + 1 + _DOUBT


def _until(held: Ints, last: int, ceiling: int, shift: int) -> int:
    """Return up to where the runs go on as the code does, looking on from `last`."""
    differ = _differing(held, last, ceiling, shift)
    if differ.size == 0:
        return ceiling if ceiling == held.size else ceiling - _DOUBT
    return last + int(differ[0]) - _DOUBT


def _differing(held: Ints, first: int, last: int, shift: int) -> Ints:
    _, lengths, _ = _runs()
    expected = lengths[(np.arange(first, last) + shift) % lengths.size]
    return np.flatnonzero(held[first:last] != expected)


def _anchors(held: Ints) -> list[tuple[int, int, int]]:
    """Return the stretches of runs whose bits prove their place: from, to, shift."""
    starts, _, run_of_bit = _runs()
    places = _places()
    anchors = []
    for bits, runs in _read(held):
        if bits.size < _ORDER:
            continue
        windows = np.lib.stride_tricks.sliding_window_view(bits, _ORDER)
        at = places[windows @ (1 << np.arange(_ORDER - 1, -1, -1))]
        shift = np.where(at >= 0, (run_of_bit[at] - runs[: at.size]) % starts.size, -1)
        ends = np.flatnonzero(np.diff(shift, append=-2)) + 1
        for begin, end in zip(np.r_[0, ends[:-1]], ends, strict=True):
            if end - begin > _PROOF and shift[begin] >= 0:
                anchors.append((int(runs[begin]), int(runs[end - 1]), int(shift[begin])))
    return anchors


def _read(held: Ints) -> list[tuple[Ints, Ints]]:
    """Read runs of one and two frames as bits; a stretch ends where they make none.

    Returns for each stretch its bits, and at which run each begins.
    """
    stretches, bits, runs = [], [], []
    frames = held.tolist()
    run = 0
    while run < len(frames):
        if frames[run] == 2:
            bits.append(0)
            runs.append(run)
            run += 1
        elif frames[run] == 1 and run + 1 < len(frames) and frames[run + 1] == 1:
            bits.append(1)
            runs.append(run)
            run += 2
        else:
            stretches.append((np.array(bits, np.int64), np.array(runs, np.int64)))
            bits, runs = [], []
            run += 1
    stretches.append((np.array(bits, np.int64), np.array(runs, np.int64)))
    return stretches


@cache
def _sequence() -> NDArray[np.uint8]:
    """Return the sequence x[n] = x[n - 3] xor x[n - 20], which visits all windows but zeros.

    So too x[n] = x[n - 3 k] xor x[n - 20 k] for k a power of two, which makes it quick.
    """
    bits = np.zeros(_BITS, np.uint8)
    bits[:_ORDER] = [int(bit) for bit in f"{_SEED:b}"]
    done = _ORDER
    while done < _BITS:
        k = 2 ** int(np.log2(done // _ORDER))
        new = min(_TAP * k, _BITS - done)
        near, far = done - _TAP * k, done - _ORDER * k
        bits[done : done + new] = bits[near : near + new] ^ bits[far : far + new]
        done += new
    return bits


@cache
def _changes() -> NDArray[np.uint8]:
    return np.column_stack([np.ones(_BITS, np.uint8), _sequence()]).ravel()


@cache
def _levels() -> bytes:
    return np.bitwise_xor.accumulate(_changes()).tobytes()


@cache
def _runs() -> tuple[Ints, Ints, Ints]:
    """Return each run's first frame and its frames, and the run that each bit begins with."""
    changes = _changes()
    starts = np.flatnonzero(changes)
    lengths = np.diff(starts, append=PERIOD_FRAMES)
    return starts, lengths, np.cumsum(changes, dtype=np.int64)[::2] - 1


@cache
def _places() -> Ints:
    """Return by the number that twenty bits make where in the sequence they stand."""
    bits = _sequence().astype(np.int64)
    around = np.concatenate([bits, bits[: _ORDER - 1]])
    windows = np.zeros(_BITS, np.int64)
    for shift in range(_ORDER):
        windows = 2 * windows + around[shift : shift + _BITS]
    places = np.full(2**_ORDER, -1)
    places[windows] = np.arange(_BITS)
    return places
