"""Convert a device's own time to the host's time, from exchanges of a question and its answer.

The device stamps its answer at some moment between the question and the arrival of the answer.
Taking the middle of the two as that moment has an error of at most half the time between them,
whatever the delays are, so the quickest answers have the largest weights. This module does no input
or output: the caller asks the device.

The clock of a device may be set while it runs (a synchronizer is plugged in, the device is reset).
This is detected in two ways:

- an exchange contradicts the fit: converted by the fit, the device's stamp is not between question
  and answer;
- an event is implausible: by the fit it is later than its arrival, or its stamp is earlier than
  that of the event before it. The caller then makes new exchanges, which show if the clock was set.
  Where events are rare (`rare_events`), an event long before its arrival is implausible, too.

After a step of the clock the fit starts again. Steps below `tolerance_ns` are not detected; the fit
follows them within a minute.
"""

import math
from collections import deque

import msgspec

_SECOND_NS = 1_000_000_000
_KEPT_S = 60
"""Length of the fit, s: long enough for a precise rate, short enough while a crystal warms up."""
_RATE_AFTER_S = 2
"""The device's rate is fitted only after this time, s; before it, the last rate is used."""
TOLERANCE_NS = 10_000_000
"""Largest error of the fit that counts as normal, in addition to that of slow exchanges, ns."""
_RECHECK_NS = 100_000_000
"""After exchanges without a step, implausible events cause no new exchanges for this time, ns."""
_LATENCY_NS = 20_000_000
"""Longest time from an event to its arrival that counts as normal, ns."""
_WORST_RATE = 0.006
"""Largest relative error of a device's rate before it is fitted (ceramic resonators: 0.005)."""


class _Pair(msgspec.Struct, frozen=True):
    """One exchange: the device's time, the host's time, and how long the exchange took; all ns."""

    device: int
    host: int
    took: int


class _Replaced(msgspec.Struct, frozen=True):
    """The fit until the device's clock was set."""

    origin: _Pair
    rate: float
    until: int
    """Host time at which the step was detected, ns: later events are by the new clock."""

    def host_ns(self, device: int) -> int:
        return self.origin.host + round((device - self.origin.device) * self.rate)


class Residual(msgspec.Struct, frozen=True):
    """Error with which the fit predicted the best exchange of a second before it was added, ns."""

    host: int
    device: int
    residual_ns: int


class ClockStep(msgspec.Struct, frozen=True):
    """A step of the device's clock: at host time `host` it was ahead of the fit by `step_ns`."""

    host: int
    step_ns: int

    def describe(self, device: str) -> str:
        """Return a sentence for the operator."""
        way = "forward" if self.step_ns > 0 else "back"
        return (
            f"{device}: its clock was set {way} by {abs(self.step_ns) / 1e9:.3f} s; its events "
            "are timed by the new clock from here on"
        )


class DeviceClock:
    """A line fitted through the best exchange of each second of the last minute."""

    def __init__(self, tolerance_ns: int = TOLERANCE_NS, rare_events: bool = False) -> None:
        """Begin before the first exchange.

        Args:
            tolerance_ns: Error of the fit that is taken for normal, ns.
            rare_events: Whether seconds may pass without an event, so that the order of the stamps
                does not show that the clock was set back.
        """
        self._tolerance_ns, self._rare_events = tolerance_ns, rare_events
        self._best: deque[_Pair] = deque(maxlen=_KEPT_S)
        self._rate = 1.0
        self._rate_is_fitted = False
        self._weight = self._spread = 0.0
        """Sum of the weights of the fit, and weighted sum of squares of the device's times."""
        self._origin: _Pair | None = None
        self._replaced: _Replaced | None = None
        self._last_event: int | None = None
        self._checked_until = 0
        self._old_received: int | None = None
        """Arrival of the last event that came long after its stamp."""
        self.latest = 0
        """The device's time in the last exchange, ns."""

    @property
    def is_fitted(self) -> bool:
        """False before the first exchange."""
        return self._origin is not None

    def add_exchange(self, asked: int, device: int, answered: int) -> Residual | ClockStep | None:
        """Add an exchange to the fit.

        Args:
            asked: Host time of the question, ns.
            device: The device's stamp of its answer, ns.
            answered: Host time at which the answer arrived, ns.

        Returns:
            A ClockStep if the device's clock was set since the last exchange. Otherwise, once a
            second, the error with which the fit predicted the best exchange of the last second.
        """
        self.latest = device
        pair = _Pair(device, (asked + answered) // 2, answered - asked)
        step = self._step(asked, device, answered)
        if step is not None and self._origin is not None:
            self._replaced = _Replaced(self._origin, self._rate, answered)
            self._best.clear()
            self._spread = 0.0
            self._last_event = None
            self._checked_until = 0
        last = self._best[-1] if self._best else None
        if last is not None and last.device // _SECOND_NS == device // _SECOND_NS:
            if pair.took < last.took:
                self._best[-1] = pair
                if len(self._best) == 1:
                    self._fit()
            return None
        residual = None
        if last is not None and len(self._best) > 1:
            residual = Residual(last.host, last.device, last.host - self.host_ns(last.device))
        self._fit()
        self._best.append(pair)
        if len(self._best) == 1:
            self._fit()
        return step or residual

    def host_ns(self, device: int) -> int:
        """Return the host's time (ns) at a time of the device (ns).

        Raises:
            ValueError: There was no exchange yet.
        """
        if self._origin is None:
            raise ValueError("there was no exchange with the device yet")
        return self._origin.host + round((device - self._origin.device) * self._rate)

    def needs_exchange(self, device: int, received: int) -> bool:
        """Return True if the device should be asked for its time before an event is used.

        This is the case if the event's stamp is implausible; but for 100 ms after exchanges that
        showed no step it is not, as a device may send damaged or unordered stamps all the time.

        Args:
            device: The device's stamp of the event, ns.
            received: Host time at which the event arrived, ns.
        """
        if self._is_plausible(device, received):
            return self._rare_events and self._needs_exchange_if_old(device, received)
        if received < self._checked_until:
            return False
        self._checked_until = received + _RECHECK_NS
        return True

    def date_event(self, device: int, received: int) -> int:
        """Return the host's time (ns) of an event, never later than its arrival.

        An event that arrived before a step was detected may be from before or after the step; the
        fit that gives the time nearer to its arrival is used. An event whose stamp is still
        implausible (a damaged message) gets the time of its arrival.
        """
        before_step = self._date_before_step(device, received)
        if before_step is not None:
            return before_step
        if not self._is_plausible(device, received):
            return received
        self._last_event = max(device, self._last_event or device)
        return min(self.host_ns(device), received)

    def _needs_exchange_if_old(self, device: int, received: int) -> bool:
        """Return True for an event long before its arrival, once for each time of arrival.

        Either the clock was set back, or the host was busy.
        """
        is_old = received - self.host_ns(device) > _LATENCY_NS + self._margin_ns(device)
        if not is_old or received == self._old_received:
            return False
        self._old_received = received
        return True

    def _date_before_step(self, device: int, received: int) -> int | None:
        """Return the time of an event by the fit before the last step; None if it is later."""
        if self._replaced is None or received > self._replaced.until:
            return None
        old, new = self._replaced.host_ns(device), self.host_ns(device)
        if old > received + self._tolerance_ns or abs(received - new) <= abs(received - old):
            return None
        return min(old, received)

    def _is_plausible(self, device: int, received: int) -> bool:
        if self.host_ns(device) > received + self._margin_ns(device):
            return False
        return self._last_event is None or device >= self._last_event - self._tolerance_ns

    def _step(self, asked: int, device: int, answered: int) -> ClockStep | None:
        if self._origin is None:
            return None
        predicted, margin = self.host_ns(device), self._margin_ns(device)
        if asked - margin <= predicted <= answered + margin:
            return None
        middle = (asked + answered) // 2
        return ClockStep(middle, predicted - middle)

    def _margin_ns(self, device: int) -> float:
        """Return the possible error of the fit at a time of the device, ns.

        It is the tolerance plus twice the standard error of the fitted line, if each exchange has
        an error of half the time that it took. Before the rate is fitted, its possible error is
        added.
        """
        if self._origin is None:
            return math.inf
        elapsed = device - self._origin.device
        variance = 1.0 / self._weight
        if self._spread > 0.0:
            variance += elapsed**2 / self._spread
        margin = self._tolerance_ns + math.sqrt(variance)
        return margin if self._rate_is_fitted else margin + _WORST_RATE * abs(elapsed)

    def _fit(self) -> None:
        """Fit the line, each pair weighted by 1 / took^2."""
        if not self._best:
            return
        last = self._best[-1]
        # Times relative to the last pair are small enough to be exact to 1 ns as floats.
        points = [
            (pair.device - last.device, pair.host - last.host, 1.0 / max(pair.took, 1) ** 2)
            for pair in self._best
        ]
        self._weight = weight = sum(w for _, _, w in points)
        x_mean = sum(w * x for x, _, w in points) / weight
        y_mean = sum(w * y for _, y, w in points) / weight
        spread = sum(w * (x - x_mean) ** 2 for x, _, w in points)
        if last.device - self._best[0].device >= _RATE_AFTER_S * _SECOND_NS and spread > 0.0:
            slant = sum(w * (x - x_mean) * (y - y_mean) for x, y, w in points)
            self._rate = slant / spread
            self._rate_is_fitted = True
            self._spread = spread
        at = round(x_mean)
        host = last.host + round(y_mean + (at - x_mean) * self._rate)
        self._origin = _Pair(last.device + at, host, last.took)
