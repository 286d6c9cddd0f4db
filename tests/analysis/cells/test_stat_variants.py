"""stat.npy as different programs and years write it; a bad entry is left out and named."""

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.cells.read_cells import read_cells
from rig.errors import Refused
from rig.messages import Fault
from tests.analysis.cells.test_stat_file import cell, stat
from tests.analysis.nodes import SHAPE, frame, online

GOOD = [cell([1, 1, 2], [4, 5, 4]), cell([3, 4], [7, 7])]


def written(path: Path, entries: list[dict[str, Any]], protocol: int, core: str) -> Path:
    """Write stat.npy with a pickle protocol, and with the module names of a NumPy version."""
    array = stat(*entries)
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
    pickled = pickle.dumps(array, protocol=protocol)
    pickled = pickled.replace(b"numpy._core.", b"numpy." + core.encode() + b".")
    path.write_bytes(file.getvalue() + pickled)
    return path


@pytest.mark.parametrize(
    ("protocol", "core"), [(2, "core"), (3, "core"), *((n, "_core") for n in range(2, 6))]
)
def test_every_pickle_protocol_is_read(protocol: int, core: str, tmp_path: Path) -> None:
    entries = [{**entry, "soma": np.bool_(True), "snr": np.float32(2)} for entry in GOOD]
    cells = read_cells(written(tmp_path / "stat.npy", entries, protocol, core))
    assert cells.y.tolist() == [1, 1, 2, 3, 4]
    assert cells.x.tolist() == [4, 5, 4, 7, 7]
    np.testing.assert_allclose(cells.weight, [0.5, 0.75, 1.0, 0.5, 1.0])


BAD: list[Any] = [
    cell([], []),
    cell([1, 2], [1]),
    cell([1], [1], lam=np.array([np.nan])),
    cell([1], [1], lam=np.array([0.0])),
    cell([1, 2], [1, 1], lam=np.array([1.0, -0.1])),
    cell([1.5], [1]),  # type: ignore[list-item]
    {"ypix": np.array([1])},
    None,
]


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_entry_is_left_out_and_named(bad: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "stat.npy", stat(GOOD[0], bad, GOOD[1]), allow_pickle=True)
    cells = read_cells(tmp_path / "stat.npy")
    assert cells.names == ("0", "2")
    (sentence,) = cells.left_out
    assert "cell 1 has" in sentence
    assert sentence.endswith("it is left out")


def test_entries_left_out_keep_areas_in_step_and_are_published(tmp_path: Path) -> None:
    np.save(tmp_path / "stat.npy", stat(GOOD[0], BAD[0], GOOD[1]), allow_pickle=True)
    np.save(tmp_path / "areas.npy", np.array([8, 5, 3]))
    assert read_cells(tmp_path / "stat.npy", tmp_path / "areas.npy").area.tolist() == [8, 3]
    np.save(tmp_path / "areas.npy", np.array([8, 3]))
    assert read_cells(tmp_path / "stat.npy", tmp_path / "areas.npy").area.tolist() == [8, 3]
    node, messages = online(tmp_path / "stat.npy")
    for index in range(2):
        node.handle(frame(index, index, np.ones(SHAPE, np.int16)))
    node.close()
    (fault,) = [message for message in messages if isinstance(message, Fault)]
    assert "cell 1 has 0 ypix" in fault.text


@pytest.mark.parametrize("name", ["stat.npy", "STAT.NPY"])
def test_suite2p_choice_of_cells_is_followed(name: str, tmp_path: Path) -> None:
    with (tmp_path / name).open("wb") as file:
        np.save(file, stat(*GOOD, BAD[0], GOOD[0]), allow_pickle=True)
    np.save(tmp_path / "iscell.npy", np.array([[0, 0.2], [1, 0.9], [1, 0.8], [1, 0.7]]))
    assert read_cells(tmp_path / name).names == ("1", "3")
    assert read_cells(tmp_path / name, use_iscell=False).names == ("0", "1", "3")
    np.save(tmp_path / "areas.npy", np.array([8, 5, 3, 4]))
    assert read_cells(tmp_path / name, tmp_path / "areas.npy").area.tolist() == [5, 4]
    for wrong, sentence in (
        (np.ones((3, 2)), r"has 3 rows, but .* has 4 cells"),
        (np.zeros((4, 2)), "accepts no cell"),
        (np.array("x"), "cannot be read"),
    ):
        np.save(tmp_path / "iscell.npy", wrong)
        with pytest.raises(Refused, match=sentence):
            read_cells(tmp_path / name)


def test_the_number_of_a_plane_may_be_any_whole_number(tmp_path: Path) -> None:
    for iplane in (2, 2.0, np.int16(2), np.array(2)):
        np.save(tmp_path / "stat.npy", stat(cell([1], [4], iplane=iplane)), allow_pickle=True)
        assert read_cells(tmp_path / "stat.npy").plane.tolist() == [2]
