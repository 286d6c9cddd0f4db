"""The scanned field must be that of the cells; its depths and its drift are published."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from rig.errors import Refused
from rig.messages import CellSignals, Fault, Scan
from tests.analysis.logs import MS, standing
from tests.analysis.nodes import SHAPE, frame, online
from tests.analysis.registration.test_registration import stack_of


def test_a_cell_outside_the_field_ends_the_node_at_its_first_frame(cells: Path) -> None:
    node, published = online(cells)
    with pytest.raises(Refused, match=r"cell 1 .* extends beyond the pages of 6 x 6 px"):
        node.handle(frame(0, 0, np.ones((6, 6), np.int16)))
    node.close()
    assert published == []


def test_a_field_that_changes_its_size_ends_the_node(cells: Path) -> None:
    node, _ = online(cells)
    node.handle(frame(0, 0, np.ones(SHAPE, np.int16)))
    with pytest.raises(Refused, match="frame 1 has 20 x 20 px, but the frames before it 9 x 12"):
        node.handle(frame(1, 1, np.ones((20, 20), np.int16)))
    node.close()


def scanned(*zs_um: tuple[float, ...], file: str = "a.tif", **header: object) -> Scan:
    header = {"channels": [1], "averaged": 1, "zs_um": zs_um, **header}
    region = {"first_row": 0, "height_px": SHAPE[0], "width_px": SHAPE[1]}
    depths = tuple(z for zs in zs_um for z in zs) or (0.0,)
    return Scan(0, file, header, depths, tuple({"plane": i, **region} for i in range(len(depths))))


def deep(tmp_path: Path, *planes: int) -> Path:
    path = tmp_path / "deep.csv"
    lines = [f"{i},3,{2 + 3 * i},1,{plane}" for i, plane in enumerate(planes)]
    path.write_text("\n".join(["cell,y_px,x_px,radius_px,plane", *lines]))
    return path


SLICES = ((10.0,), (40.0,), (70.0,))


@pytest.mark.parametrize("averaged", [1, 4])
def test_no_volume_mixes_pages_of_two_volumes(tmp_path: Path, averaged: int) -> None:
    lag = {"deconvolution_lag_frames": 0}
    node, published = online(deep(tmp_path, 0, 2), traces=lag)
    node.handle(scanned(*SLICES, averaged=averaged))
    rng = np.random.default_rng(1)
    lost = {5, 6, 7, 13}  # a whole volume's, then one page that shows no cell
    for at in set(range(18)) - lost:
        message = frame(at * MS, at, rng.integers(0, 99, SHAPE).astype(np.int16))
        node.handle(msgspec.structs.replace(message, plane=at % 3, number=1 + averaged * at))
    node.close()
    assert [message.frame for message in published if isinstance(message, CellSignals)] == [
        2,
        11,
        14,
        17,
    ]


@pytest.mark.parametrize(
    ("planes", "scan", "sentence"),
    [
        (
            (0, 0),
            scanned(channels=[2, 3]),
            r"a.tif saves channel 2, 3, but not channel 1, .* save it",
        ),
        ((0, 1), scanned((0.0, 9.0), channels=[1, 2]), "depth 0 on channel 1, but cell 1 is in"),
        ((0, 3), scanned(*SLICES), "shows depth 0, 1, 2 on channel 1, but cell 1 is in depth 3"),
    ],
)
def test_a_scan_that_never_shows_some_cells_is_refused(
    tmp_path: Path, planes: tuple[int, ...], scan: Scan, sentence: str
) -> None:
    node, _ = online(deep(tmp_path, *planes))
    with pytest.raises(Refused, match=sentence):
        node.handle(scan)
    node.close()


def test_cells_without_a_plane_are_refused_if_several_depths_are_scanned(cells: Path) -> None:
    node, _ = online(cells)
    node.handle(scanned((10.0,)))
    with pytest.raises(Refused, match="3 depths, but cells_file does not give the depth"):
        node.handle(scanned(*SLICES))
    node.close()


def test_a_second_scan_may_have_another_depth_but_not_another_field(tmp_path: Path) -> None:
    node, _ = online(deep(tmp_path, 0, 2))
    node.handle(scanned(*SLICES))
    node.handle(scanned((0.0,), (20.0,), (40.0,)))  # nothing is imaged yet
    node.handle(frame(0, 0, np.ones(SHAPE, np.int16)))
    node.handle(scanned((5.0,), (25.0,), (45.0,), zoom=2.0))
    with pytest.raises(Refused, match=r"b\.tif scans other regions or depths than a\.tif; image"):
        node.handle(scanned((0.0,), (20.0,), (60.0,), file="b.tif"))
    other = scanned((0.0,), (20.0,), (40.0,), file="c.tif")
    moved = tuple({**region, "first_row": 1} for region in other.regions)
    with pytest.raises(Refused, match=r"c\.tif scans other"):
        node.handle(msgspec.structs.replace(other, regions=moved))
    node.close()


def test_a_stack_for_cells_of_several_depths_is_refused_before_the_session(
    tmp_path: Path,
) -> None:
    stack, z_um = stack_of((64, 64))
    np.savez(tmp_path / "stack.npz", stack=stack, z_um=z_um)
    with pytest.raises(Refused, match=r"drift of one depth, but the cells of .* are in several"):
        online(deep(tmp_path, 0, 2), motion={"stack_file": str(tmp_path / "stack.npz")})


def test_a_drifting_focus_and_its_return_are_reported_once(cells: Path, tmp_path: Path) -> None:
    stack, z_um = stack_of((64, 64))
    np.savez(tmp_path / "stack.npz", stack=stack, z_um=z_um)
    np.save(tmp_path / "mean.npy", stack[8])
    motion = {
        "stack_file": str(tmp_path / "stack.npz"),
        "reference_file": str(tmp_path / "mean.npy"),
    }
    node, published = online(cells, motion=motion)
    rng = np.random.default_rng(2)
    for index in range(280):
        depth = 10 if 70 <= index < 160 else 8  # 5 um off, then back
        page = rng.poisson(np.maximum(stack[depth], 0)).astype(np.int16)
        node.handle(frame(300 * index * MS, index, page))
        node.handle(standing(300 * index * MS + 1, -1, 0.0, moving=False))
    node.close()
    faults = [message for message in published if isinstance(message, Fault)]
    assert [message.text.partition(",")[0][:22] for message in faults] == [
        "the focus has drifted ",
        "the focus is back",
    ]
    assert 70 < faults[0].t / (300 * MS) < 160 < faults[1].t / (300 * MS)
    depths = [
        message.z_um[0]
        for message in published
        if isinstance(message, CellSignals) and message.z_um
    ]
    assert max(depths) == pytest.approx(5.0, abs=1.0)
    assert depths[-1] == pytest.approx(0.0, abs=1.0)
