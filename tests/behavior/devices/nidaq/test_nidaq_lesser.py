"""NI cards with fewer features: the driver's fallbacks and warnings."""

import time
from typing import Any

import pytest

from behavior.devices.nidaq.devices import Board, Line
from rig.errors import Refused
from rig.messages import Arm, DeviceTime, Edge, Fault, Lick, Message, Start, Valve
from rig.settings import device_factory
from tests.behavior.devices.nidaq.simulated_card.contract import NIDAQ, VALVE_LINE, shared_card
from tests.behavior.devices.nidaq.simulated_card.process import SimulatedCard
from tests.behavior.devices.nidaq.simulated_card.rigs import (
    card_table,
    start_hardware,
    tick_for,
    zero,
)
from tests.behavior.sessions import MS, S, hardware, of

sampling = pytest.mark.parametrize("own_card", ["sampling"], indirect=True)
small = pytest.mark.parametrize("own_card", ["small"], indirect=True)
BUSY = 20 * MS
"""Longest delay of a call on a busy machine, ns."""
UNWATCHED = "If the driver stops responding, the card's counters end the pulse that is under way"


def _table(card: SimulatedCard, valve: str = "Valve", **board: Any) -> dict[str, Any]:
    table = card_table(card, valve, **{"latch_counter": "", **board})
    table["valve"]["centre"].update(counter="ctr1", terminal="PFI14")
    return table


def _faults(published: list[Message]) -> list[str]:
    return [fault.text for fault in of(Fault, published)]


@sampling
def test_without_change_detection_edges_are_dated_to_samples(
    own_card: SimulatedCard,
) -> None:
    published, node, clock = start_hardware(_table(own_card))
    tick_for(node, clock, 1500)
    true = []
    for up in (True, False) * 5:
        true.append(own_card.put("frame", up) - zero(node))
        time.sleep(0.003)
    time.sleep(0.2)  # nothing is read meanwhile
    tick_for(node, clock, 1000)
    node.close()
    edges = of(Edge, published)
    assert [edge.up for edge in edges] == [True, False] * 5
    # the time of the tick would be 200 ms late
    assert [edge.t for edge in edges] == pytest.approx(true, abs=BUSY)
    assert all(abs(message.residual_ns) < BUSY for message in of(DeviceTime, published))
    unwatched, sampled = _faults(published)
    assert sampled == (
        "board card has no latch_counter: the card samples its lines 10000 times a second, by its "
        "own clock"
    )
    assert unwatched.startswith(f"board card has no watchdog_lines. {UNWATCHED}")


@sampling
@pytest.mark.parametrize("message", [Start(0, {"seed": 1}), None], ids=["session", "by hand"])
def test_changes_between_open_and_start_are_not_edges(
    own_card: SimulatedCard, message: Start | None
) -> None:
    table = {"is": f"{NIDAQ}:Board", "address": own_card.address, "latch_counter": ""}
    board: Board = device_factory.make(table, "[card]", "card")
    keys = {"is": f"{NIDAQ}:Line", "board": "card", "line": 1}
    line: Line = device_factory.make_on_board(keys, "[line]", "line", {"card": board})
    board.open()
    own_card.put("frame", True)
    edges = []
    if message is not None:
        board.handle(message)
    for up in (True, False):
        own_card.put("frame", up)
        patience = time.monotonic() + 30
        while board.is_high(1) is not up:
            assert time.monotonic() < patience, "no sample comes"
            edges += [edge for _, edge in line.edges(time.monotonic_ns())]
    edges += [edge for _, edge in line.edges(time.monotonic_ns())]
    board.close()
    assert edges == [False]


def test_a_card_with_all_features_gives_no_warning(card: SimulatedCard) -> None:
    published, node, clock = start_hardware(card_table(card, "ArmedValve"))
    tick_for(node, clock, 20)
    node.close()
    assert _faults(published) == []


@small
def test_a_card_without_a_sample_clock_is_refused_or_read_each_tick(
    own_card: SimulatedCard,
) -> None:
    with pytest.raises(
        Refused, match='has no change detection on that line; set latch_counter = ""'
    ):
        hardware(_table(own_card, latch_counter="ctr0"), list[Message]().append)
    with pytest.raises(Refused, match="no sample clock for these lines; set sample_hz = 0"):
        hardware(_table(own_card), list[Message]().append)
    published, node, clock = start_hardware(_table(own_card, sample_hz=0))
    tick_for(node, clock, 10)
    before = own_card.put("tongue", True) - zero(node)
    tick_for(node, clock, 30)
    own_card.put("tongue", False)
    own_card.put("frame", True)
    tick_for(node, clock, 30)
    node.close()
    (lick,) = of(Lick, published)
    assert before <= lick.t
    assert [(e.line, e.up) for e in of(Edge, published)] == [("frame_clock", True)]
    assert "its lines are read once a tick" in _faults(published)[1]


@sampling
def test_a_card_without_a_watchdog_gives_water_and_one_warning(
    own_card: SimulatedCard,
) -> None:
    published, node, clock = start_hardware(_table(own_card, watchdog_lines=[VALVE_LINE]))
    tick_for(node, clock, 5)
    node.handle(Arm(clock.now(), 1, clock.now() + S, "centre", "now", 3.0))
    tick_for(node, clock, 100)
    node.handle(Start(0, {"seed": 1, "t0_ns": zero(node)}))
    tick_for(node, clock, 20)
    node.close()
    assert [valve.refused for valve in of(Valve, published)] == [""]
    assert [ms for _, ms in own_card.openings(VALVE_LINE)] == [pytest.approx(60.0, abs=0.01)]
    (unwatched,) = [what for what in _faults(published) if "watchdog" in what]
    assert "the card has no watchdog" in unwatched
    assert UNWATCHED in unwatched


@sampling
def test_an_armed_valve_is_refused_without_a_watchdog(own_card: SimulatedCard) -> None:
    table = _table(own_card, "ArmedValve", latch_counter="ctr0")
    with pytest.raises(Refused, match="the card has no watchdog"):
        hardware(table, list[Message]().append)


def test_inputs_alone_need_no_watchdog() -> None:
    there = shared_card()
    there.do("reset")
    table = {"is": f"{NIDAQ}:Board", "address": there.address}
    board: Board = device_factory.make(table, "[card]", "card")
    line = {"is": f"{NIDAQ}:Line", "board": "card", "line": 1}
    made: Line = device_factory.make_on_board(line, "[line]", "line", {"card": board})
    board.open()
    board.handle(Start(0, {}))
    assert made.edges(1) == []
    assert board.pop_warnings() == []
    board.close()
