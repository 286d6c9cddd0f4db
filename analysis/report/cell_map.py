"""Maps of the cells in a report: each cell's d' over the mean image, in micrometres."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.cells.areas import NAMES, groups_of
from analysis.cells.model import Cells
from analysis.registration.day_alignment import mean_page
from analysis.report.data import ReportData
from analysis.report.html import Figure
from analysis.report.plots import plain
from analysis.session.cell_places import Region, page_regions, placed
from analysis.session.offline_tuning import placed_cells
from rig.errors import Refused

Floats = NDArray[np.float64]

_MEAN_OF = 30
"""Number of pages in a mean image."""
_MOST_PX = 256
"""Longest side of a drawn mean image, px; larger ones are binned, to keep the report small."""
_MOST_CELLS = 6000


def cells_of(data: ReportData, count: int) -> Cells | None:
    """Return the cells that were imaged; None if their file is missing or does not fit."""
    cells = placed_cells(data.session)
    return cells if cells is not None and len(cells) == count else None


def cell_maps(data: ReportData, d_prime: Floats, compared: tuple[str, str]) -> list[Figure]:
    """Return a map for each depth that has cells."""
    cells = cells_of(data, d_prime.size)
    if cells is None:
        return []
    largest = float(np.nanmax(np.abs(d_prime), initial=0.1))
    colour_a, colour_b = (data.colours.get(name, "#5b6b7b") for name in compared)
    scale = {
        "colorscale": [[0, colour_b], [0.5, "#f4f4f4"], [1, colour_a]],
        "cmin": -largest,
        "cmax": largest,
        "colorbar": {"title": {"text": "d'"}, "thickness": 10},
        "size": 8 if len(cells) < 400 else 3,
        "line": {"width": 0.5, "color": "#111111"} if len(cells) < 400 else {"width": 0},
    }
    return [_map(data, cells, d_prime, plane, scale) for plane in np.unique(cells.plane).tolist()]


def _map(
    data: ReportData, cells: Cells, d_prime: Floats, plane: int, scale: dict[str, Any]
) -> Figure:
    mean = _mean_image(data, plane)
    regions, unit = page_regions(data.session, plane)
    mine = np.flatnonzero(cells.plane == plane)
    mine = mine[:: max(1, -(-mine.size // _MOST_CELLS))]
    x, y = placed(cells.centres()[mine], regions)
    areas = [NAMES[group] for group in groups_of(cells.area)[mine]]
    cell_dots = {
        "type": "scatter",
        "mode": "markers",
        "x": plain(x),
        "y": plain(y),
        "text": areas,
        "marker": {**scale, "color": plain(d_prime[mine])},
    }
    images = [] if mean is None else [_image(mean, region) for region in regions]
    axis = {"constrain": "domain", "showgrid": False}
    layout = {
        "xaxis": {**axis, "title": f"right, {unit}"},
        "yaxis": {
            **axis,
            "title": f"down, {unit}",
            "autorange": "reversed",
            "scaleanchor": "x",
        },
    }
    depth = _depth(data, plane)
    over = "" if mean is None else ", over the mean image"
    return Figure(f"d' of each cell{depth}{over}", [*images, cell_dots], layout, 400)


def _mean_image(data: ReportData, plane: int) -> Floats | None:
    """Return the mean of pages spread over the session; None if the files are missing."""
    frames = data.session.frames
    first_channel = frames.channel == frames.channel.min()
    indices = frames["index"][(frames.plane == plane) & first_channel].to_numpy()
    if not indices.size:
        return None
    chosen = indices[:: max(1, -(-indices.size // _MEAN_OF))]
    try:
        mean = mean_page(data.session.pixels(int(index)) for index in chosen)
    except (Refused, OSError):
        return None
    return np.asarray(mean, np.float64)


def _image(mean: Floats, region: Region) -> dict[str, Any]:
    """Return a region's part of the mean image as a grey heat map."""
    part = mean[region.rows]
    every = max(1, -(-max(part.shape) // _MOST_PX))
    height, width = (size // every * every for size in part.shape)
    part = part[:height, :width].reshape(height // every, every, width // every, every)
    part = part.mean(axis=(1, 3))
    low, high = np.percentile(part, [1, 99.5])
    grey = np.rint(255 * np.clip((part - low) / max(high - low, 1e-9), 0, 1)).astype(int)
    offset = (every - 1) / 2
    return {
        "type": "heatmap",
        "z": grey.tolist(),
        "zmin": 0,
        "zmax": 255,
        "x0": region.left + offset * region.step_x,
        "dx": every * region.step_x,
        "y0": region.top + offset * region.step_y,
        "dy": every * region.step_y,
        "colorscale": "Greys",
        "reversescale": False,
        "showscale": False,
        "hoverinfo": "skip",
    }


def _depth(data: ReportData, plane: int) -> str:
    scans = data.session.scans
    depths = scans.depths_um.iloc[-1] if len(scans) else ()
    return f" at {depths[plane]:g} µm" if len(depths) > 1 and plane < len(depths) else ""
