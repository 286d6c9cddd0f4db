"""The shape of a process, and the loop that drives it: live, in replay or in virtual time."""

import gc
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from typing import Any, ClassVar, Literal, Protocol

import msgspec

from rig.clock import Clock
from rig.messages import Fault, Message, Start, Stop
from rig.settings.config import SessionSettings
from rig.transport.envelope import Envelope

Publish = Callable[[Message], None]


class ReplayCounts(Protocol):
    """Counts of a decider's messages, which a replay with other settings compares."""

    def count(self, message: Message) -> None:
        """Count a message that the decider published or received."""

    def rows(self) -> dict[str, str]:
        """Return the counts as text, by name."""


NOT_CLOSED = "closing failed"
"""How the reason begins of a node that ended in order, and then failed to close."""


class Node:
    """Handles some messages and publishes others; a driver, which reads or moves hardware, ticks.

    A node never swallows its own failure: it raises, and close() leaves the hardware safe.
    """

    name: ClassVar[str]
    simulated: ClassVar[bool] = False
    """True if the node stands in for an instrument, such as a microscope."""
    subscribes: ClassVar[tuple[type[Message] | type[Envelope], ...]] = ()
    publishes: ClassVar[tuple[type[Message], ...]] = ()
    period_s: float | None = None
    """Seconds between the ticks of a driver; None for a decider."""
    max_batch_delay_s: ClassVar[float] = 0.0
    """Seconds a message may wait, never past a due tick, so that several are handled together."""

    class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
        """The keys of the node's table in the setup."""

        run: str = ""
        realtime: bool = False
        """Whether its process runs before all ordinary ones, where the system allows it."""

    reads_pixels: ClassVar[bool] = True
    """Whether a Frame comes with its pixels, which costs a copy of each page."""
    rank: ClassVar[int] = 2
    """Real-time priority if `realtime`: a higher rank never waits for a lower one."""
    max_lag_s: ClassVar[float] = 1.0
    """Seconds a message may be old before the node has fallen behind and must end."""
    settings_from_task: ClassVar[bool] = False
    """Whether the keys of the session's task, and its seed, belong to the node's settings."""
    task_keys: ClassVar[tuple[str, ...]] = ()
    """Keys of the task that, with the seed, belong to the node's settings. A session whose task
    sets none of them runs without the node."""
    replay_counts: ClassVar[type[ReplayCounts] | None] = None
    """What a replay with other settings counts for this node; None for nothing."""
    critical: ClassVar[bool] = True
    """False if a session goes on without the node when it fails, hangs or falls behind."""
    clock: Clock
    """Set by drive on drivers alone: a decider cannot read the time."""
    real_animal: bool = False
    """Whether the hardware has a real device, and so an animal; set before open."""
    ended: str | None = None
    """Set by a node that ends by itself, while it handles a message or ticks: the reason."""

    def __init__(self, settings: Settings, publish: Publish) -> None:
        """Check and keep the settings. Nothing is opened here."""
        self.settings = settings
        self.publish = publish

    def check(self, task: dict[str, Any]) -> None:
        """Check the task's settings before anything is opened. Raises Refused."""

    def check_session(self, session: SessionSettings) -> None:
        """Check the own settings against those of the other nodes, before Start. Raises Refused."""

    def warnings(self) -> Sequence[str]:
        """Return what is probably wrong with the settings, in sentences; printed before Start."""
        return ()

    def open(self) -> None:
        """Open what this node owns; publish nothing yet. Raises Refused if it cannot be opened."""

    def handle(self, message: Any) -> None:
        """Handle one message; with Envelope in `subscribes`, an (envelope, message) pair."""

    def tick(self, now: int) -> None:
        """Do the work of one period; `now` is the session time (ns)."""

    def next_due(self, due: int, now: int) -> int:
        """Return when to tick next (ns): one period after the last due time, if the loop keeps up.

        Otherwise one period from now: missed ticks are not made up for.
        """
        period = int((self.period_s or 0.0) * 1e9)
        return due + period if now - due < period else now + period

    def close(self) -> None:
        """Publish the last messages and leave the hardware safe. Called exactly once."""


class Transport(Protocol):
    """Where messages come from and go to: a bus, a log, or a list."""

    def connect(self) -> None:
        """Return once every message published from now on will be received."""

    def receive(self, until: int | None) -> Sequence[tuple[Envelope, Message]]:
        """Return messages in hub order; wait until that time (ns) or a Heartbeat at most."""

    def end(self, sender: str, reason: str, failed: bool) -> None:
        """Publish Ended for a node, with the counts of what it published."""


def drive(nodes: Sequence[Node], transport: Transport, clock: Clock, alone: bool = False) -> None:
    """Open the nodes, let them handle messages and tick until all have ended, and close them.

    Raises whatever a node raised, after closing all of them and publishing why. With `alone`, a
    node that fails on a message ends and the others go on, as if each were its own process.
    """
    held: list[Node] = []
    try:
        for node in nodes:
            held.append(node)
            if node.period_s is not None:
                node.clock = clock
            node.open()
        transport.connect()
        gc.collect()
        gc.freeze()
        _Loop(held, transport, clock, alone).run()
    except BaseException as error:
        _fail_all(held, transport, Fault(clock.now(), _why(error), outside=True))
        raise


def _fail_all(nodes: Sequence[Node], transport: Transport, fault: Fault) -> None:
    """Close all nodes in their order; whatever one raises, the others are still closed."""
    if nodes:
        try:
            _fail(nodes[0], transport, fault)
        finally:
            _fail_all(nodes[1:], transport, fault)


_How = Literal["alone", "in its envelope", "not at all"]
"""How a node handles a message of a type: a Stop ends also a node that does not subscribe to it."""


class _Loop:
    """The nodes that are running, and when the drivers among them tick next."""

    def __init__(self, held: list[Node], transport: Transport, clock: Clock, alone: bool) -> None:
        """Run the nodes in `held`; one that has ended is removed from that list."""
        self._held, self._transport, self._clock, self._alone = held, transport, clock, alone
        self._due: dict[str, int] = {}
        self._next_due: int | None = None
        """The earliest of them; None if no driver is running."""
        self._takers: dict[type[Message], tuple[tuple[Node, _How], ...]] = {}
        """Who gets the messages of a type: looked up once, as a rig has thousands a second."""

    def run(self) -> None:
        while self._held:
            for envelope, message in self._transport.receive(self._next_due):
                if isinstance(message, Start):
                    begin = self._clock.now()
                    self._due = {n.name: begin for n in self._held if n.period_s is not None}
                    self._next_due = min(self._due.values(), default=None)
                kind = type(message)
                takers = self._takers.get(kind)
                for node, how in self._find_takers(kind) if takers is None else takers:
                    self._give(node, how, envelope, message)
            if self._next_due is not None:
                now = self._clock.now()
                if now >= self._next_due:
                    self._tick(now)

    def _tick(self, now: int) -> None:
        for node in tuple(self._held):
            due = self._due.get(node.name)
            if due is not None and now >= due:
                node.tick(now)
                self._due[node.name] = node.next_due(due, now)
                if node.ended is not None:
                    self._leave(node, node.ended)
        self._next_due = min(self._due.values(), default=None)

    def _find_takers(self, kind: type[Message]) -> tuple[tuple[Node, "_How"], ...]:
        """Return the nodes that a message of a type concerns, and in which form they handle it."""
        found: list[tuple[Node, _How]] = []
        for node in self._held:
            if issubclass(kind, node.subscribes):
                found.append((node, "alone"))
            elif Envelope in node.subscribes:
                found.append((node, "in its envelope"))
            elif kind is Stop:
                found.append((node, "not at all"))
        self._takers[kind] = tuple(found)
        return self._takers[kind]

    def _give(self, node: Node, how: "_How", envelope: Envelope, message: Message) -> None:
        try:
            if how == "alone":
                node.handle(message)
            elif how == "in its envelope":
                node.handle((envelope, message))
        except Exception as error:
            if isinstance(error, OSError):  # what it owns has failed; the message is not the cause
                raise
            self._let_go(node)
            with suppress(Exception) if self._alone else nullcontext():  # it may also fail to close
                _fail(node, self._transport, Fault(message.t, _why(error)))
            if not self._alone:
                raise
            return
        if isinstance(message, Stop) and node.name in message.nodes:
            self._leave(node, message.reason)
        elif node.ended is not None:
            self._leave(node, node.ended)

    def _leave(self, node: Node, reason: str) -> None:
        self._let_go(node)
        failed = True
        try:
            node.close()
            failed = False
        except BaseException as error:
            reason = f"{NOT_CLOSED}: {_why(error)}"
            if not (self._alone and isinstance(error, Exception)):
                raise
        finally:
            self._transport.end(node.name, reason, failed)

    def _let_go(self, node: Node) -> None:
        self._held.remove(node)
        self._takers.clear()
        self._due.pop(node.name, None)
        self._next_due = min(self._due.values(), default=None)


def _fail(node: Node, transport: Transport, fault: Fault) -> None:
    """Close a node that failed and publish why; whatever raises, the rest is still done.

    A driver first makes the hardware safe, then publishes the Fault. A decider publishes it first:
    its failure is its answer to a message, and its last messages come after it.
    """
    is_driver = node.period_s is not None
    try:
        if is_driver:
            node.close()
        else:
            node.publish(fault)
    finally:
        try:
            if is_driver:
                node.publish(fault)
            else:
                node.close()
        finally:
            transport.end(node.name, fault.text, failed=True)


def _why(error: BaseException) -> str:
    """Return the text of an error, with its class name if it is one of Python's own."""
    text, kind = str(error), type(error)
    if text and (kind.__module__ != "builtins" or isinstance(error, OSError)):
        return text
    return f"{kind.__name__}: {text}" if text else kind.__name__
