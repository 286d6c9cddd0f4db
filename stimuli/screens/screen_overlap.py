"""Whether two screens stand in one direction from the eye: what lies there would be shown twice."""

from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rig.errors import Refused
from stimuli.screens.screen_geometry import Mesh, Pane, as_mesh

_TOUCHING_RAD = 0.003
"""How far screens may overlap as seen from the eye: what a tape measure cannot tell."""
_MOST_LINES = 33
"""A finer mesh is looked at as coarsely as this."""
_LOOKS = 25

Floats = NDArray[np.float64]


def check_overlap(shown: tuple[Pane, ...]) -> None:
    """Raise Refused if a bent screen and another overlap as the eye sees them.

    Looks along lines of sight to places all over each of the two, its edges first of all. Flat
    ones alone are checked exactly, by their corners (panes.check_views).
    """
    surfaces = [(pane, _coarse(as_mesh(pane.surface))) for pane in shown]
    for (one, mesh), (other, beside) in combinations(surfaces, 2):
        if not (isinstance(one.surface, Mesh) or isinstance(other.surface, Mesh)):
            continue
        if _hits(_looks(mesh), beside) or _hits(_looks(beside), mesh):
            raise Refused(
                f"screens {one.name} and {other.name} overlap as the eye sees them; measure their "
                "corners and points again"
            )


def _coarse(mesh: Mesh) -> Floats:
    """Return the points of a mesh: rows x columns x 3, not too many."""
    rows, columns = (
        np.unique(np.linspace(0, size - 1, min(size, _MOST_LINES)).round().astype(int))
        for size in mesh.points_cm.shape[:2]
    )
    coarse: Floats = mesh.points_cm[rows][:, columns]
    return coarse


def _looks(points: Floats) -> Floats:
    """Return directions to places all over a surface, and just inside of its edges: n x 3."""
    rows, columns, _ = points.shape
    down = _shares(points[:, columns // 2]) * (rows - 1)
    along = _shares(points[rows // 2]) * (columns - 1)
    i = np.clip(down.astype(int), 0, rows - 2)[:, None]
    j = np.clip(along.astype(int), 0, columns - 2)[None, :]
    v, u = down[:, None, None] - i[..., None], along[None, :, None] - j[..., None]
    lower = points[i, j] * (1 - u) + points[i, j + 1] * u
    upper = points[i + 1, j] * (1 - u) + points[i + 1, j + 1] * u
    looks: Floats = (lower * (1 - v) + upper * v).reshape(-1, 3)
    return looks


def _shares(line: Floats) -> Floats:
    """Return where to look along a line of points: from one end to the other, 0 to 1."""
    unit = line / np.linalg.norm(line, axis=1, keepdims=True)
    turns = np.arccos(np.clip((unit[1:] * unit[:-1]).sum(1), -1, 1)).sum()
    inset = min(0.4, _TOUCHING_RAD / max(float(turns), _TOUCHING_RAD))
    return np.linspace(inset, 1 - inset, _LOOKS)


def _hits(looks: Floats, points: Floats) -> bool:
    """Whether one of the lines of sight meets the surface that these points span."""
    corners: Any = (points[:-1, :-1], points[:-1, 1:], points[1:, :-1], points[1:, 1:])
    thirds = [(corners[0], corners[1], corners[2]), (corners[2], corners[1], corners[3])]
    triangles = np.concatenate([np.stack(third, -1).reshape(-1, 3, 3) for third in thirds])
    size = np.abs(np.linalg.det(triangles / np.linalg.norm(triangles, axis=1, keepdims=True)))
    triangles = triangles[size > 1e-9]  # seen from the side there is nothing to see
    parts = np.einsum("tij,nj->tni", np.linalg.inv(triangles), looks)
    return bool((parts > 0).all(-1).any())
