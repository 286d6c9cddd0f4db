"""Hardware nodes on a simulated card."""

import time
from typing import Any, Protocol

from rig.messages import Message, Start
from tests.behavior.devices.nidaq.simulated_card.contract import NIDAQ, VALVE_LINE, WIRING
from tests.behavior.sessions import CALIBRATED, MS, hardware


class Addressed(Protocol):
    """Anything with an address."""

    address: str


def card_table(card: Addressed, valve: str = "Valve", **board: Any) -> dict[str, Any]:
    """Return a driver's table: wheel, lick, valve and frame clock on the card."""
    on = {"board": "card"}
    watched = {"watchdog_lines": [VALVE_LINE]} if valve == "ArmedValve" else {}
    return {
        "boards": {"card": {"is": f"{NIDAQ}:Board", "address": card.address, **watched, **board}},
        "wheel": {"is": f"{NIDAQ}:Wheel", "cm_per_count": 0.01, **on},
        "lick": {"centre": {"is": f"{NIDAQ}:Lick", **WIRING["Lick"], **on}},
        "valve": {
            "centre": {"is": f"{NIDAQ}:{valve}", **CALIBRATED, **WIRING[valve], **on},
        },
        "lines": {"frame_clock": {"is": f"{NIDAQ}:Line", "line": 1, **on}},
    }


def start_hardware(table: dict[str, Any]) -> tuple[list[Message], Any, Any]:
    """Open a driver and start its session; return its messages, itself and its clock."""
    published: list[Message] = []
    node, clock = hardware(table, published.append)
    node.handle(Start(0, {"seed": 1, "t0_ns": time.monotonic_ns()}))
    return published, node, clock


def tick_for(node: Any, clock: Any, ms: float) -> None:
    """Tick the node in real time for this many ms."""
    until = time.monotonic_ns() + ms * MS
    while time.monotonic_ns() < until:
        clock.set(time.monotonic_ns() - zero(node))
        node.tick(clock.now())
        time.sleep(0.002)


def zero(node: Any) -> int:
    """Return the session's zero on the machine's clock (ns)."""
    return int(node.devices.boards["card"]._zero)
