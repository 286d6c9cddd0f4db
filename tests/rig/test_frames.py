"""The frame ring: a reader gets a frame whole, or not at all."""

import multiprocessing
import os
import signal
import stat
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rig.errors import Refused
from rig.transport.frame_ring import Ring, RingPlan, read_pixels

SHAPE = (5, 7)
BYTES = 5 * 7 * 2


def plan(path: Path, slots: int = 3, slot_bytes: int = BYTES) -> RingPlan:
    table = {"path": str(path), "slots": slots, "slot_bytes": slot_bytes}
    return msgspec.convert(table, RingPlan)


def frame(index: int, shape: tuple[int, int] = SHAPE) -> Any:
    return np.full(shape, index % 30_000, np.int16)


@pytest.mark.parametrize("slot_bytes", [BYTES, BYTES + 1, 4096])
def test_another_process_reads_what_was_written(tmp_path: Path, slot_bytes: int) -> None:
    writer = Ring(plan(tmp_path / "ring", slot_bytes=slot_bytes), create=True)
    reader = Ring(plan(tmp_path / "ring", slot_bytes=slot_bytes))
    pixels = np.arange(35, dtype=np.int16).reshape(SHAPE)
    writer.write(1, pixels[::-1, ::-1])
    found = reader.read(1, SHAPE, "<i2")
    assert found is not None
    np.testing.assert_array_equal(found, pixels[::-1, ::-1])
    writer.close()
    reader.close()


def test_a_frame_that_could_not_be_filled_in_is_not_there(tmp_path: Path) -> None:
    ring = Ring(plan(tmp_path / "ring", slots=1), create=True)
    ring.write(0, frame(10))

    def fails_half_way(body: Any) -> None:
        body[: BYTES // 2] = 1
        raise OSError("the file is gone")

    with pytest.raises(OSError, match="the file is gone"):
        ring.fill(1, BYTES, fails_half_way)
    assert ring.read(0, SHAPE, "<i2") is None and ring.read(1, SHAPE, "<i2") is None
    ring.close()


def test_an_empty_ring_has_no_frame(tmp_path: Path) -> None:
    ring = Ring(plan(tmp_path / "ring"), create=True)
    assert [ring.read(i, SHAPE, "<i2") for i in range(4)] == [None] * 4
    ring.close()


def test_a_copy_does_not_change_when_the_slot_does(tmp_path: Path) -> None:
    ring = Ring(plan(tmp_path / "ring", slots=1), create=True)
    ring.write(0, frame(10))
    kept = ring.read(0, SHAPE, "<i2")
    ring.write(1, frame(11))
    assert kept is not None and (kept == 10).all()
    ring.close()


@given(
    slots=st.integers(1, 5),
    slot_bytes=st.integers(BYTES, BYTES + 130),
    indices=st.lists(st.integers(0, 30), max_size=20),
)
def test_exactly_the_frames_not_yet_overwritten_are_there(
    tmp_path_factory: pytest.TempPathFactory, slots: int, slot_bytes: int, indices: list[int]
) -> None:
    path = tmp_path_factory.mktemp("ring") / "ring"
    writer = Ring(plan(path, slots, slot_bytes), create=True)
    reader = Ring(plan(path, slots, slot_bytes))
    in_slot: dict[int, int] = {}
    for index in indices:
        writer.write(index, frame(index))
        in_slot[index % slots] = index
    for index in range(31):
        found = reader.read(index, SHAPE, "<i2")
        if in_slot.get(index % slots) == index:
            assert found is not None and (found == index).all()
        else:
            assert found is None
    writer.close()
    reader.close()


LARGE = (256, 1024)


def write_many(ring_plan: RingPlan, latest: Any, stop: Any) -> None:
    ring = Ring(ring_plan)
    while not stop.is_set():
        ring.write(latest.value + 1, frame(latest.value + 1, LARGE))
        latest.value += 1


def test_a_frame_read_while_it_is_overwritten_is_whole_or_absent(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    latest, stop = context.Value("q", 0, lock=False), context.Event()
    large = plan(tmp_path / "ring", slots=1, slot_bytes=256 * 1024 * 2)
    ring = Ring(large, create=True)
    writer = context.Process(target=write_many, args=(large, latest, stop))
    writer.start()
    whole = 0
    try:
        while whole < 200:
            assert writer.is_alive()
            index = latest.value
            found = ring.read(index, LARGE, "<i2")
            if found is not None:
                assert (found == index % 30_000).all()
                whole += 1
    finally:
        stop.set()
        writer.join()
        ring.close()


def read_many(ring_plan: RingPlan, latest: Any, reads: Any, stop: Any) -> None:
    ring = Ring(ring_plan)
    while not stop.is_set():
        index = latest.value
        found = ring.read(index, LARGE, "<i2")
        if found is not None and (found != index % 30_000).any():
            sys.exit("a torn frame")
        reads.value += 1


def test_a_stopped_reader_does_not_delay_the_writer(tmp_path: Path) -> None:
    """Wherever the reader is stopped, the writer continues; no incomplete frame is read later."""
    context = multiprocessing.get_context("spawn")
    latest, stop = context.Value("q", 0, lock=False), context.Event()
    reads = context.Value("q", 0, lock=False)
    large = plan(tmp_path / "ring", slots=1, slot_bytes=256 * 1024 * 2)
    ring = Ring(large, create=True)
    reader = context.Process(target=read_many, args=(large, latest, reads, stop))
    reader.start()
    try:
        for _ in range(20):
            before = reads.value
            while reads.value < before + 3:
                assert reader.is_alive()
            os.kill(reader.pid or 0, signal.SIGSTOP)
            for _ in range(3):
                ring.write(latest.value + 1, frame(latest.value + 1, LARGE))
                latest.value += 1
            os.kill(reader.pid or 0, signal.SIGCONT)
    finally:
        stop.set()
        reader.join()
        ring.close()
    assert reader.exitcode == 0
    assert latest.value == 60


def test_a_frame_larger_than_a_slot_is_refused(tmp_path: Path) -> None:
    ring = Ring(plan(tmp_path / "ring", slots=2), create=True)
    ring.write(0, frame(5))
    with pytest.raises(Refused, match="ring_slot_mb"):
        ring.write(1, frame(6, (5, 8)))
    assert ring.read(0, (5, 8), "<i2") is None
    assert ring.read(1, (5, 8), "<i2") is None
    assert (ring.read(0, SHAPE, "<i2") == 5).all()  # type: ignore[union-attr]
    ring.close()


def test_a_ring_of_another_size_is_not_taken(tmp_path: Path) -> None:
    Ring(plan(tmp_path / "ring", slots=3), create=True).close()
    with pytest.raises(OSError, match="not the ring"):
        Ring(plan(tmp_path / "ring", slots=4))
    with pytest.raises(FileExistsError):
        Ring(plan(tmp_path / "ring"), create=True)
    with pytest.raises(msgspec.ValidationError):
        plan(tmp_path / "ring", slots=0)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no owners and modes of files")
def test_only_this_user_may_reach_a_ring_and_no_link_is_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = tmp_path / "ring"
    before = os.umask(0)
    try:
        Ring(plan(ring), create=True).close()
    finally:
        os.umask(before)
    assert stat.S_IMODE(ring.stat().st_mode) == 0o600
    (tmp_path / "link").symlink_to(ring)
    with pytest.raises(OSError, match="symbolic links"):
        Ring(plan(tmp_path / "link"))
    with pytest.raises(FileExistsError):
        Ring(plan(tmp_path / "link"), create=True)
    Ring(plan(ring)).close()
    owner = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: owner + 1)
    with pytest.raises(OSError, match="is not the ring of this session"):
        Ring(plan(ring))


@given(cut=st.integers(0, 3 + BYTES))
def test_pixels_are_read_from_the_file_only_if_the_page_is_complete(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("file") / "frames.bin"
    pixels = np.arange(35, dtype="<i2").reshape(SHAPE)
    path.write_bytes((b"abc" + pixels.tobytes())[:cut])
    found = read_pixels(path, 3, SHAPE, "<i2")
    if cut == 3 + BYTES:
        np.testing.assert_array_equal(found, pixels)
    else:
        assert found is None


def test_a_missing_file_has_no_pixels(tmp_path: Path) -> None:
    assert read_pixels(tmp_path / "none.tif", 0, SHAPE, "<i2") is None
