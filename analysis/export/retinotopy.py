"""The retinotopy files of the study: where each cell is, its area, and the outlines of the areas.

xy_t of the study is a position in its atlas, in micrometres: the first coordinate is drawn upwards,
the second one to the right, and maps of it span 5 mm around ATLAS_MIDDLE_UM. Only a retinotopic
mapping gives it, as xy_t of the session's areas_file. Without one, xy_t is the position in the
microscope's field in the same unit and directions, or NaN if the scan does not give it.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError

from analysis.export.contents import Contents, Floats
from analysis.session.cell_places import places_of
from rig.errors import Refused

ATLAS_MIDDLE_UM = (1700.0, -1700.0)
"""The middle of the study's maps, xy_t in um; the axis of the objective is placed there."""
_AREAS = 10
_MADE_FROM_CELLS = "made_from_cells"
"""An entry of areas.npz that the study's own file does not have."""
_NO_ATLAS = "areas_file has no xy_t (positions in the retinotopic atlas)"


def atlas_positions(contents: Contents) -> tuple[Floats, str]:
    """Return xy_t of each cell, um, (cells, 2), and a sentence if it is not that of an atlas."""
    cells = contents.cells
    if cells is None:
        return np.empty((0, 2)), ""
    if cells.atlas is not None:
        return cells.atlas, ""
    x, y, unit = places_of(contents.session, cells)
    if unit != "µm":
        return np.full((len(cells), 2), np.nan), (
            f"{_NO_ATLAS}, and the TIFFs do not give the size of a pixel: xy_t is NaN, and the "
            "study's scripts cannot draw maps of this session"
        )
    up, right = ATLAS_MIDDLE_UM
    return np.column_stack([up - y, right + x]), (
        f"{_NO_ATLAS}: xy_t is the position in the microscope's field, in µm; do not compare maps "
        "of this session with those of other sessions"
    )


def outlines(xy_t: Floats, area: NDArray[np.int16]) -> NDArray[Any]:
    """Return the convex outline (points, 2) of the cells of each area id 0-9, as an object array.

    The study's file holds outlines of a reference atlas; a session knows only where its cells are.
    """
    found = np.empty(_AREAS, object)
    for number in range(_AREAS):
        points = xy_t[(area == number) & np.isfinite(xy_t).all(axis=1)]
        try:
            found[number] = points[ConvexHull(points).vertices]
        except (QhullError, ValueError):  # too few cells, or all on one line
            found[number] = points
    return found


def retinotopy_arrays(
    contents: Contents, root: Path, trans: str, shared: bool
) -> dict[str, dict[str, Any]]:
    """Return the arrays of the retinotopy files by the name of the file.

    Outlines of an atlas that are already in the folder stay.

    Args:
        contents: The session.
        root: The folder of beh/, spk/ and retinotopy/.
        trans: Name of the file of this animal and day.
        shared: Whether another session of the animal and day was exported to the folder.

    Raises:
        Refused: The other session had other cells, or a file that is there cannot be read.
    """
    xy_t, area = atlas_positions(contents)[0], contents.area
    order = np.concatenate(contents.by_plane)
    if shared and len(_held(root / trans, "iarea")) not in (0, len(area)):
        raise Refused(
            f"{root / trans} has the cells of another session of this day, and "
            f"{contents.session.folder} has others; the study has one map a day: export to "
            "another folder"
        )
    arrays: dict[str, dict[str, Any]] = {trans: {"xy_t": xy_t[order], "iarea": area[order]}}
    areas = root / "retinotopy/areas.npz"
    if not areas.exists() or len(_held(areas, _MADE_FROM_CELLS)):
        arrays["retinotopy/areas.npz"] = {"out": outlines(xy_t, area), _MADE_FROM_CELLS: [True]}
    return arrays


def _held(path: Path, name: str) -> NDArray[Any]:
    """Return an array of an .npz file; empty if there is no such file or array."""
    if not path.exists():
        return np.empty(0)
    try:
        with np.load(path) as held:
            return np.asarray(held[name]) if name in held.files else np.empty(0)
    except (OSError, ValueError, EOFError, AttributeError) as error:
        raise Refused(f"{path} cannot be read ({error}); move it away and export again") from None
