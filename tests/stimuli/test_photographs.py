"""Textures and images from photographs: cropped, periodic and matched, or refused."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rig.errors import Refused
from stimuli.textures.image_files import read_luminance, write_contact_sheet
from stimuli.textures.luminance_matching import RMS_CONTRAST, SLOPE, slope
from stimuli.textures.names import GREY, SHAPE, STIMULI, Texture
from stimuli.textures.photographs import load_images, load_photographs


def photograph(path: Path, size: tuple[int, int], seed: int = 1) -> Path:
    """Write a photograph of random squares of several sizes, brighter to the right."""
    rng = np.random.default_rng(seed)
    levels = np.linspace(0, 80, size[0])[None, :] + np.zeros((size[1], 1))
    for step in (4, 16, 64):
        coarse = rng.uniform(0, 58, (size[1] // step + 1, size[0] // step + 1))
        levels = levels + np.kron(coarse, np.ones((step, step)))[: size[1], : size[0]]
    Image.fromarray(levels.astype(np.uint8)).save(path)
    return path


def test_a_photograph_gives_a_matched_periodic_texture(tmp_path: Path) -> None:
    photograph(tmp_path / "leaf1.png", (2400, 400))
    shown = load_photographs(tmp_path, STIMULI)
    assert set(shown) == {"leaf1", "leaf1_swap1", "leaf1_swap2"}
    assert np.array_equal(np.roll(shown["leaf1"], -1024, 1), shown["leaf1_swap1"])
    picture = shown["leaf1"]
    assert picture.shape == SHAPE
    assert picture.mean() == pytest.approx(GREY, rel=0.01)
    assert picture.std() / picture.mean() == pytest.approx(RMS_CONTRAST, rel=0.05)
    assert slope(picture) == pytest.approx(SLOPE, abs=0.1)
    for axis in (0, 1):
        level = picture.astype(float)
        steps = np.abs(np.diff(level, axis=axis, append=level.take([0], axis))).mean(1 - axis)
        assert steps[-1] <= np.quantile(steps, 0.995)


def test_the_wall_shows_the_photograph_upright_and_as_it_runs(tmp_path: Path) -> None:
    """The photograph is bright in its lower half; the rows of a texture begin at the floor."""
    levels = np.full((400, 2400), 60, np.uint8)
    levels[200:] = 180
    Image.fromarray(levels).save(tmp_path / "leaf1.png")
    picture = load_photographs(tmp_path, ["leaf1"])["leaf1"].astype(float)
    assert picture[40:100].mean() > picture[160:220].mean() + 50


def test_one_photograph_of_a_kind_gives_strips_that_do_not_overlap(tmp_path: Path) -> None:
    photograph(tmp_path / "leaf.png", (2400, 900))
    shown = load_photographs(tmp_path, ["leaf1", "leaf2", "leaf3", "circle1"])
    assert set(shown) == {"leaf1", "leaf2", "leaf3"}
    for other in ("leaf2", "leaf3"):
        alike = np.corrcoef(shown["leaf1"][::8, ::8].ravel(), shown[other][::8, ::8].ravel())
        assert abs(alike[0, 1]) < 0.5


def test_images_are_cut_to_the_field_they_are_shown_in(tmp_path: Path) -> None:
    photograph(tmp_path / "forest.png", (900, 700))
    photograph(tmp_path / "shore.png", (300, 900), seed=2)
    shown = load_images(dict.fromkeys(["shore", "forest"], str(tmp_path)), 4.0)
    assert list(shown) == ["shore", "forest"]
    for picture in shown.values():
        assert picture.shape == (256, 1024)
        assert picture.mean() == pytest.approx(GREY, rel=0.01)
        assert picture.std() / picture.mean() == pytest.approx(RMS_CONTRAST, rel=0.05)


def make_text(folder: Path) -> None:
    (folder / "leaf1.png").write_text("not an image")


def make_truncated(folder: Path) -> None:
    path = photograph(folder / "leaf1.png", (2400, 400))
    path.write_bytes(path.read_bytes()[:5000])


def make_small(folder: Path) -> None:
    photograph(folder / "leaf1.png", (1600, 1200))


def make_low(folder: Path) -> None:
    photograph(folder / "leaf1.png", (2400, 120))


def make_twins(folder: Path) -> None:
    photograph(folder / "leaf1.png", (2400, 400))
    photograph(folder / "leaf1.bmp", (2400, 400))


def make_case_twins(folder: Path) -> None:
    photograph(folder / "Leaf1.png", (2400, 400))
    photograph(folder / "leaf1.png", (2400, 400))


def make_uniform(folder: Path) -> None:
    Image.new("L", (2400, 400), 90).save(folder / "leaf1.png")


def make_float(folder: Path) -> None:
    rng = np.random.default_rng(1)
    Image.fromarray(rng.random((400, 2400)).astype(np.float32)).save(folder / "leaf1.tif")


def make_deep(folder: Path) -> None:
    rng = np.random.default_rng(1)
    Image.fromarray(rng.integers(0, 2**30, (400, 2400), np.int32)).save(folder / "leaf1.tif")


def make_nothing(folder: Path) -> None:
    for name in ("Thumbs.db", "desktop.ini", ".DS_Store", "._leaf1.png"):
        (folder / name).write_text("")


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (make_text, r"leaf1\.png is not an image .*remove it from the folder"),
        (make_truncated, r"leaf1\.png is not an image"),
        (make_small, r"1600 x 1200 pixels, too small .*at least 2176 x 136"),
        (make_low, r"2400 x 120 pixels, too small"),
        (make_uniform, r"leaf1\.png is uniform: it shows nothing"),
        (make_float, r"leaf1\.tif is not an image \(its pixels are floating-point numbers"),
        (make_deep, r"leaf1\.tif has pixels of more than 16 bits"),
        (make_case_twins, r"Leaf1\.png and leaf1\.png have the same name"),
        (make_twins, r"leaf1\.bmp and leaf1\.png have the same name; rename"),
        (make_nothing, r"contains no images"),
    ],
)
def test_bad_photographs_are_refused(tmp_path: Path, spoil: object, sentence: str) -> None:
    assert callable(spoil)
    spoil(tmp_path)
    with pytest.raises(Refused, match=sentence):
        load_photographs(tmp_path, ["leaf1"])


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"nowhere cannot be read .*correct the path"):
        load_photographs(tmp_path / "nowhere", ["leaf1"])


def test_missing_and_uniform_images_are_refused(tmp_path: Path) -> None:
    photograph(tmp_path / "forest.png", (300, 200))
    Image.new("L", (300, 200), 90).save(tmp_path / "fog.png")
    with pytest.raises(Refused, match=r'no image "shore"; correct stimuli'):
        load_images({"shore": str(tmp_path)}, 4.0)
    with pytest.raises(Refused, match=r"fog\.png is uniform"):
        load_images({"fog": str(tmp_path)}, 4.0)


def test_the_contact_sheet_shows_all_of_them_upright(
    tmp_path: Path, drawn: dict[str, Texture]
) -> None:
    halves = np.full_like(drawn["leaf1"], 255)
    halves[: SHAPE[0] // 2] = 0
    write_contact_sheet({"leaf1": drawn["leaf1"], "dark below": halves}, tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        levels = np.asarray(sheet).astype(int)
    below, above = levels[-30:].mean(), levels[-70:-45].mean()
    assert (below, above) == (0, 255)


def test_files_of_the_operating_system_are_not_images(tmp_path: Path) -> None:
    photograph(tmp_path / "leaf1.png", (2400, 400))
    for name in ("Thumbs.db", "desktop.ini", ".DS_Store", "._leaf1.png", "~$leaf1.docx"):
        (tmp_path / name).write_bytes(b"\xd0\xcf\x11\xe0")
    assert list(load_photographs(tmp_path, ["leaf1"])) == ["leaf1"]
    assert list(load_images({"leaf1": str(tmp_path)}, 4.0)) == ["leaf1"]


def test_a_photograph_of_a_new_name_is_a_new_stimulus(tmp_path: Path) -> None:
    photograph(tmp_path / "moss1.png", (2400, 400))
    shown = load_photographs(tmp_path, ["leaf1", "moss1", "moss1_swap2"])
    assert set(shown) == {"moss1", "moss1_swap2"}
    assert np.array_equal(np.roll(shown["moss1"], -2048, 1), shown["moss1_swap2"])


def test_a_photograph_of_one_exemplar_goes_before_that_of_its_category(tmp_path: Path) -> None:
    photograph(tmp_path / "leaf.png", (2400, 900))
    alone = load_photographs(tmp_path, ["leaf1", "leaf2"])
    photograph(tmp_path / "leaf2.png", (2400, 400), seed=2)
    both = load_photographs(tmp_path, ["leaf1", "leaf2"])
    assert np.array_equal(both["leaf1"], alone["leaf1"])
    assert not np.array_equal(both["leaf2"], alone["leaf2"])


def transparent(path: Path, hidden: int, mode: str) -> Path:
    """Write a pattern whose right half is transparent, over pixels of the level `hidden`."""
    rng = np.random.default_rng(1)
    levels = np.full((90, 400, 4), hidden, np.uint8)
    levels[:, :200, :3] = rng.integers(0, 255, (90, 200, 1))
    levels[..., 3] = 0
    levels[:, :200, 3] = 255
    image = Image.fromarray(levels, "RGBA")
    if mode == "P":
        image = image.quantize(200)
    image.convert(mode).save(path)
    return path


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_parts_are_the_grey_of_the_walls(tmp_path: Path, mode: str) -> None:
    """The result does not depend on the colour stored in transparent pixels."""
    for hidden in (0, 255):
        luminance = read_luminance(transparent(tmp_path / "ring.png", hidden, mode))
        assert luminance[:, 200:] == pytest.approx(np.full((90, 200), GREY / 255), abs=1e-6)
        assert luminance[:, :200].std() > 0.1


def test_a_transparent_level_of_16_bit_grey_is_the_grey_of_the_walls(tmp_path: Path) -> None:
    levels = np.full((90, 400), 60_000, np.uint16)
    levels[:, 200:] = 1234
    Image.fromarray(levels).save(tmp_path / "deep.png", transparency=1234)
    luminance = read_luminance(tmp_path / "deep.png")
    assert luminance[:, 200:] == pytest.approx(np.full((90, 200), GREY / 255), abs=1e-6)
    assert luminance[0, 0] == pytest.approx(((60_000 / 65_535 + 0.055) / 1.055) ** 2.4, rel=1e-5)


def test_a_shape_drawn_in_the_alpha_channel_alone_is_shown(tmp_path: Path) -> None:
    levels = np.full((90, 400, 4), 255, np.uint8)
    levels[..., 3] = 0
    levels[20:70, 50:350, 3] = 255
    Image.fromarray(levels, "RGBA").save(tmp_path / "shape.png")
    image = load_images({"shape": str(tmp_path)}, 400 / 90)["shape"].astype(float)
    assert image[115, 512] > image[5, 5] + 50


@pytest.mark.parametrize(
    ("mode", "suffix"), [("L", "png"), ("RGB", "png"), ("CMYK", "tif"), ("P", "gif"), ("1", "png")]
)
def test_a_white_pixel_is_white_in_every_mode(tmp_path: Path, mode: str, suffix: str) -> None:
    path = tmp_path / f"white.{suffix}"
    Image.new("RGB", (30, 20), "white").convert(mode).save(path)
    assert read_luminance(path) == pytest.approx(np.ones((20, 30)), abs=1e-5)
