"""Replay a log: feed the recorded messages to fresh deciders, and compare what they publish."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path

import msgspec

from rig.clock import SetClock
from rig.errors import Refused
from rig.messages import Fault, Frame, Lick, Message, Start, Stop
from rig.node import Node, drive
from rig.process import make, node_class
from rig.replay.comparison import Comparison, Difference
from rig.replay.differences import Differences, FieldDifference
from rig.replay.task_counts import LickTimes, TaskCounts
from rig.settings.config import SessionSettings, apply_sets, convert, located
from rig.transport.envelope import Envelope
from rig.transport.frame_pixels import Pixels
from rig.transport.log import LOG_FILE, Completeness, LogReader, read_completeness, read_kinds

Messages = Sequence[tuple[Envelope, Message]]
_AT_ONCE = 1000
_FAULTS_NOT_TOLD_APART = "1"
"""The schema in which a Fault does not say whether its cause was outside the messages."""
_SAME_BITS = ("cpu", "python", "numpy", "scipy", "numba")
"""What must be the same here as where it was recorded for every bit to be the same."""
_NOBODY = Envelope("", 0, 0, 0, 0, msgspec.Raw())
_TASK = "task"


class Report(msgspec.Struct, frozen=True):
    """What a replay proved."""

    compared: dict[str, int]
    """For each decider, how many of its messages were published again as recorded."""
    first: Difference | None
    """The earliest difference, or None: everything compared is the same."""
    unproven: dict[str, int]
    """Messages that cannot be compared: what their sender received is not in the log."""
    exact: bool
    """Bit for bit; else recorded elsewhere, and floats are the same within a tolerance."""
    outcome_counts: dict[str, tuple[str, str]] = {}
    """Counts of trials and water, recorded and replayed, by name."""
    failed: dict[str, str] = {}
    """Why deciders failed on a message when recorded, and failed again."""
    ended_outside: dict[str, str] = {}
    """What ended deciders when recorded, if not a message; they are compared up to there."""
    recorded_by: str = ""
    """Which other version recorded it, and may have decided otherwise; and what to do."""
    differences: dict[str, list[FieldDifference]] = {}
    """With --set: for each decider, how much its messages differ from the recorded ones."""
    unreached: list[str] = []
    """The --set texts that no decider reads, so that they cannot change a replay."""


def replay(folder: Path, sets: Sequence[str], here: dict[str, str]) -> Report:
    """Feed a recorded session to fresh deciders and compare what they publish with the recording.

    A decider that failed must fail again on the same message; the others go on, as they did. The
    log is streamed: memory does not grow with it, except with `sets`.

    Args:
        folder: The session folder.
        sets: `--set` texts that change the recorded settings.
        here: The versions and the CPU of this machine, as SessionSettings.about has of the other.

    Raises:
        Refused: The folder cannot be replayed.
    """
    verdict = _closed(folder)
    recorded = _session(folder)
    names = _deciders(recorded, folder)
    session = apply_sets(located(recorded, folder), list(sets))
    exact = all(recorded.about.get(key) == here.get(key) for key in _SAME_BITS)
    transport = _LogTransport(folder, verdict.in_hub_order, names)
    nodes = [make(session, n, partial(transport.publish, n)) for n in names]
    transport.reads_pixels = any(Frame in node.subscribes and node.reads_pixels for node in nodes)
    faults = recorded.about.get("schema") != _FAULTS_NOT_TOLD_APART
    transport.comparisons = {
        node.name: Comparison(node, exact, faults, Differences() if sets else None)
        for node in nodes
    }
    drive(nodes, transport, SetClock(), alone=True)
    with_tail = transport.take_tail()
    failed = {n: one for n, one in transport.comparisons.items() if one.failed}
    ends = {name: one.end(with_tail) for name, one in transport.comparisons.items()}
    found = [first for _, _, first in ends.values() if first is not None]
    return Report(
        {name: compared for name, (compared, _, _) in ends.items()},
        min(found, key=lambda difference: difference.t, default=None),
        {name: unproven for name, (_, unproven, _) in ends.items() if unproven},
        exact,
        transport.outcome_counts() if _TASK in names else {},
        {n: one.failed for n, one in failed.items() if transport.failed.get(n) == one.failed},
        {n: one.failed for n, one in failed.items() if not one.is_own_failure},
        _recorded_by(recorded.about, here),
        {n: one.differences.rows() for n, one in transport.comparisons.items() if one.differences},
        [text for text in sets if not _reaches(text, names)],
    )


def _reaches(text: str, names: Sequence[str]) -> bool:
    """Return whether one of the deciders reads the key of a --set."""
    section, _, rest = text.partition("=")[0].strip().partition(".")
    if section == "nodes":
        return rest.partition(".")[0] in names
    return section in ("task", "seed") and _TASK in names


def _closed(folder: Path) -> Completeness:
    try:
        verdict = read_completeness(folder / LOG_FILE)
    except OSError as error:
        raise Refused(f"{folder} holds no log ({error}); check the path") from error
    if verdict is None:
        raise Refused(f"{folder} is not closed; unless it still runs, run: rig recover {folder}")
    return verdict


def _session(folder: Path) -> SessionSettings:
    for _, message in read_kinds(folder / LOG_FILE, {Start}):
        if isinstance(message, Start):
            with _by_that_version(folder, message.session.get("about", {})):
                return convert(message.session, SessionSettings, "its Start")
    raise Refused(f"{folder} ended before it began: there is no Start in its log to replay")


def _deciders(recorded: SessionSettings, folder: Path) -> tuple[str, ...]:
    """Return the deciders' names. Raises Refused if this version does not know their settings."""
    with _by_that_version(folder, recorded.about):
        names = [n for n in recorded.nodes if _decides(node_class(recorded.nodes[n]["run"]))]
        for name in names:
            make(recorded, name, list[Message]().append)
    return tuple(names)


def _decides(found: type[Node]) -> bool:
    return found.period_s is None and Envelope not in found.subscribes


@contextmanager
def _by_that_version(folder: Path, about: dict[str, str]) -> Iterator[None]:
    """Within this context, let a refusal of recorded settings name their version and a remedy."""
    try:
        yield
    except Refused as refusal:
        version, how = _version(about)
        raise Refused(
            f"{folder} was recorded by {version}, and this version does not "
            f"understand its settings ({refusal}); replay it with that one: {how}"
        ) from refusal


def _version(about: dict[str, str]) -> tuple[str, str]:
    """Return which version recorded a session, and how to get it."""
    version = f"rig {about['rig']}" if "rig" in about else "another version of rig"
    commit = about.get("commit", "installed")
    if commit == "installed":
        return version, f"install {version}"
    return f"{version}, commit {commit}", f"git switch --detach {commit.removesuffix('-dirty')}"


def _recorded_by(about: dict[str, str], here: dict[str, str]) -> str:
    if all(about.get(key) == here.get(key) for key in ("rig", "commit", "schema")):
        return ""
    version, how = _version(about)
    return (
        f"it was recorded by {version}, which may decide otherwise than this version; to "
        f"prove that session, replay it with that one: {how}"
    )


class _LogTransport:
    """Feeds recorded messages to the deciders, and compares what they publish."""

    def __init__(self, folder: Path, in_hub_order: int, names: tuple[str, ...]) -> None:
        """Feed the first `in_hub_order` messages of the log; the rest is only compared."""
        self.comparisons: dict[str, Comparison] = {}
        self.failed: dict[str, str] = {}
        """Which deciders failed in this replay, and why."""
        self.reads_pixels = True
        """Whether any decider needs the pixels of Frames."""
        self._reader = LogReader(folder / LOG_FILE)
        self._log = ((envelope, message) for envelope, message, _ in self._reader.messages())
        self._received = islice(self._log, in_hub_order)
        self._names = names
        self._over = False
        self._pixels = Pixels(folder)
        faults = read_kinds(folder / LOG_FILE, {Fault})
        self._lost = {w.frame for _, w in faults if isinstance(w, Fault) and w.frame is not None}
        self._licks, self._old, self._new = LickTimes(), TaskCounts(), TaskCounts()

    def connect(self) -> None:
        pass

    def publish(self, sender: str, message: Message) -> None:
        if self._over:  # the log has ended: what follows has no counterpart
            return
        self.comparisons[sender].add_replayed(message)
        if sender == _TASK:
            self._new.take(message)

    def receive(self, until: int | None) -> Messages:
        received = list(islice(self._received, _AT_ONCE))
        self._note(received)
        if received:
            return [(envelope, self._with_pixels(message)) for envelope, message in received]
        self._over = True
        return [(_NOBODY, Stop(0, "the log ends here", self._names))]

    def end(self, sender: str, reason: str, failed: bool) -> None:
        if failed:
            self.failed[sender] = reason

    def take_tail(self) -> bool:
        """Read what follows the messages in hub order; return whether there was any.

        What follows damage is not compared: messages that should be compared with it are missing.
        """
        any_of_them = False
        for pair in self._log:
            any_of_them = True
            if self._reader.scan.gaps:
                break
            self._note([pair])
        return any_of_them

    def outcome_counts(self) -> dict[str, tuple[str, str]]:
        """Return the counts of trials and water, recorded and replayed."""
        old, new = self._old.rows(self._licks), self._new.rows(self._licks)
        return {name: (old.get(name, "0"), new.get(name, "0")) for name in {**old, **new}}

    def _note(self, messages: Messages) -> None:
        """Take note of what the deciders published when recorded."""
        for envelope, message in messages:
            if envelope.sender in self.comparisons:
                self.comparisons[envelope.sender].add_recorded(message)
            if envelope.sender == _TASK:
                self._old.take(message)
            if isinstance(message, Lick):
                self._licks.take(message)

    def _with_pixels(self, message: Message) -> Message:
        if not (isinstance(message, Frame) and self.reads_pixels) or message.index in self._lost:
            return message
        filled = self._pixels.of(message)
        if filled.pixels is None:
            raise Refused(
                f"the pixels of frame {message.index} are missing; restore {message.file}"
            )
        return filled
