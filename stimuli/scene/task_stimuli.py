"""The stimuli that a task shows: wall textures, images and bars."""

from pathlib import PurePath
from typing import Any

import msgspec

from rig.errors import Refused
from rig.settings.config import blocks
from stimuli.textures.names import STIMULI, check_names

BARS = ("bar_0", "bar_90", "bar_180", "bar_270")
"""A bar that drifts to the right, up, to the left, down."""


class TaskStimuli(msgspec.Struct, frozen=True):
    """Everything that the blocks of a task show."""

    walls: tuple[str, ...] = ()
    photographs: str = ""
    """The folder of a lab's own photographs for its walls; "" for none."""
    images: dict[str, str] = {}
    """The folder of each open-loop image, by its name."""
    bars: bool = False


def task_stimuli(task: dict[str, Any]) -> TaskStimuli:
    """Return the stimuli of a task. Raises Refused if one of them is not defined."""
    walls: dict[str, str] = {}
    images: dict[str, str] = {}
    bars = False
    for block in blocks(task):
        names, folder = block.get("stimuli") or [], str(block.get("images_folder") or "")
        match block.get("picture", "corridor"):
            case "corridor":
                check_names(names, STIMULI, "stimuli of the task")
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
    return TaskStimuli(tuple(walls), folders.pop() if folders else "", images, bars)


def _add(folders: dict[str, str], names: list[str], folder: str) -> None:
    """Record the folder of each name. Raises Refused if a name has two."""
    for name in names:
        if folders.setdefault(name, folder) != folder:
            sources = [one or "the built-in textures" for one in (folders[name], folder)]
            raise Refused(
                f'"{name}" comes from {sources[0]} in one block and from {sources[1]} in another; '
                "rename one of them"
            )
