"""The triggers of the closed loop in the report: where their lines rose, and with what latency."""

from collections import Counter

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.report.colours import DATA
from analysis.report.data import ReportData
from analysis.report.html import Figure, Grid, Section
from analysis.report.plots import dots, line, separate
from analysis.session.summary import trigger_latencies_s

_HEAD = ["trigger", "rule", "line", "rose", "sham", "refused", "latency from", "median", "99 %"]


def triggers(data: ReportData) -> Section | None:
    """Show when and where each trigger raised its line (in shams: would have), and its latency."""
    table = data.session.triggers
    rules = {
        str(one["name"]): one for one in data.session.settings.get("task", {}).get("triggers", [])
    }
    if not len(table) and not rules:
        return None
    rows, figures = [], []
    for name in dict.fromkeys([*rules, *table.rule]):
        own = table[table.rule == name]
        rows.append([name, *_row(data, own, rules.get(name, {}))])
        if len(own):
            figures.append(_raster(data, name, own))
    text = (
        "Position of the mouse when a line rose (filled), or would have risen if the trial had not "
        "been a sham (open). A held line is drawn for as long as it was up."
    )
    return Section("Triggers", text if figures else "No rule became true.", figures,
                   [Grid(_HEAD, rows)])  # fmt: skip


def _row(data: ReportData, own: pd.DataFrame, rule: dict[str, str]) -> list[str]:
    """Return the row of a trigger, without its name."""
    answered = own.refused == ""
    reasons = Counter(own.refused[~answered])
    refused = ", ".join(f"{count} ({why})" for why, count in reasons.items()) or "0"
    when = rule.get("when") or f"yoked to {rule.get('yoked_file', '?')}"
    counts = [f"{(answered & ~own.sham).sum()}", f"{(answered & own.sham).sum()}", refused]
    times = ["", "", ""]
    for name, values_s in trigger_latencies_s(data.session, own).items():
        p50, p99 = np.percentile(values_s * 1e3, [50, 99])
        times = [name.removesuffix("_to_line"), f"{p50:.1f}\u00a0ms", f"{p99:.1f}\u00a0ms"]
        if name == "frame_to_line":
            break  # the frame that completed the values; activity_to_line includes their lag
    return [when, str(rule.get("line", "")), *counts, *times]


def _raster(data: ReportData, name: str, own: pd.DataFrame) -> Figure:
    """Draw the lines of a trigger, a row for each trial."""
    traces = []
    raised = own[own.line_s.notna()]
    for stimulus in dict.fromkeys(raised.stimulus):
        mine = raised[raised.stimulus == stimulus]
        colour = data.colours.get(stimulus, DATA)
        for sham, symbol in ((False, "circle"), (True, "circle-open")):
            of = mine[mine.sham.astype(bool) == sham]
            label = f"{stimulus}, sham" if sham else str(stimulus)
            if len(of):
                traces.append(dots(of.line_position_m, of.trial, colour, label, 7, symbol))
        held = mine[mine.hold.astype(bool) & (mine.up_ms > 0)]
        if len(held):
            x = separate(held.line_position_m, _ends_m(data, held))
            traces.append(line(x, np.repeat(held.trial, 3), colour, name="held", width=3.0))
    layout = {
        "showlegend": True,
        "margin": {"t": 30},
        "xaxis": {"title": "position, m", "range": [0, data.length_m or 1.0]},
        "yaxis": {"title": "trial", "autorange": "reversed"},
    }
    return Figure(name, traces, layout, 320)


def _ends_m(data: ReportData, held: pd.DataFrame) -> NDArray[np.float64]:
    """Return the position (m) at which each held line was lowered, at most the end of its trial."""
    at = data.session.at(held.line_s + held.up_ms / 1e3)
    same = at.trial.to_numpy() == held.trial.to_numpy()
    return np.where(same, at.position_m, data.length_m)
