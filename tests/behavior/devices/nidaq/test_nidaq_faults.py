"""Water from an NI card, and cards, servers and drivers that hang, die or are unplugged."""

import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from behavior.devices.nidaq.card import CardLostError
from rig.messages import Arm, Fault, Lick, Message, Valve
from tests.behavior.devices.nidaq.simulated_card.contract import VALVE_LINE
from tests.behavior.devices.nidaq.simulated_card.process import SimulatedCard
from tests.behavior.devices.nidaq.simulated_card.rigs import (
    card_table,
    start_hardware,
    tick_for,
    zero,
)
from tests.behavior.sessions import MS, S, hardware, of

# a watchdog task whose card is lost cannot be closed, and warns when it is collected
pytestmark = pytest.mark.filterwarnings("ignore::nidaqmx.errors.DaqResourceWarning")
ROOT = Path(__file__).parents[4]
DEVICE_LOST = -88705


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    yield
    gc.collect()


@pytest.mark.parametrize("layer", ["Valve", "ArmedValve"])
def test_a_lick_is_rewarded_by_the_driver_or_by_the_card(card: SimulatedCard, layer: str) -> None:
    published, node, clock = start_hardware(card_table(card, layer, watchdog_lines=[VALVE_LINE]))
    tick_for(node, clock, 5)
    node.handle(Arm(clock.now(), 1, clock.now() + 60 * S, "centre", "lick", 3.0))
    tick_for(node, clock, 20)
    licked = card.put("tongue", True) - zero(node)
    tick_for(node, clock, 20)
    card.put("tongue", False)
    tick_for(node, clock, 100)
    node.close()
    (valve,) = of(Valve, published)
    ((opened, open_ms),) = card.openings(VALVE_LINE)
    assert valve.refused == ""
    assert open_ms == pytest.approx(60.0, abs=0.01)
    assert abs(valve.t - (opened - zero(node))) < 5 * MS
    assert valve.lick_t is not None
    assert abs(valve.lick_t - licked) < 5 * MS
    assert [lick.t for lick in of(Lick, published)] == [pytest.approx(licked, abs=5 * MS)]
    if layer == "ArmedValve":
        assert opened - zero(node) - licked < 1000
    assert not of(Fault, published)


def test_a_hung_server_ends_the_driver_within_its_deadline(
    own_card: SimulatedCard,
) -> None:
    _, node, clock = start_hardware(card_table(own_card, deadline_s=0.3))
    tick_for(node, clock, 5)
    own_card.hang()
    hung = time.monotonic()
    with pytest.raises(CardLostError, match=r"no answer within 0.3 s"):
        tick_for(node, clock, 60_000)
    assert time.monotonic() - hung < 10 * 0.3
    began = time.monotonic()
    with pytest.raises(CardLostError, match="no answer"):
        node.close()
    assert time.monotonic() - began < 0.3


def test_a_card_lost_in_mid_pulse_shuts_its_valve(card: SimulatedCard) -> None:
    published, node, clock = start_hardware(card_table(card))
    tick_for(node, clock, 5)
    node.handle(Arm(clock.now(), 1, clock.now() + S, "centre", "now", 7.0))
    card.fail(DEVICE_LOST)
    with pytest.raises(CardLostError, match="not there any more"):
        tick_for(node, clock, 1000)
    with pytest.raises(CardLostError):
        node.close()
    while not card.openings(VALVE_LINE):
        time.sleep(0.01)
    assert [ms for _, ms in card.openings(VALVE_LINE)] == [pytest.approx(140.0, abs=0.01)]
    assert not of(Valve, published)[0].refused


def test_an_armed_reward_counts_as_given_if_the_card_is_lost(card: SimulatedCard) -> None:
    published, node, clock = start_hardware(card_table(card, "ArmedValve"))
    tick_for(node, clock, 5)
    node.handle(Arm(clock.now(), 1, clock.now() + S, "centre", "lick", 3.0))
    card.fail(DEVICE_LOST)
    with pytest.raises(CardLostError):
        node.close()
    assert [valve.volume_ul for valve in of(Valve, published)] == [3.0]
    assert "may have opened" in of(Fault, published)[0].text


DRIVER = f"""
import sys, time
from tests.behavior.devices.nidaq.simulated_card.rigs import card_table, tick_for, start_hardware
from rig.messages import Arm
class Card: address = sys.argv[1]
published, node, clock = start_hardware(card_table(Card(), sys.argv[2]))
tick_for(node, clock, 5)
on = "lick" if sys.argv[2] == "ArmedValve" else "now"
node.handle(Arm(clock.now(), 1, clock.now() + 60 * {S}, "centre", on, 7.0))
print("armed", flush=True)
tick_for(node, clock, 60_000)
"""


@pytest.mark.parametrize("layer", ["Valve", "ArmedValve"])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_killed_or_hung_driver_leaves_no_valve_open_or_armed(
    card: SimulatedCard, layer: str, how: signal.Signals
) -> None:
    command = [sys.executable, "-c", DRIVER, card.address, layer]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as driver:
        assert driver.stdout is not None
        assert driver.stdout.readline() == "armed\n"
        os.kill(driver.pid, how)
        if layer == "Valve":
            while not card.openings(VALVE_LINE):
                time.sleep(0.01)
        else:
            time.sleep(1.2)
            card.put("tongue", True)
            time.sleep(0.3)
        driver.kill()
    expected = [pytest.approx(140.0, abs=0.01)] if layer == "Valve" else []
    assert [ms for _, ms in card.openings(VALVE_LINE)] == expected
    assert not card.do("level", line=VALVE_LINE)


def test_a_live_driver_resets_the_watchdog(card: SimulatedCard) -> None:
    _, node, clock = start_hardware(card_table(card, "ArmedValve"))
    tick_for(node, clock, 2000)
    node.handle(Arm(clock.now(), 1, clock.now() + S, "centre", "now", 3.0))
    tick_for(node, clock, 100)
    node.close()
    assert len(card.openings(VALVE_LINE)) == 1


def test_tasks_left_by_a_killed_driver_are_cleared(card: SimulatedCard) -> None:
    _, first, _ = start_hardware(card_table(card))
    assert card.do("tasks")
    del first
    _, node, clock = start_hardware(card_table(card))
    tick_for(node, clock, 20)
    node.close()
    assert card.do("tasks") == []


def test_without_a_session_licks_are_seen_and_the_watchdog_is_reset(
    card: SimulatedCard,
) -> None:
    node, clock = hardware(card_table(card, "ArmedValve"), list[Message]().append)
    zero_ns = time.monotonic_ns()
    lick, valve = node.devices.licks["centre"], node.devices.valves["centre"]
    seen = []
    while time.monotonic_ns() < zero_ns + 1.5 * S:
        clock.set(time.monotonic_ns() - zero_ns)
        seen += lick.onsets(clock.now())
        if len(seen) < 2:
            card.put("tongue", True)
            card.put("tongue", False)
        time.sleep(0.01)
    valve.pulse(clock.now(), 30.0)
    time.sleep(0.1)
    node.close()
    assert all(0 < t <= clock.now() for t in seen)
    assert len(card.openings(VALVE_LINE)) == 1


def test_the_watchdog_is_reset_even_if_the_card_only_has_a_valve(card: SimulatedCard) -> None:
    table = card_table(card, watchdog_lines=[VALVE_LINE], watchdog_s=0.3)
    scripted = "tests.behavior.scripted"
    table["boards"]["other"] = {"is": f"{scripted}:Board"}
    table["wheel"] = {"is": f"{scripted}:Wheel", "board": "other"}
    table["lick"] = table["lines"] = {}
    _, node, clock = start_hardware(table)
    tick_for(node, clock, 700)
    node.handle(Arm(clock.now(), 1, clock.now() + S, "centre", "now", 3.0))
    tick_for(node, clock, 100)
    node.close()
    assert len(card.openings(VALVE_LINE)) == 1
