"""rig replay: replay a recorded session and compare every decision."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rig.cli.sessions.completeness_notice import check_log
from rig.cli.sessions.monitor import Browser, serve_replay
from rig.cli.sessions.run import Sets
from rig.cli.sessions.session_argument import SessionDir, session_in
from rig.cli.terminal import new_console
from rig.errors import Refused
from rig.replay.comparison import Difference
from rig.replay.differences import FieldDifference
from rig.replay.replay import Report
from rig.replay.replay import replay as feed
from rig.session.provenance import about
from rig.settings.setting_errors import blamed_on

_MAX_CHARACTERS = 120
"""Longer values are cut to this many characters."""


def replay(
    folder: SessionDir,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Exit with 1 if a decision differs or the log is not whole."),
    ] = False,
    sets: Sets = None,
    monitor: Annotated[
        bool,
        typer.Option("--monitor", help="Show the recorded session on the live page instead."),
    ] = False,
    browser: Browser = True,
) -> None:
    """Replay a recorded session and check that every decision is identical.

    With --set, see how the decisions would differ with other settings.
    """
    folder = session_in(folder)
    if monitor:
        if verify or sets:
            raise Refused("--monitor cannot be combined with --verify or --set; omit one of them")
        serve_replay(folder, browser)
        return
    console = new_console()
    completeness = check_log(folder, console)
    with blamed_on(sets or []):
        report = feed(folder, sets or [], about())
    for text in report.unreached:
        what = f"--set {text} has no effect: no replayed process reads it"
        console.print(Text(what, "yellow"), soft_wrap=True)
    how = "bit for bit" if report.exact else "floats within 1e-5 (recorded on another machine)"
    for sender, count in report.compared.items() if report.first is None else ():
        text = f"{count} messages compared, {how}" if count else "no messages to compare"
        console.print(f"{sender}: {text}")
    for sender, count in report.unproven.items():
        console.print(
            f"{sender}: {count} messages cannot be compared: the log lacks the input of the process"
        )
    for text in _ends(report):
        console.print(Text(text, "yellow"), soft_wrap=True)
    idle = [name for name in report.unproven if not report.compared[name]]
    if report.first is None and (idle or not any(report.compared.values())):
        whose = f" of {', '.join(idle)}" * bool(idle)
        console.print(Text(f"nothing verified{whose}: no messages to compare", "bold red"))
        raise typer.Exit(1 if verify else 0)
    if report.first is None:
        compared = sum(report.compared.values())
        if not completeness.whole:
            text = f"identical as far as the log can be read: {compared} messages"
            console.print(Text(text, "bold red"))
            raise typer.Exit(1 if verify else 0)
        console.print(Text(f"identical: {compared} messages", "green"))
        return
    first = report.first
    where = f"{first.sender} differs in trial {first.trial} at {first.t / 1e9:.6f} s"
    console.print(Text(f"{where}\n{_describe(first)}", "red"))
    if report.recorded_by:
        console.print(Text(report.recorded_by, "yellow"), soft_wrap=True)
    if sets:
        _show_counts(report.outcome_counts, console)
        _show_differences(report.differences, console)
    raise typer.Exit(1 if verify else 0)


def _ends(report: Report) -> Iterator[str]:
    """Yield a sentence for each decider that failed."""
    for sender, why in report.failed.items():
        yield f"{sender} failed on the same message as in the recording: {why}"
    for why in dict.fromkeys(report.ended_outside.values()):
        names = ", ".join(name for name, reason in report.ended_outside.items() if reason == why)
        yield f"{names}: compared only up to a failure that no message caused ({why})"


def _describe(first: Difference) -> str:
    """Return the fields that differ in the first differing message; arrays only by length."""
    old, new = first.old, first.new
    if old is None or new is None or type(old) is not type(new):
        return f"  recorded: {_brief(old)}\n  replayed: {_brief(new)}"
    names = [n for n in type(old).__struct_fields__ if getattr(old, n) != getattr(new, n)]
    lines = [
        f"  {type(old).__name__}.{n}: recorded {_brief(getattr(old, n))}, "
        f"replayed {_brief(getattr(new, n))}"
        for n in names
    ]
    return "\n".join(lines)


def _brief(value: Any) -> str:
    if value is None:
        return "no message"
    if isinstance(value, bytes):
        return f"{len(value) // 4} numbers"
    return (
        str(value) if len(str(value)) < _MAX_CHARACTERS else f"{str(value)[:_MAX_CHARACTERS]} ..."
    )


def _show_differences(differences: dict[str, list[FieldDifference]], console: Console) -> None:
    """Print how much the messages of each process differ from the recorded ones."""
    table = Table("process", "message", "field", "differs in", title="messages")
    for name, rows in differences.items():
        for row in rows:
            table.add_row(name, row.type, row.field, row.text())
    if table.row_count:
        console.print(table)


def _show_counts(outcome_counts: dict[str, tuple[str, str]], console: Console) -> None:
    """Print the counts of trials and water, recorded and with the new settings."""
    changed = {name: pair for name, pair in outcome_counts.items() if pair[0] != pair[1]}
    if not outcome_counts:
        return
    if not changed:
        console.print("trials and water are unchanged")
        return
    table = Table("", "recorded", "with the new settings", title="trials and water")
    for name, (old, new) in outcome_counts.items():
        table.add_row(name, old, new, style="" if name in changed else "dim")
    console.print(table)
    console.print("The recorded mouse does not react to the new settings.")
