"""What stands at the end of a session: summary.json and the end table."""

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rig.refused import Refused

SUMMARY_FILE = "summary.json"


def end(folder: Path, reason: str, console: Console) -> None:
    """Write summary.json from the log and the TIFFs alone, and print the end table."""
    from analysis.summary import summarise

    written = sum(_pages(path, console) for path in sorted(folder.glob("imaging/*.tif")))
    summary = summarise(folder, written)
    summary["end_reason"] = summary.get("end_reason") or reason
    text = json.dumps(summary, indent=2, allow_nan=False)
    (folder / SUMMARY_FILE).write_text(text + "\n", encoding="utf-8")
    print_table(summary, console)
    console.print(f"session folder: {folder}", soft_wrap=True)


def _pages(path: Path, console: Console) -> int:
    """Count a TIFF's pages with the vendor's reader; if it was not closed, its whole pages."""
    from acquisition.closed import pages_in
    from acquisition.follow import FileFollower

    try:
        return pages_in(path)
    except Refused as damaged:
        console.print(Text(str(damaged), "bold red"))
    follower = FileFollower(path)
    try:
        return sum(1 for _ in follower.poll())
    finally:
        follower.close()


def print_table(summary: dict[str, Any], console: Console) -> None:
    """Print the end table of a summary."""
    done = [t for t in summary["trials"] if t["outcome"] == "done"]
    frames = [summary[f"frames_{how}"] for how in ("written", "streamed", "analysed")]
    selective = summary["selective_fraction"]
    rows = {
        "subject, task, cohort": f"{summary['subject']}, {summary['task']}, {summary['cohort']}",
        "trials": f"{len(done)}",
        "rewards": f"{summary['rewards']} ({summary['water_ul']:.1f} ul)",
        "licks": f"{summary['licks']}",
        "distance": f"{summary['distance_m']:.1f} m",
        "frames written = streamed = analysed": " = ".join(str(n) for n in frames),
        "selective cells": "-" if selective is None else f"{100 * selective:.0f} %",
        "flips (late)": f"{summary['flips']} ({summary['flips_late']})",
        "gaps": f"{summary['gaps']}",
        "faults": f"{len(summary['faults'])}",
    }
    for name, numbers in summary["latency_ms"].items():
        if numbers["n"]:
            text = (
                f"p50 {numbers['p50']:.2f}  p99 {numbers['p99']:.2f}  max {numbers['max']:.2f} ms"
            )
            rows[name.replace("_", " ")] = text
    rows["ended"] = summary["end_reason"]
    table = Table(title="the session", show_header=False)
    for name, value in rows.items():
        table.add_row(name, value)
    console.print(table)
