"""What a task wants shown: which wall pictures, which images of which folder, which bars."""

from pathlib import PurePath
from typing import Any

import msgspec

from rig.errors import Refused
from rig.settings.config import blocks
from stimuli.textures.names import STIMULI, check_names

BARS = ("bar_0", "bar_90", "bar_180", "bar_270")
"""A bar that drifts to the right, up, to the left, down."""


class Wanted(msgspec.Struct, frozen=True):
    """Everything that the blocks of a task show."""

    walls: tuple[str, ...] = ()
    photographs: str = ""
    """The folder of a lab's own photographs for its walls, if it has one."""
    images: dict[str, str] = {}
    """Open-loop images by name, and the folder that each lies in."""
    bars: bool = False


def wanted(task: dict[str, Any]) -> Wanted:
    """Return what a task wants. Raises Refused if it names what there is not."""
    walls: dict[str, str] = {}
    images: dict[str, str] = {}
    bars = False
    for block in blocks(task):
        names, folder = block.get("stimuli") or [], str(block.get("images_folder") or "")
        match block.get("picture", "corridor"):
            case "corridor":
                check_names(names, STIMULI, "the task has stimuli")
                _add(walls, names, folder)
            case "image":
                there = sorted(PurePath(file).stem for file in block.get("images_files", ()))
                check_names(names, there, f"the task has images of {folder}")
                _add(images, names or there, folder)
            case "bar":
                check_names(names, BARS, "the task has bars")
                bars = True
    folders = set(walls.values())
    if len(folders) > 1:
        raise Refused(
            f"the walls' photographs come from {' and '.join(sorted(folders))}; "
            "put them into one folder, and name it above the blocks"
        )
    return Wanted(tuple(walls), folders.pop() if folders else "", images, bars)


def _add(pictures: dict[str, str], names: list[str], folder: str) -> None:
    for name in names:
        if pictures.setdefault(name, folder) != folder:
            raise Refused(
                f"{name} comes from {pictures[name] or 'the program'} in one block and from "
                f"{folder or 'the program'} in another; rename one of them"
            )
