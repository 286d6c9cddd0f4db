"""A label image gives one cell a label and depth; any other image is refused in one sentence."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from analysis.cells.read_cells import read_cells
from analysis.extraction.strip import PipelineSettings
from analysis.extraction.traces import TraceSettings
from analysis.extraction.volume import Volume
from analysis.registration.reference_images import ReferenceImages
from analysis.registration.rigid import MotionSettings
from rig.errors import Refused

HOW = PipelineSettings(TraceSettings(), MotionSettings(), ReferenceImages())


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 2**32),
    depths=st.integers(0, 3),
    dtype=st.sampled_from(["<u2", ">u2", "<u4", "<i2", "<u1", "<u8"]),
    how=st.sampled_from([{}, {"compression": "zlib"}, {"imagej": True}]),
)
def test_every_labelled_pixel_is_of_the_cell_of_its_label_and_depth(
    seed: int,
    depths: int,
    dtype: str,
    how: dict[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    rng = np.random.default_rng(seed)
    shape = (depths, 9, 7) if depths else (9, 7)
    labels = (rng.integers(1, 256, shape) * (rng.random(shape) < 0.3)).astype(dtype)
    labels[..., 0, 0] = 255
    if how.get("imagej") and labels.dtype not in (np.uint8, np.uint16):
        how = {}
    path = tmp_path_factory.mktemp("labels") / "cp_masks.TIF"
    tifffile.imwrite(path, labels, photometric="minisblack", **how)
    cells = read_cells(path)
    again = np.zeros((max(1, depths), 9, 7), int)
    each = np.repeat(np.arange(len(cells)), np.diff(cells.first))
    label = np.array([int(name.rpartition(".")[2]) for name in cells.names])
    again[cells.plane[each], cells.y, cells.x] = label[each]
    np.testing.assert_array_equal(again.reshape(shape), labels)
    assert len(set(cells.names)) == len(cells)
    assert (depths > 1) <= cells.has_planes <= (depths > 0)  # one page may have a depth or not


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        (np.zeros((4, 4), np.uint16), "has no labelled pixel"),
        (np.ones((4, 4), np.float32), "2-dimensional image of float32, not a label image"),
        (np.ones((2, 2, 4, 4), np.uint16), "4-dimensional image of uint16"),
        (np.full((4, 4), -3, np.int16), "has the label -3; number the cells from 1"),
    ],
)
def test_another_image_is_refused(image: NDArray[Any], sentence: str, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "masks.tif", image, photometric="minisblack")
    with pytest.raises(Refused, match=sentence):
        read_cells(tmp_path / "masks.tif")


@pytest.mark.parametrize("content", [b"", b"no tiff", b"II*\0\x08\0\0\0", b"II*\0\x08\0\0\0\x01\0"])
def test_a_file_that_is_not_a_tiff_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "masks.tif").write_bytes(content)
    with pytest.raises(Refused, match=r"masks\.tif cannot be read"):
        read_cells(tmp_path / "masks.tif")
    with pytest.raises(Refused, match=r"absent\.tif cannot be read"):
        read_cells(tmp_path / "absent.tif")


def test_labels_of_another_field_are_refused_when_its_first_page_comes(tmp_path: Path) -> None:
    labels = np.zeros((32, 40), np.uint16)
    labels[4:8, 4:8] = 1
    tifffile.imwrite(tmp_path / "masks.tif", labels)
    cells = read_cells(tmp_path / "masks.tif")
    Volume(cells, (), (32, 40), HOW)
    with pytest.raises(Refused, match="32 x 40 px, but the pages have 64 x 40"):
        Volume(cells, (), (64, 40), HOW)
