"""One trial: when its cue is due, and when its reward may be requested. Reads no clock."""

from collections.abc import Iterator
from typing import Literal

import msgspec

from rig.messages import Arm, Cue, Disarm, Fault, Message, TrialStart, Valve

ARMED_NS = 60_000_000_000
"""Time for which a valve stays armed before it is armed with a new request, ns."""
RENEW_NS = 250_000_000
"""Time after which a waiting request is repeated, ns; otherwise the driver disarms the valve."""
NOW_DEADLINE_NS = 1_000_000_000
"""Longest delay with which a request for water at once may be carried out, ns."""


class RewardSettings(msgspec.Struct, frozen=True):
    """A reward: its spout, its volume (ul), and whether device or task detects the lick."""

    spout: str
    volume_ul: float
    decided_by: Literal["device", "task"]


class Trial:
    """A trial from its start to its end.

    Its reward is available inside a window of time:

        before ---[a corridor: the cue came, if there is one, and the zone is reached]------> open
               ---[another picture: at once]------------------------------------------------> open
        open   ---[a corridor: the zone is left]--------------------------------------------> closed
               ---[another picture: shown for show_s, or the reward was answered]-----------> closed

    In the open window of a rewarded trial, the request for the reward goes through these states:

        none   ---[passive: the delay after opening is over] Arm now-----------------------> decided
               ---[active, the task detects licks: first lick in the window] Arm now-------> decided
               ---[active, the device detects licks] Arm for a lick------------------------> armed
        armed  ---[every RENEW_NS] the same Arm; [past its deadline] Disarm, a new Arm-----> armed
               ---[the window closes] Disarm-----------------------------------------------> none
               ---[Valve, open or refused]-------------------------------------------------> decided

    At most one reward is given: a request for water at once is published once; a valve armed for a
    lick is disarmed before it is armed again; and the first Valve decides the trial, even if it
    comes after the Disarm.
    """

    def __init__(self, start: TrialStart, reward: RewardSettings, ids: Iterator[int]) -> None:
        """Start a trial; `ids` yields the ids of requests, unique in the session."""
        self.start = start
        self.licked = False
        """True if the mouse licked during the trial."""
        self.watered = False
        """True if the reward was given."""
        self._reward, self._ids = reward, ids
        # Times in ns of the session clock; None: not yet.
        self._cue_t: int | None = None
        self._opened_t: int | None = None
        self._closed_t: int | None = None
        self._picture_end_t = start.t + round(start.show_s * 1e9)
        """Time at which the picture ends, ns, if it is not a corridor."""
        self._armed: Arm | None = None
        self._armed_t = 0
        """Time at which the armed request was last published, ns."""
        self._requested: set[int] = set()
        self._decided = not start.rewarded
        self._early_licks: list[int] = []

    def phase(self, t: int) -> Literal["corridor", "picture", "grey"]:
        """Return what the screens show at t (ns)."""
        if self.start.picture == "corridor":
            return "corridor"
        return "picture" if t < self._picture_end_t else "grey"

    def is_over(self, t: int, position_m: float) -> bool:
        """Return True if the trial is complete at t (ns), with the mouse at position_m."""
        start = self.start
        if start.picture == "corridor":
            return position_m >= start.texture_m + start.grey_m
        return t >= self._picture_end_t + round(start.blank_s * 1e9)

    def update(self, t: int, position_m: float) -> list[Message]:
        """Return the messages to publish at t (ns), with the mouse at position_m."""
        messages: list[Message] = []
        cue_m = self.start.cue_position_m
        if self._cue_t is None and cue_m is not None and position_m >= cue_m:
            self._cue_t = t
            messages.append(Cue(t, self.start.trial, position_m))
        if self._opened_t is None and self._window_opens(position_m):
            self._opened_t = t
        if self._window_closes(t, position_m):
            return messages + self.close_window(t)
        return messages + self._request_reward(t)

    def lick(self, t: int) -> list[Message]:
        """Handle a lick by its own time t (ns), even if it arrives late; return messages."""
        self.licked |= t >= self.start.t
        if self._decided or self._reward.decided_by == "device" or not self._is_active:
            return []
        if self._opened_t is None:
            # The Wheel that opens the window may arrive after a lick with a later time.
            self._early_licks.append(t)
            return []
        return self._arm_now(t, t) if self._in_window(t) else []

    def answer(self, valve: Valve) -> list[Message]:
        """Handle the answer to a request of this trial; ignore other Valves."""
        if valve.id not in self._requested:
            return []
        messages: list[Message] = []
        if self._armed is not None and self._armed.id != valve.id:
            messages.append(Disarm(valve.t, self._armed.id))
        self._armed = None
        self._decided = True
        self.watered |= not valve.refused
        self._picture_end_t = min(self._picture_end_t, valve.t)
        if not valve.refused and valve.lick_t is not None and not self._in_window(valve.lick_t):
            messages.append(Fault(valve.t, self._outside_window(valve.lick_t)))
        return messages

    def close_window(self, t: int) -> list[Message]:
        """Close the reward window, when the zone is left or the trial ends."""
        if self._closed_t is None:
            self._closed_t = t
        return self._disarm(t)

    @property
    def _is_active(self) -> bool:
        return self.start.reward_mode == "active"

    def _window_opens(self, position_m: float) -> bool:
        if self.start.picture != "corridor":
            return True
        cued = self._cue_t is not None or self.start.cue_position_m is None
        return cued and position_m >= self.start.zone_from_m

    def _window_closes(self, t: int, position_m: float) -> bool:
        if self.start.picture != "corridor":
            return t >= self._picture_end_t
        return position_m >= self.start.zone_to_m

    def _in_window(self, t: int) -> bool:
        opened = self._opened_t is not None and t >= self._opened_t
        return opened and (self._closed_t is None or t <= self._closed_t)

    def _outside_window(self, lick_t: int) -> str:
        when = "before its cue or reward zone"
        if self._closed_t is not None and lick_t >= self._closed_t:
            when = f"{(lick_t - self._closed_t) / 1e6:.1f} ms after its reward zone was left"
        number = self.start.trial
        return f"trial {number} got water for a lick {when}; check the delay of messages"

    def _request_reward(self, t: int) -> list[Message]:
        """Request the reward if it is due at t (ns); it is never due before the window opens."""
        if self._decided or self._opened_t is None:
            return []
        if not self._is_active:
            due_t = self._opened_t + round(self.start.reward_delay_ms * 1e6)
            return self._arm_now(t, None) if t >= due_t else []
        if self._reward.decided_by == "device":
            return self._arm_for_lick(t)
        licks = [lick_t for lick_t in self._early_licks if self._in_window(lick_t)]
        return self._arm_now(t, min(licks)) if licks else []

    def _arm_for_lick(self, t: int) -> list[Message]:
        if self._armed is None or t > self._armed.deadline:
            return [*self._disarm(t), self._arm(t, t + ARMED_NS, "lick", None)]
        if t - self._armed_t < RENEW_NS:
            return []
        self._armed_t = t
        return [self._armed]

    def _arm_now(self, t: int, lick_t: int | None) -> list[Message]:
        self._decided = True
        return [self._arm(t, t + NOW_DEADLINE_NS, "now", lick_t)]

    def _arm(self, t: int, deadline: int, on: Literal["now", "lick"], lick_t: int | None) -> Arm:
        reward = self._reward
        arm = Arm(t, next(self._ids), deadline, reward.spout, on, reward.volume_ul, lick_t)
        self._requested.add(arm.id)
        self._armed = arm
        self._armed_t = t
        return arm

    def _disarm(self, t: int) -> list[Message]:
        if self._armed is None:
            return []
        armed, self._armed = self._armed, None
        return [Disarm(t, armed.id)]
