"""The rules of the experiment as the referee reads them, apart from the task's own code.

The source is the description of the experiment: Zhong et al., Nature 2025, and a task's facts.
"""

from collections.abc import Iterator
from pathlib import PurePath
from typing import Any, Literal

import msgspec

from rig.messages import TrialStart

SAME_M = 1e-6
"""Two sums of one path differ by rounding, under a nanometre; one step of a wheel is 600 times
this and more at 60 cm/s and 1 kHz."""
LATE_NS = 200_000_000
"""How long after its cause water may come: what a busy hub and device take, and then some."""
NEVER_WATER = {"unrewarded", "naive", "grating"}

Blame = tuple[str, str]
"""The name of a violation, and the rest of its sentence."""


class BlockRules(msgspec.Struct, frozen=True, kw_only=True):
    """What of a block's facts the referee needs."""

    picture: str
    stimuli: list[str]
    images_files: list[str]
    order: str
    max_repeats: int
    trials: int
    minutes: float
    grey_before_s: float
    show_s: float
    blank_s: float
    texture_m: float
    grey_m: float
    motion: str
    corridor_cm_s: float
    gain: float
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
    def runs(self) -> bool:
        """Whether its trials are ways to be run."""
        return self.picture == "corridor"

    @property
    def lap_m(self) -> float:
        """The whole corridor."""
        return self.texture_m + self.grey_m

    @property
    def shown(self) -> list[str]:
        """What may be shown: the stimuli, else all images, else grey."""
        if self.stimuli:
            return self.stimuli
        return [PurePath(name).stem for name in self.images_files] or ["grey"]

    @property
    def zone_m(self) -> tuple[float, float]:
        """From where to where a reward may be had."""
        return self.zone_from_m, self.zone_to_m if self.zone_to_m > 0 else self.texture_m


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What of a task's facts the referee needs."""

    cohort: str
    water_for: list[str]
    run_threshold_cm_s: float
    stop_cm_s: float
    speed_window_ms: float
    spout: str
    minutes: float
    water_ul: float
    disengaged_after: int
    each: tuple[BlockRules, ...] = ()
    """The rules of each block."""

    @property
    def watered(self) -> bool:
        """Whether this mouse may get water."""
        return self.cohort in self.water_for and self.cohort not in NEVER_WATER

    @property
    def rewards_ul(self) -> set[float]:
        """What a reward may be, by block."""
        return {block.reward_ul for block in self.each}

    def against(self, start: TrialStart, misses: int) -> Iterator[Blame]:
        """Yield what in a trial contradicts the facts, after so many missed rewards."""
        if start.block >= len(self.each):
            yield "wrong block", f"there is no block {start.block}"
            return
        block = self.each[start.block]
        if start.stimulus not in block.shown:
            yield "wrong stimulus", f"{start.stimulus} is none of the task's stimuli"
        yield from _against_length(start, block)
        yield from _against_cue(start, block)
        yield from self._against_reward(start, block, misses)

    def _against_reward(self, start: TrialStart, block: BlockRules, misses: int) -> Iterator[Blame]:
        rewards = self.watered and start.stimulus in block.rewarded
        if start.rewarded != rewards:
            not_ = "" if start.rewarded else "not "
            yield "wrong cohort", f"{start.stimulus} is {not_}to be rewarded for this mouse"
        rescue = rewards and 0 < block.rescue_after_misses <= misses
        if start.rescue != rescue:
            yield "wrong rescue", f"after {misses} misses in a row"
        mode, delay_ms = ("none", 0.0)
        if self.watered:
            mode = "passive" if rescue else block.reward_mode
            delay_ms = block.reward_delay_ms
        if (start.reward_mode, start.reward_delay_ms) != (mode, delay_ms):
            said = f"{start.reward_mode} after {start.reward_delay_ms:g} ms"
            yield "wrong mode", f"{said}, where the task says {mode} after {delay_ms:g} ms"


def read_rules(task: dict[str, Any]) -> Rules:
    """Read the facts of a task, as Start has them."""
    rules = msgspec.convert(task, Rules)
    tables = task["blocks"] or [{}]
    each = tuple(msgspec.convert({**task, **table}, BlockRules) for table in tables)
    return msgspec.structs.replace(rules, each=each)


def _against_length(start: TrialStart, block: BlockRules) -> Iterator[Blame]:
    if start.picture != block.picture:
        yield "wrong picture", f"{start.picture}, and not {block.picture}"
    length = (block.texture_m, block.grey_m, 0.0, 0.0)
    zone = block.zone_m
    if not block.runs:
        length, zone = (0.0, 0.0, block.show_s, block.blank_s), (0.0, 0.0)
    if (start.texture_m, start.grey_m, start.show_s, start.blank_s) != length:
        said = f"{start.texture_m:g} + {start.grey_m:g} m, {start.show_s:g} + {start.blank_s:g} s"
        yield "wrong corridor", f"{said} long"
    if (start.zone_from_m, start.zone_to_m) != zone:
        yield "wrong zone", f"from {start.zone_from_m:g} to {start.zone_to_m:g} m"


def _against_cue(start: TrialStart, block: BlockRules) -> Iterator[Blame]:
    cue_m = start.cue_position_m
    if not (block.cue and block.runs):
        if cue_m is not None:
            yield "wrong cue place", f"drawn at {cue_m} m, and there is to be none"
    elif cue_m is None or not block.cue_from_m <= cue_m <= block.cue_to_m:
        between = f"{block.cue_from_m:g} to {block.cue_to_m:g} m"
        yield "wrong cue place", f"drawn at {cue_m} m, and not in {between}"
