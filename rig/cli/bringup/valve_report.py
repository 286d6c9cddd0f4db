"""The page of a valve's calibration: the weighed series and the fitted line."""

from pathlib import Path

from analysis.report.colours import BAD, DIM, WATER
from analysis.report.html import Card, Figure, Grid, Section, render
from analysis.report.plots import dots, line
from behavior.devices.protocols import Weighing
from behavior.water.valve_calibration import Fit
from rig.errors import Refused

_DROP_UL = 3.0


def write_page(
    path: Path, what: str, series: list[Weighing], fitted: Fit, longest_ms: float
) -> None:
    """Write the page of a calibration. Raises Refused if it cannot be written.

    longest_ms is the longest pulse that the rig's guard allows.
    """
    head = ["pulse, ms", "pulses", "weight, mg", "µl per pulse", "fitted", "residual"]
    rows = [
        [f"{one.open_ms:g}", str(one.pulses), f"{one.mass_mg:g}", f"{one.ul_each:.3f}", on, off]
        for one, on, off in zip(series, *_columns(series, fitted), strict=True)
    ]
    title = "Weighed series"
    weighed = Section(title, figures=_figures(series, fitted, longest_ms), grids=[Grid(head, rows)])
    drop_ms = _DROP_UL / fitted.ul_per_ms + fitted.dead_ms
    cards = [
        Card(f"{fitted.ul_per_ms:.4f} µl/ms", "flow while open"),
        Card(f"{fitted.dead_ms:.1f} ms", "dead time: open before water flows"),
        Card(f"{drop_ms:.1f} ms", f"for a drop of {_DROP_UL:g} µl"),
        Card(f"{max(map(abs, fitted.residuals)):.1%}", "largest residual"),
    ]
    text = "Weighted least squares: volume = flow * (pulse length minus dead time)."
    try:
        path.write_text(render(f"Calibration of {what}", text, cards, [weighed]), "utf-8")
    except OSError as error:
        raise Refused(f"{path} cannot be written ({error.strerror}); check its folder") from error


def _columns(series: list[Weighing], fitted: Fit) -> tuple[list[str], list[str]]:
    on = [f"{fitted.ul_per_ms * (one.open_ms - fitted.dead_ms):.3f}" for one in series]
    return on, [f"{off:+.1%}" for off in fitted.residuals]


def _figures(series: list[Weighing], fitted: Fit, longest_ms: float) -> list[Figure]:
    lengths = [one.open_ms for one in series]
    ends = [fitted.dead_ms, min(longest_ms, 1.15 * max(lengths))]
    through = [fitted.ul_per_ms * (end - fitted.dead_ms) for end in ends]
    span = {"title": "pulse, ms", "range": [0, ends[1]]}
    flow = [
        line([0, fitted.dead_ms], [0, 0], DIM, width=2.0),
        line(ends, through, DIM, width=2.0, name="fit"),
        dots(lengths, [one.ul_each for one in series], WATER, "weighed", 10),
    ]
    off = [100 * share for share in fitted.residuals]
    stems = [line([x, x], [0, y], DIM, width=1.5) for x, y in zip(lengths, off, strict=True)]
    zero = line([0, ends[1]], [0, 0], DIM, width=1.0)
    most = 1.3 * max(1.0, *map(abs, off))
    return [
        Figure("Water per pulse", flow, {"xaxis": span, "yaxis": {"title": "µl per pulse"}}),
        Figure(
            "Residuals",
            [zero, *stems, dots(lengths, off, BAD, "residual", 9)],
            {"xaxis": span, "yaxis": {"title": "%", "range": [-most, most]}},
        ),
    ]
