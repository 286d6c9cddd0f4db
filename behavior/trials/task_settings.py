"""The settings of a task: every key that a file of behavior/tasks may contain, with its bounds."""

from pathlib import PurePath
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta, field

from behavior.trials.resume import ResumePoint
from rig.node import Node
from rig.settings.config import convert

Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]
"""A number that is not negative. unit_checks has narrower ranges for settings with a unit."""
Count = Annotated[int, Meta(ge=0, le=1000)]
Cohort = Literal[
    "task", "unrewarded", "naive", "grating", "pretrained", "grating_pretrained", "not_pretrained"
]
COHORTS: tuple[str, ...] = get_args(Cohort)
Live = Literal[
    "reward_ul",
    "reward_mode",
    "reward_delay_ms",
    "rescue_after_misses",
    "zone_from_m",
    "zone_to_m",
    "cue_from_m",
    "cue_to_m",
]
"""Settings that may be changed while a session runs; a trial reads them when it starts."""
Contrast = tuple[str, str]
"""Two stimuli (A, B): d' is positive for a cell that prefers A."""


class SignalSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The [signals] table: which stimuli the analysis compares. The task itself ignores it."""

    contrasts: Annotated[list[Contrast], Meta(max_length=20)] = field(default_factory=list)
    """Pairs of stimuli for selectivity, fractions and position tuning; empty: no comparison."""
    reference: Contrast | None = None
    """The contrast that defines the coding direction and the similarity index."""
    rewarded: str = ""
    """The stimulus whose early-cue and late-cue trials give reward prediction, in every cohort.

    Empty: no reward prediction.
    """


class Block(Node.Settings, frozen=True, kw_only=True):
    """Settings that may differ between the blocks of a session."""

    picture: Literal["corridor", "image", "bar", "grey"] = "corridor"
    """What a trial shows. All except "corridor" are shown for show_s, without regard to running."""
    stimuli: Annotated[list[str], Meta(max_length=2000)] = field(default_factory=list)
    images_folder: str = ""
    images_files: list[str] = field(default_factory=list)
    """The names of the files in images_folder; the program fills them in before the session."""
    order: Literal["drawn", "rounds"] = "drawn"
    """"drawn": random, in the given shares; "rounds": each stimulus once per round, shuffled."""
    shares: list[Positive] = field(default_factory=list)
    """The fraction of trials of each stimulus; empty: equal shares."""
    max_repeats: Annotated[int, Meta(ge=1, le=20)] = 3
    """Maximum number of consecutive trials with the same stimulus."""
    trials: Annotated[int, Meta(ge=1, le=20_000)] = 200
    block_minutes: Positive = 600.0
    """Longest duration of the block, minutes."""
    grey_before_s: NotNegative = 6.0
    """Grey before the first trial, s. An imaging session needs 15 frames: 5 s at 3 frames/s."""
    show_s: NotNegative = 0.0
    blank_s: NotNegative = 0.0
    texture_m: Positive = 4.0
    grey_m: Positive = 2.0
    motion: Literal["running", "gain", "always"] = "running"
    """How the corridor moves. "running": at corridor_cm_s while the mouse runs; "gain": by `gain`
    times the distance that the mouse runs; "always": at corridor_cm_s all the time."""
    corridor_cm_s: Positive = 60.0
    gain: Positive = 1.0
    gain_distance: Literal["net", "forward"] = "net"
    """The distance with motion = "gain". "net": after backward steps, the corridor advances only
    when the wheel is beyond its farthest position; "forward": backward steps count as 0, so a
    wheel that rocks back and forth moves the corridor."""
    cue: bool = True
    cue_from_m: NotNegative = 0.5
    cue_to_m: NotNegative = 3.5
    zone_from_m: NotNegative = 0.0
    zone_to_m: NotNegative = 0.0
    """End of the reward zone, m; 0: the end of the texture."""
    rewarded: list[str] = field(default_factory=list)
    reward_mode: Literal["none", "passive", "active"] = "none"
    reward_delay_ms: NotNegative = 0.0
    reward_ul: Positive = 3.0
    rescue_after_misses: Count = 0
    """After this many rewarded trials without water, the next rewarded trial is passive; 0: never.
    """

    @property
    def names(self) -> list[str]:
        """What may be shown: the stimuli, or else the files of images_folder, or else "grey"."""
        if self.stimuli or self.picture == "corridor":
            return self.stimuli
        images = sorted(PurePath(name).stem for name in self.images_files)
        return images if self.picture == "image" else ["grey"] * (self.picture == "grey")

    @property
    def is_corridor(self) -> bool:
        """True if a trial has a length in metres, False if it has a duration."""
        return self.picture == "corridor"

    @property
    def lap_m(self) -> float:
        """Length of the whole corridor, texture and grey, m."""
        return self.texture_m + self.grey_m

    @property
    def has_cue(self) -> bool:
        """True if every trial has a sound cue."""
        return self.cue and self.is_corridor

    @property
    def zone_end_m(self) -> float:
        """End of the reward zone, m."""
        return self.zone_to_m or self.texture_m


class TaskSettings(Block, frozen=True, kw_only=True):
    """All settings of a task. A key of Block applies to every block that does not set its own."""

    stage: str
    """The name of this stage of the study."""
    cohorts: Annotated[list[Cohort], Meta(min_length=1)]
    """The cohorts that run this stage."""
    cohort: Cohort
    """The cohort of this mouse; for a real animal, taken from its record."""
    water_for: list[Cohort] = field(default_factory=list)
    """The cohorts that get water; the others get the same corridors and cue."""
    run_threshold_cm_s: Positive = 6.0
    stop_cm_s: Positive = 6.0
    speed_window_ms: Positive = 100.0
    decided_by: Literal["device", "task"] = "device"
    """What detects the lick of an active reward: the device at the spout, or the task."""
    spout: str = "centre"
    """The name of the lick line and of the valve line."""
    minutes: Positive = 60.0
    """Longest duration of the session, minutes."""
    grey_after_s: NotNegative = 6.0
    water_ul: NotNegative = 0.0
    """The session ends after the trial in which this volume, ul, was reached; 0: no limit."""
    disengaged_after: Count = 0
    """Number of consecutive rewarded trials without a lick that ends the session; 0: no limit."""
    blocks: list[dict[str, Any]] = field(default_factory=list)
    """[[blocks]]: one table per block, with the keys that differ from those above; empty: one
    block."""
    triggers: Annotated[list[dict[str, Any]], Meta(max_length=20)] = field(default_factory=list)
    """[[triggers]]: rules that raise a line; they are run by the closed loop, not by the task."""
    signals: SignalSettings = field(default_factory=SignalSettings)
    live: list[Live] = field(default_factory=list)
    """Settings that the operator may change while the session runs."""
    seed: Annotated[int, Meta(ge=0)]
    resume: ResumePoint | None = None
    """Where to continue; set only by `rig run --continue`, not in a task file."""

    @property
    def watered(self) -> bool:
        """True if this mouse may get water in this task."""
        return self.cohort in self.water_for

    def in_blocks(self) -> list[Block]:
        """Return the blocks with all their keys. Raises Refused if one has an invalid key."""
        own = {name: msgspec.to_builtins(getattr(self, name)) for name in Block.__struct_fields__}
        return [
            convert({**own, **block}, Block, f"block {number} of the task")
            for number, block in enumerate(self.blocks or [{}])
        ]
