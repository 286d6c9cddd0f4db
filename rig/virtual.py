"""A session in one process and in virtual time: the same nodes, the same loop, no waiting."""

from collections import deque
from functools import partial

import msgspec

from rig.clock import SetClock
from rig.config import Session
from rig.envelope import Envelope, Voice
from rig.messages import Ended, Frame, Message, Start, Stop
from rig.node import Node, drive
from rig.pixels import Pixels
from rig.process import RECORDER, make, stages

Said = list[tuple[Envelope, Message]]


def run(session: Session, end_ns: int | None = None) -> Said:
    """Run the session's nodes until one ends, or until that time; return what was said.

    Raises whatever a node raises.
    """
    clock = SetClock()
    wire = _ListWire(clock, end_ns)
    names = [name for name in session.nodes if name != RECORDER]
    nodes = [make(session, name, partial(wire.say, name)) for name in names]
    for node in nodes:
        node.check(session.task)
    wire.begin(session, nodes)
    drive(nodes, wire, clock)
    return wire.said


class _ListWire:
    """Keeps what is said, and gives it back in that order: the hub of a virtual session."""

    def __init__(self, clock: SetClock, end_ns: int | None) -> None:
        self.said: Said = []
        self._clock, self._end_ns = clock, end_ns
        self._voices: dict[str, Voice] = {}
        self._waiting: deque[tuple[Envelope, Message]] = deque()
        self._pixels = Pixels()
        self._running: set[str] = set()
        self._stages: list[list[str]] = []
        self._stopping: set[str] = set()

    def begin(self, session: Session, nodes: list[Node]) -> None:
        self._stages = stages({node.name: type(node) for node in nodes})
        self._running = {node.name for node in nodes}
        self.say("launch", Start(0, msgspec.to_builtins(session)))

    def meet(self) -> None:
        pass

    def hear(self, until: int | None) -> Said:
        if self._waiting:
            envelope, word = self._waiting.popleft()
            return [(envelope, self._pixels.of(word) if isinstance(word, Frame) else word)]
        if until is None or (self._end_ns is not None and until > self._end_ns):
            self._end_ns = None
            self._stop("the virtual time is over")
        else:
            self._clock.set(until)
        return []

    def say(self, speaker: str, word: Message) -> None:
        if speaker not in self._voices:
            self._voices[speaker] = Voice(speaker, self._clock)
        envelope = self._voices[speaker].wrap(word)
        self.said.append((envelope, word))
        self._waiting.append((envelope, word))

    def end(self, speaker: str, reason: str, failed: bool) -> None:
        words = self._voices[speaker].ledger.of(speaker) if speaker in self._voices else {}
        self.say(speaker, Ended(self._clock.now(), reason, failed, words))
        self._running.discard(speaker)
        if not self._stopping & self._running:
            self._stop(reason)

    def _stop(self, reason: str) -> None:
        """Stop the next stage that still runs."""
        while self._stages:
            names = [name for name in self._stages.pop(0) if name in self._running]
            if names:
                self._stopping = set(names)
                self.say("launch", Stop(self._clock.now(), reason, tuple(names)))
                return
