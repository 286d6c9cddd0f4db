"""rig replay: say a session's log again to fresh deciders."""

from collections.abc import Iterator
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rig.cli.sessions.completeness_notice import check_log
from rig.cli.sessions.run import Sets
from rig.cli.sessions.session_argument import SessionDir, session_in
from rig.cli.terminal import new_console
from rig.replay.replay import Report
from rig.replay.replay import replay as feed
from rig.session.provenance import about
from rig.settings.setting_errors import blamed_on


def replay(
    folder: SessionDir,
    verify: Annotated[
        bool, typer.Option("--verify", help="Exit with 1 if anything is said otherwise.")
    ] = False,
    sets: Sets = None,
) -> None:
    """Feed the recorded words and frames to fresh deciders and compare everything they say.

    With --set, see what the deciders would have said with other settings.
    """
    console = new_console()
    folder = session_in(folder)
    completeness = check_log(folder, console)
    with blamed_on(sets or []):
        report = feed(folder, sets or [], about())
    how = "bit for bit" if report.exact else "floats within 1e-5 (recorded on another machine)"
    for sender, count in report.compared.items() if report.first is None else ():
        text = f"{count} words compared, {how}" if count else "no word compared"
        console.print(f"{sender}: {text}")
    for sender, count in report.unproven.items():
        console.print(f"{sender}: {count} words not provable: what was heard is not in the log")
    for text in _ends(report):
        console.print(Text(text, "yellow"), soft_wrap=True)
    idle = [name for name in report.unproven if not report.compared[name]]
    if report.first is None and (idle or not any(report.compared.values())):
        whose = f" of {', '.join(idle)}" * bool(idle)
        console.print(Text(f"nothing proved{whose}: no word to compare", "bold red"))
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
    console.print(Text(f"{where}\n  old: {first.old}\n  new: {first.new}", "red"))
    if report.recorded_by:
        console.print(Text(report.recorded_by, "yellow"), soft_wrap=True)
    if sets:
        _show(report.outcome_counts, console)
    raise typer.Exit(1 if verify else 0)


def _ends(report: Report) -> Iterator[str]:
    """Yield what is to be said of deciders that did not come to a good end."""
    for sender, why in report.failed.items():
        yield f"{sender} failed as it did then, on the same word: {why}"
    for why in dict.fromkeys(report.struck.values()):
        names = ", ".join(name for name, reason in report.struck.items() if reason == why)
        yield f"ended by something else than a word ({why}), and compared up to there: {names}"


def _show(outcome_counts: dict[str, tuple[str, str]], console: Console) -> None:
    """Print what the task would have come to, beside what it came to."""
    changed = {name: pair for name, pair in outcome_counts.items() if pair[0] != pair[1]}
    if not outcome_counts:
        return
    if not changed:
        console.print("trials and water are the same")
        return
    table = Table("", "as it was", "with these settings", title="trials and water")
    for name, (old, new) in outcome_counts.items():
        table.add_row(name, old, new, style="" if name in changed else "dim")
    console.print(table)
    console.print("The mouse is the recorded one: it does not know of the new settings.")
