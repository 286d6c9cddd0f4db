"""The hardware node: licks open valves, the guard limits them, and it ends safely."""

from typing import Any

import pytest

from rig.errors import Refused
from rig.messages import (
    Arm,
    DeviceTime,
    Disarm,
    Edge,
    Fault,
    Lick,
    Message,
    Pulse,
    Start,
    Valve,
    Wheel,
)
from tests.behavior.driven import Driven, armed, scripted_table
from tests.behavior.sessions import MS, S, hardware, hardware_table, of


def test_every_tick_publishes_the_wheel_in_counts_and_cm() -> None:
    rig = Driven()
    assert rig.at(1 * MS) == [Wheel(1 * MS, 0, 0.0)]
    rig.board.counts = 130
    assert rig.at(2 * MS) == [Wheel(2 * MS, 30, 15.0)]
    rig.board.counts = 96
    assert rig.at(3 * MS) == [Wheel(3 * MS, -4, -2.0)]


def test_the_sideways_distance_of_a_ball_is_published() -> None:
    published: list[Message] = []
    table = hardware_table({"is": "tests.behavior.scripted:Mouse"})
    ball = {"is": "behavior.devices.simulated:Ball", "side_cm_per_count": -0.5}
    table["wheel"] = {**table["wheel"], **ball}
    node, clock = hardware(table, published.append)
    mouse: Any = node.devices.boards["bench"]
    mouse = mouse.mouse
    node.handle(Start(0, {"seed": 1}))
    for ms, turned in ((1, 1000), (2, 1040), (3, 980)):
        mouse.turned = turned
        clock.set(ms * MS)
        node.tick(ms * MS)
    assert [(w.counts, w.side_cm) for w in of(Wheel, published)] == [
        (0, 0.0),
        (40, -2.0),
        (-20, 1.0),
    ]


def test_the_firmware_opens_the_valve_before_other_work() -> None:
    rig = Driven()
    rig.at(1 * MS, armed(1, 1 * MS))
    rig.board.licks = [5 * MS + 1, 35 * MS + 2]
    valve, *others = rig.at(36 * MS)
    assert valve == Valve(36 * MS + 7, 1, "centre", 60.0, 3.0, 5 * MS + 1)
    assert others[:2] == [Lick(5 * MS + 1, "centre"), Lick(35 * MS + 2, "centre")]
    assert rig.board.acts == ["centre 60 ms"]
    assert valve in rig.board.handled


def test_a_reward_for_now_does_not_wait_for_a_tick() -> None:
    rig = Driven()
    rig.at(1 * MS)
    rig.clock.set(2 * MS)
    rig.node.handle(armed(1, 2 * MS, on="now"))
    assert rig.published[-1] == Valve(2 * MS + 7, 1, "centre", 60.0, 3.0, None)


def test_a_disarmed_valve_stays_shut() -> None:
    rig = Driven()
    rig.at(1 * MS, armed(1, 1 * MS), Disarm(1 * MS, 1))
    rig.board.licks = [2 * MS]
    rig.at(3 * MS)
    assert not of(Valve, rig.published)


@pytest.mark.parametrize(
    ("arm", "expected"),
    [
        (armed(1, 1 * MS, "now", volume_ul=9.0), "exceeds the limit of 150 ms"),
        (armed(1, 1 * MS, "now", volume_ul=float("nan")), "not a valid volume"),
        (armed(1, 1 * MS, "now", line="left"), "has no valve of that name"),
        (armed(1, 1 * MS, "now", deadline=1 * MS - 1), "deadline"),
    ],
)
def test_a_refusal_is_published_with_its_reason(arm: Arm, expected: str) -> None:
    rig = Driven()
    rig.at(1 * MS, arm)
    (valve,) = of(Valve, rig.published)
    assert (valve.id, valve.open_ms, valve.volume_ul) == (1, 0.0, 0.0)
    assert expected in valve.refused
    assert expected in of(Fault, rig.published)[0].text
    assert not rig.board.acts


def test_a_second_reward_without_a_gap_is_refused() -> None:
    rig = Driven()
    rig.at(1 * MS, armed(1, 1 * MS, "now"), armed(2, 1 * MS, "now"), armed(1, 1 * MS, "now"))
    assert [bool(valve.refused) for valve in of(Valve, rig.published)] == [False, True]
    assert rig.board.acts == ["centre 60 ms"]


def test_requests_that_the_task_does_not_renew_end_within_a_second() -> None:
    rig = Driven()
    rig.at(1 * MS, armed(1, 1 * MS))
    assert not of(Valve, rig.at(1 * S, alive=False))
    (valve,) = of(Valve, rig.at(1 * S + 2 * MS, alive=False))
    assert "stopped renewing" in valve.refused
    rig.board.licks = [1 * S + 3 * MS]
    rig.at(1 * S + 4 * MS, armed(1, 1 * MS), alive=False)
    assert not rig.board.acts


def test_a_device_that_fails_ends_the_driver() -> None:
    rig = Driven()
    rig.board.failing = True
    with pytest.raises(OSError, match="does not answer"):
        rig.at(1 * MS)


def test_a_boards_device_time_is_published_once() -> None:
    rig = Driven()
    device_time = DeviceTime(1 * MS, "b", 77, 5)
    rig.board.times = [device_time]
    assert of(DeviceTime, rig.at(2 * MS) + rig.at(3 * MS)) == [device_time]


def test_a_board_that_cannot_be_opened_refuses_the_session() -> None:
    with pytest.raises(Refused, match="plug it in"):
        Driven(scripted_table(opens=False))


def test_a_pulse_of_the_simulated_microscope_gives_two_edges() -> None:
    published: list[Message] = []
    node, clock = hardware(hardware_table(), published.append)
    node.handle(Start(0, {"seed": 1}))
    node.handle(Pulse(10 * MS, "frame_clock"))
    node.handle(Pulse(10 * MS, "nowhere"))
    for ms in (9, 12, 20):
        clock.set(ms * MS)
        node.tick(ms * MS)
    assert of(Edge, published) == [
        Edge(10 * MS, "frame_clock", True),
        Edge(15 * MS, "frame_clock", False),
    ]
