"""The display: which corridor is shown when, and what is said of each flip."""

import gc
import tracemalloc
from typing import Any, ClassVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rig import virtual
from rig.clock import SetClock
from rig.config import Session
from rig.messages import Cue, CueOnset, Flip, Message, Position, TrialEnd, TrialStart
from rig.refused import Refused
from stimuli import textures
from stimuli.display import Display
from stimuli.geometry import Lap, Laps
from stimuli.open_loop import Bar
from stimuli.patch import encode
from stimuli.screen import Scene
from stimuli.simulated import SimulatedScreen

SIMULATED = {"is": "stimuli.simulated:SimulatedScreen"}
STIMULI = ("leaf1", "circle1", "leaf2", "circle2")


class SlowScreen(SimulatedScreen):
    """A screen whose flips take as long as the test says."""

    clock: ClassVar[SetClock]
    flip_ns: ClassVar[int] = 0

    def flip(self) -> None:
        self.clock.set(self.clock.now() + self.flip_ns)
        super().flip()


def display(said: list[Message] | None = None, **table: Any) -> Display:
    settings = msgspec.convert({"screen": SIMULATED, **table}, Display.Settings)
    unheard: list[Message] = []
    node = Display(settings, (unheard if said is None else said).append)
    node.clock = SlowScreen.clock = SetClock()
    node.check({"stimuli": list(STIMULI)})
    return node


@pytest.fixture(autouse=True)
def no_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The simulated screen needs names, not pixels."""
    monkeypatch.setattr("stimuli.display.pictures", lambda names, _: dict.fromkeys(names))


def begins(trial: int, upcoming: str | None = None, grey_m: float = 2.0) -> TrialStart:
    stimulus = STIMULI[trial % 4]
    return TrialStart(0, trial, stimulus, upcoming, False, 4.0, grey_m, 2.0, "none", 0.0)


def at(trial: int, position_m: float, phase: Any = "corridor", t: int = 0) -> Position:
    return Position(t, trial, position_m, 0.0, True, phase)


def scene(node: Display) -> Scene:
    """Tick, and return what is on the screen."""
    node.tick(0)
    screen: Any = node.screen
    assert isinstance(screen.shown, Scene)
    return screen.shown


def shown(node: Display) -> Laps | None:
    """Tick, and return the laps on the screen."""
    return scene(node).laps


def told(*words: Message) -> Display:
    node = display()
    node.open()
    for word in words:
        node.hear(word)
    return node


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
    node.hear(at(0, 3.0, phase))
    assert shown(node) is None
    node.hear(at(0, 3.0))
    assert shown(node) is not None


def test_a_corridor_that_ended_without_a_next_one_gives_way_to_grey() -> None:
    node = told(begins(0), at(0, 5.9), TrialEnd(0, 0, "done"))
    assert shown(node) is not None
    node.hear(at(0, 5.9))
    assert shown(node) is None


@given(st.permutations([begins(1), at(1, 0.0), TrialEnd(0, 0, "done")]), st.integers(0, 3))
def test_no_grey_flashes_between_corridors(words: list[Message], ticks_after: int) -> None:
    """A tick may fall between any two words, and a word from another life may come early."""
    if words.index(begins(1)) < words.index(TrialEnd(0, 0, "done")):
        words.remove(begins(1))
        words.append(begins(1))
    node = told(begins(0, "circle1"), at(0, 5.99))
    for number, word in enumerate(words):
        node.hear(word)
        if number < ticks_after:
            assert shown(node) is not None
    node.hear(at(1, 0.01))
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
        node.hear(at(0, 0.0, "picture", t))
        bar = scene(node).open_loop
        assert isinstance(bar, Bar)
        middles.append(bar.middle_deg)
    assert middles[2] == pytest.approx(0.0, abs=1e-9)
    assert middles[1] - middles[0] == pytest.approx(middles[2] - middles[1])
    node.hear(at(0, 0.0, "grey", 4_100_000_000))
    blank = scene(node)
    assert (blank.laps, blank.open_loop) == (None, None)


def test_no_picture_lies_behind_or_in_a_corridor() -> None:
    node = told(pictured(0, "bar", "bar_0"), at(0, 0.0, "picture"), TrialEnd(0, 0, "done"))
    node.hear(begins(1))
    node.hear(at(1, 0.0))
    laps = shown(node)
    assert laps is not None
    assert [lap.stimulus for lap in laps] == [None, "circle1", None]
    assert scene(node).open_loop is None


def test_a_corridor_that_grey_parts_from_the_next_one_does_not_lie_behind_it() -> None:
    node = told(begins(0), at(0, 5.9), TrialEnd(0, 0, "done"), at(-1, 0.0, "grey"))
    node.hear(begins(1))
    node.hear(at(1, 0.0))
    laps = shown(node)
    assert laps is not None
    assert [lap.stimulus for lap in laps] == [None, "circle1", None]


def test_a_flip_tells_the_newest_position_heard_and_both_sides_of_the_swap() -> None:
    said: list[Message] = []
    node = display(said, screen={"is": "tests.stimuli.test_display:SlowScreen"})
    node.open()
    for word in (begins(0), at(0, 1.0, t=10), at(0, 1.2, t=20)):
        node.hear(word)
    SlowScreen.flip_ns = 3_000
    node.clock = SlowScreen.clock = SetClock()
    SlowScreen.clock.set(1_000)
    node.tick(0)
    node.tick(0)
    first, second = (w for w in said if isinstance(w, Flip))
    assert (first.number, first.position_m, first.wheel_t) == (0, 1.2, 20)
    assert (first.before_swap_t, first.t) == (1000, 4000)
    assert (second.before_swap_t, second.t) == (4000, 7000)


@given(st.lists(st.integers(1, 40), min_size=1), st.sampled_from([60.0, 120.0]))
def test_late_means_more_than_one_and_a_half_periods(gaps_ms: list[int], hz: float) -> None:
    said: list[Message] = []
    node = display(said, refresh_hz=hz)
    clock = node.clock = SetClock()
    node.open()
    node.tick(0)
    for gap in gaps_ms:
        clock.set(clock.now() + gap * 1_000_000)
        node.tick(0)
    flips = [word for word in said if isinstance(word, Flip)]
    assert [flip.late for flip in flips] == [False] + [gap > 1500 / hz for gap in gaps_ms]
    for flip, gap in zip(flips[1:], gaps_ms, strict=True):
        assert flip.dropped == pytest.approx(max(0, gap * hz / 1000 - 1), abs=0.51)


def test_the_patch_codes_the_number_of_the_flip() -> None:
    said: list[Message] = []
    node = display(said)
    node.open()
    shown = [scene(node).patch_bright for _ in range(50)]
    flips = [word for word in said if isinstance(word, Flip)]
    assert shown == [encode(number) for number in range(50)] == [flip.bright for flip in flips]


@pytest.mark.parametrize(
    ("paced", "flip_ms", "sentence"),
    [
        ("vblank", 16.7, None),
        ("vblank", 8.3, "flips at 120.5 Hz, not at refresh_hz = 60"),
        ("vblank", 17.2, "flips at 58.1 Hz, not at refresh_hz = 60"),
        ("vblank", 0.0, "flips without waiting, not at refresh_hz = 60"),
        ("software", 0.2, None),
        ("software", 16.7, 'waits for its own refresh at 59.9 Hz; set paced = "vblank"'),
    ],
)
def test_a_screen_must_keep_the_pace_it_is_said_to(
    paced: str, flip_ms: float, sentence: str | None
) -> None:
    node = display(paced=paced, screen={"is": "tests.stimuli.test_display:SlowScreen"})
    SlowScreen.flip_ns = int(flip_ms * 1e6)
    if sentence is None:
        node.open()
        node.tick(0)
    else:
        with pytest.raises(Refused, match=sentence):
            node.open()
    node.close()


@given(st.floats(-0.9, 0.9), st.integers(1, 16), st.booleans())
def test_an_extrapolated_position_is_where_the_animal_is_in_mid_frame(
    m_s: float, ms_old: int, moving: bool
) -> None:
    """At a steady speed, forward; never back, and never out of the corridor."""
    said: list[Message] = []
    node = display(said, extrapolate=True)
    clock = SetClock()
    node.clock = clock
    node.open()
    node.hear(begins(0))
    now, position_m = 0, 0.0
    for frame in range(1, 4):
        now = round(frame * 1e9 / 60)
        clock.set(now)
        t = now - ms_old * 1_000_000
        position_m = 5.95 + m_s * t / 1e9
        node.hear(Position(t, 0, position_m, 0.0, moving, "corridor"))
        node.tick(now)
    (*_, flip) = said
    assert isinstance(flip, Flip)
    assert node._pace.flip_due is not None
    mid_frame_s = (node._pace.flip_due - 1e9 / 120) / 1e9  # its own flip was due a period ago
    wanted = 5.95 + m_s * mid_frame_s if moving and m_s > 0 else position_m
    assert flip.position_m == pytest.approx(min(wanted, 6.0), abs=1e-6)


def test_the_loop_leaves_nothing_behind() -> None:
    node = display()
    node.say = lambda _: None
    node.open()
    node.hear(begins(0))

    def frames(count: int) -> None:
        for k in range(count):
            node.hear(at(0, k / 1000, t=k))
            node.tick(k)

    gc.collect()
    frames(100)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    frames(2000)
    after, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert not gc.isenabled()
    assert after - before < 2000
    assert most - before < 10_000
    assert gc.collect() == 0
    node.close()
    assert gc.isenabled()


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
    node.check({"stimuli": list(textures.STIMULI)})
    with pytest.raises(Refused, match=r'picture: "leaf9", "fern1"; .*are: circle1, .*leaf3'):
        node.check({"stimuli": ["leaf1", "leaf9", "fern1"]})


def test_one_flip_a_refresh_when_driven() -> None:
    table = {"run": "stimuli.display", "screen": SIMULATED, "refresh_hz": 50.0}
    session = msgspec.convert(
        {
            "subject": "VR1",
            "seed": 1,
            "task_name": "none",
            "rig": {"name": "test", "disk_mb_s": 0.0},
            "task": {},
            "nodes": {"display": table},
        },
        Session,
    )
    flips = [w for _, w in virtual.run(session, end_ns=1_000_000_000) if isinstance(w, Flip)]
    assert len(flips) in (50, 51)
    assert not any(flip.late for flip in flips)


def test_a_cue_is_played_and_its_onset_said_with_the_next_picture() -> None:
    said: list[Message] = []
    node = display(said, sound={"is": "stimuli.simulated:SimulatedSpeaker", "latency_ms": 4.0})
    clock = node.clock = SetClock()
    node.open()
    clock.set(100_000_000)
    node.hear(Cue(99_000_000, 5, 1.0))
    clock.set(120_000_000)
    node.tick(120_000_000)
    node.close()
    assert [word for word in said if isinstance(word, CueOnset)] == [CueOnset(104_000_000, 5)]
