"""The priority of this process among those of the machine."""

import os
import sys
from contextlib import suppress

_NICE = -10
"""Nice value of every process of a rig: about nine times the CPU share of an ordinary one."""


def prioritise(realtime: bool, rank: int = 1) -> None:
    """Put this thread, and those it starts from now on, before all ordinary ones.

    Args:
        realtime: Whether to use real-time scheduling: before the other processes of the rig, too.
        rank: Real-time priority; a thread of a higher rank never waits for one of a lower.

    Where the system does not allow it (on Linux: `ulimit -r` and `ulimit -e` are 0), the priority
    stays ordinary.
    """
    if sys.platform == "linux":
        policy = os.SCHED_RR if realtime else os.SCHED_OTHER
        with suppress(PermissionError):
            os.sched_setscheduler(0, policy, os.sched_param(rank if realtime else 0))
        with suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, 0, _NICE)


def stay_on_one_core() -> None:
    """Keep this thread, and those it starts from now on, on the last core that it may use.

    For a process whose threads hand each message to one another: to wake a thread on another core
    costs several times as much. It does nothing without real-time scheduling: then such a process
    might have to wait for an ordinary one.
    """
    if sys.platform == "linux" and os.sched_getscheduler(0) == os.SCHED_RR:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
