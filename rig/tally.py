"""What a task's words come to: trials, wishes for water, and what the licks made of them."""

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict

from rig.messages import Arm, Cue, Disarm, Lick, Message, TrialEnd, TrialStart


class Tally:
    """Counts the words of one task, beside the licks that were recorded.

    A reward is earned if its wish was for now, or if there was a lick at its spout while it stood:
    so what a task says anew can be weighed against what it said, by one measure.
    """

    def __init__(self) -> None:
        self._trials: Counter[str] = Counter()
        self._stimuli: Counter[str] = Counter()
        self._cues = 0
        self._wishes: dict[int, Arm] = {}
        self._over: dict[int, int] = {}
        self._last_t = 0

    def take(self, word: Message) -> None:
        """Take one word of the task."""
        match word:
            case TrialStart():
                self._trials["begun"] += 1
                self._trials["begun, rewarded"] += word.rewarded
                self._stimuli[word.stimulus] += 1
            case TrialEnd():
                self._trials[word.outcome] += 1
                self._last_t = word.t
            case Cue():
                self._cues += 1
            case Arm():
                self._wishes.setdefault(word.id, word)
            case Disarm():
                self._over.setdefault(word.id, word.t)

    def rows(self, licks: "Licks") -> dict[str, str]:
        """Return what there is to compare, by name."""
        earned = [arm for arm in self._wishes.values() if self._earned(arm, licks)]
        return {
            "trials begun": f"{self._trials['begun']}",
            "  of them rewarded": f"{self._trials['begun, rewarded']}",
            "trials done": f"{self._trials['done']}",
            "trials aborted": f"{self._trials['aborted']}",
            **{f"trials of {name}": f"{n}" for name, n in sorted(self._stimuli.items())},
            "cues": f"{self._cues}",
            "wishes for water": f"{len(self._wishes)}",
            "rewards earned by the recorded licks": f"{len(earned)}",
            "water earned, ul": f"{sum(arm.volume_ul for arm in earned):g}",
            "last trial ended, s": f"{self._last_t / 1e9:.3f}",
        }

    def _earned(self, arm: Arm, licks: "Licks") -> bool:
        until = min(arm.deadline, self._over.get(arm.id, arm.deadline))
        return arm.on == "now" or licks.between(arm.line, arm.t, until)


class Licks:
    """The times of the recorded licks, by spout."""

    def __init__(self) -> None:
        self._t: dict[str, list[int]] = defaultdict(list)
        self._sorted = True

    def take(self, word: Lick) -> None:
        """Take one lick."""
        times = self._t[word.line]
        self._sorted &= not times or times[-1] <= word.t
        times.append(word.t)

    def between(self, line: str, begins: int, ends: int) -> bool:
        """Whether there was a lick at that spout from begins to ends (ns), both included."""
        if not self._sorted:
            for times in self._t.values():
                times.sort()
            self._sorted = True
        times = self._t[line]
        return bisect_left(times, begins) < bisect_right(times, ends)
