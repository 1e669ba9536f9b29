"""Candles: a market as people read it, one panel per symbol, what was traded below.

A screen has no room for thousands of candles, and a notebook none for their numbers. Bars are put together to longer
ones until there are few enough, and the title says of which length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sapphire.domain.errors import MissingData
from sapphire.domain.intervals import INTERVALS, Interval
from sapphire.domain.theme import GREEN, INK, NUMBERS, ORANGE, colours, dress, log_axis

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go
    from numpy.typing import NDArray

    from sapphire.domain.bars import Bars

__all__ = ["MOST_CANDLES", "Candles", "add_candles", "candle_figure", "candles_of", "price_axis"]

MOST_CANDLES = 360
"""More of them are hairs that nobody tells apart."""
_MOST_PANELS = 6
_LOG_FROM = 10.0
"""How far prices have to have moved, as highest over lowest, for a log axis to be the one that is read."""
_DAY_NS = 86_400_000_000_000
_DAYS = (2, 3, 7, 14, 28, 91, 182, 364)


@dataclass(frozen=True, slots=True, eq=False)
class Candles:
    """Bars as they are drawn.

    Parameters
    ----------
    length : of a candle, as people write it: "4h", "7d".
    length_ns : the same in nanoseconds.
    opens_ns : int64 [N], when each opens.
    frames : "open", "high", "low", "close", "volume" (base) and "traded" (quote) to a frame, candle by symbol; NaN
        where a symbol has no bar in the candle.
    """

    length: str
    length_ns: int
    opens_ns: NDArray[np.int64]
    frames: dict[str, pd.DataFrame]

    @property
    def times(self) -> pd.DatetimeIndex:
        """When each opens, UTC."""
        import pandas as pd

        return pd.DatetimeIndex(self.opens_ns.view("datetime64[ns]"), tz="UTC")

    def described(self, bars: Bars) -> str:
        """Of what length they are, and of which bars they are made."""
        return f"{self.length} candles" + ("" if self.length == str(bars.interval) else f" of {bars.interval} bars")

    def of(self, times_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """The candle that holds each moment, int64 as the times: places in `opens_ns`."""
        return np.searchsorted(self.opens_ns, times_ns, side="right") - 1


def candles_of(bars: Bars, most: int = MOST_CANDLES) -> Candles:
    """The bars as at most `most` candles, of the shortest length that is enough.

    A candle's open is that of its first bar, its close that of its last; what a symbol does not have is not filled in.
    Candles of less than a day lie on the grid of their length, longer ones begin with the first bar's day.

    Raises
    ------
    MissingData : no bars.
    """
    import pandas as pd

    if not len(bars):
        raise MissingData("no bars to draw", expected="at least one bar", got=repr(bars), next="take a longer range")
    length, length_ns = _length(bars, most)
    first = int(bars.open_time_ns[0])
    origin = first - first % min(length_ns, _DAY_NS)
    opens = origin + (bars.open_time_ns - origin) // length_ns * length_ns
    frames = {name: bars.frame(name) for name in ("open", "high", "low", "close", "volume")}
    frames["traded"] = frames["close"] * frames["volume"]
    grouped = {name: frame.groupby(opens) for name, frame in frames.items()}
    made = {
        "open": grouped["open"].first(),
        "high": grouped["high"].max(),
        "low": grouped["low"].min(),
        "close": grouped["close"].last(),
        "volume": grouped["volume"].sum(min_count=1),
        "traded": grouped["traded"].sum(min_count=1),
    }
    index = pd.Index(np.unique(opens))
    return Candles(length, length_ns, index.to_numpy(dtype=np.int64), {n: f.reindex(index) for n, f in made.items()})


def candle_figure(bars: Bars, label: str, symbols: Sequence[str] | None = None) -> go.Figure:
    """One panel of candles per symbol, and the value that was traded below.

    Parameters
    ----------
    label : where the bars are from.
    symbols : which; all of them unless given, and of many the first six, which the title says.

    Raises
    ------
    UnknownInstrument : a symbol that the bars do not have.
    MissingData : no bars, or no symbol.
    """
    from plotly.subplots import make_subplots

    chosen = bars.symbols_only(bars.symbols[:_MOST_PANELS] if symbols is None else symbols)
    if not chosen.symbols:
        raise MissingData("no symbol to draw", expected="some of " + ", ".join(bars.symbols), got="none")
    candles = candles_of(chosen)
    word, factor = _scale(float(candles.frames["traded"].sum(axis=1).max()))
    rows = len(chosen.symbols) + 1
    heights = [*([0.76 / (rows - 1)] * (rows - 1)), 0.24]
    figure = make_subplots(rows=rows, cols=1, shared_xaxes=True, row_heights=heights, vertical_spacing=0.12 / rows)
    for row, (symbol, colour) in enumerate(zip(chosen.symbols, colours(rows - 1), strict=True), start=1):
        add_candles(figure, candles, symbol, row=row)
        figure.add_bar(
            x=candles.times,
            y=candles.frames["traded"][symbol] / factor,
            name=symbol,
            marker={"color": colour, "opacity": 0.75, "line": {"width": 0}},
            showlegend=rows > 2,
            hovertemplate=f"%{{y:{NUMBERS}}}",
            row=rows,
            col=1,
        )
    quotes = " or ".join(sorted({_quote(symbol) for symbol in chosen.symbols}))
    scale = {"tickformat": NUMBERS, "rangemode": "tozero", "nticks": 5}
    figure.update_yaxes(title_text=f"traded, {word}{quotes}", **scale, row=rows, col=1)
    figure.update_xaxes(title_text="open, UTC", row=rows, col=1)
    figure.update_layout(barmode="stack", bargap=0.0, hovermode="x unified")
    left_out = len(bars.symbols) - len(chosen.symbols) if symbols is None else 0
    named = ", ".join(chosen.symbols) + (f" and {left_out} more, which symbols=[...] draws" if left_out else "")
    return dress(figure, f"{named}: {candles.described(bars)}", label, height=max(420, 230 * (rows - 1) + 200))


def add_candles(figure: go.Figure, candles: Candles, symbol: str, *, row: int = 1) -> None:
    """Draw a symbol's candles into a row of a figure, and give its axis the symbol and ticks that are prices."""
    frames = {name: candles.frames[name][symbol] for name in ("open", "high", "low", "close")}
    sides: dict[str, Any] = {
        name: {"line": {"color": colour, "width": 1}, "fillcolor": colour}
        for name, colour in (("increasing", GREEN), ("decreasing", ORANGE))
    }
    figure.add_candlestick(x=candles.times, **frames, **sides, name=symbol, showlegend=False, row=row, col=1)
    figure.update_xaxes(rangeslider={"visible": False}, row=row, col=1)
    figure.update_yaxes(**price_axis(symbol, frames["low"], frames["high"]), row=row, col=1)


def price_axis(symbol: str, low: pd.Series[float], high: pd.Series[float]) -> dict[str, Any]:
    """Settings of an axis of prices: its title, full numbers, and a log scale where prices went far."""
    spread = float(high.max()) / float(low.min()) if low.notna().any() else 1.0
    is_log = spread >= _LOG_FROM
    return {
        "title_text": f"{symbol.partition('/')[0]} in {_quote(symbol)}" + (", log" if is_log else ""),
        **(log_axis(low, high) if is_log else {"type": "linear", "nticks": 8}),
        "tickformat": NUMBERS,
        "hoverformat": NUMBERS,
        "tickfont": {"color": INK},
    }


def _quote(symbol: str) -> str:
    return symbol.partition("/")[2].partition(":")[0]


def _scale(largest: float) -> tuple[str, float]:
    """The word and the factor by which large amounts are read."""
    words = (("billion ", 1e9), ("million ", 1e6), ("thousand ", 1e3))
    return next(((word, factor) for word, factor in words if largest >= 2 * factor), ("", 1.0))


def _length(bars: Bars, most: int) -> tuple[str, int]:
    """The shortest length of a candle of which `most` hold all bars."""
    first, last = int(bars.open_time_ns[0]), int(bars.open_time_ns[-1])
    within = [Interval(text) for text in INTERVALS if Interval(text).is_multiple_of(bars.interval)]
    lengths = [*((each.text, each.ns) for each in within), *((f"{days}d", days * _DAY_NS) for days in _DAYS)]
    for text, length_ns in lengths:
        if (last - first // length_ns * length_ns) // length_ns < most:
            return text, length_ns
    return lengths[-1]
