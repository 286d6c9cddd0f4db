"""Strokes of a report's figures: lines, dots, steps and bands, as plotly traces."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def line(
    x: Any,
    y: Any,
    colour: str,
    *,
    name: str = "",
    width: float,
    shape: str = "linear",
    fill: str = "",
) -> dict[str, Any]:
    """Return a line; with `fill` (plotly's) the area under it is tinted."""
    trace = {
        "type": "scatter",
        "mode": "lines",
        "x": plain(x),
        "y": plain(y),
        "name": name,
        "line": {"color": colour, "width": width, "shape": shape},
    }
    return {**trace, "fill": fill, "fillcolor": _pale(colour, 0.25)} if fill else trace


def dots(x: Any, y: Any, colour: str, name: str, size: float) -> dict[str, Any]:
    """Return a mark at each place."""
    marker = {"color": colour, "size": size, "line": {"width": 0}}
    places = {"x": plain(x), "y": plain(y)}
    return {"type": "scatter", "mode": "markers", "name": name, "marker": marker, **places}


def steps(edges: Any, heights: Any, colour: str, name: str) -> dict[str, Any]:
    """Return a histogram: one height between each two edges."""
    y = np.concatenate((heights, heights[-1:]))
    return line(edges, y, colour, name=name, width=2.0, shape="hv", fill="tozeroy")


def band(x: Any, mean: Any, error: Any, colour: str, name: str) -> list[dict[str, Any]]:
    """Return a line with its error on both sides."""
    edge = {"type": "scatter", "mode": "lines", "line": {"width": 0}, "showlegend": False}
    low = {**edge, "x": plain(x), "y": plain(mean - error), "hoverinfo": "skip"}
    high = {**edge, "x": plain(x), "y": plain(mean + error), "hoverinfo": "skip"}
    high |= {"fill": "tonexty", "fillcolor": _pale(colour, 0.18)}
    return [low, high, line(x, mean, colour, name=name, width=2.2)]


def broken(begins: Any, ends: Any) -> NDArray[np.float64]:
    """Return pairs of values with a gap after each: the ends of many short lines."""
    pairs = (np.asarray(begins, np.float64), np.asarray(ends, np.float64))
    return np.stack([*pairs, np.full(len(pairs[0]), np.nan)], axis=1).ravel()


def plain(values: Any) -> list[float]:
    """Return values as numbers of JSON, to a ten-thousandth; NaN becomes null there."""
    rounded: list[float] = np.round(np.asarray(values, np.float64), 4).tolist()
    return rounded


def _pale(colour: str, alpha: float) -> str:
    red, green, blue = (int(colour[n : n + 2], 16) for n in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha})"
