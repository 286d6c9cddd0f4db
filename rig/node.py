"""The one shape of a process, and the one loop that drives it: live, replayed or virtual."""

import gc
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext, suppress
from functools import partial
from typing import Any, ClassVar, Protocol

import msgspec

from rig.clock import Clock
from rig.messages import Fault, Message, Start, Stop
from rig.transport.envelope import Envelope

Publish = Callable[[Message], None]

NOT_CLOSED = "closing failed"
"""How the reason of a node begins that came to its end, and then failed to close."""


class Node:
    """Hears some words, says others; ticks only if it touches the world (a driver).

    A node never catches its own failure to go on: it raises, and close() leaves the world safe.
    """

    name: ClassVar[str]
    simulated: ClassVar[bool] = False
    """True if the node stands in for an instrument, such as a microscope."""
    subscribes: ClassVar[tuple[type[Message] | type[Envelope], ...]] = ()
    publishes: ClassVar[tuple[type[Message], ...]] = ()
    period_s: float | None = None
    """How often a driver ticks; None for a decider."""
    max_batch_delay_s: ClassVar[float] = 0.0
    """How long a word may wait, never past a due tick, so that several are heard at one waking."""

    class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
        """What the node's table in the setup may say."""

        run: str = ""
        realtime: bool = False
        """Whether its process comes before all ordinary ones, where the system allows it."""

    reads_pixels: ClassVar[bool] = True
    """Whether a Frame that it hears comes with its pixels, which costs a copy of each page."""
    rank: ClassVar[int] = 2
    """Among processes with `realtime`: one of a higher rank never waits for one of a lower."""
    max_lag_s: ClassVar[float] = 1.0
    """How old a heard word may be before the node has fallen behind and must end."""
    critical: ClassVar[bool] = True
    """False if a session goes on without the node when it fails, hangs or falls behind."""
    clock: Clock
    """Set by drive on drivers alone: a decider cannot read the time."""
    real_animal: bool = False
    """Whether a living animal is in the rig, by the devices of its hardware; set before open."""
    ended: str | None = None
    """Set by a node that has come to its own end: the reason."""

    def __init__(self, settings: Settings, publish: Publish) -> None:
        """Check and keep the settings. Nothing is opened here."""
        self.settings = settings
        self.publish = publish

    def check(self, task: dict[str, Any]) -> None:
        """Take the task's facts, before anything is opened; refuse those it could not serve."""

    def warnings(self) -> Sequence[str]:
        """Return what is probably wrong with the settings, in sentences; printed before Start."""
        return ()

    def open(self) -> None:
        """Take hold of what this node owns; raise Refused if it cannot be had. Say nothing yet."""

    def handle(self, message: Any) -> None:
        """Answer one word; or, where `hears` names Envelope, every word with its envelope."""

    def tick(self, now: int) -> None:
        """Touch the world once, every period_s; now in ns of the session clock."""

    def next_due(self, due: int, now: int) -> int:
        """When to tick after a tick that was due and came: in step, if the loop keeps up.

        Else a period from now: missed ticks are gone.
        """
        period = int((self.period_s or 0.0) * 1e9)
        return due + period if now - due < period else now + period

    def close(self) -> None:
        """Say the last words, let go, leave the world safe. Called once, however the node ends."""


class Transport(Protocol):
    """Where words come from and go to: a bus, a log, or a list."""

    def connect(self) -> None:
        """Return when every word said from now on will be heard."""

    def receive(self, until: int | None) -> Sequence[tuple[Envelope, Message]]:
        """Words in hub order; waits for one, at most until that session time (ns) or a beat."""

    def end(self, sender: str, reason: str, failed: bool) -> None:
        """Say Ended for a node, with what it said."""


def drive(nodes: Sequence[Node], transport: Transport, clock: Clock, alone: bool = False) -> None:
    """Open the nodes, let them hear and tick until each has ended, close them whatever happens.

    Raises whatever a node raised, after closing all of them and saying why. But if each stands
    `alone`, as in a process of its own, one that fails on a word ends, and the others go on.
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
        with ExitStack() as stack:  # last in, first out; none is left out if another raises
            for node in reversed(held):
                stack.callback(
                    _fail, node, transport, Fault(clock.now(), _why(error), outside=True)
                )
        raise


class _Loop:
    """The nodes that run, and when the drivers among them tick next."""

    def __init__(self, held: list[Node], transport: Transport, clock: Clock, alone: bool) -> None:
        """Run the nodes held; who has ended is taken out of that list."""
        self._held, self._transport, self._clock, self._alone = held, transport, clock, alone
        self._due: dict[str, int] = {}

    def run(self) -> None:
        while self._held:
            for envelope, message in self._transport.receive(min(self._due.values(), default=None)):
                if isinstance(message, Start):
                    begin = self._clock.now()
                    self._due = {n.name: begin for n in self._held if n.period_s is not None}
                for node in tuple(self._held):
                    self._give(node, envelope, message)
            now = self._clock.now()
            for node in tuple(self._held):
                if node.name in self._due and now >= self._due[node.name]:
                    node.tick(now)
                    self._due[node.name] = node.next_due(self._due[node.name], now)
                if node.ended is not None:
                    self._leave(node, node.ended)

    def _give(self, node: Node, envelope: Envelope, message: Message) -> None:
        try:
            if isinstance(message, node.subscribes):
                node.handle(message)
            elif Envelope in node.subscribes:
                node.handle((envelope, message))
        except Exception as error:
            if isinstance(error, OSError):  # what it owns has failed, and no word is the cause
                raise
            self._let_go(node)
            with suppress(Exception) if self._alone else nullcontext():  # it may fail to close, too
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
        self._due.pop(node.name, None)


def _fail(node: Node, transport: Transport, why: Fault) -> None:
    """Close a node that failed: a driver first makes the world safe, then says why.

    A decider says why first: its failure is its answer to a word, its last words come after it.
    """
    say_why = partial(node.publish, why)
    driver = node.period_s is not None
    first, then = (node.close, say_why) if driver else (say_why, node.close)
    with ExitStack() as stack:
        stack.callback(transport.end, node.name, why.text, failed=True)
        stack.callback(then)
        stack.callback(first)


def _why(error: BaseException) -> str:
    """Return what an error says; with its name, if it is the language's and speaks to nobody."""
    text, kind = str(error), type(error)
    if text and (kind.__module__ != "builtins" or isinstance(error, OSError)):
        return text
    return f"{kind.__name__}: {text}" if text else kind.__name__
