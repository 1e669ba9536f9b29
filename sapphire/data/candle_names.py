"""Names of candle files: which series a file holds.

==========================================  =====================================================================
name                                        what it holds
==========================================  =====================================================================
`BTC_USDT_USDT-5m-futures.feather`          bars of the perpetual BTC/USDT:USDT (freqtrade)
`BTC_USDT_USDT-8h-mark.feather`             its mark prices
`BTC_USDT_USDT-8h-funding_rate.feather`     its funding rates; the rate stands in `open`
`BTC_USDT-5m.feather`, `BTC-USDT-5m.csv`    bars of the spot pair BTC/USDT
`BTC_USDT-trades.json.gz`                   its trades, of which bars of a given interval are made (freqtrade)
`BTCUSDT-1h-2024-01.zip`                    the same pair (Binance Vision); what follows the interval is the author's
`Bitstamp_BTCUSD_1h.csv`                    BTC/USD on bitstamp (CryptoDataDownload; also `d`, `minute`)
`XBTUSD_60.csv`                             BTC/USD on kraken, the interval in minutes (its OHLCVT files)
`BITSTAMP_BTCUSD, 60.csv`                   BTC/USD on bitstamp, the interval in minutes (TradingView)
`candles_binance_BTC-USDT_1m.csv`           BTC/USDT on binance (Hummingbot; `binance_perpetual` is the perpetual)
`BTCUSDT.csv`, `1h.csv`, `2024-01.csv`      what the folders above it say (`sapphire.data.candle_paths`)
==========================================  =====================================================================

A joined name is read where it can only be read in one way: BNBUSD is BNB/USD or BN/BUSD, and is refused with both. What
the user says about a file decides over its name, and its name over the folders above it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from sapphire.data.candle_paths import PERPETUAL, SPOT, VENUES, Folders, folders_of
from sapphire.data.rows import Measure
from sapphire.data.series import DEFAULT_VENUE, Series
from sapphire.domain.errors import DataError, UnknownFile, ValueRefused
from sapphire.domain.intervals import INTERVALS

__all__ = ["SUFFIXES", "CandleFile", "identify"]

SUFFIXES = (".feather", ".arrow", ".parquet", ".csv", ".csv.gz", ".tsv", ".zip", ".json", ".json.gz")
"""Feather (Arrow), Parquet, text in columns, a zip with one such text, JSON."""

_INTERVAL = "|".join(sorted(INTERVALS, key=len, reverse=True))
_FUTURES = re.compile(rf"([A-Z0-9]+)_([A-Z0-9]+)_([A-Z0-9]+)-({_INTERVAL})-(futures|mark|funding_rate)", re.ASCII)
_PAIR = re.compile(rf"([A-Z0-9]+)[_-]([A-Z0-9]+)[_-]({_INTERVAL})((?:[_-].*)?)", re.ASCII)
_JOINED = re.compile(rf"([A-Z0-9]+?)[_-]({_INTERVAL})((?:[_-].*)?)", re.ASCII)
_TRADES = re.compile(r"([A-Z0-9]+)_([A-Z0-9]+)(?:_([A-Z0-9]+))?-trades", re.ASCII)
_DOWNLOAD = re.compile(rf"([A-Za-z]+)_([A-Z0-9]+)(?:_[0-9]{{4}})?_({_INTERVAL}|d|hour|minute)(?:[_-].*)?", re.ASCII)
_KRAKEN = re.compile(r"([A-Z0-9]+)_([0-9]+)", re.ASCII)
_CHART = re.compile(r"([A-Z0-9]+)_([A-Z0-9]+), ?([0-9]+|1?D)(?:[ _].*)?", re.ASCII)
_ALONE = re.compile(r"([A-Z0-9]+)[_-]([A-Z0-9]+)", re.ASCII)
_INTERVAL_IN_NAME = re.compile(rf"(?:^|[ _-])({_INTERVAL})(?=$|[ _.-])", re.ASCII)
_HUMMINGBOT = re.compile(
    rf"(?:candles_)?(?:([a-z][a-z_]*?)(_perpetual)?[_|])?([A-Z0-9]+)-([A-Z0-9]+)[_|]({_INTERVAL})", re.ASCII
)
_NEUTRAL = re.compile(r"[0-9][0-9_.-]*|(?:candles?|klines?|ohlcv|bars|data|part)(?:[_.-]?[0-9_.-]+)?", re.ASCII)
"""Names that say nothing, so that the folders may say it all."""
_OTHER_MEASURE = re.compile(r"[_-](mark|index|premium|funding|futures|perp|swap|trades)", re.IGNORECASE)
_MEASURES = {"futures": Measure.BARS, "mark": Measure.MARK, "funding_rate": Measure.FUNDING}
_WORDS = {"d": "1d", "D": "1d", "1D": "1d", "hour": "1h", "minute": "1m"}
_MINUTES = {"1": "1m", "3": "3m", "5": "5m", "15": "15m", "30": "30m", "60": "1h", "120": "2h", "240": "4h"} | {
    "360": "6h",
    "480": "8h",
    "720": "12h",
    "1440": "1d",
}

_QUOTES = (
    *("FDUSD", "USDT", "USDC", "TUSD", "BUSD", "USD", "DAI", "BTC", "ETH", "BNB"),
    *("EUR", "GBP", "TRY", "BRL", "JPY", "AUD", "CAD", "CHF", "KRW"),
)
"""Quote assets that a venue's joined name may end in (Binance spot, Kraken, Upbit, 2025), the longest first."""
_BASES = frozenset(
    [
        *("AAVE", "ADA", "ALGO", "ATOM", "AVAX", "BCH", "BNB", "BTC", "DASH", "DOGE", "DOT", "EOS", "ETC"),
        *("ETH", "FIL", "HBAR", "ICP", "LINK", "LTC", "MANA", "MATIC", "NEAR", "NEO", "PEPE", "POL", "SAND"),
        *("SHIB", "SOL", "SUI", "TON", "TRX", "UNI", "VET", "XLM", "XMR", "XRP", "XTZ", "ZEC"),
    ]
)
"""Coins that with a B, a T or an FD behind them are none that trades in dollars: BTCFDUSD can only be BTC/FDUSD."""
_NO_QUOTES = frozenset({"PERP", "SWAP", "FUTURES"})


@dataclass(frozen=True, slots=True)
class CandleFile:
    """A candle file and the series that it holds.

    Parameters
    ----------
    path : where it is.
    series : what its name, or the user, says that it holds.
    trades : it holds trades, of which the bars are made.
    settled : the user or the folder says whether it is spot or a perpetual, so that the header need not.
    columns : which column is what, as the user said: "open_time", "open", ... to the file's own name of it.
    given : what the user said about it, as options of the command.
    """

    path: Path
    series: Series
    trades: bool = False
    settled: bool = False
    columns: Mapping[str, str] = field(default_factory=dict)
    given: str = ""

    @property
    def rewritable(self) -> bool:
        """Whether it can be written anew in the form that it has."""
        return not self.trades and suffix_of(self.path) not in (".zip", ".json", ".csv.gz", ".json.gz")

    def command(self, columns: str = "", *, verb: str = "import") -> str:
        """The command that imports it, or checks it, with what the user said about it and with `columns` beside."""
        mapped = [*(f"{key}={name}" for key, name in self.columns.items()), *([columns] if columns else [])]
        quoted = f" --columns {shlex.quote(','.join(mapped))}" if mapped else ""
        return f"sapphire data {verb} {shlex.quote(str(self.path))}{self.given}{quoted}"


def identify(
    path: Path,
    *,
    venue: str | None = None,
    symbol: str | None = None,
    interval: str | None = None,
    market: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> CandleFile:
    """Which series a file holds, by what is said here, by its name, and by the folders above it.

    Parameters
    ----------
    path : need not exist.
    venue : where it was recorded; what the name or a folder says, else binance.
    symbol, interval : decide over the name.
    market : "spot" or "perpetual"; decides over folders and header.
    columns : kept with the file.

    Raises
    ------
    UnknownFile : a name or suffix that is none of the known forms, and nothing said that makes up for it; a folder of
        what no series can hold.
    DataError : a joined name that can be read in more than one way; the choices are named.
    ValueRefused : a symbol, interval or market that is none, or that contradict each other.
    """
    suffix = suffix_of(path)
    stem = path.name.removesuffix(suffix) if suffix else path.stem
    folders = folders_of(path)
    if symbol is None and not suffix:
        raise _unknown(path)
    if symbol is None and market is None and folders.other:
        raise _other(path, folders)
    if symbol is not None and interval is not None:
        match = _FUTURES.fullmatch(stem)
        measure = _MEASURES[match[5]] if match and ":" in symbol else Measure.BARS
        series = Series(venue or folders.venue or DEFAULT_VENUE, symbol, measure, interval)
    else:
        named = _named(path, stem, suffix, symbol, interval, folders)
        if named is None:
            raise _unknown(path)
        series = replace(named, venue=venue or named.venue)
    series = _of_market(path, series, folders, symbol, market)
    options = {"venue": venue, "symbol": symbol, "interval": interval, "market": market}
    given = "".join(f" --{name} {value}" for name, value in options.items() if value not in (None, DEFAULT_VENUE))
    settled = bool(symbol or market or folders.market)
    return CandleFile(path, series, bool(_TRADES.fullmatch(stem)), settled, dict(columns or {}), given)


def suffix_of(path: Path) -> str:
    """The ending that says the form; empty for one that does not.

    Examples
    --------
    >>> suffix_of(Path("BTC_USDT-1h.json.gz")), suffix_of(Path("notes.txt"))
    ('.json.gz', '')
    """
    return max((suffix for suffix in SUFFIXES if path.name.endswith(suffix)), key=len, default="")


def readings(joined: str) -> list[tuple[str, str]]:
    """Every base and quote that a venue's joined name may stand for.

    Examples
    --------
    >>> readings("BNBUSD")
    [('BN', 'BUSD'), ('BNB', 'USD')]
    """
    return [(joined.removesuffix(quote), quote) for quote in _QUOTES if joined.endswith(quote) and joined != quote]


def _named(
    path: Path, stem: str, suffix: str, symbol: str | None, interval: str | None, folders: Folders
) -> Series | None:
    """The series by name and folders, where one of symbol and interval may be given; None where they say nothing."""
    if match := _FUTURES.fullmatch(stem):
        base, quote, settle, length, measure = match.groups()
        if settle != quote:
            return None
        at = folders.venue or DEFAULT_VENUE
        return Series(at, symbol or f"{base}/{quote}:{settle}", _MEASURES[measure], interval or length)
    for venue, pair, named in _readings_of_name(stem, suffix):
        length = interval or named or folders.interval
        if not length:
            continue
        found = symbol or _symbol(path, pair or _pair_of(folders))
        return Series(venue or folders.venue or DEFAULT_VENUE, found, Measure.BARS, length) if found else None
    if trades := _TRADES.fullmatch(stem):
        return _of_trades(path, trades, interval, folders.venue or DEFAULT_VENUE)
    length = interval or folders.interval
    return Series(folders.venue or DEFAULT_VENUE, symbol, Measure.BARS, length) if symbol and length else None


def _of_market(path: Path, series: Series, folders: Folders, symbol: str | None, market: str | None) -> Series:
    """The series of the market that the user names, else of the one that the folders name, where the name says none."""
    if market not in (None, SPOT, PERPETUAL):
        raise ValueRefused("not a market", expected=f"{SPOT} or {PERPETUAL}", got=repr(market))
    if ":" in series.symbol:
        if market == SPOT:
            raise ValueRefused(
                f"{path.name} is not of spot",
                expected=f"--market {PERPETUAL}, or none",
                got=f"{series.symbol}, which is the perpetual",
            )
        return series
    wanted = market or ("" if symbol else folders.market)
    if wanted != PERPETUAL:
        return series
    measure = folders.measure if symbol is None else series.measure
    return Series(series.venue, f"{series.symbol}:{series.symbol.partition('/')[2]}", measure, series.interval)


def _pair_of(folders: Folders) -> tuple[str, ...]:
    """The pair that a folder is named after; empty where none is."""
    for word in folders.pairs:
        if (match := _ALONE.fullmatch(word)) and match[2] in _QUOTES:
            return match[1], match[2]
        if readings(word) and re.fullmatch(r"[A-Z0-9]+", word, re.ASCII):
            return (word,)
    return ()


def _readings_of_name(stem: str, suffix: str) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """Venue, pair and interval, by each form that a name has; empty where it names none.

    A pair is joined, or base and quote, and what a perpetual is settled in.
    """
    text = suffix in (".csv", ".csv.gz", ".tsv", ".zip")
    if (match := _PAIR.fullmatch(stem)) and not _OTHER_MEASURE.search(match[4]):
        if readings(match[2]) and match[2] not in _QUOTES:
            yield _venue(match[1]), (match[2],), match[3]
        elif match[2] not in _NO_QUOTES and not match[2].isdigit():
            yield "", (match[1], match[2]), match[3]
    elif (match := _JOINED.fullmatch(stem)) and not _OTHER_MEASURE.search(match[3]):
        yield "", (match[1],), match[2]
    elif match := _HUMMINGBOT.fullmatch(stem):
        yield _venue(match[1] or ""), (match[3], match[4], *([match[4]] if match[2] else [])), match[5]
    elif match := _DOWNLOAD.fullmatch(stem):
        yield _venue(match[1]), (match[2],), _WORDS.get(match[3], match[3])
    elif text and (match := _CHART.fullmatch(stem)):
        yield _venue(match[1]), (match[2],), _WORDS.get(match[3]) or _MINUTES.get(match[3], "")
    elif text and (match := _KRAKEN.fullmatch(stem)) and match[2] in _MINUTES:
        yield "kraken", (match[1].replace("XBT", "BTC").replace("XDG", "DOGE"),), _MINUTES[match[2]]
    else:
        yield from _parts_of_name(stem)


def _parts_of_name(stem: str) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """The same of a name that says the pair alone, the interval alone, or nothing at all."""
    if (match := _ALONE.fullmatch(stem)) and match[2] in _QUOTES:
        yield "", (match[1], match[2]), ""
    elif re.fullmatch(r"[A-Z0-9]+", stem, re.ASCII):
        yield "", (stem,), ""
    elif match := _INTERVAL_IN_NAME.search(stem):
        yield "", (), match[1]
    elif _NEUTRAL.fullmatch(stem):
        yield "", (), ""


def _venue(word: str) -> str:
    return word.lower() if word.lower() in VENUES else ""


def _symbol(path: Path, pair: tuple[str, ...]) -> str:
    """The symbol of a pair; empty where it ends in no known quote.

    Raises
    ------
    DataError : it can be read in more than one way.
    """
    if len(pair) > 1:
        return "/".join(pair[:2]) + "".join(f":{settle}" for settle in pair[2:])
    ways = readings(pair[0]) if pair else []
    known = [way for way in ways if way[0] in _BASES]
    if len(ways) > 1 and known != ways[:1]:
        choices = [f"{base}/{quote}" for base, quote in ways]
        raise DataError(
            f"{path.name} can be read in {len(ways)} ways",
            expected="a name that can only be read in one way, such as "
            + " or ".join(f"{choice.replace('/', '_')}-1h{suffix_of(path)}" for choice in choices),
            got=f"{pair[0]}: {' or '.join(choices)}",
            next=f"sapphire data import {shlex.quote(str(path))} "
            + " or ".join(f"--symbol {choice}" for choice in choices),
        )
    return "/".join(ways[0]) if ways else ""


def _of_trades(path: Path, match: re.Match[str], interval: str | None, venue: str) -> Series | None:
    base, quote, settle = match.groups()
    if settle not in (None, quote):
        return None
    if interval is None:
        raise UnknownFile(
            f"{path.name} holds trades, and nothing says which bars to make of them",
            expected=f"an interval: {', '.join(INTERVALS)}",
            got="none",
            next=f"sapphire data import {shlex.quote(str(path))} --interval 1m",
        )
    return Series(venue, f"{base}/{quote}" + (f":{settle}" if settle else ""), Measure.BARS, interval)


def _other(path: Path, folders: Folders) -> UnknownFile:
    return UnknownFile(
        f"{path.name} holds {folders.other}",
        expected="bars or mark prices of spot pairs or of perpetuals that are settled in their quote",
        got=f"the folder {path.parent}",
        next=f"where the folder's name means something else: sapphire data import {shlex.quote(str(path))} "
        f"--market {SPOT}",
    )


def _unknown(path: Path) -> UnknownFile:
    return UnknownFile(
        f"{path.name} does not say what it holds",
        expected="a name such as BTC_USDT-5m or BTCUSDT-1h-2024-01 (spot), BTC_USDT_USDT-5m-futures (perpetual),\n"
        f"...-8h-mark, ...-8h-funding_rate; an interval of {', '.join(INTERVALS)};\none of {', '.join(SUFFIXES)}",
        got=path.name,
        next=f"say it: sapphire data import {shlex.quote(str(path))} --symbol BTC/USDT --interval 1h",
    )
