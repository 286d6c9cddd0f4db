"""Refuse task settings that contradict each other, with one function per rule."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from behavior.trials.order import draw_order
from behavior.trials.task_settings import Block, TaskSettings
from behavior.trials.unit_checks import check_units
from rig.errors import Refused

DRY_COHORTS = ("unrewarded", "naive", "grating")
"""Cohorts that never get water, even if a task file lists them."""
FASTEST_CM_S = 200.0
"""Upper limit of the speed of a mouse, cm/s."""


def check(settings: TaskSettings) -> None:
    """Raise Refused if the settings contradict each other."""
    check_without_order(settings)
    blocks = settings.in_blocks()
    for number, block in enumerate(blocks):
        with _named(number, blocks):
            draw_order(block, settings.seed, number)


def check_without_order(settings: TaskSettings) -> None:
    """Raise Refused as `check` does, without drawing the order of trials, which takes longer."""
    check_units(settings)
    _check_cohort(settings)
    _check_dry_cohorts(settings)
    _check_speeds(settings)
    blocks = settings.in_blocks()
    for number, block in enumerate(blocks):
        with _named(number, blocks):
            for check_block in _BLOCK_CHECKS:
                check_block(block)
    _check_contrasts(settings, blocks)


@contextmanager
def _named(number: int, blocks: Sequence[Block]) -> Iterator[None]:
    """Add the number of the block to a refusal, if there are several blocks."""
    try:
        yield
    except Refused as refusal:
        where = f"block {number}: " if len(blocks) > 1 else ""
        raise Refused(f"{where}{refusal}") from refusal


def _check_cohort(settings: TaskSettings) -> None:
    """Check that the stage is for the cohort of this mouse."""
    if settings.cohort not in settings.cohorts:
        raise Refused(
            f"stage {settings.stage} is not for cohort {settings.cohort} (it is for: "
            f"{', '.join(settings.cohorts)}); choose another task, or correct the cohort"
        )


def _check_dry_cohorts(settings: TaskSettings) -> None:
    """Check that the control cohorts of the study get no water."""
    dry = [cohort for cohort in settings.water_for if cohort in DRY_COHORTS]
    if dry:
        raise Refused(
            f"water_for = {settings.water_for}: cohort {dry[0]} must never get water; remove it"
        )


def _check_speeds(settings: TaskSettings) -> None:
    """Check that the speed at which the corridor stops is not above that at which it starts."""
    if settings.stop_cm_s > settings.run_threshold_cm_s:
        raise Refused(
            f"stop_cm_s = {settings.stop_cm_s:g} is above run_threshold_cm_s = "
            f"{settings.run_threshold_cm_s:g}, so the corridor would stop as soon as it starts; "
            "lower stop_cm_s"
        )


def _check_stimuli(block: Block) -> None:
    """Check that every trial has a stimulus."""
    if not block.names:
        missing = "images_folder" if block.picture == "image" else "stimuli"
        raise Refused(f'picture = "{block.picture}" but no stimulus is given; set {missing}')


def _check_durations(block: Block) -> None:
    """Check that a corridor has a length, and every other picture a duration."""
    if not block.is_corridor and block.show_s <= 0:
        raise Refused(
            f'picture = "{block.picture}" needs a duration; set show_s to a number of seconds'
        )
    if block.is_corridor and (block.show_s or block.blank_s):
        raise Refused(
            "show_s and blank_s do not apply to a corridor, which has a length; remove them"
        )


def _check_rewarded(block: Block) -> None:
    """Check that rewarded stimuli are stimuli of the block, and that rewards have a mode."""
    unknown = [name for name in block.rewarded if name not in block.names]
    if unknown:
        raise Refused(
            f"rewarded = {block.rewarded}: {', '.join(unknown)} is not one of the stimuli "
            f"({', '.join(block.names)}); correct it"
        )
    if block.rewarded and block.reward_mode == "none":
        raise Refused(
            f'rewarded = {block.rewarded} and reward_mode = "none" contradict each other; '
            'set reward_mode to "active" or "passive", or rewarded to []'
        )


def _check_cue(block: Block) -> None:
    """Check that the cue is in the texture."""
    if not block.has_cue:
        return
    if block.cue_from_m > block.cue_to_m:
        raise Refused(
            f"cue_from_m = {block.cue_from_m:g} is behind cue_to_m = {block.cue_to_m:g}; "
            "exchange them"
        )
    if block.cue_to_m >= block.texture_m:
        raise Refused(
            f"cue_to_m = {block.cue_to_m:g} is not inside the texture of "
            f"{block.texture_m:g} m; lower it"
        )


def _check_zone(block: Block) -> None:
    """Check that the reward zone is in the texture."""
    if block.is_corridor and not block.zone_from_m < block.zone_end_m <= block.texture_m:
        raise Refused(
            f"the reward zone from {block.zone_from_m:g} to {block.zone_end_m:g} m is not inside "
            f"the texture of {block.texture_m:g} m; correct zone_from_m or zone_to_m"
        )


def _check_reward_delay(block: Block) -> None:
    """Check that water after the reward delay still comes inside the zone."""
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
    covered_m = cm_s / 100 * delay_s
    if latest_m + covered_m >= block.zone_end_m:
        cause = "cue" if block.has_cue and latest_m == block.cue_to_m else "start of the zone"
        raise Refused(
            f"the latest {cause} at {latest_m:g} m and {covered_m:.2f} m covered during the reward "
            f"delay leave the texture or its reward zone, which ends at {block.zone_end_m:g} m; "
            "lower cue_to_m or reward_delay_ms"
        )


def _check_rescue(block: Block) -> None:
    """Check that a task with rescue trials has rewards that a mouse can miss."""
    if block.rescue_after_misses and not (block.is_corridor and block.reward_mode == "active"):
        raise Refused(
            f"rescue_after_misses = {block.rescue_after_misses} needs corridors with "
            'reward_mode = "active"; set it to 0'
        )


_BLOCK_CHECKS: tuple[Callable[[Block], None], ...] = (
    _check_stimuli,
    _check_durations,
    _check_rewarded,
    _check_cue,
    _check_zone,
    _check_reward_delay,
    _check_rescue,
)


def _check_contrasts(settings: TaskSettings, blocks: Sequence[Block]) -> None:
    """Check that [signals] compares stimuli shown as corridors, and each pair once."""
    contrasts, reference = settings.signals.contrasts, settings.signals.reference
    shown = list(dict.fromkeys(n for block in blocks if block.is_corridor for n in block.names))
    pairs: set[frozenset[str]] = set()
    for pair in contrasts:
        for name in pair:
            if name not in shown:
                raise Refused(
                    f'[signals] contrasts: this task never shows a corridor "{name}" (it shows: '
                    f"{', '.join(shown) or 'none'}); correct or remove that pair"
                )
        if len(set(pair)) == 1 or frozenset(pair) in pairs:
            raise Refused(
                f"[signals] contrasts: {list(pair)} is not a new pair of two different stimuli; "
                "remove it"
            )
        pairs.add(frozenset(pair))
    if contrasts and reference not in contrasts:
        choice = ", ".join(str(list(pair)) for pair in contrasts)
        raise Refused(f"[signals] reference must be one of the contrasts; choose one of: {choice}")
    if reference and not contrasts:
        raise Refused(f"[signals] reference: add {list(reference)} to contrasts, or remove it")
    _check_prediction(settings, blocks, shown)


def _check_prediction(
    settings: TaskSettings, blocks: Sequence[Block], shown: Sequence[str]
) -> None:
    """Check that the stimulus of reward prediction is shown, and rewarded if any stimulus is."""
    name = settings.signals.rewarded
    rewarded = {n for block in blocks for n in block.rewarded} or set(shown)
    choice = [n for n in shown if n in rewarded]
    if name and name not in choice:
        raise Refused(
            f'[signals] rewarded = "{name}" is not a rewarded corridor of this task; '
            f"choose one of: {', '.join(choice) or 'none (remove the key)'}"
        )
