"""rig replay: replay a recorded session and compare every decision."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rig.cli.sessions.completeness_notice import check_log
from rig.cli.sessions.run import Sets
from rig.cli.sessions.session_argument import SessionDir, session_in
from rig.cli.terminal import new_console
from rig.replay.comparison import Difference
from rig.replay.differences import FieldDifference
from rig.replay.replay import Report
from rig.replay.replay import replay as feed
from rig.session.provenance import about
from rig.settings.setting_errors import blamed_on

_BRIEF = 120
"""How many characters of a value are printed."""


def replay(
    folder: SessionDir,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Exit with 1 if a decision differs or the log is not whole."),
    ] = False,
    sets: Sets = None,
) -> None:
    """Replay a recorded session and check that every decision is identical.

    With --set, see what would have been decided with other settings, and by how much it differs.
    """
    console = new_console()
    folder = session_in(folder)
    completeness = check_log(folder, console)
    with blamed_on(sets or []):
        report = feed(folder, sets or [], about())
    for text in report.unreached:
        what = f"--set {text} cannot matter here: no process that is replayed reads it"
        console.print(Text(what, "yellow"), soft_wrap=True)
    how = "bit for bit" if report.exact else "floats within 1e-5 (recorded on another machine)"
    for sender, count in report.compared.items() if report.first is None else ():
        text = f"{count} messages compared, {how}" if count else "no message compared"
        console.print(f"{sender}: {text}")
    for sender, count in report.unproven.items():
        console.print(
            f"{sender}: {count} messages cannot be checked: what it received is not in the log"
        )
    for text in _ends(report):
        console.print(Text(text, "yellow"), soft_wrap=True)
    idle = [name for name in report.unproven if not report.compared[name]]
    if report.first is None and (idle or not any(report.compared.values())):
        whose = f" of {', '.join(idle)}" * bool(idle)
        console.print(Text(f"nothing proved{whose}: no message to compare", "bold red"))
        raise typer.Exit(1 if verify else 0)
    if report.first is None:
        compared = sum(report.compared.values())
        if not completeness.whole:
            text = f"the same, as far as the log can be read: {compared} messages"
            console.print(Text(text, "bold red"))
            raise typer.Exit(1 if verify else 0)
        console.print(Text(f"the same: {compared} messages", "green"))
        return
    first = report.first
    where = f"{first.sender} differs in trial {first.trial} at {first.t / 1e9:.6f} s"
    console.print(Text(f"{where}\n{_describe(first)}", "red"))
    if report.recorded_by:
        console.print(Text(report.recorded_by, "yellow"), soft_wrap=True)
    if sets:
        _show(report.outcome_counts, console)
        _show_differences(report.differences, console)
    raise typer.Exit(1 if verify else 0)


def _ends(report: Report) -> Iterator[str]:
    """Yield a sentence for each decider that failed."""
    for sender, why in report.failed.items():
        yield f"{sender} failed as in the recording, on the same message: {why}"
    for why in dict.fromkeys(report.ended_outside.values()):
        names = ", ".join(name for name, reason in report.ended_outside.items() if reason == why)
        yield f"ended by something other than a message ({why}); compared up to there: {names}"


def _describe(first: Difference) -> str:
    """Return what differs in the first message that differs; arrays only by their length."""
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
    return str(value) if len(str(value)) < _BRIEF else f"{str(value)[:_BRIEF]} ..."


def _show_differences(differences: dict[str, list[FieldDifference]], console: Console) -> None:
    """Print how much the messages of each process differ from the recorded ones."""
    table = Table("process", "message", "field", "differs in", title="messages")
    for name, rows in differences.items():
        for row in rows:
            table.add_row(name, row.type, row.field, row.text())
    if table.row_count:
        console.print(table)


def _show(outcome_counts: dict[str, tuple[str, str]], console: Console) -> None:
    """Print the counts of trials and water, recorded and with these settings."""
    changed = {name: pair for name, pair in outcome_counts.items() if pair[0] != pair[1]}
    if not outcome_counts:
        return
    if not changed:
        console.print("trials and water are the same")
        return
    table = Table("", "recorded", "with these settings", title="trials and water")
    for name, (old, new) in outcome_counts.items():
        table.add_row(name, old, new, style="" if name in changed else "dim")
    console.print(table)
    console.print("The mouse is the recorded one: it does not react to the new settings.")
