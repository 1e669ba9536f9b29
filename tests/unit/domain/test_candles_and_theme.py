"""How bars are drawn, and the look that every figure has."""

import doctest
import re
from pathlib import Path

import numpy as np
import pytest

import sapphire
from sapphire.domain import sameness, theme
from sapphire.domain.bars import Bars
from sapphire.domain.candles import MOST_CANDLES, candle_figure, candles_of
from sapphire.domain.errors import MissingData, UnknownInstrument
from sapphire.domain.intervals import Interval

ROOM = Path(sapphire.__file__).parent


def panel(count, symbols=("BTC/USDT", "ETH/USDT"), *, interval="1h", scale=1.0, spread=0.004, missing=()):
    shape = (count, len(symbols))
    closes = scale * 100.0 * np.exp(np.cumsum(np.random.default_rng(1).normal(0.0, spread, shape), axis=0))
    opens = np.vstack([closes[:1], closes[:-1]])
    arrays = {
        "open": opens,
        "high": 1.001 * np.maximum(opens, closes),
        "low": 0.999 * np.minimum(opens, closes),
        "close": closes,
        "volume": np.full(shape, 7.0),
        "listed": np.ones(shape, np.bool_),
    }
    for row in missing:
        for name, array in arrays.items():
            array[row, 0] = False if name == "listed" else np.nan
    times = 1_704_067_200_000_000_000 + np.arange(count) * Interval(interval).ns
    return Bars(symbols=symbols, interval=Interval(interval), open_time_ns=times, **arrays).validate()


def contrast(colour, page):
    """Of two colours `#rrggbb`, by WCAG 2."""

    def light(of):
        parts = [int(of[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((light(colour), light(page)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("module", [theme, sameness])
def test_doctests_hold(module):
    outcome = doctest.testmod(module)
    assert outcome.attempted > 0
    assert outcome.failed == 0


@pytest.mark.parametrize("page", ["#ffffff", "#111111"])
def test_words_and_colours_are_told_apart_from_a_light_page_and_from_a_dark_one(page):
    assert contrast(theme.INK, page) > 4.2
    assert all(contrast(colour, page) > 2.1 for colour in theme.PALETTE)
    assert all(contrast(colour, page) > 3.0 for colour in (theme.BLUE, theme.ORANGE, theme.GREEN))


def test_no_figure_has_a_look_of_its_own():
    styled = re.compile(r"paper_bgcolor|plot_bgcolor|\btemplate=|#[0-9A-Fa-f]{6}\b")
    drawing = [
        path for path in ROOM.rglob("*.py") if re.search(r"(import|from) plotly|theme import", path.read_text("utf-8"))
    ]
    assert len(drawing) > 8
    assert [path.name for path in drawing if styled.search(path.read_text("utf-8"))] == ["theme.py"]


def test_bars_are_candles_with_what_was_traded_below():
    bars = panel(50)
    figure = bars.plot()
    btc, traded = figure.data[0], figure.data[1]
    assert (btc.type, traded.type) == ("candlestick", "bar")
    for name in ("open", "high", "low", "close"):
        assert np.array_equal(getattr(btc, name), getattr(bars, name)[:, 0])
    assert np.allclose(traded.y, bars.close[:, 0] * 7.0)
    assert [str(each) for each in btc.x] == [str(each) for each in bars.open_times]
    assert figure.layout.paper_bgcolor == "rgba(0,0,0,0)"
    assert figure.layout.xaxis.rangeslider.visible is False


@pytest.mark.parametrize(
    ("interval", "count", "length"),
    [("1m", 300, "1m"), ("5m", 4_000, "1h"), ("1h", 720, "2h"), ("1h", 26_000, "7d"), ("1d", 4_000, "14d")],
)
def test_many_bars_are_few_candles_of_a_length_that_people_know(interval, count, length):
    bars = panel(count, interval=interval)
    candles = candles_of(bars)
    assert candles.length == length
    assert len(candles.opens_ns) <= MOST_CANDLES
    assert (np.diff(candles.opens_ns) == candles.length_ns).all()
    assert np.array_equal(candles.frames["high"].max(), bars.high.max(axis=0))
    assert candles.frames["volume"].to_numpy().sum() == pytest.approx(bars.volume.sum())
    inside = candles.of(bars.open_time_ns)
    place = len(candles.opens_ns) // 2
    rows = np.flatnonzero(inside == place)
    for symbol, column in zip(bars.symbols, (0, 1), strict=True):
        candle = {name: candles.frames[name][symbol].iloc[place] for name in candles.frames}
        assert (candle["open"], candle["close"]) == (bars.open[rows[0], column], bars.close[rows[-1], column])
        assert (candle["high"], candle["low"]) == (bars.high[rows, column].max(), bars.low[rows, column].min())


def test_what_a_symbol_does_not_have_is_no_candle():
    bars = panel(720, missing=[*range(10, 14), 20])
    candles = candles_of(bars)
    assert candles.length == "2h"
    close = candles.frames["close"]["BTC/USDT"]
    assert np.flatnonzero(close.isna()).tolist() == [5, 6]
    assert candles.frames["open"]["BTC/USDT"].iloc[10] == bars.open[21, 0]


def test_prices_have_ticks_that_are_prices_at_any_scale():
    small = panel(50, ("ADA/BTC",), scale=5.29e-7).plot()
    wide = panel(3_000, ("BTC/USDT",), spread=0.05).plot()
    assert (small.layout.yaxis.type, wide.layout.yaxis.type) == ("linear", "log")
    for figure in (small, wide):
        assert figure.layout.yaxis.tickformat == theme.NUMBERS
        assert figure.layout.yaxis.exponentformat == "none"
    assert wide.layout.yaxis.title.text == "BTC in USDT, log"
    assert wide.layout.yaxis.dtick == "D2", "at 1, 2 and 5, not one over the other"


def test_of_many_symbols_the_title_says_which_are_drawn():
    bars = panel(40, tuple(f"C{number}/USDT" for number in range(9)))
    assert "and 3 more" in bars.plot().layout.title.text
    chosen = bars.plot(["C8/USDT"])
    assert [trace.name for trace in chosen.data] == ["C8/USDT", "C8/USDT"]
    assert "more" not in chosen.layout.title.text


def test_nothing_to_draw_is_refused():
    with pytest.raises(MissingData, match="no bars"):
        panel(3).rows(0, 0).plot()
    with pytest.raises(MissingData, match="no symbol"):
        candle_figure(panel(3), "here", symbols=[])
    with pytest.raises(UnknownInstrument):
        panel(3).plot(["LTC/USDT"])


def test_bars_are_values():
    bars, again = panel(40, missing=[3]), panel(40, missing=[3])
    assert bars == again
    assert hash(bars) == hash(again)
    assert bars != panel(40)
    assert bars != again.rows(0, 39)
    assert (bars == "bars") is False
