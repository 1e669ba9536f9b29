"""Figures as still pictures: SVG that a page holds itself, without a script, readable on light and dark paper.

Plotly's figures need five megabytes of plotly in every page. A still is drawn from the figure's own traces by
matplotlib, with its text as text in the page's own colour.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["still"]

_INK, _PAPER = "#010203", "none"
"""The ink stands for the page's text colour, which replaces it in the picture."""
_GRID, _FAINT = "#808080", 0.25
_WIDTH, _PX_PER_INCH = 11.0, 96.0
_HEIGHT_PX = 420
_MARKERS = {"circle": "o", "square": "s", "diamond": "D", "triangle-up": "^", "triangle-down": "v", "x": "x"}
_DASHES = {"dot": ":", "dash": "--", "dashdot": "-."}
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "sapphire",
    "font.size": 9,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _GRID,
    "xtick.color": _INK,
    "ytick.color": _INK,
}


def still(figure: Mapping[str, Any]) -> str:
    """An HTML `figure` element of a plotly figure's JSON; a kind of trace that is not drawn here is named in it.

    Parameters
    ----------
    figure : `data` and `layout`, as a notebook keeps them.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    traces, layout = list(figure.get("data", ())), figure.get("layout", {})
    unknown = sorted({_kind(trace) for trace in traces} - _DRAWN.keys())
    head, _, below = _text(layout.get("title")).partition("<br>")
    caption = f"<figcaption><strong>{head}</strong> {re.sub('<[^>]*>', '', below)}</figcaption>"
    if unknown or not traces:
        return f"<figure>{caption}<p>{', '.join(unknown)}: drawn in the notebook beside this page.</p></figure>"
    names = sorted({trace.get("yaxis", "y") for trace in traces}, key=lambda name: int(name[1:] or 1))
    heights = [_share(layout, name) for name in names]
    with mpl.rc_context(_SETTINGS):
        size = (_WIDTH, float(layout.get("height") or _HEIGHT_PX) / _PX_PER_INCH)
        drawn = Figure(figsize=size, layout="constrained", facecolor=_PAPER)
        places = drawn.subplots(len(names), 1, sharex=True, squeeze=False, height_ratios=heights)
        panels = dict(zip(names, places[:, 0], strict=True))
        for panel in panels.values():
            panel.set_facecolor(_PAPER)
        for number, trace in enumerate(traces):
            _DRAWN[_kind(trace)](panels[trace.get("yaxis", "y")], trace, number)
        if all(_kind(trace) == "box" for trace in traces):
            panels[names[0]].set_yticks(range(len(traces)), [str(trace.get("name", "")) for trace in traces])
        for name, panel in panels.items():
            times = any(_values(trace.get("x")).dtype.kind == "M" for trace in traces)
            _dress(layout, name, panel, is_last=name == names[-1], times=times)
        out = io.StringIO()
        drawn.savefig(out, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    return f"<figure>{caption}{_inline(out.getvalue(), head)}</figure>"


def _inline(svg: str, name: str) -> str:
    """The `svg` element alone, in the page's colour and font, as wide as the page."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r'width="[^"]*pt" height="[^"]*pt"', 'width="100%"', body, count=1)
    body = body.replace(_INK, "currentColor")
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font: \1 system-ui, sans-serif", body)
    return body.replace("<svg ", f'<svg role="img" aria-label="{name}" ', 1)


def _kind(trace: Mapping[str, Any]) -> str:
    return str(trace.get("type", "scatter"))


def _text(title: Any) -> str:
    return str(title.get("text", "") if isinstance(title, Mapping) else title or "")


def _share(layout: Mapping[str, Any], name: str) -> float:
    low, high = layout.get(f"yaxis{name[1:]}", {}).get("domain") or (0.0, 1.0)
    return float(high - low)


def _values(given: Any) -> Any:
    """Numbers or times of a trace, however the notebook keeps them."""
    if isinstance(given, Mapping):
        return np.frombuffer(base64.b64decode(given["bdata"]), dtype=np.dtype(given["dtype"]))
    values = list(given if given is not None else ())
    if values and isinstance(values[0], str) and re.match(r"\d{4}-\d\d-\d\d", values[0]):
        return np.array([np.datetime64(value.removesuffix("Z").split("+")[0], "us") for value in values])
    return np.array([np.nan if value is None else value for value in values])


def _label(trace: Mapping[str, Any]) -> dict[str, str]:
    name = trace.get("name")
    return {} if trace.get("showlegend") is False or not name else {"label": str(name)}


def _scatter(panel: Axes, trace: Mapping[str, Any], _number: int) -> None:
    x, y = _values(trace.get("x")), _values(trace.get("y"))
    line, marker = trace.get("line", {}), trace.get("marker", {})
    mode, named = str(trace.get("mode", "lines")), _label(trace)
    if "lines" in mode:
        panel.plot(
            x,
            y,
            color=line.get("color"),
            lw=0.8 * float(line.get("width", 1.5)),
            ls=_DASHES.get(str(line.get("dash")), "-"),
            drawstyle="steps-post" if line.get("shape") == "hv" else "default",
            **named,  # type: ignore[arg-type]
        )
        named = {}
        if trace.get("fill") == "tozeroy":
            panel.fill_between(x, 0, y, color=line.get("color"), alpha=_FAINT, lw=0)
    if "markers" in mode and len(x):
        size = float(np.median(np.atleast_1d(marker.get("size", 6))))
        symbol = _MARKERS.get(str(marker.get("symbol", "circle")), "o")
        panel.scatter(x, y, c=marker.get("color"), marker=symbol, s=0.6 * size**2, zorder=3, lw=0.6, **named)  # type: ignore[arg-type]
    error = trace.get("error_y", {}).get("array")
    if error is not None:
        panel.errorbar(x, y, _values(error), fmt="none", ecolor=_GRID, capsize=3)


def _bar(panel: Axes, trace: Mapping[str, Any], _number: int) -> None:
    names, heights = [str(name) for name in trace["x"]], _values(trace["y"]).astype(float)
    bars = panel.bar(names, heights, width=0.5, color=trace.get("marker", {}).get("color"))
    if trace.get("text") is not None:
        panel.bar_label(bars, [str(text) for text in trace["text"]], padding=3)
    panel.margins(y=0.15)
    panel.axhline(0.0, color=_GRID, lw=0.8)


def _box(panel: Axes, trace: Mapping[str, Any], number: int) -> None:
    spans = _values(trace["x"]).astype(float)
    spans = spans[spans > 0.0]  # the axis is logarithmic: a span of zero has no place on it
    if not spans.size:
        return
    jitter = np.random.default_rng(number).uniform(-0.25, 0.25, spans.size)
    panel.scatter(spans, number + jitter, s=4, c=trace.get("marker", {}).get("color"), alpha=0.55, lw=0, zorder=3)
    style = {"color": _INK, "lw": 0.8}
    panel.boxplot(
        [spans],
        positions=[number],
        orientation="horizontal",
        widths=0.55,
        showfliers=False,
        manage_ticks=False,
        boxprops=style,
        whiskerprops=style,
        capprops=style,
        medianprops=style,
    )


_DRAWN = {"scatter": _scatter, "scattergl": _scatter, "bar": _bar, "box": _box}


def _dress(layout: Mapping[str, Any], name: str, panel: Axes, *, is_last: bool, times: bool) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.ticker import FuncFormatter

    across, up = layout.get(f"xaxis{name[1:]}", {}), layout.get(f"yaxis{name[1:]}", {})
    panel.grid(visible=True, color=_GRID, alpha=_FAINT, lw=0.6)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)
    panel.set_ylabel(_text(up.get("title")))
    if is_last:
        panel.set_xlabel(_text(across.get("title")))
    if across.get("type") == "log":
        panel.set_xscale("log")
        panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    if up.get("autorange") == "reversed":
        panel.invert_yaxis()
    if isinstance(up.get("range"), Sequence):
        panel.set_ylim(*map(float, up["range"]))
    if times:
        locator = AutoDateLocator(minticks=5, maxticks=10)  # type: ignore[no-untyped-call]
        panel.xaxis.set_major_locator(locator)
        panel.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    if panel.get_legend_handles_labels()[1]:
        panel.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=6, frameon=False, borderaxespad=0.2)
