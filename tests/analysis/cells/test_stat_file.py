"""Masks of another day are read unchanged, and no code in a file is executed."""

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.cells.areas import read_areas
from analysis.cells.read_cells import read_cells
from rig.errors import Refused


def stat(*cells: dict[str, Any]) -> Any:
    array = np.empty(len(cells), object)
    array[:] = cells
    return array


def cell(y: list[int], x: list[int], **other: Any) -> dict[str, Any]:
    """A cell as Suite2p keeps it."""
    lam = np.linspace(0.5, 1.0, len(y)).astype(np.float32)
    kept = {"ypix": np.array(y), "xpix": np.array(x), "lam": lam, "radius": np.float64(3.0)}
    return {**kept, "med": [1, 2], "npix": np.int64(len(y)), "iplane": 0, **other}


def test_suite2p_cells_come_with_their_weights_and_without_shared_pixels(tmp_path: Path) -> None:
    path = tmp_path / "stat.npy"
    shared = cell([1, 1, 2], [4, 5, 4], overlap=np.array([False, True, False]))
    only_shared = cell([7, 7], [1, 2], overlap=np.array([True, True]))
    np.save(path, stat(shared, only_shared), allow_pickle=True)
    cells = read_cells(path)
    assert cells.names == ("0", "1")
    assert cells.y.tolist() == [1, 2, 7, 7]
    assert cells.x.tolist() == [4, 4, 1, 2]
    np.testing.assert_allclose(cells.weight, [0.5, 1.0, 0.5, 1.0])


def test_suite2p_cells_are_in_their_iplane_and_label_images_name_no_plane(tmp_path: Path) -> None:
    path = tmp_path / "stat.npy"
    np.save(path, stat(cell([1], [4], iplane=2), cell([2], [4])), allow_pickle=True)
    cells = read_cells(path)
    assert (cells.plane.tolist(), cells.has_planes) == ([2, 0], True)
    silent = {key: value for key, value in cell([1], [4]).items() if key != "iplane"}
    np.save(path, stat(cell([1], [4], iplane=2), silent), allow_pickle=True)
    assert not read_cells(path).has_planes
    np.save(path, np.eye(3, dtype=np.int16))
    assert not read_cells(path).has_planes


class Trap:
    def __reduce__(self) -> Any:
        return os.mkdir, (os.environ["TRAP"],)


def test_a_file_that_would_run_something_is_refused_and_runs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sprung = tmp_path / "sprung"
    monkeypatch.setenv("TRAP", str(sprung))
    path = tmp_path / "stat.npy"
    np.save(path, stat({"ypix": Trap()}), allow_pickle=True)
    with pytest.raises(Refused, match="would run"):
        read_cells(path)
    assert not sprung.exists()
    with path.open("rb") as file:
        np.lib.format.read_magic(file)
        np.lib.format.read_array_header_1_0(file)
        pickle.load(file)
    assert sprung.exists()  # the trap was a trap


def test_a_label_image_names_its_cells_by_their_labels(tmp_path: Path) -> None:
    labels = np.zeros((6, 8), np.uint16)
    labels[1, 2:4], labels[4:, 7] = 9, 3
    np.save(tmp_path / "labels.npy", labels)
    cells = read_cells(tmp_path / "labels.npy")
    assert cells.names == ("3", "9")
    assert list(zip(cells.y.tolist(), cells.x.tolist(), strict=True)) == [
        (4, 7), (5, 7), (1, 2), (1, 3),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("held", "sentence"),
    [
        (stat(), "has no cell"),
        (stat({"ypix": np.array([1])}), "cell 0 has no ypix, xpix and lam"),
        (stat(cell([], [])), "cell 0 has 0 ypix"),
        (stat(cell([1, 2], [1])), "cell 0 has 2 ypix, 1 xpix"),
        (stat(cell([1], [1], lam=np.array([np.nan]))), "not positive numbers"),
        (stat(cell([1], [1], iplane=-1)), "iplane = -1; give each cell the index of its plane"),
        (np.zeros((4, 4), np.int16), "has no labelled pixel"),
        (np.zeros((4, 4)), "neither Suite2p's stat.npy nor a label image"),
        (np.ones(4, int), "is a 1-dimensional image of int64, not a label image"),
    ],
)
def test_masks_that_cannot_be_used_are_refused(held: Any, sentence: str, tmp_path: Path) -> None:
    np.save(tmp_path / "masks.npy", held, allow_pickle=True)
    with pytest.raises(Refused, match=sentence):
        read_cells(tmp_path / "masks.npy")


@pytest.mark.parametrize("content", [b"", b"no array", b"\x93NUMPY\x01\x00"])
def test_a_file_that_is_not_an_array_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "stat.npy").write_bytes(content)
    with pytest.raises(Refused, match="cannot be read"):
        read_cells(tmp_path / "stat.npy")


def test_areas_come_from_ids_or_from_a_retinotopy_file(tmp_path: Path) -> None:
    np.save(tmp_path / "ids.npy", np.array([8, -1, 3]))
    np.savez(tmp_path / "trans.npz", iarea=np.array([8.0, -1.0, 3.0]), xy_t=np.zeros((3, 2)))
    for name in ("ids.npy", "trans.npz"):
        assert read_areas(tmp_path / name, 3).tolist() == [8, -1, 3]
    with pytest.raises(Refused, match="has 3 area ids, but there are 4 cells"):
        read_areas(tmp_path / "ids.npy", 4)
    np.save(tmp_path / "wrong.npy", np.array([8, 12, 3]))
    with pytest.raises(Refused, match="values other than the area ids -1 to 9"):
        read_areas(tmp_path / "wrong.npy", 3)
    with pytest.raises(Refused, match="cannot be read"):
        read_areas(tmp_path / "absent.npy", 3)
