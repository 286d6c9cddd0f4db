"""Set the priority of this process relative to other processes of the computer."""

import os
import sys
from contextlib import suppress

_NICE = -10
"""Nice value of every process of a rig: about nine times the CPU share of an ordinary process."""


def prioritise(realtime: bool, rank: int = 1) -> None:
    """Give this thread, and threads that it starts later, priority over ordinary threads.

    If the system does not allow it (on Linux: `ulimit -r` and `ulimit -e` are 0), the priority is
    not changed.

    Args:
        realtime: Use real-time scheduling, with priority also over other processes of the rig.
        rank: Real-time priority; a thread of a higher rank never waits for one of a lower rank.
    """
    if sys.platform == "linux":
        policy = os.SCHED_RR if realtime else os.SCHED_OTHER
        with suppress(PermissionError):
            os.sched_setscheduler(0, policy, os.sched_param(rank if realtime else 0))
        with suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, 0, _NICE)


def stay_on_one_core() -> None:
    """Bind this thread, and threads that it starts later, to the last core that it may use.

    This is for the hub and the task, whose threads pass each message from one to the next, because
    waking a thread on another core takes several times as long. Without real-time scheduling
    nothing is done, because the process might have to wait for an ordinary process on that core.
    """
    if sys.platform == "linux" and os.sched_getscheduler(0) == os.SCHED_RR:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
