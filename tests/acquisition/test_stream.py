"""The stream: one Frame for each saved page, pixels in the ring, and Faults for gaps and damage."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from ScanImageTiffReader import ScanImageTiffReader

from acquisition.mesoscope import Mesoscope
from acquisition.simulation.scanimage_writer import Link
from acquisition.stream import Stream
from rig.clock import SetClock
from rig.errors import Refused
from rig.messages import Fault, Frame, Message, Start
from rig.transport.frame_ring import Ring, RingPlan, read_pixels
from tests.acquisition import volumes
from tests.acquisition.files import RATE_HZ, SHAPE, numbered, pictures, save
from tests.acquisition.files import start as start_file
from tests.acquisition.streams import frames_of, ring, streaming
from tests.acquisition.volumes import recording

LINKS: tuple[Link, ...] = ("pre", "post")
SECOND = 1_000_000_000
SHIPPED = Path(__file__).parents[2] / "rig" / "setups" / "simulated_cells.csv"


@pytest.fixture(autouse=True)
def imaging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to a session folder that has an imaging folder."""
    monkeypatch.chdir(tmp_path)
    Path("imaging").mkdir()
    return Path("imaging")


def pixels_of(frame: Frame) -> Any:
    shape = (frame.height_px, frame.width_px)
    return read_pixels(Path(frame.file), frame.offset_bytes, shape, frame.dtype)


@pytest.mark.parametrize("link", LINKS)
def test_each_page_is_published_once_with_its_pixels_in_ring_and_file(
    imaging: Path, link: Link
) -> None:
    published: list[Any] = []
    plan = ring(slots=4)
    reader = Ring(msgspec.convert(plan, RingPlan))
    stream = streaming(published, plan)
    frames = pictures(6)
    writer = start_file(imaging / "a_1.tif", link)
    for index, frame in enumerate(frames):
        writer.append(frame, index / RATE_HZ)
        stream.tick(index * SECOND)
        assert [message.index for message in frames_of(published)] == list(range(index + 1))
        found = reader.read(index, SHAPE, frames_of(published)[-1].dtype)
        np.testing.assert_array_equal(found, frame)
    stream.tick(7 * SECOND)
    writer.close()
    stream.close()
    reader.close()
    assert len(frames_of(published)) == 6
    for index, (message, frame) in enumerate(zip(frames_of(published), frames, strict=True)):
        assert (message.file, message.timestamp_s) == ("imaging/a_1.tif", index / RATE_HZ)
        np.testing.assert_array_equal(pixels_of(message), frame)


def test_what_is_streamed_is_what_the_vendors_reader_finds() -> None:
    """Microscope and stream side by side, as in a session."""
    published: list[Any] = []
    table = {"cells_file": str(SHIPPED), "height_px": 128, "width_px": 128}
    scope = Mesoscope(msgspec.convert(table, Mesoscope.Settings), published.append)
    scope.clock = SetClock()
    scope.open()
    plan = ring(slots=4, slot_bytes=128 * 128 * 2)
    reader = Ring(msgspec.convert(plan, RingPlan))
    frames: list[Message] = []
    stream = streaming(frames, plan)
    scope.handle(Start(0, {"seed": 3}))
    streamed = []
    for index in range(12):
        scope.tick(index * 333_333_333)
        stream.tick(index * 333_333_333)
        streamed.append(reader.read(index - 1, (128, 128), "<i2"))
    scope.close()
    stream.tick(12 * 333_333_333)
    streamed = [*streamed[1:], reader.read(11, (128, 128), "<i2")]
    stream.close()
    reader.close()
    (path,) = Path("imaging").glob("*.tif")
    with ScanImageTiffReader(str(path)) as vendor:
        theirs = vendor.data()
    assert len(frames_of(frames)) == 12
    np.testing.assert_array_equal(np.stack(streamed), theirs)  # type: ignore[arg-type]


def test_a_backlog_is_read_over_several_ticks(imaging: Path) -> None:
    """So that heartbeats are sent in between; here each page takes 20 ms."""
    published: list[Message] = []
    clock = SetClock()

    def publish(message: Message) -> None:
        published.append(message)
        if isinstance(message, Frame):
            clock.set(clock.now() + 20_000_000)

    stream = streaming(published)
    stream.publish, stream.clock = publish, clock
    save(imaging / "a.tif", pictures(4))
    save(imaging / "b.tif", pictures(4))
    counts = []
    for second in range(1, 5):
        stream.tick(second * SECOND)
        counts.append(len(frames_of(published)))
    assert counts == [3, 6, 8, 8]
    assert [message.index for message in frames_of(published)] == list(range(8))
    stream.close()


@pytest.mark.parametrize(
    ("numbers", "missing"),
    [
        ([1, 2, 3], None),
        ([4, 5], None),
        ([1, 2, 4, 5], "imaging/a.tif: frame 3 is missing: ScanImage did not save it"),
        ([1, 6], "imaging/a.tif: frames 2 to 5 are missing: ScanImage did not save them"),
    ],
)
def test_a_gap_in_the_frame_numbers_is_a_fault(
    imaging: Path, numbers: list[int], missing: str | None
) -> None:
    published: list[Message] = []
    stream = streaming(published)
    numbered(imaging / "a.tif", numbers)
    stream.tick(SECOND)
    frames = [message for message in published if isinstance(message, Frame)]
    faults = [message.text for message in published if isinstance(message, Fault)]
    assert [frame.index for frame in frames] == list(range(len(numbers)))
    assert faults == ([missing] if missing else [])
    (imaging / "a.tif").unlink()
    stream.close()


@pytest.mark.parametrize(
    ("second", "missing"),
    [
        ([3, 4], []),
        ([1, 2], []),
        ([5], ["imaging/b.tif: frames 3 to 4 are missing: ScanImage did not save them"]),
    ],
)
def test_the_index_runs_on_over_files(imaging: Path, second: list[int], missing: list[str]) -> None:
    published: list[Message] = []
    stream = streaming(published)
    numbered(imaging / "a.tif", [1, 2])
    stream.tick(SECOND)
    numbered(imaging / "b.tif", second)
    stream.tick(2 * SECOND)
    stream.close()
    frames = [message for message in published if isinstance(message, Frame)]
    assert [frame.index for frame in frames] == list(range(2 + len(second)))
    assert [frame.file for frame in frames[2:]] == ["imaging/b.tif"] * len(second)
    assert [message.text for message in published if isinstance(message, Fault)] == missing


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda path: numbered(path, [1, 1]), "has more pages of frame 1 than channels saved"),
        (
            lambda path: path.write_bytes(b"no TIFF, and long enough to be looked at at all"),
            "is not a little-endian TIFF",
        ),
    ],
)
def test_a_damaged_file_ends_the_stream_with_one_sentence(
    imaging: Path, spoil: Any, why: str
) -> None:
    stream = streaming([])
    spoil(imaging / "a.tif")
    with pytest.raises(Refused, match=f"imaging/a.tif .*{why}"):
        stream.tick(SECOND)
    stream.close()


def test_a_frame_larger_than_the_ring_ends_the_stream(imaging: Path) -> None:
    stream = streaming([], ring(slot_bytes=16))
    save(imaging / "a.tif", pictures(1))
    with pytest.raises(Refused, match="ring_slot_mb"):
        stream.tick(SECOND)
    stream.close()


def test_a_folder_elsewhere_that_is_not_there_is_refused_before_the_session(
    imaging: Path, tmp_path: Path
) -> None:
    table = {"imaging_folder": str(tmp_path / "share")}
    published: list[Message] = []
    stream = Stream(msgspec.convert(table, Stream.Settings), published.append)
    with pytest.raises(Refused, match=r"imaging folder .*share does not exist; mount it"):
        stream.open()


def test_a_strict_stream_publishes_a_page_once_the_next_has_begun(imaging: Path) -> None:
    published: list[Any] = []
    stream = Stream(msgspec.convert({"strict": True}, Stream.Settings), published.append)
    stream.clock = SetClock()
    stream.open()
    stream.handle(Start(0, {}))
    writer = start_file(imaging / "a.tif")
    for number, frame in enumerate(pictures(3), start=1):
        writer.append(frame, 0.0)
        stream.tick(number * SECOND)
        assert len(frames_of(published)) == number - 1
    writer.close()
    stream.close()
    assert [frame.number for frame in frames_of(published)] == [1, 2, 3]


def test_it_closes_without_any_file_and_without_start(imaging: Path) -> None:
    published: list[Message] = []
    streaming(published, ring()).close()
    Stream(msgspec.convert({}, Stream.Settings), published.append).close()
    assert published == []


def test_the_second_acquisition_of_a_loop_begins_a_new_volume(imaging: Path) -> None:
    """The first one stopped inside a volume; fly-back pages are saved, but give no Frame."""
    published: list[Any] = []
    stream = streaming(published)
    loop = recording(3, flyback=1)
    frames = list(volumes.frames_of(loop, "saved", (10, 9)))
    for acquisition in (1, 2):
        part = [frame for frame in frames if frame.acquisition == acquisition]
        volumes.save(imaging / f"vr_{acquisition:05d}_00001.tif", loop, part)
    stream.tick(SECOND)
    stream.close()
    shown = [int(pixels_of(message)[0, 0]) - 1 for message in frames_of(published)]
    assert [message.plane for message in frames_of(published)] == shown
    assert shown == [frame.slice_ for frame in frames if frame.slice_ is not None]
    assert [message for message in published if isinstance(message, Fault)] == []


def test_a_header_that_leaves_the_depth_open_ends_the_session_with_a_sentence(
    imaging: Path,
) -> None:
    stream = streaming([])
    averaged = recording(2, frames_per_slice=3, averaged=2)
    volumes.save(imaging / "a.tif", averaged, list(volumes.frames_of(averaged, "saved", (3,))))
    with pytest.raises(Refused, match=r"a\.tif averages 2 frames .* so that a page mixes depths"):
        stream.tick(SECOND)
    stream.close()


def test_a_file_deleted_under_the_stream_is_a_fault_for_integrity_within_two_seconds(
    imaging: Path,
) -> None:
    published: list[Any] = []
    stream = streaming(published)
    writer = start_file(imaging / "a.tif")
    writer.append(pictures(1)[0], 0.0)
    stream.tick(SECOND)
    (imaging / "a.tif").unlink()
    stream.tick(2 * SECOND)
    (fault,) = [message for message in published if isinstance(message, Fault)]
    assert fault.finding == "file lost"
    assert fault.pause
    assert fault.text.startswith("imaging/a.tif was deleted during the session")
    writer.close()
    stream.close()
    assert len([message for message in published if isinstance(message, Fault)]) == 1
