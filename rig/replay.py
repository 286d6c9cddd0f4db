"""A log, said again: fresh deciders hear the recorded words, and must say the recorded ones."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from rig.clock import SetClock
from rig.config import Session, apply_sets, convert, located
from rig.envelope import Envelope
from rig.log import LOG_FILE, Verdict, read, read_verdict
from rig.messages import Ended, Fault, Frame, Message, Start, Stop
from rig.node import Node, drive
from rig.pixels import Pixels
from rig.process import make, node_class
from rig.refused import Refused

Words = Sequence[tuple[Envelope, Message]]
_AT_ONCE = 1000
_FLOAT_TOLERANCE = 1e-5
_SAME_BITS = ("cpu", "python", "numpy", "scipy", "numba")
"""What must be the same here as where it was recorded for every bit to be the same."""
_NOBODY = Envelope("", 0, 0, 0, 0, msgspec.Raw())


class Difference(msgspec.Struct, frozen=True):
    """The first word that a decider said otherwise; None where one side has no more words."""

    speaker: str
    trial: int
    t: int
    old: Message | None
    new: Message | None


class Report(msgspec.Struct, frozen=True):
    """What a replay proved."""

    compared: dict[str, int]
    """For each decider, how many of its words were said again as recorded."""
    first: Difference | None
    """The earliest difference, or None: everything compared is the same."""
    unproven: dict[str, int]
    """Words that cannot be compared: what their speaker had heard is not in the log."""
    exact: bool
    """Bit for bit; else recorded elsewhere, and floats are the same within a tolerance."""


def replay(folder: Path, sets: Sequence[str], here: dict[str, str]) -> Report:
    """Feed a recorded session to fresh deciders and compare what they say with what was said.

    `sets` are `--set` texts that change the recorded settings; `here` says of this machine what
    Session.about says of the recording one. Raises Refused if the folder cannot be replayed.
    """
    verdict = _closed(folder)
    words = list(read(folder / LOG_FILE))
    recorded = _session(words, folder)
    session = apply_sets(located(recorded, folder), list(sets))
    names = [n for n in session.nodes if _decides(node_class(session.nodes[n]["run"]))]
    wire = _LogWire(folder, words[: verdict.in_hub_order], tuple(names))
    nodes = [make(session, n, partial(wire.say, n)) for n in names]
    drive(nodes, wire, SetClock())
    with_tail = verdict.in_hub_order < len(words)
    exact = all(recorded.about.get(key) == here.get(key) for key in _SAME_BITS)
    return _compare(nodes, words, wire.said, with_tail, exact)


def _closed(folder: Path) -> Verdict:
    try:
        verdict = read_verdict(folder / LOG_FILE)
    except OSError as error:
        raise Refused(f"{folder} holds no log ({error}); check the path") from error
    if verdict is None:
        raise Refused(f"{folder} is not closed; unless it still runs, run: rig recover {folder}")
    return verdict


def _session(words: Words, folder: Path) -> Session:
    for _, word in words:
        if isinstance(word, Start):
            return convert(word.session, Session, f"{folder}, Start")
    raise Refused(f"{folder} ended before it began: there is no Start in its log to replay")


def _decides(found: type[Node]) -> bool:
    return found.period_s is None and Envelope not in found.hears


class _LogWire:
    """Gives recorded words back, and collects what is said to them."""

    def __init__(self, folder: Path, words: Words, names: tuple[str, ...]) -> None:
        self.said: dict[str, list[Message]] = defaultdict(list)
        self._words, self._names = words, names
        self._at = 0
        self._pixels = Pixels(folder)
        self._lost = {w.frame for _, w in words if isinstance(w, Fault) and w.frame is not None}

    def meet(self) -> None:
        pass

    def say(self, speaker: str, word: Message) -> None:
        if self._at <= len(self._words):
            self.said[speaker].append(word)

    def hear(self, until: int | None) -> Words:
        heard = self._words[self._at : self._at + _AT_ONCE]
        self._at += len(heard)
        if heard:
            return [(envelope, self._with_pixels(word)) for envelope, word in heard]
        self._at = len(self._words) + 1  # what is said from here on, nobody said
        return [(_NOBODY, Stop(0, "the log ends here", self._names))]

    def end(self, speaker: str, reason: str, failed: bool) -> None:
        pass

    def _with_pixels(self, word: Message) -> Message:
        if not isinstance(word, Frame) or word.index in self._lost:
            return word
        filled = self._pixels.of(word)
        if filled.pixels is None:
            raise Refused(f"the pixels of frame {word.index} are gone: bring back {word.file}")
        return filled


def _compare(
    nodes: Sequence[Node], words: Words, new: dict[str, list[Message]], with_tail: bool, exact: bool
) -> Report:
    compared: dict[str, int] = {}
    unproven: dict[str, int] = {}
    differences: list[Difference] = []
    for node in nodes:
        was = _said(node, words)
        now = [w for w in new[node.name] if isinstance(w, node.says)]
        if with_tail or not _ended_well(node.name, words):
            shorter = min(len(was), len(now))
            unproven[node.name] = max(len(was), len(now)) - shorter
            was, now = was[:shorter], now[:shorter]
        compared[node.name] = len(was)
        difference = next(_differences(node.name, was, now, exact), None)
        if difference is not None:
            differences.append(difference)
    first = min(differences, key=lambda d: d.t, default=None)
    return Report(compared, first, {k: n for k, n in unproven.items() if n}, exact)


def _said(node: Node, words: Words) -> list[Message]:
    """Return what a node said of its own; not what its wire or its failure made it say."""
    said: list[Message] = []
    failed_at: int | None = None
    for envelope, word in words:
        if envelope.speaker != node.name:
            continue
        if isinstance(word, Fault):
            failed_at = len(said)
        if isinstance(word, Ended) and word.failed:
            return said[:failed_at]
        if isinstance(word, node.says) and not (isinstance(word, Fault) and word.frame is not None):
            said.append(word)
    return said


def _ended_well(speaker: str, words: Words) -> bool:
    return any(
        isinstance(word, Ended) and not word.failed
        for envelope, word in words
        if envelope.speaker == speaker
    )


def _differences(
    speaker: str, was: list[Message], now: list[Message], exact: bool
) -> Iterator[Difference]:
    trial = -1
    for old, new in zip_longest(was, now):
        trial = getattr(old or new, "trial", trial)
        if old != new and (exact or not _close(old, new)):
            yield Difference(speaker, trial, (old or new).t, old, new)


def _close(old: Message | None, new: Message | None) -> bool:
    """Whether two words say the same, floats within the tolerance."""
    if old is None or new is None or type(old) is not type(new):
        return False
    pairs = zip(msgspec.structs.astuple(old), msgspec.structs.astuple(new), strict=True)
    return all(_close_value(a, b) for a, b in pairs)


def _close_value(old: Any, new: Any) -> bool:
    if isinstance(old, float) and isinstance(new, float):
        return math.isclose(old, new, rel_tol=_FLOAT_TOLERANCE, abs_tol=_FLOAT_TOLERANCE)
    if isinstance(old, bytes) and isinstance(new, bytes) and len(old) == len(new):
        was, now = np.frombuffer(old, "<f4"), np.frombuffer(new, "<f4")
        tolerance = _FLOAT_TOLERANCE
        return bool(np.allclose(was, now, rtol=tolerance, atol=tolerance, equal_nan=True))
    return bool(old == new)
