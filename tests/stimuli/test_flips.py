"""The Flip messages: time, position, lateness and patch; and the check of the refresh rate."""

import gc
import tracemalloc

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rig import virtual_session
from rig.clock import SetClock
from rig.errors import Refused
from rig.messages import Flip, Message, Position
from rig.settings.config import SessionSettings
from stimuli.photodiode.patch_code import encode
from tests.stimuli.displays import SIMULATED, SlowScreen, at, begins, display, scene

pytestmark = pytest.mark.usefixtures("no_drawing")


def test_a_flip_has_the_newest_position_and_the_times_around_the_swap() -> None:
    published: list[Message] = []
    node = display(published, screen={"is": "tests.stimuli.displays:SlowScreen"})
    node.open()
    for message in (begins(0), at(0, 1.0, t=10), at(0, 1.2, t=20)):
        node.handle(message)
    SlowScreen.flip_ns = 3_000
    node.clock = SlowScreen.clock = SetClock()
    SlowScreen.clock.set(1_000)
    node.tick(900)
    node.tick(3_900)
    first, second = (w for w in published if isinstance(w, Flip))
    assert (first.number, first.position_m, first.wheel_t) == (0, 1.2, 20)
    assert (first.draw_t, second.draw_t) == (900, 3900)
    assert (first.before_swap_t, first.t) == (1000, 4000)
    assert (second.before_swap_t, second.t) == (4000, 7000)


@given(st.lists(st.integers(1, 40), min_size=1), st.sampled_from([60.0, 120.0]))
def test_late_means_more_than_one_and_a_half_periods(gaps_ms: list[int], hz: float) -> None:
    published: list[Message] = []
    node = display(published, refresh_hz=hz)
    clock = node.clock = SetClock()
    node.open()
    node.tick(0)
    for gap in gaps_ms:
        clock.set(clock.now() + gap * 1_000_000)
        node.tick(0)
    flips = [message for message in published if isinstance(message, Flip)]
    assert [flip.late for flip in flips] == [False] + [gap > 1500 / hz for gap in gaps_ms]
    for flip, gap in zip(flips[1:], gaps_ms, strict=True):
        assert flip.dropped == pytest.approx(max(0, gap * hz / 1000 - 1), abs=0.51)


def test_the_patch_codes_the_number_of_the_flip() -> None:
    published: list[Message] = []
    node = display(published)
    node.open()
    shown = [scene(node).patch_bright for _ in range(50)]
    flips = [message for message in published if isinstance(message, Flip)]
    assert shown == [encode(number) for number in range(50)] == [flip.bright for flip in flips]


@pytest.mark.parametrize(
    ("paced", "flip_ms", "sentence"),
    [
        ("vblank", 16.7, None),
        ("vblank", 8.3, "flips at 120.5 Hz, not at refresh_hz = 60"),
        ("vblank", 17.2, "flips at 58.1 Hz, not at refresh_hz = 60"),
        ("vblank", 0.0, "flips without waiting, not at refresh_hz = 60"),
        ("software", 0.2, None),
        ("software", 16.7, 'refresh at 59.9 Hz; set paced = "vblank"'),
    ],
)
def test_a_screen_must_refresh_as_the_setup_says(
    paced: str, flip_ms: float, sentence: str | None
) -> None:
    node = display(paced=paced, screen={"is": "tests.stimuli.displays:SlowScreen"})
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
    """At a steady speed; never backward, and never beyond the end of the corridor."""
    published: list[Message] = []
    node = display(published, extrapolate=True)
    clock = SetClock()
    node.clock = clock
    node.open()
    node.handle(begins(0))
    now, position_m = 0, 0.0
    for frame in range(1, 4):
        now = round(frame * 1e9 / 60)
        clock.set(now)
        t = now - ms_old * 1_000_000
        position_m = 5.95 + m_s * t / 1e9
        node.handle(Position(t, 0, position_m, 0.0, moving, "corridor"))
        node.tick(now)
    (*_, flip) = published
    assert isinstance(flip, Flip)
    assert node._scheduler.flip_due is not None
    mid_frame_s = (node._scheduler.flip_due - 1e9 / 120) / 1e9  # its flip was due a period ago
    wanted = 5.95 + m_s * mid_frame_s if moving and m_s > 0 else position_m
    assert flip.position_m == pytest.approx(min(wanted, 6.0), abs=1e-6)


def test_the_loop_leaks_no_memory_and_creates_no_cycles() -> None:
    node = display()
    node.publish = lambda _: None
    node.open()
    node.handle(begins(0))

    def frames(count: int) -> None:
        for k in range(count):
            node.handle(at(0, k / 1000, t=k))
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
        SessionSettings,
    )
    flips = [
        w for _, w in virtual_session.run(session, end_ns=1_000_000_000) if isinstance(w, Flip)
    ]
    assert len(flips) in (50, 51)
    assert not any(flip.late for flip in flips)
