"""Bounces are one lick; a stuck or noisy line is reported once, immediately; it gives no water."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from behavior.water.lick_filter import LickFilter, LickLimits
from rig.messages import Fault, Lick, Valve
from tests.behavior.driven import Driven, armed
from tests.behavior.sessions import MS, S, of

LIMITS = LickLimits()


@given(st.lists(st.integers(1, 400), max_size=60))
def test_licks_are_debounced_and_no_other_onset_is_lost(
    waits_ms: list[int],
) -> None:
    lick_filter = LickFilter("centre", LIMITS)
    t, licks = 0, []
    onsets = [t := t + wait_ms * MS for wait_ms in waits_ms]
    for onset in onsets:
        licks += lick_filter.accept([onset])
    if all(sum(1 for s in onsets if t - S < s <= t) <= 50 for t in onsets):
        assert licks[:1] == onsets[:1]
        assert all(b - a >= 30 * MS for a, b in itertools.pairwise(licks))
        for before, onset in itertools.pairwise(onsets):
            assert onset in licks or onset - before < 30 * MS


def test_a_bounce_at_the_end_of_a_long_touch_is_not_a_lick() -> None:
    lick_filter = LickFilter("centre", LIMITS)
    assert lick_filter.accept([10 * MS]) == [10 * MS]
    for ms in range(10, 90):
        lick_filter.check(10 * MS, ms * MS)
    assert not lick_filter.trusts_next(92 * MS)
    assert lick_filter.accept([92 * MS]) == []
    assert lick_filter.accept([125 * MS]) == [125 * MS]


def test_a_stuck_line_is_reported_once_and_used_again_after_a_quiet_time() -> None:
    lick_filter = LickFilter("centre", LIMITS)
    assert lick_filter.accept([1 * S]) == [1 * S]
    assert lick_filter.check(1 * S, 2 * S) is None
    fault = lick_filter.check(1 * S, 2600 * MS)
    assert fault is not None
    assert "stuck: touched for 1.6 s without a break" in fault
    assert lick_filter.check(1 * S, 2700 * MS) is None
    assert lick_filter.accept([3 * S]) == []
    assert lick_filter.check(None, 4 * S) is None
    assert lick_filter.healthy is False
    assert lick_filter.check(None, 13 * S) is None
    assert lick_filter.accept([14 * S]) == [14 * S]


def test_a_noisy_line_is_reported_within_a_second() -> None:
    lick_filter = LickFilter("centre", LIMITS)
    published = []
    for ms in range(1000, 3000, 4):
        lick_filter.accept([ms * MS])
        if wrong := lick_filter.check(None, ms * MS):
            published.append((ms, wrong))
    ((ms, wrong),) = published
    assert ms == 1000 + 50 * 4
    assert "more than 50 touches in a second" in wrong


def test_noise_gives_neither_water_nor_licks() -> None:
    rig = Driven()
    for ms in range(10, 2010, 2):
        rig.board.licks = [ms * MS]
        rig.at(ms * MS)
    before = len(of(Lick, rig.published))
    assert before <= 4
    assert len(of(Fault, rig.published)) == 1
    rig.at(2012 * MS, armed(1, 2012 * MS))
    for ms in range(2014, 3000, 2):
        rig.board.licks = [ms * MS]
        rig.at(ms * MS)
    assert not rig.board.acts
    assert len(of(Lick, rig.published)) == before


def test_a_stuck_line_gives_no_water() -> None:
    rig = Driven()
    rig.at(1 * MS)
    rig.board.touched_since = 1 * MS
    rig.at(1502 * MS, armed(1, 1502 * MS))
    rig.board.licks = [1504 * MS]
    rig.at(1504 * MS)
    assert not of(Valve, rig.published)
    assert "without a break" in of(Fault, rig.published)[0].text
