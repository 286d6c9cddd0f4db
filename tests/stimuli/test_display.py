"""The display: which corridor, bar or grey is shown when; what is refused before it opens."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rig.clock import SetClock
from rig.errors import Refused
from rig.messages import Cue, CueOnset, Message, TrialEnd, TrialStart
from stimuli.scene.corridor_geometry import Lap
from stimuli.scene.open_loop import Bar
from stimuli.textures import names
from tests.stimuli.displays import at, begins, display, opened, scene, shown

pytestmark = pytest.mark.usefixtures("no_drawing")


def test_grey_until_a_corridor_begins() -> None:
    assert shown(opened()) is None
    assert shown(opened(at(-1, 0.0, "grey"))) is None


def test_a_trial_shows_its_corridor_grey_behind_and_the_next_ahead() -> None:
    laps = shown(opened(begins(0, "circle1", grey_m=1.5), at(0, 0.1)))
    assert laps == (Lap(None, 4.0, 1.5), Lap("leaf1", 4.0, 1.5), Lap("circle1", 4.0, 1.5))


def test_a_completed_corridor_is_behind_the_next_one() -> None:
    laps = shown(opened(begins(0), at(0, 5.9), TrialEnd(0, 0, "done"), begins(1), at(1, 0.0)))
    assert laps is not None
    assert [lap.stimulus for lap in laps] == ["leaf1", "circle1", None]


def test_an_aborted_corridor_is_not_behind_the_next_one() -> None:
    laps = shown(opened(begins(0), at(0, 3.0), TrialEnd(0, 0, "aborted"), begins(1), at(1, 0.0)))
    assert laps is not None
    assert [lap.stimulus for lap in laps] == [None, "circle1", None]


@pytest.mark.parametrize("phase", ["paused", "done"])
def test_grey_while_paused_and_when_done(phase: str) -> None:
    node = opened(begins(0), at(0, 3.0))
    assert shown(node) is not None
    node.handle(at(0, 3.0, phase))
    assert shown(node) is None
    node.handle(at(0, 3.0))
    assert shown(node) is not None


def test_a_corridor_that_ended_without_a_next_one_gives_way_to_grey() -> None:
    node = opened(begins(0), at(0, 5.9), TrialEnd(0, 0, "done"))
    assert shown(node) is not None
    node.handle(at(0, 5.9))
    assert shown(node) is None


@given(st.permutations([begins(1), at(1, 0.0), TrialEnd(0, 0, "done")]), st.integers(0, 3))
def test_no_grey_flashes_between_corridors(messages: list[Message], ticks_after: int) -> None:
    """A tick may come between any two messages, and messages of two publishers in any order."""
    if messages.index(begins(1)) < messages.index(TrialEnd(0, 0, "done")):
        messages.remove(begins(1))
        messages.append(begins(1))
    node = opened(begins(0, "circle1"), at(0, 5.99))
    for number, message in enumerate(messages):
        node.handle(message)
        if number < ticks_after:
            assert shown(node) is not None
    node.handle(at(1, 0.01))
    laps = shown(node)
    assert laps is not None
    assert laps[1].stimulus == "circle1"


def open_loop(trial: int, picture: Any, stimulus: str) -> TrialStart:
    return TrialStart(
        0, trial, stimulus, None, False, 0.0, 0.0, None, "none", 0.0, 1, picture, 4.0, 1.0
    )


def test_a_bar_drifts_by_the_time_since_its_trial_began_and_is_gone_in_the_blank() -> None:
    node = opened(open_loop(0, "bar", "bar_0"))
    middles = []
    for t in (0, 1_000_000_000, 2_000_000_000):
        node.handle(at(0, 0.0, "picture", t))
        bar = scene(node).open_loop
        assert isinstance(bar, Bar)
        middles.append(bar.middle_deg)
    assert middles[2] == pytest.approx(0.0, abs=1e-9)
    assert middles[1] - middles[0] == pytest.approx(middles[2] - middles[1])
    node.handle(at(0, 0.0, "grey", 4_100_000_000))
    blank = scene(node)
    assert (blank.laps, blank.open_loop) == (None, None)


def test_no_open_loop_stimulus_is_behind_or_in_a_corridor() -> None:
    node = opened(open_loop(0, "bar", "bar_0"), at(0, 0.0, "picture"), TrialEnd(0, 0, "done"))
    node.handle(begins(1))
    node.handle(at(1, 0.0))
    laps = shown(node)
    assert laps is not None
    assert [lap.stimulus for lap in laps] == [None, "circle1", None]
    assert scene(node).open_loop is None


def test_a_corridor_separated_by_grey_is_not_behind_the_next_one() -> None:
    node = opened(begins(0), at(0, 5.9), TrialEnd(0, 0, "done"), at(-1, 0.0, "grey"))
    node.handle(begins(1))
    node.handle(at(1, 0.0))
    laps = shown(node)
    assert laps is not None
    assert [lap.stimulus for lap in laps] == [None, "circle1", None]


@pytest.mark.parametrize(
    "table",
    [
        {"screen": {"is": "stimuli.nowhere:Screen"}},
        {"corridor": {"fog_from_m": 9.0}},
        {"views": {"a": {c: [0, 0, 0] for c in ("lower_left", "lower_right", "upper_left")}}},
    ],
)
def test_bad_settings_are_refused_before_anything_is_opened(table: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        display(**table)


def test_an_unknown_stimulus_is_refused_with_a_list_of_the_known_ones() -> None:
    node = display()
    node.check({"stimuli": list(names.STIMULI)})
    with pytest.raises(Refused, match=r'"leaf9", "fern1" are not .*from: circle1, .*leaf3'):
        node.check({"stimuli": ["leaf1", "leaf9", "fern1"]})


def test_a_cue_is_played_and_its_onset_published_with_the_next_flip() -> None:
    published: list[Message] = []
    node = display(published, sound={"is": "stimuli.sound:SimulatedSpeaker", "latency_ms": 4.0})
    clock = node.clock = SetClock()
    node.open()
    clock.set(100_000_000)
    node.handle(Cue(99_000_000, 5, 1.0))
    clock.set(120_000_000)
    node.tick(120_000_000)
    node.close()
    assert [message for message in published if isinstance(message, CueOnset)] == [
        CueOnset(104_000_000, 5)
    ]
