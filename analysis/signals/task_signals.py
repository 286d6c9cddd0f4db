"""The [signals] table of a task: which stimuli the running signals compare."""

from typing import Any

import msgspec

from analysis.signals.selectivity import Contrast


class TaskSignals(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of a task that the analysis uses."""

    contrasts: tuple[Contrast, ...] = ()
    """Pairs of stimuli, A and B, for selectivity, tuning and coding direction."""
    reference: Contrast | None = None
    """The contrast whose d' selects reward-prediction cells."""
    rewarded: str = ""
    """The stimulus whose trials with early and late cues are compared; empty if there is none."""


def task_signals(task: dict[str, Any]) -> TaskSignals:
    """Return the [signals] table of a resolved task.

    The reference contrast is moved to the front of the list of contrasts; if none is named, it is
    the first.
    """
    given = msgspec.convert(task.get("signals", {}), TaskSignals, strict=False)
    if given.reference is None:
        return msgspec.structs.replace(given, reference=next(iter(given.contrasts), None))
    others = tuple(c for c in given.contrasts if c != given.reference)
    return msgspec.structs.replace(given, contrasts=(given.reference, *others))
