"""NI cards that are missing or do not fit the setup are refused, and nothing stays reserved."""

from typing import Any

import msgspec
import nidaqmx
import pytest

from behavior.devices.nidaq.card import Card
from behavior.devices.nidaq.devices import ArmedValve, Board
from behavior.devices.nidaq.inputs import TICK_NS
from behavior.devices.protocols import Fired
from behavior.hardware import Hardware
from rig.clock import SetClock
from rig.errors import Refused
from rig.messages import Message
from tests.behavior.devices.nidaq.simulated_card.contract import (
    NIDAQ,
    VALVE_LINE,
    WIRING,
    shared_card,
)
from tests.behavior.devices.nidaq.simulated_card.process import SimulatedCard
from tests.behavior.devices.nidaq.simulated_card.rigs import card_table
from tests.behavior.sessions import MS, hardware

ARMED = {"is": f"{NIDAQ}:ArmedValve", **WIRING["ArmedValve"]}
SAMPLED = {"watchdog_lines": [VALVE_LINE], "latch_counter": ""}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"boards": {"card": {"device": "Dev9"}}}, r"Dev9.*no card of that name"),
        ({"valve": {"centre": {"counter": "ctr7"}}}, r"valve, ctr7.*no such line or counter"),
        (
            {"lick": {"centre": {"line": 9}}},
            r"line 9 is not an input of board card.*input_lines = 8",
        ),
        ({"lick": {"centre": {"line": 32}}}, r"line"),
        ({"wheel": {"a": "PFI99"}}, r"no such"),
        ({"boards": {"card": {"port": "port7"}}}, r"no such line"),
        ({"boards": {"card": {"address": "127.0.0.1:1"}}}, r"does not answer.*address"),
        ({"boards": {"card": {"address": ""}}}, r"NI-DAQmx driver is missing"),
        ({"valve": {"centre": ARMED}}, "no watchdog_lines"),
        ({"valve": {"centre": ARMED}, "boards": {"card": SAMPLED}}, "no latch_counter"),
        ({"wheel": {"board": None}}, "needs a board"),
    ],
)
def test_missing_hardware_is_refused_in_one_sentence(
    card: SimulatedCard, change: dict[str, Any], expected: str
) -> None:
    table = card_table(card)
    for kind, devices in change.items():
        for name, keys in devices.items():
            if isinstance(keys, dict):
                table[kind][name].update(keys)
            elif keys is None:
                del table[kind][name]
            else:
                table[kind][name] = keys
    with pytest.raises(Refused, match=expected) as refused:
        hardware(table, list[Message]().append)
    assert "\n" not in str(refused.value)


def test_a_resource_of_another_program_is_refused_and_left_alone(card: SimulatedCard) -> None:
    other = Card("Dev1", card.address, 0.5)
    other.open()
    task = nidaqmx.Task("other", grpc_options=nidaqmx.GrpcSessionOptions(other._channel, "other"))
    task.co_channels.add_co_pulse_chan_time("Dev1/ctr2")
    task.start()
    with pytest.raises(Refused, match=r"valve, ctr2.*another program uses it"):
        hardware(card_table(card), list[Message]().append)
    assert "other" in card.do("tasks")
    task.close()
    other.close()


def test_a_refused_board_leaves_nothing_on_the_card(card: SimulatedCard) -> None:
    table = card_table(card)
    table["valve"]["left"] = {**table["valve"]["centre"], "counter": "ctr0"}
    node = Hardware(msgspec.convert(table, Hardware.Settings), list[Message]().append)
    node.clock = SetClock()
    with pytest.raises(Refused, match="another program uses it"):
        node.open()
    node.close()
    assert card.do("tasks") == []


@pytest.mark.parametrize(
    "change", [{"wheel": {"a": "PFI99"}}, {"card": {"address": ""}}, {"card": {"device": "Dev9"}}]
)
def test_closing_after_a_refusal_raises_nothing(
    card: SimulatedCard, change: dict[str, dict[str, str]]
) -> None:
    table = card_table(card)
    table["wheel"].update(change.get("wheel", {}))
    table["boards"]["card"].update(change.get("card", {}))
    output = {"is": f"{NIDAQ}:Output", "board": "card", "on": "session", **WIRING["Output"]}
    table["outputs"] = {"sync": output}
    node = Hardware(msgspec.convert(table, Hardware.Settings), list[Message]().append)
    node.clock = SetClock()
    with pytest.raises(Refused):
        node.open()
    node.close()


@pytest.mark.parametrize("apart_ns", [-TICK_NS, 0, TICK_NS])
def test_an_armed_reward_has_the_time_of_its_lick_message(
    apart_ns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = Board(Board.Settings(watchdog_lines=[VALVE_LINE]), "card")
    monkeypatch.setattr(board, "poll", lambda *_: None)
    settings = ArmedValve.Settings(ul_per_ms=0.05, lick=0, trigger="PFI0", sense=7)
    valve = ArmedValve(settings, "centre", board)
    monkeypatch.setattr(valve._pulser, "arm", lambda *_: None)
    valve.arm(0, 60.0, 9 * MS)
    licked = 5 * MS + apart_ns
    for line, tap in board._queues:
        tap.edges.append((licked if line == 0 else 5 * MS, True))
    fired = valve.fired(6 * MS)
    assert fired == Fired(licked, max(licked, 5 * MS), 60.0)


@pytest.mark.parametrize(
    ("line", "shared"),
    [
        ({"counter": "ctr2"}, "PFI14 and ctr2"),
        ({"counter": "ctr2", "terminal": "PFI5"}, "ctr2"),
        ({"counter": "ctr3", "terminal": "PFI14"}, "PFI14"),
    ],
)
def test_a_trigger_line_is_not_wired_to_a_valve(line: dict[str, Any], shared: str) -> None:
    table = card_table(shared_card())
    laser = {"is": f"{NIDAQ}:TriggerLine", "board": "card", **line}
    with pytest.raises(Refused, match=f"laser: {shared} of board card opens a valve; choose"):
        hardware({**table, "trigger_lines": {"laser": laser}}, list[Message]().append)
