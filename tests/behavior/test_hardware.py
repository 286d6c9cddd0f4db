"""The driver: licks fire valves, the guard stands before them, and the end is safe."""

import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest

from behavior.devices.hardware import Hardware
from rig.clock import SetClock
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
from rig.refused import Refused
from rig.session import reserve
from tests.behavior.scripted import Board
from tests.behavior.sessions import MS, S, hardware, hardware_table, of

SCRIPTED = "tests.behavior.scripted"


def _table(**board: Any) -> dict[str, Any]:
    on = {"board": "b"}
    return {
        "boards": {"b": {"is": f"{SCRIPTED}:Board", **board}},
        "wheel": {"is": f"{SCRIPTED}:Wheel", **on},
        "lick": {"centre": {"is": f"{SCRIPTED}:Lick", **on}},
        "valve": {"centre": {"is": f"{SCRIPTED}:Valve", **on}},
    }


class _Rig:
    """A driver with scripted devices, a clock, and a task that is alive."""

    def __init__(
        self, table: dict[str, Any] | None = None, session: dict[str, Any] | None = None
    ) -> None:
        self.said: list[Message] = []
        self.arms: list[Arm] = []
        """What a task that is alive says again."""
        self.node, self.clock = hardware(table or _table(), self.said.append)
        board = self.node.devices.boards["b"]
        assert isinstance(board, Board)
        self.board = board
        self.start = Start(0, {"seed": 1, **(session or {})})
        self.node.hear(self.start)

    def at(self, now: int, *words: Message, alive: bool = True) -> list[Message]:
        """Let time be now (ns), say these words, tick; return what the driver said."""
        self.clock.set(now)
        before = len(self.said)
        for arm in self.arms if alive else ():
            self.node.hear(arm)
        for word in words:
            self.node.hear(word)
        self.arms += [word for word in words if isinstance(word, Arm)]
        self.node.tick(now)
        return self.said[before:]


def _arm(id_: int, t: int, on: Any = "lick", **changes: Any) -> Arm:
    fields = {"deadline": t + 60 * S, "line": "centre", "volume_ul": 3.0, **changes}
    return Arm(t, id_, on=on, **fields)


def test_every_tick_says_the_wheel_since_start_in_counts_and_cm() -> None:
    rig = _Rig()
    assert rig.at(1 * MS) == [Wheel(1 * MS, 0, 0.0)]
    rig.board.counts = 130
    assert rig.at(2 * MS) == [Wheel(2 * MS, 30, 15.0)]
    rig.board.counts = 96
    assert rig.at(3 * MS) == [Wheel(3 * MS, -4, -2.0)]


def test_a_ball_says_how_far_it_turned_sideways_since_start() -> None:
    said: list[Message] = []
    table = hardware_table({"is": "tests.behavior.scripted:Mouse"})
    ball = {"is": "behavior.devices.simulated:Ball", "side_cm_per_count": -0.5}
    table["wheel"] = {**table["wheel"], **ball}
    node, clock = hardware(table, said.append)
    mouse: Any = node.devices.boards["bench"]
    mouse = mouse.mouse
    node.hear(Start(0, {"seed": 1}))
    for ms, turned in ((1, 1000), (2, 1040), (3, 980)):
        mouse.turned = turned
        clock.set(ms * MS)
        node.tick(ms * MS)
    assert [(w.counts, w.side_cm) for w in of(Wheel, said)] == [(0, 0.0), (40, -2.0), (-20, 1.0)]


def test_a_lick_opens_the_armed_valve_before_anything_else_is_done() -> None:
    rig = _Rig()
    rig.at(1 * MS, _arm(1, 1 * MS))
    rig.board.licks = [5 * MS + 1, 35 * MS + 2]
    valve, *others = rig.at(36 * MS)
    assert valve == Valve(36 * MS + 7, 1, "centre", 60.0, 3.0, 5 * MS + 1)
    assert others[:2] == [Lick(5 * MS + 1, "centre"), Lick(35 * MS + 2, "centre")]
    assert rig.board.acts == ["centre 60 ms"]
    assert valve in rig.board.told


def test_water_at_once_comes_without_waiting_for_a_tick() -> None:
    rig = _Rig()
    rig.at(1 * MS)
    rig.clock.set(2 * MS)
    rig.node.hear(_arm(1, 2 * MS, on="now"))
    assert rig.said[-1] == Valve(2 * MS + 7, 1, "centre", 60.0, 3.0, None)


def test_a_disarmed_valve_stays_shut() -> None:
    rig = _Rig()
    rig.at(1 * MS, _arm(1, 1 * MS), Disarm(1 * MS, 1))
    rig.board.licks = [2 * MS]
    rig.at(3 * MS)
    assert not of(Valve, rig.said)


@pytest.mark.parametrize(
    ("arm", "says"),
    [
        (_arm(1, 1 * MS, "now", volume_ul=9.0), "over the limit of 150 ms"),
        (_arm(1, 1 * MS, "now", volume_ul=float("nan")), "no volume"),
        (_arm(1, 1 * MS, "now", line="left"), "no such valve"),
        (_arm(1, 1 * MS, "now", deadline=1 * MS - 1), "deadline"),
    ],
)
def test_a_refusal_is_answered_and_told(arm: Arm, says: str) -> None:
    rig = _Rig()
    rig.at(1 * MS, arm)
    (valve,) = of(Valve, rig.said)
    assert (valve.id, valve.open_ms, valve.volume_ul) == (1, 0.0, 0.0)
    assert says in valve.refused
    assert says in of(Fault, rig.said)[0].what
    assert not rig.board.acts


def test_two_rewards_without_a_gap_are_one() -> None:
    rig = _Rig()
    rig.at(1 * MS, _arm(1, 1 * MS, "now"), _arm(2, 1 * MS, "now"), _arm(1, 1 * MS, "now"))
    assert [bool(valve.refused) for valve in of(Valve, rig.said)] == [False, True]
    assert rig.board.acts == ["centre 60 ms"]


def test_if_the_task_falls_silent_its_valves_are_void_within_a_second() -> None:
    rig = _Rig()
    rig.at(1 * MS, _arm(1, 1 * MS))
    assert not of(Valve, rig.at(1 * S, alive=False))
    (valve,) = of(Valve, rig.at(1 * S + 2 * MS, alive=False))
    assert "fell silent" in valve.refused
    rig.board.licks = [1 * S + 3 * MS]
    rig.at(1 * S + 4 * MS, _arm(1, 1 * MS), alive=False)
    assert not rig.board.acts


def test_a_device_that_fails_ends_the_driver() -> None:
    rig = _Rig()
    rig.board.failing = True
    with pytest.raises(OSError, match="does not answer"):
        rig.at(1 * MS)


def test_where_a_boards_clock_stands_is_said_once() -> None:
    rig = _Rig()
    told = DeviceTime(1 * MS, "b", 77, 5)
    rig.board.times = [told]
    assert of(DeviceTime, rig.at(2 * MS) + rig.at(3 * MS)) == [told]


def test_before_start_there_is_no_water() -> None:
    node = _made(_table())
    node.hear(_arm(1, 0, "now"))
    board = node.devices.boards["b"]
    assert isinstance(board, Board)
    assert not board.acts


def test_the_water_of_the_day_before_this_session_counts_and_start_again_changes_nothing() -> None:
    rig = _Rig(session={"given_today_ul": 996.0})
    for number in range(3):
        rig.node.hear(rig.start)
        rig.at((number + 1) * S, _arm(number, (number + 1) * S, "now"))
    assert [bool(valve.refused) for valve in of(Valve, rig.said)] == [False, True, True]
    assert "day's limit of 1000 ul" in of(Fault, rig.said)[0].what


def test_rewards_that_nobody_licks_up_are_refused_until_a_lick_comes() -> None:
    rig = _Rig()
    for second in range(1, 8):
        rig.at(second * S, _arm(second, second * S, "now"))
    assert [bool(valve.refused) for valve in of(Valve, rig.said)] == [False] * 5 + [True] * 2
    rig.board.licks = [8 * S]
    rig.at(8 * S + MS)
    rig.at(9 * S, _arm(9, 9 * S, "now"))
    assert not of(Valve, rig.said)[-1].refused


def test_water_is_set_aside_on_the_disk_before_it_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rig = _Rig(session={"began": "2026-11-24T10:00:00+00:00", "task": {"reward_ul": 3.0}})
    for reward in range(1, 12):
        reservation = rig.node._watering._reservation
        assert reservation is not None
        while reservation.durable_ul < reward * 3.0:
            rig.node.tick(rig.clock.now())
        rig.board.licks = [reward * S - MS]
        rig.at(reward * S)
        valves = of(Valve, rig.at(reward * S, _arm(reward, reward * S, "now")))
        assert [valve.volume_ul for valve in valves] == [3.0]
        assert reward * 3.0 <= _reserved_ul(tmp_path) <= (reward + 5) * 3.0 + 0.001
    rig.node.close()


def test_without_a_disk_that_notes_it_there_is_no_water(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    stalled = threading.Event()
    monkeypatch.setattr(reserve.os, "fsync", lambda _: stalled.wait())
    rig = _Rig(session={"began": "2026-11-24T10:00:00+00:00", "task": {"reward_ul": 3.0}})
    rig.at(1 * S, _arm(1, 1 * S, "now"))
    stalled.set()
    rig.node.close()
    assert "disk has not yet noted" in of(Valve, rig.said)[0].refused
    assert "centre 60 ms" not in rig.board.acts


def _reserved_ul(folder: Path) -> float:
    reserved = reserve.read_reserved(folder)
    return 0.0 if reserved is None else reserved.total_ul


@pytest.mark.parametrize("opened", [True, False])
def test_closing_shuts_every_valve_whatever_else_fails(opened: bool) -> None:
    table = _table(closes=False)
    table["valve"]["left"] = {"is": f"{SCRIPTED}:Valve", "board": "b", "closes": False}
    rig = _Rig(table) if opened else None
    node = rig.node if rig is not None else _made(table)
    board = node.devices.boards["b"]
    assert isinstance(board, Board)
    with pytest.raises(OSError, match="gone"):
        node.close()
    assert set(board.acts[:2]) == {"left shut", "centre shut"}
    assert board.acts[2] == "board closed"


def test_after_closing_nothing_opens() -> None:
    rig = _Rig()
    rig.at(1 * MS, _arm(1, 1 * MS))
    rig.node.close()
    rig.board.acts.clear()
    rig.board.licks = [2 * MS]
    rig.at(3 * MS, alive=False)
    rig.node.hear(_arm(2, 3 * MS, "now"))
    assert not rig.board.acts


def _made(table: dict[str, Any]) -> Hardware:
    said: list[Message] = []
    node = Hardware(msgspec.convert(table, Hardware.Settings), said.append)
    node.clock = SetClock()
    return node


def test_a_board_that_cannot_be_had_refuses_the_session() -> None:
    with pytest.raises(Refused, match="plug it in"):
        _Rig(_table(opens=False))


def test_a_pulse_of_the_microscope_comes_back_as_two_edges() -> None:
    said: list[Message] = []
    node, clock = hardware(hardware_table(), said.append)
    node.hear(Start(0, {"seed": 1}))
    node.hear(Pulse(10 * MS, "frame_clock"))
    node.hear(Pulse(10 * MS, "nowhere"))
    for ms in (9, 12, 20):
        clock.set(ms * MS)
        node.tick(ms * MS)
    assert of(Edge, said) == [
        Edge(10 * MS, "frame_clock", True),
        Edge(15 * MS, "frame_clock", False),
    ]
