"""Check that no two screens cover the same direction from the eye."""

from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rig.errors import Refused
from stimuli.screens.screen_geometry import Mesh, PhysicalScreen, to_mesh

_TOLERANCE_RAD = 0.003
"""Largest overlap of two screens, as seen from the eye, that counts as an error of measuring."""
_MAX_POINTS = 33
"""Largest number of points along one side of a mesh; a finer mesh is thinned."""
_RAYS = 25
"""Number of rays along one side of a screen that are tested against the other screen."""

Floats = NDArray[np.float64]


def check_overlap(screens: tuple[PhysicalScreen, ...]) -> None:
    """Check that no warped screen overlaps another screen as seen from the eye.

    Rays from the eye to a grid of points on each screen, including points just inside its edges,
    must not hit the other screen. Pairs of flat screens are checked exactly by check_views.

    Raises:
        Refused: Two screens overlap.
    """
    surfaces = [(screen, _thinned(to_mesh(screen.surface))) for screen in screens]
    for (one, points), (other, other_points) in combinations(surfaces, 2):
        if not (isinstance(one.surface, Mesh) or isinstance(other.surface, Mesh)):
            continue
        if _any_hit(_rays(points), other_points) or _any_hit(_rays(other_points), points):
            raise Refused(
                f"screens {one.name} and {other.name} overlap as seen from the eye; measure their "
                "corners and points again"
            )


def _thinned(mesh: Mesh) -> Floats:
    """Return the points of a mesh, rows x columns x 3, with at most _MAX_POINTS per side."""
    rows, columns = (
        np.unique(np.linspace(0, size - 1, min(size, _MAX_POINTS)).round().astype(int))
        for size in mesh.points_cm.shape[:2]
    )
    points: Floats = mesh.points_cm[rows][:, columns]
    return points


def _rays(points: Floats) -> Floats:
    """Return vectors from the eye to a grid of points on a surface: n x 3 (not normalized)."""
    rows, columns, _ = points.shape
    down = _ray_positions(points[:, columns // 2]) * (rows - 1)
    across = _ray_positions(points[rows // 2]) * (columns - 1)
    i = np.clip(down.astype(int), 0, rows - 2)[:, None]
    j = np.clip(across.astype(int), 0, columns - 2)[None, :]
    v, u = down[:, None, None] - i[..., None], across[None, :, None] - j[..., None]
    lower = points[i, j] * (1 - u) + points[i, j + 1] * u
    upper = points[i + 1, j] * (1 - u) + points[i + 1, j + 1] * u
    rays: Floats = (lower * (1 - v) + upper * v).reshape(-1, 3)
    return rays


def _ray_positions(line: Floats) -> Floats:
    """Return positions (0 to 1) along a line of points, inset at both ends by the tolerance."""
    unit = line / np.linalg.norm(line, axis=1, keepdims=True)
    angle = np.arccos(np.clip((unit[1:] * unit[:-1]).sum(1), -1, 1)).sum()
    inset = min(0.4, _TOLERANCE_RAD / max(float(angle), _TOLERANCE_RAD))
    return np.linspace(inset, 1 - inset, _RAYS)


def _any_hit(rays: Floats, points: Floats) -> bool:
    """Return True if a ray from the eye hits the surface that is given by a grid of points.

    Every grid cell is two triangles. A ray hits a triangle if it is a sum of the triangle's
    corners with positive weights, which are the ray times the inverse of the corner matrix.
    """
    corners: Any = (points[:-1, :-1], points[:-1, 1:], points[1:, :-1], points[1:, 1:])
    halves = [(corners[0], corners[1], corners[2]), (corners[2], corners[1], corners[3])]
    triangles = np.concatenate([np.stack(half, -1).reshape(-1, 3, 3) for half in halves])
    size = np.abs(np.linalg.det(triangles / np.linalg.norm(triangles, axis=1, keepdims=True)))
    triangles = triangles[size > 1e-9]  # a triangle seen edge-on cannot be hit
    weights = np.einsum("tij,nj->tni", np.linalg.inv(triangles), rays)
    return bool((weights > 0).all(-1).any())
