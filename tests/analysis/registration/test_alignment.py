"""The field of another day is found again, and its cells with it."""

from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage

from analysis.cells.label_image import label_cells
from analysis.cells.model import Cells, disc, make_cells
from analysis.registration.day_alignment import (
    DayAlignment,
    align,
    same_cells,
    undo,
)
from tests.analysis.registration.test_registration import smooth_field

SHAPE = (256, 300)


def days(seed: int, down: float, right: float, degrees: float) -> tuple[Cells, Cells, np.ndarray]:
    """Two days' masks of one field: a tenth is new, a tenth is gone, all a little off.

    Also who of the first day each cell of today is; -1 for a new one.
    """
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(np.arange(20, 236, 12), np.arange(20, 280, 12), indexing="ij"), -1)
    places = grid.reshape(-1, 2) + rng.uniform(-2.5, 2.5, (grid.size // 2, 2))
    who = rng.permutation(len(places))
    old, both, new = np.split(who, [len(who) // 10, 9 * len(who) // 10])
    middle = (np.array(SHAPE) - 1) / 2
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    moved = (places - middle) @ turn + middle + (down, right)

    def cells(chosen: np.ndarray, at: np.ndarray) -> Cells:
        off = rng.normal(0, 0.4, (len(chosen), 2))
        pixels = [disc(y, x, rng.uniform(3.3, 4.2)) for y, x in at[chosen] + off]
        return make_cells([str(n) for n in chosen], pixels, [np.ones(len(p)) for p in pixels])

    first, today = np.concatenate([old, both]), np.concatenate([both, new])
    return cells(today, moved), cells(first, places), np.where(np.isin(today, new), -1, today)


@pytest.mark.parametrize("seed", range(4))
def test_the_same_cells_are_found_on_another_day(seed: int) -> None:
    rng = np.random.default_rng(seed)
    down, right, degrees = *rng.uniform(-8, 8, 2), rng.uniform(-2, 2)
    today, first, who = days(seed, down, right, degrees)
    pairs = same_cells(today, first, DayAlignment(down, right, degrees, 1.0), SHAPE)
    names = np.array([int(name) for name in first.names])
    right_ones = who[pairs[:, 0]] == names[pairs[:, 1]]
    assert right_ones.sum() >= 0.95 * (who >= 0).sum()
    assert (~right_ones).sum() <= 0.01 * len(pairs)


@pytest.mark.parametrize(("down", "right", "degrees"), [(0, 0, 0.0), (7, -11, 1.5), (-15, 4, -2.5)])
def test_the_field_is_found_with_its_rotation(down: int, right: int, degrees: float) -> None:
    rng = np.random.default_rng(8)
    reference = 500 + 100 * smooth_field(9, SHAPE, 2.0)
    moved = scipy.ndimage.shift(reference, (down, right), order=1, mode="nearest")
    today = scipy.ndimage.rotate(moved, degrees, reshape=False, order=1, mode="nearest")
    today += rng.normal(0, 20, SHAPE)
    found = align(today, reference)
    assert found.degrees == pytest.approx(degrees, abs=0.15)
    assert (found.down_px, found.right_px) == pytest.approx((down, right), abs=0.5)
    back = undo(today, found)[40:-40, 40:-40]
    assert np.corrcoef(back.ravel(), reference[40:-40, 40:-40].ravel())[0, 1] > 0.9


@pytest.mark.parametrize("degrees", [2.5, -2.5])
def test_masks_follow_the_rotation_that_is_found_in_the_images(degrees: float) -> None:
    _, first, _ = days(3, 0, 0, 0.0)
    labels = np.zeros(SHAPE, np.int32)
    for cell in range(len(first)):
        own = slice(first.first[cell], first.first[cell + 1])
        labels[first.y[own], first.x[own]] = cell + 1
    texture = 300 + 60 * smooth_field(4, SHAPE, 1.5) + 200 * (labels > 0)

    def later(image: np.ndarray, order: int) -> np.ndarray:
        moved = scipy.ndimage.shift(image, (9, -6), order=order, mode="nearest")
        turned = scipy.ndimage.rotate(moved, degrees, reshape=False, order=order, mode="nearest")
        return np.asarray(turned)

    found = align(later(texture, 1), texture)
    today = label_cells(later(labels, 0), Path("today.npy"))
    pairs = same_cells(today, first, found, SHAPE)
    names = np.array([int(name) - 1 for name in today.names])
    assert (names[pairs[:, 0]] == pairs[:, 1]).mean() > 0.99
    assert len(pairs) >= 0.95 * len(today)
