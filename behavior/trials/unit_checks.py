"""Find settings that are probably in another unit, such as a reward of 0.003 ul (ml was meant)."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from behavior.trials.task_settings import Block, TaskSettings
from rig.errors import Refused


class _Quantity(NamedTuple):
    """The values that a setting can have. 0 is never checked: it means "none"."""

    unit: str
    possible: tuple[float, float]
    """Range of the values that are accepted."""
    typical: tuple[float, float]
    """Range of the values that give no warning."""
    mistakes: dict[str, float]
    """Units often used by mistake, most likely first, with the factor to the right unit."""


_FROM_LENGTH = {"cm": 0.01, "mm": 0.001, "dm": 0.1}
_FROM_SPEED = {"m/s": 100.0, "mm/s": 0.1}
_FROM_SECONDS = {"s": 1000.0, "us": 0.001}
_TO_SECONDS = {"ms": 0.001, "min": 60.0}
_TO_MICROLITRES = {"ml": 1000.0, "nl": 0.001}
_PLACE = _Quantity("m", (0.01, 20.0), (0.1, 10.0), _FROM_LENGTH)
_RUNNING = _Quantity("cm/s", (0.1, 100.0), (1.0, 30.0), _FROM_SPEED)
_GREY = _Quantity("s", (0.01, 600.0), (0.5, 120.0), _TO_SECONDS)
_PICTURE = _Quantity("s", (0.01, 7200.0), (0.1, 60.0), _TO_SECONDS)
_GREY_PICTURE = _Quantity("s", (0.01, 7200.0), (1.0, 3600.0), _TO_SECONDS)

QUANTITIES: Mapping[str, _Quantity] = {
    "texture_m": _Quantity("m", (1.0, 20.0), (1.0, 10.0), _FROM_LENGTH),
    "grey_m": _Quantity("m", (0.5, 20.0), (0.5, 10.0), _FROM_LENGTH),
    "cue_from_m": _PLACE,
    "cue_to_m": _PLACE,
    "zone_from_m": _PLACE,
    "zone_to_m": _PLACE,
    "corridor_cm_s": _Quantity("cm/s", (1.0, 200.0), (5.0, 150.0), _FROM_SPEED),
    "run_threshold_cm_s": _RUNNING,
    "stop_cm_s": _RUNNING,
    "gain": _Quantity("", (0.01, 10.0), (0.1, 5.0), {"percent": 0.01}),
    "speed_window_ms": _Quantity("ms", (10.0, 2000.0), (20.0, 1000.0), _FROM_SECONDS),
    "reward_delay_ms": _Quantity("ms", (1.0, 10_000.0), (20.0, 5000.0), _FROM_SECONDS),
    "reward_ul": _Quantity("ul", (0.1, 20.0), (0.5, 10.0), _TO_MICROLITRES),
    "water_ul": _Quantity("ul", (0.1, 2000.0), (50.0, 2000.0), _TO_MICROLITRES),
    "minutes": _Quantity("min", (0.01, 600.0), (1.0, 240.0), {"s": 1 / 60, "h": 60.0}),
    "block_minutes": _Quantity("min", (0.01, 600.0), (0.1, 600.0), {"s": 1 / 60, "h": 60.0}),
    "grey_before_s": _GREY,
    "grey_after_s": _GREY,
    "show_s": _PICTURE,
    "blank_s": _PICTURE,
}
"""The ranges of every setting of a task that has a unit."""


def check_units(settings: TaskSettings) -> None:
    """Raise Refused if a value makes no sense in its unit."""
    for is_possible, text in _unusual_values(settings):
        if not is_possible:
            raise Refused(text)


def unit_warnings(settings: TaskSettings) -> list[str]:
    """Return a sentence for each value that is possible but not usual in its unit."""
    return list(dict.fromkeys(text for is_possible, text in _unusual_values(settings)))


def _unusual_values(settings: TaskSettings) -> Iterator[tuple[bool, str]]:
    """Yield a sentence for each unusual value, and whether the value is possible."""
    of_block = set(Block.__struct_fields__)
    of_session = set(TaskSettings.__struct_fields__) - of_block
    for key in sorted(of_session & set(QUANTITIES)):
        yield from _check_value("", key, getattr(settings, key), QUANTITIES[key])
    tables = settings.blocks or [{}]
    for number, block in enumerate(settings.in_blocks()):
        for key in sorted(of_block & set(QUANTITIES)):
            where = f"block {number}: " if key in tables[number] else ""
            is_grey = key == "show_s" and block.picture == "grey"
            quantity = _GREY_PICTURE if is_grey else QUANTITIES[key]
            yield from _check_value(where, key, getattr(block, key), quantity)


def _check_value(
    where: str, key: str, value: float, quantity: _Quantity
) -> Iterator[tuple[bool, str]]:
    if value != 0 and not quantity.typical[0] <= value <= quantity.typical[1]:
        is_possible = quantity.possible[0] <= value <= quantity.possible[1]
        yield is_possible, where + _sentence(key, value, quantity, is_possible)


def _sentence(key: str, value: float, quantity: _Quantity, is_possible: bool) -> str:
    (low, high), kind = quantity.possible, "not possible"
    if is_possible:
        (low, high), kind = quantity.typical, "unusual"
    unit = f" {quantity.unit}" if quantity.unit else ""
    text = f"{key} = {value:g} is {kind} ({low:g} to {high:g}{unit}); "
    for mistake, factor in quantity.mistakes.items():
        meant = value * factor
        if quantity.typical[0] <= meant <= quantity.typical[1]:
            return text + f"if you mean {value:g} {mistake}, write {key} = {meant:g}"
    return text + ("check its unit" if is_possible else "correct it")
