"""The driver's water: within the daily limit, recorded on disk first, shut at the end."""

import os
import threading
import uuid
from pathlib import Path

import pytest

from rig.messages import Fault, Valve
from rig.subjects import water_reserve
from rig.subjects.begun_water import read_begun, remove_begun
from tests.behavior.driven import SCRIPTED, Driven, armed, made, scripted_table
from tests.behavior.scripted import Board
from tests.behavior.sessions import MS, S, of


def test_no_water_is_given_before_start() -> None:
    node = made(scripted_table())
    node.handle(armed(1, 0, "now"))
    board = node.devices.boards["b"]
    assert isinstance(board, Board)
    assert not board.acts


def test_earlier_water_of_the_day_counts_and_a_second_start_changes_nothing() -> None:
    rig = Driven(session={"given_today_ul": 996.0})
    for number in range(3):
        rig.node.handle(rig.start)
        rig.at((number + 1) * S, armed(number, (number + 1) * S, "now"))
    assert [bool(valve.refused) for valve in of(Valve, rig.published)] == [False, True, True]
    assert "daily limit of 1000 ul" in of(Fault, rig.published)[0].text


def test_rewards_are_refused_after_five_without_a_lick() -> None:
    rig = Driven()
    for second in range(1, 8):
        rig.at(second * S, armed(second, second * S, "now"))
    assert [bool(valve.refused) for valve in of(Valve, rig.published)] == [False] * 5 + [True] * 2
    rig.board.licks = [8 * S]
    rig.at(8 * S + MS)
    rig.at(9 * S, armed(9, 9 * S, "now"))
    assert not of(Valve, rig.published)[-1].refused


def test_water_is_recorded_on_disk_before_it_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rig = Driven(session={"began": "2026-11-24T10:00:00+00:00", "task": {"reward_ul": 3.0}})
    for reward in range(1, 12):
        reservation = rig.node._rewards._reservation
        assert reservation is not None
        while reservation.durable_ul < reward * 3.0:
            rig.node.tick(rig.clock.now())
        rig.board.licks = [reward * S - MS]
        rig.at(reward * S)
        valves = of(Valve, rig.at(reward * S, armed(reward, reward * S, "now")))
        assert [valve.volume_ul for valve in valves] == [3.0]
        assert reward * 3.0 <= _reserved_ul(tmp_path) <= (reward + 5) * 3.0 + 0.001
    rig.node.close()


def test_no_water_is_given_while_the_disk_stalls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    stalled = threading.Event()
    monkeypatch.setattr(os, "fsync", lambda _: stalled.wait())
    rig = Driven(session={"began": "2026-11-24T10:00:00+00:00", "task": {"reward_ul": 3.0}})
    rig.at(1 * S, armed(1, 1 * S, "now"))
    stalled.set()
    rig.node.close()
    assert "not yet recorded on disk" in of(Valve, rig.published)[0].refused
    assert "centre 60 ms" not in rig.board.acts


def test_a_reward_is_noted_before_its_valve_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    id_ = uuid.uuid4().hex
    began = "2026-11-24T10:00:00+00:00"
    rig = Driven(session={"id": id_, "began": began, "task": {"reward_ul": 3.0}})
    reservation = rig.node._rewards._reservation
    assert reservation is not None
    while reservation.durable_ul < 9.0:
        rig.node.tick(rig.clock.now())
    valve = rig.node.devices.valves["centre"]
    pulse, noted = valve.pulse, []

    def opened(now: int, open_ms: float) -> int:
        noted.append(read_begun(id_))
        return pulse(now, open_ms)

    monkeypatch.setattr(valve, "pulse", opened)
    for second in (1, 2, 3):
        rig.at(second * S, armed(second, second * S, "now"))
    assert noted == pytest.approx([3.0, 6.0, 9.0], abs=0.001)
    rig.node.close()
    remove_begun(id_)


def _reserved_ul(folder: Path) -> float:
    return water_reserve.read_reserved(folder) or 0.0


@pytest.mark.parametrize("opened", [True, False])
def test_closing_shuts_every_valve_even_if_devices_fail(opened: bool) -> None:
    table = scripted_table(closes=False)
    table["valve"]["left"] = {"is": f"{SCRIPTED}:Valve", "board": "b", "closes": False}
    rig = Driven(table) if opened else None
    node = rig.node if rig is not None else made(table)
    board = node.devices.boards["b"]
    assert isinstance(board, Board)
    with pytest.raises(OSError, match="gone"):
        node.close()
    assert set(board.acts[:2]) == {"left shut", "centre shut"}
    assert board.acts[2] == "board closed"


def test_after_closing_nothing_opens() -> None:
    rig = Driven()
    rig.at(1 * MS, armed(1, 1 * MS))
    rig.node.close()
    rig.board.acts.clear()
    rig.board.licks = [2 * MS]
    rig.at(3 * MS, alive=False)
    rig.node.handle(armed(2, 3 * MS, "now"))
    assert not rig.board.acts
