"""The Harp protocol: a real board's stream, another implementation, and damaged bytes."""

import random
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from harp.protocol import HarpMessage as ReferenceMessage
from harp.protocol import HarpParseError, MessageType, PayloadType
from hypothesis import given
from hypothesis import strategies as st

from behavior.devices.harp.messages import (
    EVENT,
    FLOAT,
    READ,
    S8,
    S16,
    S32,
    S64,
    U8,
    U16,
    U32,
    U64,
    WRITE,
    HarpMessage,
    Parser,
    Register,
    build,
)
from tests.behavior.sessions import SHARED

STREAM = SHARED / "harp" / "behavior_board_5000_messages.bin"
ORACLE = {
    U8: PayloadType.U8,
    U16: PayloadType.U16,
    U32: PayloadType.U32,
    U64: PayloadType.U64,
    S8: PayloadType.S8,
    S16: PayloadType.S16,
    S32: PayloadType.S32,
    S64: PayloadType.S64,
    FLOAT: PayloadType.Float,
}
KNOWN = {
    0: Register(U16),
    10: Register(U8),
    32: Register(U8),
    44: Register(S16, (2, 3)),
    49: Register(U16),
}
STEP_NS = 32_000


def _value(payload_type: int) -> st.SearchStrategy[int | float]:
    if payload_type == FLOAT:
        return st.floats(width=32, allow_nan=False)
    bits = 8 * (payload_type & 0x0F)
    low = -(1 << bits - 1) if payload_type & 0x80 else 0
    return st.integers(low, low + (1 << bits) - 1)


@st.composite
def messages(draw: st.DrawFn) -> HarpMessage:
    """Return any message of the protocol."""
    payload_type = draw(st.sampled_from(sorted(ORACLE)))
    values = tuple(draw(st.lists(_value(payload_type), max_size=6)))
    seconds, steps = draw(st.integers(0, 2**32 - 1)), draw(st.integers(0, 31_249))
    device_ns = draw(st.sampled_from([None, seconds * 1_000_000_000 + steps * STEP_NS]))
    kind = draw(st.sampled_from([READ, WRITE, EVENT]))
    error = kind != EVENT and draw(st.booleans())
    return HarpMessage(kind, draw(st.integers(0, 255)), payload_type, values, device_ns, error)


@st.composite
def known_messages(draw: st.DrawFn) -> HarpMessage:
    """Return a message of a board with the registers KNOWN."""
    address = draw(st.sampled_from(sorted(KNOWN)))
    register = KNOWN[address]
    size = draw(st.sampled_from(register.counts))
    values = draw(st.lists(_value(register.payload_type), min_size=size, max_size=size))
    seconds, steps = draw(st.integers(0, 10**7)), draw(st.integers(0, 31_249))
    device_ns = seconds * 1_000_000_000 + steps * STEP_NS
    kind = draw(st.sampled_from([READ, WRITE, EVENT]))
    return HarpMessage(kind, address, register.payload_type, tuple(values), device_ns)


@pytest.mark.skipif(not STREAM.exists(), reason=f"the recording is not here: {STREAM} is missing")
def test_the_stream_of_a_real_board_is_read_to_the_last_byte() -> None:
    parser = Parser()
    found = parser.feed(STREAM.read_bytes())
    assert (len(found), parser.skipped) == (5000, 0)
    counts = Counter((m.kind, m.address) for m in found if m.kind == EVENT)
    assert counts == {(EVENT, 44): 4467, (EVENT, 32): 428}
    first = {m.address: m.values for m in found if m.kind == READ}
    assert first[0] == (1216,)
    assert [first[n] for n in (1, 2, 4, 5, 6, 7)] == [(1,), (2,), (1,), (6,), (2,), (5,)]
    t = [m.device_ns for m in found if m.address == 44 and m.device_ns is not None]
    steps_ms = sorted((b - a) / 1e6 for a, b in pairwise(t))
    assert steps_ms[len(steps_ms) // 2] == pytest.approx(0.992)
    assert b"".join(map(build, found)) == STREAM.read_bytes()


@pytest.mark.skipif(not STREAM.exists(), reason=f"the recording is not here: {STREAM} is missing")
def test_another_implementation_reads_the_real_stream_alike() -> None:
    data = STREAM.read_bytes()
    for message in Parser().feed(data):
        other = ReferenceMessage.parse(data[: data[1] + 2])
        data = data[data[1] + 2 :]
        assert (int(other.message_type), other.address) == (message.kind, message.address)
        assert message.device_ns is not None
        assert other.timestamp == pytest.approx(message.device_ns / 1e9, abs=1e-6)
        dtype = ORACLE[message.payload_type].numpy_dtype
        assert bytes(other.payload_bytes) == b"".join(dtype.type(v).tobytes() for v in message[3])


@given(messages())
def test_another_implementation_builds_and_reads_the_same_frames(message: HarpMessage) -> None:
    frame = build(message)
    other = ReferenceMessage.parse(frame)
    assert other.has_error == message.error
    assert bytes(other.payload_bytes) == frame[11 if message.device_ns is not None else 5 : -1]
    if not message.error:
        payload_type = ORACLE[message.payload_type]
        again: Any = ReferenceMessage(
            MessageType(message.kind),
            message.address,
            payload_type,
            bytes(other.payload_bytes),
            timestamp=None if message.device_ns is None else other.timestamp,
        )
        assert again.bytes == frame
    assert Parser().feed(frame) == [message]


@given(st.binary(max_size=60))
def test_what_another_implementation_refuses_is_not_a_message(data: bytes) -> None:
    found = Parser().feed(data)
    try:
        ReferenceMessage.parse(data)
    except HarpParseError:
        assert not any(build(message) == data for message in found)


@given(st.lists(messages(), max_size=6), st.lists(st.integers(1, 40), max_size=60))
def test_a_stream_may_be_cut_anywhere(sent: list[HarpMessage], cuts: list[int]) -> None:
    data, parser, found = b"".join(map(build, sent)), Parser(), []
    for cut in [*cuts, len(data)]:
        found += parser.feed(data[:cut])
        data = data[cut:]
    found += parser.feed(data)
    assert (found, parser.skipped) == (sent, 0)


@given(st.lists(known_messages(), max_size=4), st.binary(max_size=80), st.lists(known_messages()))
def test_the_parser_recovers_after_garbage(
    before: list[HarpMessage], garbage: bytes, after: list[HarpMessage]
) -> None:
    parser = Parser(KNOWN)
    assert parser.feed(b"".join(map(build, before))) == before
    # garbage may look like the start of a frame until the bytes of another frame follow
    settling = [HarpMessage(EVENT, 44, S16, (0, 0, 0), 0)] * 2
    found = parser.feed(garbage + b"".join(map(build, settling + after)))
    assert found[len(found) - len(after) :] == after


@given(st.lists(known_messages(), min_size=1, max_size=5), st.data())
def test_a_flipped_bit_loses_a_message_and_invents_none(
    sent: list[HarpMessage], data: st.DataObject
) -> None:
    stream = bytearray(b"".join(map(build, sent)))
    bit = data.draw(st.integers(0, 8 * len(stream) - 1))
    stream[bit // 8] ^= 1 << bit % 8
    parser = Parser(KNOWN)
    found = parser.feed(bytes(stream))
    left = iter(sent)
    assert all(message in left for message in found), "not a part of what was sent, in order"
    assert parser.skipped > 0


def test_damaged_frames_pass_no_more_often_than_the_checksum_allows() -> None:
    draw, wrong, tries = random.Random(1), 0, 20_000
    for _ in range(tries):
        message = HarpMessage(EVENT, 44, S16, (draw.randrange(3000), draw.randrange(3000)), 10**15)
        frame = bytearray(build(message))
        for byte in draw.sample(range(len(frame)), 3):
            frame[byte] = draw.randrange(256)
        found = Parser(KNOWN).feed(bytes(frame))
        wrong += any(m != message for m in found)
    assert wrong <= tries / 256
