"""Positions of the screens around the eye, and the settings of each screen.

A screen is either flat (given by three corners) or warped (given by a mesh of points, for a
cylinder, a dome or a projector). Points are in cm from the eye: x right, y up, z backward, so
straight ahead is -z.
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
_PositionPx = Annotated[int, msgspec.Meta(ge=0, le=32768)]
_SizePx = Annotated[int, msgspec.Meta(ge=16, le=16384)]
_TOLERANCE_RAD = 0.002
"""Largest overlap of two screens, as seen from the eye, that counts as an error of measuring."""
_MESH_COLUMNS = ("across", "up", "x_cm", "y_cm", "z_cm")


class _ScreenSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    area_px: tuple[_PositionPx, _PositionPx, _SizePx, _SizePx] | None = None
    """Left, top, width and height in the window, px; if no screen has one, the screens divide the
    window evenly."""
    colour: tuple[Share, Share, Share] = (1.0, 1.0, 1.0)
    """Fractions of red, green and blue that are shown, for example (1, 1, 0) for no blue."""
    gamma_file: str = ""
    """Photometer readings from `rig calibrate screen`; without it, levels are not corrected."""


class View(_ScreenSettings, frozen=True, kw_only=True):
    """A flat screen, given by three corners as seen from the eye, in cm from the eye."""

    lower_left: Point
    lower_right: Point
    upper_left: Point


class Warp(_ScreenSettings, frozen=True, kw_only=True):
    """A curved or projected screen, given by the points in space at which its pixels are seen."""

    mesh_file: str
    """CSV of a full grid of points: across, up (0 to 1 in the screen's area), x_cm, y_cm, z_cm."""


class Mesh(msgspec.Struct, frozen=True):
    """The grid of a warp: n positions across, m positions up (0 to 1), m x n x 3 points in cm."""

    across: NDArray[np.float64]
    up: NDArray[np.float64]
    points_cm: NDArray[np.float64]


class PhysicalScreen(msgspec.Struct, frozen=True):
    """One screen, with the contents of its files, as needed to draw on it."""

    name: str
    surface: View | Mesh
    settings: View | Warp
    readings: Readings | None = None


THREE_VIEWS = {
    "left": View(lower_left=(-20, -10, 20), lower_right=(-20, -10, -20), upper_left=(-20, 20, 20)),
    "front": View(
        lower_left=(-20, -10, -20), lower_right=(20, -10, -20), upper_left=(-20, 20, -20)
    ),
    "right": View(lower_left=(20, -10, -20), lower_right=(20, -10, 20), upper_left=(20, 20, -20)),
}
"""Three flat screens, left, front and right, at right angles: 270 degrees around the eye."""


def check_views(views: dict[str, View]) -> None:
    """Raise Refused if the corners of a flat screen are impossible, or two flat screens overlap."""
    for name, view in views.items():
        right, up, _, distance = screen_axes(view)
        if not distance > 0:
            raise Refused(
                f"screen {name}: its corners do not face the eye; give lower_left, lower_right "
                "and upper_left as seen from the eye, with x right, y up, z backward"
            )
        if abs(right @ up) > 0.01:
            raise Refused(
                f"screen {name}: its corners do not form a right angle; measure upper_left again"
            )
    for (name, view), (other_name, other) in combinations(views.items(), 2):
        if _overlap(_corner_rays(view), _corner_rays(other)):
            raise Refused(
                f"screens {name} and {other_name} overlap as seen from the eye; measure their "
                "corners again"
            )


def load_screens(views: dict[str, View], warps: dict[str, Warp]) -> tuple[PhysicalScreen, ...]:
    """Read the files of all screens, flat screens first. Raises Refused if a file is not valid."""
    flat = [PhysicalScreen(n, view, view, _readings(n, view)) for n, view in views.items()]
    warped = [
        PhysicalScreen(n, read_mesh(Path(warp.mesh_file)), warp, _readings(n, warp))
        for n, warp in warps.items()
    ]
    return (*flat, *warped)


def read_mesh(path: Path) -> Mesh:
    """Read the mesh of a warp. Raises Refused if it is not a full grid of at least 2 x 2 points."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [[float(row[c]) for c in _MESH_COLUMNS] for row in csv.DictReader(file)]
    except (OSError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        raise Refused(
            f"mesh_file {path} cannot be read ({error!r}); it needs the columns "
            f"{', '.join(_MESH_COLUMNS)} with numbers in every row"
        ) from error
    table = np.array(rows, float).reshape(-1, len(_MESH_COLUMNS))
    across, up = np.unique(table[:, 0]), np.unique(table[:, 1])
    ordered = table[np.lexsort((table[:, 0], table[:, 1]))]
    grid = np.stack(np.meshgrid(across, up), axis=-1).reshape(-1, 2)
    if min(across.size, up.size) < 2 or not np.array_equal(ordered[:, :2], grid):
        raise Refused(
            f"mesh_file {path} is not a full grid: add a row for every pair of across and up"
        )
    if not np.isfinite(table).all() or grid.min() < 0 or grid.max() > 1:
        raise Refused(
            f"mesh_file {path}: across and up must be from 0 to 1, and every value a number; "
            "correct them"
        )
    return Mesh(across, up, ordered[:, 2:].reshape(up.size, across.size, 3))


def pixel_directions(screen: PhysicalScreen, width: int, height: int) -> NDArray[np.float64]:
    """Return the unit vector from the eye to the centre of each pixel.

    Returns:
        height x width x 3, row 0 at the top; NaN where a mesh has no points.
    """
    across, up = (np.arange(width) + 0.5) / width, 1 - (np.arange(height) + 0.5) / height
    mesh = to_mesh(screen.surface)
    column, x = _locate(mesh.across, across)
    row, y = _locate(mesh.up, up)
    x, y = x[None, :, None], y[:, None, None]
    corners = mesh.points_cm
    lower = corners[row][:, column] * (1 - x) + corners[row][:, column + 1] * x
    upper = corners[row + 1][:, column] * (1 - x) + corners[row + 1][:, column + 1] * x
    points = lower * (1 - y) + upper * y
    unit: NDArray[np.float64] = points / np.linalg.norm(points, axis=-1, keepdims=True)
    return unit


def azimuth_elevation(
    screen: PhysicalScreen, width: int, height: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return azimuth and elevation of each pixel in degrees, each height x width.

    Azimuth is 0 straight ahead and positive to the right; elevation is 0 at the eye's height.
    """
    x, y, z = np.moveaxis(pixel_directions(screen, width, height), -1, 0)
    return np.degrees(np.arctan2(x, -z)), np.degrees(np.arcsin(np.clip(y, -1, 1)))


def to_mesh(surface: View | Mesh) -> Mesh:
    """Return a screen's surface as a mesh; the mesh of a flat screen has four points."""
    if isinstance(surface, Mesh):
        return surface
    corners = (surface.lower_left, surface.lower_right, surface.upper_left)
    low, right, up = (np.array(corner, float) for corner in corners)
    ends = np.array([0.0, 1.0])
    return Mesh(ends, ends, np.array([[low, right], [up, up + right - low]]))


def screen_axes(view: View) -> tuple[Any, Any, Any, float]:
    """Return a flat screen's unit vectors (right, up, towards the eye) and its distance (m)."""
    corner = np.array(view.lower_left, float) / 100
    right = _unit(view.lower_right, view.lower_left)
    up = _unit(view.upper_left, view.lower_left)
    normal = np.cross(right, up)
    return right, up, normal, float(-corner @ normal)


def _unit(end: Point, start: Point) -> Any:
    """Return the direction from one corner to another; zeros if they are the same point."""
    step = np.subtract(end, start).astype(float)
    return step / (np.linalg.norm(step) or 1.0)


def _locate(edges: NDArray[np.float64], at: NDArray[np.float64]) -> tuple[Any, Any]:
    """Return the grid cell of each point, and the position in the cell (0 to 1; NaN outside)."""
    cell = np.clip(np.searchsorted(edges, at, side="right") - 1, 0, edges.size - 2)
    within = (at - edges[cell]) / (edges[cell + 1] - edges[cell])
    return cell, np.where((within < 0) | (within > 1), np.nan, within)


def _corner_rays(view: View) -> NDArray[np.float64]:
    corners = to_mesh(view).points_cm.reshape(4, 3)
    unit: NDArray[np.float64] = corners / np.linalg.norm(corners, axis=1, keepdims=True)
    return unit


def _overlap(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    """Return whether two cones, each given by its corner rays, share more than an edge.

    They do not if a plane through the eye separates them. If there is such a plane, there is also
    one that contains two of the rays (a face of the cones' Minkowski difference), so it is enough
    to try the plane through every pair of rays.
    """
    rays = np.concatenate([one, other])
    normals = np.array([np.cross(a, b) for a, b in combinations(rays, 2)])
    size = np.linalg.norm(normals, axis=1)
    normals = normals[size > 1e-6] / size[size > 1e-6, None]
    normals = np.concatenate([normals, -normals])
    one_above = (one @ normals.T >= -_TOLERANCE_RAD).all(axis=0)
    other_below = (other @ normals.T <= _TOLERANCE_RAD).all(axis=0)
    return not (one_above & other_below).any()


def _readings(name: str, settings: View | Warp) -> Readings | None:
    return read_gamma(Path(settings.gamma_file), name) if settings.gamma_file else None
