"""Where the cells of a session are in the microscope's field, in micrometres."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.cells.model import Cells
from analysis.session.session import Session

Floats = NDArray[np.float64]


class Region(NamedTuple):
    """A rectangle of the page, and the position of its first pixel."""

    rows: slice
    left: float
    top: float
    step_x: float
    step_y: float
    """Size of a pixel, in the unit of the places."""


def page_regions(session: Session, plane: int) -> tuple[list[Region], str]:
    """Return the regions of a depth's page and the unit of their places: µm, else px."""
    scans = session.scans
    if len(scans):
        um_per_degree = scans.header.iloc[-1].get("um_per_degree")
        regions = [region for region in scans.regions.iloc[-1] if region["plane"] == plane]
        if um_per_degree and regions:
            return [_in_um(region, float(um_per_degree)) for region in regions], "µm"
    return [Region(slice(0, 1 << 30), 0.0, 0.0, 1.0, 1.0)], "px"


def placed(centres: Floats, regions: list[Region]) -> tuple[Floats, Floats]:
    """Return x and y of page pixels (y, x) in the unit of the regions; NaN outside of them."""
    x, y = np.full(len(centres), np.nan), np.full(len(centres), np.nan)
    for region in regions:
        inside = (centres[:, 0] >= region.rows.start) & (centres[:, 0] < region.rows.stop)
        x[inside] = region.left + region.step_x * centres[inside, 1]
        y[inside] = region.top + region.step_y * (centres[inside, 0] - region.rows.start)
    return x, y


def places_of(session: Session, cells: Cells) -> tuple[Floats, Floats, str]:
    """Return x and y of each cell in the field, and their unit: µm, else px."""
    x, y, unit = np.full(len(cells), np.nan), np.full(len(cells), np.nan), "px"
    centres = cells.centres()
    for plane in np.unique(cells.plane).tolist():
        regions, unit = page_regions(session, plane)
        mine = cells.plane == plane
        x[mine], y[mine] = placed(centres[mine], regions)
    return x, y, unit


def _in_um(region: Mapping[str, Any], um_per_degree: float) -> Region:
    size_x, size_y = (um_per_degree * value for value in region["size_deg"])
    centre_x, centre_y = (um_per_degree * value for value in region["centre_deg"])
    first, height, width = region["first_row"], region["height_px"], region["width_px"]
    step_x, step_y = size_x / width, size_y / height
    left, top = centre_x - size_x / 2 + step_x / 2, centre_y - size_y / 2 + step_y / 2
    return Region(slice(first, first + height), left, top, step_x, step_y)
