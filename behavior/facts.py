"""The facts of a task: what a file of behavior/tasks may say, in which bounds."""

from typing import Annotated, Literal

from msgspec import Meta

from rig.node import Node
from rig.refused import Refused

Metres = Annotated[float, Meta(ge=0, le=20)]
Speed = Annotated[float, Meta(gt=0, le=200)]
GreySeconds = Annotated[float, Meta(ge=0, le=600)]
"""An imaging session wants 15 frames of grey: 5 s at three frames a second. A bench wants none."""


class Facts(Node.Settings, frozen=True, kw_only=True):
    """A task's settings, and the session's seed."""

    stage: str
    """What the lab calls this stage of the study; it changes nothing."""
    cohort: Literal["task", "unrewarded"]
    """Unrewarded mice see and hear the same, and never get water."""
    stimuli: Annotated[list[str], Meta(min_length=1, max_length=20)]
    shares: list[Annotated[float, Meta(gt=0, le=1)]]
    rewarded: list[str]
    max_repeats: Annotated[int, Meta(ge=1, le=20)] = 3
    texture_m: Annotated[float, Meta(ge=1, le=20)] = 4.0
    grey_m: Annotated[float, Meta(ge=0.5, le=20)] = 2.0
    corridor_cm_s: Speed = 60.0
    run_threshold_cm_s: Speed = 6.0
    stop_cm_s: Speed = 6.0
    speed_window_ms: Annotated[float, Meta(ge=10, le=2000)] = 100.0
    cue_from_m: Metres = 0.5
    cue_to_m: Metres = 3.5
    reward_mode: Literal["passive", "active"]
    reward_delay_ms: Annotated[float, Meta(ge=0, le=10_000)] = 0.0
    reward_ul: Annotated[float, Meta(gt=0, le=20)]
    decided_by: Literal["device", "task"] = "device"
    """Who looks for the lick of an active reward: the driver at the spout, or the task."""
    spout: str = "centre"
    """The name of the lick line and of the valve line."""
    trials: Annotated[int, Meta(ge=1, le=2000)] = 200
    minutes: Annotated[float, Meta(gt=0, le=600)] = 60.0
    grey_before_s: GreySeconds = 6.0
    grey_after_s: GreySeconds = 6.0
    seed: Annotated[int, Meta(ge=0)]

    @property
    def lap_m(self) -> float:
        """The whole corridor: texture and grey."""
        return self.texture_m + self.grey_m


def check(facts: Facts) -> None:
    """Raise Refused if the facts contradict each other; order and shares are draw_order's."""
    unknown = [name for name in facts.rewarded if name not in facts.stimuli]
    if unknown:
        raise Refused(
            f"rewarded = {facts.rewarded}: {', '.join(unknown)} is none of the stimuli; correct it"
        )
    if facts.cue_from_m > facts.cue_to_m:
        raise Refused(
            f"cue_from_m = {facts.cue_from_m:g} lies behind cue_to_m = {facts.cue_to_m:g}; "
            "exchange them"
        )
    if facts.stop_cm_s > facts.run_threshold_cm_s:
        raise Refused(
            f"stop_cm_s = {facts.stop_cm_s:g} is above run_threshold_cm_s = "
            f"{facts.run_threshold_cm_s:g}; a mouse must not stop while it starts: lower it"
        )
    way_m = facts.corridor_cm_s / 100 * facts.reward_delay_ms / 1000
    if facts.cue_to_m + way_m >= facts.texture_m:
        raise Refused(
            f"the latest cue at {facts.cue_to_m:g} m and {way_m:.2f} m on during the reward delay "
            f"leave the texture of {facts.texture_m:g} m; lower cue_to_m or reward_delay_ms"
        )
