"""A replay on the market that it traded: candles with what was bought and sold, what was believed, what was held."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sapphire.domain.candles import Candles, add_candles, candles_of
from sapphire.domain.clocks import from_ns
from sapphire.domain.errors import MissingData
from sapphire.domain.theme import BLUE, INK, NUMBERS, PALETTE, dress, span, translucent
from sapphire.research.results.showing import described

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go
    from numpy.typing import NDArray

    from sapphire.domain.bars import Bars
    from sapphire.domain.clocks import Instant
    from sapphire.research.results.replays import Replayed

__all__ = ["trades_figure"]

_SIDES = {
    "BUY": ("bought", "triangle-up", BLUE, "low", 1.0),
    "SELL": ("sold", "triangle-down", PALETTE[3], "high", -1.0),
}
"""Name, mark and colour; and where it stands: below a candle's low, above a candle's high."""
_AWAY = 0.03
"""How far a mark stands off its candle, of the height of the panel."""


def trades_figure(replayed: Replayed, symbol: str, start: Instant | None, end: Instant | None) -> go.Figure:
    """Candles and trades of a symbol; below them what was believed, and the share of equity that was held.

    All that was filled in one candle and on one side is one mark, with its mean price. Of a candle with several closes
    the last one's belief and position are shown.

    Raises
    ------
    UnknownInstrument : a symbol that the study does not have.
    MissingData : no tested bar in that time.
    """
    from plotly.subplots import make_subplots

    bars = _shown(replayed.study.tested.symbols_only([symbol]), start, end)
    candles = candles_of(bars)
    figure = make_subplots(rows=3, cols=1, shared_xaxes=True, row_heights=[0.62, 0.21, 0.17], vertical_spacing=0.05)
    add_candles(figure, candles, symbol, row=1)
    fills = _fills(replayed, candles, symbol)
    for side in _SIDES:
        _add_fills(figure, candles, fills[fills["side"] == side], symbol, side)
    last = np.flatnonzero(np.diff(candles.of(bars.open_time_ns), append=len(candles.opens_ns)))
    believed = replayed.beliefs.loc[bars.times].iloc[last]
    _add_belief(figure, candles, *(believed[number, symbol].to_numpy() for number in ("mean_bps", "std_bps")))
    weight = replayed.positions[symbol] * replayed.study.tested.frame("close")[symbol].ffill() / replayed.equity
    share = 100.0 * weight.loc[bars.times].iloc[last]
    figure.add_scatter(
        x=candles.times,
        y=share,
        name="held",
        line={"color": INK, "width": 1.2, "shape": "hv"},
        fill="tozeroy",
        fillcolor=translucent(INK, 0.25),
        showlegend=False,
        hovertemplate="%{y:.1f} %",
        row=3,
        col=1,
    )
    figure.update_yaxes(title_text="held, % of equity", range=span(share.to_numpy(), holds=[0.0, 1.0]), row=3, col=1)
    figure.update_xaxes(title_text="open of the candle, UTC", row=3, col=1)
    figure.update_layout(hovermode="x unified")
    title = f"Trades: {described(replayed.agent)}, {symbol}, {candles.described(bars)}"
    return dress(figure, title, replayed.study.label, height=640)


def _shown(bars: Bars, start: Instant | None, end: Instant | None) -> Bars:
    """The bars of a time, which has to have some."""
    first, last = from_ns(int(bars.open_time_ns[0])), from_ns(int(bars.close_time_ns[-1]))
    found = bars.slice(first if start is None else start, last if end is None else end)
    if not len(found):
        raise MissingData(
            "no tested bar in this time",
            expected=f"a time within {first:%Y-%m-%d %H:%M}Z to {last:%Y-%m-%d %H:%M}Z",
            got=f"{start or first} to {end or last}",
            next="leave start and end out, and everything is shown",
        )
    return found


def _fills(replayed: Replayed, candles: Candles, symbol: str) -> pd.DataFrame:
    """The fills of a symbol within the candles: by candle and side their number, quantity and mean price."""
    fills = replayed.fills
    times_ns = replayed.record["fills"]["time_ns"]
    ends_ns = int(candles.opens_ns[-1]) + candles.length_ns
    kept = (fills["symbol"] == symbol).to_numpy() & (times_ns >= candles.opens_ns[0]) & (times_ns < ends_ns)
    valued = fills[kept].assign(
        candle=candles.of(times_ns[kept]), value=lambda frame: frame["price"] * frame["quantity"]
    )
    summed: pd.DataFrame = valued.groupby(["candle", "side"], as_index=False).agg(
        quantity=("quantity", "sum"), value=("value", "sum"), fills=("order", "size")
    )
    summed["price"] = summed["value"] / summed["quantity"]
    return summed


def _add_fills(figure: go.Figure, candles: Candles, fills: pd.DataFrame, symbol: str, side: str) -> None:
    """Marks beside the candles, so that neither hides the other; the price is in what the mark says."""
    name, mark, colour, beyond, sign = _SIDES[side]
    places = fills["candle"].to_numpy()
    ends = candles.frames[beyond][symbol].to_numpy()[places]
    low, high = (getattr(candles.frames[each][symbol], which)() for each, which in (("low", "min"), ("high", "max")))
    is_log = figure.layout.yaxis.type == "log"
    away = ends * (high / low) ** (-sign * _AWAY) if is_log else ends - sign * _AWAY * (high - low)
    base, quote = symbol.partition("/")[0], symbol.partition("/")[2]
    figure.add_scatter(
        x=candles.times[places],
        y=away,
        mode="markers",
        name=name,
        marker={"symbol": mark, "size": 9, "color": colour, "line": {"width": 0}},
        customdata=fills[["quantity", "price", "fills"]].to_numpy(),
        hovertemplate=f"%{{customdata[0]:{NUMBERS}}} {base} at %{{customdata[1]:{NUMBERS}}} {quote}, "
        "fills: %{customdata[2]:,.0f}",
        row=1,
        col=1,
    )


def _add_belief(figure: go.Figure, candles: Candles, mean: NDArray[np.float64], deviation: NDArray[np.float64]) -> None:
    """What was believed: its mean, and one deviation on either side as a band."""
    edge: dict[str, Any] = {"mode": "lines", "line": {"width": 0}, "showlegend": False, "hoverinfo": "skip"}
    low, high = mean - deviation, mean + deviation
    figure.add_scatter(x=candles.times, y=low, name="band", **edge, row=2, col=1)
    band = {"fill": "tonexty", "fillcolor": translucent(BLUE, 0.28)}
    figure.add_scatter(x=candles.times, y=high, name="band", **edge, **band, row=2, col=1)
    figure.add_scatter(
        x=candles.times,
        y=mean,
        name="believed, ± 1 SD",
        mode="lines",
        line={"color": BLUE, "width": 1.5},
        customdata=deviation,
        hovertemplate="%{y:+.2f} ± %{customdata:.2f} bps",
        row=2,
        col=1,
    )
    figure.update_yaxes(title_text="believed, bps", range=span(low, high, holds=[0.0]), row=2, col=1)
