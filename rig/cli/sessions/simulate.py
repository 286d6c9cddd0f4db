"""rig simulate: run sessions of a simulated mouse in virtual time, to design tasks."""

import tempfile
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

import rig
from rig import virtual_session
from rig.cli.numbers import number, whole_number
from rig.cli.sessions.run import Sets
from rig.cli.terminal import new_console
from rig.errors import Refused
from rig.messages import (
    Arm,
    Ended,
    Lick,
    Message,
    Position,
    TrialEnd,
    TrialStart,
    TrialVerdict,
    Valve,
    Wheel,
    kind,
)
from rig.process import completed
from rig.settings.config import SessionSettings, resolve
from rig.settings.setting_errors import blamed_on
from rig.transport.envelope import Envelope, pack
from rig.transport.log import LOG_FILE, Completeness, LogWriter

MICE: dict[str, dict[str, float]] = {
    "trained": {},
    "naive": {"trained": 0.0},
    "learning": {"trained": 0.0, "learning_rate": 0.1},
    "impatient": {"anticipates": 1.0, "anticipates_after_s": 1.0},
    "lapsing": {"lapses": 0.3},
    "thirstless": {"sated_ul": 30.0},
}
"""Settings of each simulated mouse by its name; other settings have their defaults."""
_NODES = ("hardware", "task", "referee", "closed_loop")
"""The nodes that a task needs; screens and microscope are left out because they take time."""


def simulate(
    task: Annotated[
        Path, typer.Argument(metavar="TASK", help="The task to try, e.g. train1.toml.")
    ],
    mouse_model: Annotated[str, typer.Option(help=f"The mouse: {', '.join(MICE)}.")] = "trained",
    sessions: Annotated[int, typer.Option(help="Number of sessions.", min=1, max=1000)] = 1,
    minutes: Annotated[
        float | None,
        typer.Option(
            parser=number(0.0), help="Maximum session length, minutes; default: that of the task."
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(parser=whole_number(0, 2**62), help="Random seed of the first session."),
    ] = 1,
    tick_ms: Annotated[
        float,
        typer.Option(
            parser=number(1.0, 20.0), help="Interval between wheel samples, ms; a rig has 1."
        ),
    ] = 5.0,
    report: Annotated[
        Path | None, typer.Option(help="Write the page of the last session to this file.")
    ] = None,
    sets: Sets = None,
) -> None:
    """Run a task on a simulated mouse, faster than real time, and show the results."""
    if mouse_model not in MICE:
        raise Refused(f"{mouse_model!r} is not a mouse; choose one of {', '.join(MICE)}")
    if not task.is_file():
        raise Refused(f"there is no file {task}; check the path")
    console = new_console()
    results = []
    with console.status("simulating") as status:
        for number in range(sessions):
            status.update(f"simulating session {number + 1} of {sessions}")
            session = _session(task, mouse_model, seed + number, minutes, sets or [])
            with tempfile.TemporaryDirectory() as folder:
                last = number == sessions - 1
                results.append(_run(session, tick_ms, Path(folder), report if last else None))
    _show(results, console)
    if report is not None:
        console.print(f"report of the last session: {report}", soft_wrap=True)


class _Result:
    """The results of one session, counted while it runs."""

    def __init__(self) -> None:
        self.trials: Counter[str] = Counter()
        self.rules: Counter[str] = Counter()
        self.responded: dict[bool, list[bool]] = {True: [], False: []}
        self.water_ul = 0.0
        self.ended = ""
        self.t = 0
        self._trial: TrialStart | None = None
        self._licked = False
        self._position = Position(0, -1, 0.0, 0.0, False, "grey")
        self._block = 0
        self._requests: set[int] = set()

    def take(self, envelope: Envelope, message: Message) -> None:
        """Count one message."""
        self.t = max(self.t, message.t)
        match message:
            case Wheel():
                pass
            case Position():
                self._position = message
            case TrialStart():
                self._trial, self._licked = message, False
                self.rules["rescue rewards"] += message.rescue
                self.rules["changes of block"] += message.block != self._block
                self._block = message.block
            case Lick():
                in_texture = self._trial and self._position.position_m < self._trial.texture_m
                self._licked |= bool(in_texture and self._position.trial >= 0)
            case Arm():
                how = "at once" if message.on == "now" else "for a lick"
                self.rules[f"rewards requested {how}"] += message.id not in self._requests
                self._requests.add(message.id)
            case Valve(refused=""):
                self.water_ul += message.volume_ul
                self.rules["rewards given"] += 1
            case Valve():
                self.rules[f"refused: {message.refused}"] += 1
            case TrialEnd():
                self._end_trial(message)
            case TrialVerdict(violations=(_, *_)):
                self.rules["referee: " + "; ".join(message.violations)] += 1
            case Ended() if envelope.sender == "task":
                self.ended = message.reason
            case _:
                pass

    def _end_trial(self, end: TrialEnd) -> None:
        self.trials[end.outcome] += 1
        if self._trial is not None and end.outcome == "done":
            self.responded[self._trial.rewarded].append(self._licked)


def _session(
    task: Path, mouse_model: str, seed: int, minutes: float | None, sets: list[str]
) -> SessionSettings:
    setup = Path(rig.__file__).parent / "setups" / "simulated.toml"
    changes = [f"nodes.hardware.boards.bench.mouse.{k}={v}" for k, v in MICE[mouse_model].items()]
    changes += sets
    if minutes is not None:
        changes.append(f"task.minutes={minutes}")
    with blamed_on(changes):
        session = resolve(setup, task, "simulated", seed, changes).session
        nodes = {name: dict(session.nodes[name]) for name in _NODES if name in session.nodes}
        nodes["task"].pop("imaging", None)  # no microscope takes part
        nodes["hardware"].pop("lines", None)
        return completed(msgspec.structs.replace(session, nodes=nodes))


def _run(session: SessionSettings, tick_ms: float, folder: Path, report: Path | None) -> _Result:
    result = _Result()
    writer = LogWriter(folder / LOG_FILE) if report is not None else None

    keep = result.take
    if writer is not None:
        keep = partial(_take_and_log, result, writer)
    virtual_session.run(session, keep=keep, tick_s=tick_ms / 1000)
    if writer is not None and report is not None:
        from analysis.report.write import report as write_report

        writer.close(Completeness(True, writer.count))
        write_report(folder, report)
    return result


def _take_and_log(result: _Result, writer: LogWriter, envelope: Envelope, message: Message) -> None:
    result.take(envelope, message)
    writer.append(kind(message), envelope, pack(envelope))


def _show(results: list[_Result], console: Console) -> None:
    table = Table(title="simulated sessions; licked: trials with a lick in the texture")
    for name in ("session", "min", "trials", "ul", "licked rew.", "licked unr."):
        table.add_column(name, justify="right")
    table.add_column("ended by")
    for session, result in enumerate(results, start=1):
        aborted = f" + {result.trials['aborted']} aborted" if result.trials["aborted"] else ""
        table.add_row(
            str(session),
            f"{result.t / 60e9:.1f}",
            f"{result.trials['done']}{aborted}",
            f"{result.water_ul:.1f}",
            *(_share(result.responded[rewarded]) for rewarded in (True, False)),
            result.ended,
        )
    console.print(table)
    rules = Table(title="how often each rule fired")
    rules.add_column("rule")
    rules.add_column("a session", justify="right")
    rules.add_column("in all", justify="right")
    total = Counter[str]()
    for result in results:
        total.update(result.rules)
    for rule, count in total.most_common():
        rules.add_row(rule, f"{count / len(results):.1f}", str(count))
    console.print(rules)


def _share(responded: list[bool]) -> str:
    return f"{100 * sum(responded) / len(responded):.0f} %" if responded else "-"
