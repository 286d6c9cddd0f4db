"""A board whose clock is set during a session: no lick is lost, and each has the right time."""

import re
from collections.abc import Iterator

import pytest

from rig.clock import monotonic_ns
from rig.messages import DeviceTime, Fault, Lick, Message, Start, Valve
from tests.behavior.devices.harp.harp_worlds import MS, BehaviorWorld
from tests.behavior.devices.nidaq.simulated_card.contract import NiWorld
from tests.behavior.driven import armed
from tests.behavior.sessions import CALIBRATED, hardware, of

S = 1_000 * MS
STEPS_S = (5.0, 3600.0, -300.0, 0.3, -0.3)
HARP = "behavior.devices.harp"


@pytest.fixture
def world() -> Iterator[BehaviorWorld]:
    made = BehaviorWorld()
    yield made
    made.board.close()
    made.close()


def _touch(world: BehaviorWorld) -> int:
    """Touch the spout without reading the board; return when (ns)."""
    t = world.there.touch(0, up=True)
    world.there.touch(0, up=False)
    return t


@pytest.mark.parametrize("step_s", STEPS_S)
def test_licks_around_a_clock_step_have_the_right_time(step_s: float, world: BehaviorWorld) -> None:
    lick = world.device("Lick", "centre")
    world.open()
    true, found = [], []
    for number in range(6):
        true.append(_touch(world))
        if number in (2, 4):  # the licks before and after the step are read together
            world.there.set_clock(step_s)
            true.append(_touch(world))
        found += lick.onsets(world.wait(60))
    found += lick.onsets(world.wait(20))
    assert len(found) == len(true) == 8
    assert all(abs(a - b) < world.slack_ns for a, b in zip(found, true, strict=True))
    warnings = world.board.pop_warnings()
    way = "forward" if step_s > 0 else "back"
    assert len(warnings) == 2
    for warning in warnings:
        by = re.match(rf"board b: its clock was set {way} by ([0-9.]+) (s|min|h)", warning)
        assert by is not None, warning
        # its clock runs up to 100 ppm fast, which counts as part of the step
        assert float(by[1]) == pytest.approx(abs(step_s), rel=1e-4, abs=world.slack_ns / S)


def test_steps_one_after_the_other_lose_no_lick(world: BehaviorWorld) -> None:
    lick = world.device("Lick", "centre")
    world.open()
    true, found = [], []
    for step_s in STEPS_S:
        for _ in range(2):
            true.append(_touch(world))
            world.there.set_clock(step_s)
        found += lick.onsets(world.wait(30))
    found += lick.onsets(world.wait(20))
    assert len(found) == len(true)
    assert all(abs(a - b) < world.slack_ns for a, b in zip(found, true, strict=True))


@pytest.mark.parametrize("step_s", [5.0, -300.0])
def test_the_driver_publishes_the_step_within_a_second_and_the_lick_brings_water(
    step_s: float, world: BehaviorWorld
) -> None:
    on = {"board": "b"}
    table = {
        "boards": {"b": {"is": f"{HARP}:Board", "model": "behavior", "port": world.there.port}},
        "wheel": {"is": f"{HARP}:Wheel", "cm_per_count": 0.1, **on},
        "lick": {"centre": {"is": f"{HARP}:Lick", **on}},
        "valve": {"centre": {"is": f"{HARP}:Valve", **CALIBRATED, **on}},
    }
    published: list[Message] = []
    node, clock = hardware(table, published.append)
    zero = monotonic_ns()
    node.handle(Start(0, {"seed": 1, "t0_ns": zero}))

    def run(ms: int) -> None:
        until = monotonic_ns() + ms * MS
        while monotonic_ns() < until:
            clock.set(monotonic_ns() - zero)
            node.tick(clock.now())

    run(50)
    world.there.set_clock(step_s)
    stepped = clock.now()
    node.handle(armed(1, stepped))
    lick_t = _touch(world) - zero
    run(900)
    (lick,), (valve,), (fault,) = of(Lick, published), of(Valve, published), of(Fault, published)
    assert abs(lick.t - lick_t) < world.slack_ns
    assert (valve.refused, valve.lick_t) == ("", lick.t)
    assert "its clock was set" in fault.text
    assert fault.t - stepped < S
    assert all(abs(found.residual_ns) < 50 * MS for found in of(DeviceTime, published))
    node.close()


@pytest.mark.parametrize("step_s", [5.0, 3600.0, -300.0])
def test_licks_around_a_step_of_an_ni_cards_timebase_have_the_right_time(step_s: float) -> None:
    world = NiWorld()
    try:
        lick = world.device("Lick", "centre")
        world.open()
        true, found = [], []
        for number in range(6):
            true.append(world.card.put("tongue", True))
            world.card.put("tongue", False)
            if number == 3:
                world.card.do("set clock", seconds=step_s)
                true.append(world.card.put("tongue", True))
                world.card.put("tongue", False)
            found += lick.onsets(world.wait(20))
        found += lick.onsets(world.wait(20))
        (warning,) = world.board.pop_warnings()
    finally:
        world.board.close()
        world.close()
    assert len(found) == len(true) == 7
    assert all(abs(a - b) < world.slack_ns for a, b in zip(found, true, strict=True))
    assert "board card: its clock was set" in warning


@pytest.mark.parametrize("step_s", [-0.3, -0.1, 0.3])
def test_a_lick_long_after_the_last_one_has_the_right_time_before_the_next_exchange(
    step_s: float,
) -> None:
    """The card's clock is set just before the lick, so no event shows the order of the stamps."""
    world = NiWorld()
    try:
        lick = world.device("Lick", "centre")
        world.open()
        lick.onsets(world.wait(600))
        world.card.do("set clock", seconds=step_s)
        true = world.card.put("tongue", True)
        (found,) = lick.onsets(world.wait(20))
    finally:
        world.board.close()
        world.close()
    assert abs(found - true) < world.slack_ns
