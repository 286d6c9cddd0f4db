"""A whole imaging session on the shipped setup and a simulated NI card, by the real command."""

import itertools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from rig.messages import DeviceTime, Edge, Exposures, Lick, TrialStart, Valve, Wheel
from tests.behavior.devices.imaging import (
    check_whole_imaging_session,
    messages,
    run_imaging_session,
)
from tests.behavior.devices.nidaq.simulated_card.contract import VALVE_LINE
from tests.behavior.devices.nidaq.simulated_card.process import Handle, SimulatedCard
from tests.behavior.sessions import S, of

TRIALS = 20


class _CardWires:
    """The wires of a card, as in docs/how-to/wiring.md."""

    LINES: ClassVar[dict[str, str]] = {
        "lick": "tongue",
        "frame_clock": "frame",
        "photodiode": "port0/line2",
    }

    def __init__(self, card: SimulatedCard) -> None:
        self._handle = Handle(card.control)

    def turn(self, counts: int) -> None:
        self._handle.do("turn", counter="ctr0", counts=counts)

    def put(self, line: str, up: bool) -> None:
        self._handle.put(self.LINES[line], up)

    def close(self) -> None:
        self._handle.disconnect()


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, SimulatedCard]]:
    """Run a session; return its folder and the card, which recorded the changes of its lines."""
    card = SimulatedCard()
    wires = _CardWires(card)
    address = f'nodes.hardware.boards.card.address="{card.address}"'
    try:
        folder = tmp_path_factory.mktemp("nidaq")
        yield run_imaging_session(folder, "pcie63xx", wires, (address,), TRIALS), card
    finally:
        wires.close()
        card.close()


def test_a_whole_imaging_session(session: tuple[Path, SimulatedCard]) -> None:
    check_whole_imaging_session(session[0], TRIALS)


def test_the_valves_line_shows_only_the_rewards(
    session: tuple[Path, SimulatedCard],
) -> None:
    folder, card = session
    published = messages(folder)
    drops = of(Valve, published)
    rewarded = sum(start.rewarded for start in of(TrialStart, published))
    assert 0.5 * rewarded < len(drops) <= rewarded
    # the pulses on the valve's own line are those that were published
    pulses = card.openings(VALVE_LINE)
    assert [ms for _, ms in pulses] == [pytest.approx(60.0, abs=0.01)] * len(drops)
    steps = [b - a for (a, _), (b, _) in itertools.pairwise(pulses)]
    logged_steps = [b.t - a.t for a, b in itertools.pairwise(drops)]
    assert all(abs(a - b) < 0.02 * S for a, b in zip(steps, logged_steps, strict=True))
    licks = {lick.t for lick in of(Lick, published)}
    assert all(drop.lick_t in licks for drop in drops)
    # for a lick before the card was armed, the driver opens the valve
    late_ns = [drop.t - (drop.lick_t or 0) for drop in drops]
    assert min(late_ns) >= 0
    assert sum(ns < 0.001 * S for ns in late_ns) > len(drops) / 2
    assert of(Wheel, published)[-1].cm > 100


def test_its_lines_are_in_the_log(session: tuple[Path, SimulatedCard]) -> None:
    published = messages(session[0])
    rises = [edge.line for edge in of(Edge, published) if edge.up]
    assert rises.count("trial_sync") == TRIALS
    assert rises.count("session_sync") == rises.count("imaging") == 1
    assert rises.count("free") == TRIALS
    assert {message.camera for message in of(Exposures, published)} == {"face"}
    assert all(abs(message.residual_ns) < 0.05 * S for message in of(DeviceTime, published))


def test_it_replays_bit_for_bit_and_a_bug_is_detected(session: tuple[Path, SimulatedCard]) -> None:
    folder, _ = session
    command = [sys.executable, "-c", "from rig.cli.main import main; main()", "replay", str(folder)]
    same = subprocess.run([*command, "--verify"], capture_output=True, text=True, check=False)
    assert same.returncode == 0, same.stdout
    assert "bit for bit" in same.stdout
    other = [*command, "--verify", "--set", "task.run_threshold_cm_s=20.0"]
    assert subprocess.run(other, capture_output=True, check=False).returncode != 0
