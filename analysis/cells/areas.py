"""Areas: the ids of a retinotopic map and the groups that the study counts cells by."""

import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rig.errors import Refused

Ids = NDArray[np.int16]

UNKNOWN = -1
GROUPS: dict[str, tuple[int, ...]] = {
    "V1": (8,),
    "medial": (0, 1, 2, 9),
    "lateral": (5, 6),
    "anterior": (3, 4),
}
"""The ids of each group; 7 and -1 are in none (SCIENCE: the recording)."""
ALL = "all"
NAMES = (ALL, *GROUPS)
"""The groups in the order in which signals list them; the first is every cell."""


def groups_of(area: Ids) -> NDArray[np.uint8]:
    """Return the place in NAMES of each cell's group; 0 for a cell in none: (cells,)."""
    place = np.zeros(area.size, np.uint8)
    for number, ids in enumerate(GROUPS.values(), start=1):
        place[np.isin(area, ids)] = number
    return place


def read_areas(path: Path, cells: int) -> Ids:
    """Read one area id for each of so many cells: an .npy of ids, or a retinotopy .npz (iarea).

    Raises Refused with one sentence if the file cannot be used.
    """
    try:
        loaded = np.load(path, allow_pickle=False)
        ids = loaded["iarea"] if isinstance(loaded, np.lib.npyio.NpzFile) else loaded
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise Refused(
            f"areas_file {path} cannot be read ({error}); give an .npy of area ids, "
            "or a retinotopy .npz that holds iarea"
        ) from error
    ids = np.asarray(ids).reshape(-1)
    if ids.size != cells:
        raise Refused(
            f"areas_file {path} has {ids.size} ids for {cells} cells; make it from the same cells"
        )
    if not np.issubdtype(ids.dtype, np.number) or not np.isin(ids, np.arange(-1, 10)).all():
        raise Refused(f"areas_file {path} holds other values than the ids -1 to 9; mend it")
    return ids.astype(np.int16)
