"""Masks and rings: the means of the right pixels, wherever motion has put them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from analysis.cells.model import Cells, make_cells
from analysis.extraction.masks import Masks, Neuropil

SHAPE = (31, 45)


def scattered(rng: np.random.Generator, count: int) -> Cells:
    """Cells of any pixels, in rows of any length, with any weights."""
    pixels, weights = [], []
    for _ in range(count):
        corner, size = rng.integers(0, 20, 2), rng.integers(1, 11, 2)
        y, x = np.nonzero(rng.random(size) < 0.8)
        pixels.append(np.stack([y, x], axis=1) + corner if y.size else corner[None, :])
        weights.append(rng.uniform(0.1, 2.0, len(pixels[-1])))
    return make_cells([str(n) for n in range(count)], pixels, weights)


def moved(page: NDArray[np.generic], shift: tuple[int, int]) -> NDArray[np.generic]:
    """The page seen from the moved cells; outside of the page its edge is repeated."""
    y = np.clip(np.arange(SHAPE[0]) + shift[0], 0, SHAPE[0] - 1)
    x = np.clip(np.arange(SHAPE[1]) + shift[1], 0, SHAPE[1] - 1)
    return page[np.ix_(y, x)]


shifts = st.tuples(st.integers(-40, 40), st.integers(-50, 50))


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32),
    shift=shifts,
    dtype=st.sampled_from(["<i2", "<u2", "<f4"]),
)
def test_a_mean_is_that_of_the_weighted_pixels_where_they_have_moved(
    seed: int, shift: tuple[int, int], dtype: str
) -> None:
    rng = np.random.default_rng(seed)
    cells = scattered(rng, 7)
    page = rng.integers(-3000, 32000, SHAPE).astype(dtype)
    means = Masks(cells, SHAPE).means(page, np.tile(np.array(shift, np.int32), (7, 1)))
    seen = moved(page, shift).astype(np.float64)
    for cell, mean in enumerate(means):
        own = slice(cells.first[cell], cells.first[cell + 1])
        weight = cells.weight[own].astype(np.float64)
        wanted = (seen[cells.y[own], cells.x[own]] * weight).sum() / weight.sum()
        assert mean == pytest.approx(wanted, rel=1e-6, abs=1e-3)


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32),
    shift=shifts,
    pixels=st.integers(1, 2000),
    margin=st.integers(0, 6),
    dtype=st.sampled_from(["<i2", "<u2", "<f4"]),
)
def test_a_ring_is_the_nearest_box_of_tiles_with_enough_pixels_of_no_cell(
    seed: int, shift: tuple[int, int], pixels: int, margin: int, dtype: str
) -> None:
    rng = np.random.default_rng(seed)
    cells = scattered(rng, 6)
    page = rng.integers(0 if dtype == "<u2" else -3000, 32000, SHAPE).astype(dtype)
    means = Neuropil(cells, SHAPE, margin, pixels).means(page, shift)
    seen, free = moved(page, shift).astype(np.float64), np.ones(SHAPE, bool)
    free[cells.y, cells.x] = False
    for box, mean in zip(cells.boxes(), means, strict=True):
        low = [max(0, edge - margin) // 4 * 4 for edge in box[:2]]
        high = [-(-(edge + margin) // 4) * 4 for edge in box[2:]]
        inner = np.zeros(SHAPE, bool)
        inner[low[0] : high[0], low[1] : high[1]] = True
        for step in range(0, 200, 4):
            ring = np.zeros(SHAPE, bool)
            top, left = (max(0, edge - step) for edge in low)
            ring[top : high[0] + step, left : high[1] + step] = True
            ring &= free & ~inner
            if ring.sum() >= pixels:
                break
        assert mean == pytest.approx(seen[ring].mean() if ring.any() else 0.0, rel=1e-5, abs=1e-2)


def test_a_bright_page_does_not_overflow_the_sums() -> None:
    shape = (600, 2000)
    rng = np.random.default_rng(1)
    cells = make_cells(["0"], [np.array([[500, 1800], [501, 1801]])], [np.ones(2)])
    page = np.full(shape, 32767, np.int16)
    page[:, ::2] -= rng.integers(0, 2, (600, 1000)).astype(np.int16)
    (mean,) = Neuropil(cells, shape).means(page)
    assert page.sum(dtype=np.int64) > 2**32
    assert 32766 < mean < 32767
