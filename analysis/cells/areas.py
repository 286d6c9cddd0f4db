"""Brain areas: the ids of a retinotopic map, and the groups of areas that signals report."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analysis.cells.array_files import UnreadableFileError, read_array
from rig.errors import Refused

Ids = NDArray[np.int16]

UNKNOWN = -1
GROUPS: dict[str, tuple[int, ...]] = {
    "V1": (8,),
    "medial": (0, 1, 2, 9),
    "lateral": (5, 6),
    "anterior": (3, 4),
}
"""Area ids of each group; 7 and -1 belong to none (Zhong et al., 2025)."""
ALL = "all"
NAMES = (ALL, *GROUPS)
"""Names of the groups in the order in which signals list them; the first is all cells."""


def groups_of(area: Ids) -> NDArray[np.uint8]:
    """Return the index in NAMES of each cell's group, 0 for a cell in none: (cells,)."""
    group = np.zeros(area.size, np.uint8)
    for number, ids in enumerate(GROUPS.values(), start=1):
        group[np.isin(area, ids)] = number
    return group


def read_areas(path: Path, *counts: int) -> Ids:
    """Read one area id per cell from an .npy of ids, or from `iarea` of a retinotopy .npz.

    Args:
        path: The file.
        counts: The numbers of ids that are accepted.

    Returns:
        The area ids: (cells,).

    Raises:
        Refused: The file cannot be read, or has another number of ids, or other ids than -1 to 9.
    """
    try:
        ids = read_array(path, "iarea").reshape(-1)
    except UnreadableFileError as error:
        raise Refused(
            f"areas_file {path} cannot be read ({error}); give an .npy of area ids, or a "
            "retinotopy .npz with an array iarea"
        ) from error
    if ids.size not in counts:
        raise Refused(
            f"areas_file {path} has {ids.size} area ids, but there are {counts[0]} cells; make "
            "both files from the same cells"
        )
    if not np.issubdtype(ids.dtype, np.number) or not np.isin(ids, np.arange(-1, 10)).all():
        raise Refused(f"areas_file {path} has values other than the area ids -1 to 9; correct it")
    return ids.astype(np.int16)


def read_atlas(path: Path, count: int) -> NDArray[np.float64] | None:
    """Read the atlas positions, um, from `xy_t` of a retinotopic .npz: (count, 2).

    None if the file has none.

    Raises:
        Refused: There is another number of positions than of area ids, or they are not numbers.
    """
    if path.suffix.lower() != ".npz":
        return None
    try:
        xy_t = read_array(path, "xy_t")
    except UnreadableFileError:
        return None
    if xy_t.shape != (count, 2) or not np.issubdtype(xy_t.dtype, np.number):
        raise Refused(
            f"areas_file {path} has xy_t of shape {xy_t.shape}, but {count} area ids; give an x "
            "and a y for each cell"
        )
    return xy_t.astype(np.float64)
