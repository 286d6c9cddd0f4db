"""The rules of the experiment, as the referee reads them without the task's code.

Sources: Zhong et al., Nature 2025, and the task settings in Start.
"""

from collections.abc import Iterator
from pathlib import PurePath
from typing import Any, Literal

import msgspec

from rig.messages import TrialStart

SAME_M = 1e-6
"""Two positions that differ by less than this are equal, m.

Rounding errors of sums are below 1 nm; the step of one tick at 60 cm/s and 1 kHz is 600 um.
"""
LATE_NS = 200_000_000
"""Longest delay from the cause of a reward to the open valve, if hub and device are busy, ns."""
NEVER_WATER = {"unrewarded", "naive", "grating"}

Violation = tuple[str, str]
"""The name of a violation, and its explanation."""


class BlockRules(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of a block that the referee needs; named as in the task file."""

    picture: str
    stimuli: list[str]
    images_files: list[str]
    order: str
    max_repeats: int
    trials: int
    block_minutes: float
    grey_before_s: float
    show_s: float
    blank_s: float
    texture_m: float
    grey_m: float
    motion: str
    corridor_cm_s: float
    gain: float
    gain_distance: str
    cue: bool
    cue_from_m: float
    cue_to_m: float
    zone_from_m: float
    zone_to_m: float
    rewarded: list[str]
    reward_mode: Literal["none", "passive", "active"]
    reward_delay_ms: float
    reward_ul: float
    rescue_after_misses: int

    @property
    def is_corridor(self) -> bool:
        """True if a trial has a length in metres, False if it has a duration."""
        return self.picture == "corridor"

    @property
    def lap_m(self) -> float:
        """Length of the whole corridor, m."""
        return self.texture_m + self.grey_m

    @property
    def shown(self) -> list[str]:
        """The names that a trial may show: the stimuli, or else all images, or else grey."""
        if self.stimuli:
            return self.stimuli
        return [PurePath(name).stem for name in self.images_files] or ["grey"]

    @property
    def zone_m(self) -> tuple[float, float]:
        """Start and end of the reward zone, m."""
        return self.zone_from_m, self.zone_to_m if self.zone_to_m > 0 else self.texture_m


class EarlierParts(msgspec.Struct, frozen=True, kw_only=True):
    """State at the end of the earlier parts of a continued session; named as in ResumePoint."""

    trial: int
    block: int
    completed: list[str]
    next_stimulus: str | None
    session_s: float
    block_s: float
    given_ul: float
    misses: int
    unlicked: int


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of a task that the referee needs; named as in the task file."""

    cohort: str
    water_for: list[str]
    run_threshold_cm_s: float
    stop_cm_s: float
    speed_window_ms: float
    spout: str
    minutes: float
    water_ul: float
    disengaged_after: int
    resume: EarlierParts | None = None
    blocks: tuple[BlockRules, ...] = ()

    @property
    def watered(self) -> bool:
        """True if this mouse may get water."""
        return self.cohort in self.water_for and self.cohort not in NEVER_WATER

    @property
    def rewards_ul(self) -> set[float]:
        """The volumes that a reward may have, in microlitres."""
        return {block.reward_ul for block in self.blocks}

    def check_start(self, start: TrialStart, misses: int) -> Iterator[Violation]:
        """Yield a violation for each value of a TrialStart that contradicts the settings.

        `misses` is the number of rewarded trials since the last rewarded trial with water.
        """
        if start.block >= len(self.blocks):
            yield "wrong block", f"there is no block {start.block}"
            return
        block = self.blocks[start.block]
        if start.stimulus not in block.shown:
            yield "wrong stimulus", f"{start.stimulus} is not one of the stimuli of the task"
        yield from _check_length(start, block)
        yield from _check_cue(start, block)
        yield from self._check_reward(start, block, misses)

    def _check_reward(
        self, start: TrialStart, block: BlockRules, misses: int
    ) -> Iterator[Violation]:
        is_rewarded = self.watered and start.stimulus in block.rewarded
        if start.rewarded != is_rewarded:
            not_ = "" if is_rewarded else "not "
            yield "wrong cohort", f"{start.stimulus} is {not_}rewarded for this mouse"
        rescue = is_rewarded and 0 < block.rescue_after_misses <= misses
        if start.rescue != rescue:
            yield "wrong rescue", f"after {misses} misses in a row"
        mode, delay_ms = ("none", 0.0)
        if self.watered:
            mode = "passive" if rescue else block.reward_mode
            delay_ms = block.reward_delay_ms
        if (start.reward_mode, start.reward_delay_ms) != (mode, delay_ms):
            found = f"{start.reward_mode} after {start.reward_delay_ms:g} ms"
            yield "wrong mode", f"{found}, but the task has {mode} after {delay_ms:g} ms"


def with_setting(task: dict[str, Any], name: str, value: Any) -> dict[str, Any]:
    """Return task settings, as Start carries them, with one setting changed in all blocks."""
    blocks = [{key: own for key, own in table.items() if key != name} for table in task["blocks"]]
    return {**task, name: value, "blocks": blocks}


def read_rules(task: dict[str, Any]) -> Rules:
    """Read the rules from the task settings, as Start carries them."""
    tables = task["blocks"] or [{}]
    blocks = tuple(msgspec.convert({**task, **table}, BlockRules) for table in tables)
    rules = msgspec.convert({key: value for key, value in task.items() if key != "blocks"}, Rules)
    return msgspec.structs.replace(rules, blocks=blocks)


def _check_length(start: TrialStart, block: BlockRules) -> Iterator[Violation]:
    if start.picture != block.picture:
        yield "wrong picture", f"{start.picture}, but the task has {block.picture}"
    length = (block.texture_m, block.grey_m, 0.0, 0.0)
    zone = block.zone_m
    if not block.is_corridor:
        length, zone = (0.0, 0.0, block.show_s, block.blank_s), (0.0, 0.0)
    if (start.texture_m, start.grey_m, start.show_s, start.blank_s) != length:
        found = f"{start.texture_m:g} + {start.grey_m:g} m, {start.show_s:g} + {start.blank_s:g} s"
        yield "wrong length", f"it has {found}"
    if (start.zone_from_m, start.zone_to_m) != zone:
        yield "wrong zone", f"from {start.zone_from_m:g} to {start.zone_to_m:g} m"


def _check_cue(start: TrialStart, block: BlockRules) -> Iterator[Violation]:
    cue_m = start.cue_position_m
    if not (block.cue and block.is_corridor):
        if cue_m is not None:
            yield "wrong cue position", f"drawn at {cue_m} m, but the task has no cue"
    elif cue_m is None or not block.cue_from_m <= cue_m <= block.cue_to_m:
        allowed = f"{block.cue_from_m:g} to {block.cue_to_m:g} m"
        yield "wrong cue position", f"drawn at {cue_m} m, not in {allowed}"
