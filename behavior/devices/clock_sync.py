"""A device's own clock against the host's, fitted from questions and answers; pure.

The device stamps its answer at some moment between the question and its arrival: the middle is
right to half of that time, whatever delays are in between. So the quickest answers count most.
"""

from collections import deque

import msgspec

_SECOND_NS = 1_000_000_000
_KEPT_S = 60
"""A line through so many seconds: long enough for a steady rate, short enough for a crystal that
warms up."""
_RATE_AFTER_S = 2
"""Before so many seconds are there, the device's seconds are taken for true ones."""


class _Pair(msgspec.Struct, frozen=True):
    """The device's clock at a moment of the host's, and how long the answer took; all ns."""

    device: int
    host: int
    took: int


class Residual(msgspec.Struct, frozen=True):
    """How far a second's best answer was from what the fit had foretold, ns."""

    host: int
    device: int
    residual_ns: int


class DeviceClock:
    """Tells when a moment of the device was, by the host's clock."""

    def __init__(self) -> None:
        self._best: deque[_Pair] = deque(maxlen=_KEPT_S)
        self._rate = 1.0
        self._origin: _Pair | None = None
        self.latest = 0
        """The device's time (ns) of the last answer."""

    def add_exchange(self, asked: int, device: int, answered: int) -> Residual | None:
        """Take an answer stamped `device`, to a question at `asked`, that came at `answered` (ns).

        Once a second, returns how good the fit was at foretelling the best of the second before.
        """
        self.latest = device
        pair = _Pair(device, (asked + answered) // 2, answered - asked)
        last = self._best[-1] if self._best else None
        if last is not None and last.device // _SECOND_NS == device // _SECOND_NS:
            if pair.took < last.took:
                self._best[-1] = pair
                if len(self._best) == 1:
                    self._fit()
            return None
        told = None
        if last is not None and len(self._best) > 1:
            told = Residual(last.host, last.device, last.host - self.host_ns(last.device))
        self._fit()
        self._best.append(pair)
        if self._origin is None:
            self._fit()
        return told

    def host_ns(self, device: int) -> int:
        """Return the host's time (ns) at that time of the device (ns). Raises if it is unknown."""
        if self._origin is None:
            raise ValueError("the device's clock was never asked")
        return self._origin.host + round((device - self._origin.device) * self._rate)

    def _fit(self) -> None:
        """Lay a line through the pairs, weighted by how sure each is."""
        if not self._best:
            return
        last = self._best[-1]
        # times from the last pair on: small enough that a float holds them to the nanosecond
        points = [
            (pair.device - last.device, pair.host - last.host, 1.0 / max(pair.took, 1) ** 2)
            for pair in self._best
        ]
        weight = sum(w for _, _, w in points)
        x_mean = sum(w * x for x, _, w in points) / weight
        y_mean = sum(w * y for _, y, w in points) / weight
        spread = sum(w * (x - x_mean) ** 2 for x, _, w in points)
        self._rate = 1.0
        if last.device - self._best[0].device >= _RATE_AFTER_S * _SECOND_NS and spread > 0.0:
            slant = sum(w * (x - x_mean) * (y - y_mean) for x, y, w in points)
            self._rate = slant / spread
        at = round(x_mean)
        host = last.host + round(y_mean + (at - x_mean) * self._rate)
        self._origin = _Pair(last.device + at, host, last.took)
