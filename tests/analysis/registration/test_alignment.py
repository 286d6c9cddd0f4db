"""The field of another day is found again, and its cells with it."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage

from analysis.cells.label_image import label_cells
from analysis.cells.mask_file import write_masks
from analysis.cells.model import Cells, disc, make_cells
from analysis.cells.read_cells import read_cells
from analysis.registration.day_alignment import (
    DayAlignment,
    align,
    move_cells,
    same_cells,
    undo,
)
from rig.errors import Refused
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


@pytest.mark.parametrize("seed", range(6))
def test_another_field_is_not_taken_for_this_one(seed: int) -> None:
    fields = [500 + 100 * smooth_field(n, (320, 320), 2.0) for n in (seed, 50 + seed)]
    assert not align(fields[0], fields[1]).found


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


@pytest.mark.parametrize("seed", range(3))
def test_moved_masks_cover_the_same_cells(seed: int) -> None:
    rng = np.random.default_rng(seed)
    down, right = rng.uniform(-8, 8, 2)
    alignment = DayAlignment(down, right, rng.uniform(-3, 3), 1.0)
    _, first, _ = days(seed, 0, 0, 0.0)
    moved = move_cells(first, alignment, np.ones(SHAPE, bool))
    assert set(moved.names) <= set(first.names)
    assert len(moved) >= 0.9 * len(first)
    pairs = same_cells(moved, first, alignment, SHAPE)
    assert len(pairs) == len(moved)
    assert all(moved.names[a] == first.names[b] for a, b in pairs)
    sizes = np.diff(moved.first) / np.diff(first.first)[[first.names.index(n) for n in moved.names]]
    np.testing.assert_allclose(sizes, 1.0, atol=0.15)
    moved.check(SHAPE)


def test_masks_that_leave_the_page_or_its_strips_are_left_out() -> None:
    _, first, _ = days(2, 0, 0, 0.0)
    inside = np.ones(SHAPE, bool)
    inside[120:130] = False  # nothing is scanned between two strips
    moved = move_cells(first, DayAlignment(30.0, 0.0, 0.0, 1.0), inside)
    assert set(moved.names) < set(first.names)
    assert inside[moved.y, moved.x].all()
    weights = {tuple(map(int, yx)) for yx in np.stack([moved.y, moved.x], 1)}
    assert weights <= {(int(y) + 30, int(x)) for y, x in zip(first.y, first.x, strict=True)}
    with pytest.raises(Refused, match="no cell of that day is in today's field"):
        move_cells(first, DayAlignment(300.0, 0.0, 0.0, 1.0), inside)


def test_moved_masks_are_written_and_read_again(tmp_path: Path) -> None:
    _, first, _ = days(4, 0, 0, 0.0)
    kept = dataclasses.replace(
        first,
        area=np.resize([8, 3, 0], len(first)).astype(np.int16),
        atlas=np.random.default_rng(0).uniform(0, 3000, (len(first), 2)),
        origin="ses-20261124_1",
    )
    write_masks(tmp_path / "masks.npz", kept, SHAPE)
    back = read_cells(tmp_path / "masks.npz")
    for name in ("names", "origin"):
        assert getattr(back, name) == getattr(kept, name)
    for name in ("first", "y", "x", "weight", "area", "plane", "atlas"):
        np.testing.assert_array_equal(getattr(back, name), getattr(kept, name))
    back.check_page(SHAPE)
    with pytest.raises(Refused, match="cells_file is for pages of 256 x 300 px"):
        back.check_page((256, 256))


@pytest.mark.parametrize("name", ["first", "y", "weight", "area", "plane", "names", "shape"])
@pytest.mark.parametrize("how", ["missing", "short", "negative"])
def test_damaged_masks_are_refused_in_a_sentence(tmp_path: Path, name: str, how: str) -> None:
    _, first, _ = days(4, 0, 0, 0.0)
    path = tmp_path / "masks.npz"
    write_masks(path, first, SHAPE)
    arrays = dict(np.load(path))
    if how == "negative" and name in ("names", "shape"):
        return
    value = arrays.pop(name)
    if how != "missing":
        arrays[name] = value[:-1] if how == "short" else -1 - np.abs(value)
    np.savez(path, **arrays)
    with pytest.raises(Refused, match=r"cells_file .*masks.npz .*rig align --save"):
        read_cells(path)
