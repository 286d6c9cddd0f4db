"""Imaging in a report: selectivity, tuning by position, motion."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.cells.areas import ALL, GROUPS, NAMES
from analysis.report.cell_map import cell_maps, cells_of
from analysis.report.colours import AREAS, DATA, DIM
from analysis.report.data import ReportData
from analysis.report.html import Figure, Section
from analysis.report.plots import bars, line, plain, steps, with_gaps
from analysis.report.signals.density_map import density_map
from analysis.session.lick_metrics import Rate, interval
from analysis.session.offline_tuning import mean_tunings
from analysis.signals.selectivity import SIGNS, THRESHOLDS

Floats = NDArray[np.float64]

SELECTIVE = 0.3
"""Cells with |d'| of at least this are selective."""
_MOST_APART_MIN = 0.2
"""Frames farther apart than this are not connected, minutes; between them nothing was recorded."""
_MOST_ROWS = 1000
"""Largest number of rows of a heat map; of more cells, every second, third ... is shown."""
_Z_RANGE = (-1.0, 3.0)
"""Range of the colour scale of all tuning maps, in standard deviations."""


def selectivity(data: ReportData) -> Section | None:
    """Show the d' of all cells at the end, and the share of selective cells by area."""
    session = data.session
    if not len(session.decoded) or not session.d_prime.size:
        return None
    a, b = compared(data)
    why = str(session.decoded.undefined.iloc[-1])
    title = f"Selectivity, {a} against {b}"
    if why:
        return Section(title, f"d' is not defined for any cell: {why}.")
    d_prime = session.d_prime[-1].astype(np.float64)
    defined = d_prime[~np.isnan(d_prime)]
    text = (
        f"d' over all moving texture frames of the session; positive: {a}. It is defined for "
        f"{defined.size} of {d_prime.size} cells"
    )
    text += "." if defined.size == d_prime.size else "; the others never varied."
    if len(session.found):
        text += f" Cells were found during the session, from frame {session.found.frame.iloc[0]}."
    figures = [_histogram(defined), _by_area(data, d_prime), _by_threshold(data)]
    figures += cell_maps(data, d_prime, (a, b))
    for sign, name in ((1, a), (-1, b)):
        caption = f"Cells selective for {name}, % of the cells around each place"
        chosen = sign * np.nan_to_num(d_prime) >= SELECTIVE
        density = density_map(data, chosen, caption, _stimulus_colour(data, name))
        figures += [density] if density is not None else []
    return Section(title, text, figures)


def compared(data: ReportData) -> tuple[str, str]:
    """Return the two stimuli whose d' was computed."""
    return data.session.contrasts[0]


def _axes(x: str, y: str, *, legend: bool = False) -> dict[str, Any]:
    layout: dict[str, Any] = {"xaxis": {"title": x}, "yaxis": {"title": y}, "showlegend": legend}
    return {**layout, "margin": {"t": 30}} if legend else layout


def _histogram(d_prime: Floats) -> Figure:
    reach = max(1.0, float(np.abs(d_prime).max(initial=0.0)))
    half = int(np.clip(np.sqrt(d_prime.size), 6, 25))  # bins on either side of 0
    edges = np.linspace(-reach, reach, 2 * half + 1)
    counts, _ = np.histogram(d_prime, edges)
    limits = [
        {"type": "line", "x0": at, "x1": at, "y0": 0, "y1": 1, "yref": "paper",
         "line": {"color": DIM, "dash": "dot", "width": 1}}
        for at in (-SELECTIVE, SELECTIVE)
    ]  # fmt: skip
    layout = {**_axes("d'", "cells"), "shapes": limits}
    return Figure("d' of each cell; dotted: ±0.3", [steps(edges, counts, DATA, "cells")], layout)


def _by_area(data: ReportData, d_prime: Floats) -> Figure:
    """Show the fraction of each area's cells that prefer each stimulus, with 95 % intervals."""
    cells = cells_of(data, d_prime.size)
    area = np.full(d_prime.size, -1) if cells is None else cells.area
    members = {ALL: np.ones(d_prime.size, bool)}
    members |= {name: np.isin(area, ids) for name, ids in GROUPS.items()}
    members = {name: inside for name, inside in members.items() if inside.any()}
    labels = [f"{name}<br>n = {inside.sum()}" for name, inside in members.items()]
    traces = []
    for sign, name in zip((1, -1), compared(data), strict=True):
        chosen = sign * np.nan_to_num(d_prime) >= SELECTIVE
        rates = [
            Rate(int((chosen & inside).sum()), int(inside.sum())) for inside in members.values()
        ]
        low, high = 100 * np.array([interval(rate) for rate in rates]).T
        shares = np.array([100 * rate.share for rate in rates])
        traces.append(bars(labels, shares, low, high, _stimulus_colour(data, name), name))
    layout = {**_axes("", "% of the cells", legend=True), "barmode": "group", "bargap": 0.3}
    layout["yaxis"] |= {"rangemode": "tozero"}
    caption = "Selective cells (|d'| ≥ 0.3) by area, with 95 % confidence intervals"
    return Figure(caption, traces, layout, 300)


def _stimulus_colour(data: ReportData, name: str) -> str:
    return data.colours.get(name, DATA)


def _by_threshold(data: ReportData) -> Figure:
    shares = 100 * data.session.fractions[-1, :, SIGNS.index("both")].astype(np.float64)
    lines = [
        line(THRESHOLDS, share, AREAS[name][0], name=name, width=2.0, dash=AREAS[name][1])
        for name, share in zip(NAMES, shares, strict=True)
        if not np.isnan(share).all()
    ]
    layout = _axes("threshold of |d'|", "% of the cells", legend=True)
    layout["yaxis"] |= {"range": [0, 102]}
    return Figure("Selective cells by threshold and area", lines, layout, 300)


def tuning(data: ReportData) -> Section | None:
    """Show each selective cell's activity by position in every stimulus, cross-validated.

    Cells are sorted by their peak in the odd trials of the stimulus that they prefer. The figures
    show the mean of the even trials, so the order of the rows cannot come from noise.
    """
    session = data.session
    if not session.d_prime.size or not data.length_m:
        return None
    trials = session.analysed_trials
    is_odd = np.arange(len(trials)) % 2 == 1
    groups = {}
    for name in data.colours:
        mine = (trials.stimulus == name).to_numpy()
        groups[name, "odd"] = trials.trial[mine & is_odd].tolist()
        groups[name, "even"] = trials.trial[mine & ~is_odd].tolist()
    means = mean_tunings(session, groups)
    shown = [name for name in data.colours if groups[name, "even"]]
    figures = []
    for preferred, sign in zip(compared(data), (1, -1), strict=True):
        cells = np.flatnonzero(sign * np.nan_to_num(session.d_prime[-1]) >= SELECTIVE)
        if not cells.size or not groups.get((preferred, "odd")) or not shown:
            continue
        peaks = np.argmax(means[preferred, "odd"][:, cells], axis=0)
        order = cells[np.argsort(peaks, kind="stable")]
        order = order[:: max(1, -(-order.size // _MOST_ROWS))]
        scaled = _z_scored([means[name, "even"][:, order] for name in shown])
        for name, values in zip(shown, scaled, strict=True):
            caption = f"{cells.size} cells selective for {preferred}, in {name}"
            figures.append(_heat_map(data, values, name, caption))
    text = (
        "Mean activity of the even trials, interpolated by position; cells are sorted by their "
        "peak in the odd trials of the stimulus that they prefer (completed trials, counted from "
        "0). Each cell is z-scored over all positions of all stimuli shown."
    )
    few = [name for name in compared(data) if name in data.colours and not groups[name, "odd"]]
    if few:
        names = " or ".join(few)
        text += f" Not shown, as no odd trial was completed: cells that prefer {names}."
    columns = 3 if len(shown) > 2 else 2
    return Section("Tuning by position", text, figures, columns=columns) if figures else None


def _z_scored(means: list[Floats]) -> list[Floats]:
    """Z-score each cell (column) over the rows of all arrays together."""
    together = np.concatenate(means)
    deviation = together.std(axis=0)
    deviation = np.where(deviation > 0, deviation, 1.0)
    return [(mean - together.mean(axis=0)) / deviation for mean in means]


def _heat_map(data: ReportData, values: Floats, name: str, caption: str) -> Figure:
    heat = {
        "type": "heatmap",
        "x": plain((np.arange(60) + 0.5) * data.length_m / 60),
        "z": [np.round(row, 2).tolist() for row in values.T],
        "zmin": _Z_RANGE[0],
        "zmax": _Z_RANGE[1],
        "colorscale": "Viridis",
        "colorbar": {"title": {"text": "z", "side": "top"}, "thickness": 10, "len": 1.0},
    }
    layout = _axes("position, m", "cells")
    layout["yaxis"] |= {"autorange": "reversed"}
    height_px = int(min(460, max(200, 110 + 6 * values.shape[1])))
    return Figure(caption, [heat], layout, height_px, colour=data.colours[name])


def motion(data: ReportData) -> Section | None:
    """Show how far the brain moved, and how well it was registered."""
    decoded = data.session.decoded
    moved = [m for m in decoded.motion if m] if len(decoded) else []
    if not moved:
        return None
    minutes = decoded.t_s[decoded.motion.map(bool)].to_numpy() / 60
    strips = np.array(moved, np.float64)
    middle = np.median(strips, axis=1)
    down, right, likeness = (with_gaps(minutes, column, _MOST_APART_MIN) for column in middle.T)
    shifts = [
        line(*down, "#111111", name="down", width=1.2),
        line(*right, "#8a8f98", name="right", width=1.2),
    ]
    correlation = [line(*likeness, DIM, name="correlation", width=1.2)]
    axes = {"xaxis": {"title": "minutes"}, "yaxis": {"title": "", "range": [0, 1.04]}}
    figures = [
        Figure("Shift", shifts, _axes("minutes", "shift, px", legend=True)),
        Figure("Correlation with the reference (1: identical)", correlation, axes),
    ]
    far_px = np.hypot(middle[:, 0], middle[:, 1])
    strips_text = "1 strip" if strips.shape[1] == 1 else f"median of {strips.shape[1]} strips"
    text = (
        f"Shift of the brain against the reference image ({strips_text}): median "
        f"{np.median(far_px):.2f} px, maximum {far_px.max():.2f} px."
    )
    return Section("Motion", text, figures)
