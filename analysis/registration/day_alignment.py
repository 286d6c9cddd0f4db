"""Align today's field with that of another day, and find the cells that both days share."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.ndimage
import scipy.spatial
from numpy.typing import NDArray

from analysis.cells.model import Cells, make_cells
from analysis.registration.phase_correlation import Correlator, Located
from analysis.registration.rigid import MotionSettings, Rigid
from rig.errors import Refused

Floats = NDArray[np.float32]

_MAX_DEGREES = 4.0
"""Largest rotation that is searched, in both directions, degrees."""
_STEP_DEGREES = 0.5
_SIGNIFICANT = 7.0
"""Smallest peak that counts as a match, in standard deviations of the correlations of unrelated
images. It is larger than for a single search, because every rotation is a search of its own."""
_CLOSE_PX = 3.0
"""Largest distance between the centres of one cell on two days."""
_OVERLAP = 0.3
"""Smallest intersection over union of the pixels of one cell on two days."""


@dataclass(frozen=True)
class DayAlignment:
    """How today's image differs from the reference: rotated about its middle, then shifted."""

    down_px: float
    right_px: float
    degrees: float
    """Positive from rows to columns, as in scipy.ndimage.rotate."""
    correlation: float
    """Correlation with the reference, 1 at best."""
    found: bool = True
    """False if the images do not match within the largest shift and rotation."""


def mean_page(pages: Iterable[NDArray[Any]]) -> Floats:
    """Return the mean of pages, each registered to those before it: (height_px, width_px)."""
    rigid: Rigid | None = None
    total, count = np.zeros(0), 0
    for at, page in enumerate(pages):
        if rigid is None:
            rigid, total = Rigid((page.shape[0], page.shape[1]), MotionSettings()), page * 0.0
        moved = rigid.locate(page, float(at))
        if moved.found:
            total = total + np.roll(page, (-round(moved.down_px), -round(moved.right_px)), (0, 1))
            count += 1
    return np.asarray(total / max(count, 1), np.float32)


def align(today: NDArray[Any], reference: NDArray[Any], max_shift_px: int = 60) -> DayAlignment:
    """Find how today's mean image is shifted and rotated from the reference.

    The rotation with the highest correlation is searched in steps of half a degree, and then in
    steps of a tenth of a degree around the best one.

    Args:
        today: Mean image of today, (height_px, width_px).
        reference: Mean image of the other day, (height_px, width_px).
        max_shift_px: Largest shift that is searched.
    """
    correlator = Correlator(reference.shape, max_shift_px)
    spectrum = correlator.reference(correlator.window(np.asarray(reference, np.float32)))
    coarse = np.arange(-_MAX_DEGREES, _MAX_DEGREES + 0.1, _STEP_DEGREES)
    best = _best_rotation(correlator, spectrum, today, coarse)
    fine = best + np.linspace(-_STEP_DEGREES, _STEP_DEGREES, 11)
    degrees = _best_rotation(correlator, spectrum, today, fine)
    at = _locate(correlator, spectrum, today, degrees)
    return DayAlignment(at.down_px, at.right_px, -degrees, at.correlation, at.found)


def _best_rotation(
    correlator: Correlator, reference: Any, image: NDArray[Any], degrees: NDArray[np.float64]
) -> float:
    peaks = [_locate(correlator, reference, image, float(d)).correlation for d in degrees]
    return float(degrees[int(np.argmax(peaks))])


def _locate(correlator: Correlator, reference: Any, image: NDArray[Any], degrees: float) -> Located:
    window = correlator.window(rotate(image, degrees))
    return correlator.locate(correlator.spectrum(window), reference, _SIGNIFICANT)


def rotate(image: NDArray[Any], degrees: float) -> Floats:
    """Return an image rotated about its middle; pixels from outside it repeat its edge."""
    flat = np.asarray(image, np.float32)
    if not degrees:
        return flat
    rotated = scipy.ndimage.rotate(flat, degrees, reshape=False, order=1, mode="nearest")
    return np.asarray(rotated, np.float32)


def undo(image: NDArray[Any], alignment: DayAlignment) -> Floats:
    """Return today's image shifted and rotated back to the reference."""
    back = (-alignment.down_px, -alignment.right_px)
    turned = rotate(image, -alignment.degrees)
    moved = scipy.ndimage.shift(turned, back, order=1, mode="nearest")
    return np.asarray(moved, np.float32)


def same_cells(
    today: Cells, reference: Cells, alignment: DayAlignment, shape: tuple[int, int]
) -> NDArray[np.int64]:
    """Return the pairs (cell today, cell of the reference) that are one cell: (pairs, 2).

    Two cells are one if each is the other's nearest neighbour in the same depth, their centres are
    close, and their pixels overlap.

    Args:
        today: The cells of today.
        reference: The cells of the other day.
        alignment: How today's field differs from the reference.
        shape: Size of the page, (height_px, width_px).
    """
    y, x = _undo_pixels(today.y, today.x, alignment, shape)
    here, there = _centres(today, y, x), _centres(reference, reference.y, reference.x)
    if not len(here) or not len(there):
        return np.empty((0, 2), np.int64)
    distance, nearest = scipy.spatial.cKDTree(there).query(here)
    _, back = scipy.spatial.cKDTree(here).query(there)
    own = np.arange(len(here))
    mutual = (back[nearest] == own) & (distance <= _CLOSE_PX)
    mutual &= today.plane == reference.plane[nearest]
    pairs = np.stack([own[mutual], nearest[mutual]], axis=1).astype(np.int64)
    kept = [_overlap(today, (y, x), reference, pair) >= _OVERLAP for pair in pairs]
    return np.asarray(pairs[np.array(kept, bool)])


def move_cells(cells: Cells, alignment: DayAlignment, inside: NDArray[np.bool_]) -> Cells:
    """Return the cells of the reference at their positions today, without those outside the page.

    A pixel of today gets the weight of the pixel of the reference that shows the same place.

    Args:
        cells: The cells of the reference.
        alignment: How today's field differs from the reference.
        inside: True for pixels of a page that the microscope scans: (height_px, width_px).

    Raises:
        Refused: No cell is left.
    """
    kept, pixels, weights = [], [], []
    for cell in range(len(cells)):
        own = slice(cells.first[cell], cells.first[cell + 1])
        yx, weight = _moved_mask(cells.y[own], cells.x[own], cells.weight[own], alignment, inside)
        if len(yx):
            kept.append(cell)
            pixels.append(yx)
            weights.append(weight)
    if not kept:
        raise Refused("no cell of that day is in today's field; move to the same field")
    moved = make_cells([cells.names[cell] for cell in kept], pixels, weights)
    chosen = np.array(kept, np.intp)
    atlas = None if cells.atlas is None else cells.atlas[chosen]
    return replace(moved, area=cells.area[chosen], plane=cells.plane[chosen], atlas=atlas)


def _moved_mask(
    y: NDArray[Any],
    x: NDArray[Any],
    weight: NDArray[np.float32],
    alignment: DayAlignment,
    inside: NDArray[np.bool_],
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the pixels (n, 2) and weights (n,) of a mask today; none if it is off the page."""
    shape = inside.shape
    to_y, to_x = _do_pixels(y, x, alignment, (shape[0], shape[1]))
    top, left = int(np.floor(to_y.min())), int(np.floor(to_x.min()))
    bottom, right = int(np.ceil(to_y.max())) + 1, int(np.ceil(to_x.max())) + 1
    box = np.mgrid[top:bottom, left:right].reshape(2, -1)
    back_y, back_x = _undo_pixels(box[0], box[1], alignment, (shape[0], shape[1]))
    shows = np.stack([np.rint(back_y) - y.min() + 1, np.rint(back_x) - x.min() + 1]).astype(int)
    picture = np.zeros((np.ptp(y) + 3, np.ptp(x) + 3), np.float32)  # with a border of weight 0
    picture[y - y.min() + 1, x - x.min() + 1] = weight
    found = picture[tuple(np.clip(shows, 0, np.array([picture.shape]).T - 1))]
    own = box[:, found > 0]
    out = (own < 0).any(axis=0) | (own >= np.array([shape]).T).any(axis=0)
    if out.any() or not inside[own[0], own[1]].all():
        own = own[:, :0]
    return own.T.astype(np.int64), found[found > 0][: own.shape[1]]


def _do_pixels(
    y: NDArray[Any], x: NDArray[Any], alignment: DayAlignment, shape: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the positions today of pixels of the reference; the inverse of _undo_pixels."""
    middle = (np.array(shape) - 1) / 2
    angle = np.deg2rad(alignment.degrees)
    off_y, off_x = y + alignment.down_px - middle[0], x + alignment.right_px - middle[1]
    to_y = np.cos(angle) * off_y - np.sin(angle) * off_x
    to_x = np.sin(angle) * off_y + np.cos(angle) * off_x
    return to_y + middle[0], to_x + middle[1]


def _undo_pixels(
    y: NDArray[Any], x: NDArray[Any], alignment: DayAlignment, shape: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the positions in the reference of pixels of today."""
    middle = (np.array(shape) - 1) / 2
    angle = np.deg2rad(alignment.degrees)
    off_y, off_x = y - middle[0], x - middle[1]
    back_y = np.cos(angle) * off_y + np.sin(angle) * off_x
    back_x = -np.sin(angle) * off_y + np.cos(angle) * off_x
    return back_y + middle[0] - alignment.down_px, back_x + middle[1] - alignment.right_px


def _centres(cells: Cells, y: NDArray[Any], x: NDArray[Any]) -> NDArray[np.float64]:
    weights = np.add.reduceat(cells.weight.astype(np.float64), cells.first[:-1])
    sums = [np.add.reduceat(v * cells.weight.astype(np.float64), cells.first[:-1]) for v in (y, x)]
    return np.asarray(np.stack(sums, axis=1) / weights[:, None])


def _overlap(
    today: Cells,
    places: tuple[NDArray[np.float64], NDArray[np.float64]],
    reference: Cells,
    pair: NDArray[np.int64],
) -> float:
    """Return the intersection over union of the pixels of two cells."""
    own = slice(today.first[pair[0]], today.first[pair[0] + 1])
    other = slice(reference.first[pair[1]], reference.first[pair[1] + 1])
    rows, columns = np.rint(places[0][own]).astype(int), np.rint(places[1][own]).astype(int)
    ours = set(zip(rows.tolist(), columns.tolist(), strict=True))
    theirs = set(zip(reference.y[other].tolist(), reference.x[other].tolist(), strict=True))
    return len(ours & theirs) / len(ours | theirs)
