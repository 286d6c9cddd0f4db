"""Following a file: each frame once, as soon as it is complete; damage gets one sentence."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acquisition.follow.file_follower import FileFollower
from acquisition.simulation.scanimage_writer import Link
from tests.acquisition.files import RATE_HZ, pictures, read_all, save, start, states

LINKS: tuple[Link, ...] = ("pre", "post")
SHARED = Path(__file__).parents[2].parent / "shared" / "data"
any_path = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("link", LINKS)
def test_every_frame_comes_once_with_its_pixels(tmp_path: Path, link: Link) -> None:
    frames = pictures(5)
    follower = FileFollower(save(tmp_path / "a.tif", frames, link))
    pages = list(follower.poll())
    assert [page.number for page in pages] == [1, 2, 3, 4, 5]
    assert [page.timestamp_s for page in pages] == [i / RATE_HZ for i in range(5)]
    for page, frame in zip(pages, frames, strict=True):
        np.testing.assert_array_equal(follower.pixels(page), frame)
    assert list(follower.poll()) == []
    assert follower.ends and not follower.torn_bytes
    follower.close()


@pytest.mark.parametrize("link", LINKS)
def test_a_page_comes_as_soon_as_it_is_there_and_never_torn(tmp_path: Path, link: Link) -> None:
    """The file grows by single bytes: exactly the complete pages have been returned at any time."""
    frames = pictures(3)
    begun, *after = states(tmp_path / "whole.tif", frames, link)[:-1]
    path = tmp_path / "growing.tif"
    path.write_bytes(b"")
    follower = FileFollower(path)
    with path.open("r+b", buffering=0) as file:
        for at in range(len(begun)):
            file.write(begun[at : at + 1])
            assert list(follower.poll()) == []
        for state, frame in zip(after, frames, strict=True):
            pixels_end = state.rindex(frame.tobytes()) + frame.nbytes
            for at in range(path.stat().st_size, len(state)):
                file.write(state[at : at + 1])
                whole = link == "pre" and at + 1 == pixels_end
                assert len(list(follower.poll())) == whole
            if link == "post":
                file.seek(0)
                file.write(state)  # differs from the file so far only in the link to the new page
                assert len(list(follower.poll())) == 1
    follower.close()


def test_a_file_is_finished_when_its_link_to_the_next_page_is_reset(tmp_path: Path) -> None:
    writer = start(tmp_path / "a.tif")
    follower = FileFollower(tmp_path / "a.tif")
    finished = []
    for state in ("begun", "one frame", "closed"):
        if state == "one frame":
            writer.append(pictures(1)[0], 0.0)
        if state == "closed":
            writer.close()
        list(follower.poll())
        finished.append(follower.finished)
    assert finished == [False, False, True]
    follower.close()


@any_path
@given(
    link=st.sampled_from(LINKS),
    pieces=st.lists(st.integers(30, 700), min_size=1, max_size=12),
    looks=st.integers(1, 4),
)
def test_a_writer_that_writes_in_any_pieces_gives_no_torn_page(
    tmp_path: Path, link: Link, pieces: list[int], looks: int
) -> None:
    """Exactly the complete pages are returned: in order, each with its own pixels, none twice."""
    path = tmp_path / "growing.tif"
    path.unlink(missing_ok=True)
    frames = pictures(4)
    writer = start(path, link)
    seen = []
    with closing(FileFollower(path)) as follower:
        for index, frame in enumerate(frames):
            size = pieces[index % len(pieces)]
            for step, _ in enumerate(writer.pieces(frame, 0.0, piece_bytes=size)):
                if step % looks == 0:
                    seen += [follower.pixels(page) for page in follower.poll()]
                assert len(seen) <= index + 1
        writer.close()
        seen += [follower.pixels(page) for page in follower.poll()]
    for found, frame in zip(seen, frames, strict=True):
        np.testing.assert_array_equal(found, frame)


@pytest.mark.parametrize("strict", [True, False])
def test_in_a_file_with_room_for_more_a_page_counts_when_the_next_has_begun(
    tmp_path: Path, strict: bool
) -> None:
    """The file is preallocated: its size has no meaning, and zeros are where pixels will be."""
    frames = pictures(3)
    begun, *after = states(tmp_path / "whole.tif", frames, "pre")
    path = tmp_path / "roomy.tif"
    path.write_bytes(begun.ljust(2 * len(after[-1]), b"\0"))
    seen = []
    with closing(FileFollower(path, strict=strict)) as follower, path.open("r+b", 0) as file:
        assert list(follower.poll()) == []
        for number, state in enumerate(after[:-1], start=1):
            for end in range(len(begun), len(state), 48):
                file.seek(0)
                file.write(state[:end])
                seen += [follower.pixels(page) for page in follower.poll()]
                assert len(seen) <= number - 1
            file.seek(0)
            file.write(state)
            begun = state
        assert len(seen) == 2 and follower.torn_bytes
        file.seek(0)
        file.write(after[-1])
        file.truncate()
        seen += [follower.pixels(page) for page in follower.poll()]
        assert follower.finished and not follower.torn_bytes
    for found, frame in zip(seen, frames, strict=True):
        np.testing.assert_array_equal(found, frame)


def test_a_page_being_written_into_preallocated_space_is_not_read(
    tmp_path: Path,
) -> None:
    frames = pictures(3)
    *_, before, last, closed = states(tmp_path / "whole.tif", frames, "pre")
    path = tmp_path / "roomy.tif"
    for end in range(len(before) + 16, len(last), 8):  # its tags have begun
        path.write_bytes(last[:end].ljust(2 * len(last), b"\0"))
        assert len(read_all(path)) == 2
    path.write_bytes(closed)
    assert len(read_all(path)) == 3


@pytest.mark.parametrize("link", LINKS)
def test_a_strict_follower_takes_the_last_page_of_a_closed_file_at_the_end(
    tmp_path: Path, link: Link
) -> None:
    path = save(tmp_path / "a.tif", pictures(3), link)
    with closing(FileFollower(path, strict=True)) as follower:
        assert len(list(follower.poll())) == 2
        assert len(list(follower.poll(ended=True))) == 1
    path.write_bytes(path.read_bytes() + bytes(5000))
    with closing(FileFollower(path, strict=True)) as follower:
        assert len(list(follower.poll(ended=True))) == 2


@pytest.mark.parametrize("big", [True, False])
@pytest.mark.parametrize(
    ("text", "version", "numbers"),
    [
        ("frameNumbers = {n}\nframeTimestamps_sec = 0.{n}\nSI.VERSION_MAJOR = '2015'", "2015", 3),
        ("Frame Number = {n}\nFrame Timestamp(s) = 0.{n}\nscanimage.SI5.VERSION_MAJOR = 5", "5", 3),
        ("scanimage.SI4.versionMajor = 4.2\nscanimage.SI4.channelsSave = 1", "4.2", 0),
        ("state.software.version=3.8\rstate.acq.zoomFactor=4", "3.8", 0),
    ],
)
def test_files_from_before_2016_have_their_header_in_each_page(
    tmp_path: Path, big: bool, text: str, version: str, numbers: int
) -> None:
    frames = pictures(3)
    with tifffile.TiffWriter(tmp_path / "old.tif", bigtiff=big) as writer:
        for n, frame in enumerate(frames, start=1):
            about = text.format(n=n).encode()
            writer.write(frame, description=about, metadata=None, contiguous=False)
    with closing(FileFollower(tmp_path / "old.tif")) as follower:
        pages = list(follower.poll())
        seen = [follower.pixels(page) for page in pages]
        assert follower.ends and not follower.torn_bytes
    assert follower.header.version == version
    assert [page.number for page in pages] == ([1, 2, 3] if numbers else [0, 0, 0])
    for found, frame in zip(seen, frames, strict=True):
        np.testing.assert_array_equal(found, frame)
