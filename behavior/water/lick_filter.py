"""Separate licks from bounces of the sensor, and detect a lick line that is stuck or noisy."""

from collections import deque
from typing import Annotated

import msgspec

_SECOND_NS = 1_000_000_000


class LickLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The [nodes.hardware.licks] table: the limits of what a mouse's tongue can do."""

    debounce_ms: Annotated[float, msgspec.Meta(ge=0, le=100)] = 30.0
    """Shortest time from a touch or an onset to a lick, ms; an earlier onset is a bounce."""
    max_per_s: Annotated[int, msgspec.Meta(ge=15, le=1000)] = 50
    """Largest number of onsets per second, including bounces; a line with more is noisy."""
    stuck_ms: Annotated[float, msgspec.Meta(ge=200, le=60_000)] = 1500.0
    """Longest touch that is a lick, ms; a longer touch is a wet sensor or a paw."""
    quiet_s: Annotated[float, msgspec.Meta(ge=1, le=600)] = 10.0
    """A faulty line is used again after this time without a touch, s."""


class LickFilter:
    """The filter of one lick line.

    After a fault (stuck or noisy), onsets are ignored until the line has been quiet for `quiet_s`.
    """

    def __init__(self, name: str, limits: LickLimits) -> None:
        self.healthy = True
        """False from a fault until the line has been quiet for long enough."""
        self._name, self._limits = name, limits
        self._recent: deque[int] = deque()
        self._last_touch: int | None = None

    def trusts_next(self, now: int) -> bool:
        """Return True if an onset at `now` (ns) would be a lick: no fault, and not a bounce."""
        return self.healthy and self._is_after_bounce(now)

    def accept(self, onsets: list[int]) -> list[int]:
        """Return the onsets (ns, in order) that are licks."""
        licks = []
        for t in onsets:
            is_new = self._is_after_bounce(t)
            self._recent.append(t)
            self._last_touch = t
            while t - self._recent[0] >= _SECOND_NS:
                self._recent.popleft()
            plausible = len(self._recent) <= self._limits.max_per_s
            if self.healthy and is_new and plausible:
                licks.append(t)
        return licks

    def check(self, touched_since: int | None, now: int) -> str | None:
        """Check if a fault of the line begins or ends.

        Args:
            touched_since: Start of the current touch, ns; None if the spout is not touched.
            now: Current time, ns.

        Returns:
            One sentence when a fault begins; otherwise None.
        """
        if touched_since is not None:
            self._last_touch = now
        fault = self._find_fault(touched_since, now)
        if fault is not None and self.healthy:
            self.healthy = False
            return (
                f"lick line {self._name} {fault}; dry the spout and check its wires: it gives no "
                f"water until it has been untouched for {self._limits.quiet_s:g} s"
            )
        quiet_ns = now - (self._last_touch or 0)
        if not self.healthy and quiet_ns >= self._limits.quiet_s * 1e9:
            self.healthy = True
            self._recent.clear()
        return None

    def _is_after_bounce(self, t: int) -> bool:
        last = self._last_touch
        return last is None or t - last >= self._limits.debounce_ms * 1e6

    def _find_fault(self, touched_since: int | None, now: int) -> str | None:
        limits = self._limits
        if len(self._recent) > limits.max_per_s:
            return f"is noisy: more than {limits.max_per_s} touches in a second"
        if touched_since is not None and now - touched_since > limits.stuck_ms * 1e6:
            return f"is stuck: touched for {(now - touched_since) / 1e9:.1f} s without a break"
        return None
