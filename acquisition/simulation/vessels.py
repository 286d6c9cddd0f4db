"""Draw the vessels of a simulated field: branching trunks, and capillaries between them."""

import math

import numpy as np

from acquisition.simulation.strip_layout import Floats, StripLayout

_Point = tuple[float, float]
"""y, x"""


def vessels(layout: StripLayout, radius_px: float, seed: int, plane: int) -> Floats:
    """Return the fraction of light that vessels absorb at one depth: the shape of the field.

    The sizes of the vessels scale with the radius of a cell.
    """
    height, width = layout.field_shape
    rng = np.random.default_rng([seed, plane, 2])
    shadow = np.zeros((height, width))
    area = height * width / radius_px**2
    for _ in range(max(1, round(area / 8000))):
        edge, along = rng.integers(4), rng.uniform(0.0, 1.0)
        v, u = ((0.0, along), (1.0, along), (along, 0.0), (along, 1.0))[edge]
        heading = (0.5, 1.5, 0.0, 1.0)[edge] * math.pi + rng.uniform(-0.5, 0.5)
        place = v * (height - 1), u * (width - 1)
        _tree(shadow, place, heading, radius_px * rng.uniform(0.9, 1.9), radius_px, rng)
    for _ in range(max(3, round(area / 400))):
        place = rng.uniform(0, height), rng.uniform(0, width)
        length_px = rng.exponential(9.0) * radius_px
        _walk(shadow, place, rng.uniform(0, 2 * math.pi), 0.32 * radius_px, length_px, 0.45, rng)
    return shadow


def _tree(
    shadow: Floats,
    place: _Point,
    heading: float,
    width_px: float,
    radius_px: float,
    rng: np.random.Generator,
) -> None:
    """Draw a vessel that splits repeatedly until its branches are thin or leave the field."""
    waiting = [(place, heading, width_px)]
    while waiting:
        place, heading, width_px = waiting.pop()
        length_px = radius_px * rng.uniform(12.0, 30.0)
        end = _walk(shadow, place, heading, width_px, length_px, 0.9, rng)
        if end is None or width_px < 0.4 * radius_px:
            continue
        place, heading = end
        split = rng.uniform(0.3, 0.9)
        waiting.append((place, heading + 0.5 * split, width_px * 0.85))
        waiting.append((place, heading - split, width_px * rng.uniform(0.45, 0.7)))


def _walk(
    shadow: Floats,
    place: _Point,
    heading: float,
    width_px: float,
    length_px: float,
    depth: float,
    rng: np.random.Generator,
) -> tuple[_Point, float] | None:
    """Draw one curved piece of a vessel; return its end and heading, or None outside the field."""
    step = max(0.7, 0.4 * width_px)
    y, x = place
    bend, path = 0.0, []
    for kick in rng.normal(0.0, 0.012 * step, int(length_px / step)).tolist():
        bend = 0.9 * bend + kick
        heading += bend
        y, x = y + step * math.sin(heading), x + step * math.cos(heading)
        path.append((y, x))
    _draw(shadow, np.array(path).reshape(-1, 2), width_px, depth)
    inside = 0.0 <= y < shadow.shape[0] and 0.0 <= x < shadow.shape[1]
    return ((y, x), heading) if inside else None


def _draw(shadow: Floats, path: Floats, width_px: float, depth: float) -> None:
    """Draw discs of radius width_px along a path; where they overlap, use the darkest."""
    reach = int(width_px + 2)
    dy, dx = (grid.ravel() for grid in np.mgrid[-reach : reach + 1, -reach : reach + 1])
    whole = np.rint(path).astype(np.intp)
    rows, columns = whole[:, :1] + dy, whole[:, 1:] + dx
    away = np.hypot(rows - path[:, :1], columns - path[:, 1:])
    disc = depth * np.clip(width_px + 0.5 - away, 0.0, 1.0)
    inside = (rows >= 0) & (rows < shadow.shape[0]) & (columns >= 0) & (columns < shadow.shape[1])
    shown = inside & (disc > 0.0)
    np.maximum.at(shadow, (rows[shown], columns[shown]), disc[shown])
