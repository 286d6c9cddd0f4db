"""Contract tests: what each Protocol promises, for each of its implementations."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from behavior.devices import protocols
from behavior.devices.simulated.devices import SPOUT
from rig.messages import Cue, Message, Pulse, TrialStart, Valve
from rig.settings import device_factory
from tests.behavior.devices.worlds import MS, WORLDS, SimulatedWorld, World, having

UL = {"ul_per_ms": 0.05}
NAMES = {
    "Wheel": "wheel",
    "Ball": "wheel",
    "Lick": SPOUT,
    "Valve": "centre",
    "ArmedValve": "centre",
    "Line": "frame_clock",
    "Output": "sync",
    "TriggerLine": "laser",
    "Camera": "face",
}
KEYS: dict[str, dict[str, Any]] = {
    "Wheel": {"cm_per_count": 0.0135},
    "Ball": {"cm_per_count": 0.0135, "side_cm_per_count": 0.02},
    "Valve": UL,
    "ArmedValve": UL,
    "Output": {"on": "trial"},
}
LONG = 60_000 * MS


@pytest.fixture
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    made = WORLDS[request.param]()
    try:
        yield made
    finally:
        made.board.close()
        made.close()


def serving(kind: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("world", having(kind), indirect=True)


def _near(found: int, true: int, world: World) -> bool:
    return abs(found - true) <= world.slack_ns


EVERY_KIND = [(name, kind) for name in WORLDS for kind in ("Board", *sorted(WORLDS[name].kinds))]


@pytest.mark.parametrize(("world", "kind"), EVERY_KIND, indirect=["world"])
def test_every_device_declares_whether_it_is_simulated(world: World, kind: str) -> None:
    made = world.board if kind == "Board" else world.device(kind, NAMES[kind], **KEYS.get(kind, {}))
    assert made.simulated is world.simulated
    assert device_factory.is_simulated(f"{type(made).__module__}:{kind}", kind) is world.simulated
    declared = [c for c in type(made).__mro__ if "simulated" in vars(c)]
    assert declared[0].__module__ == type(made).__module__, "not inherited from another package"


@pytest.mark.parametrize("world", WORLDS, indirect=True)
def test_a_board_takes_every_message_and_shuts_its_valve_when_it_closes(world: World) -> None:
    messages: list[Message] = [
        TrialStart(0, 0, "leaf1", None, True, 4.0, 2.0, 1.0, "active", 0.0),
        Cue(1, 0, 1.0),
        Valve(2, 1, "centre", 60.0, 3.0),
        Pulse(3, "frame_clock"),
    ]
    world.board.close()
    wheel: protocols.Wheel = world.device("Wheel", "wheel", cm_per_count=0.0135)
    kind = "Valve" if "Valve" in world.kinds else "ArmedValve"
    valve: protocols.Valve = world.device(kind, "centre", **UL)
    world.open()
    zero = wheel.counts(world.wait(1))
    for message in messages:
        world.board.handle(message)
    world.turn(30)
    assert wheel.counts(world.wait(20)) - zero == 30
    valve.pulse(world.wait(1), 140.0)
    world.board.close()
    world.board.close()
    world.wait(200)
    ((_, open_ms),) = world.openings("centre")
    assert open_ms < 140.0 or world.simulated


@serving("Wheel")
def test_a_wheel_counts_forward_and_backward_and_has_a_calibration(world: World) -> None:
    wheel: protocols.Wheel = world.device("Wheel", "wheel", cm_per_count=0.0135)
    assert wheel.settings.cm_per_count == 0.0135
    world.open()
    zero = wheel.counts(world.wait(1))
    for counts, in_all in ((100, 100), (0, 100), (-250, -150), (3, -147)):
        world.turn(counts)
        assert _settles(world, lambda now: wheel.counts(now) - zero, in_all)


def _settles(world: World, count: Callable[[int], int], expected: int) -> bool:
    """Wait for the expected count; on a busy machine a board answers late."""
    return any(count(world.wait(20)) == expected for _ in range(50))


@serving("Ball")
def test_a_ball_counts_both_axes(world: World) -> None:
    keys = {"cm_per_count": 0.0135, "side_cm_per_count": -0.02, "calibrated": "2026-11-24"}
    ball: protocols.Ball = world.device("Ball", "wheel", **keys)
    assert isinstance(ball, protocols.Ball)
    world.open()
    now = world.wait(1)
    zero, side_zero = ball.counts(now), ball.side_counts(now)
    for counts, in_all in ((100, 100), (-250, -150), (50, -100)):
        world.turn(counts)
        assert _settles(world, lambda now: ball.counts(now) - zero, in_all)
        assert _settles(world, lambda now: ball.side_counts(now) - side_zero, in_all // 10)


@serving("Lick")
def test_licks_come_once_in_order_and_not_before_their_time(world: World) -> None:
    lick: protocols.Lick = world.device("Lick", SPOUT)
    world.open()
    assert lick.onsets(world.wait(1)) == []
    true, found = [], []
    for wait_ms in (30, 1, 30, 60, 1):
        true.append(world.lick())
        now = world.wait(wait_ms)
        onsets = lick.onsets(now)
        assert all(t <= now for t in onsets)
        found += onsets
        assert lick.onsets(now) == []
    found += lick.onsets(world.wait(50))
    assert found == sorted(set(found))
    assert len(found) == len(true)
    assert all(_near(a, b, world) for a, b in zip(found, true, strict=True))


@serving("Valve")
def test_a_valve_reports_its_opening_and_is_shut_by_the_device(
    world: World,
) -> None:
    valve: protocols.Valve = world.device("Valve", "centre", **UL)
    assert valve.settings.ul_per_ms == 0.05
    valve.close()
    world.open()
    found = [valve.pulse(world.wait(200), open_ms) for open_ms in (60.0, 25.5)]
    world.wait(200)
    opened = world.openings("centre")
    step_ms = getattr(world, "step_ms", 0.0)
    assert [ms for _, ms in opened] == pytest.approx([60.0, 25.5], abs=0.05 + step_ms / 2)
    assert all(_near(t, at, world) for t, (at, _) in zip(found, opened, strict=True))
    valve.close()
    valve.close()


@serving("ArmedValve")
def test_an_armed_valve_fires_once_at_the_first_lick_and_reports_it_once(world: World) -> None:
    valve: protocols.ArmedValve = world.device("ArmedValve", "centre", **UL)
    assert isinstance(valve, protocols.ArmedValve)
    world.open()
    world.lick()
    assert valve.fired(world.wait(20)) is None
    now = world.wait(20)
    valve.arm(now, 60.0, now + LONG)
    assert valve.fired(world.wait(20)) is None
    lick_t = world.lick()
    world.lick()
    fired = valve.fired(world.wait(200))
    assert fired is not None
    assert _near(fired.lick_t, lick_t, world)
    assert fired.open_ms == pytest.approx(60.0, abs=0.05)
    ((opened_t, open_ms),) = world.openings("centre")
    assert _near(fired.opened_t, opened_t, world)
    assert open_ms == pytest.approx(60.0, abs=0.05)
    assert opened_t >= lick_t
    assert valve.fired(world.wait(1)) is None
    assert valve.disarm(world.wait(1)) is None
    world.lick()
    world.wait(200)
    assert len(world.openings("centre")) == 1


@serving("ArmedValve")
def test_a_disarmed_valve_stays_shut_and_can_be_armed_or_opened_again(world: World) -> None:
    valve: protocols.ArmedValve = world.device("ArmedValve", "centre", **UL)
    world.open()
    assert valve.disarm(world.wait(1)) is None
    for _ in range(2):
        now = world.wait(1)
        valve.arm(now, 40.0, now + LONG)
        assert valve.disarm(world.wait(20)) is None
        world.lick()
        assert valve.fired(world.wait(200)) is None
    valve.pulse(world.wait(1), 30.0)
    world.wait(200)
    now = world.wait(1)
    valve.arm(now, 40.0, now + LONG)
    world.lick()
    fired = valve.disarm(world.wait(200))
    assert fired is not None
    assert [ms for _, ms in world.openings("centre")] == pytest.approx([30.0, 40.0], abs=0.05)


@serving("ArmedValve")
def test_an_armed_valve_is_disarmed_at_its_end_unless_it_is_extended(world: World) -> None:
    valve: protocols.ArmedValve = world.device("ArmedValve", "centre", **UL)
    world.open()
    now = world.wait(1)
    valve.arm(now, 40.0, now + 60 * MS)
    for _ in range(8):
        assert valve.fired(world.wait(20)) is None
    world.lick()
    assert valve.fired(world.wait(100)) is None
    assert world.openings("centre") == []
    assert valve.disarm(world.wait(1)) is None
    now = world.wait(1)
    valve.arm(now, 40.0, now + 60 * MS)
    for _ in range(8):
        now = world.wait(20)
        valve.keep(now + 60 * MS)
        assert valve.fired(now) is None
    world.lick()
    assert valve.fired(world.wait(100)) is not None
    assert len(world.openings("centre")) == 1


@serving("Line")
def test_a_line_goes_up_and_down_once_a_pulse(world: World) -> None:
    line: protocols.Line = world.device("Line", "frame_clock")
    world.open()
    assert line.edges(world.wait(1)) == []
    true, found = [], []
    for wait_ms in (1, 20, 33, 1):
        true.append(world.frame())
        now = world.wait(wait_ms)
        edges = line.edges(now)
        assert all(at <= now for at, _ in edges)
        found += edges
    found += line.edges(world.wait(50))
    assert [up for _, up in found] == [True, False] * len(true)
    assert found == sorted(found)
    rises = [at for at, up in found if up]
    assert all(_near(a, b, world) for a, b in zip(rises, true, strict=True))


@serving("Output")
def test_an_output_keeps_its_level_and_is_low_at_the_end(world: World) -> None:
    output: protocols.Output = world.device("Output", "sync", on="trial")
    assert (output.settings.on, output.settings.pulse_ms) == ("trial", 0.0)
    output.close()
    world.open()
    assert not world.level("sync")
    for up in (True, False, False, True, True, False, True):
        now = world.wait(5)
        assert _near(output.set(now, up), now, world)
        assert world.level("sync") is up
    output.close()
    output.close()
    assert not world.level("sync")


@serving("TriggerLine")
def test_a_trigger_line_rises_for_a_time_that_the_device_keeps(world: World) -> None:
    line: protocols.TriggerLine = world.device("TriggerLine", "laser", longest_ms=500.0)
    assert isinstance(line.settings, protocols.TriggerLineSettings)
    assert line.settings.longest_ms == 500.0
    line.close()
    world.open()
    assert not world.level("laser")
    rose = []
    for up_ms in (60.0, 25.0):
        now = world.wait(5)
        rose.append(line.pulse(now, up_ms))
        assert now - world.slack_ns <= rose[-1] <= world.wait(1) + world.slack_ns
        world.wait(200)
        assert not world.level("laser")
    line.pulse(world.wait(1), 500.0)
    now = world.wait(30)
    assert world.level("laser")
    assert now - world.slack_ns <= line.end(now) <= world.wait(1) + world.slack_ns
    assert not world.level("laser")
    pulses = world.openings("laser")
    assert [ms for _, ms in pulses[:2]] == pytest.approx([60.0, 25.0], abs=1.0)
    assert all(_near(t, at, world) for t, (at, _) in zip(rose, pulses, strict=False))
    line.pulse(world.wait(1), 500.0)
    line.close()
    line.close()
    assert not world.level("laser")


@serving("Camera")
def test_a_camera_counts_its_exposures(world: World) -> None:
    camera: protocols.Camera = world.device("Camera", "face")
    world.open()
    before = camera.exposures(world.wait(0))
    for exposures in (1, 0, 5, 30):
        world.film(exposures)
        counted = camera.exposures(world.wait(0))
        assert counted - before == exposures
        before = counted


waits = st.lists(st.integers(0, 2000), min_size=1, max_size=40)


@given(waits_ms=waits, pulses_ms=st.lists(st.integers(10, 500), max_size=20))
def test_a_simulated_line_loses_no_pulse(waits_ms: list[int], pulses_ms: list[int]) -> None:
    world = SimulatedWorld()
    line: protocols.Line = world.device("Line", "frame_clock")
    world.open()
    t, sent = 0, []
    for pulse_ms in pulses_ms:
        t += pulse_ms * MS
        sent.append(t)
        world.board.handle(Pulse(t, "frame_clock"))
    edges = []
    for wait_ms in [*waits_ms, 20_000]:
        now = world.wait(wait_ms)
        seen = line.edges(now)
        assert all(at <= now for at, _ in seen)
        edges += seen
    assert [at for at, up in edges if up] == sent
    assert edges == sorted(edges)
    assert [up for _, up in edges] == [True, False] * len(sent)
