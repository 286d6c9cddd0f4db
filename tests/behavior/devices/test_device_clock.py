"""Events get the right time for any offset, rate, delays and clock steps of a device."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from behavior.devices.clock_sync import TOLERANCE_NS, ClockStep, DeviceClock, Residual

US = 1_000
MS = 1_000 * US
S = 1_000 * MS


class _Device:
    """A device that is asked ten times a second, with random delays in both directions."""

    def __init__(
        self,
        seed: int,
        offset: int,
        ppm: float,
        wander_ppm: float = 0.0,
        rare_events: bool = False,
    ) -> None:
        self._draw = random.Random(seed)
        self._offset, self._ppm, self._wander_ppm = offset, ppm, wander_ppm
        self.clock = DeviceClock(rare_events=rare_events)
        self.residuals: list[Residual] = []
        self.steps: list[ClockStep] = []
        self.host = 5 * S

    def set_clock(self, step_ns: int) -> None:
        self._offset += step_ns

    def device_ns(self, host: int) -> int:
        """Return its time, truncated to 32 us as in Harp timestamps."""
        minutes = host / (60 * S)
        rate = 1e-6 * (self._ppm + self._wander_ppm * minutes / 2)
        return int(host + self._offset + rate * host) // (32 * US) * 32 * US

    def run(self, seconds: float, slow: float = 0.05, slow_ms: float = 20.0) -> None:
        """Exchange ten times a second; a fraction of the answers is slow."""
        for _ in range(round(10 * seconds)):
            self.host += 100 * MS
            there = round(self._draw.expovariate(1 / (150 * US))) + 50 * US
            back = round(self._draw.expovariate(1 / (150 * US))) + 50 * US
            if self._draw.random() < slow:
                back += round(self._draw.uniform(0, slow_ms)) * MS
            at = self.host + there
            found = self.clock.add_exchange(self.host, self.device_ns(at), at + back)
            if isinstance(found, ClockStep):
                self.steps.append(found)
            elif found is not None:
                self.residuals.append(found)

    def error_ns(self, host: int) -> int:
        """Return the error of the time of an event at that moment, ns."""
        return self.clock.host_ns(self.device_ns(host)) - host


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 10_000),
    offset=st.integers(-(10**9) * S // 1000, 10**9 * S // 1000),
    ppm=st.floats(-5000, 5000),
)
def test_events_are_dated_within_the_quickest_answers(seed: int, offset: int, ppm: float) -> None:
    device = _Device(seed, offset, ppm)
    device.run(1)
    assert abs(device.error_ns(device.host)) < 6 * MS  # the rate is not known yet
    device.run(20)
    assert abs(device.error_ns(device.host + 50 * MS)) < 300 * US
    device.run(70)
    assert abs(device.error_ns(device.host + 50 * MS)) < 150 * US
    assert len(device.residuals) == pytest.approx(89, abs=3)


def test_the_residual_shows_how_good_the_fit_is() -> None:
    steady, wild = _Device(1, 10**15, 40.0), _Device(1, 10**15, 40.0, wander_ppm=400.0)
    for device in (steady, wild):
        device.run(300)
    worst = [
        max(abs(residuals.residual_ns) for residuals in d.residuals[60:]) for d in (steady, wild)
    ]
    assert worst[1] > 3 * worst[0], "a clock that runs away must show"


def test_slow_exchanges_have_little_weight() -> None:
    device = _Device(3, 10**15, 40.0)
    device.run(30)
    for _ in range(25):
        device.host += 100 * MS
        device.clock.add_exchange(device.host, device.device_ns(device.host), device.host + 80 * MS)
    device.run(3)
    assert abs(device.error_ns(device.host)) < 200 * US


def test_no_event_is_dated_before_the_first_exchange() -> None:
    with pytest.raises(ValueError, match="no exchange"):
        DeviceClock().host_ns(0)


steps_ns = st.one_of(st.integers(50 * MS, 2 * 3600 * S), st.integers(-2 * 3600 * S, -50 * MS))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), steps_ns, st.floats(-200, 200), st.integers(1, 90))
def test_a_clock_step_is_noticed_by_the_next_exchange(
    seed: int, step_ns: int, ppm: float, seconds: int
) -> None:
    device = _Device(seed, 10**13, ppm)
    device.run(seconds)
    device.set_clock(step_ns)
    for _ in range(50):
        device.run(0.1)
        assert abs(device.error_ns(device.host)) < TOLERANCE_NS + 10 * MS
    (step,) = device.steps
    assert abs(step.step_ns - step_ns) < 2 * TOLERANCE_NS + abs(step_ns) // 1000
    device.run(5)
    assert abs(device.error_ns(device.host)) < 500 * US


@settings(deadline=None, max_examples=100)
@given(
    seed=st.integers(0, 10_000),
    ppm=st.floats(-5000, 5000),
    wander_ppm=st.floats(0, 200),
    slow=st.sampled_from([0.05, 0.5, 1.0]),
    slow_ms=st.sampled_from([20.0, 90.0, 400.0]),
)
def test_a_clock_that_is_never_set_shows_no_step(
    seed: int, ppm: float, wander_ppm: float, slow: float, slow_ms: float
) -> None:
    """However busy the computer is."""
    device = _Device(seed, 10**13, ppm, wander_ppm)
    for _ in range(90):
        device.run(1, slow, slow_ms)
        assert not device.clock.needs_exchange(device.device_ns(device.host), device.host)
        device.clock.date_event(device.device_ns(device.host), device.host)
    assert device.steps == []


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), steps_ns, st.integers(0, 5))
def test_the_first_event_after_a_step_needs_an_exchange(
    seed: int, step_ns: int, delay_ms: int
) -> None:
    device = _Device(seed, 10**13, 40.0)
    device.run(10)
    assert not device.clock.needs_exchange(device.device_ns(device.host), device.host)
    device.clock.date_event(device.device_ns(device.host), device.host)
    device.set_clock(step_ns)
    stamp, received = device.device_ns(device.host + MS), device.host + (1 + delay_ms) * MS
    assert device.clock.needs_exchange(stamp, received)
    assert device.clock.date_event(stamp, received) == received
    device.run(0.1)
    assert not device.clock.needs_exchange(stamp, received)
    assert abs(device.clock.date_event(stamp, received) - (received - delay_ms * MS)) < 6 * MS


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.integers(50, 20_000), st.integers(0, 5), st.floats(-200, 200))
def test_an_event_after_the_clock_was_set_back_needs_an_exchange_however_long_ago_the_last_one_was(
    seed: int, back_ms: int, delay_ms: int, ppm: float
) -> None:
    device = _Device(seed, 10**13, ppm, rare_events=True)
    device.run(10)
    device.clock.date_event(device.device_ns(device.host), device.host)
    device.run(
        25
    )  # without events for longer than the step back, their order does not show the step
    device.set_clock(-back_ms * MS)
    stamp, received = device.device_ns(device.host + MS), device.host + (1 + delay_ms) * MS
    assert device.clock.needs_exchange(stamp, received)
    device.run(0.1, slow=0.0)
    assert not device.clock.needs_exchange(stamp, received)
    assert abs(device.clock.date_event(stamp, received) - (received - delay_ms * MS)) < 6 * MS


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), steps_ns, st.integers(0, 400))
def test_an_event_from_before_a_step_that_is_read_after_it_keeps_its_time(
    seed: int, step_ns: int, late_ms: int
) -> None:
    device = _Device(seed, 10**13, 40.0, rare_events=True)
    device.run(30)
    before, at = device.device_ns(device.host), device.host
    device.set_clock(step_ns)
    after, received = device.device_ns(at + 30 * MS), at + (31 + late_ms) * MS
    device.host += 31 * MS + late_ms * MS - 100 * MS
    device.run(
        0.1, slow=0.0
    )  # the times of both are computed after the exchange that shows the step
    assert len(device.steps) == 1
    found = [device.clock.date_event(stamp, received) for stamp in (before, after)]
    if abs(step_ns) > 500 * MS:
        assert abs(found[0] - at) < MS
        assert abs(found[1] - at - 30 * MS) < 6 * MS


@pytest.mark.parametrize("rare_events", [False, True])
@pytest.mark.parametrize("step_s", [5, -300, 3600])
def test_a_slow_exchange_after_a_step_dates_no_event_by_the_old_clock(
    step_s: int, rare_events: bool
) -> None:
    """The fit is wrong by the delay of the exchange; the event may seem to be in the future."""
    device = _Device(2, 10**13, 40.0, rare_events=rare_events)
    device.run(10)
    device.set_clock(step_s * S)
    at = device.host + 30 * MS
    stamp = device.device_ns(at)
    for asked, answered in ((at - 2 * MS, at + 80 * MS), (at - 90 * MS, at + MS)):
        device.clock.add_exchange(asked, device.device_ns(at - MS), answered)
        assert abs(device.clock.date_event(stamp, at + MS) - at) < 60 * MS


def test_an_event_that_the_host_reads_late_keeps_its_time() -> None:
    device = _Device(1, 10**13, 40.0, rare_events=True)
    device.run(10)
    stamp, received = device.device_ns(device.host), device.host + 800 * MS
    assert device.clock.needs_exchange(stamp, received)  # it might be a step
    device.run(0.1)
    assert abs(device.clock.date_event(stamp, received) - (received - 800 * MS)) < MS
    assert device.steps == []


def test_a_damaged_timestamp_does_not_affect_later_events() -> None:
    device = _Device(1, 10**13, 40.0)
    device.run(10)
    device.clock.date_event(device.device_ns(device.host), device.host)
    for wrong in (-10 * S, 10 * S):
        stamp = device.device_ns(device.host) + wrong
        assert device.clock.date_event(stamp, device.host + MS) == device.host + MS
    later = device.host + 20 * MS
    assert abs(device.clock.date_event(device.device_ns(later), later) - later) < MS


def test_unordered_stamps_cause_no_more_than_ten_checks_a_second() -> None:
    device = _Device(1, 10**13, 40.0)
    device.run(10)
    checks = 0
    for ms in range(1000):
        now = device.host + ms * MS
        for late_ms in (0, 50):  # every other event is stamped 50 ms before the one before it
            stamp = device.device_ns(now - late_ms * MS)
            checks += device.clock.needs_exchange(stamp, now)
            assert now - 60 * MS < device.clock.date_event(stamp, now) <= now
    assert checks <= 10
