"""The facts of a task: what a file of behavior/tasks may say, in which bounds."""

from pathlib import PurePath
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta, field

from rig.node import Node
from rig.settings.config import convert

Metres = Annotated[float, Meta(ge=0, le=20)]
Speed = Annotated[float, Meta(gt=0, le=200)]
Seconds = Annotated[float, Meta(ge=0, le=7200)]
GreySeconds = Annotated[float, Meta(ge=0, le=600)]
"""An imaging session wants 15 frames of grey: 5 s at three frames a second. A bench wants none."""
Count = Annotated[int, Meta(ge=0, le=1000)]
Cohort = Literal[
    "task", "unrewarded", "naive", "grating", "pretrained", "grating_pretrained", "not_pretrained"
]
COHORTS: tuple[str, ...] = get_args(Cohort)


class Block(Node.Settings, frozen=True, kw_only=True):
    """What may differ between the blocks of a session: pictures, corridor, cue, water, length."""

    picture: Literal["corridor", "image", "bar", "grey"] = "corridor"
    """What a trial shows. All but a corridor are on for a time, wherever the mouse is."""
    stimuli: Annotated[list[str], Meta(max_length=2000)] = field(default_factory=list)
    images_folder: str = ""
    images_files: list[str] = field(default_factory=list)
    """The names of the files in images_folder; filled in from it."""
    order: Literal["drawn", "rounds"] = "drawn"
    """Drawn by shares, or in rounds in each of which every stimulus comes once."""
    shares: list[Annotated[float, Meta(gt=0, le=1)]] = field(default_factory=list)
    """Of the trials, one a stimulus; none: all the same."""
    max_repeats: Annotated[int, Meta(ge=1, le=20)] = 3
    trials: Annotated[int, Meta(ge=1, le=20_000)] = 200
    minutes: Annotated[float, Meta(gt=0, le=600)] = 60.0
    grey_before_s: GreySeconds = 6.0
    show_s: Seconds = 0.0
    blank_s: Seconds = 0.0
    texture_m: Annotated[float, Meta(ge=1, le=20)] = 4.0
    grey_m: Annotated[float, Meta(ge=0.5, le=20)] = 2.0
    motion: Literal["running", "gain", "always"] = "running"
    """At corridor_cm_s while the mouse runs; gain times as far as the mouse; or always."""
    corridor_cm_s: Speed = 60.0
    gain: Annotated[float, Meta(gt=0, le=10)] = 1.0
    cue: bool = True
    cue_from_m: Metres = 0.5
    cue_to_m: Metres = 3.5
    zone_from_m: Metres = 0.0
    zone_to_m: Metres = 0.0
    """Where a reward may be had; to 0: to the end of the texture."""
    rewarded: list[str] = field(default_factory=list)
    reward_mode: Literal["none", "passive", "active"] = "none"
    reward_delay_ms: Annotated[float, Meta(ge=0, le=10_000)] = 0.0
    reward_ul: Annotated[float, Meta(gt=0, le=20)] = 3.0
    rescue_after_misses: Count = 0
    """After so many rewarded trials without water the next one is passive; 0: never."""

    @property
    def names(self) -> list[str]:
        """The stimuli; of images those in the folder, of mere grey one, if none are named."""
        if self.stimuli or self.picture == "corridor":
            return self.stimuli
        images = sorted(PurePath(name).stem for name in self.images_files)
        return images if self.picture == "image" else ["grey"] * (self.picture == "grey")

    @property
    def is_corridor(self) -> bool:
        """Whether a trial is a way to be run, not a time to pass."""
        return self.picture == "corridor"

    @property
    def lap_m(self) -> float:
        """The whole corridor: texture and grey."""
        return self.texture_m + self.grey_m

    @property
    def has_cue(self) -> bool:
        """Whether a cue comes in each trial."""
        return self.cue and self.is_corridor

    @property
    def zone_end_m(self) -> float:
        """Where the reward zone ends."""
        return self.zone_to_m or self.texture_m


class TaskSettings(Block, frozen=True, kw_only=True):
    """A task's settings, and the session's seed. A key of Block holds for all blocks, or in one."""

    stage: str
    """What the lab calls this stage of the study."""
    cohorts: Annotated[list[Cohort], Meta(min_length=1)]
    """Which cohorts the stage is for."""
    cohort: Cohort
    """Of this mouse; that of a real animal stands in its record."""
    water_for: list[Cohort] = field(default_factory=list)
    """Which of the cohorts get water; the others see and hear the same."""
    run_threshold_cm_s: Speed = 6.0
    stop_cm_s: Speed = 6.0
    speed_window_ms: Annotated[float, Meta(ge=10, le=2000)] = 100.0
    decided_by: Literal["device", "task"] = "device"
    """Who looks for the lick of an active reward: the device at the spout, or the task."""
    spout: str = "centre"
    """The name of the lick line and of the valve line."""
    grey_after_s: GreySeconds = 6.0
    water_ul: Annotated[float, Meta(ge=0, le=2000)] = 0.0
    """The session ends after the trial in which so much was given; 0: never."""
    disengaged_after: Count = 0
    """The session ends after so many rewarded trials in a row without a lick; 0: never."""
    blocks: list[dict[str, Any]] = field(default_factory=list)
    """[[blocks]] of keys that differ from those above; none: one block, as above."""
    seed: Annotated[int, Meta(ge=0)]

    @property
    def watered(self) -> bool:
        """Whether this mouse gets water in this task."""
        return self.cohort in self.water_for

    def in_blocks(self) -> list[Block]:
        """Return the blocks with all their keys. Raises Refused if one has a wrong key."""
        own = {name: msgspec.to_builtins(getattr(self, name)) for name in Block.__struct_fields__}
        return [
            convert({**own, **block}, Block, f"block {number} of the task")
            for number, block in enumerate(self.blocks or [{}])
        ]
