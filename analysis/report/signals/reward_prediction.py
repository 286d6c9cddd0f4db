"""Reward prediction in a report: the population signal by position, from cue and from first lick.

The figures follow figure 4 of the study (Zhong et al., 2025).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.cells.areas import NAMES, groups_of
from analysis.report.cell_map import cells_of
from analysis.report.colours import CUE, DATA, DIM, GREY
from analysis.report.data import ReportData
from analysis.report.html import Figure, Section
from analysis.report.plots import band, bars, dots, line, plain
from analysis.report.signals.density_map import density_map
from analysis.session.learning_arrays import LearningArrays
from analysis.session.lick_metrics import (
    AROUND_S,
    Rate,
    interval,
    mean_and_error,
    rate_around,
)
from analysis.signals.reward_prediction import WINDOW, predicts_reward

Floats = NDArray[np.float64]
Chosen = NDArray[np.bool_]

_LATE_LICK_M = 2.0
"""Smallest position (m) of a first lick to which trials are aligned, as in the study."""
_IN_TEXTURE = slice(0, 40)
_LICK_BINS = 5
"""Number of 100 ms bins over which the lick rate around an event is averaged."""


def reward_prediction(data: ReportData) -> Section | None:
    """Show the population signal of reward prediction, and how many cells predict the reward."""
    signals = data.learning
    if signals is None or not data.length_m:
        return None
    why = [text for text in signals.undefined if text.startswith(("reward", "population"))]
    if np.isnan(signals.ramp_by_position).all():
        reason = "; ".join(why) or "no cell is in the population"
        return Section("Reward prediction", f"The signal is not defined: {reason}.")
    text = (
        "Mean z-scored activity of the anterior cells whose activity differs most between trials "
        "with a late and with an early cue (the top 5 %), selected in nine tenths of the trials "
        "and shown in the others. Bands: standard error over trials. "
        + " ".join(f"{one}." for one in why)
    )
    figures = [
        _by_position(data, signals),
        _by_area(data, signals),
        _around_cue(data, signals),
        _around_lick(data, signals),
        _by_lick(data, signals),
    ]
    chosen = predicts_reward(signals.late_early, data.session.d_prime[-1].astype(np.float64))
    caption = "Reward-prediction cells, % of the cells around each place"
    density = density_map(data, chosen, caption, "#3b0f70")
    figures += [density] if density is not None else []
    return Section("Reward prediction", text, figures)


def reward_prediction_trials(data: ReportData) -> Section | None:
    """Show the population signal of every trial, sorted by the position of its cue."""
    signals = data.learning
    if signals is None or not data.length_m or np.isnan(signals.ramp_by_position).all():
        return None
    high = float(np.nanpercentile(signals.ramp_by_position, 98))
    figures = [_trials(data, signals, name, max(high, 0.1)) for name in data.colours]
    text = "A row per trial, sorted by the position of the cue (dots); dashed: end of the texture."
    columns = min(4, max(2, len(figures)))
    return Section("Reward prediction, trial by trial", text, figures, columns=columns)


def _own(data: ReportData, signals: LearningArrays, name: str) -> Chosen:
    """Return a mask of the completed trials of a stimulus: (trials,)."""
    return (data.session.analysed_trials.stimulus == name).to_numpy()


def _bands(data: ReportData, x: Any, values: Floats, rows: dict[str, Chosen]) -> list[Any]:
    """Return a band for each stimulus that has defined values."""
    traces: list[Any] = []
    for name, own in rows.items():
        defined = values[own & ~np.isnan(values).all(axis=1)]
        if len(defined):
            mean, error = mean_and_error(defined)
            label = f"{name} (n = {len(defined)})"
            traces += band(x, mean, error, data.colours[name], label)
    return traces


def _by_position(data: ReportData, signals: LearningArrays) -> Figure:
    rows = {name: _own(data, signals, name) for name in data.colours}
    traces = _bands(data, centres(data), signals.ramp_by_position, rows)
    layout = {
        **_layout("position, m", "activity, z"),
        "shapes": grey_space(data),
    }
    return Figure("By position", traces, layout, 300)


def _around_cue(data: ReportData, signals: LearningArrays) -> Figure:
    rows = {name: _own(data, signals, name) for name in data.colours}
    times_s = data.session.analysed_trials.cue_s.to_numpy()
    return _around(data, signals.ramp_from_cue, rows, times_s, "From the cue", "the cue")


def _around_lick(data: ReportData, signals: LearningArrays) -> Figure:
    trials = data.session.analysed_trials
    late = (trials.first_lick_position_m >= _LATE_LICK_M).to_numpy()
    rows = {name: _own(data, signals, name) & late for name in data.colours}
    caption = f"From the first lick, where it is at {_LATE_LICK_M:g} m or beyond"
    return _around(
        data,
        signals.ramp_from_lick,
        rows,
        trials.first_lick_s.to_numpy(),
        caption,
        "the first lick",
    )


def _around(
    data: ReportData,
    values: Floats,
    rows: dict[str, Chosen],
    times_s: Floats,
    caption: str,
    event: str,
) -> Figure:
    """Show the signal around an event, and the lick rate in rewarded trials."""
    x = np.arange(*WINDOW) * frame_period_s(data)
    traces = _bands(data, x, values, rows)
    rewarded = data.session.analysed_trials.rewarded.to_numpy(dtype=bool)
    shown = np.any([own & rewarded for own in rows.values()], axis=0)
    events_s = times_s[shown & ~np.isnan(times_s)]
    layout = _layout(f"seconds from {event}", "activity, z")
    layout["shapes"] = [
        {"type": "line", "x0": 0, "x1": 0, "y0": 0, "y1": 1, "yref": "paper",
         "line": {"color": DIM, "dash": "dot", "width": 1}}
    ]  # fmt: skip
    if events_s.size:
        rates = rate_around(events_s, data.session.licks.t_s.to_numpy()).mean(axis=0)
        rate, at_s = (v.reshape(-1, _LICK_BINS).mean(axis=1) for v in (rates, AROUND_S))
        licks = line(at_s, rate, DIM, name="licks, rewarded", width=1.4, dash="dot")
        traces.append({**licks, "yaxis": "y2"})
        layout["yaxis2"] = {
            "title": "licks per second",
            "overlaying": "y",
            "side": "right",
            "rangemode": "tozero",
            "showgrid": False,
            "tickmode": "auto",
        }
        layout["margin"] = {"t": 30, "r": 46}
    return Figure(caption, traces, layout, 300)


def _by_lick(data: ReportData, signals: LearningArrays) -> Figure:
    """Show each trial's mean signal in the texture, without and with licks there."""
    values = signals.ramp_by_position[:, _IN_TEXTURE].mean(axis=1)
    traces: list[Any] = []
    labels: list[str] = []
    for name, colour in data.colours.items():
        for with_lick, word in ((False, "no lick"), (True, "lick")):
            own = values[_own(data, signals, name) & (signals.licked == with_lick)]
            own = own[~np.isnan(own)]
            if not own.size:
                continue
            place = len(labels)
            labels.append(f"{name}<br>{word}<br>n = {own.size}")
            jitter = 0.25 * np.random.default_rng(0).uniform(-1, 1, own.size)
            traces.append({**dots(place + jitter, own, colour, name, 4), "opacity": 0.45})
            mean, error = mean_and_error(own[:, None])
            traces.append(_mean_mark(place, float(mean[0]), float(np.nan_to_num(error)[0])))
    layout = _layout("", "activity, z")
    layout["showlegend"] = False
    layout["margin"] = {"t": 10}
    layout["xaxis"] |= {"tickvals": list(range(len(labels))), "ticktext": labels, "tickangle": 0}
    caption = "Mean over the texture, in trials without and with a lick there"
    return Figure(caption, traces, layout, 320, wide=True)


def _mean_mark(place: float, mean: float, error: float) -> dict[str, Any]:
    return {
        **dots([place], [mean], CUE, "mean", 9, "line-ew-open"),
        "error_y": {"type": "data", "array": [error], "color": CUE, "thickness": 1.5, "width": 4},
    }


def _by_area(data: ReportData, signals: LearningArrays) -> Figure:
    """Show the fraction of reward-prediction cells in each group of areas."""
    cells = cells_of(data, signals.late_early.size)
    shown = [n for n, share in enumerate(signals.predicting) if not np.isnan(share)]
    shares = 100 * signals.predicting[shown]
    labels, low, high = [], [], []
    for n, share in zip(shown, signals.predicting[shown], strict=True):
        count = 0 if cells is None else int(_inside(groups_of(cells.area), n).sum())
        labels.append(f"{NAMES[n]}<br>n = {count}" if count else NAMES[n])
        bounds = interval(Rate(round(share * count), count)) if count else (share, share)
        low.append(100 * bounds[0])
        high.append(100 * bounds[1])
    traces = [bars(labels, shares, np.array(low), np.array(high), DATA, "cells")]
    layout = {"xaxis": {"title": ""}, "yaxis": {"title": "% of the cells", "rangemode": "tozero"}}
    caption = "Reward-prediction cells (d' late against early ≥ 0.3, stimulus d' ≥ 0)"
    return Figure(caption, traces, layout, 320)


def _inside(groups: NDArray[np.uint8], number: int) -> Chosen:
    """Return a mask of the cells in group `number` of NAMES; group 0 is all cells: (cells,)."""
    return np.asarray((groups == number) | (number == 0))


def _trials(data: ReportData, signals: LearningArrays, name: str, high: float) -> Figure:
    trials = data.session.analysed_trials.reset_index(drop=True)
    trials = trials[trials.stimulus == name].sort_values("cue_position_m", kind="stable")
    heat = {
        "type": "heatmap",
        "x": plain(centres(data)),
        "z": [plain(row) for row in signals.ramp_by_position[trials.index.to_numpy()]],
        "zmin": 0.0,
        "zmax": high,
        "colorscale": "Greys",
        "reversescale": True,
        "showscale": False,
    }
    cues = dots(trials.cue_position_m, np.arange(len(trials)), "#b5129f", "cue", 4)
    layout = {
        "xaxis": {"title": "position, m", "range": [0, data.length_m], "showgrid": False},
        "yaxis": {"title": "trials", "autorange": "reversed", "showgrid": False},
        "shapes": [texture_end(data)],
    }
    caption = f"{name} ({len(trials)} trials)"
    return Figure(caption, [heat, cues], layout, 260, colour=data.colours[name])


def _layout(x: str, y: str) -> dict[str, Any]:
    return {
        "xaxis": {"title": x},
        "yaxis": {"title": y},
        "showlegend": True,
        "margin": {"t": 30},
    }


def centres(data: ReportData) -> Floats:
    """Return the positions of the 60 bins, m."""
    return np.arange(60) * data.length_m / 60


def frame_period_s(data: ReportData) -> float:
    """Return the time between analysed frames, s."""
    return float(np.median(np.diff(data.session.decoded.t_s.to_numpy())))


def texture_end(data: ReportData) -> dict[str, Any]:
    """Return a dashed line at the end of the texture."""
    at = float(data.done.texture_m.max())
    return {"type": "line", "x0": at, "x1": at, "y0": 0, "y1": 1, "yref": "paper",
            "line": {"color": DIM, "dash": "dash", "width": 1}}  # fmt: skip


def grey_space(data: ReportData) -> list[dict[str, Any]]:
    """Return the shading of the grey space."""
    return [
        {"type": "rect", "x0": float(data.done.texture_m.max()), "x1": data.length_m, "y0": 0,
         "y1": 1, "yref": "paper", "fillcolor": GREY, "line": {"width": 0}, "layer": "below"}
    ]  # fmt: skip
