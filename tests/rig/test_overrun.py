"""A reader slower than the ring: it gets every frame from the file, and says so; nobody waits."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from rig.bus import Bus
from rig.clock import RealClock, monotonic_ns
from rig.envelope import Envelope, Voice, unpack
from rig.frames import Ring, RingPlan
from rig.hub import Hub
from rig.messages import Beat, Ended, Fault, Frame, Message, Start
from rig.pixels import Pixels
from tests.ports import free_port

SHAPE = (4, 6)
FRAME_BYTES = 4 * 6 * 2
SLOTS = 2
FRAMES = 12


class Kept:
    """A journal in memory."""

    def __init__(self) -> None:
        self.words: list[Message] = []

    def append(self, name: str, envelope: Envelope, data: bytes) -> None:
        self.words.append(unpack(data)[1])

    def faults(self) -> list[str]:
        return [word.what for word in self.words if isinstance(word, Fault)]


@pytest.fixture
def port() -> Iterator[int]:
    at = free_port()
    hub = Hub(at)
    yield at
    hub.close()


def met(
    speaker: str, port: int, hears: tuple[type[Message], ...], kept: Kept, pixels: bool = True
) -> Bus:
    clock = RealClock(monotonic_ns())
    bus = Bus(Voice(speaker, clock), port, hears, clock, kept, pixels=pixels)
    bus.meet()
    return bus


def frames_of(bus: Bus, count: int) -> list[Frame]:
    """Hear the next frames, as they come to a node."""
    found: list[Frame] = []
    while len(found) < count:
        found += [word for _, word in bus.hear(None) if isinstance(word, Frame)]
    return found


def test_overruns_come_from_the_file_and_are_counted_and_said_once_a_run(
    port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pages = np.arange(FRAMES * 24, dtype="<i2").reshape(FRAMES, *SHAPE)
    Path("a.tif").write_bytes(pages.tobytes())
    plan = RingPlan("ring", SLOTS, FRAME_BYTES)
    slots, kept = Ring(plan, create=True), Kept()
    stream = met("stream", port, (Beat,), Kept())
    reader = met("online", port, (Start, Frame), kept)
    stream.say(Start(0, {"ring": msgspec.to_builtins(plan)}))
    heard: list[Frame] = []

    def scan(*indices: int) -> None:
        for index in indices:
            slots.write(index, pages[index])
            stream.say(Frame(0, index, "a.tif", index * FRAME_BYTES, *SHAPE, 0.0))

    scan(0, 1)
    heard += frames_of(reader, 2)
    assert kept.faults() == []
    scan(2, 3, 4, 5, 6)  # 2, 3, 4 are overwritten before anybody looks
    heard += frames_of(reader, 5)
    scan(7, 8, 9, 10, 11)  # 7, 8, 9 again
    heard += frames_of(reader, 5)
    reader.end("online", "done", failed=False)
    for frame, page in zip(heard, pages, strict=True):
        np.testing.assert_array_equal(frame.pixels, page)
    first, second = kept.faults()
    assert first.startswith("frame 2 was overwritten in the ring")
    assert second.startswith("frame 7 was overwritten in the ring")
    assert [w.overruns for w in kept.words if isinstance(w, Ended)] == [6]
    again = Pixels()  # as a replay reads them, with no ring
    for frame in heard:
        np.testing.assert_array_equal(again.of(frame).pixels, frame.pixels)
    slots.close()
    for bus in (stream, reader):
        bus.close()


def test_who_reads_no_pixels_gets_none_and_overruns_nothing(port: int, tmp_path: Path) -> None:
    plan = RingPlan(str(tmp_path / "ring"), SLOTS, FRAME_BYTES)
    slots, kept = Ring(plan, create=True), Kept()
    stream = met("stream", port, (Beat,), Kept())
    reader = met("integrity", port, (Start, Frame), kept, pixels=False)
    stream.say(Start(0, {"ring": msgspec.to_builtins(plan)}))
    for index in range(2 * SLOTS):
        slots.write(index, np.zeros(SHAPE, "<i2"))
        stream.say(Frame(0, index, "none.tif", 0, *SHAPE, 0.0))
    assert [frame.pixels for frame in frames_of(reader, 2 * SLOTS)] == [None] * 2 * SLOTS
    reader.end("integrity", "done", failed=False)
    assert [w.overruns for w in kept.words if isinstance(w, Ended)] == [0]
    assert kept.faults() == []
    slots.close()
    for bus in (stream, reader):
        bus.close()
