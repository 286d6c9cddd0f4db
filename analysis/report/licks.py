"""Licks and speed by position in a report: rasters, first licks, and how fast the mouse ran."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.report.data import ReportData
from analysis.report.html import CUE, GREY, WATER, Figure, Section
from analysis.report.plots import band, broken, dots, line, steps
from analysis.session import lick_metrics

_FIRST_LICK_BIN_M = 0.2


def rasters(seen: ReportData) -> Section | None:
    """Show every lick of every corridor by position, in order of time and of the cue."""
    if not seen.colours:
        return None
    columns = 3 if len(seen.colours) > 2 else 2
    figures = []
    for name, colour in seen.colours.items():
        caption = f"{name}, in order of time"
        figures.append(_raster(seen, seen.of(name), caption, colour))
    for name, colour in seen.colours.items():
        trials = seen.of(name).dropna(subset="cue_position_m").sort_values("cue_position_m")
        if len(trials):
            figures.append(_raster(seen, trials, f"{name}, in order of the cue", colour))
    text = "A row a trial, a tick a lick; amber: the cue, blue: water. Shaded: the grey space."
    figures += [_lick_density(seen)]
    return Section("Licks by position", text, figures, columns=columns)


def _raster(seen: ReportData, trials: pd.DataFrame, caption: str, colour: str) -> Figure:
    row = pd.Series(np.arange(1, len(trials) + 1), index=trials.trial.to_numpy())
    licks = seen.licks[seen.licks.trial.isin(row.index)]
    at = licks.trial.map(row).to_numpy(dtype=np.float64)
    traces = [line(broken(licks.position_m, licks.position_m), broken(at - 0.42, at + 0.42),
                    "#2b3946", width=1.1)]  # fmt: skip
    drops = seen.session.rewards
    drops = drops[drops.trial.isin(row.index)]
    places = trials.cue_position_m.to_numpy()
    traces.append(dots(places, row.to_numpy(), CUE, "cue", 5))
    traces.append(dots(drops.position_m, drops.trial.map(row), WATER, "water", 5))
    layout = {
        "xaxis": {"title": "position, m", "range": [0, seen.length_m], "showgrid": False},
        "yaxis": {"title": "trial", "range": [len(trials) + 0.6, 0.4], "showgrid": False},
        "shapes": _grey(seen),
    }
    height_px = int(min(760, max(190, 110 + 3.2 * len(trials))))
    return Figure(f"{caption} ({len(trials)})", traces, layout, height_px, colour=colour)


def _lick_density(seen: ReportData) -> Figure:
    traces = []
    for name, colour in seen.colours.items():
        trials = seen.of(name)
        places = seen.licks.position_m[seen.licks.trial.isin(trials.trial)].to_numpy()
        rate = lick_metrics.by_position(places, len(trials), lick_metrics.edges(seen.length_m))
        traces.append(line(_centres(seen), rate, colour, name=name, width=2.2))
    layout = _placed_layout(seen, "licks a trial and 10 cm")
    return Figure("Mean of each corridor", traces, layout, 260, wide=True)


def first_licks(seen: ReportData) -> Section | None:
    """Show where the first lick of each trial was, and how long after the cue one came."""
    if not len(seen.licks):
        return None
    where, when = [], []
    for name, colour in seen.colours.items():
        trials = seen.of(name)
        places = lick_metrics.first_licks(trials, seen.licks)
        edges_m = lick_metrics.edges(seen.length_m, _FIRST_LICK_BIN_M)
        share = lick_metrics.by_position(places, len(trials), edges_m)
        where.append(steps(edges_m, share, colour, name))
        after_s = lick_metrics.after_cue(trials, seen.licks)
        if not np.isnan(after_s).all():
            grid = np.arange(0, 3.01, 0.1)
            counts, _ = np.histogram(after_s[~np.isnan(after_s)], grid)
            when.append(steps(grid, counts / len(trials), colour, name))
    layout = _placed_layout(seen, "trials")
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
    return Section("First licks", _without(seen), figures)


def _without(seen: ReportData) -> str:
    parts = []
    for name in seen.colours:
        trials = seen.of(name)
        none = int(np.isnan(lick_metrics.first_licks(trials, seen.licks)).sum())
        parts.append(f"{name}: {none} of {len(trials)} trials without any lick")
    return "; ".join(parts) + "."


def speed(seen: ReportData) -> Section | None:
    """Show how fast the mouse ran at each place of each corridor."""
    if not seen.colours:
        return None
    traces: list[dict[str, Any]] = []
    for name, colour in seen.colours.items():
        trials = seen.of(name)
        speeds = lick_metrics.speed_by_position(seen.session.position, trials, seen.length_m)
        mean, error = lick_metrics.mean_and_error(speeds)
        traces += band(_centres(seen), mean, error, colour, name)
    layout = _placed_layout(seen, "speed, cm/s")
    layout["yaxis"]["rangemode"] = "tozero"
    figure = Figure("", traces, layout, 300, wide=True)
    text = "Mean over trials, and its standard error; of a trial, the mean over time in 10 cm."
    return Section("Speed by position", text, [figure])


def _placed_layout(seen: ReportData, what: str) -> dict[str, Any]:
    return {
        "showlegend": True,
        "margin": {"t": 30},
        "xaxis": {"title": "position, m", "range": [0, seen.length_m]},
        "yaxis": {"title": what, "rangemode": "tozero"},
        "shapes": _grey(seen),
    }


def _grey(seen: ReportData) -> list[dict[str, Any]]:
    """Return the shade of the grey space, where all corridors have one."""
    begins_m = float(seen.done.texture_m.max())
    shade = {"type": "rect", "yref": "paper", "y0": 0, "y1": 1, "line": {"width": 0}}
    return [{**shade, "x0": begins_m, "x1": seen.length_m, "fillcolor": GREY, "layer": "below"}]


def _centres(seen: ReportData) -> NDArray[np.float64]:
    return lick_metrics.edges(seen.length_m)[:-1] + lick_metrics.BIN_M / 2
