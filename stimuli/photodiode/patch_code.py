"""The code of the photodiode patch, from which the number of each display frame can be decoded.

**The code.** A maximal-length sequence of 2**20 - 1 bits contains every window of 20 bits (except
20 zeros) exactly once, so any 20 bits determine their position in it. The bits are shown as a
biphase mark code, with two frames per bit: the light changes at the beginning of every bit, and
once more in its middle if the bit is 1::

    bit        1     0     1     1
    frame     0 1   2 3   4 5   6 7
    light     # .   # #   . #   . #      (# bright, . dark)
    run       1 1    2    1 1   1 1

The light therefore changes at least every second frame, so that a comparator on a digital line can
follow it. The frames between two changes are a *run*, of one or two frames.

**Decoding.** A run of two frames is a 0, two runs of one frame are a 1. A frame that is shown for
too long makes its run longer but does not change the order of the runs; a frame that was never
shown shifts all later runs. So the decoder finds the offset between the recorded runs and those of
the code:

1. Where runs form bits, look up each window of 20 bits. If several successive windows give the same
   offset, the offset is certain: this is an *anchor*.
2. Join neighbouring anchors with the same offset; between them, frames were only shown for longer.
3. Extend each anchor to both sides while the runs have the lengths of the code, and remove a margin
   at the end, because a few runs fit any code by chance.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_ORDER, _TAP = 20, 3
"""The sequence is x[n] = x[n - 3] xor x[n - 20]: x**20 + x**3 + 1 is a primitive polynomial."""
_BITS = 2**_ORDER - 1
PERIOD_FRAMES = 2 * _BITS
"""Number of frames after which the code repeats (inverted): 9.7 h at 60 Hz, 4 h at 144 Hz."""
_SEED = 0b10011010111100010110
"""The first 20 bits of the sequence; any value except 0 is possible."""
_MIN_WINDOWS = 12
"""Smallest number of successive windows with the same offset that form an anchor."""
_MARGIN_RUNS = 24
"""Number of runs left out on both sides of a change of offset, as they may fit by chance."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class PatchReading(NamedTuple):
    """The decoded frames, in order of time."""

    number: Ints
    """Frame number, modulo PERIOD_FRAMES."""
    t_s: Floats
    """Time at which the frame appeared, seconds."""
    changed: NDArray[np.bool_]
    """True if the light changed with this frame; otherwise t_s is midway between two changes."""


class _Segment(NamedTuple):
    """The recorded runs from first to last (exclusive); run i is run i + offset of the code."""

    first: int
    last: int
    offset: int


class _Code(NamedTuple):
    """The whole code as tables."""

    levels: bytes
    """1 for each bright frame of a period."""
    run_start: Ints
    """Frame number at which each run begins."""
    run_length: Ints
    """Number of frames in each run: 1 or 2."""
    run_of_bit: Ints
    """The run at which each bit begins."""
    bit_of_window: Ints
    """The first bit of each window, by the window's 20 bits as a number; -1 for zeros."""


def encode(number: int) -> bool:
    """Return True if the patch is bright in frame `number` (0 or more)."""
    period, frame = divmod(number, PERIOD_FRAMES)
    return bool(_code().levels[frame]) != bool(period % 2)


class PatchDecoder:
    """The decoder of frame numbers from the recorded light of the patch."""

    def __init__(self, refresh_hz: float) -> None:
        self._refresh_hz = refresh_hz
        self._code = _code()

    def decode_trace(self, trace: Floats, sample_hz: float) -> PatchReading:
        """Decode a recorded photodiode trace: levels in any unit; the first sample is at 0 s.

        The trace is smoothed over a quarter of a frame. A change is detected when the level has
        crossed from the lower to the upper 40 % of its range, or back, so that noise causes none.
        """
        width = max(1, round(sample_hz / self._refresh_hz / 4))
        smooth = np.convolve(trace, np.full(width, 1 / width), mode="valid")
        dark, bright = np.percentile(smooth, [5, 95])
        low, high = dark + 0.4 * (bright - dark), dark + 0.6 * (bright - dark)
        certain = np.flatnonzero((smooth < low) | (smooth > high))
        side = smooth[certain] > high
        edges = certain[1:][side[1:] != side[:-1]]
        return self.decode_edges((edges + (width - 1) / 2) / sample_hz)

    def decode_edges(self, t_s: Floats) -> PatchReading:
        """Decode the times (s) at which the light changed, in order."""
        code = self._code
        seen = np.rint(np.diff(t_s) * self._refresh_hz).astype(np.int64)
        run = np.full(seen.size, -1)
        for first, last, offset in self._segments(seen):
            if first < last:
                run[first:last] = (np.arange(first, last) + offset) % code.run_length.size
        # In a run that is too short, one frame was never shown, and it is not known which one.
        known = np.flatnonzero((run >= 0) & (seen >= code.run_length[run]))
        first_frame = code.run_start[run[known]]
        # The second frame of a run of two appears midway, without a change of the light.
        second = known[(code.run_length[run[known]] == 2) & (seen[known] == 2)]
        number = np.concatenate([first_frame, code.run_start[run[second]] + 1])
        t = np.concatenate([t_s[known], (t_s[second] + t_s[second + 1]) / 2])
        changed = np.arange(number.size) < known.size
        order = np.argsort(t, kind="stable")
        return PatchReading(number[order], t[order], changed[order])

    def _segments(self, seen: Ints) -> list[_Segment]:
        """Return the segments with a known offset, from the lengths (frames) of recorded runs."""
        joined: list[_Segment] = []
        for anchor in self._anchors(seen):
            if joined and joined[-1].offset == anchor.offset:
                joined[-1] = joined[-1]._replace(last=anchor.last)
            else:
                joined.append(anchor)
        starts = [0, *(segment.last for segment in joined[:-1])]
        ends = [*(segment.first for segment in joined[1:]), seen.size]
        return [
            self._extend(seen, segment, start, end)
            for segment, start, end in zip(joined, starts, ends, strict=False)
        ]

    def _anchors(self, seen: Ints) -> list[_Segment]:
        """Return the segments whose offset is certain from windows of 20 bits."""
        code = self._code
        anchors = []
        for bits, runs in _read_bits(seen):
            if bits.size < _ORDER:
                continue
            windows = np.lib.stride_tricks.sliding_window_view(bits, _ORDER)
            bit = code.bit_of_window[windows @ (1 << np.arange(_ORDER - 1, -1, -1))]
            offset = (code.run_of_bit[bit] - runs[: bit.size]) % code.run_length.size
            offset = np.where(bit >= 0, offset, -1)
            ends = np.flatnonzero(np.diff(offset, append=-2)) + 1
            for begin, end in zip(np.r_[0, ends[:-1]], ends, strict=True):
                if end - begin > _MIN_WINDOWS and offset[begin] >= 0:
                    anchors.append(
                        _Segment(int(runs[begin]), int(runs[end - 1]), int(offset[begin]))
                    )
        return anchors

    def _extend(self, seen: Ints, segment: _Segment, start: int, end: int) -> _Segment:
        """Extend a segment down to `start` and up to `end`, as far as the code continues.

        At the two ends of the recording no margin is needed.
        """
        before = self._mismatches(seen, start, segment.first, segment.offset)
        if before.size:
            first = start + int(before[-1]) + 1 + _MARGIN_RUNS
        else:
            first = start if start == 0 else start + _MARGIN_RUNS
        after = self._mismatches(seen, segment.last, end, segment.offset)
        if after.size:
            last = segment.last + int(after[0]) - _MARGIN_RUNS
        else:
            last = end if end == seen.size else end - _MARGIN_RUNS
        return _Segment(first, last, segment.offset)

    def _mismatches(self, seen: Ints, first: int, last: int, offset: int) -> Ints:
        """Return the indices (from first) of the runs whose length differs from the code's."""
        length = self._code.run_length
        expected = length[(np.arange(first, last) + offset) % length.size]
        return np.flatnonzero(seen[first:last] != expected)


def _read_bits(seen: Ints) -> list[tuple[Ints, Ints]]:
    """Convert runs of one and two frames to bits.

    Returns:
        For each sequence without an impossible run: its bits, and the run at which each begins.
    """
    stretches, bits, runs = [], [], []
    lengths = seen.tolist()
    run = 0
    while run < len(lengths):
        if lengths[run] == 2:
            bits.append(0)
            runs.append(run)
            run += 1
        elif lengths[run] == 1 and run + 1 < len(lengths) and lengths[run + 1] == 1:
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
def _code() -> _Code:
    """Compute the tables of the code (a few tens of ms)."""
    bits = _sequence()
    changes = np.column_stack([np.ones(_BITS, np.uint8), bits]).ravel()
    run_start = np.flatnonzero(changes)
    return _Code(
        levels=np.bitwise_xor.accumulate(changes).tobytes(),
        run_start=run_start,
        run_length=np.diff(run_start, append=PERIOD_FRAMES),
        run_of_bit=np.cumsum(changes, dtype=np.int64)[::2] - 1,
        bit_of_window=_bit_of_window(bits),
    )


def _sequence() -> NDArray[np.uint8]:
    """Return the maximal-length sequence, computed in blocks that double in size.

    Squaring a polynomial over GF(2) squares each of its terms, so that also
    x[n] = x[n - 3 k] xor x[n - 20 k] for every power of two k. With the largest k for which
    20 k bits are known, 3 k new bits follow at once.
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


def _bit_of_window(bits: NDArray[np.uint8]) -> Ints:
    circular = np.concatenate([bits, bits[: _ORDER - 1]]).astype(np.int64)
    windows = np.zeros(_BITS, np.int64)
    for shift in range(_ORDER):
        windows = 2 * windows + circular[shift : shift + _BITS]
    first_bit = np.full(2**_ORDER, -1)
    first_bit[windows] = np.arange(_BITS)
    return first_bit
