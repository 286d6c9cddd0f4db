"""A trace is the mean of a cell's pixels; a table of cells that cannot be used is refused."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.cells.model import Cells, disc, make_cells
from analysis.cells.read_cells import read_cells
from analysis.extraction.masks import Masks
from rig.errors import Refused

HEAD = "cell,y_px,x_px,radius_px,prefers"
STILL = np.zeros((99, 2), np.int32)
SHIPPED = Path(__file__).parents[3] / "rig" / "setups" / "simulated_cells.csv"


def discs(*rows: tuple[float, float, float]) -> Cells:
    """Cells from rows of y_px, x_px, radius_px."""
    pixels = [disc(*row) for row in rows]
    return make_cells([str(n) for n in range(len(rows))], pixels, [np.ones(len(p)) for p in pixels])


def table(folder: Path, *lines: str) -> Path:
    path = folder / "cells.csv"
    path.write_text("\n".join(lines) + "\n" if lines else "", encoding="utf-8")
    return path


@settings(deadline=None)
@given(seed=st.integers(0, 2**32), count=st.integers(1, 8), dtype=st.sampled_from(["<i2", "<u2"]))
def test_a_trace_is_the_mean_of_the_pixels_within_the_radius(
    seed: int, count: int, dtype: str
) -> None:
    rng = np.random.default_rng(seed)
    height, width = 24, 37
    pixels = rng.integers(0, 2**15, (height, width)).astype(dtype)
    cells = []
    for _ in range(count):
        radius = rng.uniform(1, 5)
        y, x = rng.uniform(radius, height - 1 - radius), rng.uniform(radius, width - 1 - radius)
        cells.append((y, x, radius))
    means = Masks(discs(*cells), (height, width)).means(pixels, STILL)
    for (cell_y, cell_x, radius), mean in zip(cells, means, strict=True):
        inside = [
            float(pixels[y, x])
            for y in range(height)
            for x in range(width)
            if (y - cell_y) ** 2 + (x - cell_x) ** 2 <= radius**2
        ]
        assert mean == np.float32(sum(inside) / len(inside))


@settings(deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_cell_has_all_the_pixels_that_it_just_touches(seed: int) -> None:
    """Centres on whole and half pixels, up to the very rim of the frame."""
    rng = np.random.default_rng(seed)
    shape = (16, 24)
    radius = rng.integers(2, 7) / 2
    y, x = (rng.choice(np.arange(radius - 0.5, size - radius, 0.5)) for size in shape)
    inside = [
        (row, column)
        for row in range(shape[0])
        for column in range(shape[1])
        if (row - y) ** 2 + (column - x) ** 2 <= radius**2
    ]
    masks = Masks(discs((y, x, radius)), shape)
    for place in np.ndindex(shape):
        pixels = np.zeros(shape, "<i2")
        pixels[place] = 1000
        (mean,) = masks.means(pixels, STILL)
        assert mean == np.float32(1000 / len(inside) if place in inside else 0)


def test_memory_of_masks_does_not_grow_with_the_frame() -> None:
    """A mask of this frame would be a terabyte for each cell."""
    size = 2**20
    cells = [(1000.0 * n + 500, size - 1000.0 * n - 500, 4.0) for n in range(1000)]
    assert Masks(discs(*cells), (size, size)).shape == (size, size)


def test_cells_come_in_the_order_of_the_table(tmp_path: Path) -> None:
    path = table(tmp_path, HEAD, "b,5,6,2.5,leaf1", "a,7.5,8,3,circle1")
    cells = read_cells(path)
    assert cells.names == ("b", "a")
    np.testing.assert_allclose(cells.centres(), np.array([[5, 6], [7.5, 8]]))


def test_the_shipped_cells_are_inside_their_frame() -> None:
    assert Masks(read_cells(SHIPPED), (128, 128)).means(np.ones((128, 128)), STILL).all()


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ((), "is empty"),
        ((HEAD,), "is empty"),
        (("cell,y_px,x_px", "0,5,6"), "no column 'radius_px'"),
        ((HEAD, "0,5,6,2,x", "1,5,here,2,x"), "line 3: x_px = 'here' is not a number"),
        ((HEAD, "0,5"), "line 2: x_px = None is not a number"),
        ((HEAD, "0,nan,6,2,x"), "y_px = 'nan' is not finite"),
        ((HEAD, "0,5,6,0.5,x"), "below one pixel"),
        ((HEAD, "0,5,6,2,x", "0,9,9,2,x"), "has 2 cells named 0"),
        (
            ("cell,y_px,x_px,radius_px,area", "0,5,6,2,10"),
            "line 2: area = '10' is not an integer from -1 to 9",
        ),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(
    lines: tuple[str, ...], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(Refused, match=sentence):
        read_cells(table(tmp_path, *lines))


def test_a_missing_or_binary_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="cannot be read"):
        read_cells(tmp_path / "absent.csv")
    (tmp_path / "image.csv").write_bytes(b"\xff\xfe\x00\x81" * 10)
    with pytest.raises(Refused, match="cannot be read"):
        read_cells(tmp_path / "image.csv")


@pytest.mark.parametrize(("y", "x"), [(0.5, 8), (8, 0.5), (15, 8), (8, 40), (-8, 8)])
def test_a_cell_that_leaves_the_frame_is_refused(y: float, x: float) -> None:
    with pytest.raises(Refused, match=r"cell 1 .* extends beyond the pages of 16 x 24 px"):
        Masks(discs((5, 5, 2), (y, x, 2)), (16, 24))
