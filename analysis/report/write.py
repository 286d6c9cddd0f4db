"""The report of a session: what it was, as one page; each part of it is one function of a list."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from analysis.report.behavior import at_a_glance, performance, water
from analysis.report.data import ReportData, see
from analysis.report.health import latencies, record, referee
from analysis.report.html import Card, Section, render
from analysis.report.imaging import motion, selectivity, tuning
from analysis.report.licks import first_licks, rasters, speed
from analysis.session.offline_tuning import found_labels
from rig.errors import Refused

REPORT_FILE = "report.html"
FOUND_FILE = "found_cells.npy"
SECTIONS: tuple[Callable[[ReportData], Section | None], ...] = (
    at_a_glance,
    performance,
    rasters,
    first_licks,
    speed,
    selectivity,
    tuning,
    motion,
    water,
    latencies,
    referee,
    record,
)
"""The parts of the page, in order; one that has nothing to show returns None."""


def report(folder: Path, path: Path) -> None:
    """Write the report of a session's folder to a file.

    Beside it, a label image of the cells that were found in the session, if they were.
    Raises Refused with one sentence if the folder holds no session that was run and closed, or
    the file cannot be written.
    """
    seen = see(folder)
    sections = [section for make in SECTIONS if (section := make(seen)) is not None]
    page = render(_title(seen), _text(seen), _cards(seen), sections)
    fresh = path.with_name(f".{path.name}.new")
    try:
        fresh.write_text(page, encoding="utf-8")
        fresh.replace(path)
        labels = found_labels(seen.session)
        if labels is not None:
            np.save(path.with_name(FOUND_FILE), labels)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise Refused(
            f"{path} cannot be written ({error.strerror}); name another file with --out"
        ) from error


def _title(seen: ReportData) -> str:
    settings = seen.session.settings
    return f"{settings.get('subject')}, {settings.get('task_name')}"


def _text(seen: ReportData) -> str:
    settings = seen.session.settings
    cohort = settings.get("task", {}).get("cohort")
    parts = [
        str(settings.get("began", "")).replace("T", " ").partition(".")[0],
        f"cohort {cohort}" if cohort else "",
        f"rig {settings.get('rig', {}).get('name', '?')}",
        f"{seen.minutes:.1f} minutes",
        f"seed {settings.get('seed')}",
        f"ended: {seen.session.end_reason or 'nobody said why'}",
    ]
    return "  ·  ".join(part for part in parts if part)


def _cards(seen: ReportData) -> list[Card]:
    session, trials = seen.session, seen.session.trials
    aborted, cut = int((trials.outcome == "aborted").sum()), int(trials.outcome.isna().sum())
    left_out = ", ".join(f"{n} {what}" for n, what in ((aborted, "aborted"), (cut, "cut off")) if n)
    found = seen.performance
    water_ul = float(session.rewards.volume_ul.sum())
    judged, bad = len(session.verdicts), int((session.verdicts.violations.map(len) > 0).sum())
    cards = [
        Card(f"{(trials.outcome == 'done').sum()}", f"trials done; {left_out or 'none'} left out"),
        Card(f"{found.difference:+.0%}", "performance: rewarded - other")
        if found.rewarded.trials and found.other.trials
        else None,
        Card(f"{water_ul:.0f} µl", f"water, {_number(len(session.rewards), 'reward')}"),
        Card(f"{len(session.licks)}", "licks"),
        Card(f"{seen.distance_m:.0f} m", "run"),
        Card(f"{len(session.faults)}", "faults", "bad" if len(session.faults) else "good"),
        Card(f"{judged - bad}", f"of {judged} judged trials sound", "bad" if bad else "good")
        if judged
        else None,
    ]
    return [card for card in cards if card is not None]


def _number(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"
