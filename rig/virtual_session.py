"""Run a session in one process and in virtual time: the same nodes and loop, without waiting."""

from collections.abc import Callable
from functools import partial

import msgspec

from rig.clock import SetClock
from rig.messages import Ended, Frame, Message, Start, Stop
from rig.node import Node, drive
from rig.process import RECORDER, make, stages
from rig.settings.config import SessionSettings
from rig.transport.envelope import Envelope, Sender
from rig.transport.frame_pixels import Pixels

Messages = list[tuple[Envelope, Message]]
Keep = Callable[[Envelope, Message], None]


def run(
    session: SessionSettings,
    end_ns: int | None = None,
    keep: Keep | None = None,
    tick_s: float | None = None,
) -> Messages:
    """Run the session's nodes in virtual time, until one ends.

    Args:
        session: The resolved session.
        end_ns: Session time (ns) at which the session is stopped; None for no limit.
        keep: Called with each published message; the messages are then not collected in a list.
        tick_s: Shortest period of a driver, s; None: drivers have their own period.

    Returns:
        Every message in hub order; empty with `keep`.

    Raises:
        Exception: A node raised it.
    """
    clock = SetClock()
    transport = _ListTransport(clock, end_ns, keep)
    names = [name for name in session.nodes if name != RECORDER]
    nodes = [make(session, name, partial(transport.publish, name)) for name in names]
    for node in nodes:
        node.check(session.task)
        if tick_s is not None and node.period_s is not None:
            node.period_s = max(node.period_s, tick_s)
    transport.begin(session, nodes)
    drive(nodes, transport, clock)
    return transport.published


class _ListTransport:
    """The hub of a virtual session: delivers messages in the order in which they are published."""

    def __init__(self, clock: SetClock, end_ns: int | None, keep: Keep | None) -> None:
        self.published: Messages = []
        self._keep = keep or (lambda envelope, message: self.published.append((envelope, message)))
        self._clock, self._end_ns = clock, end_ns
        self._senders: dict[str, Sender] = {}
        self._waiting: Messages = []
        self._pixels = Pixels()
        self._running: set[str] = set()
        self._stages: list[list[str]] = []
        self._stopping: set[str] = set()

    def begin(self, session: SessionSettings, nodes: list[Node]) -> None:
        self._stages = stages({node.name: type(node) for node in nodes})
        self._running = {node.name for node in nodes}
        self.publish("launch", Start(0, msgspec.to_builtins(session)))

    def connect(self) -> None:
        pass

    def receive(self, until: int | None) -> Messages:
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            return [(e, self._pixels.of(m) if isinstance(m, Frame) else m) for e, m in waiting]
        if until is None or (self._end_ns is not None and until > self._end_ns):
            self._end_ns = None
            self._stop("the virtual time is over")
        else:
            self._clock.set(until)
        return []

    def publish(self, sender: str, message: Message) -> None:
        if sender not in self._senders:
            self._senders[sender] = Sender(sender, self._clock)
        envelope = self._senders[sender].wrap(message)
        self._keep(envelope, message)
        self._waiting.append((envelope, message))

    def end(self, sender: str, reason: str, failed: bool) -> None:
        messages = self._senders[sender].published() if sender in self._senders else {}
        self.publish(sender, Ended(self._clock.now(), reason, failed, messages))
        self._running.discard(sender)
        if not self._stopping & self._running:
            self._stop(reason)

    def _stop(self, reason: str) -> None:
        """Stop the next stage that has running nodes."""
        while self._stages:
            names = [name for name in self._stages.pop(0) if name in self._running]
            if names:
                self._stopping = set(names)
                self.publish("launch", Stop(self._clock.now(), reason, tuple(names)))
                return
