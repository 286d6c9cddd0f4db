"""What the mouse did over a session, in its report: speed, performance and water."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.report.data import ReportData
from analysis.report.html import DIM, WATER, Figure, Grid, Section
from analysis.report.plots import broken, dots, line, plain
from analysis.session import lick_metrics

_WINDOW = 20
"""Trials over which the running response rate looks back."""


def at_a_glance(seen: ReportData) -> Section | None:
    """Show speed, corridors, licks and water over the whole session."""
    session = seen.session
    if not len(session.position):
        return None
    second = session.position.t_s.to_numpy().astype(np.int64)
    counts = np.bincount(second)
    speed = np.bincount(second, session.position.speed_cm_s) / np.where(counts, counts, np.nan)
    top = float(np.nanmax(speed)) or 1.0
    minute = np.arange(len(speed)) / 60
    traces = [line(minute, speed, "#9fb0bf", name="speed", fill="tozeroy", width=1.0)]
    for name, colour in seen.colours.items():
        trials = seen.of(name)
        x = broken(trials.start_s / 60, trials.end_s / 60)
        y = np.full(len(x), -0.09 * top)
        traces.append(line(x, y, colour, name=name, width=9.0))
    x = broken(session.licks.t_s / 60, session.licks.t_s / 60)
    y = np.tile([-0.19 * top, -0.27 * top, np.nan], len(session.licks))
    traces.append(line(x, y, DIM, name="licks", width=0.7))
    drops = session.rewards
    traces.append(dots(drops.t_s / 60, np.full(len(drops), -0.34 * top), WATER, "water", 5))
    layout = {
        "showlegend": True,
        "xaxis": {"title": "minutes", "range": [0, max(seen.minutes, 1e-3)]},
        "yaxis": {"title": "speed, cm/s", "range": [-0.4 * top, 1.08 * top], "tickmode": "auto"},
        "margin": {"t": 30},
    }
    text = "Speed of the mouse (means of a second), the corridors it ran, its licks and its water."
    figure = Figure("", traces, layout, 300, wide=True)
    return Section("The session at a glance", text, [figure])


def performance(seen: ReportData) -> Section | None:
    """Show the response rate in each corridor, and how it went on."""
    found = seen.performance
    if not found.by_stimulus:
        return None
    counted = lick_metrics.counted(seen.session.trials)
    responded = lick_metrics.responses(counted, seen.session.licks)
    text = (
        "A trial's response is a lick from its start to the cue and the reward delay (passive), or "
        "to the grey space; without a cue, a lick from 2 to 4 m, in the first 200 trials."
    )
    if found.rewarded.trials and found.other.trials:
        text += (
            f" Rewarded {found.rewarded.share:.1%} less other {found.other.share:.1%} is "
            f"{found.difference:+.1%}."
        )
    figures = [_rates(seen)]
    if len(counted) > 1:
        figures.append(_over_trials(seen, counted, responded))
    return Section("Performance", text, figures)


def _rates(seen: ReportData) -> Figure:
    rates = seen.performance.by_stimulus
    names = [name for name in seen.colours if name in rates]
    shares = np.array([rates[name].share for name in names])
    low, high = np.array([lick_metrics.interval(rates[name]) for name in names]).T
    counts = [f"{rates[name].responses} of {rates[name].trials}" for name in names]
    bars = {
        "type": "bar",
        "x": [f"{name}<br>{count}" for name, count in zip(names, counts, strict=True)],
        "y": plain(shares),
        "marker": {"color": [seen.colours[name] for name in names]},
        "error_y": {
            "type": "data",
            "array": plain(high - shares),
            "arrayminus": plain(shares - low),
            "color": "#33414e",
            "thickness": 1.2,
            "width": 5,
        },
        "hovertemplate": "%{y:.1%}<extra></extra>",
    }
    layout = {
        "yaxis": {"title": "trials with a response", "range": [0, 1.02], "tickformat": ".0%"},
        "bargap": 0.5,
    }
    return Figure("Response rate, with its 95 % interval", [bars], layout)


def _over_trials(seen: ReportData, counted: pd.DataFrame, responded: NDArray[np.bool_]) -> Figure:
    traces = []
    for name, colour in seen.colours.items():
        mine = (counted.stimulus == name).to_numpy()
        share = lick_metrics.running_share(responded[mine], _WINDOW)
        traces.append(line(counted.trial[mine], share, colour, name=name, width=2.2))
    layout = {
        "showlegend": True,
        "margin": {"t": 30},
        "xaxis": {"title": "trial"},
        "yaxis": {"title": "response rate", "range": [-0.02, 1.02], "tickformat": ".0%"},
    }
    return Figure(f"Over the session: the last {_WINDOW} trials of each corridor", traces, layout)


def water(seen: ReportData) -> Section | None:
    """Show the water over time, and what of it was given by hand."""
    drops = seen.session.rewards
    before_ul = float(seen.session.settings.get("given_today_ul", 0.0))
    if not len(drops):
        return Section("Water", "The valve was never opened in this session.")
    total = drops.volume_ul.cumsum().to_numpy()
    minute = drops.t_s.to_numpy() / 60
    x = np.concatenate(([0.0], minute, [max(seen.minutes, minute[-1])]))
    y = np.concatenate(([0.0], total, total[-1:]))
    step = line(x, y, WATER, name="water", width=2.2, shape="hv", fill="tozeroy")
    manual = drops.manual.to_numpy(dtype=bool)
    by_hand = dots(minute[manual], total[manual], "#d1495b", "by hand", 8)
    layout = {
        "xaxis": {"title": "minutes", "range": [0, float(x[-1]) or 1.0]},
        "yaxis": {"title": "microlitres", "rangemode": "tozero"},
        "showlegend": bool(manual.any()),
        "margin": {"t": 30} if manual.any() else {},
    }
    rows = [["in trials", f"{(~manual).sum()}", f"{drops.volume_ul[~manual].sum():g} µl"]]
    if manual.any():
        rows.append(["by hand", f"{manual.sum()}", f"{drops.volume_ul[manual].sum():g} µl"])
    rows.append(["in this session", f"{len(drops)}", f"{total[-1]:g} µl"])
    if before_ul:
        rows.append(["that day before it", "", f"{before_ul:g} µl"])
    grid = Grid(["", "rewards", "water"], rows)
    return Section("Water", "", [Figure("", [step, by_hand], layout, 260, wide=True)], [grid])
