"""rig align prints and draws the shift of today's field against the last imaged day."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from typer.testing import CliRunner

from analysis.cells.read_cells import read_cells
from analysis.registration.reference_images import read_reference_images
from analysis.registration.rigid import MotionSettings
from rig.cli.imaging.align_picture import magenta_over_green, overlay, scale_bar
from rig.cli.main import app
from rig.errors import Refused
from tests.analysis.test_ground_truth import SHIPPED, imaged


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A day of an animal, imaged, and an empty one after it."""
    data = tmp_path_factory.mktemp("data")
    folder = data / "sub-VR2" / "ses-20261124_1"
    folder.mkdir(parents=True)
    imaged(folder, SHIPPED, 2)
    (data / "sub-VR2" / "ses-20261124_2").mkdir()
    return data


def printed_shift(output: str) -> list[float]:
    """Down and right, px, and the rotation, degrees."""
    match = re.search(r"down (\S+) px, right (\S+) px, rotated (\S+) degrees", output)
    assert match is not None
    return [float(text) for text in match.groups()]


def test_the_same_field_has_not_moved(data: Path, tmp_path: Path) -> None:
    tiff = tmp_path / "today.tif"
    (first,) = (data / "sub-VR2" / "ses-20261124_1" / "imaging").glob("*.tif")
    shutil.copy(first, tiff)
    out, mean = tmp_path / "over.png", tmp_path / "mean.npy"
    args = [
        "align",
        "VR2",
        str(tiff),
        "--data",
        str(data),
        "--out",
        str(out),
        "--save-mean",
        str(mean),
    ]
    done = CliRunner().invoke(app, args, catch_exceptions=False)
    assert printed_shift(done.output) == pytest.approx([0, 0, 0], abs=1.0)
    picture = tifffile.imread(first)
    assert out.read_bytes().startswith(b"\x89PNG")
    means = read_reference_images(MotionSettings(reference_file=str(mean))).means
    assert means is not None
    assert means.shape == (1, *picture.shape[1:])
    assert np.corrcoef(means[0].ravel(), picture.mean(axis=0).ravel())[0, 1] > 0.8


def moved_day(data: Path, tmp_path: Path, down: int, right: int) -> tuple[Path, np.ndarray]:
    """Today's TIFF, its field moved; and that day's mean page."""
    (first,) = (data / "sub-VR2" / "ses-20261124_1" / "imaging").glob("*.tif")
    tiff = tmp_path / "today.tif"
    shutil.copy(first, tiff)
    with tifffile.TiffFile(tiff) as file:
        pages = [(page.dataoffsets[0], page.asarray()) for page in file.pages]
    with tiff.open("r+b") as raw:
        for offset, page in pages:
            raw.seek(offset)
            raw.write(np.roll(page, (down, right), (0, 1)).tobytes())
    return tiff, np.mean([page for _, page in pages], axis=0)


def test_that_days_masks_are_saved_where_the_cells_are_today(data: Path, tmp_path: Path) -> None:
    tiff, _ = moved_day(data, tmp_path, 6, -8)
    masks = tmp_path / "masks.npz"
    args = ["align", "VR2", str(tiff), "--data", str(data), "--out", str(tmp_path / "o.png")]
    done = CliRunner().invoke(app, [*args, "--save", str(masks)], catch_exceptions=False)
    then, now = read_cells(SHIPPED), read_cells(masks)
    assert f"{len(now)} of {len(then)} cells of that day" in done.output
    assert "not in today's field: " in done.output
    rows = [then.names.index(name) for name in now.names]
    assert len(then) > len(now) >= 0.7 * len(then)
    np.testing.assert_allclose(now.centres() - then.centres()[rows], [[6, -8]] * len(now), atol=1.5)
    np.testing.assert_array_equal(now.area, then.area[rows])
    assert now.origin == "ses-20261124_1"


def test_masks_of_another_field_are_not_saved(data: Path, tmp_path: Path) -> None:
    tiff, _ = moved_day(data, tmp_path, 0, 0)
    noise = tmp_path / "noise.tif"
    shutil.copy(tiff, noise)
    rng = np.random.default_rng(0)
    with tifffile.TiffFile(noise) as file:
        places = [(page.dataoffsets[0], page.shape) for page in file.pages]
    with noise.open("r+b") as raw:
        for offset, shape in places:
            raw.seek(offset)
            raw.write(rng.integers(0, 500, shape, np.int16).tobytes())
    args = ["align", "VR2", str(noise), "--data", str(data), "--out", str(tmp_path / "o.png")]
    with pytest.raises(Refused, match="today's field was not found, so no masks were saved"):
        CliRunner().invoke(app, [*args, "--save", str(tmp_path / "m.npz")], catch_exceptions=False)
    assert not (tmp_path / "m.npz").exists()


def test_a_field_that_has_moved_is_reported_and_drawn_with_its_depth(
    data: Path, tmp_path: Path
) -> None:
    tiff, mean = moved_day(data, tmp_path, 5, -9)
    other = [np.roll(np.fliplr(mean), 11 * n, 0) for n in range(2)]
    layers = [other[0], (other[0] + mean) / 2, mean, (other[1] + mean) / 2, other[1]]
    stack = tmp_path / "stack.npz"
    np.savez(stack, stack=np.array(layers), z_um=np.array([-20.0, -5.0, 0.0, 5.0, 20.0]) + 10.0)
    out = tmp_path / "over.png"
    args = ["align", "VR2", str(tiff), "--data", str(data), "--out", str(out)]
    done = CliRunner().invoke(app, [*args, "--stack", str(stack)], catch_exceptions=False)
    assert printed_shift(done.output) == pytest.approx([5, -9, 0], abs=1.5)
    z_um = re.search(r" z (\S+) um", done.output)
    assert z_um is not None
    assert float(z_um[1]) == pytest.approx(10, abs=1.5)
    with Image.open(out) as file:
        picture = np.asarray(file.convert("RGB"), np.float64)
    lies, back = picture[-660:-40, 24:664], picture[-660:-40, 688:1328]
    alike = [np.corrcoef(p[..., 0].ravel(), p[..., 1].ravel())[0, 1] for p in (lies, back)]
    assert alike[1] > alike[0] + 0.3


def test_a_stack_that_cannot_be_read_is_refused(data: Path, tmp_path: Path) -> None:
    tiff, _ = moved_day(data, tmp_path, 0, 0)
    args = ["align", "VR2", str(tiff), "--data", str(data), "--stack", str(tmp_path / "no.npz")]
    with pytest.raises(Refused, match=r"stack_file .*no.npz cannot be read"):
        CliRunner().invoke(app, [*args, "--out", str(tmp_path / "o.png")], catch_exceptions=False)


def test_an_animal_that_was_never_imaged_is_refused(data: Path, tmp_path: Path) -> None:
    args = ["align", "VR3", str(tmp_path / "today.tif"), "--data", str(data)]
    with pytest.raises(Refused, match="no session of VR3"):
        CliRunner().invoke(app, args, catch_exceptions=False)
    args[1] = "VR2"
    with pytest.raises(Refused, match="let ScanImage save some frames first"):
        CliRunner().invoke(app, args, catch_exceptions=False)


def test_today_is_magenta_the_reference_green_and_both_white() -> None:
    today, reference = np.zeros((20, 30)), np.zeros((20, 30))
    today[5, 5], reference[5, 5] = 1.0, 1.0
    today[8, 8], reference[12, 12] = 1.0, 1.0
    picture = magenta_over_green(today, reference)
    assert picture[5, 5].tolist() == [255, 255, 255]
    assert picture[8, 8].tolist() == [255, 0, 255]
    assert picture[12, 12].tolist() == [0, 255, 0]
    assert picture[0, 0].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("width_px", "um_per_px", "length_px", "label"),
    [(512, 2.0, 100.0, "200 um"), (512, 0.5, 100.0, "50 um"), (512, None, 100.0, "100 px")],
)
def test_the_scale_bar_is_a_round_length(
    width_px: int, um_per_px: float | None, length_px: float, label: str
) -> None:
    length, text = scale_bar(width_px, um_per_px)
    assert length == pytest.approx(length_px)
    assert text == label


def test_the_scale_bar_is_drawn_to_scale() -> None:
    dark = np.zeros((200, 320))
    picture = overlay(dark, dark, dark, "", "", 2.0)  # 640 um wide: a bar of 100 um is 100 px
    whites = (picture == 255).all(axis=2)
    assert sorted({int(row.sum()) for row in whites if row.sum() > 150}) == [202]
