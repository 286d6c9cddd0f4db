"""Write the report of a session: one page; each of its sections is made by one function."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from analysis.report.behavior import overview, performance, water
from analysis.report.data import ReportData, read_data
from analysis.report.health import findings, latencies, record, referee
from analysis.report.html import Card, Section, render
from analysis.report.imaging import motion, selectivity, tuning
from analysis.report.licks import aligned_licks, first_licks, rasters, speed
from analysis.report.signals.across_days import across_days
from analysis.report.signals.coding_direction import projections, similarity
from analysis.report.signals.reward_prediction import reward_prediction, reward_prediction_trials
from analysis.report.signals.sequences import sequences
from analysis.report.triggers import triggers
from analysis.session.offline_tuning import found_labels
from rig.errors import Refused

REPORT_FILE = "report.html"
FOUND_FILE = "found_cells.npy"
SECTIONS: tuple[Callable[[ReportData], Section | None], ...] = (
    overview,
    performance,
    rasters,
    aligned_licks,
    first_licks,
    speed,
    selectivity,
    tuning,
    reward_prediction,
    reward_prediction_trials,
    projections,
    similarity,
    sequences,
    across_days,
    motion,
    triggers,
    water,
    latencies,
    referee,
    record,
)
"""Functions that make the sections below the findings, in order; each returns None if it has
nothing to show."""


def report(folder: Path, path: Path, other: Path | None = None) -> None:
    """Write the report of a session's folder to a file.

    The cells are compared with those of `other`, or else with those of the session from which
    rig align moved their masks. If cells were detected in the session, their label image is
    written next to the report.

    Raises Refused if the folder contains no session that was run and closed, or the file cannot
    be written.
    """
    if path.exists() and not path.is_file():  # a device would be replaced by the file
        raise Refused(f"{path} is not a file; name another file with --out")
    data = read_data(folder, other)
    sections = [section for make in SECTIONS if (section := make(data)) is not None]
    page = render(_title(data), _text(data), _cards(data), sections, top=findings(data))
    fresh = path.with_name(f".{path.name}.new")
    try:
        fresh.write_text(page, encoding="utf-8")
        fresh.replace(path)
        labels = found_labels(data.session)
        if labels is not None:
            np.save(path.with_name(FOUND_FILE), labels)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise Refused(
            f"{path} cannot be written ({error.strerror}); name another file with --out"
        ) from error


def _title(data: ReportData) -> str:
    settings = data.session.settings
    return f"{settings.get('subject')}, {settings.get('task_name')}"


def _text(data: ReportData) -> str:
    settings = data.session.settings
    cohort = settings.get("task", {}).get("cohort")
    parts = [
        str(settings.get("began", "")).replace("T", " ").partition(".")[0],
        f"cohort {cohort}" if cohort else "",
        f"rig {settings.get('rig', {}).get('name', '?')}",
        f"{data.minutes:.1f} minutes",
        f"seed {settings.get('seed')}",
        f"ended: {data.session.end_reason or 'no reason in the log'}",
    ]
    return "  ·  ".join(part for part in parts if part)


def _cards(data: ReportData) -> list[Card]:
    session, trials = data.session, data.session.trials
    aborted, cut = int((trials.outcome == "aborted").sum()), int(trials.outcome.isna().sum())
    left_out = ", ".join(f"{n} {what}" for n, what in ((aborted, "aborted"), (cut, "cut off")) if n)
    result = data.performance
    water_ul = float(session.rewards.volume_ul.sum())
    done = f"trials done{f' ({left_out})' if left_out else ''}"
    faults = len(data.findings)
    cards = [
        Card(f"{(trials.outcome == 'done').sum()}", done),
        Card(f"{result.difference:+.0%}", "performance: rewarded minus other")
        if result.rewarded.trials and result.other.trials
        else None,
        Card(f"{water_ul:.0f} µl", f"water, {_number(len(session.rewards), 'reward')}"),
        Card(f"{len(session.licks)}", "licks"),
        Card(f"{data.distance_m:.0f} m", "run"),
        Card(f"{faults}", "fault" if faults == 1 else "faults", "bad" if faults else "good"),
    ]
    return [card for card in cards if card is not None]


def _number(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"
