"""One self-contained HTML page: cards, sections, tables and plotly figures; it opens offline."""

from collections.abc import Sequence
from html import escape
from importlib.resources import files
from typing import Any

import msgspec

INK, DIM, RULE, GREY = "#1c2733", "#66727f", "#e3e8ed", "rgba(110,120,130,0.13)"
CUE, WATER, BAD, GOOD = "#e69f00", "#1f8fff", "#c62f3b", "#2b8a57"
COLOURS = ("#0b7a75", "#d1495b", "#7b5ea7", "#c98a1b", "#3f72af", "#8a8f98", "#5b8c3a")
"""Of corridors, in order; the first for the first rewarded one. Told apart by the colour-blind."""
_FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif"
_STYLE = f"""
* {{ box-sizing: border-box; }}
body {{ margin: 0; background: #f4f6f8; color: {INK}; font: 15px/1.5 {_FONT}; }}
main {{ max-width: 1180px; margin: 0 auto; padding: 28px 24px 60px; }}
h1 {{ font-size: 27px; line-height: 1.2; margin: 0 0 4px; letter-spacing: -0.01em; }}
h2 {{ font-size: 18px; margin: 0 0 2px; }}
p {{ margin: 4px 0 10px; color: {DIM}; max-width: 78ch; }}
p.bad {{ color: {BAD}; font-weight: 600; }} p.good {{ color: {GOOD}; font-weight: 600; }}
.cards {{ display: grid; gap: 12px; margin: 20px 0;
  grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); }}
.card, section {{ background: white; border: 1px solid {RULE}; border-radius: 10px; }}
.card {{ padding: 12px 16px; }}
.card b {{ display: block; font-size: 24px; line-height: 1.25; font-weight: 650; }}
.card span {{ color: {DIM}; font-size: 13px; }}
.card.bad b {{ color: {BAD}; }} .card.good b {{ color: {GOOD}; }}
section {{ padding: 18px 20px; margin: 0 0 16px; break-inside: avoid; }}
.figures {{ display: grid; gap: 8px 20px; grid-template-columns: repeat(2, minmax(0, 1fr)); }}
.figures.three {{ grid-template-columns: repeat(3, minmax(0, 1fr)); }}
figure {{ margin: 6px 0 0; min-width: 0; }} figure.wide {{ grid-column: 1 / -1; }}
figcaption {{ font-weight: 600; font-size: 13.5px; }}
figcaption i {{ display: inline-block; width: 10px; height: 10px; border-radius: 3px;
  margin-right: 6px; }}
table {{ border-collapse: collapse; margin: 8px 0; font-size: 14px; min-width: 50%; }}
th, td {{ text-align: left; padding: 4px 18px 4px 0; border-bottom: 1px solid {RULE};
  vertical-align: top; font-variant-numeric: tabular-nums; }}
th {{ color: {DIM}; font-weight: 600; }}
@media (max-width: 760px) {{ .figures, .figures.three {{ grid-template-columns: 1fr; }} }}
@media print {{ body {{ background: white; }} main {{ padding: 0; }} }}
"""
_DRAW = """
const all = JSON.parse(document.getElementById("figures").textContent);
all.forEach((f, i) => Plotly.newPlot("figure" + i, f.traces, f.layout,
  {responsive: true, displayModeBar: false}));
"""


class Figure(msgspec.Struct, frozen=True):
    """Plotly traces and a layout (which is laid over the page's own), under a caption."""

    caption: str
    traces: list[dict[str, Any]]
    layout: dict[str, Any] = {}
    height_px: int = 280
    wide: bool = False
    colour: str = ""
    """Of a mark before the caption; none if empty."""


class Grid(msgspec.Struct, frozen=True):
    """A table of texts."""

    head: list[str]
    rows: list[list[str]]


class Section(msgspec.Struct, frozen=True):
    """A part of the page; `good` and `bad` are sentences that stand out."""

    title: str
    text: str = ""
    figures: list[Figure] = []
    grids: list[Grid] = []
    good: str = ""
    bad: str = ""
    columns: int = 2


class Card(msgspec.Struct, frozen=True):
    """One number at the page's head."""

    value: str
    label: str
    mood: str = ""
    """"good", "bad", or none."""


def render(title: str, text: str, cards: Sequence[Card], sections: Sequence[Section]) -> str:
    """Return the page. Whatever text it is given stands there as text."""
    figures = [figure for section in sections for figure in section.figures]
    numbers = {id(figure): number for number, figure in enumerate(figures)}
    drawn = [{"traces": figure.traces, "layout": _layout(figure)} for figure in figures]
    data = msgspec.json.encode(drawn).decode().replace("</", "<\\/")
    body = "".join(_section(section, numbers) for section in sections)
    head = "".join(_card(card) for card in cards)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><main>"
        f"<h1>{escape(title)}</h1><p>{escape(text)}</p>"
        f'<div class="cards">{head}</div>{body}</main>'
        f"<script>{_plotly()}</script>"
        f'<script type="application/json" id="figures">{data}</script>'
        f"<script>{_DRAW}</script></body></html>\n"
    )


def _plotly() -> str:
    """Return plotly.js as the installed plotly package ships it."""
    return (files("plotly") / "package_data" / "plotly.min.js").read_text(encoding="utf-8")


def _section(section: Section, numbers: dict[int, int]) -> str:
    figures = "".join(_figure(figure, numbers[id(figure)]) for figure in section.figures)
    three = " three" if section.columns == 3 else ""
    parts = [
        f"<h2>{escape(section.title)}</h2>",
        f"<p>{escape(section.text)}</p>" if section.text else "",
        f'<p class="good">{escape(section.good)}</p>' if section.good else "",
        f'<p class="bad">{escape(section.bad)}</p>' if section.bad else "",
        *map(_grid, section.grids),
        f'<div class="figures{three}">{figures}</div>' if figures else "",
    ]
    return f"<section>{''.join(parts)}</section>"


def _figure(figure: Figure, number: int) -> str:
    wide = ' class="wide"' if figure.wide else ""
    mark = f'<i style="background:{figure.colour}"></i>' if figure.colour else ""
    caption = f"<figcaption>{mark}{escape(figure.caption)}</figcaption>" if figure.caption else ""
    return (
        f"<figure{wide}>{caption}"
        f'<div id="figure{number}" style="height:{figure.height_px}px"></div></figure>'
    )


def _grid(grid: Grid) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in grid.head)
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in grid.rows
    )
    return f"<table><tr>{head}</tr>{rows}</table>"


def _card(card: Card) -> str:
    return (
        f'<div class="card {card.mood}"><b>{escape(card.value)}</b>'
        f"<span>{escape(card.label)}</span></div>"
    )


def _layout(figure: Figure) -> dict[str, Any]:
    """Return the page's own layout with the figure's laid over it; axes key by key."""
    axis = {
        "gridcolor": RULE,
        "linecolor": "#b8c1ca",
        "zeroline": False,
        "ticks": "outside",
        "tickcolor": "#b8c1ca",
        "ticklen": 4,
        "automargin": True,
    }
    title = {"font": {"size": 12, "color": DIM}, "standoff": 8}
    layout: dict[str, Any] = {
        "font": {"family": _FONT, "size": 12, "color": INK},
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
    }
    for key, value in figure.layout.items():
        layout[key] = {**layout[key], **value} if isinstance(layout.get(key), dict) else value
    for name in ("xaxis", "yaxis"):
        given = dict(figure.layout.get(name, {}))
        messages = {**title, "text": given.pop("title", "")}
        layout[name] = {**axis, **given, "title": messages}
    return layout
