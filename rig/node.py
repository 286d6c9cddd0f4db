"""The base class of nodes, and the loop that runs them: live, in a replay or in virtual time."""

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
        """Return the counts as text, by the name of each."""


NOT_CLOSED = "closing failed"
"""Start of the reason of a node that ended normally but then failed to close."""


class Node:
    """The base class of nodes, which handle some messages and publish others.

    A driver, which reads or controls hardware, also ticks. A node does not hide a failure: it
    raises, and close() leaves the hardware safe.
    """

    name: ClassVar[str]
    simulated: ClassVar[bool] = False
    """True if the node simulates an instrument, such as a microscope."""
    subscribes: ClassVar[tuple[type[Message] | type[Envelope], ...]] = ()
    publishes: ClassVar[tuple[type[Message], ...]] = ()
    period_s: float | None = None
    """Seconds between the ticks of a driver; None for a decider."""
    max_batch_delay_s: ClassVar[float] = 0.0
    """Seconds for which a message may wait, so that several are handled together; a tick is never
    delayed."""

    class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
        """The keys of the node's table in the setup."""

        run: str = ""
        realtime: bool = False
        """True to run the process before all ordinary processes, if the system allows it."""

    reads_pixels: ClassVar[bool] = True
    """True if a Frame comes with its pixels, which costs a copy of each page."""
    rank: ClassVar[int] = 2
    """Real-time priority if `realtime`: a process of higher rank never waits for a lower one."""
    shares_hub_core: ClassVar[bool] = False
    """True if the process, if `realtime`, stays on the core of the hub. For a decider that handles
    each message in microseconds; never for a driver, whose hardware must not wait for the hub."""
    max_lag_s: ClassVar[float] = 1.0
    """A node that gets messages older than this (seconds) has fallen behind and must end."""
    settings_from_task: ClassVar[bool] = False
    """True if all keys of the session's task, and the seed, are settings of the node."""
    task_keys: ClassVar[tuple[str, ...]] = ()
    """Keys of the task that, with the seed, are settings of the node. If the task sets none of
    them, the session runs without the node."""
    replay_counts: ClassVar[type[ReplayCounts] | None] = None
    """The class that counts the node's messages in a replay with other settings; None: not counted.
    """
    critical: ClassVar[bool] = True
    """False if a session continues without the node when the node fails, hangs or falls behind."""
    clock: Clock
    """Set by `drive` for drivers only, as a decider must not read the time."""
    real_animal: bool = False
    """True if the hardware has a real device, and therefore an animal; set before open."""
    ended: str | None = None
    """The reason, set by a node that ends by itself while it handles a message or ticks."""

    def __init__(self, settings: Settings, publish: Publish) -> None:
        """Check and store the settings; open nothing."""
        self.settings = settings
        self.publish = publish

    def check(self, task: dict[str, Any]) -> None:
        """Check the task's settings before anything is opened. Raises Refused if they are wrong."""

    def check_session(self, session: SessionSettings) -> None:
        """Check the node's settings against those of the other nodes, before Start.

        Raises:
            Refused: They do not fit together.
        """

    def warnings(self) -> Sequence[str]:
        """Return a sentence for each setting that is probably wrong, to print before Start."""
        return ()

    def open(self) -> None:
        """Open the node's devices and files; publish nothing. Raises Refused if that fails."""

    def handle(self, message: Any) -> None:
        """Handle one message; with Envelope in `subscribes`, an (envelope, message) pair."""

    def tick(self, now: int) -> None:
        """Do the work of one period; `now` is the session time (ns)."""

    def next_due(self, due: int, now: int) -> int:
        """Return the time of the next tick, ns: one period after the last due time.

        If the loop is late, it is one period from now; missed ticks are not repeated.
        """
        period = int((self.period_s or 0.0) * 1e9)
        return due + period if now - due < period else now + period

    def close(self) -> None:
        """Publish the last messages and leave the hardware safe. Called exactly once."""


class Transport(Protocol):
    """The source and destination of messages: a bus, a log, or a list."""

    def connect(self) -> None:
        """Connect; return when all messages that are published from now on will be received."""

    def receive(self, until: int | None) -> Sequence[tuple[Envelope, Message]]:
        """Return messages in hub order; wait at most until `until` (ns) or the next Heartbeat."""

    def end(self, sender: str, reason: str, failed: bool) -> None:
        """Publish Ended for a node, with the counts of its messages."""


def drive(nodes: Sequence[Node], transport: Transport, clock: Clock, alone: bool = False) -> None:
    """Open the nodes, run them until all have ended, and close them.

    If a node raises, all nodes are closed, the reason is published, and the error is raised again.
    With `alone`, a node that fails on a message ends and the others continue, as if each node were
    its own process.
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
    """Close all nodes in order; if one raises, the others are still closed."""
    if nodes:
        try:
            _fail(nodes[0], transport, fault)
        finally:
            _fail_all(nodes[1:], transport, fault)


_How = Literal["alone", "in its envelope", "not at all"]
"""How a node gets a message of a type; "not at all" is for a Stop, which ends any node."""


class _Loop:
    """The running nodes, and the times of the drivers' next ticks."""

    def __init__(self, held: list[Node], transport: Transport, clock: Clock, alone: bool) -> None:
        """Run the nodes in `held`; a node that has ended is removed from the list."""
        self._held, self._transport, self._clock, self._alone = held, transport, clock, alone
        self._due: dict[str, int] = {}
        self._next_due: int | None = None
        """The earliest time of a next tick, ns; None if no driver is running."""
        self._takers: dict[type[Message], tuple[tuple[Node, _How], ...]] = {}
        """The nodes that get the messages of a type; a cache, for thousands of messages per second.
        """

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
        """Return the nodes that get the messages of a type, and how they get them."""
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
            if isinstance(error, OSError):  # a device or disk has failed, not caused by the message
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
    """Close a node that failed, and publish the Fault; if one step raises, the other is still done.

    A driver first makes the hardware safe, and then publishes the Fault. A decider publishes the
    Fault first, because the failure is its answer to a message, and closes afterwards.
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
    """Return the text of an error, with its class name if it is a built-in error of Python."""
    text, kind = str(error), type(error)
    if text and (kind.__module__ != "builtins" or isinstance(error, OSError)):
        return text
    return f"{kind.__name__}: {text}" if text else kind.__name__
