"""The same cells on another day, in a report: which were matched, their d' and their tuning."""

import numpy as np
from numpy.typing import NDArray

from analysis.cells.areas import GROUPS, UNKNOWN
from analysis.report.cell_map import cells_of
from analysis.report.colours import DATA, DIM
from analysis.report.data import ReportData
from analysis.report.html import Figure, Section
from analysis.report.plots import dots, plain
from analysis.session.across_days import OtherDay
from analysis.session.offline_tuning import mean_tuning

Floats = NDArray[np.float64]

_MOST_LISTED = 20
"""Largest number of cells that are listed by name."""
_MOST_ROWS = 500
_SYMBOLS = {"V1": "circle", "medial": "square", "lateral": "diamond", "anterior": "triangle-up"}


def across_days(data: ReportData) -> Section | None:
    """Show which cells were matched with cells of another day, and their signals on both days."""
    other = data.other_day
    if other is None:
        return None
    title = f"The same cells in {other.session.folder.name}"
    text = _matched(data, other)
    figures = []
    both = [d for d in (data.session.d_prime, other.session.d_prime) if d.size]
    same_contrast = data.session.contrasts[:1] == other.session.contrasts[:1]
    if len(other.pairs) and len(both) == 2 and same_contrast:
        here, there = (d[-1].astype(np.float64) for d in both)
        d_primes = here[other.pairs[:, 0]], there[other.pairs[:, 1]]
        figures.append(_d_primes(data, other, *d_primes))
        figures += _tunings(data, other, d_primes[1])
    elif len(other.pairs):
        text += " The sessions have no contrast in common, so there is nothing to compare."
    return Section(title, text, figures, columns=3)


def _matched(data: ReportData, other: OtherDay) -> str:
    """Return sentences on which cells were matched, and how."""
    missing = sorted(set(range(len(other.names))) - set(other.pairs[:, 1].tolist()))
    how = "their masks were moved here by rig align"
    if other.alignment is not None:
        at = other.alignment
        how = (
            f"this field is {at.down_px:+.1f} px down, {at.right_px:+.1f} px right and rotated "
            f"{at.degrees:+.1f} degrees from that one; a pair of masks is one cell if each is the "
            "other's nearest and they overlap"
        )
    text = f"{len(other.pairs)} of the {len(other.names)} cells of that day are in this session: "
    text += f"{how}."
    if missing:
        named = ", ".join(other.names[cell] for cell in missing[:_MOST_LISTED])
        text += f" Not matched: {named}{' ...' if len(missing) > _MOST_LISTED else ''}."
    return text


def _d_primes(data: ReportData, other: OtherDay, here: Floats, there: Floats) -> Figure:
    cells = cells_of(data, data.session.d_prime.shape[1])
    unknown = np.full(len(here), UNKNOWN)
    area = unknown if cells is None else cells.area[other.pairs[:, 0]]
    traces = []
    for name, ids in {**GROUPS, "other": ()}.items():
        own = np.isin(area, ids) if ids else ~np.isin(area, sum(GROUPS.values(), ()))
        if own.any():
            symbol = _SYMBOLS.get(name, "x")
            traces.append({**dots(there[own], here[own], DATA, name, 5, symbol), "opacity": 0.7})
    reach = float(np.nanmax(np.abs([here, there]), initial=0.5)) * 1.05
    defined = ~np.isnan(here) & ~np.isnan(there)
    r = np.corrcoef(here[defined], there[defined])[0, 1] if defined.sum() > 2 else np.nan
    axis = {"range": [-reach, reach]}
    layout = {
        "xaxis": {**axis, "title": "d' on that day"},
        "yaxis": {**axis, "title": "d' in this session"},
        "showlegend": True,
        "margin": {"t": 44},
        "shapes": [
            {"type": "line", "x0": -reach, "y0": -reach, "x1": reach, "y1": reach,
             "line": {"color": DIM, "dash": "dot", "width": 1}}
        ],
    }  # fmt: skip
    a, b = data.session.contrasts[0]
    return Figure(f"{a} against {b}: r = {r:.2f}, n = {defined.sum()}", traces, layout, 330)


def _tunings(data: ReportData, other: OtherDay, d_prime_there: Floats) -> list[Figure]:
    """Show the tuning of the same cells on both days, sorted by their peaks on the other day."""
    figures = []
    for sign, name in zip((1, -1), data.session.contrasts[0], strict=True):
        chosen = np.flatnonzero(sign * np.nan_to_num(d_prime_there) >= 0.3)
        pairs = other.pairs[chosen]
        there = mean_tuning(other.session, name)
        here = mean_tuning(data.session, name)
        if not len(pairs) or np.isnan(there).all() or np.isnan(here).all():
            continue
        rows = there[:, pairs[:, 1]], here[:, pairs[:, 0]]
        order = np.argsort(np.argmax(rows[0][:40], axis=0), kind="stable")
        days = (other.session.folder.name, "this session")
        for day, values in zip(days, rows, strict=True):
            caption = f"{len(pairs)} cells that preferred {name}: {day}"
            figures.append(_heat_map(data, values[:, order], caption, data.colours.get(name, DATA)))
    return figures


def _heat_map(data: ReportData, values: Floats, caption: str, colour: str) -> Figure:
    sd = values.std(axis=0)
    scaled = (values - values.mean(axis=0)) / np.where(sd > 0, sd, 1.0)
    shown = scaled[:, :: max(1, -(-scaled.shape[1] // _MOST_ROWS))]
    heat = {
        "type": "heatmap",
        "x": plain((np.arange(60) + 0.5) * data.length_m / 60),
        "z": [np.round(row, 2).tolist() for row in shown.T],
        "zmin": -0.5,
        "zmax": 2.5,
        "colorscale": "Greys",
        "reversescale": True,
        "showscale": False,
    }
    layout = {
        "xaxis": {"title": "position, m", "showgrid": False},
        "yaxis": {"title": "cells", "autorange": "reversed", "showgrid": False},
    }
    return Figure(caption, [heat], layout, 330, colour=colour)
