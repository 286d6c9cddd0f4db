"""Where the screens stand round the eye, and how they look.

A screen is flat (three corners) or lit through a mesh (a cylinder, a dome, a projector): points
in cm from the eye, x right, y up, z backward (forward is -z).
"""

import csv
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from rig.errors import Refused
from stimuli.screens.gamma import Readings, read_gamma

Point = tuple[float, float, float]
Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
_Place = Annotated[int, msgspec.Meta(ge=0, le=32768)]
_Side = Annotated[int, msgspec.Meta(ge=16, le=16384)]
_TOUCHING_RAD = 0.002
"""How far screens may overlap as seen from the eye: what a tape measure cannot tell."""
_MESH_COLUMNS = ("across", "up", "x_cm", "y_cm", "z_cm")


class _Look(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    area_px: tuple[_Place, _Place, _Side, _Side] | None = None
    """Left, top, width and height in the window; without it the screens share it evenly."""
    colour: tuple[Share, Share, Share] = (1.0, 1.0, 1.0)
    """How much of red, green and blue it shows; (1, 1, 0) beside a photomultiplier for blue."""
    gamma_file: str = ""
    """Its photometer readings, from `rig calibrate screen`; without it levels are sent as is."""


class View(_Look, frozen=True, kw_only=True):
    """A flat screen by three of its corners as the eye sees it, cm from the eye."""

    lower_left: Point
    lower_right: Point
    upper_left: Point


class Warp(_Look, frozen=True, kw_only=True):
    """A bent or projected screen: which of its points each place of its picture lights."""

    mesh_file: str
    """CSV: across, up (0 to 1 in its picture, a full grid), x_cm, y_cm, z_cm from the eye."""


class Mesh(msgspec.Struct, frozen=True):
    """A warp's grid: n places across, m places up (0 to 1), and m x n x 3 points, cm."""

    across: NDArray[np.float64]
    up: NDArray[np.float64]
    points_cm: NDArray[np.float64]


class Pane(msgspec.Struct, frozen=True):
    """A screen with its files read: what a window needs to draw it."""

    name: str
    surface: View | Mesh
    look: View | Warp
    readings: Readings | None = None


THREE_VIEWS = {
    "left": View(lower_left=(-20, -10, 20), lower_right=(-20, -10, -20), upper_left=(-20, 20, 20)),
    "front": View(
        lower_left=(-20, -10, -20), lower_right=(20, -10, -20), upper_left=(-20, 20, -20)
    ),
    "right": View(lower_left=(20, -10, -20), lower_right=(20, -10, 20), upper_left=(20, 20, -20)),
}
"""Left, front and right at right angles: 270 degrees of azimuth round the eye."""


def check_views(views: dict[str, View]) -> None:
    """Raise Refused if a flat screen cannot stand as described, or two overlap for the eye."""
    for name, view in views.items():
        right, up, _, distance = frame(view)
        if not distance > 0:
            raise Refused(
                f"screen {name}: its corners do not face the eye; give lower_left, lower_right "
                "and upper_left as the eye sees them, x right, y up, z backward"
            )
        if abs(right @ up) > 0.01:
            raise Refused(
                f"screen {name}: its corners make no right angle; measure upper_left again"
            )
    for (one, view), (other, beside) in combinations(views.items(), 2):
        if _overlap(_rays(view), _rays(beside)):
            raise Refused(
                f"screens {one} and {other} overlap as the eye sees them; measure their corners "
                "again"
            )


def panes(views: dict[str, View], warps: dict[str, Warp]) -> tuple[Pane, ...]:
    """Read the files of the screens. Raises Refused with one sentence."""
    flat = [Pane(name, view, view, _readings(name, view)) for name, view in views.items()]
    bent = [Pane(n, read_mesh(Path(w.mesh_file)), w, _readings(n, w)) for n, w in warps.items()]
    return (*flat, *bent)


def read_mesh(path: Path) -> Mesh:
    """Read a warp's mesh. Raises Refused if it is not a full grid of at least two by two."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [[float(row[c]) for c in _MESH_COLUMNS] for row in csv.DictReader(file)]
    except (OSError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        raise Refused(
            f"mesh_file {path} cannot be read ({error!r}); give it the columns "
            f"{', '.join(_MESH_COLUMNS)} and numbers"
        ) from error
    table = np.array(rows, float).reshape(-1, len(_MESH_COLUMNS))
    across, up = np.unique(table[:, 0]), np.unique(table[:, 1])
    ordered = table[np.lexsort((table[:, 0], table[:, 1]))]
    grid = np.stack(np.meshgrid(across, up), axis=-1).reshape(-1, 2)
    if min(across.size, up.size) < 2 or not np.array_equal(ordered[:, :2], grid):
        raise Refused(f"mesh_file {path} is no full grid of across and up; add what is missing")
    if not np.isfinite(table).all() or grid.min() < 0 or grid.max() > 1:
        raise Refused(
            f"mesh_file {path}: across and up go from 0 to 1, and all must be numbers; correct them"
        )
    return Mesh(across, up, ordered[:, 2:].reshape(up.size, across.size, 3))


def directions(pane: Pane, width: int, height: int) -> NDArray[np.float64]:
    """Return the unit vector from the eye to each pixel's centre: height x width x 3, row 0 on top.

    Undefined (NaN) where a mesh does not reach.
    """
    across, up = (np.arange(width) + 0.5) / width, 1 - (np.arange(height) + 0.5) / height
    mesh = as_mesh(pane.surface)
    i, along = _cells(mesh.across, across)
    j, above = _cells(mesh.up, up)
    along, above = along[None, :, None], above[:, None, None]
    at = mesh.points_cm
    lower = at[j][:, i] * (1 - along) + at[j][:, i + 1] * along
    upper = at[j + 1][:, i] * (1 - along) + at[j + 1][:, i + 1] * along
    points = lower * (1 - above) + upper * above
    unit: NDArray[np.float64] = points / np.linalg.norm(points, axis=-1, keepdims=True)
    return unit


def as_mesh(surface: View | Mesh) -> Mesh:
    """Return a screen as a mesh: a flat one has its four corners."""
    if isinstance(surface, Mesh):
        return surface
    corners = (surface.lower_left, surface.lower_right, surface.upper_left)
    low, right, up = (np.array(corner, float) for corner in corners)
    ends = np.array([0.0, 1.0])
    return Mesh(ends, ends, np.array([[low, right], [up, up + right - low]]))


def frame(view: View) -> tuple[Any, Any, Any, float]:
    """Return a screen's unit vectors right, up and towards the eye, and its distance (m)."""
    corner = np.array(view.lower_left, float) / 100
    right, up = _unit(view.lower_right, view.lower_left), _unit(view.upper_left, view.lower_left)
    normal = np.cross(right, up)
    return right, up, normal, float(-corner @ normal)


def _unit(to: Point, start: Point) -> Any:
    """Return the direction from one corner to another; zeros where they are one point."""
    step = np.subtract(to, start).astype(float)
    return step / (np.linalg.norm(step) or 1.0)


def _cells(edges: NDArray[np.float64], at: NDArray[np.float64]) -> tuple[Any, Any]:
    """Return in which cell of a grid each place lies, and how far in it (NaN: outside of all)."""
    cell = np.clip(np.searchsorted(edges, at, side="right") - 1, 0, edges.size - 2)
    within = (at - edges[cell]) / (edges[cell + 1] - edges[cell])
    return cell, np.where((within < 0) | (within > 1), np.nan, within)


def _rays(view: View) -> NDArray[np.float64]:
    corners = as_mesh(view).points_cm.reshape(4, 3)
    unit: NDArray[np.float64] = corners / np.linalg.norm(corners, axis=1, keepdims=True)
    return unit


def _overlap(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    """Whether two cones of rays share more than an edge: no plane through the eye parts them.

    If one does, one does that holds two of the rays (a face of their Minkowski difference).
    """
    rays = np.concatenate([one, other])
    normals = np.array([np.cross(a, b) for a, b in combinations(rays, 2)])
    size = np.linalg.norm(normals, axis=1)
    normals = normals[size > 1e-6] / size[size > 1e-6, None]
    normals = np.concatenate([normals, -normals])
    parted = (one @ normals.T >= -_TOUCHING_RAD).all(0) & (other @ normals.T <= _TOUCHING_RAD).all(
        0
    )
    return not parted.any()


def _readings(name: str, look: View | Warp) -> Readings | None:
    return read_gamma(Path(look.gamma_file), name) if look.gamma_file else None
