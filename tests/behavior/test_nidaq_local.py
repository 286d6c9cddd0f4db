"""The path to a driver on this machine, once, over a fake library in C; the bench of the card."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rig.cli.bench import card

ROOT = Path(__file__).parents[2]
SESSION = """
from rig.messages import Arm, Lick, Valve, Wheel
from tests.behavior.nicard.rigs import card_table, go_on, wake
from tests.behavior.sessions import S, of
class Here: address = ""
table = card_table(Here())
output = {"is": "behavior.devices.nidaq:Output", "line": "port1/line3", "on": "session"}
table["outputs"] = {"sync": {**output, "board": "card"}}
said, node, clock = wake(table)
go_on(node, clock, 20)
node.hear(Arm(clock.now(), 1, clock.now() + 60 * S, "centre", "lick", 3.0))
go_on(node, clock, 900)
node.hear(Arm(clock.now(), 1, clock.now() + 60 * S, "centre", "lick", 3.0))
go_on(node, clock, 900)
node.close()
(lick,) = of(Lick, said)
(valve,) = of(Valve, said)
assert (valve.refused, valve.lick_t, valve.open_ms) == ("", lick.t, 60.0), valve
assert 0 <= valve.t - lick.t < 0.5 * S, valve
assert {word.counts for word in of(Wheel, said)} == {0}
print("sound")
"""


@pytest.mark.skipif(
    shutil.which("gcc") is None and "CI" not in os.environ,
    reason="gcc is not installed, and builds the fake driver library",
)
def test_a_session_on_a_driver_of_this_machine(tmp_path: Path) -> None:
    library = tmp_path / "libnidaqmx.so"
    source = ROOT / "tests" / "behavior" / "nicard" / "driver.c"
    flags = ["-shared", "-fPIC", "-O1", "-Wl,-soname,libnidaqmx.so"]
    subprocess.run(["gcc", *flags, "-o", str(library), str(source)], check=True)
    ran = subprocess.run(
        [sys.executable, "-c", SESSION],
        env={**os.environ, "LD_LIBRARY_PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert ran.stdout == "sound\n", ran.stderr
    acts = ran.stderr.splitlines()
    assert acts.count("open 60.0 ms") == 1
    lines = [act for act in acts if act.startswith(("up", "down"))]
    assert lines[:2] == ["down Dev1/port1/line3", "up Dev1/port1/line3"]
    assert set(lines[2:]) == {"down Dev1/port1/line3"}
    created = sorted(act.removeprefix("create ") for act in acts if act.startswith("create"))
    cleared = sorted(act.removeprefix("clear ") for act in acts if act.startswith("clear"))
    assert created == cleared != []


def test_the_bench_times_each_lick_by_the_cards_own_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(card, "_LICKS", 5)
    simulated = card.simulated_card()
    assert simulated is not None
    rows = [values_ms for _, values_ms in card.measure(simulated)]
    lick_to_valve, calls, _ = rows
    assert len(lick_to_valve) == 5
    assert all(0 < ms < 100 for ms in lick_to_valve)
    assert min(calls) > 0
