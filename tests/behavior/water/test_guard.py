"""The guard never authorizes water beyond its limits."""

import math
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from behavior.water.guard import Guard, Limits, Refusal

MS = 1_000_000
S = 1_000 * MS
LIMITS = msgspec.convert(
    {"max_open_ms": 100, "min_gap_ms": 50, "max_per_minute": 10, "max_day_ul": 60}, Limits
)
PATIENT = msgspec.structs.replace(LIMITS, max_unconsumed=50)


def _reason(refusal: Refusal | None) -> str:
    assert refusal is not None
    return refusal.reason


anything = st.floats(allow_nan=True, allow_infinity=True)
requests = st.tuples(
    st.integers(0, 40),
    st.integers(-1000, 20_000),
    st.one_of(st.floats(1, 120), anything),
    st.one_of(st.floats(0.1, 6), anything),
)


@settings(max_examples=300)
@given(st.lists(requests, max_size=150))
def test_no_sequence_of_requests_breaks_a_limit(asked: list[tuple[int, int, float, float]]) -> None:
    guard = Guard(LIMITS)
    now = 0
    given_: list[tuple[int, int, float, float]] = []
    for request, wait_ms, open_ms, volume_ul in asked:
        now += wait_ms * MS
        guard.record_lick(now)
        if guard.authorize(request, now, open_ms, volume_ul) is None:
            given_.append((request, now, open_ms, volume_ul))
    assert all(0 < open_ms <= 100 and 0 < ul < math.inf for _, _, open_ms, ul in given_)
    assert sum(ul for *_, ul in given_) <= 60 + 1e-9
    assert len({request for request, *_ in given_}) == len(given_)
    for (_, t, open_ms, _), (_, after, *_) in pairwise(given_):
        assert after >= t + (open_ms + 50) * MS
    starts = [t for _, t, *_ in given_]
    assert all(sum(1 for s in starts if t - 60 * S < s <= t) <= 10 for t in starts)


@given(st.lists(st.floats(0.1, 5), min_size=1, max_size=20))
def test_rewards_within_the_limits_are_never_refused(volumes_ul: list[float]) -> None:
    guard = Guard(msgspec.convert({}, Limits))
    for request, volume_ul in enumerate(volumes_ul):
        assert guard.authorize(request, request * 10 * S, 60, volume_ul) is None
        guard.record_lick(request * 10 * S + S)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -1.0, 0.0])
def test_invalid_amounts_are_refused_and_not_counted(bad: float) -> None:
    guard = Guard(LIMITS)
    assert guard.authorize(1, 0, bad, 3.0) is not None
    assert guard.authorize(1, 0, 60.0, bad) is not None
    assert guard.authorize(1, 0, 60.0, 3.0) is None


def test_each_refusal_names_its_limit() -> None:
    guard = Guard(PATIENT)
    assert guard.authorize(1, 0, 60, 3) is None
    assert "exceeds the limit of 100 ms" in _reason(guard.authorize(2, S, 101, 3))
    assert "already granted" in _reason(guard.authorize(1, S, 60, 3))
    assert "less than 50 ms" in _reason(guard.authorize(2, 109 * MS, 60, 3))
    assert guard.authorize(2, 110 * MS, 60, 3) is None
    for request in range(3, 11):
        assert guard.authorize(request, request * S, 60, 3) is None
    assert "10 pulses in the last minute" in _reason(guard.authorize(11, 11 * S, 60, 3))
    for request in range(12, 22):
        assert guard.authorize(request, (60 + request) * S, 60, 3) is None
    assert "limit of 60 ul" in _reason(guard.authorize(22, 300 * S, 60, 3))


@pytest.mark.parametrize(
    "table", [{"max_open_ms": 151}, {"max_open_ms": 0}, {"max_day_ul": 2001}, {"min_gap_ms": 0}]
)
def test_a_setup_cannot_loosen_the_limits_beyond_their_bounds(table: dict[str, float]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(table, Limits)


@given(st.floats(0, 60), st.lists(st.floats(0.1, 6), max_size=40))
def test_the_daily_limit_covers_all_sessions_of_the_day(
    before_ul: float, asked: list[float]
) -> None:
    guard = Guard(LIMITS, before_ul)
    given_ul = before_ul
    for request, volume_ul in enumerate(asked):
        guard.record_lick(request * 10 * S)
        if guard.authorize(request, request * 10 * S, 60, volume_ul) is not None:
            assert given_ul + volume_ul > 60 - 1e-9
        else:
            given_ul += volume_ul
            assert given_ul <= 60 + 1e-9
    assert guard.authorize(99, 9999 * S, 60, 60.1 - before_ul) is not None


def test_no_water_if_the_water_given_today_is_nan() -> None:
    assert "limit" in _reason(Guard(LIMITS, math.nan).authorize(1, 0, 60, 3))


@given(st.lists(st.booleans(), min_size=6, max_size=40))
def test_rewards_without_licks_stop(licks: list[bool]) -> None:
    guard = Guard(msgspec.convert({"max_unconsumed": 3}, Limits))
    waiting = 0
    for request, licked in enumerate(licks):
        now = request * 10 * S
        refusal = guard.authorize(request, now, 60, 3)
        assert (refusal is not None) == (waiting == 3)
        assert refusal is None or "did not lick" in refusal.reason
        waiting += refusal is None
        if licked:
            guard.record_lick(now + S)
            waiting = 0


def test_a_lick_before_the_reward_does_not_consume_it() -> None:
    guard = Guard(msgspec.convert({"max_unconsumed": 1}, Limits))
    assert guard.authorize(1, 10 * S, 60, 3) is None
    guard.record_lick(10 * S - 1)
    assert "did not lick" in _reason(guard.authorize(2, 20 * S, 60, 3))
    guard.record_lick(10 * S + 1)
    assert guard.authorize(2, 20 * S, 60, 3) is None


def test_no_more_water_than_is_recorded_on_disk() -> None:
    guard = Guard(PATIENT)
    guard.reserved_ul = 7.0
    assert guard.authorize(1, 0, 60, 3) is None
    assert guard.authorize(2, S, 60, 3) is None
    assert "recorded on disk" in _reason(guard.authorize(3, 2 * S, 60, 3))
    guard.reserved_ul = 9.0
    assert guard.authorize(3, 2 * S, 60, 3) is None


@settings(max_examples=300)
@given(st.lists(st.tuples(st.sampled_from("arcx"), st.integers(0, 3000)), max_size=150))
def test_reserved_pulses_keep_the_limits_too(acts: list[tuple[str, int]]) -> None:
    """Authorize (a), reserve (r), confirm (c), release (x): no pulse breaks a limit."""
    guard = Guard(LIMITS)
    now, reserved = 0, False
    pulses: list[int] = []
    for request, (act, wait_ms) in enumerate(acts):
        now += wait_ms * MS
        match act:
            case "a":
                refusal = guard.authorize(request, now, 60, 4)
                assert not (reserved and refusal is None)
                pulses += [now] if refusal is None else []
            case "r" if guard.reserve_pulse(request, now, 60, 4) is None:
                assert not reserved
                reserved = True
                assert guard.committed_ul == guard.given_ul + 4
            case "c" if reserved:
                guard.confirm_reserved(now, 60, now)
                reserved = False
                pulses.append(now)
            case "x":
                guard.release_reserved()
                reserved = False
        guard.record_lick(now + 1)
    assert guard.given_ul == 4 * len(pulses) <= 60
    assert all(after >= t + 110 * MS for t, after in pairwise(pulses))
    assert all(sum(1 for s in pulses if t - 60 * S < s <= t) <= 10 for t in pulses)


def test_a_request_that_a_device_fired_is_not_granted_again() -> None:
    guard = Guard(LIMITS)
    assert guard.reserve_pulse(1, 0, 60, 3) is None
    assert "request 1 is armed in its device" in _reason(guard.authorize(2, 0, 60, 3))
    guard.release_reserved()
    assert guard.reserve_pulse(1, 0, 60, 3) is None
    guard.confirm_reserved(5 * S, 60, 5 * S)
    assert "already granted" in _reason(guard.reserve_pulse(1, 10 * S, 60, 3))
    with pytest.raises(ValueError, match="no pulse is reserved"):
        guard.confirm_reserved(6 * S, 60, 6 * S)
