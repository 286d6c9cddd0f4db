"""What a task must not say: each rule is one function, and its docstring is the rule."""

from collections.abc import Callable

from behavior.trials.order import draw_order
from behavior.trials.task_settings import Block, TaskSettings
from rig.errors import Refused

DRY = ("unrewarded", "naive", "grating")
"""Cohorts that are never given water, whatever a file says."""
FASTEST_CM_S = 200.0
"""No mouse runs faster."""


def check(facts: TaskSettings) -> None:
    """Raise Refused, with one sentence, if the facts contradict each other."""
    _cohort_is_of_the_stage(facts)
    _dry_cohorts_stay_dry(facts)
    _a_mouse_does_not_stop_while_it_starts(facts)
    blocks = facts.in_blocks()
    for number, block in enumerate(blocks):
        where = f"block {number}: " if len(blocks) > 1 else ""
        for rule in _OF_A_BLOCK:
            try:
                rule(block)
                draw_order(block, facts.seed, number)
            except Refused as refusal:
                raise Refused(f"{where}{refusal}") from refusal


def _cohort_is_of_the_stage(facts: TaskSettings) -> None:
    """A stage is for the cohorts that it names."""
    if facts.cohort not in facts.cohorts:
        raise Refused(
            f"stage {facts.stage} is not for cohort {facts.cohort} (it is for: "
            f"{', '.join(facts.cohorts)}); take another task, or correct the cohort"
        )


def _dry_cohorts_stay_dry(facts: TaskSettings) -> None:
    """The controls of the study never get water."""
    wrong = [cohort for cohort in facts.water_for if cohort in DRY]
    if wrong:
        raise Refused(
            f"water_for = {facts.water_for}: cohort {wrong[0]} is never given water; take it out"
        )


def _a_mouse_does_not_stop_while_it_starts(facts: TaskSettings) -> None:
    """The speed at which the corridor stops is not above that at which it starts."""
    if facts.stop_cm_s > facts.run_threshold_cm_s:
        raise Refused(
            f"stop_cm_s = {facts.stop_cm_s:g} is above run_threshold_cm_s = "
            f"{facts.run_threshold_cm_s:g}; a mouse must not stop while it starts: lower it"
        )


def _there_is_something_to_show(block: Block) -> None:
    """Every trial has a stimulus."""
    if not block.names:
        lacks = "images_folder" if block.picture == "image" else "stimuli"
        raise Refused(f'picture = "{block.picture}" and there are no stimuli; fill in {lacks}')


def _a_picture_lasts(block: Block) -> None:
    """What is not a corridor is shown for a time, and a corridor for its length."""
    if not block.is_corridor and block.show_s <= 0:
        raise Refused(
            f'picture = "{block.picture}" is to be shown for show_s = {block.show_s:g}; '
            "say for how many seconds"
        )
    if block.is_corridor and (block.show_s or block.blank_s):
        raise Refused(
            "show_s and blank_s are not of a corridor, which is as long as it is; take them out"
        )


def _rewarded_are_stimuli(block: Block) -> None:
    """Only what is shown can be rewarded, and a reward has a mode."""
    unknown = [name for name in block.rewarded if name not in block.names]
    if unknown:
        raise Refused(
            f"rewarded = {block.rewarded}: {', '.join(unknown)} is none of the stimuli; correct it"
        )
    if block.rewarded and block.reward_mode == "none":
        raise Refused(
            f'rewarded = {block.rewarded} and reward_mode = "none"; '
            'set it to "active" or "passive", or rewarded to []'
        )


def _the_cue_has_a_place(block: Block) -> None:
    """The cue comes between two places of the texture."""
    if not block.has_cue:
        return
    if block.cue_from_m > block.cue_to_m:
        raise Refused(
            f"cue_from_m = {block.cue_from_m:g} lies behind cue_to_m = {block.cue_to_m:g}; "
            "exchange them"
        )
    if block.cue_to_m >= block.texture_m:
        raise Refused(
            f"cue_to_m = {block.cue_to_m:g} does not lie in the texture of "
            f"{block.texture_m:g} m; lower it"
        )


def _the_zone_lies_in_the_texture(block: Block) -> None:
    """A reward is had in the texture only."""
    if block.is_corridor and not block.zone_from_m < block.zone_end_m <= block.texture_m:
        raise Refused(
            f"the reward zone from {block.zone_from_m:g} to {block.zone_end_m:g} m does not lie "
            f"in the texture of {block.texture_m:g} m; correct zone_from_m or zone_to_m"
        )


def _passive_water_cannot_leave_its_zone(block: Block) -> None:
    """Water that comes a delay after cue or zone still comes where it may be had."""
    delay_s = block.reward_delay_ms / 1000
    if not block.is_corridor:
        if block.reward_mode == "passive" and delay_s >= block.show_s:
            raise Refused(
                f"reward_delay_ms = {block.reward_delay_ms:g} ends after the picture of "
                f"{block.show_s:g} s; lower it"
            )
        return
    latest_m = max(block.zone_from_m, block.cue_to_m if block.has_cue else 0.0)
    cm_s = FASTEST_CM_S * block.gain if block.motion == "gain" else block.corridor_cm_s
    way_m = cm_s / 100 * delay_s
    if latest_m + way_m >= block.zone_end_m:
        what = "cue" if block.has_cue and latest_m == block.cue_to_m else "start of the zone"
        raise Refused(
            f"the latest {what} at {latest_m:g} m and {way_m:.2f} m on during the reward delay "
            f"leave the texture or its reward zone, which ends at {block.zone_end_m:g} m; lower "
            "cue_to_m or reward_delay_ms"
        )


def _rescue_is_for_active_corridors(block: Block) -> None:
    """Only where a mouse can miss a reward can it be rescued."""
    if block.rescue_after_misses and not (block.is_corridor and block.reward_mode == "active"):
        raise Refused(
            f"rescue_after_misses = {block.rescue_after_misses} needs corridors with "
            'reward_mode = "active"; set it to 0'
        )


_OF_A_BLOCK: tuple[Callable[[Block], None], ...] = (
    _there_is_something_to_show,
    _a_picture_lasts,
    _rewarded_are_stimuli,
    _the_cue_has_a_place,
    _the_zone_lies_in_the_texture,
    _passive_water_cannot_leave_its_zone,
    _rescue_is_for_active_corridors,
)
