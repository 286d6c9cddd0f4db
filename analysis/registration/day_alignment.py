"""Alignment: how today's field lies over another day's, and which cells are the same."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.ndimage
import scipy.spatial
from numpy.typing import NDArray

from analysis.cells.model import Cells
from analysis.registration.phase_correlation import Correlator
from analysis.registration.rigid import MotionSettings, Rigid

Floats = NDArray[np.float32]

_MOST_DEGREES = 4.0
_STEP_DEGREES = 0.5
_CLOSE_PX = 3.0
"""Middles farther apart than this are of two cells."""
_OVERLAP = 0.3
"""The same cells share at least this part of the pixels that either has."""


@dataclass(frozen=True)
class DayAlignment:
    """Where today's image lies: rotated about its middle, then moved, seen from the reference."""

    down_px: float
    right_px: float
    degrees: float
    """Counted as scipy.ndimage.rotate does: from the rows to the columns."""
    correlation: float


def mean_page(pages: Iterable[NDArray[Any]]) -> Floats:
    """Return the mean of pages, each put where it fits best: (height_px, width_px)."""
    rigid: Rigid | None = None
    total, count = np.zeros(0), 0
    for at, page in enumerate(pages):
        if rigid is None:
            rigid, total = Rigid((page.shape[0], page.shape[1]), MotionSettings()), page * 0.0
        down, right, _ = rigid.locate(page, float(at))
        total = total + np.roll(page, (-round(down), -round(right)), (0, 1))
        count += 1
    return np.asarray(total / max(count, 1), np.float32)


def align(today: NDArray[Any], reference: NDArray[Any], max_shift_px: int = 60) -> DayAlignment:
    """Find how today's mean image lies over the reference, both (height_px, width_px).

    The rotation that correlates best is found in steps of half a degree, then between them.
    """
    correlator = Correlator(reference.shape, max_shift_px)
    wanted = correlator.reference(correlator.window(np.asarray(reference, np.float32)))
    degrees = np.arange(-_MOST_DEGREES, _MOST_DEGREES + 0.1, _STEP_DEGREES)
    peaks = [_locate(correlator, wanted, today, turn)[2] for turn in degrees]
    best = float(degrees[int(np.argmax(peaks))])
    near = best + np.linspace(-_STEP_DEGREES, _STEP_DEGREES, 11)
    sharp = [_locate(correlator, wanted, today, turn)[2] for turn in near]
    turn = float(near[int(np.argmax(sharp))])
    down, right, peak = _locate(correlator, wanted, today, turn)
    return DayAlignment(down, right, -turn, peak)


def _locate(
    correlator: Correlator, reference: Any, image: NDArray[Any], turn: float
) -> tuple[float, float, float]:
    window = correlator.window(turned(image, turn))
    return correlator.locate(correlator.spectrum(window), reference)


def turned(image: NDArray[Any], degrees: float) -> Floats:
    """Return an image rotated about its middle; what comes from outside is its edge."""
    flat = np.asarray(image, np.float32)
    if not degrees:
        return flat
    rotated = scipy.ndimage.rotate(flat, degrees, reshape=False, order=1, mode="nearest")
    return np.asarray(rotated, np.float32)


def brought_back(image: NDArray[Any], found: DayAlignment) -> Floats:
    """Return today's image as it would look if it lay as the reference does."""
    back = (-found.down_px, -found.right_px)
    moved = scipy.ndimage.shift(turned(image, -found.degrees), back, order=1, mode="nearest")
    return np.asarray(moved, np.float32)


def red_over_green(today: NDArray[Any], reference: NDArray[Any]) -> NDArray[np.uint8]:
    """Return a picture (height_px, width_px, 3): today red, the reference green; yellow is both."""
    picture = np.zeros((*reference.shape, 3), np.uint8)
    for channel, image in ((0, today), (1, reference)):
        low, high = np.percentile(image, [1.0, 99.7])
        scaled = (np.asarray(image, np.float64) - low) / max(high - low, 1e-9)
        picture[..., channel] = np.rint(255 * np.clip(scaled, 0.0, 1.0))
    return picture


def same_cells(
    today: Cells, reference: Cells, found: DayAlignment, shape: tuple[int, int]
) -> NDArray[np.int64]:
    """Return pairs (cell today, cell of the reference) that are the same cell: (pairs, 2).

    Each is the other's nearest, their middles are close, and their pixels overlap.
    """
    y, x = _back(today.y, today.x, found, shape)
    here, there = _middles(today, y, x), _middles(reference, reference.y, reference.x)
    if not len(here) or not len(there):
        return np.empty((0, 2), np.int64)
    away, nearest = scipy.spatial.cKDTree(there).query(here)
    _, back = scipy.spatial.cKDTree(here).query(there)
    own = np.arange(len(here))
    mutual = (back[nearest] == own) & (away <= _CLOSE_PX)
    mutual &= today.plane == reference.plane[nearest]
    pairs = np.stack([own[mutual], nearest[mutual]], axis=1).astype(np.int64)
    kept = [_overlap(today, (y, x), reference, pair) >= _OVERLAP for pair in pairs]
    return np.asarray(pairs[np.array(kept, bool)])


def _back(
    y: NDArray[Any], x: NDArray[Any], found: DayAlignment, shape: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return where today's pixels would lie in the reference."""
    middle = (np.array(shape) - 1) / 2
    angle = np.deg2rad(found.degrees)
    off_y, off_x = y - middle[0], x - middle[1]
    back_y = np.cos(angle) * off_y + np.sin(angle) * off_x
    back_x = -np.sin(angle) * off_y + np.cos(angle) * off_x
    return back_y + middle[0] - found.down_px, back_x + middle[1] - found.right_px


def _middles(cells: Cells, y: NDArray[Any], x: NDArray[Any]) -> NDArray[np.float64]:
    weights = np.add.reduceat(cells.weight.astype(np.float64), cells.first[:-1])
    sums = [np.add.reduceat(v * cells.weight.astype(np.float64), cells.first[:-1]) for v in (y, x)]
    return np.asarray(np.stack(sums, axis=1) / weights[:, None])


def _overlap(
    today: Cells,
    places: tuple[NDArray[np.float64], NDArray[np.float64]],
    reference: Cells,
    pair: NDArray[np.int64],
) -> float:
    own = slice(today.first[pair[0]], today.first[pair[0] + 1])
    other = slice(reference.first[pair[1]], reference.first[pair[1] + 1])
    rows, columns = np.rint(places[0][own]).astype(int), np.rint(places[1][own]).astype(int)
    ours = set(zip(rows.tolist(), columns.tolist(), strict=True))
    theirs = set(zip(reference.y[other].tolist(), reference.x[other].tolist(), strict=True))
    return len(ours & theirs) / len(ours | theirs)
