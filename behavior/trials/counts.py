"""Count water, misses and idle trials of a session, and decide whether a limit is reached."""

from behavior.trials.resume import ResumePoint
from rig.messages import TrialStart, Valve


class SessionCounts:
    """Total water, and number of consecutive rewarded trials without a lick or without water."""

    def __init__(
        self, water_ul: float, disengaged_after: int, resume: ResumePoint | None = None
    ) -> None:
        """Start to count, at zero or where an interrupted session ended.

        `water_ul` and `disengaged_after` are the limits in the task's settings; 0: no limit.
        """
        self._water_ul, self._disengaged_after = water_ul, disengaged_after
        self._unlicked = resume.unlicked if resume else 0
        self.given_ul = resume.given_ul if resume else 0.0
        self.misses = resume.misses if resume else 0
        """Number of rewarded trials since the last rewarded trial with water."""

    def count_valve(self, valve: Valve) -> None:
        """Count the water of an open valve, manual rewards included."""
        if not valve.refused:
            self.given_ul += valve.volume_ul

    def count_trial(self, start: TrialStart, licked: bool, watered: bool) -> None:
        """Count a completed trial."""
        if start.rewarded:
            self._unlicked = 0 if licked else self._unlicked + 1
            self.misses = 0 if watered else self.misses + 1

    def limit_reached(self) -> str | None:
        """Return why the session has to end now, or None."""
        if self._water_ul and self.given_ul >= self._water_ul:
            return f"{self.given_ul:g} ul were given"
        if self._disengaged_after and self._unlicked >= self._disengaged_after:
            return f"no lick in {self._unlicked} rewarded trials"
        return None
