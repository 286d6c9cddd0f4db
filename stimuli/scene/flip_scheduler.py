"""When to draw and when to flip, so that the newest position is drawn as late as it can be."""

from typing import NamedTuple

_MARGIN_NS = 1_000_000
"""Kept free between the end of most drawings and the flip."""
_UP_NS, _DOWN_NS = 190_000, 10_000
"""How the foreseen drawing time follows the drawings: it settles where 1 in 20 takes longer."""


class Kept(NamedTuple):
    """Whether a flip was late, and in how many refreshes the picture before it stayed up."""

    late: bool
    dropped: int


class FlipScheduler:
    """Foresees flips a period apart: a screen's own refresh, or, where it has none, a clock's."""

    def __init__(self, refresh_hz: float, vblank: bool) -> None:
        self.period_ns = round(1e9 / refresh_hz)
        self.flip_due: int | None = None
        """When the next flip is to be (ns of the session); None before the first."""
        self._vblank = vblank
        self._flipped: int | None = None
        self._drawing_ns = self.period_ns // 4
        # A clock waits for a drawing that takes longer, at the same rate; a refresh does not.
        self._longest_ns = self.period_ns if vblank else self.period_ns // 2 - _MARGIN_NS

    def draw_due(self) -> int:
        """Return when to read the position and draw, for the next flip."""
        assert self.flip_due is not None, "there was no flip yet"
        return self.flip_due - min(self._drawing_ns + _MARGIN_NS, self.period_ns)

    def wait_ns(self, now: int) -> int:
        """Return how long a screen without a refresh of its own waits before it flips."""
        return 0 if self.flip_due is None else max(0, self.flip_due - now)

    def drawn(self, took_ns: int) -> None:
        """Learn from how long a drawing took."""
        self._drawing_ns += _UP_NS if took_ns > self._drawing_ns else -_DOWN_NS
        self._drawing_ns = min(max(self._drawing_ns, 0), self._longest_ns)

    def flipped(self, t: int) -> Kept:
        """Take the moment of a flip; foresee the next one."""
        interval = self.period_ns if self._flipped is None else t - self._flipped
        self._flipped = t
        in_step = self.flip_due is not None and abs(t - self.flip_due) < self.period_ns // 2
        if self._vblank or self.flip_due is None:
            self.flip_due = t + self.period_ns
        elif not in_step:  # draw again at once
            self.flip_due = t + self._drawing_ns + _MARGIN_NS
        else:
            self.flip_due += self.period_ns
        dropped = max(0, round(interval / self.period_ns) - 1)
        return Kept(interval > 1.5 * self.period_ns, dropped)
