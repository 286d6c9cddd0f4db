"""Damaged and foreign files: the whole pages before the damage, or one sentence; no wrong page."""

import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acquisition.follow.file_follower import FileFollower
from acquisition.scanimage.preamble import FIRST_LINK_AT
from acquisition.simulation.scanimage_writer import Link
from rig.errors import Refused
from tests.acquisition.files import pictures, read_all, save, states
from tests.acquisition.real import shared

LINKS: tuple[Link, ...] = ("pre", "post")
any_path = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def first_page_at(raw: bytes | bytearray) -> int:
    return int(struct.unpack_from("<Q", raw, FIRST_LINK_AT)[0])


def tag_at(raw: bytes | bytearray, page_at: int, tag: int) -> int:
    """Return the offset of a tag's entry."""
    count = struct.unpack_from("<Q", raw, page_at)[0]
    entries = range(page_at + 8, page_at + 8 + 20 * count, 20)
    return next(at for at in entries if struct.unpack_from("<H", raw, at)[0] == tag)


@pytest.mark.parametrize("link", LINKS)
def test_a_file_cut_anywhere_gives_the_whole_pages_before_the_cut(
    tmp_path: Path, link: Link
) -> None:
    frames = pictures(3)
    *_, before, last, _ = states(tmp_path / "whole.tif", frames, link)
    pixels_end = last.rindex(frames[-1].tobytes()) + frames[-1].nbytes
    path = tmp_path / "cut.tif"
    for cut in range(len(before), pixels_end):
        path.write_bytes(last[:cut])
        follower = FileFollower(path)
        assert len(list(follower.poll())) == 2
        torn = follower.torn_bytes
        assert torn == (cut - len(before) if cut - len(before) > 8 else 0)
        follower.close()


def cut_and_changed(raw: bytes, cut: int, changes: list[tuple[int, int]]) -> bytes:
    damaged = bytearray(raw)
    for at, value in changes:
        damaged[at % len(raw)] = value
    return bytes(damaged[: len(raw) - cut])


@any_path
@given(
    cut=st.integers(0, 400),
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=4),
)
def test_a_damaged_file_is_read_or_refused_never_a_crash(
    tmp_path: Path, cut: int, changes: list[tuple[int, int]]
) -> None:
    whole = tmp_path / "whole.tif"
    raw = whole.read_bytes() if whole.exists() else save(whole, pictures(2)).read_bytes()
    path = tmp_path / "damaged.tif"
    path.write_bytes(cut_and_changed(raw, cut, changes))
    follower = FileFollower(path)
    try:
        for page in follower.poll():
            assert follower.pixels(page).shape == (page.height_px, page.width_px)
    except Refused as refusal:
        assert str(refusal).startswith(path.as_posix())
    finally:
        follower.close()


def test_circular_links_between_pages_are_refused(tmp_path: Path) -> None:
    raw = bytearray(save(tmp_path / "a.tif", pictures(3)).read_bytes())
    first = first_page_at(raw)
    link_at = first + 8 + 20 * struct.unpack_from("<Q", raw, first)[0]
    second = struct.unpack_from("<Q", raw, link_at)[0]
    struct.pack_into("<Q", raw, second + (link_at - first), first)
    (tmp_path / "circle.tif").write_bytes(raw)
    with pytest.raises(Refused, match=r"circle.tif has a link back"):
        read_all(tmp_path / "circle.tif")


def test_only_scanimages_own_files_are_read(tmp_path: Path) -> None:
    stack = np.zeros((2, 8, 8), np.int16)
    tifffile.imwrite(tmp_path / "classic.tif", stack)
    tifffile.imwrite(tmp_path / "plain.tif", stack, bigtiff=True)
    (tmp_path / "text.tif").write_text("not a picture at all, but long enough to be looked at")
    for name, why in (
        ("classic.tif", "lacks frameNumbers"),
        ("plain.tif", "lacks frameNumbers"),
        ("text.tif", "is not a little-endian TIFF"),
    ):
        with pytest.raises(Refused, match=f"{name} {why}"):
            read_all(tmp_path / name)
    with pytest.raises(Refused, match="cannot be opened"):
        FileFollower(tmp_path / "none.tif")


@pytest.mark.parametrize(
    ("tag", "value", "why"),
    [
        (259, 8, "compressed"),
        (258, 12, "12-bit"),
        (339, 6, "type that ScanImage does not write"),
        (257, 7, "120 bytes of pixels where 7 x 10"),
        (279, 64, "64 bytes of pixels where 6 x 10"),
    ],
)
def test_pages_of_another_kind_are_refused(tmp_path: Path, tag: int, value: int, why: str) -> None:
    raw = bytearray(save(tmp_path / "a.tif", pictures(1)).read_bytes())
    struct.pack_into("<Q", raw, tag_at(raw, first_page_at(raw), tag) + 12, value)
    (tmp_path / "b.tif").write_bytes(raw)
    with pytest.raises(Refused, match=rf"b\.tif .*{why}"):
        read_all(tmp_path / "b.tif")


def test_a_page_without_its_number_is_refused(tmp_path: Path) -> None:
    raw = save(tmp_path / "a.tif", pictures(1)).read_bytes()
    (tmp_path / "b.tif").write_bytes(raw.replace(b"frameNumbers", b"frameNombres"))
    with pytest.raises(Refused, match="lacks frameNumbers"):
        read_all(tmp_path / "b.tif")


def test_a_real_movie_that_is_not_a_raw_recording_is_refused() -> None:
    movie = shared("mesoscope_movie/frames_000_127.tif")
    with pytest.raises(Refused, match="is compressed"):
        read_all(movie)
