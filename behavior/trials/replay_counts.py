"""Count the trials, the reward requests and the earned rewards of a task, for a replay."""

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict

from rig.messages import Arm, Cue, Disarm, Lick, Message, TrialEnd, TrialStart


class TaskCounts:
    """Counts of a task's messages, and of the rewards that the recorded licks would have earned.

    A reward is earned if its request was for water at once, or if there was a lick at its spout
    while the request was valid. Recorded and replayed messages are counted by the same rule.
    """

    def __init__(self) -> None:
        self._trials: Counter[str] = Counter()
        self._stimuli: Counter[str] = Counter()
        self._cues = 0
        self._requests: dict[int, Arm] = {}
        self._disarmed_t: dict[int, int] = {}
        self._licks_t: dict[str, list[int]] = defaultdict(list)
        self._last_t = 0

    def count(self, message: Message) -> None:
        """Count a message that the task published or received."""
        match message:
            case TrialStart():
                self._trials["begun"] += 1
                self._trials["begun, rewarded"] += message.rewarded
                self._stimuli[message.stimulus] += 1
            case TrialEnd():
                self._trials[message.outcome] += 1
                self._last_t = message.t
            case Cue():
                self._cues += 1
            case Arm():
                self._requests.setdefault(message.id, message)
            case Disarm():
                self._disarmed_t.setdefault(message.id, message.t)
            case Lick():
                self._licks_t[message.line].append(message.t)

    def rows(self) -> dict[str, str]:
        """Return the counts as text, by the name of each."""
        for times in self._licks_t.values():  # licks may arrive out of time order
            times.sort()
        earned = [arm for arm in self._requests.values() if self._is_earned(arm)]
        return {
            "trials begun": f"{self._trials['begun']}",
            "  of them rewarded": f"{self._trials['begun, rewarded']}",
            "trials done": f"{self._trials['done']}",
            "trials aborted": f"{self._trials['aborted']}",
            **{f"trials of {name}": f"{n}" for name, n in sorted(self._stimuli.items())},
            "cues": f"{self._cues}",
            "reward requests": f"{len(self._requests)}",
            "rewards earned by the recorded licks": f"{len(earned)}",
            "water earned, ul": f"{sum(arm.volume_ul for arm in earned):g}",
            "last trial ended, s": f"{self._last_t / 1e9:.3f}",
        }

    def _is_earned(self, arm: Arm) -> bool:
        until = min(arm.deadline, self._disarmed_t.get(arm.id, arm.deadline))
        times = self._licks_t[arm.line]
        return arm.on == "now" or bisect_left(times, arm.t) < bisect_right(times, until)
