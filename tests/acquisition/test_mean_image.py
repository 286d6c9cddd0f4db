"""The mean image of a saved file: each region in place, each depth by itself."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from acquisition.files.mean_image import mean_images, side_by_side
from acquisition.scanimage.regions import Field, Region
from acquisition.simulation.scanimage_encoding import Recording
from acquisition.simulation.scanimage_writer import Writer
from rig.cli.main import app
from rig.errors import Refused
from tests.acquisition.files import BEGAN, pictures, save, start

ZS_UM = (100.0, 180.0)
WHERE_DEG = (1.0, -1.0, 0.0)
"""The regions in the order of scanning, which is not that of their places."""
ROWS, COLUMNS, FLY_ROWS = 20, 8, 5


def saved(path: Path, channels: tuple[int, ...] = (1,), volumes: int = 3) -> Path:
    """Save volumes of two depths, whose regions are 100 * plane + 10 * region + the volume."""
    px, size = (COLUMNS, ROWS), (1.0, 2.5)
    regions = tuple(
        Region(f"r{i}", tuple(Field(z, (x, 0.0), size, px) for z in ZS_UM), discrete=True)
        for i, x in enumerate(WHERE_DEG)
    )
    shape = (len(regions) * (ROWS + FLY_ROWS) - FLY_ROWS, COLUMNS)
    recording = Recording(shape=shape, rate_hz=10.0, regions=regions, zs_um=ZS_UM,
                          fly_to_lines=FLY_ROWS, channels=channels)  # fmt: skip
    writer = Writer(path, recording, BEGAN, "pre")
    for frame in range(2 * volumes):
        page = np.full(shape, -999, np.int16)
        for i in range(len(regions)):
            first = i * (ROWS + FLY_ROWS)
            page[first : first + ROWS] = 100 * (frame % 2) + 10 * i + frame // 2
        for nth in range(len(channels)):
            writer.append(page + np.int16(5000 * nth), frame / 10)
    writer.close()
    return path


@pytest.mark.parametrize("channels", [(1,), (2, 4)])
def test_regions_are_side_by_side_at_each_depth(tmp_path: Path, channels: tuple[int, ...]) -> None:
    found = mean_images(saved(tmp_path / "a.tif", channels), 3)
    assert [picture.shape for picture in found] == [(ROWS, 3 * COLUMNS)] * 2
    for plane, picture in enumerate(found):
        wanted = [100 * plane + 10 * region + 1 for region in (1, 2, 0)]
        np.testing.assert_array_equal(picture[:, ::COLUMNS], [wanted] * ROWS)
        np.testing.assert_array_equal(picture[:, COLUMNS - 1 :: COLUMNS], [wanted] * ROWS)
    first = mean_images(tmp_path / "a.tif", 1)
    assert first[1][0].tolist() == [110.0] * COLUMNS + [120.0] * COLUMNS + [100.0] * COLUMNS


def test_what_is_drawn_is_grey_from_dark_to_bright_and_black_where_nothing_was_scanned() -> None:
    ramp = np.repeat(np.linspace(-50.0, 900.0, 200)[None], 40, axis=0)
    ramp[20:] = np.nan
    picture = side_by_side([ramp, ramp[:30, :9]])
    assert picture.shape == (40, 200 + 8 + 9, 3) and picture.dtype == np.uint8
    assert (picture[20:, :200] == 0).all() and (np.diff(picture[0, :200, 0].astype(int)) >= 0).all()
    assert picture[0, 0, 0] == 0 and picture[0, 199, 0] == 255
    assert (picture[:, 200:208] == 255).all()


def test_a_file_that_grows_or_has_no_numbers_has_an_image_too(tmp_path: Path) -> None:
    page = pictures(1)[0]
    growing = start(tmp_path / "grows.tif")
    growing.append(page, 0.0)
    with tifffile.TiffWriter(tmp_path / "old.tif") as old:
        old.write(page, description=b"state.software.version=3.8", metadata=None)
    for name in ("grows.tif", "old.tif"):
        (picture,) = mean_images(tmp_path / name, 30)
        np.testing.assert_array_equal(picture, page)
    growing.close()


def test_a_file_without_a_page_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="has no page yet"):
        mean_images(save(tmp_path / "empty.tif", []), 5)


def test_rig_tiff_picture_writes_it_beside_the_file(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.tif")
    done = CliRunner().invoke(app, ["tiff", "picture", str(path), "--frames", "2"])
    assert done.exit_code == 0, done.output
    assert "2 depths, 24 x 20 px, 24 x 20 px" in done.output.replace("\n", " ")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_rig_tiff_info_lists_each_region_once(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.tif")
    lines = CliRunner().invoke(app, ["tiff", "info", str(path)]).output
    assert [lines.count(f"r{i}: 8 x 20 px from row {25 * i} ") for i in range(3)] == [1, 1, 1]
    assert "at 100 um" in lines and "at 180 um: the same" in lines
    groups = path.read_bytes().replace(b'"pixelResolutionXY"', b'"pixelResolutionXX"')
    path.write_bytes(groups)
    done = CliRunner().invoke(app, ["tiff", "info", str(path)])
    assert done.exit_code == 0 and "regions that cannot be read" in done.output
