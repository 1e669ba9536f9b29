"""The house's figures. Every one carries the provenance of its data in its subtitle, and units on its axes.

Colours are Okabe and Ito's (2008), which stay apart for colour-blind readers; backgrounds are transparent, so a figure
stands on a light page and on a dark one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

__all__ = [
    "decay_figure",
    "equity_figure",
    "heatmap_figure",
    "line_up_figure",
    "quantile_figure",
    "slopes_figure",
    "waterfall_figure",
]

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#888888"
_HEIGHT = 420
_MARKERS = ("circle", "square", "diamond", "triangle-up", "x")
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
    for (name, values), colour in zip(equity.items(), (BLUE, GREY, ORANGE, GREEN), strict=False):
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
    faint = {"color": GREY, "width": 0.5, "dash": "dot"}
    figure.update_layout(
        shapes=[
            {"type": "line", "x0": fold, "x1": fold, "y0": 0, "y1": 1, "yref": "paper", "line": faint} for fold in folds
        ]
    )
    figure.update_yaxes(title_text="growth of 1", type="log", row=1, col=1)
    figure.update_yaxes(title_text="drawdown, %", row=2, col=1)
    figure.update_xaxes(title_text="close, UTC", row=2, col=1)
    return _dress(figure, title, label, height=520)


def heatmap_figure(title: str, label: str, grid: pd.DataFrame, value: str) -> go.Figure:
    """One number over two parameters; rows and columns are named by the frame's index and columns."""
    import plotly.graph_objects as go

    heat = go.Heatmap(
        z=grid.to_numpy(),
        x=[str(column) for column in grid.columns],
        y=[str(row) for row in grid.index],
        colorscale="RdBu",
        zmid=0.0,
        colorbar={"title": value},
        hovertemplate=f"{grid.columns.name} %{{x}}<br>{grid.index.name} %{{y}}<br>{value} %{{z:.2f}}<extra></extra>",
    )
    figure = go.Figure(heat)
    figure.update_xaxes(title_text=str(grid.columns.name), type="category")
    figure.update_yaxes(title_text=str(grid.index.name), type="category")
    return _dress(figure, title, label)


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
            decreasing={"marker": {"color": ORANGE}},
            increasing={"marker": {"color": GREEN}},
            totals={"marker": {"color": BLUE}},
            connector={"line": {"color": GREY, "width": 0.5}},
            cliponaxis=False,
        )
    )
    figure.update_xaxes(title_text="assumption made real")
    figure.update_yaxes(title_text="return, bps of starting equity")
    return _dress(figure, title, label)


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
        error_y={"type": "data", "array": [2 * error for error in errors], "color": GREY},
        marker={"color": BLUE},
    )
    figure = go.Figure(bars)
    figure.update_xaxes(title_text=across, type="category")
    figure.update_yaxes(title_text=f"{value}, ± 2 standard errors")
    return _dress(figure, title, label)


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
            error_y={"type": "data", "array": [2 * error for *_, error in points], "color": GREY, "thickness": 1.2},
            mode="markers",
            name=name,
            showlegend=len(slopes) > 1,
            marker={
                "size": 10,
                "symbol": symbol,
                "color": [BLUE if slope >= 0.0 else ORANGE for _, slope, _ in points],
            },
        )
    figure.add_hline(y=against, line={"color": GREY, "width": 1, "dash": "dash"})
    figure.update_xaxes(title_text="fold (orange: negative slope)", dtick=1)
    figure.update_yaxes(title_text=f"{value}, ± 2 SE")
    return _dress(figure, title, label)


def _dress(figure: go.Figure, title: str, label: str, *, height: int = _HEIGHT) -> go.Figure:
    figure.update_layout(
        title={"text": f"{title}<br><sup>{label}</sup>", "x": 0.02, "xanchor": "left"},
        height=height,
        margin={"l": 70, "r": 30, "t": 70, "b": 50},
        font={"family": "system-ui, sans-serif", "size": 13, "color": GREY},
        title_font={"size": 16},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        legend={"orientation": "h", "x": 1, "xanchor": "right", "y": 1.02, "yanchor": "bottom"},
    )
    figure.update_xaxes(gridcolor="rgba(128,128,128,0.18)", zeroline=False)
    figure.update_yaxes(gridcolor="rgba(128,128,128,0.18)", zerolinecolor="rgba(128,128,128,0.4)")
    return figure
