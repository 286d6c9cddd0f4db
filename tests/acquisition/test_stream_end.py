"""The end of a stream: saved frames are published, those being saved are awaited for 1 s."""

from pathlib import Path

import pytest

from acquisition.simulation.scanimage_writer import Link
from rig.messages import Fault, Frame, Message
from tests.acquisition.files import RATE_HZ, pictures, save
from tests.acquisition.files import start as start_file
from tests.acquisition.streams import frames_of, streaming

LINKS: tuple[Link, ...] = ("pre", "post")
SECOND = 1_000_000_000


@pytest.fixture(autouse=True)
def imaging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to a session folder that has an imaging folder."""
    monkeypatch.chdir(tmp_path)
    Path("imaging").mkdir()
    return Path("imaging")


def test_frames_saved_before_the_end_are_published_at_the_end(imaging: Path) -> None:
    published: list[Message] = []
    stream = streaming(published)
    save(imaging / "a.tif", pictures(5))
    stream.close()
    assert [message.index for message in published if isinstance(message, Frame)] == [0, 1, 2, 3, 4]


def test_frames_still_being_saved_at_the_end_are_waited_for(
    imaging: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The microscope continues to save while the stopped stream polls the file."""
    published: list[Message] = []
    stream = streaming(published)
    writer = start_file(imaging / "a.tif")
    frames = iter(pictures(3))
    waits = []

    def save_on(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) % 20 == 0:
            frame = next(frames, None)
            if frame is None:
                writer.close()
            else:
                writer.append(frame, 0.0)

    monkeypatch.setattr("acquisition.stream.time.sleep", save_on)
    stream.tick(SECOND)
    stream.close()
    assert len([message for message in published if isinstance(message, Frame)]) == 3
    assert len(waits) == 80


@pytest.mark.parametrize("link", LINKS)
def test_it_does_not_wait_forever_for_a_file_that_is_never_closed(
    imaging: Path, monkeypatch: pytest.MonkeyPatch, link: Link
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("acquisition.stream.time.sleep", waits.append)
    published: list[Message] = []
    stream = streaming(published)
    writer = start_file(imaging / "a.tif", link)
    writer.append(pictures(1)[0], 0.0)
    stream.close()
    writer.close()
    assert len(frames_of(published)) == 1
    assert 2 / RATE_HZ - 0.01 <= sum(waits) <= 1


def test_an_incomplete_frame_is_a_fault_and_left_out(
    imaging: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("acquisition.stream.time.sleep", waits.append)
    published: list[Message] = []
    stream = streaming(published)
    raw = save(imaging / "a.tif", pictures(3)).read_bytes()
    (imaging / "a.tif").write_bytes(raw[:-50])
    stream.tick(SECOND)
    stream.close()
    *_, fault = published
    assert len(frames_of(published)) == 2
    assert fault == Fault(0, "imaging/a.tif ends inside a frame, which is left out")
