"""Count the trials, the reward requests and the earned rewards of a task."""

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict

from rig.messages import Arm, Cue, Disarm, Lick, Message, TrialEnd, TrialStart


class TaskCounts:
    """Counts the messages of one task, with the licks that were recorded.

    A reward is earned if its request was for now, or if there was a lick at its spout while the
    request held: so a replayed task is measured as the recorded one is.
    """

    def __init__(self) -> None:
        self._trials: Counter[str] = Counter()
        self._stimuli: Counter[str] = Counter()
        self._cues = 0
        self._requests: dict[int, Arm] = {}
        self._over: dict[int, int] = {}
        self._last_t = 0

    def take(self, message: Message) -> None:
        """Take one message of the task."""
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
                self._over.setdefault(message.id, message.t)

    def rows(self, licks: "LickTimes") -> dict[str, str]:
        """Return the counts as texts, by name."""
        earned = [arm for arm in self._requests.values() if self._earned(arm, licks)]
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

    def _earned(self, arm: Arm, licks: "LickTimes") -> bool:
        until = min(arm.deadline, self._over.get(arm.id, arm.deadline))
        return arm.on == "now" or licks.between(arm.line, arm.t, until)


class LickTimes:
    """The times of the recorded licks, by spout."""

    def __init__(self) -> None:
        self._t: dict[str, list[int]] = defaultdict(list)
        self._sorted = True

    def take(self, message: Lick) -> None:
        """Take one lick."""
        times = self._t[message.line]
        self._sorted &= not times or times[-1] <= message.t
        times.append(message.t)

    def between(self, line: str, begins: int, ends: int) -> bool:
        """Whether there was a lick at that spout from begins to ends (ns), both included."""
        if not self._sorted:
            for times in self._t.values():
                times.sort()
            self._sorted = True
        times = self._t[line]
        return bisect_left(times, begins) < bisect_right(times, ends)
