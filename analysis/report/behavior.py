"""The mouse's behavior in the report of a session: speed, performance and water."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.report.colours import LICK, SPEED, WATER
from analysis.report.data import ReportData
from analysis.report.html import Figure, Grid, Section
from analysis.report.plots import bars, dots, line, separate
from analysis.session import lick_metrics

_WINDOW = 20
"""Number of trials in the running response rate."""


def overview(data: ReportData) -> Section | None:
    """Show speed, corridors, licks and water over the whole session."""
    session = data.session
    if not len(session.position):
        return None
    second = session.position.t_s.to_numpy().astype(np.int64)
    counts = np.bincount(second)
    speed = np.bincount(second, session.position.speed_cm_s) / np.where(counts, counts, np.nan)
    top = float(np.nanmax(speed)) or 1.0
    minute = np.arange(len(speed)) / 60
    events = []
    for name, colour in data.colours.items():
        trials = session.trials[session.trials.stimulus == name]
        x = separate(trials.start_s / 60, trials.end_s.fillna(60 * data.minutes) / 60)
        events.append(line(x, np.full(len(x), 3.0), colour, name=name, width=9.0))
    x = separate(session.licks.t_s / 60, session.licks.t_s / 60)
    y = np.tile([1.7, 2.3, np.nan], len(session.licks))
    events.append(line(x, y, LICK, name="licks", width=0.7))
    drops = session.rewards
    events.append(dots(drops.t_s / 60, np.full(len(drops), 1.0), WATER, "water", 5))
    rows = {"tickvals": [1, 2, 3], "ticktext": ["water", "licks", "corridor"], "showgrid": False}
    layout = {
        "showlegend": True,
        "xaxis": {"title": "minutes", "range": [0, max(data.minutes, 1e-3)], "anchor": "y2"},
        "yaxis": {"title": "speed, cm/s", "range": [0, 1.08 * top], "domain": [0.34, 1]},
        "yaxis2": {**rows, "range": [0.4, 3.6], "domain": [0, 0.3]},
        "margin": {"t": 30},
    }
    traces = _speed_lines(minute, speed)
    traces += [{**trace, "yaxis": "y2"} for trace in events]
    text = "Speed of the mouse (mean of each second), corridors, licks and water."
    return Section("Overview", text, [Figure("", traces, layout, 320, wide=True)])


def _speed_lines(minute: NDArray[np.float64], speed: NDArray[np.float64]) -> list[dict[str, Any]]:
    """Return a line for each time without a gap, as plotly would tint the area under a gap."""
    known = np.flatnonzero(np.isfinite(speed))
    runs = np.split(known, np.flatnonzero(np.diff(known) > 1) + 1)
    lines = [
        line(minute[run], speed[run], SPEED, name="speed", fill="tozeroy", width=1.0)
        for run in runs
    ]
    return [{**one, "legendgroup": "speed", "showlegend": one is lines[0]} for one in lines]


def performance(data: ReportData) -> Section | None:
    """Show the response rate in each corridor, and over the session."""
    result = data.performance
    if not result.by_stimulus:
        return None
    counted = lick_metrics.counted(data.session.trials)
    responded = lick_metrics.responses(counted, data.session.licks)
    text = (
        "A response is a lick from the start of the trial to the cue plus the reward delay "
        "(passive), or to the grey space (active); without a cue, a lick from 2 to 4 m, in the "
        "first 200 trials."
    )
    if result.rewarded.trials and result.other.trials:
        text += (
            f" Performance is the rewarded rate ({result.rewarded.share:.1%}) minus the other "
            f"({result.other.share:.1%}): {result.difference:+.1%}."
        )
    figures = [_rates(data)]
    if len(counted) > 1:
        figures.append(_over_trials(data, counted, responded))
    return Section("Performance", text, figures)


def _rates(data: ReportData) -> Figure:
    rates = data.performance.by_stimulus
    names = [name for name in data.colours if name in rates]
    shares = np.array([rates[name].share for name in names])
    low, high = np.array([lick_metrics.interval(rates[name]) for name in names]).T
    labels = [f"{name}<br>{rates[name].responses} of {rates[name].trials}" for name in names]
    chart = bars(labels, shares, low, high, [data.colours[name] for name in names], "")
    layout = {
        "yaxis": {"title": "trials with a response", "range": [0, 1.02], "tickformat": ".0%"},
        "bargap": 0.5,
    }
    traces = [{**chart, "hovertemplate": "%{y:.1%}<extra></extra>"}]
    return Figure("Response rate, with its 95 % confidence interval", traces, layout)


def _over_trials(data: ReportData, counted: pd.DataFrame, responded: NDArray[np.bool_]) -> Figure:
    traces = []
    for name, colour in data.colours.items():
        mine = (counted.stimulus == name).to_numpy()
        share = lick_metrics.running_share(responded[mine], _WINDOW)
        traces.append(line(counted.trial[mine], share, colour, name=name, width=2.2))
    layout = {
        "showlegend": True,
        "margin": {"t": 30},
        "xaxis": {"title": "trial"},
        "yaxis": {"title": "response rate", "range": [-0.02, 1.02], "tickformat": ".0%"},
    }
    return Figure(f"Response rate in the last {_WINDOW} trials of each stimulus", traces, layout)


def water(data: ReportData) -> Section | None:
    """Show the water over time, and how much of it was given manually."""
    drops = data.session.rewards
    before_ul = float(data.session.settings.get("given_today_ul", 0.0))
    if not len(drops):
        return Section("Water", "No water was given in this session.")
    total = drops.volume_ul.cumsum().to_numpy()
    minute = drops.t_s.to_numpy() / 60
    x = np.concatenate(([0.0], minute, [max(data.minutes, minute[-1])]))
    y = np.concatenate(([0.0], total, total[-1:]))
    step = line(x, y, WATER, name="water", width=2.2, shape="hv", fill="tozeroy")
    manual = drops.manual.to_numpy(dtype=bool)
    by_hand = dots(minute[manual], total[manual], LICK, "manual", 9, "diamond")
    layout = {
        "xaxis": {"title": "minutes", "range": [0, float(x[-1]) or 1.0]},
        "yaxis": {"title": "water, µl", "rangemode": "tozero"},
        "showlegend": bool(manual.any()),
        "margin": {"t": 30} if manual.any() else {},
    }
    rows = [["in trials", f"{(~manual).sum()}", f"{drops.volume_ul[~manual].sum():g} µl"]]
    if manual.any():
        rows.append(["manual", f"{manual.sum()}", f"{drops.volume_ul[manual].sum():g} µl"])
    rows.append(["this session", f"{len(drops)}", f"{total[-1]:g} µl"])
    if before_ul:
        rows.append(["earlier that day", "", f"{before_ul:g} µl"])
    grid = Grid(["", "rewards", "water"], rows)
    return Section("Water", "", [Figure("", [step, by_hand], layout, 260, wide=True)], [grid])
