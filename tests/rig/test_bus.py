"""The bus: the same order for all subscribers; a process that misses messages ends."""

import threading
import time
from collections.abc import Iterator

import pytest

from rig.clock import RealClock
from rig.errors import Refused
from rig.messages import Heartbeat, Lick, Message, Wheel
from rig.transport.bus import Batching, Bus, BusError
from rig.transport.envelope import Envelope
from rig.transport.hub import Hub
from tests.hubs import Kept, RunningHub, frame_of, running_hub


@pytest.fixture(params=[False, True], ids=["unix socket", "tcp"])
def any_hub(request: pytest.FixtureRequest) -> Iterator[RunningHub]:
    with running_hub("a", "b", "c", "x", "y", tcp=request.param) as hub:
        yield hub


@pytest.fixture
def hub() -> Iterator[RunningHub]:
    with running_hub("a", "x") as hub:
        yield hub


def received(bus: Bus, count: int) -> list[Message]:
    """Wait for the next `count` messages other than Heartbeats, and return them."""
    messages: list[Message] = []
    while len(messages) < count:
        messages += [w for _, w in bus.receive(None) if not isinstance(w, Heartbeat)]
    return messages


def test_all_receive_everything_in_one_order(any_hub: RunningHub) -> None:
    senders = [any_hub.bus(name) for name in ("a", "b", "c")]
    paces = {"x": Batching(), "y": Batching(0.02)}
    listeners = [any_hub.bus(name, Wheel, Lick, pace=pace) for name, pace in paces.items()]

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


def test_a_message_is_kept_before_it_is_published(hub: RunningHub) -> None:
    kept = Kept()
    bus = hub.bus("a", Envelope, keeper=kept)
    bus.publish(Wheel(1, 1, 0.0))
    assert received(bus, 1) == [Wheel(1, 1, 0.0)]
    assert kept.messages.count("Wheel") == 1


def test_a_subscriber_that_may_wait_is_woken_once_for_a_batch(hub: RunningHub) -> None:
    bus = hub.bus("x", Wheel, pace=Batching(0.01))
    sender = hub.sender("a")
    messages = [Wheel(t, t, 0.0) for t in range(3)]
    hub.inject("a", [frame_of(sender.wrap(message), "Wheel") for message in messages])
    batches: list[list[Wheel]] = []
    while sum(map(len, batches)) < len(messages):
        batches.append([w for _, w in bus.receive(None) if isinstance(w, Wheel)])
    assert [w for batch in batches for w in batch] == messages
    assert max(map(len, batches)) > 1


@pytest.mark.parametrize("delay_s", [0.0, 0.01])
def test_a_lost_message_ends_its_subscriber(hub: RunningHub, delay_s: float) -> None:
    bus = hub.bus("x", Wheel, pace=Batching(delay_s))
    sender = hub.sender("a")
    messages = [sender.wrap(Wheel(t, t, 0.0)) for t in range(3)]
    hub.inject("a", [frame_of(messages[0], "Wheel"), frame_of(messages[2], "Wheel")])
    with pytest.raises(BusError, match="1 Wheel messages of a were lost"):
        received(bus, 2)


class Jumping(RealClock):
    """A clock that can be moved forward, as if its process woke late."""

    late_ns = 0

    def now(self) -> int:
        return super().now() + self.late_ns


def test_a_subscriber_that_fell_behind_ends(hub: RunningHub) -> None:
    clock, sender = Jumping(hub.t0_ns), hub.bus("a", Wheel)
    bus = hub.bus("x", Wheel, clock=clock)
    while bus.receive(clock.now()):
        pass
    sender.publish(Wheel(1, 1, 0.0))
    assert bus._in.poll(10_000)
    clock.late_ns = 2_000_000_000
    with pytest.raises(BusError, match="fell behind"):
        received(bus, 1)


def test_a_message_delayed_by_its_sender_is_not_lag_of_its_subscriber(hub: RunningHub) -> None:
    bus = hub.bus("x", Wheel)
    stalled = RealClock(hub.t0_ns + 2_000_000_000)  # its messages look two seconds old
    message = hub.sender("a", stalled).wrap(Wheel(1, 1, 0.0))
    hub.inject("a", [frame_of(message, "Wheel")])
    assert received(bus, 1) == [Wheel(1, 1, 0.0)]


def test_a_dead_hub_is_noticed_by_a_waiting_process(hub: RunningHub) -> None:
    bus = hub.bus("x", Wheel)
    hub.hub.close()
    with pytest.raises(BusError, match="the hub is silent"):
        while True:
            bus.receive(None)


def test_a_second_hub_with_the_same_number_is_refused(hub: RunningHub) -> None:
    with pytest.raises(Refused, match=f"hub {hub.port} on this machine is in use"):
        Hub(hub.port)


def test_waiting_uses_no_cpu(hub: RunningHub) -> None:
    bus = hub.bus("x", Wheel)
    cpu, wall = time.process_time(), time.monotonic()
    while time.monotonic() - wall < 0.5:
        bus.receive(None)
    assert time.process_time() - cpu < 0.5 * (time.monotonic() - wall)
