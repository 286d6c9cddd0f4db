"""An envelope shows which messages are missing or were changed in transit."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rig.clock import SetClock
from rig.messages import Heartbeat, Lick, Position, Wheel, kind
from rig.transport.envelope import CorruptMessage, Sender, SequenceTracker, pack, unpack


def test_a_message_is_decoded_as_it_was_published() -> None:
    clock = SetClock()
    clock.set(7)
    message = Position(5, 3, 1.25, 60.0, True, "corridor")
    envelope, back = unpack(pack(Sender("task", clock).wrap(message)))
    assert back == message
    assert (envelope.sender, envelope.incarnation, envelope.seq, envelope.sent) == ("task", 0, 0, 7)


@given(st.data())
def test_a_changed_byte_never_gives_another_message(data: st.DataObject) -> None:
    message = Lick(data.draw(st.integers(0, 2**60)), "centre")
    sound = pack(Sender("hardware", SetClock()).wrap(message))
    at = data.draw(st.integers(0, len(sound) - 1))
    flip = data.draw(st.integers(1, 255))
    changed = sound[:at] + bytes([sound[at] ^ flip]) + sound[at + 1 :]
    try:
        _, back = unpack(changed)
    except CorruptMessage:
        return
    assert back == message


def test_random_bytes_are_rejected() -> None:
    for garbage in (b"", b"GET / HTTP/1.1", b"\x96\xa1", bytes(100)):
        with pytest.raises(CorruptMessage):
            unpack(garbage)


def test_an_older_message_gets_the_defaults_of_appended_fields() -> None:
    old = msgspec.msgpack.encode(["Position", 5, 3, 1.25, 60.0, True, "corridor"])
    assert msgspec.msgpack.decode(old, type=Position).order == 0


@given(st.lists(st.booleans(), min_size=1, max_size=30), st.booleans())
def test_the_sequence_tracker_counts_lost_messages_exactly(
    received: list[bool], late: bool
) -> None:
    sender = Sender("hardware", SetClock())
    envelopes = [sender.wrap(Wheel(t, t, 0.0)) for t in range(len(received))]
    last = max((i for i, h in enumerate(received) if h), default=-1)
    tracker = SequenceTracker()
    missing = sum(tracker.add("Wheel", e) for e, h in zip(envelopes, received, strict=True) if h)
    assert missing == received[: last + 1].count(False)
    whole = sender.published() == tracker.of("hardware")
    assert whole == all(received)


def test_the_first_heartbeat_may_have_any_number() -> None:
    sender = Sender("task", SetClock())
    beats = [sender.wrap(Heartbeat(t, True)) for t in range(4)]
    tracker = SequenceTracker()
    assert [tracker.add(kind(Heartbeat), e) for e in beats[2:]] == [0, 0]
