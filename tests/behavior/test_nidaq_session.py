"""A whole session by the real command, on the shipped setup and a simulated NI card; replayed."""

import itertools
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from rig.messages import (
    DeviceTime,
    Edge,
    Exposures,
    Fault,
    Lick,
    Message,
    TrialEnd,
    TrialStart,
    Valve,
    Wheel,
)
from rig.transport.log import LOG_FILE, read
from tests.behavior.nicard.contract import VALVE_LINE
from tests.behavior.nicard.process import SimulatedCard
from tests.behavior.sessions import S, check_trials, of
from tests.live import NO_SCREEN, PACKAGE, Live

ROOT = Path(__file__).parents[2]
SETUP = PACKAGE / "setups" / "pcie63xx.toml"
TRIALS = 20
SHORT = (
    f"task.trials={TRIALS}",
    "task.texture_m=1.5",
    "task.grey_m=0.5",
    "task.cue_from_m=0.1",
    "task.cue_to_m=0.4",
    "task.corridor_cm_s=200.0",
    "task.grey_before_s=1.0",
    "task.grey_after_s=1.0",
)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SimulatedCard]:
    """Run one; return its folder and the card, whose lines remember."""
    tmp_path = tmp_path_factory.mktemp("nidaq")
    card = SimulatedCard()
    setup = tmp_path / "card.toml"
    animal = f"""
[nodes.animal]
run = "tests.behavior.nicard.animal"
control = "{card.control}"
mouse = {{ rest_s = 0.2, stride_sd_cm_s = 1.0, reacts_after_s = 0.1, anticipates_after_s = 0.5 }}
"""
    setup.write_text(SETUP.read_text() + animal)
    sets = (
        *SHORT,
        NO_SCREEN,
        f'nodes.hardware.valve.centre.calibrated="{date.today()}"',
        f'nodes.hardware.wheel.calibrated="{date.today()}"',
        f'nodes.hardware.boards.card.address="{card.address}"',
        f'nodes.stream.imaging_folder="{tmp_path}"',
    )
    args = ("--override", "a simulated card")
    env = {"PYTHONPATH": str(ROOT)}
    try:
        with Live(tmp_path / "data", *sets, setup=setup, args=args, env=env) as live:
            code, output = live.end()
            assert code == 0, output
            yield live.folder, card
    finally:
        card.close()


def _messages(folder: Path) -> list[Message]:
    return [message for _, message in read(folder / LOG_FILE)]


def test_a_task_mouse_runs_its_trials_on_the_card(session: tuple[Path, SimulatedCard]) -> None:
    folder, card = session
    said = _messages(folder)
    check_trials(said)
    assert [end.outcome for end in of(TrialEnd, said)] == ["done"] * TRIALS
    assert not of(Fault, said)
    drops = of(Valve, said)
    rewarded = sum(start.rewarded for start in of(TrialStart, said))
    assert 0.5 * rewarded < len(drops) <= rewarded
    # what the valve's own line did is what was said
    pulses = card.openings(VALVE_LINE)
    assert [ms for _, ms in pulses] == [pytest.approx(60.0, abs=0.01)] * len(drops)
    steps = [b - a for (a, _), (b, _) in itertools.pairwise(pulses)]
    told = [b.t - a.t for a, b in itertools.pairwise(drops)]
    assert all(abs(a - b) < 0.02 * S for a, b in zip(steps, told, strict=True))
    licks = {lick.t for lick in of(Lick, said)}
    assert all(drop.lick_t in licks for drop in drops)
    # a lick that came before the card was armed is answered by the driver
    late_ns = [drop.t - (drop.lick_t or 0) for drop in drops]
    assert min(late_ns) >= 0
    assert sum(ns < 0.001 * S for ns in late_ns) > len(drops) / 2
    assert of(Wheel, said)[-1].cm > 100


def test_its_lines_are_in_the_log(session: tuple[Path, SimulatedCard]) -> None:
    said = _messages(session[0])
    rises = [edge.line for edge in of(Edge, said) if edge.up]
    assert rises.count("trial_sync") == TRIALS
    assert rises.count("session_sync") == 1
    assert rises.count("free") == TRIALS
    assert {message.camera for message in of(Exposures, said)} == {"face"}
    assert all(abs(message.residual_ns) < 0.05 * S for message in of(DeviceTime, said))


def test_it_replays_bit_for_bit_and_a_bug_shows(session: tuple[Path, SimulatedCard]) -> None:
    folder, _ = session
    command = [sys.executable, "-c", "from rig.cli.main import main; main()", "replay", str(folder)]
    same = subprocess.run([*command, "--verify"], capture_output=True, text=True, check=False)
    assert same.returncode == 0, same.stdout
    assert "bit for bit" in same.stdout
    other = [*command, "--verify", "--set", "task.run_threshold_cm_s=20.0"]
    assert subprocess.run(other, capture_output=True, check=False).returncode != 0
