"""An envelope tells what is missing and what was changed on the way."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rig.clock import SetClock
from rig.envelope import Garbled, Ledger, Voice, pack, unpack
from rig.messages import Beat, Lick, Position, Wheel, kind


def test_a_word_comes_back_as_it_was_said() -> None:
    clock = SetClock()
    clock.set(7)
    word = Position(5, 3, 1.25, 60.0, True, "corridor")
    envelope, back = unpack(pack(Voice("task", clock).wrap(word)))
    assert back == word
    assert (envelope.speaker, envelope.life, envelope.seq, envelope.sent) == ("task", 0, 0, 7)


@given(st.data())
def test_a_changed_byte_never_passes_as_another_word(data: st.DataObject) -> None:
    word = Lick(data.draw(st.integers(0, 2**60)), "centre")
    sound = pack(Voice("hardware", SetClock()).wrap(word))
    at = data.draw(st.integers(0, len(sound) - 1))
    flip = data.draw(st.integers(1, 255))
    changed = sound[:at] + bytes([sound[at] ^ flip]) + sound[at + 1 :]
    try:
        _, back = unpack(changed)
    except Garbled:
        return
    assert back == word


def test_garbage_is_garbled() -> None:
    for garbage in (b"", b"GET / HTTP/1.1", b"\x96\xa1", bytes(100)):
        with pytest.raises(Garbled):
            unpack(garbage)


def test_an_older_word_gets_the_defaults_of_appended_fields() -> None:
    old = msgspec.msgpack.encode(["Position", 5, 3, 1.25, 60.0, True, "corridor"])
    assert msgspec.msgpack.decode(old, type=Position).order == 0


@given(st.lists(st.booleans(), min_size=1, max_size=30), st.booleans())
def test_the_ledger_counts_exactly_what_was_lost(heard: list[bool], late: bool) -> None:
    voice = Voice("hardware", SetClock())
    envelopes = [voice.wrap(Wheel(t, t, 0.0)) for t in range(len(heard))]
    last = max((i for i, h in enumerate(heard) if h), default=-1)
    ledger = Ledger()
    missing = sum(ledger.add("Wheel", e) for e, h in zip(envelopes, heard, strict=True) if h)
    assert missing == heard[: last + 1].count(False)
    whole = voice.ledger.of("hardware") == ledger.of("hardware")
    assert whole == all(heard)


def test_the_first_beat_heard_may_have_any_number() -> None:
    voice = Voice("task", SetClock())
    beats = [voice.wrap(Beat(t, True)) for t in range(4)]
    ledger = Ledger()
    assert [ledger.add(kind(Beat), e) for e in beats[2:]] == [0, 0]
