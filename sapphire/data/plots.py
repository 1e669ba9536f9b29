"""The room's one figure: what a snapshot's market did."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from sapphire.data.snapshots import Snapshot

__all__ = ["closes_and_volume"]

_MAX_POINTS = 4_000
"""Points per line; more cannot be told apart on a screen and make a notebook heavy."""


def closes_and_volume(snapshot: Snapshot) -> go.Figure:
    """Closes on a log axis; below, the value traded (close times volume), summed where points are thinned out."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    bars = snapshot.bars
    step = -(-len(bars) // _MAX_POINTS)
    ends = np.arange(step, len(bars) + step, step).clip(max=len(bars)) - 1
    starts = np.concatenate([[0], ends[:-1] + 1])
    times = bars.times[ends]
    quotes = " or ".join(sorted({instrument.quote for instrument in snapshot.instruments}))
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.72, 0.28], vertical_spacing=0.04)
    for column, symbol in enumerate(bars.symbols):
        value = np.add.reduceat(np.nan_to_num(bars.close[:, column] * bars.volume[:, column]), starts)
        colour = _COLOURS[column % len(_COLOURS)]
        named = {"name": symbol, "legendgroup": symbol}
        line = go.Scatter(
            x=times, y=bars.close[ends, column], mode="lines", line={"color": colour, "width": 1.3}, **named
        )
        figure.add_trace(line, row=1, col=1)
        below = go.Scatter(
            x=times, y=value, mode="lines", line={"color": colour, "width": 0.8}, showlegend=False, **named
        )
        figure.add_trace(below, row=2, col=1)
    thinned = "" if step == 1 else f", one close in {step}"
    title = f"{', '.join(bars.symbols)}, {bars.interval} bars{thinned}<br><sub>{snapshot.provenance.label}</sub>"
    figure.update_layout(
        height=480,
        title={"text": title},
        hovermode="x unified",
        margin={"l": 60, "r": 20, "t": 70, "b": 40},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
    )
    figure.update_yaxes(title_text=f"close, {quotes} (log)", type="log", row=1, col=1)
    figure.update_yaxes(title_text=f"traded, {quotes}", rangemode="tozero", row=2, col=1)
    figure.update_xaxes(title_text="bar close, UTC", row=2, col=1)
    return figure


_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8A8A8A", "#B8A900")
"""Okabe and Ito (2008), the colours that colour-blind readers tell apart, without black and pure yellow."""
