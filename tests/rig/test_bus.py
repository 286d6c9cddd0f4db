"""The wire: one order for all, and whoever can no longer trust it ends."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest
import zmq

from rig.bus import Bus, BusError
from rig.clock import RealClock, monotonic_ns
from rig.envelope import Envelope, Voice, pack
from rig.hub import Hub
from rig.messages import Beat, Fault, Lick, Message, Wheel
from rig.refused import Refused
from tests.ports import free_port


class Kept:
    """A journal in memory."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def append(self, name: str, envelope: Envelope, data: bytes) -> None:
        self.words.append(name)


@pytest.fixture
def port() -> Iterator[int]:
    at = free_port()
    hub = Hub(at)
    yield at
    hub.close()


def met(speaker: str, port: int, *hears: type[Message] | type[Envelope]) -> Bus:
    clock = RealClock(monotonic_ns())
    bus = Bus(Voice(speaker, clock), port, hears, clock, Kept())
    bus.meet()
    return bus


def heard(bus: Bus, count: int) -> list[Message]:
    """Return the next `count` words that are no Beats, waiting for them."""
    words: list[Message] = []
    while len(words) < count:
        words += [w for _, w in bus.hear(None) if not isinstance(w, Beat)]
    return words


def test_all_hear_everything_in_one_order(port: int) -> None:
    speakers = [met(name, port) for name in ("a", "b", "c")]
    listeners = [met(name, port, Wheel, Lick) for name in ("x", "y")]

    def talk(bus: Bus) -> None:
        for t in range(200):
            bus.say(Wheel(t, t, 0.0))
            bus.say(Lick(t, "centre"))

    threads = [threading.Thread(target=talk, args=(bus,)) for bus in speakers]
    for thread in threads:
        thread.start()
    first, second = (heard(bus, 1200) for bus in listeners)
    for thread in threads:
        thread.join()
    assert first == second
    for bus in (*speakers, *listeners):
        bus.close()


def test_a_word_is_kept_before_it_is_said(port: int) -> None:
    clock = RealClock(monotonic_ns())
    kept = Kept()
    bus = Bus(Voice("a", clock), port, (Envelope,), clock, kept)
    bus.meet()
    bus.say(Wheel(1, 1, 0.0))
    assert heard(bus, 1) == [Wheel(1, 1, 0.0)]
    assert kept.words.count("Wheel") == 1
    bus.close()


def test_a_lost_word_ends_its_hearer(port: int) -> None:
    bus = met("x", port, Wheel)
    voice = Voice("a", RealClock(monotonic_ns()))
    words = [voice.wrap(Wheel(t, t, 0.0)) for t in range(3)]
    inject(port, [words[0], words[2]], "Wheel")
    with pytest.raises(BusError, match="1 Wheel words of a were lost"):
        heard(bus, 2)
    bus.close()


class Jumping(RealClock):
    """A clock that can be put forward: its owner then wakes late."""

    late_ns = 0

    def now(self) -> int:
        return super().now() + self.late_ns


def test_a_hearer_that_fell_behind_ends(port: int) -> None:
    clock, speaker = Jumping(monotonic_ns()), met("a", port, Wheel)
    bus = Bus(Voice("x", clock), port, (Wheel,), clock, Kept())
    bus.meet()
    while bus.hear(clock.now()):
        pass
    speaker.say(Wheel(1, 1, 0.0))
    assert bus._in.poll(10_000)
    clock.late_ns = 2_000_000_000
    with pytest.raises(BusError, match="fell behind"):
        heard(bus, 1)
    bus.close()
    speaker.close()


def test_a_word_that_its_speaker_held_back_is_no_lag_of_who_hears_it(port: int) -> None:
    bus = met("x", port, Wheel)
    stalled = RealClock(monotonic_ns() + 2_000_000_000)  # its words look two seconds old
    inject(port, [Voice("a", stalled).wrap(Wheel(1, 1, 0.0))], "Wheel")
    assert heard(bus, 1) == [Wheel(1, 1, 0.0)]
    bus.close()


def test_garbage_at_the_port_is_said_and_dropped(port: int) -> None:
    bus = met("x", port, Wheel, Fault)
    context = zmq.Context()
    out = context.socket(zmq.PUB)
    out.connect(f"tcp://127.0.0.1:{port}")
    while True:
        out.send(b"Wheel not a word")
        words = [w for _, w in bus.hear(bus._clock.now() + 20_000_000)]
        if any(isinstance(w, Fault) and "garbled" in w.what for w in words):
            break
    context.destroy(linger=0)
    bus.close()


def test_a_dead_hub_is_noticed_by_who_waits_for_it() -> None:
    at = free_port()
    hub = Hub(at)
    bus = met("x", at, Wheel)
    hub.close()
    with pytest.raises(BusError, match="the hub is silent"):
        while True:
            bus.hear(None)
    bus.close()


def test_a_second_hub_on_the_ports_is_refused(port: int) -> None:
    with pytest.raises(Refused, match=f"port {port} on this machine is in use"):
        Hub(port)
    taken = socket.create_server(("127.0.0.1", free_port()))
    below = taken.getsockname()[1] - 1
    with pytest.raises(Refused, match=f"port {below + 1} on this machine is in use"):
        Hub(below)
    taken.close()


def test_waiting_takes_no_core(port: int) -> None:
    bus = met("x", port, Wheel)
    cpu, wall = time.process_time(), time.monotonic()
    while time.monotonic() - wall < 0.5:
        bus.hear(None)
    assert time.process_time() - cpu < 0.5 * (time.monotonic() - wall)
    bus.close()


def inject(port: int, envelopes: list[Envelope], name: str) -> None:
    """Say ready-made envelopes through the hub, once the hub listens."""
    context = zmq.Context()
    out = context.socket(zmq.XPUB)
    out.connect(f"tcp://127.0.0.1:{port}")
    out.recv()  # the hub's subscription has arrived
    for envelope in envelopes:
        out.send(name.encode() + b" " + pack(envelope))
    context.destroy(linger=1000)
