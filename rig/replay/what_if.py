"""Find where each trial first diverges if a recorded session is replayed with other settings.

The recorded mouse does not react to the new settings. So within a trial only the first message that
differs is evidence; after it, the trial would have continued differently.
"""

from collections import deque

import msgspec

from rig.messages import (
    Arm,
    Cue,
    Disarm,
    Fault,
    Message,
    Position,
    TrialEnd,
    TrialStart,
    kind,
)

COMPARED = (Position, TrialStart, TrialEnd, Cue, Arm, Disarm, Fault)


class Divergence(msgspec.Struct, frozen=True):
    """The first difference of one trial; None where one side published nothing at that time."""

    trial: int
    stimulus: str
    t_s: float
    """Time from the start of the trial, s."""
    old: Message | None
    new: Message | None

    def texts(self) -> tuple[str, str]:
        """Return texts on the recorded message and on that with the new settings."""
        return _text(self.old, self.new), _text(self.new, self.old)


class WhatIf:
    """The comparison of the recorded and the replayed messages of a task, trial by trial."""

    def __init__(self) -> None:
        self.divergences: list[Divergence] = []
        self.trials = 0
        """Number of trials on both sides."""
        self._queues: tuple[deque[Message], deque[Message]] = (deque(), deque())
        self._skips = [False, False]
        """True for a side that has diverged and is skipped until its next trial."""
        self._trial: TrialStart | None = None

    def add(self, side: int, message: Message) -> None:
        """Add the next message: side 0 is the recording, side 1 the replay."""
        if not isinstance(message, COMPARED) or (self._skips[side] and not self._resumes(message)):
            return
        self._skips[side] = False
        self._queues[side].append(message)
        while all(self._queues):
            self._compare(self._queues[0].popleft(), self._queues[1].popleft())

    def end(self) -> None:
        """Compare the ends: one side may have continued longer than the other."""
        old, new = (next(iter(queue), None) for queue in self._queues)
        if (old is None) != (new is None):
            self._diverge(old, new)

    def _compare(self, old: Message, new: Message) -> None:
        if isinstance(old, TrialStart) and isinstance(new, TrialStart):
            if (old.trial, old.stimulus) == (new.trial, new.stimulus):
                self._trial, self.trials = old, self.trials + 1
                return  # drawn values may differ with the settings; their effects are compared
        elif _same(old, new):
            return
        self._diverge(old, new)

    def _diverge(self, old: Message | None, new: Message | None) -> None:
        """Record where this trial diverges, and skip to the next trial on both sides."""
        if old is not None and new is not None and type(old) is not type(new) and old.t != new.t:
            old, new = (old, None) if old.t < new.t else (None, new)
        first = old or new
        start = self._trial
        if first is not None:
            t_s = (first.t - (start.t if start else 0)) / 1e9
            trial, stimulus = (start.trial, start.stimulus) if start else (-1, "")
            self.divergences.append(Divergence(trial, stimulus, t_s, old, new))
        for side, queue in enumerate(self._queues):
            while queue and not self._resumes(queue[0]):
                queue.popleft()
            self._skips[side] = not queue

    def _resumes(self, message: Message) -> bool:
        last = -1 if self._trial is None else self._trial.trial
        return isinstance(message, TrialStart) and message.trial > last


def _same(old: Message, new: Message) -> bool:
    """Return True if two messages are equal, apart from ids, which depend on earlier trials."""
    if isinstance(old, Arm | Disarm) and type(old) is type(new):
        return old == msgspec.structs.replace(new, id=old.id)
    return old == new


def _text(message: Message | None, other: Message | None) -> str:
    match message:
        case None:
            text = "nothing"
        case Arm():
            how = "at once" if message.on == "now" else "for a lick"
            text = f"reward requested {how}, {message.volume_ul:g} ul"
        case Disarm():
            text = "request withdrawn"
        case Cue():
            text = f"cue at {message.position_m:.3f} m"
        case TrialStart():
            text = f"trial {message.trial} begins: {message.stimulus}"
        case TrialEnd():
            text = f"trial {message.outcome}"
        case Fault():
            text = f"fault: {message.text}"
        case _ if type(other) is type(message):
            names = [
                n for n in message.__struct_fields__ if getattr(message, n) != getattr(other, n)
            ]
            text = ", ".join(f"{name} {_value(name, getattr(message, name))}" for name in names)
        case _:
            text = f"{kind(message)} at {message.t / 1e9:.3f} s"
    return text


def _value(name: str, value: object) -> str:
    """Return the value of a field as a person reads it: times in seconds, numbers of six digits."""
    if name == "t" and isinstance(value, int):
        return f"{value / 1e9:.3f} s"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
