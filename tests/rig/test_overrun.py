"""A reader slower than the ring reads frames from the file, with a Fault; no node waits."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from rig.messages import Ended, Fault, Frame, Heartbeat, Message, Start
from rig.transport.bus import Bus
from rig.transport.envelope import Envelope, unpack
from rig.transport.frame_pixels import Pixels
from rig.transport.frame_ring import Ring, RingPlan
from tests.hubs import RunningHub, running_hub

SHAPE = (4, 6)
FRAME_BYTES = 4 * 6 * 2
SLOTS = 2
FRAMES = 12


class Kept:
    """A journal in memory."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def append(self, name: str, envelope: Envelope, data: bytes) -> None:
        self.messages.append(unpack(data)[1])

    def faults(self) -> list[str]:
        return [message.text for message in self.messages if isinstance(message, Fault)]


@pytest.fixture
def hub() -> Iterator[RunningHub]:
    with running_hub("stream", "online", "integrity") as hub:
        yield hub


def frames_of(bus: Bus, count: int) -> list[Frame]:
    """Receive the next frames, as a node does."""
    found: list[Frame] = []
    while len(found) < count:
        found += [message for _, message in bus.receive(None) if isinstance(message, Frame)]
    return found


def test_overrun_frames_are_read_from_the_file_and_each_series_is_reported_once(
    hub: RunningHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pages = np.arange(FRAMES * 24, dtype="<i2").reshape(FRAMES, *SHAPE)
    Path("a.tif").write_bytes(pages.tobytes())
    plan = RingPlan("ring", SLOTS, FRAME_BYTES)
    slots, kept = Ring(plan, create=True), Kept()
    stream = hub.bus("stream", Heartbeat, keeper=Kept())
    reader = hub.bus("online", Start, Frame, keeper=kept)
    stream.publish(Start(0, {"ring": msgspec.to_builtins(plan)}))
    received: list[Frame] = []

    def scan(*indices: int) -> None:
        for index in indices:
            slots.write(index, pages[index])
            stream.publish(Frame(0, index, "a.tif", index * FRAME_BYTES, *SHAPE, 0.0))

    scan(0, 1)
    received += frames_of(reader, 2)
    assert kept.faults() == []
    scan(2, 3, 4, 5, 6)  # 2, 3, 4 are overwritten before they are read
    received += frames_of(reader, 5)
    scan(7, 8, 9, 10, 11)  # 7, 8, 9 again
    received += frames_of(reader, 5)
    reader.end("online", "done", failed=False)
    for frame, page in zip(received, pages, strict=True):
        np.testing.assert_array_equal(frame.pixels, page)
    first, second = kept.faults()
    assert first.startswith("frame 2 was overwritten in the ring")
    assert second.startswith("frame 7 was overwritten in the ring")
    assert [w.overruns for w in kept.messages if isinstance(w, Ended)] == [6]
    again = Pixels()  # as in a replay, without a ring
    for frame in received:
        np.testing.assert_array_equal(again.of(frame).pixels, frame.pixels)
    slots.close()


def test_a_node_that_reads_no_pixels_is_never_overrun(hub: RunningHub, tmp_path: Path) -> None:
    plan = RingPlan(str(tmp_path / "ring"), SLOTS, FRAME_BYTES)
    slots, kept = Ring(plan, create=True), Kept()
    stream = hub.bus("stream", Heartbeat, keeper=Kept())
    reader = hub.bus("integrity", Start, Frame, keeper=kept, pixels=False)
    stream.publish(Start(0, {"ring": msgspec.to_builtins(plan)}))
    for index in range(2 * SLOTS):
        slots.write(index, np.zeros(SHAPE, "<i2"))
        stream.publish(Frame(0, index, "none.tif", 0, *SHAPE, 0.0))
    assert [frame.pixels for frame in frames_of(reader, 2 * SLOTS)] == [None] * 2 * SLOTS
    reader.end("integrity", "done", failed=False)
    assert [w.overruns for w in kept.messages if isinstance(w, Ended)] == [0]
    assert kept.faults() == []
    slots.close()
