"""rig replay: replay a recorded session and compare every decision."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rig.cli.numbers import number_in
from rig.cli.sessions.completeness_notice import check_files, check_log
from rig.cli.sessions.monitor import NoBrowser, serve_replay
from rig.cli.sessions.run import Sets
from rig.cli.sessions.session_argument import SessionDir, session_in
from rig.cli.terminal import new_console
from rig.errors import Refused
from rig.replay.comparison import Difference
from rig.replay.differences import FieldDifference
from rig.replay.replay import Report, read_recording
from rig.replay.replay import replay as feed
from rig.replay.stand_in import DISPLAY, play
from rig.replay.what_if import WhatIf
from rig.session.provenance import about
from rig.settings.setting_errors import blamed_on

_MAX_CHARACTERS = 120
"""Largest number of characters of a value; longer values are cut."""
_MAX_DIVERGENCES = 30
"""Largest number of trials that are listed; further trials are counted."""
_SLOWEST, _FASTEST = 0.01, 1000.0
"""Range of speeds at which a session can be played, times real time."""


def replay(
    folder: SessionDir,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify", help="Exit with 1 if a decision or a file differs, or the log is not whole."
        ),
    ] = False,
    sets: Sets = None,
    only: Annotated[
        str,
        typer.Option(
            metavar="PROCESSES", help="The processes to run again, such as task,online [all]."
        ),
    ] = "",
    speed: Annotated[
        str, typer.Option(help="Play at this speed: 1, 10, any number, or max [compare at max].")
    ] = "",
    display: Annotated[
        bool, typer.Option("--display", help="Run the display live: the corridor on the screens.")
    ] = False,
    to: Annotated[
        Path | None, typer.Option(help="Write the result as a session to this new folder.")
    ] = None,
    monitor: Annotated[
        bool,
        typer.Option(
            "--monitor", help="Show the session, or the result of the replay, on the live page."
        ),
    ] = False,
    no_browser: NoBrowser = False,
) -> None:
    """Replay a recorded session and check that every decision is identical.

    With --set, see how the decisions would differ with other settings. With --speed, --display or
    --to, the recorded session stands in for the rig, and the processes run live on it; with --set,
    --only or --speed, --monitor shows the result.
    """
    folder = session_in(folder)
    names = [name.strip() for name in only.split(",") if name.strip()]
    plays = bool(speed or display or to or (monitor and (names or sets)))
    if verify and (plays or monitor):
        raise Refused("--verify compares decisions; omit --speed, --display, --to and --monitor")
    if not plays:
        if monitor:
            serve_replay(folder, not no_browser)
            return
        compare(folder, names, sets or [], verify)
        return
    rate = _speed(speed, display)
    with TemporaryDirectory(prefix="rig-replay-") as scratch:
        kept = to or (Path(scratch) / folder.name if monitor else None)
        _play(folder, names, sets or [], rate, display, kept)
        if monitor and kept is not None:
            serve_replay(kept, not no_browser)


def _speed(text: str, display: bool) -> float | None:
    """Return the speed relative to the recording; None: as fast as possible."""
    if not text:
        return 1.0 if display else None
    if text == "max":
        if display:
            raise Refused("--speed max has no time in which to show anything; use a number")
        return None
    try:
        speed = number_in(text)
    except ValueError as error:
        raise Refused(f"--speed {text}: {error}; use 1, 10 or max") from error
    if not _SLOWEST <= speed <= _FASTEST:
        raise Refused(f"--speed {text}: use {_SLOWEST:g} to {_FASTEST:g}, or max")
    return speed


def _play(
    folder: Path,
    names: list[str],
    sets: list[str],
    speed: float | None,
    display: bool,
    to: Path | None,
) -> None:
    """Run processes live on a recorded session, and print their results."""
    console = new_console()
    check_log(folder, console)
    live = list(dict.fromkeys(names))
    if not live and not display:
        live = list(read_recording(folder, about())[2])
    if display and DISPLAY not in live:
        live.append(DISPLAY)
    with blamed_on(sets):
        played = play(folder, live, about(), sets, speed, to)
    table = Table("process", "message", "recorded", "live", title="what the live processes did")
    for name in played.live:
        old, new = played.recorded[name], played.published[name]
        for type_ in sorted({*old, *new}):
            table.add_row(name, type_, str(old[type_]), str(new[type_]))
    console.print(table)
    if DISPLAY in played.live:
        shown = played.published[DISPLAY]["Flip"]
        console.print(f"display: {shown} flips, {played.late_flips} late")
    for name, reason in played.ended.items():
        console.print(Text(f"{name} ended: {reason}"), soft_wrap=True)
    times = played.session_s / played.took_s
    console.print(f"{played.session_s:.1f} s of the session in {played.took_s:.1f} s: {times:.1f}x")
    if to is not None:
        console.print(f"session folder: {to}", soft_wrap=True)


def compare(folder: Path, names: list[str], sets: list[str], verify: bool) -> None:
    """Replay deciders, and print whether their messages agree with the recorded messages."""
    console = new_console()
    completeness = check_log(folder, console)
    unchanged = check_files(folder, console)
    with blamed_on(sets):
        report = feed(folder, sets, about(), names)
    _print_compared(report, console)
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
        if verify and not unchanged:
            raise typer.Exit(1)
        return
    first = report.first
    where = f"{first.sender} differs in trial {first.trial} at {first.t / 1e9:.6f} s"
    console.print(Text(f"{where}\n{_describe(first)}", "red"))
    if report.recorded_by:
        console.print(Text(report.recorded_by, "yellow"), soft_wrap=True)
    if sets:
        _show_counts(report.outcome_counts, console)
        _show_differences(report.differences, console)
        if report.what_if is not None:
            _show_divergences(report.what_if, console)
    raise typer.Exit(1 if verify else 0)


def _print_compared(report: Report, console: Console) -> None:
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


def _ends(report: Report) -> Iterator[str]:
    """Yield a sentence for each decider that failed."""
    for sender, why in report.failed.items():
        yield f"{sender} failed on the same message as in the recording: {why}"
    for why in dict.fromkeys(report.ended_outside.values()):
        names = ", ".join(name for name, reason in report.ended_outside.items() if reason == why)
        yield f"{names}: compared only up to a failure that no message caused ({why})"


def _describe(first: Difference) -> str:
    """Return the fields that differ in the first differing message, with the length of arrays."""
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
    """Print how much the messages of each process differ from the recorded messages."""
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


def _show_divergences(what_if: WhatIf, console: Console) -> None:
    """Print where each trial first diverges from the recording."""
    divergences = what_if.divergences
    table = Table(title="where each trial first diverges from the recording")
    for name in ("trial", "stimulus", "s from its start", "recorded", "with the new settings"):
        table.add_column(name)
    for one in divergences[:_MAX_DIVERGENCES]:
        trial = "before the first" if one.trial < 0 else str(one.trial)
        table.add_row(trial, one.stimulus, f"{one.t_s:.3f}", *map(Text, one.texts()))
    if divergences:
        console.print(table)
    if len(divergences) > _MAX_DIVERGENCES:
        console.print(f"and {len(divergences) - _MAX_DIVERGENCES} more trials")
    same = what_if.trials - len({one.trial for one in divergences if one.trial >= 0})
    console.print(f"{len(divergences)} trials diverge, {same} run as recorded")
    console.print(
        "Only the first divergence of each trial is evidence: the recorded mouse did not react to "
        "it, so what would have followed is not known.",
        soft_wrap=True,
    )
