"""Kill a process of a short session with SIGKILL, at many points, and check what must hold.

python -m tests.faults.kill_sweep 200
python -m tests.faults.kill_sweep 1 57     # point 57 alone

Every process in turn, at a random time from the start of the command to the end of the session.
The checks are those of the chaos tests: every published message is in the log once, the ledger
holds what the valve truly gave or more, and no process or lock is left.
"""

import sys
import tempfile
from pathlib import Path
from random import Random

from tests.faults.chaos.plan import TARGETS, Act, Plan, SessionPlan
from tests.faults.chaos.trial_of_seed import carry_out, true_pulses

_SESSION_S = 4.0
_STARTING_SHARE = 0.15
"""Of the points, how many are while the session starts."""


def plan_of(point: int) -> Plan:
    """Return the session of a point, with one kill in it."""
    random = Random(point)
    starts = random.random() < _STARTING_SHARE
    kill = Act(
        at_s=round(random.uniform(0.0, _SESSION_S), 3),
        since="launch" if starts else "Start",
        verb="kill",
        target=TARGETS[point % len(TARGETS)],
    )
    end = Act(at_s=_SESSION_S, verb="end", target="SIGINT")
    acts = sorted((kill, end), key=lambda act: (act.since, act.at_s))
    return Plan(point, 1000.0, (SessionPlan(tuple(acts), (), "if open"),))


def main() -> None:
    """Kill at that many points, from the second argument on (0); exit with 1 if any failed."""
    count = int(sys.argv[1])
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    failed, rewards = [], 0
    for point in range(first, first + count):
        plan = plan_of(point)
        with tempfile.TemporaryDirectory(prefix="kill-sweep-") as folder:
            problems = carry_out(plan, Path(folder))
            rewards += len(true_pulses(Path(folder)))
        if problems:
            failed.append(point)
            print(plan, *problems, sep="\n", flush=True)
    print(f"{count} kills, {rewards} rewards, {len(failed)} points failed {failed or ''}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
