"""One trigger of a task: request its line when the rule becomes true, and release a held line."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from analysis.triggers.rule import Rule
from analysis.triggers.settings import TriggerSettings
from analysis.triggers.signals import Moment
from rig.messages import Message, Trigger, TriggerRelease

DEADLINE_NS = 100_000_000
"""Longest time from the decision to the rise of a line, ns; a later request is refused."""
_STREAM = 3
"""Number of the random stream of sham trials; the task uses 0 and 1, the simulated mouse 2."""


class Now(NamedTuple):
    """The time at which a moment is evaluated; the moment of a frame is some frames earlier."""

    t: int
    """The largest time of any message so far, ns."""
    cause_t: int
    """`t` of the message that is being handled, ns."""
    trial: int
    """The current trial; -1 between trials."""


class Requests:
    """The requests of one trigger, with once_per_trial, the refractory time and shams applied."""

    def __init__(
        self, settings: TriggerSettings, seed: int, number: int, ids: Iterator[int]
    ) -> None:
        """Start without requests.

        Args:
            settings: The trigger.
            seed: Random seed of the session, for sham trials.
            number: Index of the trigger in the task.
            ids: Numbers for requests, shared by all triggers.
        """
        self._settings, self._ids = settings, ids
        self._seed = [seed, _STREAM, number]
        self._last_trial = -1
        self._last_t: int | None = None

    def request(self, moment: Moment, now: Now, up_ms: float, hold: bool) -> Trigger | None:
        """Return a request; None if the trigger may not raise its line now."""
        settings = self._settings
        if moment.trial != now.trial:
            return None  # the trial is over; the line would rise in another trial
        if not settings.yoked_file and self._is_too_soon(moment.trial, now.t):
            return None
        self._last_trial, self._last_t = moment.trial, now.t
        return Trigger(
            now.cause_t,
            id=next(self._ids),
            deadline=now.t + DEADLINE_NS,
            rule=settings.name,
            line=settings.line,
            up_ms=up_ms,
            hold=hold,
            sham=self._is_sham(moment.trial),
            trial=moment.trial,
            stimulus=str(moment.values["stimulus"]),
            position_m=float(moment.values["position_m"] or 0.0),
            frame=moment.frame,
        )

    def _is_too_soon(self, trial: int, t: int) -> bool:
        """Return True if once_per_trial or refractory_s forbids another request now."""
        if self._settings.once_per_trial and trial == self._last_trial:
            return True
        last_t = self._last_t
        return last_t is not None and t - last_t < self._settings.refractory_s * 1e9

    def _is_sham(self, trial: int) -> bool:
        """Return True if a trial is a sham; this trigger then raises no line in the trial."""
        drawn = np.random.default_rng([*self._seed, trial]).random()
        return bool(drawn < self._settings.sham_fraction)


class RuleTrigger:
    """A trigger that raises its line when its rule becomes true, and then releases a held line."""

    def __init__(self, settings: TriggerSettings, rule: Rule, requests: Requests) -> None:
        self._settings, self._rule, self._requests = settings, rule, requests
        self.of_frames = rule.of_frames
        self._trial = -1
        """The trial of the last moment."""
        self._was_true = False
        self._held: int | None = None
        """The id of the request whose line is held."""

    def judge(self, moment: Moment, now: Now) -> list[Message]:
        """Evaluate the rule at the next moment; return the messages to publish."""
        messages: list[Message] = []
        if moment.trial != self._trial:
            self._trial, self._was_true = moment.trial, False
            self._rule.reset()
            messages += self.release(now.cause_t)
        if moment.trial < 0:
            return messages
        was_true, self._was_true = self._was_true, self._rule.is_true(moment)
        if not self._was_true:
            return messages + self.release(now.cause_t)
        if was_true:
            return messages
        hold = self._settings.hold_ms > 0
        request = self._requests.request(moment, now, self._settings.up_ms, hold)
        if request is None:
            return messages
        self._held = request.id if hold else None
        return [*messages, request]

    def release(self, t: int) -> list[Message]:
        """Return the message that ends a held line; nothing if no line is held."""
        held, self._held = self._held, None
        return [] if held is None else [TriggerRelease(t, held)]
