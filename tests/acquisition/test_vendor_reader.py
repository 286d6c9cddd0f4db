"""Closed files: the vendor's reader agrees with ours, and never gets what would crash it."""

import threading
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from ScanImageTiffReader import ScanImageTiffReader

from acquisition.files.vendor_reader import ClosedFile, pages_in
from acquisition.follow.file_follower import FileFollower
from acquisition.simulation.scanimage_writer import Link
from rig.errors import Refused
from tests.acquisition.files import RATE_HZ, SHAPE, pictures, save, start

LINKS: tuple[Link, ...] = ("pre", "post")
SHARED = Path(__file__).parents[2].parent / "shared" / "data"


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("count", [1, 2, 7])
def test_three_readers_agree_on_every_pixel(tmp_path: Path, link: Link, count: int) -> None:
    frames = np.stack(pictures(count))
    path = save(tmp_path / "a.tif", list(frames), link)
    with closing(FileFollower(path)) as follower:
        ours = np.stack([follower.pixels(page) for page in follower.poll()])
    with ScanImageTiffReader(str(path)) as reader:
        theirs = reader.data()
    np.testing.assert_array_equal(ours, frames)
    np.testing.assert_array_equal(theirs.reshape(frames.shape), frames)
    np.testing.assert_array_equal(tifffile.imread(path).reshape(frames.shape), frames)
    assert pages_in(path) == count


def test_a_real_movie_is_read_bit_for_bit(tmp_path: Path) -> None:
    movie = SHARED / "mesoscope_movie" / "frames_000_127.tif"
    if not movie.exists():
        pytest.skip(f"{movie.name} is not on this machine")
    frames = tifffile.imread(movie)[:10]
    path = save(tmp_path / "movie.tif", list(frames))
    with ScanImageTiffReader(str(path)) as reader:
        np.testing.assert_array_equal(reader.data(), frames)
    assert pages_in(path) == 10


def test_both_other_readers_recognize_a_scanimage_file(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", pictures(3))
    with tifffile.TiffFile(path) as file:
        assert file.is_scanimage and file.scanimage_metadata is not None
        facts = file.scanimage_metadata["FrameData"]
        assert facts["SI.hRoiManager.scanFrameRate"] == RATE_HZ
        regions = file.scanimage_metadata["RoiGroups"]
        software = file.pages[0].tags["Software"].value  # type: ignore[union-attr]
    field = regions["imagingRoiGroup"]["rois"]["scanfields"]
    assert field["pixelResolutionXY"] == [SHAPE[1], SHAPE[0]]
    assert "SI.hRoiManager.scanFrameRate = 10\n" in software
    with ScanImageTiffReader(str(path)) as reader:
        assert "frameNumbers = 3\n" in reader.description(2)
        assert "frameTimestamps_sec = 0.200000000\n" in reader.description(2)
        assert "epoch = [2025 03 04 09 30 5.250]" in reader.description(2)
        metadata = reader.metadata()
    with closing(FileFollower(path)) as follower:
        list(follower.poll())
        assert follower.regions["RoiGroups"] == regions
        assert follower.static is not None and follower.static in metadata
        assert follower.frame_period_s == 1 / RATE_HZ


def test_a_file_without_frames_has_none(tmp_path: Path) -> None:
    assert pages_in(save(tmp_path / "a.tif", [])) == 0


def test_a_file_that_was_not_closed_is_refused(tmp_path: Path) -> None:
    writer = start(tmp_path / "a.tif")
    writer.append(pictures(1)[0], 0.0)
    with pytest.raises(Refused, match="not closed after its 1 pages"):
        pages_in(tmp_path / "a.tif")
    writer.close()
    assert pages_in(tmp_path / "a.tif") == 1


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("lost_bytes", [10, 110, 500])
def test_a_torn_file_is_refused(tmp_path: Path, link: Link, lost_bytes: int) -> None:
    raw = save(tmp_path / "a.tif", pictures(2), link).read_bytes()
    (tmp_path / "torn.tif").write_bytes(raw[:-lost_bytes])
    with pytest.raises(Refused, match=r"torn\.tif ends inside a page, after 1 complete pages"):
        pages_in(tmp_path / "torn.tif")


def test_a_file_that_is_not_from_scanimage_is_refused(tmp_path: Path) -> None:
    (tmp_path / "short.tif").write_bytes(b"II")
    with pytest.raises(Refused, match="ends inside a page, after 0 complete pages"):
        pages_in(tmp_path / "short.tif")
    tifffile.imwrite(tmp_path / "zlib.tif", pictures(1)[0], bigtiff=True, compression="zlib")
    with pytest.raises(Refused, match="is compressed"):
        pages_in(tmp_path / "zlib.tif")


@pytest.mark.parametrize("count", [1, 2, 7])
def test_ranges_are_checked_before_the_vendors_reader_sees_them(tmp_path: Path, count: int) -> None:
    frames = np.stack(pictures(count))
    with closing(ClosedFile(save(tmp_path / "a.tif", list(frames)))) as file:
        for first in range(-2, count + 2):
            for after in range(-2, count + 3):
                if 0 <= first < after <= count:
                    np.testing.assert_array_equal(file.read(first, after), frames[first:after])
                else:
                    with pytest.raises(Refused, match=f"has {count} pages, not pages {first} to"):
                        file.read(first, after)
        file.path.write_bytes(file.path.read_bytes().replace(b"I2CData", b"I2C\xad\x8d\xffa"))
        with pytest.raises(Refused, match="page 0 whose description is not text"):
            file.description(0)
        file.path.write_bytes(file.path.read_bytes().replace(b"I2C\xad\x8d\xffa", b"I2CData"))
        for page in (-1, count):
            with pytest.raises(Refused, match=f"not a page {page}"):
                file.description(page)
        assert f"frameNumbers = {count}\n" in file.description(count - 1)
    with pytest.raises(Refused, match="has been closed"):
        file.read(0, 1)
    with pytest.raises(Refused, match="has been closed"):
        file.description(0)
    file.close()


def test_it_may_be_closed_while_another_thread_reads(tmp_path: Path) -> None:
    """The vendor's reader would crash without the lock."""
    frames = np.stack(pictures(40, (64, 64)))
    file = ClosedFile(save(tmp_path / "a.tif", list(frames)))
    reading, ends = threading.Barrier(5), []

    def read() -> None:
        reading.wait()
        try:
            while True:
                np.testing.assert_array_equal(file.read(3, 40), frames[3:])
        except Refused as refusal:
            ends.append(str(refusal))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    reading.wait()
    file.close()
    for thread in threads:
        thread.join()
    assert len(ends) == 4 and all("has been closed" in end for end in ends)


def test_pages_that_the_vendors_reader_misreads_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(ClosedFile(save(tmp_path / "a.tif", pictures(3)))) as file:
        right = file.read(0, 3)
        wrong = SimpleNamespace(data=lambda *_: right + (right > 9), close=lambda: None)
        monkeypatch.setattr(file, "_reader", wrong)
        with pytest.raises(Refused, match="is read wrongly by ScanImage's reader"):
            file.read(0, 3)
