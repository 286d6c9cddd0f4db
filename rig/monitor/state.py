"""Compute what the live page shows from the messages of a session, without clock and sockets.

Rows of growing tables (trials, faults, notes) have a revision, so that a browser gets only the rows
that have changed since its last update.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from rig.messages import (
    CellSignals,
    Cue,
    Ended,
    Fault,
    Flip,
    Heartbeat,
    Integrity,
    LearningSignals,
    Lick,
    Message,
    OperatorRequest,
    Position,
    SettingChange,
    Start,
    Stop,
    TrialEnd,
    TrialStart,
    TrialVerdict,
    Valve,
    kind,
)
from rig.monitor.signal_state import LATENCIES, Row, SignalState
from rig.transport.envelope import Envelope

_ZONE_M = (2.0, 4.0)
"""The reward zone of a corridor without a cue, m."""
_UNKNOWN_TRIAL: Row = {
    "stimulus": "",
    "rewarded": False,
    "start_s": 0.0,
    "drawn_cue_m": None,
    "texture_m": 4.0,
    "grey_m": 2.0,
    "picture": "corridor",
    "rescue": False,
    "next_stimulus": None,
    "reward_mode": "none",
    "reward_delay_ms": 0.0,
    "responded": False,
    "outcome": "",
}
"""Row of a trial whose start was not received, as the page started late with a damaged journal."""


class MonitorState:
    """The newest values, and the rows of trials, faults and notes so far."""

    def __init__(self) -> None:
        self.session: Row = {}
        """Facts about the session from Start, such as animal and task; empty before Start."""
        self.revision = 0
        self.t = 0
        """The newest session time received, ns."""
        self.trials: dict[int, Row] = {}
        self.faults: list[Row] = []
        self.notes: list[Row] = []
        self.processes: dict[str, Row] = {}
        self.position = Position(0, -1, 0.0, 0.0, False, "grey")
        self.ended = ""
        """Why the session ended; empty while it runs."""
        self.signals = SignalState()
        self._water_ul = self._manual_ul = 0.0
        self._rewards = self._licks = 0
        self._last_lick_t: int | None = None
        self._flips = self._late_flips = 0
        self._shown_m = 0.0
        self._lick_to_valve_ms: deque[float] = deque(maxlen=LATENCIES)
        self._integrity: Row = {"sound": True, "edges": 0, "pages": 0, "finding": ""}
        self._violations = 0
        self._judged = 0
        self._unshown: set[str] = set()
        self._handlers = self._by_type()

    def handle(self, envelope: Envelope, message: Message) -> None:
        """Handle one message."""
        self.t = max(self.t, message.t)
        process = self.processes.setdefault(envelope.sender, {"sent": 0, "state": "running"})
        process["sent"] = max(process["sent"], envelope.sent)
        if isinstance(message, Heartbeat):
            process["loop_ms"] = round(message.loop_ms, 1)
        handler = self._handlers.get(type(message))
        if handler is None:
            return
        try:
            handler(envelope, message)
        except Exception as error:  # the page reports it, and continues with what it can show
            self.report_unshown(kind(message), error, message.t)

    def head(self) -> Row:
        """Return the values that change all the time, as a dict for JSON."""
        place = self.position
        since_lick = None if self._last_lick_t is None else _s(self.t - self._last_lick_t)
        return {
            "t_s": _s(self.t),
            "phase": place.phase,
            "trial": place.trial,
            "position_m": place.position_m,
            "speed_cm_s": place.speed_cm_s,
            "moving": place.moving,
            "water_ul": self._water_ul,
            "manual_ul": self._manual_ul,
            "rewards": self._rewards,
            "licks": self._licks,
            "since_lick_s": since_lick,
            "flips": self._flips,
            "late_flips": self._late_flips,
            "latency_ms": {
                "lick to valve": _percentiles(self._lick_to_valve_ms),
                "frame to final signals": _percentiles(self.signals.latency_ms),
            },
            "referee": {"judged": self._judged, "with violations": self._violations},
            "integrity": self._integrity,
            "frames": self.signals.frames,
            "selective": self.signals.selective,
            "undefined": self.signals.undefined,
            "ended": self.ended,
        }

    def status(self) -> Row:
        """Return the line of this session in an overview of several rigs."""
        session, place = self.session, self.position
        unseen = [fault["text"] for fault in self.faults if not fault["acknowledged"]]
        since_lick = None if self._last_lick_t is None else _s(self.t - self._last_lick_t)
        return {
            **{name: session.get(name, "") for name in ("subject", "cohort", "stage")},
            "phase": place.phase,
            "trial": place.trial,
            "t_s": _s(self.t),
            "today_ul": session.get("given_today_ul", 0.0) + self._water_ul,
            "day_limit_ul": session.get("day_limit_ul"),
            "since_lick_s": since_lick,
            "faults": len(unseen),
            "last_fault": unseen[-1] if unseen else "",
            "ended": self.ended,
        }

    def rows_since(self, revision: int) -> dict[str, list[Row]]:
        """Return the trials, faults and notes that have changed after a revision."""
        rows = {"trials": self.trials.values(), "faults": self.faults, "notes": self.notes}
        return {name: [r for r in of if r["revision"] > revision] for name, of in rows.items()}

    def corridor_shown(self) -> tuple[Row | None, float]:
        """Return the trial whose corridor is on the screens, and the position shown, m."""
        trial = self.trials.get(self.position.trial)
        is_corridor = self.position.phase == "corridor" and trial is not None
        return (trial if is_corridor else None), self._shown_m

    def acknowledge(self, number: int) -> bool:
        """Mark all faults up to a number as seen; return True if there is a fault with it."""
        if not 0 <= number < len(self.faults):
            return False
        for fault in self.faults[: number + 1]:
            if not fault["acknowledged"]:
                fault |= {"acknowledged": True, "revision": self._revise()}
        return True

    def _by_type(self) -> dict[type[Message], Callable[[Envelope, Any], None]]:
        """Return the function that handles each type of message."""
        return {
            Start: lambda _, start: self._start(start.session),
            Position: lambda _, position: setattr(self, "position", position),
            Lick: lambda _, lick: self._lick(lick),
            Valve: lambda _, valve: self._valve(valve),
            TrialStart: lambda _, start: self._change(start.trial, _trial_row(start)),
            TrialEnd: lambda _, end: self._change(
                end.trial, {"outcome": end.outcome, "end_s": _s(end.t)}
            ),
            Cue: lambda _, cue: self._change(
                cue.trial, {"cue_m": cue.position_m, "cue_s": _s(cue.t)}
            ),
            TrialVerdict: lambda _, verdict: self._judge(verdict),
            Flip: lambda _, flip: self._flip(flip),
            Fault: lambda envelope, fault: self._fault(envelope.sender, fault),
            OperatorRequest: lambda _, request: self._note(request),
            SettingChange: lambda _, change: self._change_setting(change),
            CellSignals: lambda envelope, signals: self.signals.add(signals, envelope.sent),
            LearningSignals: lambda _, signals: self.signals.learn(signals, self._completed()),
            Integrity: lambda _, integrity: self._integrity_of(integrity),
            Ended: lambda envelope, ended: self._end(envelope.sender, ended),
            Stop: lambda envelope, stop: self._stop(envelope.sender, stop),
        }

    def _start(self, session: Row) -> None:
        task, nodes = session.get("task", {}), session.get("nodes", {})
        hardware = nodes.get("hardware", {})
        online = nodes.get("online", {})
        self.session = {
            "id": session.get("id", ""),
            "subject": session.get("subject", ""),
            "began": session.get("began", ""),
            "task": session.get("task_name", ""),
            "stage": task.get("stage", ""),
            "cohort": task.get("cohort", ""),
            "rig": session.get("rig", {}).get("name", ""),
            "given_today_ul": session.get("given_today_ul", 0.0),
            "day_limit_ul": hardware.get("guard", {}).get("max_day_ul", 0.0),
            "minutes": task.get("minutes", 0.0),
            "trials": task.get("trials", 0),
            "stimuli": task.get("stimuli", []),
            "contrast": _contrast(task, online),
            "nodes": list(nodes),
            "override": session.get("override", ""),
            "live": {name: task.get(name) for name in task.get("live", ())},
        }
        for name in nodes:
            self.processes.setdefault(name, {"sent": 0, "state": "running"})

    def _judge(self, verdict: TrialVerdict) -> None:
        self._judged += 1
        if verdict.violations:
            self._violations += 1
            self._change(verdict.trial, {"violations": list(verdict.violations)})

    def _flip(self, flip: Flip) -> None:
        self._flips = max(self._flips, flip.number + 1)
        self._late_flips += flip.late
        self._shown_m = flip.position_m

    def _integrity_of(self, message: Integrity) -> None:
        self._integrity |= {
            "sound": message.sound,
            "edges": message.edges,
            "pages": message.pages,
        }
        if message.findings:
            self._integrity["finding"] = message.text or ", ".join(message.findings)

    def _end(self, sender: str, ended: Ended) -> None:
        state = "failed" if ended.failed else "ended"
        self.processes[sender] |= {"state": state, "reason": ended.reason}

    def _stop(self, sender: str, stop: Stop) -> None:
        self.ended = self.ended or stop.reason
        self.processes[sender]["state"] = "ending"

    def _lick(self, lick: Lick) -> None:
        self._licks += 1
        self._last_lick_t = max(self._last_lick_t or 0, lick.t)
        row = self.trials.get(self.position.trial)
        if row is not None:
            position_m = self.position.position_m
            row["licks_m"].append(round(position_m, 3))
            responded = row["responded"] or _is_response(row, lick.t, position_m)
            self._change(row["trial"], {"responded": responded})

    def _valve(self, valve: Valve) -> None:
        if valve.refused and valve.manual:
            self._refuse(valve.t, "manual reward", valve.refused)
        if valve.refused or not valve.open_ms:
            return
        self._rewards += 1
        self._water_ul += valve.volume_ul
        self._manual_ul += valve.volume_ul * valve.manual
        if valve.lick_t is not None:
            self._lick_to_valve_ms.append((valve.t - valve.lick_t) / 1e6)
        row = self.trials.get(self.position.trial)
        if row is not None and not valve.manual:
            self._change(row["trial"], {"reward_m": round(self.position.position_m, 3)})

    def _fault(self, sender: str, fault: Fault) -> None:
        self.faults.append(
            {
                "number": len(self.faults),
                "t_s": _s(fault.t),
                "sender": sender,
                "text": fault.text,
                "acknowledged": False,
                "revision": self._revise(),
            }
        )

    def report_unshown(self, name: str, error: Exception, t: int) -> None:
        """Show, once per name, that a message or a part of the page could not be shown."""
        if name not in self._unshown:
            self._unshown.add(name)
            text = f"{name} cannot be shown ({error!r}); the session is not affected"
            self._fault("live page", Fault(t, text))

    def _change_setting(self, change: SettingChange) -> None:
        if change.refused:
            self._refuse(change.t, "setting", change.refused, change.by)
            return
        text = f"{change.name}: {change.old} to {change.new} from trial {change.trial + 1}"
        self.session["live"][change.name] = msgspec.json.decode(change.new)
        note = {"t_s": _s(change.t), "verb": "setting", "text": text, "by": change.by}
        self.notes.append({**note, "revision": self._revise()})

    def _refuse(self, t: int, what: str, why: str, by: str = "") -> None:
        """Show that a request of the operator was refused, after it had been sent."""
        note = {"t_s": _s(t), "verb": what, "text": why, "by": by, "refused": True}
        self.notes.append({**note, "revision": self._revise()})

    def _note(self, request: OperatorRequest) -> None:
        note = {"t_s": _s(request.t), "verb": request.verb, "text": request.text, "by": request.by}
        self.notes.append({**note, "revision": self._revise()})

    def _completed(self) -> list[str]:
        """Return the stimulus of each completed trial."""
        return [row["stimulus"] for row in self.trials.values() if row["outcome"] == "done"]

    def _change(self, trial: int, values: Row) -> None:
        row = self.trials.setdefault(trial, {**_UNKNOWN_TRIAL, "trial": trial, "licks_m": []})
        row |= {**values, "revision": self._revise()}

    def _revise(self) -> int:
        self.revision += 1
        return self.revision


def _trial_row(start: TrialStart) -> Row:
    return {
        "stimulus": start.stimulus,
        "rewarded": start.rewarded,
        "start_s": _s(start.t),
        "drawn_cue_m": start.cue_position_m,
        "texture_m": start.texture_m,
        "grey_m": start.grey_m,
        "picture": start.picture,
        "rescue": start.rescue,
        "next_stimulus": start.next_stimulus,
        "reward_mode": start.reward_mode,
        "reward_delay_ms": start.reward_delay_ms,
    }


def _is_response(trial: Row, lick_t: int, position_m: float) -> bool:
    """Return True if a lick is a lick response, as in analysis.session.lick_metrics."""
    if trial["drawn_cue_m"] is None:
        return _ZONE_M[0] <= position_m < _ZONE_M[1]
    if trial["reward_mode"] == "passive":
        cue_s = trial.get("cue_s")
        return cue_s is None or _s(lick_t) <= cue_s + trial["reward_delay_ms"] / 1e3
    return bool(position_m < trial["texture_m"])


def _contrast(task: Row, online: Row) -> list[str]:
    """Return the pair of stimuli whose d' is shown."""
    contrasts = task.get("signals", {}).get("contrasts") or []
    if contrasts:
        return list(contrasts[0])
    return [str(online.get("a", "")), str(online.get("b", ""))]


def _percentiles(values: "deque[float]") -> Row | None:
    if not values:
        return None
    p50, p99 = np.percentile(np.array(values), [50, 99])
    return {"p50": round(float(p50), 2), "p99": round(float(p99), 2), "n": len(values)}


def _s(t: int) -> float:
    return round(t / 1e9, 3)
