"""The imaging panel: pages by depth, parts of a page, strips, and the cells."""

import struct
from pathlib import Path

import numpy as np
import pytest

from rig.messages import Frame, Scan, Start
from rig.monitor.imaging import Crop, ImagingView
from rig.transport.frame_ring import Ring, RingPlan

_HEADER = struct.Struct("<8Hff")


@pytest.fixture
def ring(tmp_path: Path) -> Ring:
    return Ring(RingPlan(str(tmp_path / "ring"), 4, 4_000_000), create=True)


def view(tmp_path: Path) -> ImagingView:
    plan = {"path": str(tmp_path / "ring"), "slots": 4, "slot_bytes": 4_000_000}
    shown = ImagingView(tmp_path)
    shown.handle(Start(0, {"ring": plan}))
    return shown


def frame(index: int, plane: int, height: int, width: int) -> Frame:
    return Frame(0, index, "none.tif", 0, height, width, 0.0, plane=plane)


def parts(answer: bytes) -> tuple[tuple[int, ...], np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]:
    columns, rows, *rest = _HEADER.unpack_from(answer)[:7]
    pixels = np.frombuffer(answer, np.uint8, offset=_HEADER.size).reshape(rows, columns)
    return tuple(rest), pixels


def test_the_newest_page_of_each_depth_is_shown(tmp_path: Path, ring: Ring) -> None:
    shown = view(tmp_path)
    for index, plane in enumerate((0, 1, 0, 1)):
        page = np.arange(6, dtype="<i2").reshape(2, 3) * (1 if plane == 0 else -1)
        ring.write(index, page)
        shown.handle(frame(index, plane, 2, 3))
    shown.read_pages()
    assert shown.facts(np.empty(0, np.float32))["planes"] == [0, 1]
    _, first = parts(shown.image("live", 0))
    _, second = parts(shown.image("live", 1))
    assert first[0, 0] == 0 and first[1, 2] == 255
    assert second[0, 0] == 255 and second[1, 2] == 0


def test_a_part_of_a_page_is_sent_at_full_resolution(tmp_path: Path, ring: Ring) -> None:
    page = np.arange(1200 * 1000, dtype=np.int64).reshape(1200, 1000) % 3000
    ring.write(0, page.astype("<i2"))
    shown = view(tmp_path)
    shown.handle(frame(0, 0, 1200, 1000))
    shown.read_pages()
    (step, top, left, height, width), whole = parts(shown.image("live", 0))
    assert (step, top, left, height, width) == (3, 0, 0, 1200, 1000)
    assert whole.shape == (400, 334)
    (step, top, left, *_), part = parts(shown.image("live", 0, Crop(100, 50, 200, 300)))
    assert (step, top, left, part.shape) == (1, 100, 50, (200, 300))
    (_, top, left, *_), beyond = parts(shown.image("live", 0, Crop(9999, 9999, 5, 5)))
    assert (top, left, beyond.shape) == (1199, 999, (1, 1))


def test_strips_are_those_of_the_scan(tmp_path: Path) -> None:
    shown = ImagingView(tmp_path)
    region = {"height_px": 100, "width_px": 50}
    regions = ({"first_row": 120, **region}, {"first_row": 0, **region})
    shown.handle(Scan(0, "a.tif", {}, (0.0,), regions))
    assert [s["top"] for s in shown.facts(np.empty(0, np.float32))["strips"]] == [0, 120]


def test_cells_are_sent_again_only_when_something_changed(tmp_path: Path) -> None:
    centres = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)
    shown = ImagingView(tmp_path, centres, np.array([0, 1]))
    d_prime = np.array([0.5], np.float32)
    first = shown.facts(d_prime)["levels_version"]
    assert shown.facts(d_prime)["levels_version"] == first
    assert shown.facts(d_prime.copy())["levels_version"] == first + 1
    places = np.frombuffer(shown.cells(), "<f4").reshape(2, 3)
    assert places.tolist() == [[0.0, 1.0, 2.0], [1.0, 3.0, 4.0]]
    for values, levels in (
        ([0.5], [20, -128]),
        ([-9.0, 9.0], [-40, 40]),
        ([np.nan, -0.1, 1.0], [-128, -4]),
    ):
        sent = shown.levels(np.array(values, np.float32))
        assert np.frombuffer(sent, np.int8).tolist() == levels
