"""Where selective cells are: the local fraction of cells, as a map of the field or of the atlas."""

from typing import Any

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from analysis.cells.areas import GROUPS
from analysis.cells.model import Cells
from analysis.report.cell_map import cells_of
from analysis.report.data import ReportData
from analysis.report.html import Figure
from analysis.session.cell_places import places_of

Floats = NDArray[np.float64]

_SIDE = 80
"""Number of squares along the longer side of a map."""
_CELLS = 30.0
"""Approximate number of cells that are averaged for each place."""
_FEWEST = 8.0
"""Smallest number of cells around a place; places with fewer are left empty."""


def density_map(
    data: ReportData, chosen: NDArray[np.bool_], caption: str, colour: str
) -> Figure | None:
    """Return a map of the fraction of chosen cells among the cells around each place.

    The map is in atlas coordinates if the areas file has them (`xy_t`), else in those of the field.
    Cells outside of the visual areas are left out, as in the study. None if the positions of the
    cells are not known.

    Args:
        data: The session.
        chosen: True for the cells whose fraction is shown: (cells,).
        caption: What the figure shows.
        colour: Colour of the largest fraction.
    """
    cells = cells_of(data, chosen.size)
    if cells is None:
        return None
    x, y, unit = _places(data, cells)
    inside = np.isin(cells.area, [area for ids in GROUPS.values() for area in ids])
    shown = (inside if inside.any() else np.ones(len(cells), bool)) & ~np.isnan(x) & ~np.isnan(y)
    if shown.sum() < _CELLS:
        return None
    centres, fraction = local_fraction(x[shown], y[shown], chosen[shown])
    layout: dict[str, Any] = {
        "xaxis": {"title": f"right, {unit}", "constrain": "domain", "showgrid": False},
        "yaxis": {
            "title": f"down, {unit}",
            "constrain": "domain",
            "showgrid": False,
            "autorange": "reversed",
            "scaleanchor": "x",
        },
    }
    if cells.atlas is not None:
        layout["xaxis"]["title"], layout["yaxis"]["title"] = "atlas y, µm", "atlas x, µm"
    heat = {
        "type": "heatmap",
        "x": np.round(centres[0], 1).tolist(),
        "y": np.round(centres[1], 1).tolist(),
        "z": np.round(100 * fraction, 1).tolist(),
        "zmin": 0,
        "zmax": max(1.0, float(np.nanmax(100 * fraction))),
        "colorscale": [[0, "#f1f3f5"], [1, colour]],
        "colorbar": {"title": {"text": "%"}, "thickness": 10},
        "hoverongaps": False,
    }
    return Figure(caption, [heat], layout, 340)


def _places(data: ReportData, cells: Cells) -> tuple[Floats, Floats, str]:
    """Return x and y of each cell, and their unit."""
    if cells.atlas is not None:  # as in the study, the second coordinate is the horizontal one
        return cells.atlas[:, 1], cells.atlas[:, 0], "µm"
    return places_of(data.session, cells)


def local_fraction(
    x: Floats, y: Floats, chosen: NDArray[np.bool_]
) -> tuple[tuple[Floats, Floats], Floats]:
    """Return the fraction of chosen cells around each place of a grid.

    Cells are weighted by a Gaussian that contains about 30 cells.

    Args:
        x: Position of each cell along x: (cells,).
        y: Position of each cell along y: (cells,).
        chosen: True for the cells whose fraction is returned: (cells,).

    Returns:
        The centres of the squares along x and y, and the fraction: (rows, columns); NaN where
        there are hardly any cells.
    """
    size = max(float(np.ptp(x)), float(np.ptp(y)), 1.0) / _SIDE
    edges = [np.arange(v.min() - size, v.max() + 2 * size, size) for v in (x, y)]
    everyone, own = (
        np.histogram2d(y[who], x[who], [edges[1], edges[0]])[0]
        for who in (np.ones(x.size, bool), chosen)
    )
    occupied = max(1, int((scipy.ndimage.uniform_filter(everyone, 9) > 0).sum()))
    sigma = np.sqrt(_CELLS * occupied / (4 * np.pi * x.size))  # in squares
    smooth = [scipy.ndimage.gaussian_filter(v, sigma, mode="constant") for v in (everyone, own)]
    around = smooth[0] * 4 * np.pi * sigma**2
    fraction = np.full(everyone.shape, np.nan)
    np.divide(smooth[1], smooth[0], out=fraction, where=around >= _FEWEST)
    centres = [(e[1:] + e[:-1]) / 2 for e in edges]
    return (centres[0], centres[1]), fraction
