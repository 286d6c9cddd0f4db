"""Sequences in a report: whether cells peak in the same order in other stimuli.

The figures follow figure 2 of the study (Zhong et al., 2025).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.report.colours import AREAS as AREA_COLOURS
from analysis.report.colours import DATA, DIM
from analysis.report.data import ReportData
from analysis.report.html import Figure, Grid, Section
from analysis.report.plots import dots, plain
from analysis.report.signals.reward_prediction import texture_end
from analysis.session.learning_arrays import AREAS, LearningArrays
from analysis.session.offline_tuning import mean_tunings
from analysis.signals.coding_direction import TEXTURE_BINS
from analysis.signals.sequence import is_swap, unswapped

Floats = NDArray[np.float64]

_Z_RANGE = (-0.5, 2.5)
_BIN_M = 0.1
_SYMBOLS = {"V1": "circle", "medial": "square", "lateral": "diamond", "anterior": "triangle-up"}
_MOST_ROWS = 400
"""Largest number of cells in a heat map; of more, every second, third ... is drawn."""


def sequences(data: ReportData) -> Section | None:
    """Show the cells that prefer A of each contrast's first stimulus, sorted by their peaks."""
    signals = data.learning
    if signals is None or not data.length_m or not signals.contrasts:
        return None
    a, b = signals.contrasts[0]
    groups = _groups(data, a)
    cells = np.array(sorted({cell for own in signals.top[: len(AREAS)] for cell in own}), int)
    if cells.size < 2 or not groups["first half"] or not groups["second half"]:
        return None
    means = {name: rows[:, cells] for name, rows in mean_tunings(data.session, groups).items()}
    means = {name: rows for name, rows in means.items() if not np.isnan(rows).all()}
    peaks = {name: np.argmax(rows[TEXTURE_BINS], axis=0) for name, rows in means.items()}
    order = np.argsort(peaks["first half"], kind="stable")
    figures = [_heat_map(data, rows[:, order], name, a) for name, rows in _z_scored(means).items()]
    columns = len(figures)
    for name in [name for name in means if is_swap(name, a)]:
        rows = unswapped(means[name][TEXTURE_BINS], name, a)
        peaks[f"{name} unswapped"] = np.argmax(rows, axis=0)
    figures.append(_correlations(signals))
    figures += [_peaks(data, peaks, name, a) for name in peaks if name != "first half"]
    text = (
        f"The 5 % of cells of each area that prefer {a} over {b} most (selected in even trials), "
        f"all areas together. Odd trials of {a} are halved; cells are sorted by their peak in the "
        "first half. The table has the correlation of the peaks with those of the first half, by "
        f"area; unswapped: the parts of a swapped texture in the order of {a}."
    )
    return Section("Sequences", text, figures, grids=_grids(signals), columns=columns)


def _groups(data: ReportData, a: str) -> dict[str, list[int]]:
    """Return the trials of each set: the two halves of the odd trials of A, other stimuli."""
    trials = data.session.analysed_trials
    is_odd = np.arange(len(trials)) % 2 == 1
    odd = trials.trial[is_odd & (trials.stimulus == a).to_numpy()].tolist()
    others = [name for name in data.colours if name != a]
    return {
        "first half": odd[0::2],
        "second half": odd[1::2],
        **{name: trials.trial[trials.stimulus == name].tolist() for name in others},
    }


def _z_scored(means: dict[str, Floats]) -> dict[str, Floats]:
    """Z-score each cell (column) over the rows of all sets together."""
    together = np.concatenate(list(means.values()))
    sd = together.std(axis=0)
    sd = np.where(sd > 0, sd, 1.0)
    return {name: (rows - together.mean(axis=0)) / sd for name, rows in means.items()}


def _heat_map(data: ReportData, values: Floats, name: str, a: str) -> Figure:
    shown = values[:, :: max(1, -(-values.shape[1] // _MOST_ROWS))]
    heat = {
        "type": "heatmap",
        "x": plain(np.arange(len(values)) * data.length_m / len(values)),
        "z": [np.round(row, 2).tolist() for row in shown.T],
        "zmin": _Z_RANGE[0],
        "zmax": _Z_RANGE[1],
        "colorscale": "Greys",
        "reversescale": True,
        "showscale": False,
    }
    layout = {
        "xaxis": {"title": "position, m", "showgrid": False, "dtick": 2},
        "yaxis": {"title": "cells", "autorange": "reversed", "showgrid": False},
        "margin": {"l": 44, "r": 6},
        "shapes": [texture_end(data)],
    }
    caption = f"{a}, {name}" if name.endswith("half") else name
    colour = data.colours[a if name.endswith("half") else name]
    return Figure(caption, [heat], layout, 260, colour=colour)


def _peaks(data: ReportData, peaks: dict[str, NDArray[np.intp]], name: str, a: str) -> Figure:
    """Show the peak of each cell against that in the first half."""
    rng = np.random.default_rng(0)
    first, other = peaks["first half"], peaks[name]
    x, y = (_BIN_M * (bins + rng.uniform(-0.4, 0.4, bins.size)) for bins in (first, other))
    end_m = float(data.done.texture_m.max())
    stimulus = a if name.endswith("half") else name.removesuffix(" unswapped")
    colour = data.colours.get(stimulus, DATA)
    axis: dict[str, Any] = {"range": [-0.1, end_m + 0.1], "dtick": 1}
    layout = {
        "xaxis": {**axis, "title": f"peak in {a}, m"},
        "yaxis": {**axis, "title": "peak, m"},
        "margin": {"l": 44, "r": 6},
        "shapes": [
            {"type": "line", "x0": 0, "y0": 0, "x1": end_m, "y1": end_m,
             "line": {"color": DIM, "dash": "dot", "width": 1}}
        ],
    }  # fmt: skip
    r = np.corrcoef(first, other)[0, 1] if first.std() > 0 and other.std() > 0 else np.nan
    return Figure(f"{name}: r = {r:.2f}", [dots(x, y, colour, name, 4)], layout, 260, colour=colour)


def _correlations(signals: LearningArrays) -> Figure:
    """Show the sequence similarity of the first contrast by area."""
    names = signals.comparisons[0]
    traces = []
    for area, values in zip(AREAS, signals.sequence[0], strict=True):
        colour, symbol = AREA_COLOURS[area][0], _SYMBOLS[area]
        traces.append(dots(np.arange(len(names)), values, colour, area, 8, symbol))
    layout = {
        "xaxis": {
            "title": "",
            "tickvals": list(range(len(names))),
            "ticktext": list(names),
            "range": [-0.5, len(names) - 0.5],
        },
        "yaxis": {"title": "r with the first half", "range": [-1.05, 1.05]},
        "showlegend": True,
        "margin": {"t": 30},
    }
    pair = " - ".join(signals.contrasts[0])
    return Figure(f"Correlation of the peaks by area, {pair}", traces, layout, 260, wide=True)


def _grids(signals: LearningArrays) -> list[Grid]:
    """Return the sequence similarity by area, a table for each contrast."""
    grids = []
    for pair, names, values in zip(
        signals.contrasts, signals.comparisons, signals.sequence, strict=True
    ):
        rows = [
            [area, *("-" if np.isnan(v) else f"{v:.2f}" for v in own)]
            for area, own in zip(AREAS, values, strict=True)
        ]
        grids.append(Grid([f"cells of {pair[0]} - {pair[1]}", *names], rows))
    return grids
