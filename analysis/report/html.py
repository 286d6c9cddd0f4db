"""One self-contained HTML page: cards, sections, tables and plotly figures; it opens offline."""

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import msgspec

from analysis.report import colours

_FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif"
_TEMPLATE = "page.html.jinja"


class Figure(msgspec.Struct, frozen=True):
    """Plotly traces with a caption, and a layout that overrides that of the page."""

    caption: str
    traces: list[dict[str, Any]]
    layout: dict[str, Any] = {}
    height_px: int = 280
    wide: bool = False
    colour: str = ""
    """Colour of a mark before the caption; empty: no mark."""


class Grid(msgspec.Struct, frozen=True):
    """A table of texts."""

    head: list[str]
    rows: list[list[str]]


class Section(msgspec.Struct, frozen=True):
    """A part of the page; `good` and `bad` are highlighted sentences, `alarm` a red frame."""

    title: str
    text: str = ""
    figures: list[Figure] = []
    grids: list[Grid] = []
    good: str = ""
    bad: str = ""
    columns: int = 2
    alarm: bool = False


class Card(msgspec.Struct, frozen=True):
    """One number near the head of the page."""

    value: str
    label: str
    mood: str = ""
    """Style of the card: "good", "bad", or "" for a plain card."""


def render(
    title: str,
    text: str,
    cards: Sequence[Card],
    sections: Sequence[Section],
    top: Section | None = None,
) -> str:
    """Return the page; `top` comes before the cards. All text is escaped."""
    from jinja2 import Environment
    from markupsafe import Markup

    shown = [*([top] if top else []), *sections]
    figures = [figure for section in shown for figure in section.figures]
    drawn = [{"traces": figure.traces, "layout": _layout(figure)} for figure in figures]
    page = Environment(autoescape=True).from_string(
        (files("analysis.report") / _TEMPLATE).read_text(encoding="utf-8")
    )
    return page.render(
        title=title,
        text=text,
        cards=cards,
        sections=sections,
        top=top,
        c=colours,
        font=Markup(_FONT),
        plotly=Markup(_plotly()),
        # "</" would end the script; "<\/" is the same text in JSON
        figures=Markup(msgspec.json.encode(drawn).decode().replace("</", "<\\/")),
    )


def _plotly() -> str:
    """Return plotly.js as the installed plotly package ships it."""
    return (files("plotly") / "package_data" / "plotly.min.js").read_text(encoding="utf-8")


def _layout(figure: Figure) -> dict[str, Any]:
    """Return the page's own layout, overridden by the figure's; axes and others key by key."""
    axis = {
        "gridcolor": colours.RULE,
        "linecolor": "#b8c1ca",
        "zeroline": False,
        "ticks": "outside",
        "tickcolor": "#b8c1ca",
        "ticklen": 4,
        "automargin": True,
    }
    title = {"font": {"size": 12, "color": colours.DIM}, "standoff": 8}
    layout: dict[str, Any] = {
        "font": {"family": _FONT, "size": 12, "color": colours.INK},
        "margin": {"l": 50, "r": 14, "t": 10, "b": 42},
        "height": figure.height_px,
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        "showlegend": False,
        "legend": {
            "orientation": "h",
            "x": 0,
            "y": 1.02,
            "yanchor": "bottom",
            "traceorder": "normal",
        },
        "hoverlabel": {"font": {"family": _FONT}},
        "bargap": 0.12,
        "xaxis": {},
        "yaxis": {},
    }
    for key, value in figure.layout.items():
        layout[key] = {**layout[key], **value} if isinstance(layout.get(key), dict) else value
    for name in [key for key in layout if key[:5] in ("xaxis", "yaxis")]:
        own = dict(layout[name])
        layout[name] = {**axis, **own, "title": {**title, "text": own.pop("title", "")}}
    return layout
