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
from tests.stimuli.displays import at, begins, display, scene, shown, told

pytestmark = pytest.mark.usefixtures("no_drawing")


def test_grey_until_a_corridor_begins() -> None:
    assert shown(told()) is None
    assert shown(told(at(-1, 0.0, "grey"))) is None


def test_a_trial_shows_its_corridor_grey_behind_and_the_next_ahead() -> None:
    laps = shown(told(begins(0, "circle1", grey_m=1.5), at(0, 0.1)))
    assert laps == (Lap(None, 4.0, 1.5), Lap("leaf1", 4.0, 1.5), Lap("circle1", 4.0, 1.5))


def test_a_corridor_run_to_its_end_lies_behind_the_next_one() -> None:
    laps = shown(told(begins(0), at(0, 5.9), TrialEnd(0, 0, "done"), begins(1), at(1, 0.0)))
    assert laps is not None
    assert [lap.stimulus for lap in laps] == ["leaf1", "circle1", None]


def test_an_aborted_corridor_does_not_lie_behind_the_next_one() -> None:
    laps = shown(told(begins(0), at(0, 3.0), TrialEnd(0, 0, "aborted"), begins(1), at(1, 0.0)))
    assert laps is not None
    assert [lap.stimulus for lap in laps] == [None, "circle1", None]


@pytest.mark.parametrize("phase", ["paused", "done"])
def test_grey_while_paused_and_when_done(phase: str) -> None:
    node = told(begins(0), at(0, 3.0))
    assert shown(node) is not None
    node.handle(at(0, 3.0, phase))
    assert shown(node) is None
    node.handle(at(0, 3.0))
    assert shown(node) is not None


def test_a_corridor_that_ended_without_a_next_one_gives_way_to_grey() -> None:
    node = told(begins(0), at(0, 5.9), TrialEnd(0, 0, "done"))
    assert shown(node) is not None
    node.handle(at(0, 5.9))
    assert shown(node) is None


@given(st.permutations([begins(1), at(1, 0.0), TrialEnd(0, 0, "done")]), st.integers(0, 3))
def test_no_grey_flashes_between_corridors(messages: list[Message], ticks_after: int) -> None:
    """A tick may fall between any two words, and a word from another life may come early."""
    if messages.index(begins(1)) < messages.index(TrialEnd(0, 0, "done")):
        messages.remove(begins(1))
        messages.append(begins(1))
    node = told(begins(0, "circle1"), at(0, 5.99))
    for number, message in enumerate(messages):
        node.handle(message)
        if number < ticks_after:
            assert shown(node) is not None
    node.handle(at(1, 0.01))
    laps = shown(node)
    assert laps is not None
    assert laps[1].stimulus == "circle1"


def pictured(trial: int, picture: Any, stimulus: str) -> TrialStart:
    return TrialStart(
        0, trial, stimulus, None, False, 0.0, 0.0, None, "none", 0.0, 1, picture, 4.0, 1.0
    )


def test_a_bar_drifts_by_the_time_since_its_trial_began_and_is_gone_in_the_blank() -> None:
    node = told(pictured(0, "bar", "bar_0"))
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


def test_no_picture_lies_behind_or_in_a_corridor() -> None:
    node = told(pictured(0, "bar", "bar_0"), at(0, 0.0, "picture"), TrialEnd(0, 0, "done"))
    node.handle(begins(1))
    node.handle(at(1, 0.0))
    laps = shown(node)
    assert laps is not None
    assert [lap.stimulus for lap in laps] == [None, "circle1", None]
    assert scene(node).open_loop is None


def test_a_corridor_that_grey_parts_from_the_next_one_does_not_lie_behind_it() -> None:
    node = told(begins(0), at(0, 5.9), TrialEnd(0, 0, "done"), at(-1, 0.0, "grey"))
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


def test_a_stimulus_without_a_picture_is_refused_and_those_that_exist_are_named() -> None:
    node = display()
    node.check({"stimuli": list(names.STIMULI)})
    with pytest.raises(Refused, match=r'picture: "leaf9", "fern1"; .*are: circle1, .*leaf3'):
        node.check({"stimuli": ["leaf1", "leaf9", "fern1"]})


def test_a_cue_is_played_and_its_onset_said_with_the_next_picture() -> None:
    said: list[Message] = []
    node = display(said, sound={"is": "stimuli.sound:SimulatedSpeaker", "latency_ms": 4.0})
    clock = node.clock = SetClock()
    node.open()
    clock.set(100_000_000)
    node.handle(Cue(99_000_000, 5, 1.0))
    clock.set(120_000_000)
    node.tick(120_000_000)
    node.close()
    assert [message for message in said if isinstance(message, CueOnset)] == [
        CueOnset(104_000_000, 5)
    ]
