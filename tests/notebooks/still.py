"""Still pictures of the house's figures, by matplotlib: for a notebook that is stored with its outputs.

Plotly draws in a browser, and its own way to a picture downloads one. What a stored notebook shows are the lines,
points, bars, heatmaps, waterfalls and candles of `sapphire.research.results.plots` and `sapphire.domain.candles`;
anything else is refused. The page shows through, as it does in the live figures: the ink is that of
`sapphire.domain.theme`, which is read on a light page and on a dark one.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import matplotlib.dates
import matplotlib.figure
import matplotlib.ticker
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from PIL import Image

from sapphire.domain.errors import StudyError
from sapphire.domain.theme import INK, wrapped

__all__ = ["picture"]

_DPI = 60
_WIDTH = 9.4
_COLOURS, _SHADES = 20, 128
"""A heatmap needs its shades: with few of them the colours of its scale are other ones."""
_ALPHAS = 6
"""Steps from what is seen through to what is not: letters and lines end softly on any page."""
_MARKERS = {"circle": "o", "square": "s", "diamond": "D", "triangle-up": "^", "x": "x"}
_DASHES = {"dot": ":", "dash": "--"}


def picture(figure: go.Figure) -> bytes:
    """A PNG of a figure.

    Raises
    ------
    StudyError : a kind of trace that is not drawn here.
    """
    unknown = sorted({str(trace.type) for trace in figure.data} - _DRAWN.keys())
    if unknown:
        raise StudyError("a picture of an unknown kind", expected=", ".join(_DRAWN), got=", ".join(unknown))
    axes = sorted({trace.yaxis or "y" for trace in figure.data}, key=lambda name: int(name[1:] or 1))
    heights = [_height(figure, name) for name in axes]
    drawn = matplotlib.figure.Figure(figsize=(_WIDTH, (figure.layout.height or 420) / 84), layout="constrained")
    places = drawn.subplots(len(axes), 1, sharex=True, squeeze=False, height_ratios=heights)
    panels = dict(zip(axes, places[:, 0], strict=True))
    for trace in figure.data:
        _DRAWN[trace.type](panels[trace.yaxis or "y"], trace)
    _lines(figure, panels)
    for name, panel in panels.items():
        _dress(figure, name, panel, is_last=name == axes[-1])
    drawn.suptitle(_plain(figure.layout.title.text or ""), x=0.01, ha="left", fontsize=11, color=INK)
    raw, small = io.BytesIO(), io.BytesIO()
    drawn.savefig(raw, format="png", dpi=_DPI, metadata={"Software": None}, transparent=True)
    colours = _SHADES if any(panel.images for panel in panels.values()) else _COLOURS
    _stepped(Image.open(raw)).quantize(colours, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(
        small, "png", optimize=True
    )
    return small.getvalue()


def _stepped(picture: Image.Image) -> Image.Image:
    """The picture with few opacities, which is a third of its size."""
    *shades, alpha = picture.convert("RGBA").split()
    step = 255 / (_ALPHAS - 1)
    return Image.merge("RGBA", (*shades, alpha.point([round(round(of / step) * step) for of in range(256)])))


def _plain(text: str) -> str:
    """What plotly says with tags, on as many lines."""
    return re.sub("<[^>]*>", "", text.replace("<br>", "\n"))


def _height(figure: go.Figure, name: str) -> float:
    low, high = figure.layout[f"yaxis{name[1:]}"].domain or (0.0, 1.0)
    return float(high - low)


def _scatter(panel: Any, trace: Any) -> None:
    x, y = _values(trace.x), _values(trace.y)
    named = {} if trace.showlegend is False or not trace.name else {"label": trace.name}
    if "markers" in (trace.mode or "lines"):
        colours = trace.marker.color
        panel.scatter(x, y, c=colours, marker=_MARKERS[trace.marker.symbol or "circle"], zorder=3, **named)
        if trace.error_y.array is not None:
            panel.errorbar(x, y, _values(trace.error_y.array), fmt="none", ecolor=trace.error_y.color, capsize=3)
        return
    if trace.fill == "tonexty":  # between the edges of a band, which have no line of their own
        *shade, alpha = map(float, re.findall(r"[\d.]+", trace.fillcolor))
        panel.fill_between(x, y, panel.edge, color=[part / 255 for part in shade], alpha=alpha, lw=0, **named)
    panel.edge = y
    if trace.line.width == 0:
        return
    panel.plot(x, y, color=trace.line.color, lw=0.7 * (trace.line.width or 1.5), **named)
    if trace.fill == "tozeroy":
        panel.fill_between(x, y, 0.0, color=trace.line.color, alpha=0.3, lw=0)


def _bar(panel: Any, trace: Any) -> None:
    x, y = _values(trace.x), _values(trace.y)
    error = trace.error_y.array
    width = 0.8 if len(x) < 2 or x.dtype.kind not in "Mf" else np.min(np.diff(x))
    bars = panel.bar(
        x,
        y,
        width=width if trace.width is None else trace.width,
        bottom=sum(np.nan_to_num(np.asarray([each.get_height() for each in below])) for below in panel.containers),
        color=trace.marker.color,
        alpha=trace.marker.opacity,
        yerr=None if error is None else _values(error),
        ecolor=INK,
        capsize=3,
    )
    if trace.showlegend:
        bars.set_label(trace.name)


def _candlestick(panel: Any, trace: Any) -> None:
    x = mpl.dates.date2num(_values(trace.x))
    width = 0.7 * (np.min(np.diff(x)) if len(x) > 1 else 1.0)
    opens, highs, lows, closes = (_values(getattr(trace, name)) for name in ("open", "high", "low", "close"))
    for side, kept in ((trace.increasing, closes >= opens), (trace.decreasing, closes < opens)):
        colour = side.line.color
        panel.vlines(x[kept], lows[kept], highs[kept], color=colour, lw=0.6)
        panel.bar(x[kept], (closes - opens)[kept], width, bottom=opens[kept], color=colour)
    panel.xaxis_date()


def _heatmap(panel: Any, trace: Any) -> None:
    z = _values(trace.z).reshape(len(trace.y), len(trace.x))
    most = float(np.nanmax(np.abs(z)))
    image = panel.imshow(z, cmap="RdBu", vmin=-most, vmax=most, aspect="auto", origin="lower")
    panel.set_xticks(range(len(trace.x)), list(trace.x))
    panel.set_yticks(range(len(trace.y)), list(trace.y))
    for row, column in np.argwhere(np.isfinite(z)) if trace.texttemplate else ():
        ink = "white" if abs(z[row, column]) > 0.5 * most else "#333333"
        panel.text(column, row, f"{z[row, column]:.2f}", ha="center", va="center", fontsize=8, color=ink)
    beside = panel.figure.colorbar(image, ax=panel)
    beside.set_label(trace.colorbar.title.text, color=INK)
    beside.ax.tick_params(color=INK, labelcolor=INK)
    beside.outline.set_visible(False)


def _waterfall(panel: Any, trace: Any) -> None:
    below = 0.0
    for place, (kind, value, text) in enumerate(zip(trace.measure, _values(trace.y), trace.text, strict=True)):
        start, end = (below, below + value) if kind == "relative" else (0.0, below if kind == "total" else value)
        side = trace.increasing if end >= start else trace.decreasing
        panel.bar(place, end - start, bottom=start, color=(trace.totals if kind != "relative" else side).marker.color)
        panel.annotate(text, (place, max(start, end)), ha="center", va="bottom", fontsize=8, color=INK)
        below = end
    panel.set_xticks(range(len(trace.x)), [_plain(wrapped(name)) for name in trace.x])
    panel.axhline(0.0, color=INK, lw=0.5)
    panel.use_sticky_edges = False
    panel.margins(y=0.12)


_DRAWN = {"scatter": _scatter, "bar": _bar, "heatmap": _heatmap, "waterfall": _waterfall, "candlestick": _candlestick}


def _lines(figure: go.Figure, panels: dict[str, Any]) -> None:
    """Upright lines where a fold begins, level ones where something is held against."""
    for shape in figure.layout.shapes:
        style = {"color": shape.line.color, "lw": shape.line.width, "ls": _DASHES.get(shape.line.dash, "-")}
        for panel in panels.values():
            if shape.x0 == shape.x1:
                panel.axvline(_values([shape.x0])[0], **style)
            elif shape.y0 == shape.y1:
                panel.axhline(shape.y0, **style)


def _dress(figure: go.Figure, name: str, panel: Any, *, is_last: bool) -> None:
    layout = figure.layout[f"yaxis{name[1:]}"]
    if layout.type == "log":
        panel.set_yscale("log")
        low, high = panel.get_ylim()
        if high < 10.0 * low:
            panel.yaxis.set_major_locator(mpl.ticker.MaxNLocator(6))
        panel.yaxis.set_major_formatter(mpl.ticker.StrMethodFormatter("{x:,.6g}"))
        panel.yaxis.set_minor_formatter(mpl.ticker.NullFormatter())
    elif not panel.images:
        panel.yaxis.set_major_formatter(mpl.ticker.StrMethodFormatter("{x:,.6g}"))
    if layout.range is not None:
        panel.set_ylim(*layout.range)
    if figure.layout[f"xaxis{name[1:]}"].dtick == 1:
        panel.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True))
    panel.set_ylabel(_plain(layout.title.text or ""), fontsize=8, color=INK)
    panel.tick_params(labelsize=8, color=INK, labelcolor=INK)
    if not panel.images:
        panel.grid(visible=True, color=INK, alpha=0.45, lw=0.8)
    panel.set_axisbelow(True)
    for side, spine in panel.spines.items():
        spine.set(visible=side in ("left", "bottom"), edgecolor=INK)
    if is_last:
        panel.set_xlabel(figure.layout[f"xaxis{name[1:]}"].title.text or "", fontsize=8, color=INK)
    if panel.get_legend_handles_labels()[1]:
        panel.legend(fontsize=8, frameon=False, loc="upper left", ncols=4, labelcolor=INK)


def _values(of: Any) -> np.ndarray[Any, np.dtype[Any]]:
    """Times without their zone, which is UTC; numbers as they are, those that plotly has written as bytes too."""
    if isinstance(of, Mapping):
        return np.frombuffer(base64.b64decode(of["bdata"]), dtype=of["dtype"])
    values = np.asarray(of)
    if values.dtype.kind in "USO" and values.size and re.match(r"\d{4}-\d\d-\d\d", str(values[0])):
        return pd.DatetimeIndex(pd.to_datetime(values, utc=True, format="ISO8601")).tz_localize(None).to_numpy()
    return values
