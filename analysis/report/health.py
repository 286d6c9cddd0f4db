"""The state of the rig during a session, in its report: findings, latencies, faults."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from analysis.report.colours import DATA
from analysis.report.data import ReportData
from analysis.report.explanations import EXPLANATIONS
from analysis.report.html import Figure, Grid, Section
from analysis.report.plots import steps
from analysis.session.summary import latencies_s

_ROWS = 100
"""Largest number of rows of a table; the number of further rows is given below them."""


def findings(data: ReportData) -> Section:
    """Show everything that went wrong, with its meaning and what to do."""
    if not data.findings:
        return Section("Nothing went wrong", good=_checked(data))
    rows = []
    for one in data.findings:
        meaning, action = EXPLANATIONS.get(one.name, ("", ""))
        first = "" if one.t_s is None else f"{one.t_s:.2f}\u00a0s"
        rows.append([one.process, one.name, f"{one.count}", first, one.text, meaning, action])
    head = ["process", "finding", "count", "first\u00a0at", "first case", "meaning", "what to do"]
    count = len(data.findings)
    title = "1 thing went wrong" if count == 1 else f"{count} things went wrong"
    text = f"The session ended with: {data.session.end_reason or 'no reason in the log'}."
    return Section(title, text, grids=[Grid(head, rows)], alarm=True)


def _checked(data: ReportData) -> str:
    """Return what was checked in a session in which nothing went wrong."""
    session = data.session
    parts = ["No process reported a fault and no message is missing from the log"]
    if len(session.flips):
        parts.append(f"none of {len(session.flips)} flips was late")
    if len(session.verdicts):
        parts.append(f"the referee checked {len(session.verdicts)} trials")
    if len(session.integrity):
        parts.append("frame clock, pages, wheel and screen agree")
    return "; ".join(parts) + "."


def latencies(data: ReportData) -> Section | None:
    """Show percentiles and a histogram of each latency that the rig measured."""
    measured = {
        name.replace("_", " "): values_s * 1e3
        for name, values_s in latencies_s(data.session).items()
        if values_s.size
    }
    if not measured:
        return None
    rows = []
    for name, ms in measured.items():
        p50, p99, p999 = np.percentile(ms, [50, 99, 99.9])
        numbers = [f"{value:.2f}" for value in (p50, p99, p999, ms.max())]
        rows.append([name, *numbers, f"{ms.size}"])
    grid = Grid(["ms", "median", "99 %", "99.9 %", "maximum", "n"], rows)
    figures = [_histogram(name, ms) for name, ms in measured.items()]
    text = "Flip to photodiode: from the flip of the screen to the light at the photodiode."
    return Section(
        "Latencies",
        text if "flip to photodiode" in measured else "",
        figures,
        [grid],
        columns=3 if len(figures) > 2 else 2,
    )


def _histogram(name: str, ms: NDArray[np.float64]) -> Figure:
    low, top = float(min(0.0, ms.min())), max(float(np.percentile(ms, 99.5)) * 1.1, 1e-3)
    edges = np.linspace(low, top, min(60, 10 + ms.size // 10) + 1)
    counts, _ = np.histogram(ms, edges)
    layout = {
        "xaxis": {"title": "ms", "range": [low, top]},
        "yaxis": {"title": "count", "rangemode": "tozero"},
    }
    return Figure(name, [steps(edges, counts, DATA, name)], layout, 220)


def referee(data: ReportData) -> Section:
    """Show the number of trials that the referee checked, and each trial with violations."""
    verdicts = data.session.verdicts
    if not len(verdicts):
        return Section("Referee", "There was no referee in this session.")
    wrong = verdicts[verdicts.violations.map(len) > 0]
    checked = f"{len(verdicts)} trial{'s' if len(verdicts) > 1 else ''}"
    if not len(wrong):
        return Section("Referee", good=f"{checked} checked, no violation.")
    found = zip(wrong.trial, wrong.t_s, wrong.violations, strict=True)
    rows = [[f"{trial}", f"{t_s:.2f} s", ", ".join(names)] for trial, t_s, names in found]
    bad = f"{len(wrong)} of {checked} broke a rule."
    return Section("Referee", grids=[Grid(["trial", "at", "violations"], _cut(rows))], bad=bad)


def record(data: ReportData) -> Section:
    """Show the outcomes, the operator's requests, the versions, and the text of every fault."""
    session = data.session
    trials, faults = session.trials, session.faults
    outcomes = Counter("cut off" if isinstance(o, float) else str(o) for o in trials.outcome)
    rows = [["trials", ", ".join(f"{n} {what}" for what, n in outcomes.items()) or "none"]]
    rows += [["messages missing from the log", f"{session.gaps.total()}"]]
    if override := session.settings.get("override"):
        rows += [["overridden", str(override)]]
    for request in session.orders.itertuples():
        rows.append([f"{request.verb} at {request.t_s:.1f} s", str(request.text)])
    about = session.settings.get("about", {})
    rows += [["rig", f"{about.get('rig', '?')}, commit {about.get('commit', '?')}"]]
    grids = [Grid(["", ""], _cut(rows))]
    if not len(faults):
        return Section("Record", "No process reported a fault.", grids=grids)
    listed = [[f"{f.t_s:.2f} s", str(f.sender), str(f.text)] for f in faults.itertuples()]
    grids.append(Grid(["at", "process", "fault"], _cut(listed)))
    noun = "fault" if len(faults) == 1 else "faults"
    return Section("Record", grids=grids, bad=f"{len(faults)} {noun} reported.")


def _cut(rows: list[list[str]]) -> list[list[str]]:
    """Return the first _ROWS rows; if there are more, a last row gives their number."""
    if len(rows) <= _ROWS:
        return rows
    more = [f"and {len(rows) - _ROWS} more", *[""] * (len(rows[0]) - 1)]
    return [*rows[:_ROWS], more]
