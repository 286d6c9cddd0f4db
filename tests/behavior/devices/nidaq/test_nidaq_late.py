"""NI's read time-out (-200284) on each stream ends the driver with the valve shut."""

import time
from contextlib import suppress
from typing import Any

import pytest

from behavior.devices.nidaq.card import CardLostError
from rig.messages import Arm, Fault, Valve
from tests.behavior.devices.nidaq.simulated_card.contract import VALVE_LINE, WIRING
from tests.behavior.devices.nidaq.simulated_card.process import SimulatedCard
from tests.behavior.devices.nidaq.simulated_card.rigs import card_table, start_hardware, tick_for
from tests.behavior.sessions import S, of

LATE = -200284
WATCHED, SAMPLED = {"watchdog_lines": [VALVE_LINE]}, {"latch_counter": "", "sample_hz": 0}


@pytest.mark.parametrize(
    ("stream", "call", "moved", "board"),
    [
        ("lick", "ReadDigitalU32", "tongue", WATCHED),
        ("photodiode", "ReadDigitalU32", "photodiode", WATCHED),
        ("time of a change", "ReadCounterU32Ex", "tongue", WATCHED),
        ("clock", "GetChanAttributeUInt32", "", WATCHED),
        ("encoder", "ReadCounterScalarF64", "", WATCHED),
        ("camera", "ReadCounterScalarU32", "", WATCHED),
        ("line read each tick", "ReadDigitalScalarU32", "", SAMPLED),
        ("output", "WriteDigitalLines", "", WATCHED),
        ("watchdog", "ControlWatchdogTask", "", WATCHED),
    ],
)
def test_a_read_timeout_ends_the_driver_with_the_valve_shut(
    stream: str, call: str, moved: str, board: dict[str, Any], card: SimulatedCard
) -> None:
    table = card_table(card, **board)
    on = {"board": "card"}
    of_card = "behavior.devices.nidaq.devices"
    table["lines"]["photodiode"] = {"is": f"{of_card}:Line", "line": 2, **on}
    table["cameras"] = {"face": {"is": f"{of_card}:Camera", **WIRING["Camera"], **on}}
    sync = {"is": f"{of_card}:Output", "on": "reward", "pulse_ms": 50.0, **WIRING["Output"], **on}
    table["outputs"] = {"sync": sync}
    published, node, clock = start_hardware(table)
    tick_for(node, clock, 50)
    node.handle(Arm(clock.now(), 1, clock.now() + S, "centre", "now", 7.0))
    assert card.do("level", line=VALVE_LINE)
    card.fail(LATE, call)
    if moved:
        card.put("port0/line2" if moved == "photodiode" else moved, True)
    with pytest.raises(CardLostError) as late:
        tick_for(node, clock, 5_000)
    assert "\n" not in str(late.value)
    assert f"({LATE}): the read timed out" in str(late.value)
    with suppress(CardLostError):  # outputs and cameras are read once more, after the valves
        node.close()
    if call != "WriteDigitalLines":
        assert not card.do("level", line=VALVE_LINE)
    while not (openings := card.openings(VALVE_LINE)):
        time.sleep(0.01)
    ((_, open_ms),) = openings
    assert open_ms <= 140.01
    if stream in ("lick", "encoder"):  # read at every tick
        assert open_ms < 139.0, "it was shut, not waited for"
    assert [valve.refused for valve in of(Valve, published)] == [""]
    assert not [fault for fault in of(Fault, published) if "\n" in fault.text]
