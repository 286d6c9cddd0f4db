"""One trial: when the cue is due, and when its one reward may be asked for. Knows no clock."""

from collections.abc import Iterator
from typing import Literal

import msgspec

from rig.messages import Arm, Cue, Disarm, Fault, Message, TrialStart, Valve

ARMED_NS = 60_000_000_000
"""How long a valve stays armed for a lick before it must be armed anew."""
RENEW_NS = 250_000_000
"""How often a wish that waits is said again, which keeps the valve armed: a sign of life."""
AT_ONCE_NS = 1_000_000_000
"""How old a wish for water at once may get."""


class Water(msgspec.Struct, frozen=True):
    """What a reward is: from which spout, how much, and who looks for the lick."""

    spout: str
    volume_ul: float
    decided_by: Literal["device", "task"]


class Trial:
    """A trial from its start to its end.

    The window in which its reward may be had:

        before ---[a corridor: the cue has come, if there is one, and the zone is reached]--> open
               ---[another picture: at once]------------------------------------------------> open
        open   ---[a corridor: the zone is left]-------------------------------------------> shut
               ---[another picture: it was on for show_s, or the reward was answered]------> shut

    and, in the window of a rewarded trial:

        due    ---[passive: the delay after the window opened] Arm now--------------------> settled
               ---[active, the task decides: first lick in the window] Arm now-------------> settled
               ---[active, the device decides] Arm for a lick------------------------------> armed
        armed  ---[every RENEW_NS] the same Arm; [past its deadline] Disarm, a new Arm-----> armed
               ---[the window shuts] Disarm------------------------------------------------> shut
               ---[Valve, open or refused]-------------------------------------------------> settled

    At most one reward is given: a wish for water at once is said once; a valve armed for a lick is
    disarmed before it is armed anew; and the first Valve heard settles the trial, also one that
    comes after its Disarm.
    """

    def __init__(self, start: TrialStart, water: Water, ids: Iterator[int]) -> None:
        """`ids` gives the numbers of the wishes, unique in the session."""
        self.start = start
        self.licked = False
        """Whether there was a lick in it."""
        self.watered = False
        """Whether its reward was given."""
        self._water, self._ids = water, ids
        self._cue_t: int | None = None
        self._open_t: int | None = None
        self._shut_t: int | None = None
        self._gone_t = start.t + round(start.show_s * 1e9)
        """When the picture is gone, if it is no corridor."""
        self._armed: Arm | None = None
        self._said_t = 0
        self._asked: set[int] = set()
        self._settled = not start.rewarded
        self._licks: list[int] = []

    def phase(self, t: int) -> Literal["corridor", "picture", "grey"]:
        """Return what is on at t (ns)."""
        if self.start.picture == "corridor":
            return "corridor"
        return "picture" if t < self._gone_t else "grey"

    def is_over(self, t: int, position_m: float) -> bool:
        """Return whether all of it has passed at t (ns), with the mouse at position_m."""
        start = self.start
        if start.picture == "corridor":
            return position_m >= start.texture_m + start.grey_m
        return t >= self._gone_t + round(start.blank_s * 1e9)

    def move(self, t: int, position_m: float) -> list[Message]:
        """Return what is due at t (ns) with the mouse at position_m of this corridor."""
        messages: list[Message] = []
        cue_m = self.start.cue_position_m
        if self._cue_t is None and cue_m is not None and position_m >= cue_m:
            self._cue_t = t
            messages.append(Cue(t, self.start.trial, position_m))
        if self._open_t is None and self._opens(position_m):
            self._open_t = t
        if self._shuts(t, position_m):
            return messages + self.shut(t)
        return messages + self._reward(t)

    def lick(self, t: int) -> list[Message]:
        """Take a lick, judged at its own t (ns), whenever it is heard."""
        self.licked |= t >= self.start.t
        if self._settled or self._water.decided_by == "device" or not self._active:
            return []
        if self._open_t is None:
            # the wheel that opens the window may be heard after a lick that came later
            self._licks.append(t)
            return []
        return self._at_once(t, t) if self._inside(t) else []

    def valve(self, message: Valve) -> list[Message]:
        """Take the answer to one of this trial's wishes; others are no matter."""
        if message.id not in self._asked:
            return []
        messages: list[Message] = []
        if self._armed is not None and self._armed.id != message.id:
            messages.append(Disarm(message.t, self._armed.id))
        self._armed = None
        self._settled = True
        self.watered |= not message.refused
        self._gone_t = min(self._gone_t, message.t)
        if not message.refused and message.lick_t is not None and not self._inside(message.lick_t):
            messages.append(Fault(message.t, self._outside(message.lick_t)))
        return messages

    def shut(self, t: int) -> list[Message]:
        """Shut the reward window: the zone is left or the trial is over."""
        if self._shut_t is None:
            self._shut_t = t
        return self._disarm(t)

    @property
    def _active(self) -> bool:
        return self.start.reward_mode == "active"

    def _opens(self, position_m: float) -> bool:
        if self.start.picture != "corridor":
            return True
        cued = self._cue_t is not None or self.start.cue_position_m is None
        return cued and position_m >= self.start.zone_from_m

    def _shuts(self, t: int, position_m: float) -> bool:
        if self.start.picture != "corridor":
            return t >= self._gone_t
        return position_m >= self.start.zone_to_m

    def _inside(self, t: int) -> bool:
        """Whether t lies in the reward window."""
        opened = self._open_t is not None and t >= self._open_t
        return opened and (self._shut_t is None or t <= self._shut_t)

    def _outside(self, lick_t: int) -> str:
        if self._shut_t is None or lick_t < self._shut_t:
            place = "before its cue or zone"
        else:
            place = f"{(lick_t - self._shut_t) / 1e6:.1f} ms after its reward zone was left"
        return f"trial {self.start.trial} got water for a lick {place}; look at how late words are"

    def _reward(self, t: int) -> list[Message]:
        """Ask for the reward if it is due, the window being open or not yet."""
        if self._settled or self._open_t is None:
            return []
        if not self._active:
            due = self._open_t + round(self.start.reward_delay_ms * 1e6)
            return self._at_once(t, None) if t >= due else []
        if self._water.decided_by == "device":
            return self._arm_for_lick(t)
        early = [lick for lick in self._licks if self._inside(lick)]
        return self._at_once(t, min(early)) if early else []

    def _arm_for_lick(self, t: int) -> list[Message]:
        if self._armed is None or t > self._armed.deadline:
            return [*self._disarm(t), self._arm(t, t + ARMED_NS, "lick", None)]
        if t - self._said_t < RENEW_NS:
            return []
        self._said_t = t
        return [self._armed]

    def _at_once(self, t: int, lick_t: int | None) -> list[Message]:
        self._settled = True
        return [self._arm(t, t + AT_ONCE_NS, "now", lick_t)]

    def _arm(self, t: int, deadline: int, on: Literal["now", "lick"], lick_t: int | None) -> Arm:
        water = self._water
        arm = Arm(t, next(self._ids), deadline, water.spout, on, water.volume_ul, lick_t)
        self._asked.add(arm.id)
        self._armed = arm
        self._said_t = t
        return arm

    def _disarm(self, t: int) -> list[Message]:
        if self._armed is None:
            return []
        armed, self._armed = self._armed, None
        return [Disarm(t, armed.id)]
