"""Imaging in a report: selectivity, where its cells lie, tuning by position, motion."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.cells.areas import NAMES, groups_of
from analysis.cells.model import Cells
from analysis.report.data import ReportData
from analysis.report.html import COLOURS, DIM, Figure, Section
from analysis.report.plots import line, plain, steps
from analysis.session.offline_tuning import imaged_cells, mean_tuning
from analysis.signals.selectivity import SIGNS, THRESHOLDS

Floats = NDArray[np.float64]

_A, _B = COLOURS[0], COLOURS[1]
_MOST_CELLS = 3000
"""So many cells are drawn one by one at most: a page must open."""


def selectivity(seen: ReportData) -> Section | None:
    """Show the d' of all cells at the end, and how many are selective, by area."""
    session = seen.session
    if not len(session.decoded):
        return None
    a, b = _stimuli(seen)
    why = str(session.decoded.undefined.iloc[-1])
    title = f"Selectivity, {a} against {b}"
    if why:
        return Section(title, f"d' is not defined for any cell: {why}.")
    d_prime = session.d_prime[-1].astype(np.float64)
    defined = d_prime[~np.isnan(d_prime)]
    never = d_prime.size - defined.size
    rest = f"; the other {never} never varied" if never else ""
    text = (
        f"d' over all moving texture frames, at the end: {defined.size} of {d_prime.size} cells"
        f"{rest}. Above 0: {a}."
    )
    figures = [_histogram(defined), _by_area(seen), _by_threshold(seen)]
    found = session.found
    if len(found):
        text += f" Cells were found here; signals begin at frame {found.frame.iloc[0]}."
    cells = _cells(seen, d_prime.size)
    if cells is not None:
        figures.append(_map(cells, d_prime))
    return Section(title, text, figures)


def tuning(seen: ReportData) -> Section | None:
    """Show each selective cell's mean activity by position, in the two stimuli."""
    session = seen.session
    if not len(session.decoded) or not seen.length_m:
        return None
    d_prime = session.d_prime[-1]
    names = [name for name in _stimuli(seen) if name in seen.colours]
    means = {name: mean_tuning(session, name) for name in names}
    figures = []
    for chosen, sign in zip(_stimuli(seen), (1, -1), strict=True):
        cells = np.flatnonzero(sign * np.nan_to_num(d_prime) >= 0.3)
        if chosen not in means or not cells.size:
            continue
        order = cells[np.argsort(np.argmax(means[chosen][:, cells], axis=0), kind="stable")]
        every = max(1, -(-order.size // _MOST_CELLS))
        for shown in names:
            caption = f"{order.size} cells selective for {chosen}, in {shown}"
            figures.append(_heat(seen, means, order[::every], shown, caption))
    text = (
        "Mean activity by position, interpolated trial by trial, in order of the peak in the "
        "stimulus that the cells prefer; each cell from its least (white) to its most."
    )
    return Section("Tuning by position", text, figures) if figures else None


def motion(seen: ReportData) -> Section | None:
    """Show how far the brain moved, and how well it was found."""
    decoded = seen.session.decoded
    moved = [m for m in decoded.motion if m] if len(decoded) else []
    if not moved:
        return None
    times_s = decoded.t_s[decoded.motion.map(bool)].to_numpy()
    strips = np.array(moved, np.float64)
    middle = np.median(strips, axis=1)
    lines = [
        line(times_s / 60, middle[:, 0], _A, name="down", width=1.2),
        line(times_s / 60, middle[:, 1], _B, name="right", width=1.2),
    ]
    figures = [
        Figure("Shift", lines, _axes("minutes", "px", legend=True)),
        Figure(
            "Correlation with the reference, 1 at best",
            [line(times_s / 60, middle[:, 2], DIM, name="correlation", width=1.2)],
            {"xaxis": {"title": "minutes"}, "yaxis": {"title": "", "range": [0, 1.04]}},
        ),
    ]
    far_px = np.hypot(middle[:, 0], middle[:, 1])
    text = f"{strips.shape[1]} strips; {np.median(far_px):.2f} px in the median, at most "
    text = text.replace("1 strips", "One strip") if strips.shape[1] == 1 else text
    return Section("Motion", f"{text}{far_px.max():.2f} px. Lines: the median strip.", figures)


def _stimuli(seen: ReportData) -> tuple[str, str]:
    online = seen.session.settings.get("nodes", {}).get("online", {})
    return str(online.get("a", "leaf1")), str(online.get("b", "circle1"))


def _cells(seen: ReportData, count: int) -> Cells | None:
    """Return the cells that were imaged, if they are still to be had."""
    cells = imaged_cells(seen.session)
    return cells if cells is not None and len(cells) == count else None


def _axes(x: str, y: str, *, legend: bool = False) -> dict[str, Any]:
    return {"xaxis": {"title": x}, "yaxis": {"title": y}, "showlegend": legend}


def _histogram(d_prime: Floats) -> Figure:
    reach = min(5.0, max(1.0, float(np.abs(d_prime).max(initial=0.0))))
    half = int(np.clip(np.sqrt(d_prime.size), 6, 25))  # bins on either side of 0
    edges = np.linspace(-reach, reach, 2 * half + 1)
    counts, _ = np.histogram(np.clip(d_prime, -reach, reach), edges)
    limits = [
        {"type": "line", "x0": at, "x1": at, "y0": 0, "y1": 1, "yref": "paper",
         "line": {"color": DIM, "dash": "dot", "width": 1}}
        for at in (-0.3, 0.3)
    ]  # fmt: skip
    layout = {**_axes("d'", "cells"), "shapes": limits}
    return Figure("d' of each cell; dotted: 0.3", [steps(edges, counts, _A, "cells")], layout)


def _by_area(seen: ReportData) -> Figure:
    at = THRESHOLDS.index(0.3)
    shares = 100 * seen.session.fractions[-1, :, :, at].astype(np.float64)
    stimuli = _stimuli(seen)
    bars = [
        {"type": "bar", "x": list(NAMES), "y": plain(shares[:, SIGNS.index(sign)]),
         "name": name, "marker": {"color": colour}}
        for sign, name, colour in (("A", stimuli[0], _A), ("B", stimuli[1], _B))
    ]  # fmt: skip
    layout = {**_axes("", "% of cells", legend=True), "barmode": "stack"}
    return Figure("Selective (|d'| at least 0.3), by area", bars, layout)


def _by_threshold(seen: ReportData) -> Figure:
    shares = 100 * seen.session.fractions[-1, :, SIGNS.index("both")].astype(np.float64)
    lines = [
        line(THRESHOLDS, share, COLOURS[n % len(COLOURS)], name=name, width=2.0)
        for n, (name, share) in enumerate(zip(NAMES, shares, strict=True))
        if not np.isnan(share).all()
    ]
    layout = _axes("|d'| at least", "% of cells", legend=True)
    layout["yaxis"] |= {"range": [0, 102]}
    return Figure("Selective, by threshold", lines, layout)


def _map(cells: Cells, d_prime: Floats) -> Figure:
    every = max(1, -(-len(cells) // _MOST_CELLS))
    middle, shown = cells.centres()[::every], d_prime[::every]
    names = [NAMES[place] for place in groups_of(cells.area)[::every]]
    marker = {
        "color": plain(shown), "colorscale": [[0, _B], [0.5, "#e8e8e8"], [1, _A]], "cmin": -1,
        "cmax": 1, "size": 8 if len(cells) < 400 else 3,
        "colorbar": {"title": {"text": "d'"}, "thickness": 10},
    }  # fmt: skip
    dots = {"type": "scatter", "mode": "markers", "x": plain(middle[:, 1]),
            "y": plain(middle[:, 0]), "marker": marker, "text": names}  # fmt: skip
    layout = _axes("right in the page, px", "down, px")
    layout["xaxis"] |= {"constrain": "domain"}
    layout["yaxis"] |= {"autorange": "reversed", "scaleanchor": "x", "constrain": "domain"}
    return Figure("Where the cells lie", [dots], layout, 330)


def _heat(
    seen: ReportData, means: dict[str, Floats], cells: NDArray[np.intp], shown: str, caption: str
) -> Figure:
    low = np.min([np.min(mean[:, cells], axis=0) for mean in means.values()], axis=0)
    high = np.max([np.max(mean[:, cells], axis=0) for mean in means.values()], axis=0)
    scaled = (means[shown][:, cells] - low) / np.where(high > low, high - low, 1.0)
    heat = {
        "type": "heatmap", "x": plain((np.arange(60) + 0.5) * seen.length_m / 60),
        "z": [plain(row) for row in scaled.T], "zmin": 0, "zmax": 1, "showscale": False,
        "colorscale": [[0, "#ffffff"], [1, seen.colours[shown]]],
    }  # fmt: skip
    layout = _axes("position, m", "cells")
    layout["yaxis"] |= {"autorange": "reversed"}
    height_px = int(min(460, max(200, 110 + 6 * cells.size)))
    return Figure(caption, [heat], layout, height_px, colour=seen.colours[shown])
