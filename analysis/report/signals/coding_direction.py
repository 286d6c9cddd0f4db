"""Coding directions in a report: projections by area and stimulus, and the similarity index.

The figures follow figures 2 and 3 of the study (Zhong et al., 2025).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.report.colours import DIM, GREY
from analysis.report.data import ReportData
from analysis.report.html import Figure, Grid, Section
from analysis.report.plots import band, dots
from analysis.session.learning_arrays import AREAS, LearningArrays
from analysis.session.lick_metrics import mean_and_error
from analysis.signals.coding_direction import BINS_BEFORE, TEXTURE_BINS
from analysis.signals.learning_job import FORMS
from analysis.signals.tuning import BINS

Floats = NDArray[np.float64]

_DIFFERENT = 1e-3
"""Smallest difference between the two forms of an index that is reported."""


def projections(data: ReportData) -> Section | None:
    """Show the projection on each coding direction by position, for each area and stimulus."""
    signals = data.learning
    if signals is None or not data.length_m or not signals.contrasts:
        return None
    why = [f" Undefined: {text}." for text in signals.undefined if text.startswith("coding")]
    figures = []
    for c in range(len(signals.contrasts)):
        areas = [a for a in range(len(AREAS)) if not np.isnan(signals.projections[c, a]).all()]
        limits = _range(data, signals, c) if areas else (0.0, 0.0)
        figures += [_by_position(data, signals, c, area, limits) for area in areas]
    if not figures:
        return Section("Coding direction", "No projection is defined." + "".join(why))
    text = (
        "Activity along the coding direction: cells that prefer the first stimulus minus cells "
        "that prefer the second (5 % each, selected in even trials); odd trials of these two "
        "stimuli and all trials of others, from 1 m before the corridor. Bands: standard error "
        "over trials."
    )
    text += "".join(why)
    return Section("Coding direction, projections", text, figures, columns=4)


def _range(data: ReportData, signals: LearningArrays, c: int) -> tuple[float, float]:
    """Return the range of the mean projections of a contrast, of all areas and stimuli."""
    means = [
        mean_and_error(signals.projections[c, area, _rows(data, signals, name)])[0]
        for area in range(len(AREAS))
        for name in data.colours
    ]
    low, high = float(np.nanmin(means, initial=0.0)), float(np.nanmax(means, initial=0.0))
    return low - 0.12 * (high - low), high + 0.12 * (high - low)


def _by_position(
    data: ReportData, signals: LearningArrays, c: int, area: int, limits: tuple[float, float]
) -> Figure:
    a, b = signals.contrasts[c]
    bin_m = data.length_m / BINS
    x = (np.arange(BINS_BEFORE + BINS) - BINS_BEFORE) * bin_m
    traces: list[Any] = []
    for name, colour in data.colours.items():
        values = signals.projections[c, area, _rows(data, signals, name)]
        if not np.isnan(values).all():
            mean, error = mean_and_error(values)
            traces += band(x, mean, error, colour, name)
    end_m = float(data.done.texture_m.max())
    shade = {"type": "rect", "yref": "paper", "y0": 0, "y1": 1, "line": {"width": 0}}
    shade |= {"fillcolor": GREY, "layer": "below"}
    layout = {
        "xaxis": {"title": "position, m", "range": [float(x[0]), data.length_m], "dtick": 2},
        "yaxis": {"title": "projection", "range": list(limits)},
        "showlegend": area == 0,
        "margin": {"t": 44, "l": 44, "r": 6},
        "shapes": [
            {**shade, "x0": float(x[0]), "x1": 0.0},
            {**shade, "x0": end_m, "x1": data.length_m},
        ],
    }
    return Figure(f"{a} - {b}, {AREAS[area]}", traces, layout, 270)


def _rows(data: ReportData, signals: LearningArrays, name: str) -> NDArray[np.bool_]:
    return (data.session.analysed_trials.stimulus == name).to_numpy()


def similarity(data: ReportData) -> Section | None:
    """Show the similarity index of each stimulus by area, and the projection of each trial."""
    signals = data.learning
    if signals is None or not signals.contrasts or np.isnan(signals.similarity).all():
        return None
    figures = []
    for c, (a, b) in enumerate(signals.contrasts):
        others = [n for n, name in enumerate(signals.stimuli) if name not in (a, b)]
        if others and not np.isnan(signals.similarity[c][:, others]).all():
            figures.append(_indices(data, signals, c, others))
        if not np.isnan(signals.projections[c]).all():
            figures.append(_trial_values(data, signals, c))
    text = (
        "Similarity index of a stimulus: 1 if it is represented like the first stimulus of the "
        "pair, -1 like the second. Dots: mean projection of each trial in the texture; bars: "
        "their mean."
    )
    differing = _other_form(signals)
    grids = [Grid(["pair", "area", "stimulus", *FORMS], differing)] if differing else []
    if differing:
        text += " The table lists where the two forms differ: where A has the lower projection."
    return Section("Similarity index", text, figures, grids=grids)


def _other_form(signals: LearningArrays) -> list[list[str]]:
    """Return the rows of a table of the indices whose two forms differ."""
    rows = []
    for c, pair in enumerate(signals.contrasts):
        for area, area_name in enumerate(AREAS):
            for n, name in enumerate(signals.stimuli):
                signed, absolute = signals.similarity[c, area, n]
                if name not in pair and abs(signed - absolute) > _DIFFERENT:
                    values = [f"{signed:+.2f}", f"{absolute:+.2f}"]
                    rows.append([" - ".join(pair), area_name, name, *values])
    return rows


def _indices(data: ReportData, signals: LearningArrays, c: int, others: list[int]) -> Figure:
    a, b = signals.contrasts[c]
    traces = []
    for place, n in enumerate(others):
        name = signals.stimuli[n]
        x = np.arange(len(AREAS)) + 0.14 * (place - (len(others) - 1) / 2)
        values = signals.similarity[c, :, n, FORMS.index("signed")]
        traces.append(dots(x, values, data.colours[name], name, 11))
    level = {"type": "line", "x0": -0.5, "x1": len(AREAS) - 0.5}
    layout = {
        "xaxis": _area_axis(),
        "yaxis": {"title": "similarity index, signed", "range": [-1.25, 1.25], "dtick": 0.5},
        "showlegend": True,
        "margin": {"t": 34},
        "shapes": [
            {**level, "y0": at, "y1": at, "line": {"color": DIM, "dash": "dot", "width": 1}}
            for at in (-1, 0, 1)
        ],
    }
    return Figure(f"{a} - {b}: 1 is like {a}, -1 like {b}", traces, layout, 290)


def _trial_values(data: ReportData, signals: LearningArrays, c: int) -> Figure:
    """Show the mean projection of each trial in the texture, by area and stimulus."""
    a, b = signals.contrasts[c]
    values = signals.projections[c][..., BINS_BEFORE:][..., TEXTURE_BINS].mean(axis=-1)
    traces: list[Any] = []
    step = 0.8 / max(1, len(data.colours))
    rng = np.random.default_rng(0)
    for place, (name, colour) in enumerate(data.colours.items()):
        own = values[:, _rows(data, signals, name)]
        if np.isnan(own).all():
            continue
        at = np.arange(len(AREAS)) + step * (place - (len(data.colours) - 1) / 2)
        spread = at[:, None] + 0.3 * step * rng.uniform(-1, 1, own.shape)
        traces.append({**dots(spread.ravel(), own.ravel(), colour, name, 4), "opacity": 0.5})
        means = mean_and_error(own.T)[0]
        bar = dots(at, means, "#111111", f"mean of {name}", 13, "line-ew-open")
        traces.append({**bar, "showlegend": False})
    layout = {
        "xaxis": _area_axis(),
        "yaxis": {"title": "projection, mean of the texture"},
        "showlegend": True,
        "margin": {"t": 34},
    }
    return Figure(f"{a} - {b}: projection of each trial", traces, layout, 290)


def _area_axis() -> dict[str, Any]:
    places = list(range(len(AREAS)))
    limits = [-0.5, places[-1] + 0.5]
    return {"title": "", "tickvals": places, "ticktext": list(AREAS), "range": limits}
