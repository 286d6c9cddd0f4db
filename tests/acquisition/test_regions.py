"""Regions: strips are cut out of a page, and placed as in the tissue."""

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from acquisition.follow.file_follower import FileFollower
from acquisition.scanimage.header import parse_header
from acquisition.scanimage.preamble import NotScanImage
from acquisition.scanimage.regions import (
    Field,
    PageStrip,
    Region,
    cut,
    lay_out,
    parse_regions,
    places,
    stitch,
)
from acquisition.scanimage.scan_message import strips_of
from acquisition.simulation.scanimage_encoding import Recording
from acquisition.simulation.scanimage_writer import Writer
from tests.acquisition.files import BEGAN
from tests.acquisition.real import header_of_2015, header_of_2020, shared

SLOTS = [4, 6, 8, 7, 5, 3, 1, 0, 2]
"""The slot of each of the nine real strips, from the left."""


def strip(
    name: str, x: float, px: tuple[int, int] = (8, 20), zs: tuple[float, ...] = (0,)
) -> Region:
    fields = tuple(Field(z, (x, 0.0), (1.0, px[1] / px[0]), px) for z in zs)
    return Region(name, fields, discrete=len(zs) > 1)


def join(parts: list[NDArray[Any]], strips: list[PageStrip], height_px: int) -> NDArray[Any]:
    """Return the page of these strips; the lines between them are zero."""
    page = np.zeros((height_px, parts[0].shape[1]), parts[0].dtype)
    for part, strip in zip(parts, strips, strict=True):
        page[strip.rows] = part
    return page


def test_real_strips_make_raw_pages_that_are_cut_and_stitched_bit_for_bit(tmp_path: Path) -> None:
    mosaic = tifffile.imread(shared("mesoscope_mroi/stitched_00_15.tif")).view(np.int16)
    text, groups = header_of_2015()
    header, regions = parse_header(text), parse_regions(groups)
    assert len(regions) == 9 and header.fly_to_lines == 122
    shape = (9 * 464 + 8 * 122, 64)
    assert shape == (5152, 64)
    (strips,) = lay_out(regions, header.depths_um, shape[::-1], header.fly_to_lines)
    recording = Recording(
        shape=shape, rate_hz=4.558404558, regions=regions, zs_um=(425.0,), fly_to_lines=122
    )
    writer = Writer(tmp_path / "raw.tif", recording, BEGAN, "pre")
    for i, picture in enumerate(mosaic):
        columns = [picture[:, 64 * slot : 64 * (slot + 1)] for slot in SLOTS]
        writer.append(join(columns, strips, shape[0]), i * 0.219375)
    writer.close()
    with closing(FileFollower(tmp_path / "raw.tif")) as follower:
        for page, picture in zip(follower.poll(), mosaic, strict=True):
            (read,) = strips_of(follower.header, follower.regions, page)
            parts = cut(follower.pixels(page), read)
            whole = stitch(parts, [one.field for one in read])
            np.testing.assert_array_equal(whole, picture)
    assert [one.first_row for one in read] == [586 * i for i in range(9)]
    assert [x for _, x in places([one.field for one in read])] == [64 * slot for slot in SLOTS]


def test_the_real_two_plane_scan_has_one_region_a_page() -> None:
    text, groups = header_of_2020()
    header = parse_header(text)
    planes = lay_out(parse_regions(groups), header.depths_um, (512, 512), header.fly_to_lines)
    names = [[one.name for one in strips] for strips in planes]
    assert names == [[n] for n in ("V1_anterior", "AL", "AM", "PM") for _ in (1, 2)]
    assert all(one.rows == slice(0, 512) for strips in planes for one in strips)


def test_a_single_region_and_an_empty_group_are_read() -> None:
    lone = {
        "zs": 0,
        "scanfields": {"centerXY": [0, 0], "sizeXY": [1, 1], "pixelResolutionXY": [4, 5]},
    }
    group: dict[str, Any] = {"imagingRoiGroup": {"rois": lone}}
    (region,) = parse_regions({"RoiGroups": group})
    assert region.fields == (Field(0.0, (0.0, 0.0), (1.0, 1.0), (4, 5)),)
    assert parse_regions(group) == (region,)
    assert parse_regions({"imagingRoiGroup": {"rois": [lone, {**lone, "enable": 0}]}}) == (region,)
    for nothing in ({}, {"RoiGroups": {"imagingRoiGroup": None}}):
        assert parse_regions(nothing) == ()
    empty = {"_ArrayType_": "double", "_ArraySize_": [1, 0], "_ArrayData_": None}
    assert parse_regions({"imagingRoiGroup": {"rois": empty}}) == ()


@pytest.mark.parametrize(
    "rois", [7, [7], {"zs": [0, 1], "scanfields": {}}, {"zs": 0, "scanfields": {"centerXY": [0]}}]
)
def test_impossible_regions_are_refused(rois: Any) -> None:
    with pytest.raises(NotScanImage, match="cannot be read"):
        parse_regions({"imagingRoiGroup": {"rois": rois}})


def test_a_region_is_scanned_at_its_own_depths_or_between_them() -> None:
    top, bottom = (Field(z, (z / 10, 0.0), (1.0, 1.0), (8, 8)) for z in (10.0, 20.0))
    through = Region("through", (top, bottom))
    middle = through.at(15.0)
    assert middle is not None and middle.centre_deg == (1.5, 0.0)
    assert through.at(9.0) is None and through.at(21.0) is None
    assert Region("at", (top, bottom), discrete=True).at(15.0) is None
    assert Region("everywhere", (top,)).at(99.0) is top


def test_regions_on_some_depths_only_leave_the_end_of_the_page_empty() -> None:
    regions = [strip("a", 0, zs=(0, 30)), strip("b", 3, zs=(30, 60)), strip("c", -3, zs=(30, 60))]
    planes = lay_out(regions, (0, 30, 60), (8, 3 * 20 + 2 * 6), 6)
    rows = [[(one.name, one.first_row) for one in strips] for strips in planes]
    assert rows == [[("a", 0)], [("a", 0), ("b", 26), ("c", 52)], [("b", 0), ("c", 26)]]


@pytest.mark.parametrize(
    ("height", "fly_to", "zs", "why"),
    [
        (49, 6, (0,), "has 9 lines .* and 6"),
        (39, 6, (0,), "has -1 lines for 1 gaps"),
        (46, 6, (5,), "scans a depth of 5 um at which it has no region"),
    ],
)
def test_pages_that_do_not_fit_their_regions_are_refused(
    height: int, fly_to: int, zs: tuple[float, ...], why: str
) -> None:
    regions = [strip("a", 0, zs=(0, 1)), strip("b", 3, zs=(0, 1))]
    assert lay_out(regions, (0,), (8, 47), 6)[0][1].first_row == 27  # a line of rounding
    with pytest.raises(NotScanImage, match=why):
        lay_out(regions, zs, (8, height), fly_to)


def test_three_flights_take_whole_lines() -> None:
    regions = [strip(name, 2 * i) for i, name in enumerate("abcd")]
    with pytest.raises(NotScanImage, match="19 lines for 3 gaps"):
        lay_out(regions, (0,), (8, 4 * 20 + 19), None)
    with pytest.raises(NotScanImage, match="9 px wide, but region 'a' is 8 px"):
        lay_out(regions, (0,), (9, 98), 6)
    with pytest.raises(NotScanImage, match="4 lines more than"):
        lay_out(regions[:1], (0,), (8, 24), 6)


@given(
    heights=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    fly_to=st.integers(0, 7),
    seed=st.integers(0, 99),
)
def test_joined_strips_are_cut_again_in_any_order(
    heights: list[int], fly_to: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    xs = rng.permutation(len(heights)) * 1.5
    regions = [strip(str(i), x, (4, h)) for i, (x, h) in enumerate(zip(xs, heights, strict=True))]
    height = sum(heights) + fly_to * (len(heights) - 1)
    (strips,) = lay_out(regions, (0,), (4, height), fly_to)
    parts = [rng.integers(1, 99, (h, 4)) for h in heights]
    page = join(parts, strips, height)
    for found, part in zip(cut(page, strips), parts, strict=True):
        np.testing.assert_array_equal(found, part)
    lines = np.concatenate([np.arange(height)[one.rows] for one in strips])
    assert len(set(lines.tolist())) == sum(heights)
    assert (np.delete(page, lines, axis=0) == 0).all()
    fields = [one.field for one in strips]
    picture = stitch(parts, fields)
    for (y, x), part in zip(places(fields), parts, strict=True):
        np.testing.assert_array_equal(picture[y : y + part.shape[0], x : x + 4], part)


def test_a_strip_knows_its_rows() -> None:
    assert PageStrip(0, "a", strip("a", 0).fields[0], 7).rows == slice(7, 27)
