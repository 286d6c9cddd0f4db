"""The wire: one order for all, and whoever can no longer trust it ends."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest
import zmq

from rig.clock import RealClock, monotonic_ns
from rig.errors import Refused
from rig.messages import Fault, Heartbeat, Lick, Message, Wheel
from rig.transport.bus import Bus, BusError
from rig.transport.envelope import Envelope, Sender, pack
from rig.transport.hub import Hub
from tests.ports import free_port


class Kept:
    """A journal in memory."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def append(self, name: str, envelope: Envelope, data: bytes) -> None:
        self.messages.append(name)


@pytest.fixture
def port() -> Iterator[int]:
    at = free_port()
    hub = Hub(at)
    yield at
    hub.close()


def met(sender: str, port: int, *subscribes: type[Message] | type[Envelope]) -> Bus:
    clock = RealClock(monotonic_ns())
    bus = Bus(Sender(sender, clock), port, subscribes, clock, Kept())
    bus.connect()
    return bus


def received(bus: Bus, count: int) -> list[Message]:
    """Return the next `count` words that are no Beats, waiting for them."""
    messages: list[Message] = []
    while len(messages) < count:
        messages += [w for _, w in bus.receive(None) if not isinstance(w, Heartbeat)]
    return messages


def test_all_hear_everything_in_one_order(port: int) -> None:
    senders = [met(name, port) for name in ("a", "b", "c")]
    listeners = [met(name, port, Wheel, Lick) for name in ("x", "y")]

    def talk(bus: Bus) -> None:
        for t in range(200):
            bus.publish(Wheel(t, t, 0.0))
            bus.publish(Lick(t, "centre"))

    threads = [threading.Thread(target=talk, args=(bus,)) for bus in senders]
    for thread in threads:
        thread.start()
    first, second = (received(bus, 1200) for bus in listeners)
    for thread in threads:
        thread.join()
    assert first == second
    for bus in (*senders, *listeners):
        bus.close()


def test_a_word_is_kept_before_it_is_said(port: int) -> None:
    clock = RealClock(monotonic_ns())
    kept = Kept()
    bus = Bus(Sender("a", clock), port, (Envelope,), clock, kept)
    bus.connect()
    bus.publish(Wheel(1, 1, 0.0))
    assert received(bus, 1) == [Wheel(1, 1, 0.0)]
    assert kept.messages.count("Wheel") == 1
    bus.close()


def test_a_lost_word_ends_its_hearer(port: int) -> None:
    bus = met("x", port, Wheel)
    sender = Sender("a", RealClock(monotonic_ns()))
    messages = [sender.wrap(Wheel(t, t, 0.0)) for t in range(3)]
    inject(port, [messages[0], messages[2]], "Wheel")
    with pytest.raises(BusError, match="1 Wheel words of a were lost"):
        received(bus, 2)
    bus.close()


class Jumping(RealClock):
    """A clock that can be put forward: its owner then wakes late."""

    late_ns = 0

    def now(self) -> int:
        return super().now() + self.late_ns


def test_a_hearer_that_fell_behind_ends(port: int) -> None:
    clock, sender = Jumping(monotonic_ns()), met("a", port, Wheel)
    bus = Bus(Sender("x", clock), port, (Wheel,), clock, Kept())
    bus.connect()
    while bus.receive(clock.now()):
        pass
    sender.publish(Wheel(1, 1, 0.0))
    assert bus._in.poll(10_000)
    clock.late_ns = 2_000_000_000
    with pytest.raises(BusError, match="fell behind"):
        received(bus, 1)
    bus.close()
    sender.close()


def test_a_word_that_its_speaker_held_back_is_no_lag_of_who_hears_it(port: int) -> None:
    bus = met("x", port, Wheel)
    stalled = RealClock(monotonic_ns() + 2_000_000_000)  # its words look two seconds old
    inject(port, [Sender("a", stalled).wrap(Wheel(1, 1, 0.0))], "Wheel")
    assert received(bus, 1) == [Wheel(1, 1, 0.0)]
    bus.close()


def test_garbage_at_the_port_is_said_and_dropped(port: int) -> None:
    bus = met("x", port, Wheel, Fault)
    context = zmq.Context()
    out = context.socket(zmq.PUB)
    out.connect(f"tcp://127.0.0.1:{port}")
    while True:
        out.send(b"Wheel not a word")
        messages = [w for _, w in bus.receive(bus._clock.now() + 20_000_000)]
        if any(isinstance(w, Fault) and "garbled" in w.text for w in messages):
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
            bus.receive(None)
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
        bus.receive(None)
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
