"""Draw the cells of a field with the areas, preferences and positions that the study found."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from acquisition.simulation.simulated_cells import PREFERS, SimulatedCells
from acquisition.simulation.strip_layout import Floats, StripLayout
from rig.errors import Refused

V1, EXCLUDED = 8, 7
MEDIAL, ANTERIOR, LATERAL = (0, 1, 2, 9), (3, 4), (5, 6)
_SPARE_SITES = 1.35
"""Number of grid sites per cell; without spare sites the field would look like a lattice."""
_LARGEST = 1.3
"""Radius of the largest cell, in mean radii."""
_APART = 0.95
"""Smallest distance between two cells, in diameters."""

_MOVES = 12
"""Number of random moves of each cell, after which the rows of the grid are not visible."""
_VESSEL = 0.15
"""Smallest fraction of a pixel's light that a vessel absorbs if the pixel is part of the vessel."""

_SHARES = {
    "V1": (0.30, 0.30, 0.20, 0.20, 0.0),
    "medial": (0.35, 0.25, 0.15, 0.25, 0.0),
    "lateral": (0.28, 0.28, 0.24, 0.20, 0.0),
    "anterior": (0.15, 0.15, 0.10, 0.35, 0.25),
    "excluded": (0.0, 0.0, 0.2, 0.8, 0.0),
}
"""Fractions of the cells of an area group that prefer leaf1, circle1, both, none, reward."""
_OTHER = {"V1": 0.3, "medial": 0.75, "lateral": 0.4, "anterior": 0.7, "excluded": 0.5}
"""Mean response of an area group to another exemplar of the preferred category (best: 1)."""


def group_of(area: int) -> str:
    """Return the name of an area's group."""
    named = {"medial": MEDIAL, "anterior": ANTERIOR, "lateral": LATERAL, "V1": (V1,)}
    return next((name for name, areas in named.items() if area in areas), "excluded")


def draw_cells(
    layout: StripLayout,
    shadows: Sequence[Floats],
    count: int,
    radius_px: float,
    texture_m: float,
    seed: int,
) -> SimulatedCells:
    """Draw `count` cells, over all depths, away from vessels if there is enough space.

    Raises Refused if the cells do not fit.
    """
    columns: dict[str, list[NDArray[Any]]] = {}
    depths = len(shadows)
    for plane, shadow in enumerate(shadows):
        rng = np.random.default_rng([seed, plane, 1])
        here = count // depths + (plane < count % depths)
        y, x = _positions(layout, shadow, here, radius_px, rng)
        area = _areas(y, x, layout.field_shape)
        y_page, x_page = layout.to_page(y, x)
        drawn = {
            "y_px": y_page.round(2),
            "x_px": x_page.round(2),
            "radius_px": (radius_px * np.clip(rng.normal(1.0, 0.12, here), 0.75, _LARGEST)).round(
                2
            ),
            "plane": np.full(here, plane),
            "area": area,
            "place_m": rng.uniform(0.0, texture_m, here).round(3),
            "peak_hz": np.clip(6.0 * rng.lognormal(0.0, 0.35, here), 2.0, 20.0).round(2),
            **_answers(area, rng),
        }
        for name, values in drawn.items():
            columns.setdefault(name, []).append(values)
    return SimulatedCells(
        cell=np.arange(count), **{name: np.concatenate(held) for name, held in columns.items()}
    )


def _answers(area: NDArray[np.int64], rng: np.random.Generator) -> dict[str, NDArray[Any]]:
    """Draw what the cells of each area prefer, how much they generalise, and when they learn."""
    prefers, other = np.zeros(area.size, np.int64), np.zeros(area.size)
    learns_at = np.zeros(area.size)
    groups = np.array([group_of(number) for number in range(-1, 10)])[area + 1]
    for group, shares in _SHARES.items():
        here = np.flatnonzero(groups == group)
        prefers[here] = rng.choice(len(PREFERS), here.size, p=shares)
        other[here] = np.clip(rng.normal(_OTHER[group], 0.15, here.size), 0.0, 1.0).round(3)
    learn = (groups == "medial") | (prefers == PREFERS.index("reward"))
    learns_at[learn] = rng.uniform(0.1, 0.9, int(learn.sum())).round(3)
    return {"prefers": prefers, "other": other, "learns_at": learns_at}


def _positions(
    layout: StripLayout, shadow: Floats, count: int, radius_px: float, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Return positions (y, x) of cells in the field; each cell is completely within a strip.

    1. Fill every strip with a hexagonal grid of more sites than cells, and displace each site as
       far as the distance to its neighbours allows.
    2. Choose sites at random, first those away from vessels.
    3. Make small random moves of every cell; a move is accepted if it keeps the distance to all
       other cells and does not move a cell under a vessel.
    """
    rim = _LARGEST * radius_px + 1.0
    room = max(layout.height_px - 1 - 2 * rim, 0.0), max(layout.width_px - 1 - 2 * rim, 0.0)
    pitch = float(np.sqrt(room[0] * room[1] * layout.rois / (max(count, 1) * _SPARE_SITES)))
    apart_px = 2.0 * radius_px * _APART
    y, x, slot = _sites(layout, room, pitch, (pitch - apart_px) / 2.0, rng)
    if pitch < apart_px or y.size < count:
        raise Refused(_does_not_fit(count, layout, radius_px))
    left = slot * layout.width_px + rim
    y, x = y + rim, x + left
    covered = ~_is_clear(shadow, y, x)
    chosen = np.argsort(rng.random(y.size) + 2.0 * covered, kind="stable")[:count]
    y, x, left = y[chosen], x[chosen], left[chosen]
    for _ in range(_MOVES):
        step_y, step_x = rng.uniform(-pitch / 3.0, pitch / 3.0, (2, count))
        new_y = np.clip(y + step_y, rim, rim + room[0])
        new_x = np.clip(x + step_x, left, left + room[1])
        free = _have_room((y, x), (new_y, new_x), apart_px)
        free &= _is_clear(shadow, new_y, new_x) | ~_is_clear(shadow, y, x)
        y, x = np.where(free, (new_y, new_x), (y, x))
    return y, x


def _sites(
    layout: StripLayout,
    room: tuple[float, float],
    pitch: float,
    jitter: float,
    rng: np.random.Generator,
) -> tuple[Floats, Floats, NDArray[np.intp]]:
    """Return the displaced sites of a hexagonal grid: y and x in their strip, and its slot."""
    if jitter < 0.0:
        return np.empty(0), np.empty(0), np.empty(0, np.intp)
    grid_y, grid_x = np.mgrid[0 : room[0] + 1e-9 : pitch, 0 : room[1] + 1e-9 : pitch]
    grid_x = grid_x + 0.5 * pitch * (np.arange(len(grid_x)) % 2)[:, None]
    grid_y, grid_x = grid_y[grid_x <= room[1]], grid_x[grid_x <= room[1]]
    slot = np.repeat(np.arange(layout.rois), grid_y.size)
    y = np.tile(grid_y, layout.rois) + rng.uniform(-jitter, jitter, slot.size)
    x = np.tile(grid_x, layout.rois) + rng.uniform(-jitter, jitter, slot.size)
    return np.clip(y, 0.0, room[0]), np.clip(x, 0.0, room[1]), slot


def _is_clear(shadow: Floats, y: Floats, x: Floats) -> NDArray[np.bool_]:
    """Return True for each position that is not covered by a vessel: (cells,)."""
    over = shadow[np.rint(y).astype(np.intp), np.rint(x).astype(np.intp)]
    return np.asarray(over < _VESSEL)


def _have_room(
    old: tuple[Floats, Floats], new: tuple[Floats, Floats], apart_px: float
) -> NDArray[np.bool_]:
    """Return True for each new position that is far enough from all old and new positions.

    A cell's own old position does not count. The result is (cells,).
    """
    count = len(old[0])
    both = np.hstack([old, new]).T
    pairs = cKDTree(both).query_pairs(apart_px, output_type="ndarray")
    others = pairs[:, 0] != pairs[:, 1] - count  # a cell may be near its own old position
    free = np.ones(2 * count, np.bool_)
    free[pairs[others & (pairs[:, 1] >= count)]] = False
    return free[count:]


def _does_not_fit(count: int, layout: StripLayout, radius_px: float) -> str:
    height, width = layout.field_shape
    return (
        f"{count} cells of radius {radius_px:g} px do not fit into {height} x {width} px; reduce "
        "mesoscope.brain.cells or mesoscope.brain.radius_px, or add strips or depths"
    )


def _areas(y: Floats, x: Floats, shape: tuple[int, int]) -> NDArray[np.int64]:
    """Return the area at each position: V1 behind, anterior in front, others on both sides."""
    v, u = y / shape[0], x / shape[1]
    area = np.full(y.shape, V1)
    medial = u > 0.62 + 0.06 * np.sin(5.0 * v)
    area[medial] = np.asarray(MEDIAL)[np.minimum((v[medial] * 4).astype(int), 3)]
    lateral = u < 0.22 + 0.04 * np.cos(4.0 * v)
    area[lateral] = np.where(v[lateral] < 0.6, LATERAL[0], LATERAL[1])
    front = v < 0.33 + 0.05 * np.sin(6.0 * u)
    area[front] = np.where(u[front] < 0.5, ANTERIOR[0], ANTERIOR[1])
    area[(v > 0.93) & (u < 0.12)] = EXCLUDED
    return area
