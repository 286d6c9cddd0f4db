"""What a session has come to: its water, its misses, and whether that is its end. Pure."""

from rig.messages import TrialStart, Valve


class SessionCounts:
    """Counts rewarded trials that went without a lick or without water, and all water."""

    def __init__(self, water_ul: float, disengaged_after: int) -> None:
        """The session ends at so much water, or after so many trials without a lick; 0: never."""
        self._water_ul, self._disengaged_after = water_ul, disengaged_after
        self._unlicked = 0
        self.given_ul = 0.0
        self.misses = 0
        """Rewarded trials since the last one with water."""

    def valve(self, message: Valve) -> None:
        """Take an opening of a valve, whoever asked for it."""
        if not message.refused:
            self.given_ul += message.volume_ul

    def done(self, start: TrialStart, licked: bool, watered: bool) -> None:
        """Take a trial that was run to its end."""
        if start.rewarded:
            self._unlicked = 0 if licked else self._unlicked + 1
            self.misses = 0 if watered else self.misses + 1

    def end(self) -> str | None:
        """Return why the session is to end now, if it is."""
        if self._water_ul and self.given_ul >= self._water_ul:
            return f"{self.given_ul:g} ul were given"
        if self._disengaged_after and self._unlicked >= self._disengaged_after:
            return f"no lick in {self._unlicked} rewarded trials"
        return None
