"""Compute the running signals of a continued session again, over all its parts.

The online process of each part began without the trials of the parts before. Here, one
RunningSignals gets the recorded traces of all parts, as if they were one session.
"""

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from analysis.cells.areas import groups_of
from analysis.cells.read_cells import read_cells
from analysis.signals.position_lookup import PositionLookup, UnplacedLicks
from analysis.signals.running_signals import RunningSignals
from analysis.signals.scratch import ScratchRows
from analysis.signals.task_signals import task_signals
from rig.messages import (
    CellSignals,
    Cue,
    Frame,
    LearningSignals,
    Lick,
    Message,
    Position,
    Start,
    TrialEnd,
    TrialStart,
)
from rig.transport.envelope import Envelope

Messages = Iterator[tuple[Envelope, Message]]


def with_joined_signals(messages: Messages, folder: Path) -> Messages:
    """Yield the messages of all parts, with signals over all parts instead of those of each part.

    Args:
        messages: The messages of the parts, as `parts.read_parts` returns them.
        folder: The session folder, with the cells_file of the settings.
    """
    join: _Join | None = None
    learned, number = None, count()

    def numbered(envelope: Envelope, computed: Message) -> tuple[Envelope, Message]:
        if isinstance(computed, LearningSignals):
            envelope = msgspec.structs.replace(envelope, incarnation=0, seq=next(number))
        return envelope, computed

    for envelope, message in messages:
        if isinstance(message, Start) and join is None:
            join = _Join(message.session, folder)
        if isinstance(message, LearningSignals):
            learned = envelope
            continue
        for computed in [message] if join is None else join.take(message):
            yield numbered(envelope, computed)
    if join is not None and learned is not None:
        for computed in join.finish():
            yield numbered(learned, computed)


class _Join:
    """One RunningSignals for all parts, and the order in which `online` passes messages to it."""

    def __init__(self, session: dict[str, Any], folder: Path) -> None:
        self._online = session.get("nodes", {}).get("online", {})
        self._task, self._folder = task_signals(session.get("task", {})), folder
        self._signals: RunningSignals | None = None
        self._store: ScratchRows | None = None
        self._before: list[TrialStart | TrialEnd | Cue] = []
        self._running: int | None = None
        self._positions, self._licks = PositionLookup(), UnplacedLicks()
        self._t = 0

    def take(self, message: Message) -> list[Message]:
        """Process a message; return it, or the messages that replace it."""
        match message:
            case Position():
                self._positions.add(message)
                self._place_licks(message.t)
            case Lick():
                self._licks.add(message.t)
            case TrialStart():
                if self._running is not None:  # the part before it was cut off inside a trial
                    self._handle(TrialEnd(message.t, self._running, "aborted"))
                self._running = message.trial
                self._handle(message)
            case TrialEnd():
                self._running = None
                self._handle(message)
            case Cue():
                self._handle(message)
            case CellSignals():
                return self._take_frame(message)
        return [message]

    def finish(self) -> list[Message]:
        """Return the signals at the end of the session."""
        if self._signals is None:
            return []
        self._place_licks(None)
        messages = self._signals.finish(self._t)
        if self._store is not None:
            self._store.close()
        return messages

    def _handle(self, message: TrialStart | TrialEnd | Cue) -> None:
        if self._signals is None:
            self._before.append(message)
        elif isinstance(message, Cue):
            self._signals.add_cue(message)
        else:
            self._signals.handle_trial(message)

    def _take_frame(self, recorded: CellSignals) -> list[Message]:
        activity = np.frombuffer(recorded.traces, "<f4")
        if self._signals is None:
            self._signals = self._begin(activity.size)
        self._t = recorded.t
        frame = Frame(recorded.t, recorded.frame, "", 0, 0, 0, 0.0)
        moving, trial = recorded.moving, recorded.trial
        position = Position(recorded.t, trial, recorded.position_m, 0.0, moving, "grey")
        messages = self._signals.add_frame(frame, position, activity, recorded.scanned_t)
        kept = {"motion": recorded.motion, "z_um": recorded.z_um}
        return [
            msgspec.structs.replace(one, **kept) if isinstance(one, CellSignals) else one
            for one in messages
        ]

    def _begin(self, cells: int) -> RunningSignals:
        at, seed = self._online.get("selective_at", 0.3), self._online.get("fold_seed", 0)
        if self._online.get("learning", True):
            self._store = ScratchRows(None, cells)
        signals = RunningSignals(self._task, self._groups(cells), at, self._store, seed)
        self._signals = signals
        for message in self._before:
            self._handle(message)
        self._before.clear()
        return signals

    def _groups(self, cells: int) -> Any:
        """Return the area group of each cell; 0 for all if the cells cannot be read."""
        path, areas = (str(self._online.get(name) or "") for name in ("cells_file", "areas_file"))
        if (self._folder / path).is_file():
            use_iscell = bool(self._online.get("use_iscell", True))
            areas_path = self._folder / areas if areas else None
            found = read_cells(self._folder / path, areas_path, use_iscell)
            if len(found) == cells:
                return groups_of(found.area)
        return np.zeros(cells, np.uint8)

    def _place_licks(self, t: int | None) -> None:
        """Look up the position at each lick before t; None: at all licks."""
        if self._signals is not None:
            for lick in self._licks.take(t, self._positions):
                self._signals.add_lick(lick)
