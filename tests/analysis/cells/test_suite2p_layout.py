"""Cells of Suite2p's combined view are mapped to their own pixels and depth, or refused."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.cells.model import Cells
from analysis.cells.read_cells import read_cells
from analysis.cells.suite2p_layout import to_pages
from rig.errors import Refused
from tests.analysis.cells.test_stat_file import cell, stat

HEIGHT, WIDTH, FLY_TO = 30, 24, 6
Regions = list[dict[str, Any]]


def field(depths: int, corners: Sequence[tuple[int, int]]) -> Regions:
    """Regions of 30 x 24 px, one below the other in each page, 6 lines apart."""
    return [
        {"plane": plane, "first_row": number * (HEIGHT + FLY_TO), "height_px": HEIGHT,
         "width_px": WIDTH, "y_px": y, "x_px": x}
        for plane in range(depths)
        for number, (y, x) in enumerate(corners)
    ]  # fmt: skip


def view_corners(regions: Regions, depths: int) -> list[tuple[int, int]]:
    """Where Suite2p 1.0 places each plane: its compute_dydx, written out."""
    dy, dx = ([r[name] for r in regions] for name in ("y_px", "x_px"))
    ymax, xmax = max(dy) + HEIGHT, max(dx) + WIDTH
    columns = math.ceil(math.sqrt(ymax * xmax * depths) / xmax)
    per_depth = len(regions) // depths
    return [
        (dy[j] + j // per_depth // columns * ymax, dx[j] + j // per_depth % columns * xmax)
        for j in range(len(regions))
    ]


def read(tmp_path: Path, entries: list[dict[str, Any]]) -> Cells:
    np.save(tmp_path / "stat.npy", stat(*entries), allow_pickle=True)
    return read_cells(tmp_path / "stat.npy")


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32), depths=st.integers(1, 5), beside=st.booleans(),
       count=st.integers(1, 3), known=st.booleans())  # fmt: skip
def test_combined_cells_are_mapped_to_their_own_pixels(
    seed: int, depths: int, beside: bool, count: int, known: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:  # fmt: skip
    step = (0, WIDTH + 3) if beside else (HEIGHT + 5, 0)
    regions = field(depths, [(n * step[0], n * step[1]) for n in range(count)])
    rng = np.random.default_rng(seed)
    entries, truth = [], []
    for index, (region, (dy, dx)) in enumerate(
        zip(regions, view_corners(regions, depths), strict=True)
    ):
        for _ in range(3):
            y, x = int(rng.integers(0, HEIGHT - 2)), int(rng.integers(0, WIDTH - 2))
            own = {"iplane": index} if known else {}
            made = cell([y + dy, y + dy + 1], [x + dx, x + dx + 1], **own)
            entries.append(made if known else {k: v for k, v in made.items() if k != "iplane"})
            truth.append((region["plane"], region["first_row"] + y, x))
    cells = read(tmp_path_factory.mktemp("stat"), entries)
    shape = (count * (HEIGHT + FLY_TO), WIDTH)
    try:
        found = to_pages(cells, regions, depths, shape)
    except Refused as refusal:
        assert not known, refusal
        assert "cells_layout" in str(refusal)
        found = to_pages(cells, regions, depths, shape, "combined")
    got = zip(found.plane.tolist(), found.y[::2].tolist(), found.x[::2].tolist(), strict=True)
    assert list(got) == truth


@pytest.mark.parametrize("depths", [1, 3])
def test_cells_of_whole_pages_stay_where_they_are(tmp_path: Path, depths: int) -> None:
    regions = field(depths, [(0, 0), (0, WIDTH + 3)])
    entries = [cell([y, y + 1], [5, 5], iplane=plane) for plane in range(depths) for y in (3, 40)]
    found = to_pages(read(tmp_path, entries), regions, depths, (72, WIDTH))
    assert found.y[::2].tolist() == [3, 40] * depths
    assert found.plane.tolist() == [plane for plane in range(depths) for _ in range(2)]


@pytest.mark.parametrize(
    ("entries", "depths", "sentence"),
    [
        ([cell([3, 4], [5, 5])], 1, "does not show in which region"),  # of any one plane's folder
        ([cell([3, 4], [5, 5]), cell([3, 4], [200, 200])], 1, "in none of the 2 regions"),
        ([cell([3, 4], [5, 5])], 2, "does not show in which region"),
    ],
)
def test_cells_that_fit_several_places_or_none_are_refused(
    entries: list[dict[str, Any]], depths: int, sentence: str, tmp_path: Path
) -> None:
    silent = [{k: v for k, v in entry.items() if k != "iplane"} for entry in entries]
    with pytest.raises(Refused, match=sentence):
        to_pages(read(tmp_path, silent), field(depths, [(0, 0), (0, 27)]), depths, (72, WIDTH))


def test_a_cell_of_another_depth_stays_there_although_one_beside_it_names_none(
    tmp_path: Path,
) -> None:
    """A cell drawn in Suite2p's window has no iplane; a scan of one depth shows only depth 0."""
    drawn = {k: v for k, v in cell([30, 31], [5, 5]).items() if k != "iplane"}
    for iplane in (0, 1):
        cells = read(tmp_path, [cell([3, 4], [5, 5], iplane=iplane), drawn])
        placed = to_pages(cells, [], 1, (72, WIDTH))
        assert placed.plane.tolist() == [iplane, 0]


def test_the_layout_can_be_given(tmp_path: Path) -> None:
    """Two regions, one above the other: a cell at y 45 fits both layouts."""
    regions = field(1, [(0, 0), (HEIGHT + 5, 0)])
    silent = [{k: v for k, v in cell([y, y + 1], [5, 5]).items() if k != "iplane"} for y in (3, 45)]
    cells = read(tmp_path, silent)
    with pytest.raises(Refused, match=r'cells_layout = "page" or "combined"'):
        to_pages(cells, regions, 1, (72, WIDTH))
    assert to_pages(cells, regions, 1, (72, WIDTH), "page").y[2] == 45
    assert to_pages(cells, regions, 1, (72, WIDTH), "combined").y[2] == 45 - 35 + 36
