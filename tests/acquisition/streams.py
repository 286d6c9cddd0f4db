"""A stream without its process, in a session folder, for the tests of this room."""

from typing import Any

import msgspec

from acquisition.stream import Stream
from rig.clock import SetClock
from rig.messages import Frame, Message, Start
from rig.transport.frame_ring import Ring, RingPlan


def ring(slots: int = 4, slot_bytes: int = 128) -> dict[str, Any]:
    """Make a ring as launch does, and return how Start names it."""
    plan = {"path": "ring", "slots": slots, "slot_bytes": slot_bytes}
    Ring(msgspec.convert(plan, RingPlan), create=True).close()
    return plan


def streaming(published: list[Message], plan: dict[str, Any] | None = None) -> Stream:
    stream = Stream(msgspec.convert({}, Stream.Settings), published.append)
    stream.clock = SetClock()
    stream.open()
    stream.tick(0)
    stream.handle(Start(0, {"seed": 1, "ring": plan}))
    return stream


def frames_of(published: list[Any]) -> list[Frame]:
    return [message for message in published if isinstance(message, Frame)]
