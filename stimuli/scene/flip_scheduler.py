"""Choose when to draw and when to flip, so that each frame shows the newest possible position."""

from typing import NamedTuple

_MARGIN_NS = 1_000_000
"""Reserve between the expected end of drawing and the flip, ns."""
_RISE_NS, _FALL_NS = 190_000, 10_000
"""Steps by which the expected drawing time is increased or decreased after each drawing, ns.

The increase is 19 times the decrease, so 1 drawing in 20 takes longer than expected.
"""


class FlipTiming(NamedTuple):
    """Whether a flip was late, and for how many extra refreshes the previous frame was shown."""

    late: bool
    dropped: int


class FlipScheduler:
    """The prediction of flips, one period apart.

    With vertical sync, the screen sets the time of a flip, and the next flip is expected one period
    later. Otherwise the flips follow our own clock.
    """

    def __init__(self, refresh_hz: float, vblank: bool) -> None:
        self.period_ns = round(1e9 / refresh_hz)
        self.flip_due: int | None = None
        """Session time (ns) at which the next flip is due; None before the first flip."""
        self._vblank = vblank
        self._flipped: int | None = None
        self._drawing_ns = self.period_ns // 4
        # With our own clock, a flip waits for a slow drawing, so drawing may start late. A refresh
        # of the screen does not wait.
        self._max_drawing_ns = self.period_ns if vblank else self.period_ns // 2 - _MARGIN_NS

    def draw_due(self) -> int:
        """Return the session time (ns) at which to read the position and draw the next frame."""
        assert self.flip_due is not None, "there was no flip yet"
        return self.flip_due - min(self._drawing_ns + _MARGIN_NS, self.period_ns)

    def wait_ns(self, now: int) -> int:
        """Return how long (ns) a screen without vertical sync waits before it flips."""
        return 0 if self.flip_due is None else max(0, self.flip_due - now)

    def record_drawing(self, took_ns: int) -> None:
        """Update the expected drawing time after a drawing that took took_ns."""
        self._drawing_ns += _RISE_NS if took_ns > self._drawing_ns else -_FALL_NS
        self._drawing_ns = min(max(self._drawing_ns, 0), self._max_drawing_ns)

    def record_flip(self, t: int) -> FlipTiming:
        """Record the time of a flip and predict the next one."""
        interval = self.period_ns if self._flipped is None else t - self._flipped
        self._flipped = t
        on_time = self.flip_due is not None and abs(t - self.flip_due) < self.period_ns // 2
        if self._vblank or self.flip_due is None:
            self.flip_due = t + self.period_ns
        elif on_time:
            self.flip_due += self.period_ns
        else:  # draw again at once
            self.flip_due = t + self._drawing_ns + _MARGIN_NS
        dropped = max(0, round(interval / self.period_ns) - 1)
        return FlipTiming(interval > 1.5 * self.period_ns, dropped)
