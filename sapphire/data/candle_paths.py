"""Folders of candle files: what they say of a file where its name does not.

===========================================================  ======================================================
folder                                                       what it says
===========================================================  ======================================================
`data/spot/monthly/klines/BTCUSDT/1h/`                       spot, the pair, the interval (Binance Vision)
`data/futures/um/daily/markPriceKlines/BTCUSDT/8h/`          mark prices of the perpetual (Binance Vision)
`data/futures/cm/`, `data/option/`, `.../indexPriceKlines/`  nothing that Sapphire holds
`kraken/BTC-USD/1h/`, `symbol=BTC_USD/interval=1h/`          the venue, the pair, the interval
`linear/`, `futures/`, `swap/`, `perp/`                      perpetuals
===========================================================  ======================================================

The folder that is nearest to the file decides; those far above it are of its owner's house, not of its market.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sapphire.data.rows import Measure
from sapphire.domain.intervals import INTERVALS

__all__ = ["PERPETUAL", "SPOT", "VENUES", "Folders", "folders_of"]

SPOT, PERPETUAL = "spot", "perpetual"
"""The markets that a folder, or the user, may name."""

VENUES = frozenset(
    [
        *("binance", "binanceus", "bitfinex", "bithumb", "bitmex", "bitstamp", "bittrex", "bybit", "cex"),
        *("coinbase", "cryptocom", "deribit", "ftx", "gateio", "gemini", "htx", "huobi", "kraken"),
        *("kucoin", "mexc", "okcoin", "okex", "okx", "poloniex", "upbit"),
    ]
)
"""Venues that a name may begin with, as files that go round call them."""

_DEPTH = 7
"""Folders that are looked at: data/futures/um/monthly/klines/BTCUSDT/1h."""
_NEAR = 3
"""Folders that may name pair and interval."""
_MARKETS = {"spot": SPOT} | dict.fromkeys(
    ("um", "usdm", "usd-m", "linear", "futures", "swap", "perp", "perpetual", "perpetuals"), PERPETUAL
)
_OTHER_MARKETS = dict.fromkeys(("cm", "coinm", "coin-m", "inverse"), "futures settled in coins") | dict.fromkeys(
    ("option", "options"), "options"
)
_OTHER_MEASURES = {"indexPriceKlines": "an index of prices", "premiumIndexKlines": "a premium index"}
_MARKS = "markPriceKlines"


@dataclass(frozen=True, slots=True)
class Folders:
    """What the folders above a file say; empty where they say nothing.

    Parameters
    ----------
    market : "spot" or "perpetual".
    measure : mark prices where the folder holds these.
    other : what it holds in words, where that is nothing that a series can hold.
    venue : ccxt's id.
    pairs : words that may be a pair, the nearest first.
    interval : length of a bar.
    """

    market: str = ""
    measure: Measure = Measure.BARS
    other: str = ""
    venue: str = ""
    pairs: tuple[str, ...] = ()
    interval: str = ""


def folders_of(path: Path) -> Folders:
    """What the folders above a path say; it need not exist.

    Examples
    --------
    >>> folders = folders_of(Path("/data/spot/monthly/klines/BTCUSDT/1h/2024-01.csv"))
    >>> folders.market, folders.pairs[0], folders.interval
    ('spot', 'BTCUSDT', '1h')
    >>> folders_of(Path("/data/futures/cm/daily/klines/BTCUSD_PERP/1h/a.zip")).other
    'futures settled in coins'
    """
    parts = [part.rpartition("=")[2] for part in reversed(path.absolute().parent.parts)][:_DEPTH]
    near = parts[:_NEAR]
    market = next((part.lower() for part in parts if part.lower() in (*_MARKETS, *_OTHER_MARKETS)), "")
    other = _OTHER_MARKETS.get(market, "")
    other = other or next((_OTHER_MEASURES[part] for part in parts if part in _OTHER_MEASURES), "")
    marks = _MARKS in parts
    return Folders(
        market=_MARKETS.get(market, PERPETUAL if marks else ""),
        measure=Measure.MARK if marks else Measure.BARS,
        other=other,
        venue=next((part.lower() for part in parts if part.lower() in VENUES), ""),
        pairs=tuple(part for part in near if part not in INTERVALS),
        interval=next((part for part in near if part in INTERVALS), ""),
    )
