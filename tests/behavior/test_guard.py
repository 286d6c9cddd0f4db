"""No caller gets more water past the guard than its limits allow."""

import math
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from behavior.water.guard import Guard, Limits

MS = 1_000_000
S = 1_000 * MS
LIMITS = msgspec.convert(
    {"max_open_ms": 100, "min_gap_ms": 50, "max_per_minute": 10, "max_day_ul": 60}, Limits
)
PATIENT = msgspec.structs.replace(LIMITS, max_unconsumed=50)

anything = st.floats(allow_nan=True, allow_infinity=True)
requests = st.tuples(
    st.integers(0, 40),
    st.integers(-1000, 20_000),
    st.one_of(st.floats(1, 120), anything),
    st.one_of(st.floats(0.1, 6), anything),
)


@settings(max_examples=300)
@given(st.lists(requests, max_size=150))
def test_whatever_is_asked_the_limits_hold(asked: list[tuple[int, int, float, float]]) -> None:
    guard = Guard(LIMITS)
    now = 0
    given_: list[tuple[int, int, float, float]] = []
    for request, wait_ms, open_ms, volume_ul in asked:
        now += wait_ms * MS
        guard.lick(now)
        if not guard.allow(request, now, open_ms, volume_ul):
            given_.append((request, now, open_ms, volume_ul))
    assert all(0 < open_ms <= 100 and 0 < ul < math.inf for _, _, open_ms, ul in given_)
    assert sum(ul for *_, ul in given_) <= 60 + 1e-9
    assert len({request for request, *_ in given_}) == len(given_)
    for (_, t, open_ms, _), (_, after, *_) in pairwise(given_):
        assert after >= t + (open_ms + 50) * MS
    starts = [t for _, t, *_ in given_]
    assert all(sum(1 for s in starts if t - 60 * S < s <= t) <= 10 for t in starts)


@given(st.lists(st.floats(0.1, 5), min_size=1, max_size=20))
def test_a_modest_mouse_is_never_refused(volumes_ul: list[float]) -> None:
    guard = Guard(msgspec.convert({}, Limits))
    for request, volume_ul in enumerate(volumes_ul):
        assert guard.allow(request, request * 10 * S, 60, volume_ul) == ""
        guard.lick(request * 10 * S + S)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -1.0, 0.0])
def test_no_number_and_no_volume_are_refused_and_not_booked(bad: float) -> None:
    guard = Guard(LIMITS)
    assert guard.allow(1, 0, bad, 3.0)
    assert guard.allow(1, 0, 60.0, bad)
    assert guard.allow(1, 0, 60.0, 3.0) == ""


def test_each_refusal_says_which_limit_it_was() -> None:
    guard = Guard(PATIENT)
    assert guard.allow(1, 0, 60, 3) == ""
    assert "over the limit of 100 ms" in guard.allow(2, S, 101, 3)
    assert "already granted" in guard.allow(1, S, 60, 3)
    assert "less than 50 ms" in guard.allow(2, 109 * MS, 60, 3)
    assert guard.allow(2, 110 * MS, 60, 3) == ""
    for request in range(3, 11):
        assert guard.allow(request, request * S, 60, 3) == ""
    assert "10 pulses in the last minute" in guard.allow(11, 11 * S, 60, 3)
    for request in range(12, 22):
        assert guard.allow(request, (60 + request) * S, 60, 3) == ""
    assert "limit of 60 ul" in guard.allow(22, 300 * S, 60, 3)


@pytest.mark.parametrize(
    "table", [{"max_open_ms": 151}, {"max_open_ms": 0}, {"max_day_ul": 2001}, {"min_gap_ms": 0}]
)
def test_the_setup_cannot_loosen_the_limits_beyond_their_bounds(table: dict[str, float]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(table, Limits)


@given(st.floats(0, 60), st.lists(st.floats(0.1, 6), max_size=40))
def test_the_limit_is_the_days_over_all_sessions(before_ul: float, asked: list[float]) -> None:
    guard = Guard(LIMITS, before_ul)
    given_ul = before_ul
    for request, volume_ul in enumerate(asked):
        guard.lick(request * 10 * S)
        if guard.allow(request, request * 10 * S, 60, volume_ul):
            assert given_ul + volume_ul > 60 - 1e-9
        else:
            given_ul += volume_ul
            assert given_ul <= 60 + 1e-9
    assert guard.allow(99, 9999 * S, 60, 60.1 - before_ul)


def test_a_day_that_is_no_number_gives_no_water() -> None:
    assert "limit" in Guard(LIMITS, math.nan).allow(1, 0, 60, 3)


@given(st.lists(st.booleans(), min_size=6, max_size=40))
def test_rewards_that_nobody_licks_up_come_to_an_end(licks: list[bool]) -> None:
    guard = Guard(msgspec.convert({"max_unconsumed": 3}, Limits))
    waiting = 0
    for request, licked in enumerate(licks):
        now = request * 10 * S
        refused = guard.allow(request, now, 60, 3)
        assert bool(refused) == (waiting == 3)
        assert not refused or "not licked up" in refused
        waiting += not refused
        if licked:
            guard.lick(now + S)
            waiting = 0


def test_a_lick_from_before_the_reward_did_not_consume_it() -> None:
    guard = Guard(msgspec.convert({"max_unconsumed": 1}, Limits))
    assert guard.allow(1, 10 * S, 60, 3) == ""
    guard.lick(10 * S - 1)
    assert "not licked up" in guard.allow(2, 20 * S, 60, 3)
    guard.lick(10 * S + 1)
    assert guard.allow(2, 20 * S, 60, 3) == ""


def test_no_more_than_is_set_aside() -> None:
    guard = Guard(PATIENT)
    guard.reserved_ul = 7.0
    assert guard.allow(1, 0, 60, 3) == ""
    assert guard.allow(2, S, 60, 3) == ""
    assert "disk" in guard.allow(3, 2 * S, 60, 3)
    guard.reserved_ul = 9.0
    assert guard.allow(3, 2 * S, 60, 3) == ""


@settings(max_examples=300)
@given(st.lists(st.tuples(st.sampled_from("apsr"), st.integers(0, 3000)), max_size=150))
def test_what_devices_fire_by_themselves_keeps_the_limits_too(acts: list[tuple[str, int]]) -> None:
    """Ask (a), pledge (p), settle (s) at the moment or release (r): no pulse breaks a limit."""
    guard = Guard(LIMITS)
    now, pledged = 0, False
    pulses: list[int] = []
    for request, (act, wait_ms) in enumerate(acts):
        now += wait_ms * MS
        match act:
            case "a":
                refused = guard.allow(request, now, 60, 4)
                assert not (pledged and not refused)
                pulses += [] if refused else [now]
            case "p" if not guard.pledge(request, now, 60, 4):
                assert not pledged
                pledged = True
                assert guard.spoken_for_ul == guard.given_ul + 4
            case "s" if pledged:
                guard.settle(now, 60, now)
                pledged = False
                pulses.append(now)
            case "r":
                guard.release()
                pledged = False
        guard.lick(now + 1)
    assert guard.given_ul == 4 * len(pulses) <= 60
    assert all(after >= t + 110 * MS for t, after in pairwise(pulses))
    assert all(sum(1 for s in pulses if t - 60 * S < s <= t) <= 10 for t in pulses)


def test_a_wish_is_granted_once_also_if_a_device_fired_it() -> None:
    guard = Guard(LIMITS)
    assert guard.pledge(1, 0, 60, 3) == ""
    assert "wish 1 is armed in its device" in guard.allow(2, 0, 60, 3)
    guard.release()
    assert guard.pledge(1, 0, 60, 3) == ""
    guard.settle(5 * S, 60, 5 * S)
    assert "already granted" in guard.pledge(1, 10 * S, 60, 3)
    with pytest.raises(ValueError, match="not pledged"):
        guard.settle(6 * S, 60, 6 * S)
