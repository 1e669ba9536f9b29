"""The report's figures. Every one says in its subtitle whose market it is of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sapphire.domain.theme import BLUE, GREEN, INK, NUMBERS, ORANGE, colours, dress, span, wrapped

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

    from sapphire.monitoring.reading.latency_traces import LatencySummary

__all__ = ["equity_figure", "latency_figure", "positions_figure", "steps_figure"]


def equity_figure(
    label: str, traded: pd.Series[float], evidence: pd.Series[float], buy_and_hold: pd.Series[float]
) -> go.Figure:
    """Growth of 1 of the account, of the evidence of the same bars and of buy-and-hold; traded less evidence below.

    Parameters
    ----------
    traded, evidence, buy_and_hold : by close time, each divided by its first value.
    """
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.74, 0.26], vertical_spacing=0.05)
    curves: Sequence[tuple[str, pd.Series[float], dict[str, Any]]] = (
        ("buy and hold, no costs", buy_and_hold, {"color": INK, "width": 1.2}),
        ("traded", traded, {"color": BLUE, "width": 2.4}),
        ("evidence of the same bars", evidence, {"color": ORANGE, "width": 1.4, "dash": "dot"}),
    )
    for name, values, line in curves:
        figure.add_scatter(x=values.index, y=values, name=name, line=line, row=1, col=1)
    gap = 1e4 * (traded - evidence)
    figure.add_scatter(
        x=gap.index, y=gap, name="difference", line={"color": BLUE, "width": 1.2}, showlegend=False, row=2, col=1
    )
    if not gap.abs().max() > 0.0:
        figure.update_yaxes(range=[-1, 1], row=2, col=1)
    figure.update_yaxes(title_text="growth of 1", row=1, col=1)
    figure.update_yaxes(title_text="difference, bps", row=2, col=1)
    figure.update_xaxes(title_text="close, UTC", row=2, col=1)
    return dress(figure, "Equity, traded and by the evidence", label, height=540)


def positions_figure(
    label: str, closes: pd.DataFrame, weights: pd.DataFrame, fills: Mapping[str, Sequence[tuple[Any, float, str]]]
) -> go.Figure:
    """Each symbol's close with every fill on it, and the share of equity held below.

    Parameters
    ----------
    closes, weights : close time by symbol; quote per base, and percent of equity.
    fills : symbol to (time, price, side).
    """
    from plotly.subplots import make_subplots

    symbols = list(closes.columns)
    rows = len(symbols) + 1
    heights = [*([0.72 / len(symbols)] * len(symbols)), 0.28]
    figure = make_subplots(rows=rows, cols=1, shared_xaxes=True, row_heights=heights, vertical_spacing=0.04)
    sides = {"BUY": ("bought", "triangle-up", GREEN), "SELL": ("sold", "triangle-down", ORANGE)}
    for row, (symbol, colour) in enumerate(zip(symbols, colours(len(symbols)), strict=True), start=1):
        line = {"color": INK, "width": 1}
        figure.add_scatter(x=closes.index, y=closes[symbol], line=line, showlegend=False, name=symbol, row=row, col=1)
        for side, (name, mark, tint) in sides.items():
            points = [(at, price) for at, price, of in fills.get(symbol, ()) if of == side]
            figure.add_scatter(
                x=[at for at, _ in points],
                y=[price for _, price in points],
                mode="markers",
                marker={"symbol": mark, "size": 8, "color": tint},
                name=name,
                legendgroup=name,
                showlegend=row == 1,
                row=row,
                col=1,
            )
        figure.add_scatter(
            x=weights.index,
            y=weights[symbol],
            name=f"{symbol} held",
            line={"color": colour, "width": 1.4, "shape": "hv"},
            row=rows,
            col=1,
        )
        figure.update_yaxes(title_text=symbol, tickformat=NUMBERS, row=row, col=1)
    figure.update_yaxes(title_text="held, % of equity", row=rows, col=1)
    figure.update_xaxes(title_text="close, UTC", row=rows, col=1)
    return dress(figure, "Fills and positions", label, height=240 * len(symbols) + 220)


def steps_figure(label: str, steps_bps: Mapping[str, float]) -> go.Figure:
    """What each assumption changes, basis points of the starting equity, in the order in which they are made."""
    import plotly.graph_objects as go

    values = list(steps_bps.values())
    bars = go.Bar(
        x=list(steps_bps),
        y=values,
        text=[f"{value:+.2f}" for value in values],
        textposition="outside",
        cliponaxis=False,
        marker={"color": [GREEN if value > 0 else ORANGE for value in values], "line": {"width": 0}},
        width=0.5,
    )
    figure = go.Figure(bars)
    names = {"tickvals": list(steps_bps), "ticktext": [wrapped(name) for name in steps_bps]}
    figure.update_xaxes(title_text="cost made real", type="category", **names)
    room = span([1.12 * value for value in values], holds=[0.0])
    figure.update_yaxes(title_text="change, bps of starting equity", range=room)
    return dress(figure, "From no costs to what was traded", label, height=380)


def latency_figure(
    label: str, spans_us: Mapping[str, Sequence[float]], summaries: Sequence[LatencySummary]
) -> go.Figure:
    """Every order's time in each hop, on a log axis; n stands at each name.

    Parameters
    ----------
    spans_us : hop to microseconds, one number for each order that passed it.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    for summary in summaries:
        figure.add_box(
            x=list(spans_us[summary.hop]),
            name=f"{summary.hop}, n = {summary.n:,}",
            boxpoints="all",
            jitter=0.5,
            pointpos=0,
            marker={"color": BLUE, "size": 3, "opacity": 0.55},
            line={"color": INK, "width": 1},
            fillcolor="rgba(0,0,0,0)",
            showlegend=False,
        )
    figure.update_xaxes(title_text="microseconds, log scale", type="log", dtick="D2")
    figure.update_yaxes(autorange="reversed")
    return dress(figure, "Latency by hop", label, height=60 * max(1, len(summaries)) + 150, left=190)
