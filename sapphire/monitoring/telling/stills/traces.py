"""The kinds of traces that are drawn: each by its own function, into the panel that it belongs to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sapphire.monitoring.telling.stills.reading import Trace, colour_of, row_of, text_of, values_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["DASHES", "DRAWN", "FAINT", "GRID", "LINE", "ink"]

GRID, FAINT, _DARK = "0.5", 0.25, "0.2"
LINE, _AREA = 0.8, 0.6
"""Points of a line, and square points of a marker, to plotly's pixel and square pixel."""
_MARKERS = {"circle": "o", "square": "s", "diamond": "D", "triangle-up": "^", "triangle-down": "v", "x": "x"}
DASHES = {"dot": ":", "dash": "--", "dashdot": "-."}


def ink() -> str:
    """That of the look which is drawn."""
    import matplotlib as mpl

    return str(mpl.rcParams["text.color"])


def _label(trace: Trace) -> dict[str, Any]:
    name = trace.get("name")
    return {} if trace.get("showlegend") is False or not name else {"label": str(name)}


def _errors(trace: Trace) -> tuple[Any, Any]:
    """Half lengths of its error bars, None where it has none; and their colour."""
    error = trace.get("error_y", {})
    return None if error.get("array") is None else values_of(error["array"]), colour_of(error.get("color", GRID))


def _scatter(panel: Axes, trace: Trace, before: Sequence[Trace]) -> None:
    x, y, named = values_of(trace.get("x")), values_of(trace.get("y")), _label(trace)
    line, marker, mode = trace.get("line", {}), trace.get("marker", {}), str(trace.get("mode", "lines"))
    colour, width = colour_of(line.get("color")), float(line.get("width", 1.5))
    if trace.get("fill") == "tonexty":
        below = next(each for each in reversed(before) if row_of(each) == row_of(trace))
        panel.fill_between(x, values_of(below.get("y")), y, color=colour_of(trace.get("fillcolor")), lw=0, **named)
    elif trace.get("fill") == "tozeroy":
        panel.fill_between(x, 0, y, color=colour, alpha=FAINT, lw=0)
    if "lines" in mode and width > 0.0:  # the edges of a band have no line of their own
        style: dict[str, Any] = {"ls": DASHES.get(str(line.get("dash")), "-"), "lw": LINE * width}
        style["drawstyle"] = "steps-post" if line.get("shape") == "hv" else "default"
        panel.plot(x, y, color=colour, **style, **named)
        named = {}
    if "markers" in mode and len(x):
        size = float(np.median(np.atleast_1d(marker.get("size", 6))))
        symbol = _MARKERS.get(str(marker.get("symbol", "circle")), "o")
        dots = {"c": colour_of(marker.get("color")), "marker": symbol, "s": _AREA * size**2}
        panel.scatter(x, y, zorder=3, lw=0.6, **dots, **named)
    error, ink = _errors(trace)
    if error is not None:
        panel.errorbar(x, y, error, fmt="none", ecolor=ink, capsize=3)


def _bar(panel: Axes, trace: Trace, _before: Sequence[Trace]) -> None:
    from matplotlib.container import BarContainer

    x, heights = values_of(trace["x"]), values_of(trace["y"]).astype(float)
    room = 0.8 if len(x) < 2 or x.dtype.kind not in "Miuf" else np.min(np.diff(x))
    stacked = [each for each in panel.containers if isinstance(each, BarContainer)]
    error, ink = _errors(trace)
    bars = panel.bar(
        x,
        heights,
        width=trace.get("width", room),
        bottom=np.sum([np.nan_to_num([bar.get_height() for bar in each]) for each in stacked], axis=0),
        color=colour_of(trace.get("marker", {}).get("color")),
        alpha=trace.get("marker", {}).get("opacity"),
        yerr=error,
        ecolor=ink,
        capsize=3,
        **_label(trace),
    )
    if trace.get("text") is not None:
        panel.bar_label(bars, [str(text) for text in trace["text"]], padding=3)
        panel.margins(y=0.15)
    panel.axhline(0.0, color=GRID, lw=0.8)


def _box(panel: Axes, trace: Trace, before: Sequence[Trace]) -> None:
    spans, number = values_of(trace["x"]).astype(float), len(before)
    spans = spans[spans > 0.0]  # the axis is logarithmic: a span of zero has no place on it
    if not spans.size:
        return
    jitter = np.random.default_rng(number).uniform(-0.25, 0.25, spans.size)
    colour = colour_of(trace.get("marker", {}).get("color"))
    panel.scatter(spans, number + jitter, s=4, c=colour, alpha=0.55, lw=0, zorder=3)
    inked = ("boxprops", "whiskerprops", "capprops", "medianprops")
    style: dict[str, Any] = {name: {"color": ink(), "lw": 0.8} for name in inked}
    style |= {"orientation": "horizontal", "widths": 0.55, "showfliers": False, "manage_ticks": False}
    panel.boxplot([spans], positions=[number], **style)


def _candlestick(panel: Axes, trace: Trace, _before: Sequence[Trace]) -> None:
    from matplotlib.dates import date2num

    x = np.asarray(date2num(values_of(trace["x"])))  # type: ignore[no-untyped-call]
    width = 0.7 * float(np.min(np.diff(x)) if len(x) > 1 else 1.0)
    opens, highs, lows, closes = (values_of(trace[name]).astype(float) for name in ("open", "high", "low", "close"))
    for side, kept in (("increasing", closes >= opens), ("decreasing", closes < opens)):
        colour = colour_of(trace.get(side, {}).get("line", {}).get("color"))
        panel.vlines(x[kept], lows[kept], highs[kept], color=colour, lw=0.6)
        panel.bar(x[kept], (closes - opens)[kept], width, bottom=opens[kept], color=colour)
    panel.use_sticky_edges = False
    panel.xaxis_date()


def _heatmap(panel: Axes, trace: Trace, _before: Sequence[Trace]) -> None:
    columns, rows = [str(name) for name in trace["x"]], [str(name) for name in trace["y"]]
    z = trace["z"]
    cells = values_of(z) if isinstance(z, Mapping) else np.array([values_of(row) for row in z], float)
    cells = cells.reshape(len(rows), len(columns))
    most = float(np.nanmax(np.abs(cells)))
    image = panel.imshow(cells, cmap="RdBu", vmin=-most, vmax=most, aspect="auto", origin="lower")
    panel.set_xticks(range(len(columns)), columns)
    panel.set_yticks(range(len(rows)), rows)
    for row, column in np.argwhere(np.isfinite(cells)) if trace.get("texttemplate") else ():
        value = cells[row, column]
        panel.text(column, row, f"{value:.2f}", ha="center", va="center", color="w" if 2 * abs(value) > most else _DARK)
    beside = panel.figure.colorbar(image, ax=panel)
    beside.set_label(text_of(trace.get("colorbar", {}).get("title")))
    beside.outline.set_visible(False)


def _waterfall(panel: Axes, trace: Trace, _before: Sequence[Trace]) -> None:
    names, below = [str(name) for name in trace["x"]], 0.0
    for place, (kind, value, text) in enumerate(
        zip(trace["measure"], values_of(trace["y"]), trace["text"], strict=True)
    ):
        start, end = (below, below + value) if kind == "relative" else (0.0, below if kind == "total" else value)
        side = "totals" if kind != "relative" else "increasing" if end >= start else "decreasing"
        colour = colour_of(trace.get(side, {}).get("marker", {}).get("color"))
        panel.bar(place, end - start, bottom=start, color=colour)
        panel.annotate(str(text), (place, max(start, end)), ha="center", va="bottom")
        below = end
    panel.set_xticks(range(len(names)), names)
    panel.axhline(0.0, color=GRID, lw=0.8)
    panel.use_sticky_edges = False
    panel.margins(y=0.12)


DRAWN = {
    "scatter": _scatter,
    "scattergl": _scatter,
    "bar": _bar,
    "box": _box,
    "heatmap": _heatmap,
    "waterfall": _waterfall,
    "candlestick": _candlestick,
}
