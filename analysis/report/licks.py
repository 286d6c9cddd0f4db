"""Licks and speed in a report: rasters, licks around cue and water, first licks, speed."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.report.colours import CUE, DIM, GREY, LICK, WATER
from analysis.report.data import ReportData
from analysis.report.html import Figure, Section
from analysis.report.plots import band, dots, line, separate, steps
from analysis.session import lick_metrics

_FIRST_LICK_BIN_M = 0.2
_MOST_LABELS = 8
"""Labels on the trial axis of a raster."""


def rasters(data: ReportData) -> Section | None:
    """Show every lick of every corridor by position, sorted by time and by cue position."""
    names = [name for name in data.colours if len(data.of(name))]
    if not names:
        return None
    columns = 3 if len(names) > 2 else 2
    figures = [_raster(data, name, data.of(name), "sorted by time") for name in names]
    for name in names:
        trials = data.of(name).dropna(subset="cue_position_m").sort_values("cue_position_m")
        if len(trials):
            figures.append(_raster(data, name, trials, "sorted by cue position"))
    text = (
        "One row per trial, one tick per lick; black triangle: cue, green dot: water; shaded: grey "
        "space. Trials have the numbers of the log, which start at 0 and include aborted trials."
    )
    figures.append(_lick_density(data, names))
    return Section("Licks by position", text, figures, columns=columns)


def _raster(data: ReportData, name: str, trials: pd.DataFrame, order: str) -> Figure:
    row = pd.Series(np.arange(len(trials)), index=trials.trial.to_numpy())
    licks = data.licks[data.licks.trial.isin(row.index)]
    at = licks.trial.map(row).to_numpy(dtype=np.float64)
    ticks = separate(licks.position_m, licks.position_m)
    drops = data.session.rewards
    drops = drops[drops.trial.isin(row.index)]
    cue_size = 5 if len(trials) < 120 else 3
    traces = [
        line(ticks, separate(at - 0.42, at + 0.42), LICK, name="lick", width=1.1),
        dots(trials.cue_position_m, row, CUE, "cue", cue_size + 1, "triangle-down"),
        dots(drops.position_m, drops.trial.map(row), WATER, "water", cue_size),
    ]
    labelled = row.iloc[:: max(1, -(-len(row) // _MOST_LABELS))]
    layout = {
        "xaxis": {"title": "position, m", "range": [0, data.length_m], "showgrid": False},
        "yaxis": {
            "title": "trial",
            "range": [len(trials) - 0.4, -0.6],
            "showgrid": False,
            "tickvals": labelled.tolist(),
            "ticktext": [str(trial) for trial in labelled.index],
        },
        "shapes": _grey(data),
    }
    height_px = int(min(760, max(190, 110 + 3.2 * len(trials))))
    plural = "" if len(trials) == 1 else "s"
    caption = f"{name}, {order} ({len(trials)} trial{plural})"
    return Figure(caption, traces, layout, height_px, colour=data.colours[name])


def _lick_density(data: ReportData, names: list[str]) -> Figure:
    traces = []
    for name in names:
        trials = data.of(name)
        places = data.licks.position_m[data.licks.trial.isin(trials.trial)].to_numpy()
        rate = lick_metrics.by_position(places, len(trials), lick_metrics.edges(data.length_m))
        traces.append(line(_centres(data), rate, data.colours[name], name=name, width=2.2))
    layout = _position_layout(data, "licks per trial and 10 cm")
    return Figure("Mean over the trials of each stimulus", traces, layout, 260, wide=True)


def aligned_licks(data: ReportData) -> Section | None:
    """Show the lick rate around the cue and around the water."""
    drops = data.session.rewards
    earned = drops[~drops.manual.astype(bool)].drop_duplicates("trial").set_index("trial").t_s
    figures = []
    for what, events in (
        ("cue", data.done.set_index("trial").cue_s),
        ("water", data.done.trial.map(earned).set_axis(data.done.trial)),
    ):
        traces = []
        for name, colour in data.colours.items():
            times_s = events[data.of(name).trial].dropna().to_numpy()
            if times_s.size:
                rates = lick_metrics.rate_around(times_s, data.session.licks.t_s.to_numpy())
                mean, error = lick_metrics.mean_and_error(rates)
                label = f"{name} (n = {times_s.size})"
                traces += band(lick_metrics.AROUND_S, mean, error, colour, label)
        if traces:
            figures.append(Figure(f"Around the {what}", traces, _time_layout(what)))
    text = "Mean over completed trials with its standard error, in bins of 100 ms."
    return Section("Lick rate around cue and water", text, figures) if figures else None


def _time_layout(what: str) -> dict[str, Any]:
    zero = {"type": "line", "x0": 0, "x1": 0, "y0": 0, "y1": 1, "yref": "paper"}
    return {
        "showlegend": True,
        "margin": {"t": 30},
        "xaxis": {"title": f"seconds from the {what}"},
        "yaxis": {"title": "licks per second", "rangemode": "tozero"},
        "shapes": [{**zero, "line": {"color": DIM, "dash": "dot", "width": 1}}],
    }


def first_licks(data: ReportData) -> Section | None:
    """Show where the first lick of each trial was, and how long after the cue."""
    if not len(data.licks):
        return None
    where, when = [], []
    for name, colour in data.colours.items():
        trials = data.of(name)
        places = lick_metrics.first_licks(trials, data.licks)
        edges_m = lick_metrics.edges(data.length_m, _FIRST_LICK_BIN_M)
        share = lick_metrics.by_position(places, len(trials), edges_m)
        where.append(steps(edges_m, share, colour, name))
        after_s = lick_metrics.after_cue(trials, data.licks)
        if not np.isnan(after_s).all():
            grid = np.arange(0, 3.01, 0.1)
            counts, _ = np.histogram(after_s[~np.isnan(after_s)], grid)
            when.append(steps(grid, counts / len(trials), colour, name))
    layout = _position_layout(data, "trials")
    layout["yaxis"]["tickformat"] = ".0%"
    figures = [Figure("First lick of a trial, by position", where, layout)]
    if when:
        layout = {
            "showlegend": True,
            "margin": {"t": 30},
            "xaxis": {"title": "seconds after the cue", "range": [0, 3]},
            "yaxis": {"title": "trials", "tickformat": ".0%", "rangemode": "tozero"},
        }
        figures.append(Figure("First lick after the cue, by time", when, layout))
    return Section("First licks", _without_licks(data), figures)


def _without_licks(data: ReportData) -> str:
    parts = []
    for name in data.colours:
        trials = data.of(name)
        none = int(np.isnan(lick_metrics.first_licks(trials, data.licks)).sum())
        parts.append(f"{name} {none} of {len(trials)}")
    return f"Trials without a lick: {', '.join(parts)}."


def speed(data: ReportData) -> Section | None:
    """Show how fast the mouse ran at each position of each corridor."""
    if not data.colours:
        return None
    traces: list[dict[str, Any]] = []
    for name, colour in data.colours.items():
        trials = data.run[data.run.stimulus == name]
        speeds = lick_metrics.speed_by_position(data.session.position, trials, data.length_m)
        mean, error = lick_metrics.mean_and_error(speeds)
        traces += band(_centres(data), mean, error, colour, f"{name} (n = {len(trials)})")
    layout = _position_layout(data, "speed, cm/s")
    figure = Figure("", traces, layout, 300, wide=True)
    text = (
        "Mean over trials with its standard error, in bins of 10 cm. A trial that was cut off by "
        "the end of the session is included up to its last position."
    )
    return Section("Speed by position", text, [figure])


def _position_layout(data: ReportData, what: str) -> dict[str, Any]:
    return {
        "showlegend": True,
        "margin": {"t": 30},
        "xaxis": {"title": "position, m", "range": [0, data.length_m]},
        "yaxis": {"title": what, "rangemode": "tozero"},
        "shapes": _grey(data),
    }


def _grey(data: ReportData) -> list[dict[str, Any]]:
    """Return the shading of the space beyond the longest texture, where all corridors are grey."""
    begins_m = float(data.run.texture_m.max())
    shade = {"type": "rect", "yref": "paper", "y0": 0, "y1": 1, "line": {"width": 0}}
    return [{**shade, "x0": begins_m, "x1": data.length_m, "fillcolor": GREY, "layer": "below"}]


def _centres(data: ReportData) -> NDArray[np.float64]:
    return lick_metrics.edges(data.length_m)[:-1] + lick_metrics.BIN_M / 2
