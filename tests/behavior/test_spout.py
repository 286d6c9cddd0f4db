"""Bounces are one lick; a stuck or noisy line is said once, at once, and gives no water."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from behavior.water.lick_filter import LickFilter, LickLimits
from rig.messages import Fault, Lick, Valve
from tests.behavior.driven import Driven, armed
from tests.behavior.sessions import MS, S, of

LIMITS = LickLimits()


@given(st.lists(st.integers(1, 400), max_size=60))
def test_no_two_licks_are_closer_than_a_bounce_and_no_other_onset_is_lost(
    waits_ms: list[int],
) -> None:
    spout = LickFilter("centre", LIMITS)
    t, licks = 0, []
    onsets = [t := t + wait_ms * MS for wait_ms in waits_ms]
    for onset in onsets:
        licks += spout.take([onset])
    if all(sum(1 for s in onsets if t - S < s <= t) <= 50 for t in onsets):
        assert licks[:1] == onsets[:1]
        assert all(b - a >= 30 * MS for a, b in itertools.pairwise(licks))
        for before, onset in itertools.pairwise(onsets):
            assert onset in licks or onset - before < 30 * MS


def test_a_bounce_at_the_end_of_a_long_touch_is_no_lick() -> None:
    spout = LickFilter("centre", LIMITS)
    assert spout.take([10 * MS]) == [10 * MS]
    for ms in range(10, 90):
        spout.look(10 * MS, ms * MS)
    assert not spout.believed(92 * MS)
    assert spout.take([92 * MS]) == []
    assert spout.take([125 * MS]) == [125 * MS]


def test_a_stuck_line_is_said_once_and_believed_again_when_it_was_quiet() -> None:
    spout = LickFilter("centre", LIMITS)
    assert spout.take([1 * S]) == [1 * S]
    assert spout.look(1 * S, 2 * S) == ""
    assert "touched for 1.6 s without a break" in spout.look(1 * S, 2600 * MS)
    assert spout.look(1 * S, 2700 * MS) == ""
    assert spout.take([3 * S]) == []
    assert spout.look(None, 4 * S) == ""
    assert not spout.sound
    assert spout.look(None, 13 * S) == ""
    assert spout.sound
    assert spout.take([14 * S]) == [14 * S]


def test_a_noisy_line_is_said_within_its_second() -> None:
    spout = LickFilter("centre", LIMITS)
    said = []
    for ms in range(1000, 3000, 4):
        spout.take([ms * MS])
        if wrong := spout.look(None, ms * MS):
            said.append((ms, wrong))
    ((ms, wrong),) = said
    assert ms == 1000 + 50 * 4
    assert "more than 50 touches in a second" in wrong


def test_noise_gives_no_water_and_is_no_lick() -> None:
    rig = Driven()
    for ms in range(10, 2010, 2):
        rig.board.licks = [ms * MS]
        rig.at(ms * MS)
    before = len(of(Lick, rig.said))
    assert before <= 4
    assert len(of(Fault, rig.said)) == 1
    rig.at(2012 * MS, armed(1, 2012 * MS))
    for ms in range(2014, 3000, 2):
        rig.board.licks = [ms * MS]
        rig.at(ms * MS)
    assert not rig.board.acts
    assert len(of(Lick, rig.said)) == before


def test_a_stuck_line_gives_no_water_whichever_layer_watches_it() -> None:
    rig = Driven()
    rig.at(1 * MS)
    rig.board.touched_since = 1 * MS
    rig.at(1502 * MS, armed(1, 1502 * MS))
    rig.board.licks = [1504 * MS]
    rig.at(1504 * MS)
    assert not of(Valve, rig.said)
    assert "without a break" in of(Fault, rig.said)[0].text
