"""NI cards that can do less: what they do instead, and that the log says it."""

import time
from typing import Any

import pytest

from behavior.devices.nidaq.devices import Board, Line
from rig.errors import Refused
from rig.messages import Arm, DeviceTime, Edge, Fault, Lick, Message, Start, Valve
from rig.settings import device_factory
from tests.behavior.nicard.contract import NIDAQ, VALVE_LINE, shared_card
from tests.behavior.nicard.process import SimulatedCard
from tests.behavior.nicard.rigs import card_table, go_on, wake, zero
from tests.behavior.sessions import MS, S, hardware, of

sampling = pytest.mark.parametrize("own_card", ["sampling"], indirect=True)
small = pytest.mark.parametrize("own_card", ["small"], indirect=True)
BUSY = 20 * MS
"""How long a machine with much to do may let a question to the card wait."""
UNWATCHED = "If the driver stops responding, the card's counters end the pulse that is under way"


def _table(card: SimulatedCard, valve: str = "Valve", **board: Any) -> dict[str, Any]:
    table = card_table(card, valve, **{"latch_counter": "", **board})
    table["valve"]["centre"].update(counter="ctr1", terminal="PFI14")
    return table


def _faults(said: list[Message]) -> list[str]:
    return [fault.text for fault in of(Fault, said)]


@sampling
def test_without_change_detection_edges_are_dated_by_the_cards_samples_not_by_the_tick(
    own_card: SimulatedCard,
) -> None:
    said, node, clock = wake(_table(own_card))
    go_on(node, clock, 1500)
    true = []
    for up in (True, False) * 5:
        true.append(own_card.put("frame", up) - zero(node))
        time.sleep(0.003)
    time.sleep(0.2)  # nobody reads meanwhile
    go_on(node, clock, 1000)
    node.close()
    told = of(Edge, said)
    assert [edge.up for edge in told] == [True, False] * 5
    # by the tick they would be 200 ms late
    assert [edge.t for edge in told] == pytest.approx(true, abs=BUSY)
    assert all(abs(message.residual_ns) < BUSY for message in of(DeviceTime, said))
    unwatched, sampled = _faults(said)
    assert sampled == (
        "board card has no latch_counter: the card samples its lines 10000 times a second, by its "
        "own clock"
    )
    assert unwatched.startswith(f"board card has no watchdog_lines. {UNWATCHED}")


@sampling
@pytest.mark.parametrize("message", [Start(0, {"seed": 1}), None], ids=["session", "by hand"])
def test_what_changed_between_opening_and_begin_is_no_edge(
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


def test_a_card_with_everything_has_nothing_to_say(card: SimulatedCard) -> None:
    said, node, clock = wake(card_table(card, "ArmedValve"))
    go_on(node, clock, 20)
    node.close()
    assert _faults(said) == []


@small
def test_a_card_whose_lines_have_no_clock_is_refused_or_read_at_each_tick(
    own_card: SimulatedCard,
) -> None:
    with pytest.raises(
        Refused, match='has no change detection on that line; set latch_counter = ""'
    ):
        hardware(_table(own_card, latch_counter="ctr0"), list[Message]().append)
    with pytest.raises(Refused, match="no sample clock for these lines; set sample_hz = 0"):
        hardware(_table(own_card), list[Message]().append)
    said, node, clock = wake(_table(own_card, sample_hz=0))
    go_on(node, clock, 10)
    before = own_card.put("tongue", True) - zero(node)
    go_on(node, clock, 30)
    own_card.put("tongue", False)
    own_card.put("frame", True)
    go_on(node, clock, 30)
    node.close()
    (lick,) = of(Lick, said)
    assert before <= lick.t
    assert [(e.line, e.up) for e in of(Edge, said)] == [("frame_clock", True)]
    assert "its lines are read once a tick" in _faults(said)[1]


@sampling
def test_a_card_without_a_watchdog_runs_gives_water_and_the_log_says_it_once(
    own_card: SimulatedCard,
) -> None:
    said, node, clock = wake(_table(own_card, watchdog_lines=[VALVE_LINE]))
    go_on(node, clock, 5)
    node.handle(Arm(clock.now(), 1, clock.now() + S, "centre", "now", 3.0))
    go_on(node, clock, 100)
    node.handle(Start(0, {"seed": 1, "t0_ns": zero(node)}))
    go_on(node, clock, 20)
    node.close()
    assert [valve.refused for valve in of(Valve, said)] == [""]
    assert [ms for _, ms in own_card.openings(VALVE_LINE)] == [pytest.approx(60.0, abs=0.01)]
    (unwatched,) = [what for what in _faults(said) if "watchdog" in what]
    assert "the card has no watchdog" in unwatched
    assert UNWATCHED in unwatched


@sampling
def test_a_card_without_a_watchdog_holds_no_armed_reward(own_card: SimulatedCard) -> None:
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
