"""Whether a lick line tells of licks: bounces are one lick, a stuck or noisy line tells of none."""

from collections import deque
from typing import Annotated

import msgspec

_SECOND_NS = 1_000_000_000


class LickLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The [nodes.hardware.licks] table: what a mouse's tongue can do, and a line cannot."""

    debounce_ms: Annotated[float, msgspec.Meta(ge=0, le=100)] = 30.0
    """An onset so soon after a touch, or after another onset, is a bounce of it."""
    max_per_s: Annotated[int, msgspec.Meta(ge=15, le=1000)] = 50
    """More onsets than that in a second, bounces too, are noise."""
    stuck_ms: Annotated[float, msgspec.Meta(ge=200, le=60_000)] = 1500.0
    """A touch that lasts longer is no touch: wet wires, or a paw."""
    quiet_s: Annotated[float, msgspec.Meta(ge=1, le=600)] = 10.0
    """A line that went wrong is believed again after so long without a touch."""


class LickFilter:
    """One lick line. What it tells after it went wrong is no lick, until it has been quiet."""

    def __init__(self, name: str, limits: LickLimits) -> None:
        self.sound = True
        """Whether the line can be believed."""
        self._name, self._limits = name, limits
        self._recent: deque[int] = deque()
        self._last_touch: int | None = None

    def believed(self, now: int) -> bool:
        """Return whether the next onset will be a lick: the line is sound and nothing bounces."""
        return self.sound and self._is_fresh(now)

    def take(self, onsets: list[int]) -> list[int]:
        """Return those onsets (ns, in order) that are licks."""
        licks = []
        for t in onsets:
            fresh = self._is_fresh(t)
            self._recent.append(t)
            self._last_touch = t
            while t - self._recent[0] >= _SECOND_NS:
                self._recent.popleft()
            plausible = len(self._recent) <= self._limits.max_per_s
            if self.sound and fresh and plausible:
                licks.append(t)
        return licks

    def look(self, touched_since: int | None, now: int) -> str:
        """Return what has gone wrong since the last look, in one sentence, or ""."""
        if touched_since is not None:
            self._last_touch = now
        wrong = self._wrong(touched_since, now)
        if wrong and self.sound:
            self.sound = False
            return (
                f"lick line {self._name} {wrong}: dry the spout and look at its wires; it gives "
                f"no water until nothing has touched it for {self._limits.quiet_s:g} s"
            )
        quiet_ns = now - (self._last_touch or 0)
        if not self.sound and quiet_ns >= self._limits.quiet_s * 1e9:
            self.sound = True
            self._recent.clear()
        return ""

    def _is_fresh(self, t: int) -> bool:
        """Whether an onset at t (ns) is no bounce of the last touch."""
        last = self._last_touch
        return last is None or t - last >= self._limits.debounce_ms * 1e6

    def _wrong(self, touched_since: int | None, now: int) -> str:
        limits = self._limits
        if len(self._recent) > limits.max_per_s:
            return f"told of more than {limits.max_per_s} touches in a second"
        if touched_since is not None and now - touched_since > limits.stuck_ms * 1e6:
            return f"has been touched for {(now - touched_since) / 1e9:.1f} s without a break"
        return ""
