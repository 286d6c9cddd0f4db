"""The priorities of a rig's processes, as the system reports them."""

import os
import subprocess
import sys

import pytest

from rig.process import node_class
from rig.settings.toml import read_toml
from tests.behavior.sessions import ROOT

ASK = """
import os, sys
from rig.process import prioritise
prioritise(True, int(sys.argv[1]))
print(os.sched_getscheduler(0) == os.SCHED_RR, os.sched_getparam(0).sched_priority)
"""
CORES = """
import os, sys
from rig.priority import prioritise, stay_on_one_core
allowed = os.sched_getaffinity(0)
prioritise(sys.argv[1] == "realtime", 2)
stay_on_one_core()
print(os.sched_getscheduler(0) == os.SCHED_RR, len(allowed), len(os.sched_getaffinity(0)))
"""


def priority(module: str) -> int:
    """Return the priority that a node's process gets if its table sets realtime."""
    rank = str(node_class(module).rank)
    run = [sys.executable, "-c", ASK, rank]
    printed = subprocess.run(run, capture_output=True, text=True, check=True).stdout.split()
    if printed[0] == "False":
        pytest.skip("this system allows no real-time processes (ulimit -r)")
    return int(printed[1])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux is asked for real time")
def test_the_wheel_has_priority_over_drawing() -> None:
    drawing, wheel = priority("stimuli.display"), priority("behavior.hardware")
    assert 0 < drawing < wheel == priority("behavior.task")
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


def test_only_the_task_shares_the_core_of_the_hub() -> None:
    """Drivers must not wait for a flooded hub, nor the hub for an analysis."""
    setup = read_toml(ROOT / "rig" / "setups" / "simulated.toml")
    nodes = [node_class(table["run"]) for table in setup["nodes"].values()]
    assert [node.name for node in nodes if node.shares_hub_core] == ["task"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux is asked for real time")
@pytest.mark.parametrize("scheduling", ["realtime", "ordinary"])
def test_only_a_realtime_process_stays_on_one_core(scheduling: str) -> None:
    run = [sys.executable, "-c", CORES, scheduling]
    printed = subprocess.run(run, capture_output=True, text=True, check=True).stdout.split()
    allowed, used = map(int, printed[1:])
    assert used == (1 if printed[0] == "True" else allowed)
