"""The stimuli that a task shows: wall textures, images and bars."""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import PurePath
from typing import Any

import msgspec

from rig.errors import Refused
from stimuli.textures.names import STIMULI, base_name, check_names, exemplars, swaps_of

BARS = ("bar_0", "bar_90", "bar_180", "bar_270")
"""Names of the bars that drift to the right, up, to the left, and down."""
_SIMILAR = 0.75
"""Smallest similarity of two names (0 to 1, by difflib) that suggests a misspelling."""


class TaskStimuli(msgspec.Struct, frozen=True):
    """Everything that the blocks of a task show."""

    walls: tuple[str, ...] = ()
    photographs: str = ""
    """The folder of a lab's own photographs for the walls; "" for none."""
    images: dict[str, str] = {}
    """The folder of each open-loop image, by its name."""
    bars: bool = False


def _blocks(task: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the task's settings for each of its blocks."""
    return [{**task, **block} for block in task.get("blocks") or [{}]]


def task_stimuli(task: dict[str, Any]) -> TaskStimuli:
    """Return the stimuli of a task. Raises Refused if one of them is not defined."""
    walls: dict[str, str] = {}
    photographs: set[str] = set()
    images: dict[str, str] = {}
    bars = False
    for block in _blocks(task):
        names, folder = block.get("stimuli") or [], str(block.get("images_folder") or "")
        match block.get("picture", "corridor"):
            case "corridor":
                own = {PurePath(file).stem for file in block.get("images_files", ())}
                photographs |= own
                check_names(names, _wall_stimuli(own), "stimuli of the task")
                _add(walls, names, folder)
            case "image":
                available = sorted(PurePath(file).stem for file in block.get("images_files", ()))
                check_names(names, available, f"images of the task in {folder}")
                _add(images, names or available, folder)
            case "bar":
                check_names(names, BARS, "bars of the task")
                bars = True
    folders = set(walls.values())
    if len(folders) > 1:
        raise Refused(
            f"the wall photographs come from several folders ({' and '.join(sorted(folders))}); "
            "put them into one folder and set images_folder once, above the blocks"
        )
    folder = folders.pop() if folders else ""
    _check_photographs(photographs, walls, folder)
    return TaskStimuli(tuple(walls), folder, images, bars)


def _wall_stimuli(photographs: set[str]) -> list[str]:
    """Return all wall stimuli: the built-in ones, and those that photographs define."""
    new = sorted(name for photograph in photographs for name in exemplars(photograph))
    swaps = [swap for name in new for swap in swaps_of(name)]
    return list(dict.fromkeys([*STIMULI, *new, *swaps]))


def _check_photographs(photographs: set[str], walls: Iterable[str], folder: str) -> None:
    """Raise Refused if a photograph's name is probably misspelled.

    The texture of the stimulus would then be synthesized instead. A folder may contain photographs
    for other tasks, but at least one must be used in this task, and the name of an unused
    photograph must not be similar to that of a stimulus without a photograph.
    """
    if not photographs:
        return
    covered = {name for photograph in photographs for name in exemplars(photograph)}
    bases = {name if name in covered else base_name(name) for name in walls}
    if not covered & bases:
        raise Refused(
            f"none of the photographs in {folder} ({', '.join(sorted(photographs))}) is a stimulus "
            f"of the task ({', '.join(walls)}); rename them, or remove images_folder"
        )
    for name in sorted(covered - bases - set(STIMULI)):
        for meant in get_close_matches(name.lower(), bases - covered, 1, _SIMILAR):
            raise Refused(
                f'photograph "{name}" in {folder} is not a stimulus of the task; rename it to '
                f'"{meant}" if it is meant for that, or move it to another folder'
            )


def _add(folders: dict[str, str], names: list[str], folder: str) -> None:
    """Record the folder of each name. Raises Refused if a name has two folders."""
    for name in names:
        if folders.setdefault(name, folder) != folder:
            sources = [one or "the built-in textures" for one in (folders[name], folder)]
            raise Refused(
                f'"{name}" comes from {sources[0]} in one block and from {sources[1]} in another; '
                "rename one of them"
            )
