"""Settings of the [[triggers]] tables of a task, and the checks of a trigger in a session."""

import math
from pathlib import PurePath
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from analysis.triggers.rule import Rule
from analysis.triggers.signals import PROJECTION, RAMP, contrast_of
from rig.errors import Refused
from rig.settings.config import SessionSettings

_TIME = (600.0, "ms", 0.001)
_LARGEST = {
    "position_m": (20.0, "cm", 0.01),
    "speed_cm_s": (200.0, "mm/s", 0.1),
    "since_start_s": _TIME,
    "since_cue_s": _TIME,
    "since_lick_s": _TIME,
}
"""Largest usual value of a signal, a unit used by mistake, and its factor to the right one."""
_HARDWARE, _ONLINE = "hardware", "online"


class TriggerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One [[triggers]] table: when a line is raised, and for how long."""

    name: Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$", max_length=64)]
    when: str = ""
    """The rule. The line rises when the rule becomes true during a trial."""
    yoked_file: str = ""
    """Instead of a rule: triggers.csv of another session, whose triggers are repeated."""
    line: str
    """A line of [nodes.hardware.trigger_lines]."""
    pulse_ms: Annotated[float, Meta(ge=0)] = 0.0
    """Length of the pulse, ms."""
    hold_ms: Annotated[float, Meta(ge=0)] = 0.0
    """Instead of a pulse: the line is up while the rule is true, at most this long, ms."""
    once_per_trial: bool = True
    refractory_s: Annotated[float, Meta(ge=0)] = 0.0
    """Shortest time from one trigger to the next, s."""
    sham_fraction: Annotated[float, Meta(ge=0, le=1)] = 0.0
    """Fraction of trials, drawn from the seed, in which the line does not rise."""

    @property
    def up_ms(self) -> float:
        """How long the line may be up, ms."""
        return self.pulse_ms or self.hold_ms


def parse_rule(settings: TriggerSettings) -> Rule | None:
    """Return the rule of a trigger; None if it is yoked. Raises Refused if it is not valid."""
    if bool(settings.when) == bool(settings.yoked_file):
        raise Refused(f"{_where(settings)}: give either a rule (`when`) or a `yoked_file`")
    if bool(settings.pulse_ms) == bool(settings.hold_ms):
        raise Refused(f"{_where(settings)}: give either pulse_ms or hold_ms, above 0")
    if not settings.when:
        return None
    try:
        return Rule(settings.when)
    except Refused as refusal:
        raise Refused(f"{_where(settings)}: {refusal}") from refusal


def unit_warnings(settings: TriggerSettings, rule: Rule | None) -> list[str]:
    """Return a sentence for each number in a rule that is probably in another unit."""
    warnings = []
    for signal, value in [] if rule is None else rule.compared:
        largest, unit, factor = _LARGEST.get(signal, (math.inf, "", 1.0))
        if value > largest:
            warnings.append(
                f"{_where(settings)}: {signal} never reaches {value:g}; if you mean {value:g} "
                f"{unit}, write {value * factor:g}"
            )
    return warnings


def check_names(triggers: list[TriggerSettings]) -> None:
    """Raise Refused if two triggers have the same name."""
    names = [settings.name for settings in triggers]
    for name in names:
        if names.count(name) > 1:
            raise Refused(f'[[triggers]]: two triggers are named "{name}"; rename one of them')


def check_in_session(
    settings: TriggerSettings, rule: Rule | None, session: SessionSettings
) -> None:
    """Check a trigger against the devices, the stimuli and the analysis of a session.

    Raises:
        Refused: Its line, a stimulus or the source of a signal does not exist.
    """
    _check_line(settings, session.nodes.get(_HARDWARE, {}))
    if rule is None:
        return
    stimuli = _stimuli(session.task)
    for name in sorted(rule.texts - set(stimuli)):
        raise Refused(
            f'{_where(settings)}: this task never shows a stimulus "{name}"; choose one of: '
            f"{', '.join(stimuli)}"
        )
    _check_source(settings, rule, session)


def _check_line(settings: TriggerSettings, hardware: dict[str, Any]) -> None:
    lines = hardware.get("trigger_lines", {})
    name = settings.line
    if name in hardware.get("valve", {}):
        raise Refused(
            f'{_where(settings)}: "{name}" is a valve, which only the water guard opens; choose '
            f"one of the trigger lines: {_listed(lines)}"
        )
    if name not in lines:
        raise Refused(
            f'{_where(settings)}: there is no trigger line "{name}"; choose one of: '
            f"{_listed(lines)}"
        )
    longest_ms = float(lines[name].get("longest_ms", 0.0))
    if settings.up_ms > longest_ms:
        key = "pulse_ms" if settings.pulse_ms else "hold_ms"
        raise Refused(
            f"{_where(settings)}: {key} = {settings.up_ms:g} is longer than longest_ms = "
            f"{longest_ms:g} of [nodes.hardware.trigger_lines.{name}]; change one of them"
        )


def _check_source(settings: TriggerSettings, rule: Rule, session: SessionSettings) -> None:
    """Raise Refused if a rule names signals of imaging frames that no process computes."""
    if not rule.of_frames:
        return
    online = session.nodes.get(_ONLINE)
    if online is None:
        raise Refused(
            f"{_where(settings)}: its rule needs the signals of [nodes.{_ONLINE}], which is not in "
            "this session; use a setup with that table, or signals of behavior"
        )
    learned = [s for s in sorted(rule.signals) if s == RAMP or s.startswith(f"{PROJECTION}.")]
    if learned and not online.get("learning", True):
        raise Refused(
            f"{_where(settings)}: {learned[0]} is not computed with learning = false in "
            f"[nodes.{_ONLINE}]; remove that key"
        )
    for name in learned:
        _check_contrast(settings, name, session.task.get("signals", {}))


def _check_contrast(settings: TriggerSettings, name: str, signals: dict[str, Any]) -> None:
    """Raise Refused if [signals] lacks the contrast or rewarded stimulus that a signal needs."""
    contrasts = [tuple(pair) for pair in signals.get("contrasts", [])]
    pair = contrast_of(name)
    if not contrasts:
        raise Refused(
            f"{_where(settings)}: {name} needs a pair of stimuli to compare; add contrasts to "
            "[signals]"
        )
    if pair and pair not in contrasts:
        known = ", ".join(".".join(one) for one in contrasts)
        raise Refused(
            f"{_where(settings)}: {name}: [signals] has no contrast {'.'.join(pair)}; choose one "
            f"of: {known}"
        )
    if name == RAMP and not signals.get("rewarded"):
        raise Refused(f"{_where(settings)}: {RAMP} needs the key `rewarded` in [signals]; add it")


def _stimuli(task: dict[str, Any]) -> list[str]:
    """Return the stimuli of a task, in all its blocks."""
    names: list[str] = []
    for table in (task, *task.get("blocks", [])):
        names += table.get("stimuli", [])
        names += sorted(PurePath(file).stem for file in table.get("images_files", []))
    return list(dict.fromkeys(names))


def _listed(lines: dict[str, Any]) -> str:
    return ", ".join(lines) or "none (add [nodes.hardware.trigger_lines.NAME] to the setup)"


def _where(settings: TriggerSettings) -> str:
    return f'[[triggers]] "{settings.name}"'
