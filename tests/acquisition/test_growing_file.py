"""Read while another process writes: no incomplete page, few polls, a full disk is survived."""

import resource
import signal
import subprocess
import sys
import tracemalloc
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from acquisition.files.file_check import check, repair
from acquisition.follow import folder_follower as folders
from acquisition.follow.file_follower import FileFollower
from acquisition.follow.folder_follower import FolderFollower
from acquisition.follow.growing_file import GrowingFile
from acquisition.stream import Stream
from rig.clock import SetClock
from rig.errors import Refused
from rig.messages import Fault, Frame, Start
from rig.transport.frame_ring import Ring, RingPlan
from tests.acquisition.files import pictures, save, start

PAGES = 400
SECOND = 1_000_000_000


@pytest.mark.parametrize("link", ["pre", "post"])
def test_pages_of_a_writing_process_are_never_torn(tmp_path: Path, link: str) -> None:
    """It saves as fast as it can in pieces of 1 kB; a page is full of its own number."""
    numbers = [str(tmp_path), "24", "40", "0", str(PAGES), link, "1"]
    command = [sys.executable, "-m", "rig.cli.bench.imaging.page_source", *numbers]
    had: list[int] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        with closing(FolderFollower(tmp_path)) as following:
            while len(had) < PAGES:
                ended = writer.poll() is not None
                for file, page in following.poll(ended=ended):
                    pixels = file.pixels(page)
                    assert (pixels == page.number - 1).all()
                    had.append(page.number)
                assert not ended or len(had) == PAGES
        writer.communicate()
    assert had == list(range(1, PAGES + 1))


def test_bytes_are_read_by_position_and_only_where_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("os.pread", raising=False)  # Windows has none
    path = tmp_path / "a"
    path.write_bytes(bytes(range(100)))
    with closing(GrowingFile(path)) as file:
        assert file.read(90, 10) == bytes(range(90, 100))
        assert file.read(90, 11) is None
        assert file.read(0, 4) == bytes(range(4))
        path.write_bytes(bytes(200))
        assert file.read(1, 4) == bytes(range(1, 5))  # read ahead, not forgotten yet
        assert file.read_anew(1, 4) == bytes(4)
        file.forget()
        assert file.read(1, 4) == bytes(4) and file.reaches(200) and not file.reaches(201)
        body = np.ones(8, np.uint8)
        assert file.read_into(192, body) and not body.any()
        assert not file.read_into(193, body)


def streaming(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, published: list[Any]) -> Stream:
    monkeypatch.chdir(tmp_path)
    Path("imaging").mkdir()
    stream = Stream(msgspec.convert({}, Stream.Settings), published.append)
    stream.clock = SetClock()
    stream.open()
    stream.handle(Start(0, {}))
    return stream


def test_the_folder_is_asked_ten_times_a_second_and_the_file_when_a_page_is_due(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages come every 100 ms: it looks in steps of 5 ms, and from 85 ms on in steps of 1 ms."""
    asked: list[Path] = []
    tiffs_in = folders.tiffs_in
    published: list[Any] = []
    stream = streaming(tmp_path, monkeypatch, published)

    def asking(path: Path) -> dict[Path, folders.FileState]:
        asked.append(path)
        return tiffs_in(path)

    monkeypatch.setattr(folders, "tiffs_in", asking)
    writer = start(Path("imaging/a_1.tif"))
    now, due, periods = 0, 0, []
    while now < SECOND:
        if now >= due:
            writer.append(pictures(1)[0], now / SECOND)
            due += SECOND // 10
        stream.tick(now)
        periods.append((now % (SECOND // 10), stream.period_s))
        now += round((stream.period_s or 0) * SECOND)
    writer.close()
    stream.close()
    assert len([message for message in published if isinstance(message, Frame)]) == 10
    assert 10 <= len(asked) - 1 <= 13
    later = periods[len(periods) // 2 :]
    assert {period for since, period in later if 1_000_000 < since < 80_000_000} == {0.005}
    assert {period for since, period in later if since > 90_000_000} == {0.001}


def test_a_folder_that_vanishes_ends_the_stream_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published: list[Any] = []
    stream = streaming(tmp_path, monkeypatch, published)
    save(Path("imaging/a_1.tif"), pictures(2))
    stream.tick(SECOND)
    Path("imaging/a_1.tif").unlink()
    Path("imaging").rmdir()
    with pytest.raises(Refused, match="imaging folder imaging has been removed; restore it"):
        stream.tick(2 * SECOND)
    stream.close()
    assert len([message for message in published if isinstance(message, Frame)]) == 2


def test_a_file_that_loses_its_pages_gets_one_sentence(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", pictures(2))
    with closing(FileFollower(path)) as follower:
        page = next(follower.poll())
        path.write_bytes(path.read_bytes()[: page.offset_bytes + 9])
        with pytest.raises(Refused, match=r"a\.tif has become shorter: frame 1 is lost"):
            follower.pixels(page)


def test_what_was_saved_before_the_disk_was_full_is_followed_and_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Limit the file size of the writing process, so that its last page breaks off."""
    published: list[Any] = []
    stream = streaming(tmp_path, monkeypatch, published)

    def fill_up() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    numbers = ["imaging", "24", "40", "0", "50", "pre", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "rig.cli.bench.imaging.page_source", *numbers],
        cwd=tmp_path, preexec_fn=fill_up, capture_output=True, text=True, check=False,
        # Python would cut off the .pyc files that it writes under the limit
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert done.returncode == 1 and "File too large" in done.stderr
    stream.tick(SECOND)
    monkeypatch.setattr("acquisition.stream.time.sleep", lambda _: None)
    stream.close()
    frames = [message for message in published if isinstance(message, Frame)]
    fault = published[-1]
    assert 2 <= len(frames) < 50 and isinstance(fault, Fault)
    assert fault.text == "imaging/bench_00001.tif ends inside a frame, which is left out"
    cut = Path("imaging/bench_00001.tif")
    pages, lost_bytes = repair(cut, Path("mended.tif"))
    assert pages == len(frames) and lost_bytes > 0
    (one,) = check([Path("mended.tif")])
    assert one.problems == [] and one.pages == pages


def test_a_page_is_read_straight_into_its_slot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No memory of the size of a page is allocated, so no copy of it was made."""
    monkeypatch.chdir(tmp_path)
    Path("imaging").mkdir()
    page = np.arange(400 * 500, dtype=np.int16).reshape(400, 500)
    plan = RingPlan("ring", 2, page.nbytes)
    reader = Ring(plan, create=True)
    published: list[Any] = []
    stream = Stream(msgspec.convert({}, Stream.Settings), published.append)
    stream.clock = SetClock()
    stream.open()
    stream.handle(Start(0, {"ring": msgspec.to_builtins(plan)}))
    writer = start(Path("imaging/a.tif"), shape=page.shape)
    writer.append(page, 0.0)
    stream.tick(0)
    writer.append(page[::-1], 0.1)
    tracemalloc.start()
    try:
        stream.tick(SECOND)
        _, most_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    stream.close()
    writer.close()
    np.testing.assert_array_equal(reader.read(1, page.shape, "<i2"), page[::-1])
    reader.close()
    assert [message.index for message in published if isinstance(message, Frame)] == [0, 1]
    assert most_bytes < page.nbytes / 4
