"""The data and actions of the panel: the animals, the running session, and the end of the day."""

import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from analysis.report.write import REPORT_FILE
from behavior.trials.task_settings import COHORTS
from rig.cli import record_entries as entries
from rig.cli.numbers import number_in
from rig.cli.panel import animal_rows
from rig.cli.panel.choices import Choices
from rig.cli.panel.run_process import RIG, Phase, Run, running
from rig.cli.sessions.completeness_notice import INCOMPLETE
from rig.cli.sessions.run import resolve_day
from rig.errors import Refused
from rig.plain_text import is_plain
from rig.session.launch import why_not
from rig.session.preflight import Objection
from rig.settings.config import convert
from rig.settings.lab import REHEARSAL_FOLDER, read_lab
from rig.settings.setting_errors import blamed_on
from rig.subjects.record import Subject, has_record

Row = dict[str, Any]
_READY = "ready"
_BUSY = "a session is running, or its end is still shown; end it, or press Next animal"
_FACTS = ("birth_date", "sex", "genotype", "project", "experimenter")
_MOST_REASON = 200


class Desk:
    """The state of the day, with at most one session, which runs in a separate process."""

    def __init__(self, data: Path, choices: Choices, rehearse: bool) -> None:
        """Use the record of a data folder; with `rehearse`, sessions are in DATA/rehearsal."""
        self._data, self._choices, self._rehearse = data.absolute(), choices, rehearse
        self._sessions = self._data / REHEARSAL_FOLDER if rehearse else self._data
        self._had_record = has_record(self._data)
        self._run = running(self._sessions)
        self._choosing = threading.Lock()
        """Lock that is held while another session is chosen to be shown."""
        self._other: Run | None = None
        """A running session that is not shown yet, because another one has ended here."""
        self._end: Row = {}
        self._reporting: subprocess.Popen[bytes] | None = None
        self._verbs: dict[str, Callable[[Row], Row]] = {
            "weigh": self._weigh,
            "give": self._give,
            "evening": self._evening,
            "add": self._add,
            "edit": self._edit,
            "retire": lambda values: self._set_retired(values, True),
            "return": lambda values: self._set_retired(values, False),
            "check": self._check,
            "start": self._start,
            "report": self._write_report,
            "done": self._done,
        }

    def state(self) -> Row:
        """Return the phase of the day: ready, starting, running, ended or refused."""
        run = self._run
        state = {"data": str(self._data), "rehearsal": self._rehearse, "phase": _READY}
        if run is None:
            return state
        state |= {"phase": run.phase, "subject": run.subject, "said": run.said()}
        other = self._other
        state |= {"folder": str(run.folder or ""), "other": other.subject if other else ""}
        if run.phase is Phase.ENDED:
            end = {**self._end, "report": self._report_state()}
            state |= end if self._end else {"phase": Phase.RUNNING}  # the end table is being read
        return state

    def look(self) -> Path | None:
        """Check the session's process; return the folder of the running session.

        If no session is running that was started here, look for one of another process. After a
        session that was started here, it is only named until the operator presses Next animal.
        """
        run = self._run
        if run is not None and run.look() is Phase.ENDED and not self._end:
            self._end = run.end()
        if run is not None and run.phase in (Phase.STARTING, Phase.RUNNING):
            self._other = None
            return run.folder if run.phase is Phase.RUNNING else None
        if run is not None and not run.is_found:
            self._other = running(self._sessions)
            return self._other.folder if self._other else None
        self._show_found(run)
        run = self._run
        return run.folder if run is not None and run.phase is Phase.RUNNING else None

    def _show_found(self, before: Run | None) -> None:
        """Show a session that another process runs, unless one was started here meanwhile."""
        found = running(self._sessions)
        with self._choosing:
            if self._run is not before:
                return
            if found is not None:
                found.look()
                self._run, self._end, self._reporting = found, {}, None
            elif before is not None and before.phase is Phase.REFUSED:
                self._run = None

    def animals(self) -> Row:
        """Return the animals of the record, and what can be chosen."""
        self._check_record_is_there()
        return {
            "animals": animal_rows.rows(self._data, self._rehearse),
            "setups": list(self._choices.setups()),
            "tasks": self._choices.task_rows(),
            "checklist": list(read_lab(self._data).checklist),
            "cohorts": list(COHORTS),
            "stages": {stage: sorted(fits) for stage, fits in entries.stages().items()},
            "sexes": list(entries.SEXES),
        }

    def animal(self, name: str) -> Row:
        """Return an animal, and the task and setup that are suggested for it."""
        animal = entries.known(self._data, name)
        suggested = self._choices.suggested(self._sessions, animal)
        return {**animal_rows.detail(self._data, name, self._rehearse), "suggested": suggested}

    def act(self, verb: str, values: Row) -> Row:
        """Carry out a request of the panel. Raises Refused if it is not possible."""
        if verb not in self._verbs:
            known = ", ".join(self._verbs)
            raise Refused(f"{verb[:20]!r} is not a request; use one of {known}")
        self._check_record_is_there()
        return self._verbs[verb](values)

    def report(self) -> Path | None:
        """Return the report of the session that has ended, if it was written."""
        if self._run is None or self._run.folder is None:
            return None
        path = self._run.folder / REPORT_FILE
        return path if path.is_file() and self._report_state() == "ready" else None

    def _check_record_is_there(self) -> None:
        """Raise Refused if the record is gone: a new one would not know today's water."""
        self._had_record |= has_record(self._data)
        if self._had_record and not has_record(self._data):
            raise Refused(
                f"the record of {self._data} is gone; check that the disk is mounted and the "
                "folder was not moved"
            )

    def _weigh(self, values: Row) -> Row:
        animal = entries.known(self._data, _text(values, "name"))
        self._confirm(animal, values)
        one = entries.weigh(
            self._day(animal.name),
            animal.name,
            _text(values, "grams"),
            _text(values, "condition"),
            _text(values, "note"),
            values.get("after") is True,
        )
        share = one.grams / animal.baseline_g
        return _said(f"{animal.name} weighs {one.grams:g} g, {share:.1%} of its baseline")

    def _give(self, values: Row) -> Row:
        name = _text(values, "name")
        ml = entries.give(self._day(name), name, _text(values, "ml"), _text(values, "note"))
        return _said(f"{name} was given {ml:g} ml")

    def _evening(self, values: Row) -> Row:
        """Enter a weight, a supplement, or both, after a session."""
        grams, ml = _text(values, "grams"), _text(values, "ml")
        if not grams and not ml:
            raise Refused("type a weight or a supplement; condition and note are saved with it")
        if grams:
            entries.amount_in(grams, "g", "weight", *entries.WEIGHT_G)
        if ml:
            entries.amount_in(ml, "ml", "supplement", *entries.SUPPLEMENT_ML)
        if not grams and _text(values, "condition"):
            raise Refused("a condition is saved with a weight; type the weight too")
        said = [self._weigh({**values, "after": True})["answer"]] if grams else []
        note = "" if grams else _text(values, "note")
        said += [self._give({**values, "note": note})["answer"]] if ml else []
        return _said("; ".join(said))

    def _confirm(self, animal: Subject, values: Row) -> None:
        """Raise Refused for a weight that is probably a mistake, unless it is entered again."""
        grams = entries.amount_in(_text(values, "grams"), "g", "weight", *entries.WEIGHT_G)
        doubt = entries.doubtful_weight(animal, grams)
        if doubt and _text(values, "confirmed") != _text(values, "grams"):
            raise Refused(f"{doubt}; enter it again to confirm")

    def _add(self, values: Row) -> Row:
        self._check_not_rehearsing()
        name = _text(values, "name")
        entries.add(self._data, convert({"name": name, **_entered(values)}, Subject, "the panel"))
        return _said(f"{name} is in the record")

    def _edit(self, values: Row) -> Row:
        self._check_not_rehearsing()
        name = _text(values, "name")
        entries.edit(self._data, name, _entered(values))
        return _said(f"the record of {name} was changed")

    def _set_retired(self, values: Row, retired: bool) -> Row:
        self._check_not_rehearsing()
        name = _text(values, "name")
        entries.edit(self._data, name, {"retired": retired})
        return _said(f"{name} is {'retired' if retired else 'active again'}")

    def _check_not_rehearsing(self) -> None:
        if self._rehearse:
            raise Refused(
                "a rehearsal does not change the record; run rig panel without --rehearse"
            )

    def _check(self, values: Row) -> Row:
        """Return the reasons for which `rig run` would refuse a session."""
        if self._is_busy():
            return {"objections": [], "task": {}}
        name = _text(values, "name")
        setup = self._choices.setup(_text(values, "setup"))
        task = self._choices.task(_text(values, "task"))
        try:
            changes = _changes(values)
            with blamed_on(changes):
                resolved, data = resolve_day(
                    setup, task, name, 1, self._data, changes, self._rehearse
                )
        except Refused as refusal:
            found = [Objection(str(refusal), "task", final=True)]
            return {"objections": found, "task": {}}
        return {"objections": why_not(resolved, data), "task": resolved.session.task}

    def _start(self, values: Row) -> Row:
        if self._is_busy():
            raise Refused(_BUSY)
        ticked, items = values.get("ticked"), read_lab(self._data).checklist
        if not isinstance(ticked, list) or set(items) - {str(one) for one in ticked}:
            raise Refused("the checklist is not complete; tick every line")
        name = entries.known(self._data, _text(values, "name")).name
        arguments = self._arguments(name, values)
        with self._choosing:
            if self._is_busy():
                raise Refused(_BUSY)
            self._end, self._reporting = {}, None
            self._run = Run.start(self._day(name), name, arguments)
        return _said(f"the session of {name} is starting")

    def _arguments(self, name: str, values: Row) -> list[str]:
        """Return the arguments of `rig run`, as a person would type them."""
        setup = self._choices.setup(_text(values, "setup"))
        task = self._choices.task(_text(values, "task"))
        given = [str(setup), str(task), "--subject", name, "--data", str(self._data)]
        given.append("--no-browser")
        given += [part for text in _changes(values) for part in ("--set", text)]
        if reason := _text(values, "override"):
            if len(reason) > _MOST_REASON:
                raise Refused(
                    f"the reason has {len(reason)} characters; write at most {_MOST_REASON}"
                )
            given += [f"--override={reason}"]
        return given + ["--rehearse"] * self._rehearse

    def _write_report(self, _: Row) -> Row:
        run = self._run
        if run is None or run.folder is None or run.phase is not Phase.ENDED:
            raise Refused("no session of this panel has ended yet; run one, then write its report")
        if self._reporting is None or self._reporting.poll() is not None:
            self._reporting = subprocess.Popen(
                [*RIG, "report", str(run.folder)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        return _said("the report is being written")

    def _report_state(self) -> str:
        """Return "", "writing", "ready" or "failed"."""
        if self._reporting is None:
            return ""
        code = self._reporting.poll()
        return "writing" if code is None else "ready" if code in (0, INCOMPLETE) else "failed"

    def _done(self, _: Row) -> Row:
        if self._run is not None and self._run.phase in (Phase.STARTING, Phase.RUNNING):
            raise Refused("the session is running; end it first")
        self._run, self._other, self._end, self._reporting = None, None, {}, None
        return _said("ready")

    def _is_busy(self) -> bool:
        return self._run is not None

    def _day(self, name: str) -> Path:
        return entries.day_data(self._data, name, self._rehearse)


def _text(values: Row, key: str) -> str:
    value = values.get(key, "")
    if not isinstance(value, str | int | float):
        raise Refused(f"{key}: this is not a text; reload the page")
    text = str(value).strip()
    if not is_plain(text):
        raise Refused(f"{key}: it contains a character that cannot be printed; remove it")
    return text


def _entered(values: Row) -> Row:
    """Return the typed fields of an animal. Raises Refused if one is not valid."""
    baseline = entries.amount_in(_text(values, "baseline_g"), "g", "baseline", *entries.WEIGHT_G)
    need = entries.amount_in(_text(values, "need_ml"), "ml", "water a day", *entries.NEED_ML)
    return {
        "cohort": _text(values, "cohort"),
        "stage": _text(values, "stage"),
        "baseline_g": baseline,
        "restricted": values.get("restricted") is True,
        "need_ml": need,
        **{key: _text(values, key) for key in _FACTS},
    }


def _changes(values: Row) -> list[str]:
    """Return the settings typed on the panel as `--set` texts. Raises Refused if not valid."""
    text = _text(values, "minutes")
    if not text:
        return []
    try:
        return [f"task.minutes={number_in(text)!r}"]
    except ValueError as error:
        raise Refused(f"minutes: {error}") from None


def _said(text: str) -> Row:
    return {"answer": text}
