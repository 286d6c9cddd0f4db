"""Replay a log: pass the recorded messages to new deciders, and compare what they publish."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path

import msgspec

from rig.clock import SetClock
from rig.errors import Refused
from rig.messages import Fault, Frame, Message, Start, Stop, TrialStart, kind
from rig.node import Node, ReplayCounts, drive
from rig.process import make, node_class
from rig.replay.comparison import Comparison, Difference
from rig.replay.differences import Differences, FieldDifference
from rig.replay.what_if import WhatIf
from rig.settings.config import SessionSettings, apply_sets, convert, located
from rig.transport.envelope import Envelope
from rig.transport.frame_pixels import Pixels
from rig.transport.log import (
    LOG_FILE,
    Completeness,
    LogReader,
    Wants,
    message_count,
    read_completeness,
    read_kinds,
)

Messages = Sequence[tuple[Envelope, Message]]
_BATCH = 1000
"""Number of messages read from the log at a time."""
_SAME_BITS = ("cpu", "python", "numpy", "scipy", "numba")
"""Keys of `about` that must agree with the recording for results to be equal bit for bit."""
_NO_SENDER = Envelope("", 0, 0, 0, 0, msgspec.Raw())


class Report(msgspec.Struct, frozen=True):
    """The result of a replay."""

    compared: dict[str, int]
    """Number of messages compared, by decider."""
    first: Difference | None
    """The earliest difference; None if all compared messages are equal."""
    unproven: dict[str, int]
    """Number of messages that cannot be compared, because the decider's input is not in the log."""
    exact: bool
    """True if compared bit for bit; False if recorded elsewhere and floats have a tolerance."""
    outcome_counts: dict[str, tuple[str, str]] = {}
    """With --set: Node.replay_counts of the deciders, recorded and replayed, by name."""
    failed: dict[str, str] = {}
    """Why a decider failed on a message in the recording and, in the same way, in the replay."""
    ended_outside: dict[str, str] = {}
    """The cause, other than a message, that ended a decider in the recording; its messages are
    compared up to then."""
    recorded_by: str = ""
    """A sentence if another version recorded the session, and what to do; "" otherwise."""
    differences: dict[str, list[FieldDifference]] = {}
    """With --set: how much the messages of each decider differ from the recorded ones."""
    unreached: list[str] = []
    """The --set texts that no decider reads; they do not change the replay."""
    what_if: WhatIf | None = None
    """With --set: where each trial of the task first diverges from the recording."""


def read_recording(
    folder: Path, here: dict[str, str]
) -> tuple[Completeness, SessionSettings, tuple[str, ...]]:
    """Return the completeness of a session, its settings, and the names of its deciders.

    Raises Refused if the session cannot be replayed by this version.
    """
    completeness = _completeness(folder)
    recorded = _session(folder, here)
    return completeness, recorded, _deciders(recorded, folder)


def replay(
    folder: Path, sets: Sequence[str], here: dict[str, str], only: Sequence[str] = ()
) -> Report:
    """Pass a recorded session to new deciders and compare what they publish with the recording.

    A decider that failed must fail again on the same message; the others continue, as in the
    recording. The log is streamed, so memory does not grow with its length, except with `sets`.

    Args:
        folder: The session folder.
        sets: `--set` texts that change the recorded settings.
        here: Versions and CPU of this machine, to compare with SessionSettings.about.
        only: The deciders to replay; empty for all.

    Raises:
        Refused: The folder cannot be replayed.
    """
    completeness, recorded, deciders = read_recording(folder, here)
    names = _chosen(deciders, only)
    session = apply_sets(located(recorded, folder), list(sets))
    exact = all(recorded.about.get(key) == here.get(key) for key in _SAME_BITS)
    transport = _LogTransport(folder, completeness.in_hub_order, names)
    nodes = [make(session, n, partial(transport.publish, n)) for n in names]
    if completeness.whole and completeness.in_hub_order == message_count(folder / LOG_FILE):
        transport.wants = _wants(nodes)
    transport.reads_pixels = any(Frame in node.subscribes and node.reads_pixels for node in nodes)
    transport.comparisons = {
        node.name: Comparison(node, exact, Differences() if sets else None) for node in nodes
    }
    if sets:
        transport.counts = [_Counts(node) for node in nodes if node.replay_counts is not None]
    running_trials = [node.name for node in nodes if TrialStart in node.publishes]
    if sets and running_trials:
        transport.what_if, transport.trials_by = WhatIf(), running_trials[0]
    drive(nodes, transport, SetClock(), alone=True)
    unreached = [text for text in sets if not _reaches(text, nodes)]
    return _report(transport, exact, _recorded_by(recorded.about, here), unreached)


def _wants(nodes: Sequence[Node]) -> Wants:
    """Return which recorded messages a replay needs: what the deciders handle and published."""
    senders = {node.name for node in nodes}
    types = {kind(one) for node in nodes for one in node.subscribes if issubclass(one, Message)}
    types |= {kind(Start), kind(Stop)}
    return lambda sender, name: sender in senders or name in types


def _chosen(deciders: tuple[str, ...], only: Sequence[str]) -> tuple[str, ...]:
    """Return the deciders to replay, in order. Raises Refused if a name in `only` is unknown."""
    if unknown := [name for name in only if name not in deciders]:
        raise Refused(
            f"the session has no process {unknown[0]!r} whose decisions can be compared; choose "
            f"from {', '.join(deciders)}"
        )
    return tuple(name for name in deciders if not only or name in only)


def _report(
    transport: "_LogTransport", exact: bool, recorded_by: str, unreached: list[str]
) -> Report:
    with_tail = transport.take_tail()
    if transport.what_if is not None:
        transport.what_if.end()
    comparisons = transport.comparisons
    failed = {n: one for n, one in comparisons.items() if one.failed}
    ends = {name: one.end(with_tail) for name, one in comparisons.items()}
    found = [first for _, _, first in ends.values() if first is not None]
    return Report(
        {name: compared for name, (compared, _, _) in ends.items()},
        min(found, key=lambda difference: difference.t, default=None),
        {name: unproven for name, (_, unproven, _) in ends.items() if unproven},
        exact,
        {name: pair for counts in transport.counts for name, pair in counts.rows().items()},
        {n: one.failed for n, one in failed.items() if transport.failed.get(n) == one.failed},
        {n: one.failed for n, one in failed.items() if not one.is_own_failure},
        recorded_by,
        {n: one.differences.rows() for n, one in comparisons.items() if one.differences},
        unreached,
        transport.what_if,
    )


def _reaches(text: str, nodes: Sequence[Node]) -> bool:
    """Return True if one of the deciders reads the key of a --set text."""
    section, _, rest = text.partition("=")[0].strip().partition(".")
    if section == "nodes":
        return rest.partition(".")[0] in [node.name for node in nodes]
    return section in ("task", "seed") and any(
        node.settings_from_task or node.task_keys for node in nodes
    )


def _completeness(folder: Path) -> Completeness:
    try:
        completeness = read_completeness(folder / LOG_FILE)
    except OSError as error:
        raise Refused(f"{folder} has no log ({error}); check the path") from error
    if completeness is None:
        raise Refused(f"{folder} is not closed; unless it still runs, run: rig recover {folder}")
    return completeness


def _session(folder: Path, here: dict[str, str]) -> SessionSettings:
    """Return the recorded settings. Raises Refused if this version cannot replay them."""
    for _, message in read_kinds(folder / LOG_FILE, {Start}):
        if isinstance(message, Start):
            recorded_about = message.session.get("about", {})
            _check_schema(folder, recorded_about, here)
            with _name_version(folder, recorded_about):
                return convert(message.session, SessionSettings, "its Start")
    raise Refused(f"{folder} has no Start in its log: the session ended before it began")


def _check_schema(folder: Path, about: dict[str, str], here: dict[str, str]) -> None:
    """Raise Refused if the meaning of the log's messages differs in this version."""
    schema, own = about.get("schema"), here.get("schema")
    if schema is not None and schema != own:
        version, how = _version(about)
        raise Refused(
            f"{folder} was recorded by {version} with message schema {schema}, and this version "
            f"replays only schema {own}; replay it with that version: {how}"
        )


def _deciders(recorded: SessionSettings, folder: Path) -> tuple[str, ...]:
    """Return the deciders' names. Raises Refused if this version does not accept their settings."""
    with _name_version(folder, recorded.about):
        names = [n for n in recorded.nodes if _decides(node_class(recorded.nodes[n]["run"]))]
        for name in names:
            make(recorded, name, list[Message]().append)
    return tuple(names)


def _decides(kind: type[Node]) -> bool:
    return kind.period_s is None and Envelope not in kind.subscribes


@contextmanager
def _name_version(folder: Path, about: dict[str, str]) -> Iterator[None]:
    """Add the recording version and a remedy to a refusal of recorded settings."""
    try:
        yield
    except Refused as refusal:
        version, how = _version(about)
        raise Refused(
            f"{folder} was recorded by {version}, and this version does not "
            f"understand its settings ({refusal}); replay it with that version: {how}"
        ) from refusal


def _version(about: dict[str, str]) -> tuple[str, str]:
    """Return the version that recorded a session, and the command that gets it."""
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
        f"the session was recorded by {version}, which may decide differently from this version; "
        f"to verify the session, replay it with that version: {how}"
    )


class _Counts:
    """The counts of one decider, recorded and replayed."""

    def __init__(self, node: Node) -> None:
        kind = node.replay_counts
        assert kind is not None
        self.sender = node.name
        self.subscribes = node.subscribes
        self.recorded: ReplayCounts = kind()
        self.replayed: ReplayCounts = kind()

    def add_recorded(self, sender: str, message: Message) -> None:
        """Count a recorded message; both sides received the same input."""
        if sender == self.sender:
            self.recorded.count(message)
        elif isinstance(message, self.subscribes):
            self.recorded.count(message)
            self.replayed.count(message)

    def rows(self) -> dict[str, tuple[str, str]]:
        """Return the counts as text by name, as (recorded, replayed)."""
        old, new = self.recorded.rows(), self.replayed.rows()
        return {name: (old.get(name, "0"), new.get(name, "0")) for name in {**old, **new}}


class _LogTransport:
    """A transport that passes recorded messages to the deciders, and compares what they publish."""

    def __init__(self, folder: Path, in_hub_order: int, names: tuple[str, ...]) -> None:
        """Pass the first `in_hub_order` messages of the log; the rest is only compared."""
        self.comparisons: dict[str, Comparison] = {}
        self.counts: list[_Counts] = []
        self.what_if: WhatIf | None = None
        self.trials_by = ""
        """The decider that runs the trials."""
        self.failed: dict[str, str] = {}
        """Why each decider that failed in this replay failed, by name."""
        self.reads_pixels = True
        """True if any decider needs the pixels of Frames."""
        self._reader = LogReader(folder / LOG_FILE)
        self.wants: Wants | None = None
        """The messages that are read; None for all. Only for a log that is whole in hub order."""
        self._log = self._read()
        self._received = islice(self._log, in_hub_order)
        self._names = names
        self._at_end = False
        self._pixels = Pixels(folder)
        faults = (message for _, message in read_kinds(folder / LOG_FILE, {Fault}))
        self._lost = {f.frame for f in faults if isinstance(f, Fault) and f.frame is not None}

    def _read(self) -> Iterator[tuple[Envelope, Message]]:
        for envelope, message, _ in self._reader.messages(self.wants):
            yield envelope, message

    def connect(self) -> None:
        pass

    def publish(self, sender: str, message: Message) -> None:
        if self._at_end:  # messages after the end of the log have no counterpart
            return
        self.comparisons[sender].add_replayed(message)
        if self.what_if is not None and sender == self.trials_by:
            self.what_if.add(1, message)
        for counts in self.counts:
            if sender == counts.sender:
                counts.replayed.count(message)

    def receive(self, until: int | None) -> Messages:
        received = list(islice(self._received, _BATCH))
        self._add_recorded(received)
        if received:
            return [(envelope, self._with_pixels(message)) for envelope, message in received]
        self._at_end = True
        return [(_NO_SENDER, Stop(0, "the log ends here", self._names))]

    def end(self, sender: str, reason: str, failed: bool) -> None:
        if failed:
            self.failed[sender] = reason

    def take_tail(self) -> bool:
        """Read the messages after those in hub order; return True if there are any.

        Messages after a damaged part are not compared, because their counterparts may be missing.
        """
        has_tail = False
        for pair in self._log:
            has_tail = True
            if self._reader.scan.gaps:
                break
            self._add_recorded([pair])
        return has_tail

    def _add_recorded(self, messages: Messages) -> None:
        """Compare and count recorded messages."""
        for envelope, message in messages:
            if envelope.sender in self.comparisons:
                self.comparisons[envelope.sender].add_recorded(message)
            if self.what_if is not None and envelope.sender == self.trials_by:
                self.what_if.add(0, message)
            for counts in self.counts:
                counts.add_recorded(envelope.sender, message)

    def _with_pixels(self, message: Message) -> Message:
        if not (isinstance(message, Frame) and self.reads_pixels) or message.index in self._lost:
            return message
        filled = self._pixels.of(message)
        if filled.pixels is None:
            raise Refused(
                f"the pixels of frame {message.index} are missing; restore {message.file}"
            )
        return filled
