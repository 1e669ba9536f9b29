"""The one look of every figure: what is drawn stands on a light page and on a dark one.

Backgrounds are transparent and the ink is a middle grey, which is told apart from white and from JupyterLab's dark page
alike (contrast 4.3 and 4.4). Colours are Okabe and Ito's (2008), which stay apart for colour-blind readers: without
black and yellow, of which one page or the other shows nothing, and with a blue that is light enough for the dark page.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from numpy.typing import ArrayLike

__all__ = [
    "BLUE",
    "FAINT",
    "GREEN",
    "HEIGHT",
    "INK",
    "LEFT",
    "NUMBERS",
    "ORANGE",
    "PALETTE",
    "colours",
    "dress",
    "log_axis",
    "span",
    "translucent",
    "wrapped",
]

INK = "#7a7a7a"
FAINT = "rgba(128,128,128,0.22)"
BLUE, ORANGE, GREEN = "#1A80BB", "#D55E00", "#009E73"
PALETTE = (BLUE, ORANGE, GREEN, "#CC79A7", "#E69F00", "#56B4E9")
HEIGHT, LEFT = 420, 64
NUMBERS = ",.6~r"
"""Six digits, thousands apart, no powers and no prefixes: 42,000 and 0.0000529, not 42k and 52.9µ."""

_CLEAR = "rgba(0,0,0,0)"
_LETTER_PX = 7.5
_TOP = 84
_TITLE = 96
_LEGEND = 84
"""Letters of a legend that has room beside the title's last line; a longer one stands below the figure."""
_MARGIN = 0.06
_FEW_DIGITS, _DECADES = 4.0, 300.0
"""Highest over lowest of a log axis from which its ticks are 1, 2 and 5, and from which they are powers of ten."""


def colours(count: int) -> list[str]:
    """The palette's first `count` colours, again from the first when they run out."""
    return [PALETTE[number % len(PALETTE)] for number in range(count)]


def wrapped(text: str, letters: int = 14) -> str:
    """A text on lines of at most that many letters, as a figure shows them.

    >>> wrapped("fees in what is received")
    'fees in what<br>is received'
    """
    return "<br>".join(textwrap.wrap(text, letters))


def translucent(colour: str, opacity: float) -> str:
    """A colour `#rrggbb` with an opacity from 0 to 1.

    >>> translucent("#1A80BB", 0.2)
    'rgba(26,128,187,0.2)'
    """
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"


def span(*ends: ArrayLike, holds: Iterable[float] = ()) -> list[float] | None:
    """A range for an axis which holds all of these with room at both ends; None where no number is finite.

    Parameters
    ----------
    ends : what is drawn: values, and both ends of their error bars.
    holds : further values that the axis has to show, such as 0.

    >>> span([1.0, 3.0], [float("nan")], holds=[0.0])
    [-0.18, 3.18]
    """
    every = np.concatenate([np.asarray(each, dtype=np.float64).ravel() for each in (*ends, list(holds))])
    every = every[np.isfinite(every)]
    if not every.size:
        return None
    low, high = float(every.min()), float(every.max())
    room = _MARGIN * (high - low) or max(abs(high), 1.0) * _MARGIN
    return [round(low - room, 12), round(high + room, 12)]


def log_axis(*values: ArrayLike) -> dict[str, Any]:
    """Settings of a log axis that shows these values: as many ticks as there is room for, on numbers that people say.

    Plotly would write one at every digit, and the upper ones over each other.

    >>> log_axis([0.9, 1.4]), log_axis([20.0, 900.0]), log_axis([1.0, 5_000.0])
    ({'type': 'log'}, {'type': 'log', 'dtick': 'D2'}, {'type': 'log', 'dtick': 1})
    """
    every = np.concatenate([np.asarray(each, dtype=np.float64).ravel() for each in values])
    every = every[np.isfinite(every) & (every > 0.0)]
    ratio = float(every.max() / every.min()) if every.size else 1.0
    if ratio < _FEW_DIGITS:
        return {"type": "log"}
    return {"type": "log", "dtick": "D2" if ratio < _DECADES else 1}


def dress(figure: go.Figure, title: str, label: str, *, height: int = HEIGHT, left: int = LEFT) -> go.Figure:
    """Give a figure its title, the label of its data below it, and the look; hands the figure back.

    Axis titles that are longer than their panel are wrapped.

    Parameters
    ----------
    label : where the data are from.
    height, left : pixels; the left margin grows where the ticks need it.
    """
    figure.update_layout(
        template="none",
        title={
            "text": f"{wrapped(title, _TITLE)}<br><sup>{label}</sup>",
            "x": 0.01,
            "xanchor": "left",
            "font": {"size": 16},
        },
        height=height,
        margin={"l": left, "r": 24, "t": _TOP, "b": 52},
        font={"family": "system-ui, sans-serif", "size": 13, "color": INK},
        paper_bgcolor=_CLEAR,
        plot_bgcolor=_CLEAR,
        modebar={"bgcolor": _CLEAR, "color": INK, "activecolor": BLUE},
        legend={"bgcolor": _CLEAR, "traceorder": "normal", "orientation": "h"},
        hoverlabel={"bgcolor": "#2b2b2b", "bordercolor": INK, "font": {"color": "#f2f2f2", "size": 12}},
    )
    _place_legend(figure, height)
    figure.update_annotations(font={"color": INK})
    ruled: dict[str, Any] = {"gridcolor": FAINT, "linecolor": FAINT}
    ruled |= {"exponentformat": "none", "separatethousands": True}
    figure.update_xaxes(zeroline=False, automargin=True, spikecolor=INK, spikethickness=1, spikedash="dot", **ruled)
    figure.update_yaxes(zerolinecolor="rgba(128,128,128,0.5)", automargin=True, **ruled)
    for axis in (*figure.select_xaxes(), *figure.select_yaxes()):
        if axis.type == "log":
            axis.update(tickformat=NUMBERS, minor={"showgrid": False})
    for axis in figure.select_yaxes():
        low, high = axis.domain or (0.0, 1.0)
        letters = max(8, int((high - low) * (height - _TOP - figure.layout.margin.b) / _LETTER_PX))
        if axis.title.text:
            axis.title.update(text=wrapped(axis.title.text, letters), standoff=6)
    return figure


def _place_legend(figure: go.Figure, height: int) -> None:
    """Above the figure at the right where it is short, else below it."""
    named = [trace.name or "" for trace in figure.data if trace.showlegend is not False]
    letters = sum(len(name) + 8 for name in named)
    if letters <= _LEGEND:
        figure.update_layout(legend={"x": 1, "xanchor": "right", "y": 1.01, "yanchor": "bottom"})
        return
    rows = -(-letters // _LEGEND)
    below = 52 + 22 * rows
    top = -60.0 / (height - _TOP - below)
    figure.update_layout(legend={"x": 0, "xanchor": "left", "y": top, "yanchor": "top"}, margin={"b": below})
