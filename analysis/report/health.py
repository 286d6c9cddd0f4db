"""What a session's record says of the rig, in its report: latencies, the referee, the faults."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from analysis.report.data import ReportData
from analysis.report.html import Figure, Grid, Section
from analysis.report.plots import steps
from analysis.session.summary import latencies_s

_ROWS = 100
"""A longer table is cut, and says so."""
_INK = "#3f72af"


def latencies(seen: ReportData) -> Section | None:
    """Show how fast the rig answered: percentiles and a histogram of each latency there is."""
    found = {name: ms for name, ms in _latencies_ms(seen).items() if ms.size}
    if not found:
        return None
    rows = []
    for name, ms in found.items():
        p50, p99, p999 = np.percentile(ms, [50, 99, 99.9])
        numbers = [f"{value:.2f}" for value in (p50, p99, p999, ms.max())]
        rows.append([name, *numbers, f"{ms.size}"])
    grid = Grid(["ms", "p50", "p99", "p99.9", "max", "n"], rows)
    figures = [_histogram(name, ms) for name, ms in found.items()]
    return Section("Latencies", "", figures, [grid], columns=3)


def _latencies_ms(seen: ReportData) -> dict[str, NDArray[np.float64]]:
    return {
        name.replace("_", " "): values_s * 1e3
        for name, values_s in latencies_s(seen.session).items()
    }


def _histogram(name: str, ms: NDArray[np.float64]) -> Figure:
    top = max(float(np.percentile(ms, 99.5)) * 1.1, 1e-3)
    edges = np.linspace(0.0, top, min(60, 10 + ms.size // 10) + 1)
    counts, _ = np.histogram(ms, edges)
    layout = {
        "xaxis": {"title": "ms", "range": [0, top]},
        "yaxis": {"title": "how often", "rangemode": "tozero"},
    }
    return Figure(name, [steps(edges, counts, _INK, name)], layout, 220)


def referee(seen: ReportData) -> Section:
    """Show what the referee found, trial by trial where something was wrong."""
    verdicts = seen.session.verdicts
    if not len(verdicts):
        return Section("The referee", "There was no referee in this session.")
    wrong = verdicts[verdicts.violations.map(len) > 0]
    judged = "trial" if len(verdicts) == 1 else "trials"
    if not len(wrong):
        return Section(
            "The referee", good=f"{len(verdicts)} {judged} judged, every one sound by the rules."
        )
    found = zip(wrong.trial, wrong.t_s, wrong.violations, strict=True)
    rows = [[f"{trial}", f"{t_s:.2f} s", ", ".join(names)] for trial, t_s, names in found]
    bad = f"{len(wrong)} of {len(verdicts)} {judged} broke a rule."
    grid = Grid(["trial", "at", "violations"], _cut(rows))
    return Section("The referee", grids=[grid], bad=bad)


def record(seen: ReportData) -> Section:
    """Show the faults, what was left out, what the operator did, and what is missing."""
    session = seen.session
    trials, faults, orders = session.trials, session.faults, session.orders
    outcomes = Counter("cut off" if isinstance(o, float) else str(o) for o in trials.outcome)
    rows = [["trials", ", ".join(f"{n} {what}" for what, n in outcomes.items()) or "none"]]
    rows += [["words missing from the log", f"{session.gaps.total()}"]]
    if override := session.settings.get("override"):
        rows += [["overridden", str(override)]]
    for order in orders.itertuples():
        rows.append([f"{order.verb} at {order.t_s:.1f} s", str(order.text)])
    about = session.settings.get("about", {})
    rows += [["rig", f"{about.get('rig', '?')}, commit {about.get('commit', '?')}"]]
    grids = [Grid(["", ""], _cut(rows))]
    if not len(faults):
        return Section("The record", grids=grids, good="No faults.")
    listed = [[f"{f.t_s:.2f} s", str(f.sender), str(f.text)] for f in faults.itertuples()]
    grids.append(Grid(["at", "who", "text"], _cut(listed)))
    noun = "fault" if len(faults) == 1 else "faults"
    return Section("The record", grids=grids, bad=f"{len(faults)} {noun}.")


def _cut(rows: list[list[str]]) -> list[list[str]]:
    """Return the first rows, and a last one that says how many more there are."""
    if len(rows) <= _ROWS:
        return rows
    more = [f"and {len(rows) - _ROWS} more", *[""] * (len(rows[0]) - 1)]
    return [*rows[:_ROWS], more]
