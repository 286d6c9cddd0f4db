"""Lines, dots, steps and bands of a report's figures, as plotly traces."""

from collections.abc import Sequence
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
    dash: str = "solid",
) -> dict[str, Any]:
    """Return a line; with `fill` (plotly's) the area under it is tinted."""
    trace = {
        "type": "scatter",
        "mode": "lines",
        "x": plain(x),
        "y": plain(y),
        "name": name,
        "line": {"color": colour, "width": width, "shape": shape, "dash": dash},
    }
    return {**trace, "fill": fill, "fillcolor": _pale(colour, 0.25)} if fill else trace


def dots(
    x: Any, y: Any, colour: str, name: str, size: float, symbol: str = "circle"
) -> dict[str, Any]:
    """Return a marker at each point (x, y)."""
    marker = {"color": colour, "size": size, "symbol": symbol, "line": {"width": 0}}
    places = {"x": plain(x), "y": plain(y)}
    return {"type": "scatter", "mode": "markers", "name": name, "marker": marker, **places}


def steps(edges: Any, heights: Any, colour: str, name: str) -> dict[str, Any]:
    """Return a histogram: one height for each bin between two edges."""
    y = np.concatenate((heights, heights[-1:]))
    return line(edges, y, colour, name=name, width=2.0, shape="hv", fill="tozeroy")


def band(x: Any, mean: Any, error: Any, colour: str, name: str) -> list[dict[str, Any]]:
    """Return a line with its error on both sides."""
    edge = {"type": "scatter", "mode": "lines", "line": {"width": 0}, "showlegend": False}
    error = np.nan_to_num(error)  # the error of a single value is NaN
    low = {**edge, "x": plain(x), "y": plain(mean - error), "hoverinfo": "skip"}
    high = {**edge, "x": plain(x), "y": plain(mean + error), "hoverinfo": "skip"}
    high |= {"fill": "tonexty", "fillcolor": _pale(colour, 0.18)}
    return [low, high, line(x, mean, colour, name=name, width=2.2)]


def bars(
    labels: Sequence[str], heights: Any, low: Any, high: Any, colour: str | list[str], name: str
) -> dict[str, Any]:
    """Return bars, each with an error bar from `low` to `high`."""
    return {
        "type": "bar",
        "x": list(labels),
        "y": plain(heights),
        "name": name,
        "marker": {"color": colour},
        "error_y": {
            "type": "data",
            "array": plain(np.asarray(high) - heights),
            "arrayminus": plain(np.asarray(heights) - low),
            "color": "#33414e",
            "thickness": 1.2,
            "width": 5,
        },
    }


def separate(begins: Any, ends: Any) -> NDArray[np.float64]:
    """Return the ends of many short lines, with NaN, which plotly draws as a gap, after each line.

    The result is (3 * lines,).
    """
    pairs = (np.asarray(begins, np.float64), np.asarray(ends, np.float64))
    return np.stack([*pairs, np.full(len(pairs[0]), np.nan)], axis=1).ravel()


def with_gaps(x: Any, y: Any, longest: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return a line's points with NaN, which plotly draws as a gap, where nothing was recorded.

    Points that are more than `longest` apart in x are not connected.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    after = np.flatnonzero(np.diff(x) > longest) + 1
    return np.insert(x, after, np.nan), np.insert(y, after, np.nan)


def plain(values: Any) -> list[float]:
    """Return values as JSON numbers, rounded to 4 decimals; NaN becomes null there."""
    rounded: list[float] = np.round(np.asarray(values, np.float64), 4).tolist()
    return rounded


def _pale(colour: str, alpha: float) -> str:
    red, green, blue = (int(colour[n : n + 2], 16) for n in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha})"
