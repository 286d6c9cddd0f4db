"""Write summary.json at the end of a session, and print the end table from it."""

import json
import zlib
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rig.errors import Refused
from rig.subjects.session_identity import session_of

SUMMARY_FILE = "summary.json"
_CRC = "crc32"
"""Key of the checksum of the other values of a summary; older summaries have none."""
_CELLS = {
    "subject, task, cohort": "{subject}, {task}, {cohort}",
    "began, seed": "{began}, {seed}",
    "trials": "{done} ({aborted} aborted)",
    "rewards": "{rewards}",
    "water": "{water_ul:.1f} ul, {by_hand_ul:.1f} of it manual",
    "licks": "{licks}",
    "distance": "{distance_m:.1f} m",
    "imaging": "{imaging}",
    "selective cells": "{selective} (|d'| at least 0.3)",
    "flips": "{flips}, {flips_late} late",
    "messages lost": "{gaps}",
    "integrity": "-",
    "faults": "{faults}",
}
"""The rows of the end table, filled from a summary."""
_FRAMES = {"frames_written", "frames_streamed", "frames_analysed"}


def end(folder: Path, reason: str | None, console: Console) -> None:
    """Write summary.json from the log and the TIFFs, and print the end table.

    If the log is damaged now, a summary that was written before the damage is kept.

    Args:
        folder: The session folder.
        reason: Why the session ended, according to the launching process; None if that process
            died; the reason is then taken from the log.
    """
    from acquisition.files.session_tiffs import session_tiffs
    from analysis.session.summary import summarise

    tiffs = session_tiffs(folder)
    written = sum(_pages(path, console) for path in tiffs)
    _write_suite2p_ops(tiffs, console)
    summary = summarise(folder, written, reason)
    before = readable_summary(folder)
    if before is not None and _is_of_whole_log(before) and not _is_of_whole_log(summary):
        summary = before
        text = f"{SUMMARY_FILE} is kept from before the log was damaged"
        console.print(Text(text, "yellow"))
    else:
        summary |= {"id": session_of(folder).id}
        text = json.dumps({**summary, _CRC: _crc(summary)}, indent=2, allow_nan=False)
        (folder / SUMMARY_FILE).write_text(text + "\n", encoding="utf-8")
    print_table(summary, console)
    console.print(f"session folder: {folder}", soft_wrap=True)
    console.print(f"verify it by a replay: rig replay {folder} --verify", soft_wrap=True)
    console.print(f"make a page of it: rig report {folder}", soft_wrap=True)


def read_summary(folder: Path) -> dict[str, Any]:
    """Return the summary of a session. Raises Refused if it is damaged or of another session."""
    path = folder / SUMMARY_FILE
    try:
        summary = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
        crc = summary.pop(_CRC, None)
        if crc is not None and crc != _crc(summary):
            raise ValueError("it does not match its checksum")
        if "id" in summary and summary["id"] != session_of(folder).id:
            raise ValueError("it is of another session")
    except (OSError, msgspec.MsgspecError, ValueError) as error:
        raise Refused(
            f"{path} is damaged ({error}); write it again from the log: rig recover {folder}"
        ) from error
    return summary


def readable_summary(folder: Path) -> dict[str, Any] | None:
    """Return the summary of a session; None if there is none, or it is damaged."""
    try:
        return read_summary(folder)
    except Refused:
        return None


def _crc(summary: dict[str, Any]) -> str:
    """Return the CRC-32 of a summary's values, whatever the order of its keys."""
    return f"{zlib.crc32(json.dumps(summary, sort_keys=True).encode()):08x}"


def _is_of_whole_log(summary: dict[str, Any]) -> bool:
    return "end_reason" in summary and all(
        one.get("name") != "log incomplete" for one in summary.get("findings", [])
    )


def _write_suite2p_ops(tiffs: list[Path], console: Console) -> None:
    """Write the settings for Suite2p beside the TIFFs."""
    from acquisition.files.file_check import check
    from acquisition.files.suite2p_ops import write_ops

    try:
        files = check(tiffs, vendor=False)
        if files and files[0].pages:
            write_ops(files)
    except Refused as refusal:
        console.print(Text(f"no settings for Suite2p were written: {refusal}", "yellow"))


def _pages(path: Path, console: Console) -> int:
    """Count the pages of a TIFF with the vendor's reader; for an unclosed file, count them here."""
    from acquisition.files.vendor_reader import pages_in
    from acquisition.follow.file_follower import FileFollower

    try:
        return pages_in(path)
    except Refused as damaged:
        console.print(Text(str(damaged), "bold red"))
    pages = 0
    with suppress(Refused), closing(FileFollower(path)) as follower:
        for _ in follower.poll():
            pages += 1
    return pages


def integrity_row(verdict: dict[str, Any] | None) -> str:
    """Return the end table's text for a summary's integrity."""
    if verdict is None:
        return "not checked: the setup has no integrity process"
    counts = f"{verdict['edges']} edges of the frame clock, {verdict['pages']} frames saved"
    if verdict["sound"]:
        return f"sound: {counts}"
    found = ", ".join(f"{name} {n}" for name, n in verdict["findings"].items())
    return f"NOT SOUND: {found} ({counts})"


def imaging_row(summary: dict[str, Any]) -> str:
    """Return the end table's text for the imaging pages, frames and volumes of a summary.

    With one depth and channel, a frame is one page; a volume is several pages. Numbers that should
    be equal are joined by "=", or by "≠" if they differ.
    """
    written, streamed = summary["frames_written"], summary["frames_streamed"]
    analysed, pages = summary["frames_analysed"], summary.get("pages_a_volume")
    saved = f"{written} written {_same(written, streamed)} {streamed} streamed"
    if analysed is None:
        return f"pages: {saved}, not analysed: the setup has no online process"
    if (found := summary.get("cells_found")) is not None:
        return (
            f"pages: {saved}; {analysed} frames or volumes analysed after {found} cells were found"
        )
    if pages is None:  # older summaries have no number of pages per volume
        return f"pages: {saved}; {analysed} frames or volumes analysed"
    if pages == 1:
        return f"frames: {saved} {_same(streamed, analysed)} {analysed} analysed"
    whole = streamed // pages
    volumes = f"volumes of {pages} pages: {whole} streamed {_same(whole, analysed)} {analysed}"
    return f"pages: {saved}; {volumes} analysed"


def _same(one: int, other: int) -> str:
    return "=" if one == other else "≠"


def print_table(summary: dict[str, Any], console: Console) -> None:
    """Print the end table of a summary, with a dash for values that an older summary lacks."""
    table = Table(title="the session", show_header=False)
    table.add_column(max_width=28)
    table.add_column(overflow="fold")
    for name, value in table_rows(summary).items():
        is_bad = name == "faults" and value not in ("0", "-")
        table.add_row(name, Text(value, "bold red" if is_bad else ""))
    console.print(table)


def table_rows(summary: dict[str, Any]) -> dict[str, str]:
    """Return the rows of the end table of a summary: name and text of each."""
    trials = summary.get("trials")
    counts = {} if trials is None else _count(trials)
    known = {"by_hand_ul": 0.0, **summary, **counts}
    if (selective := known.get("selective_fraction")) is not None:
        known["selective"] = f"{100 * selective:.0f} %"
    if "faults" in known:
        known["faults"] = _faults(summary)
    if known.keys() >= _FRAMES:
        known["imaging"] = imaging_row(known)
    rows = {name: _filled(text, known) for name, text in _CELLS.items()}
    if "integrity" in summary:
        rows["integrity"] = integrity_row(summary["integrity"])
    notes = [note["text"] for note in summary.get("notes", [])]
    rows["notes"] = "; ".join(notes) or "-"
    for sender, overruns in summary.get("overruns", {}).items():
        rows[f"read from files by {sender}"] = f"{overruns} frames, as the ring had overrun"
    for name, one in summary.get("triggers", {}).items():
        text = "{lines} lines, {shams} shams, {refused} refused"
        rows[f"trigger {name}"] = _filled(text, one)
    for name, numbers in summary.get("latency_ms", {}).items():
        if numbers.get("n"):
            text = "median {p50:.2f}, 99 % {p99:.2f}, maximum {max:.2f} ms"
            rows[name.replace("_", " ")] = _filled(text, numbers)
    recovered = "; recovered" * bool(summary.get("recovered"))
    return {**rows, "ended": _filled("{end_reason}", summary) + recovered}


def _faults(summary: dict[str, Any]) -> str:
    """Return the number of findings and a line for each; an older summary has faults instead."""
    findings = summary.get("findings")
    if findings is None:
        return str(len(summary["faults"]))
    lines = [
        f"{one['process']}: {one['name']}" + (f" {one['count']}" if one["count"] > 1 else "")
        for one in findings
    ]
    return "\n".join([str(len(findings)), *lines])


def _count(trials: list[dict[str, Any]]) -> dict[str, int]:
    done = sum(trial["outcome"] == "done" for trial in trials)
    return {"done": done, "aborted": len(trials) - done}


def _filled(text: str, known: dict[str, Any]) -> str:
    """Return the text of a cell with its values; a dash if a value is not known."""
    try:
        return text.format_map(known)
    except KeyError:
        return "-"
