"""The figures of results. Every one carries the provenance of its data in its subtitle, and units on its axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sapphire.domain.theme import BLUE, GREEN, INK, ORANGE, dress, log_axis, span, translucent, wrapped

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go
    from numpy.typing import ArrayLike

    from sapphire.statistics import ReliabilityBin

__all__ = [
    "decay_figure",
    "equity_figure",
    "heatmap_figure",
    "line_up_figure",
    "paired_figure",
    "quantile_figure",
    "reliability_figure",
    "slopes_figure",
    "waterfall_figure",
]

_MARKERS = ("circle", "square", "diamond", "triangle-up", "x")
_CELLS = 150
"""A heatmap of more has no room for numbers in its cells."""
_ASIDE = 0.15
"""How far apart the points of two names stand, in folds."""
_POINTS = 1_500
"""More than a screen shows; a notebook with longer curves grows by megabytes."""


def equity_figure(
    title: str, label: str, equity: pd.DataFrame, drawdown: pd.Series[float], *, folds: Sequence[Any] = ()
) -> go.Figure:
    """Growth of one unit per column of `equity` on a log axis, and the first column's drawdown below.

    Long curves are drawn through every k-th point, and the drawdown through the deepest of each k.

    Parameters
    ----------
    equity : close time by name, each divided by its first value; the first column is the one that is judged.
    drawdown : fractions at or below zero, same index.
    folds : starts of test windows, drawn as faint lines.
    """
    from plotly.subplots import make_subplots

    stride = max(1, -(-len(equity) // _POINTS))
    equity = equity.iloc[::-stride].iloc[::-1]
    drawdown = drawdown.rolling(stride, min_periods=1).min().reindex(equity.index)
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.72, 0.28], vertical_spacing=0.05)
    for (name, values), colour in zip(equity.items(), (BLUE, INK, ORANGE, GREEN), strict=False):
        width = 2 if colour == BLUE else 1.3
        figure.add_scatter(
            x=equity.index, y=values, name=str(name), line={"color": colour, "width": width}, row=1, col=1
        )
    figure.add_scatter(
        x=drawdown.index,
        y=100 * drawdown,
        name="drawdown",
        fill="tozeroy",
        line={"color": ORANGE, "width": 1},
        showlegend=False,
        row=2,
        col=1,
    )
    faint = {"color": INK, "width": 0.5, "dash": "dot"}
    figure.update_layout(
        shapes=[
            {"type": "line", "x0": fold, "x1": fold, "y0": 0, "y1": 1, "yref": "paper", "line": faint} for fold in folds
        ]
    )
    figure.update_yaxes(title_text="growth of 1", **log_axis(equity), row=1, col=1)
    figure.update_yaxes(title_text="drawdown, %", range=span(100 * drawdown, holds=[-0.1, 0.0]), row=2, col=1)
    figure.update_xaxes(title_text="close, UTC", row=2, col=1)
    return dress(figure, title, label, height=520)


def paired_figure(
    title: str, label: str, growth: pd.DataFrame, difference: pd.Series[float], error: float
) -> go.Figure:
    """Two accounts and what is drawn beside them; below, the difference of their returns, added up.

    The band is what two standard errors make of no difference at all: a sum of t of T differences has the error
    `error * sqrt(t T)`, so that it is as wide at the end as that of the mean.

    Parameters
    ----------
    growth : close time by name, each divided by its first value; the first two are compared.
    difference : return of the first less that of the second, from the second close on.
    error : standard error of the mean difference.
    """
    from plotly.subplots import make_subplots

    added = 100.0 * difference.cumsum()
    count = np.arange(1, len(added) + 1)
    width = 200.0 * error * np.sqrt(count * len(added))
    stride = max(1, -(-len(growth) // _POINTS))
    growth, width, added = growth.iloc[::-stride].iloc[::-1], width[::-stride][::-1], added.iloc[::-stride].iloc[::-1]
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.6, 0.4], vertical_spacing=0.06)
    for (name, values), colour in zip(growth.items(), (BLUE, ORANGE, INK, GREEN), strict=False):
        line = {"color": colour, "width": 1.2 if colour == INK else 1.8}
        figure.add_scatter(x=growth.index, y=values, name=str(name), line=line, row=1, col=1)
    edge: dict[str, Any] = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
    figure.add_scatter(x=added.index, y=-width, name="band", **edge, row=2, col=1)
    band = {"fill": "tonexty", "fillcolor": translucent(INK, 0.2)}
    named = {"name": "± 2 standard errors of no difference", "showlegend": True}
    figure.add_scatter(x=added.index, y=width, **(edge | band | named), row=2, col=1)
    figure.add_scatter(
        x=added.index,
        y=added,
        name="first less second",
        line={"color": BLUE, "width": 1.5},
        showlegend=False,
        row=2,
        col=1,
    )
    figure.update_yaxes(title_text="growth of 1", **log_axis(growth), row=1, col=1)
    inside = span(added.to_numpy(), -width, width)
    figure.update_yaxes(title_text="difference, added up, %", range=inside, row=2, col=1)
    figure.update_xaxes(title_text="close, UTC", row=2, col=1)
    return dress(figure, title, label, height=560)


def heatmap_figure(title: str, label: str, grid: pd.DataFrame, value: str) -> go.Figure:
    """One number over two parameters; rows and columns are named by the frame's index and columns."""
    import plotly.graph_objects as go

    heat = go.Heatmap(
        z=grid.to_numpy(),
        x=[str(column) for column in grid.columns],
        y=[str(row) for row in grid.index],
        colorscale="RdBu",
        zmid=0.0,
        colorbar={"title": value, "outlinewidth": 0},
        texttemplate="%{z:.2f}" if grid.size <= _CELLS else None,
        xgap=1,
        ygap=1,
        hovertemplate=f"{grid.columns.name} %{{x}}<br>{grid.index.name} %{{y}}<br>{value} %{{z:.2f}}<extra></extra>",
    )
    figure = go.Figure(heat)
    figure.update_xaxes(title_text=str(grid.columns.name), type="category")
    figure.update_yaxes(title_text=str(grid.index.name), type="category")
    return dress(figure, title, label)


def waterfall_figure(
    title: str, label: str, start: tuple[str, float], steps: Mapping[str, float], end: str
) -> go.Figure:
    """What each assumption costs, in basis points of the starting equity, in the order in which they are made."""
    import plotly.graph_objects as go

    names = [start[0], *steps, end]
    values = [start[1], *steps.values(), 0.0]
    total = start[1] + sum(steps.values())
    shown = [start[1], *steps.values(), total]
    figure = go.Figure(
        go.Waterfall(
            x=names,
            y=values,
            measure=["absolute", *("relative" for _ in steps), "total"],
            text=[f"{value:+.1f}" for value in shown],
            textposition="outside",
            decreasing={"marker": {"color": ORANGE, "line": {"width": 0}}},
            increasing={"marker": {"color": GREEN, "line": {"width": 0}}},
            totals={"marker": {"color": BLUE, "line": {"width": 0}}},
            connector={"line": {"color": INK, "width": 0.5}},
            cliponaxis=False,
        )
    )
    reached = np.cumsum(values[:-1])
    figure.update_xaxes(title_text="assumption made real", tickvals=names, ticktext=[wrapped(name) for name in names])
    figure.update_yaxes(title_text="return, bps of starting equity", range=_with_text(reached))
    return dress(figure, title, label)


def decay_figure(
    title: str, label: str, horizons: Sequence[str], mean: Sequence[float], error: Sequence[float]
) -> go.Figure:
    """Rank information coefficient by horizon, with two standard errors."""
    return line_up_figure(title, label, horizons, mean, error, across="horizon", value="rank IC")


def quantile_figure(title: str, label: str, mean_bps: Sequence[float], error_bps: Sequence[float]) -> go.Figure:
    """Mean forward return by quantile of the forecast, with two standard errors."""
    names = [f"Q{number}" for number in range(1, len(mean_bps) + 1)]
    across = "quantile of the forecast, lowest first"
    return line_up_figure(title, label, names, mean_bps, error_bps, across=across, value="forward return, bps")


def line_up_figure(
    title: str,
    label: str,
    names: Sequence[str],
    values: Sequence[float],
    errors: Sequence[float],
    *,
    across: str,
    value: str,
) -> go.Figure:
    """One bar per name with two standard errors on either side; the axis says so."""
    import plotly.graph_objects as go

    bars = go.Bar(
        x=list(names),
        y=list(values),
        error_y={"type": "data", "array": [2 * error for error in errors], "color": INK},
        marker={"color": BLUE, "line": {"width": 0}},
        width=0.6,
    )
    figure = go.Figure(bars)
    figure.update_xaxes(title_text=across, type="category")
    figure.update_yaxes(title_text=f"{value}, ± 2 standard errors", range=_whiskers(values, errors, 0.0))
    return dress(figure, title, label)


def slopes_figure(
    title: str,
    label: str,
    slopes: Mapping[str, Sequence[tuple[int, float, float]]],
    value: str,
    against: float,
) -> go.Figure:
    """Slopes by fold with two standard errors: one row of points per name; a slope below zero is in another colour.

    Parameters
    ----------
    slopes : name to (fold, slope, standard error).
    against : the slope that is compared with, drawn as a line.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    for place, ((name, points), symbol) in enumerate(zip(slopes.items(), _MARKERS * len(slopes), strict=False)):
        aside = (place - (len(slopes) - 1) / 2) * _ASIDE
        figure.add_scatter(
            x=[fold + aside for fold, _, _ in points],
            y=[slope for _, slope, _ in points],
            error_y={"type": "data", "array": [2 * error for *_, error in points], "color": INK, "thickness": 1.2},
            mode="markers",
            name=name,
            showlegend=len(slopes) > 1,
            marker={
                "size": 10,
                "symbol": symbol,
                "color": [BLUE if slope >= 0.0 else ORANGE for _, slope, _ in points],
            },
        )
    figure.add_hline(y=against, line={"color": INK, "width": 1, "dash": "dash"})
    figure.update_xaxes(title_text="fold (orange: negative slope)", dtick=1)
    every = [point for points in slopes.values() for point in points]
    inside = _whiskers([slope for _, slope, _ in every], [error for *_, error in every], against)
    figure.update_yaxes(title_text=f"{value}, ± 2 SE", range=inside)
    return dress(figure, title, label)


def reliability_figure(title: str, label: str, points: Sequence[ReliabilityBin]) -> go.Figure:
    """Share of events by stated probability, with the interval of each share; below, how many were stated.

    Probabilities that mean what they say lie on the diagonal.

    Parameters
    ----------
    points : the lowest stated probability first; their intervals are of 90 %.
    """
    from plotly.subplots import make_subplots

    stated, shares = ([getattr(each, name) for each in points] for name in ("stated", "share"))
    edges = span(stated, [each.low for each in points], [each.high for each in points]) or [0.0, 1.0]
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.78, 0.22], vertical_spacing=0.06)
    line = {"color": INK, "width": 1, "dash": "dash"}
    figure.add_scatter(x=edges, y=edges, mode="lines", name="as stated", line=line, row=1, col=1)
    above, below = [each.high - each.share for each in points], [each.share - each.low for each in points]
    whiskers = {"type": "data", "array": above, "arrayminus": below, "color": INK, "thickness": 1.2}
    figure.add_scatter(
        x=stated,
        y=shares,
        error_y=whiskers,
        mode="lines+markers",
        name="what came, 90 % intervals",
        line={"color": BLUE, "width": 1.5},
        marker={"size": 8, "color": BLUE},
        row=1,
        col=1,
    )
    counts = [each.pairs for each in points]
    figure.add_bar(
        x=stated, y=counts, name="forecasts", marker={"color": translucent(BLUE, 0.5)}, showlegend=False, row=2, col=1
    )
    figure.update_yaxes(title_text="share that rose", range=edges, row=1, col=1)
    figure.update_yaxes(title_text="forecasts", rangemode="tozero", row=2, col=1)
    figure.update_xaxes(range=edges)
    figure.update_xaxes(title_text="stated probability of a rise", row=2, col=1)
    return dress(figure, title, label, height=520)


def _whiskers(values: Sequence[float], errors: Sequence[float], against: float) -> list[float] | None:
    """A range that holds two standard errors on either side of each value; one without an error counts alone."""
    middle, reach = np.asarray(values, dtype=np.float64), 2.0 * np.nan_to_num(np.asarray(errors, dtype=np.float64))
    return span(middle - reach, middle + reach, holds=[against])


def _with_text(ends: ArrayLike) -> list[float] | None:
    """A range for bars from zero that have their number above or below their end."""
    found = span(ends, holds=[0.0])
    room = 0.0 if found is None else 0.06 * (found[1] - found[0])
    return None if found is None else [found[0] - room, found[1] + room]
