"""Collector: closed candles from a venue into the store, page by page, through ccxt.

What is covered already is not asked for again, and each page is stored before the next is asked for, so a run that is
killed loses at most one page and the next run goes on behind it. Whether a candle is closed is decided by the venue's
time; the clock stands in for venues that do not tell theirs.

Known limitation: a venue that keeps only its latest candles answers an old request with nothing, and that stretch then
counts as one in which it had none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from sapphire.data.quality import check
from sapphire.data.rows import Measure, Rows
from sapphire.data.series import EMBEDDED, Series, pair_of
from sapphire.data.store import Origin, Span, Store
from sapphire.domain.clocks import Clock, Instant, WallClock, to_ns
from sapphire.domain.display import bundle, stamp
from sapphire.domain.errors import (
    ConfigError,
    ExchangeError,
    SapphireError,
    UnknownInstrument,
    UnknownInterval,
    ValueRefused,
)
from sapphire.domain.instruments import InstrumentKind
from sapphire.domain.intervals import Interval

__all__ = ["Collected", "CollectedSeries", "collect"]

_NS_PER_MS = 1_000_000
_PAGE = 1_000
"""Candles per request; the most that Binance's klines give (spot REST, parameter limit)."""
_DEFAULTS: Mapping[str, Any] = {"enableRateLimit": True, "timeout": 10_000}
_OPTIONS: Mapping[str, Any] = {"maxRetriesOnFailure": 3, "maxRetriesOnFailureDelay": 500}

Tick = Callable[[int], None]
"""Called with how many bars of time were covered just now."""


@dataclass(frozen=True, slots=True)
class CollectedSeries:
    """What one symbol got.

    Parameters
    ----------
    series : which one.
    added : new rows.
    asked : stretches that the venue was asked for; empty when all was there.
    until_ns : the request is covered up to here.
    """

    series: Series
    added: int
    asked: tuple[Span, ...]
    until_ns: int


@dataclass(frozen=True, slots=True)
class Collected:
    """What a run collected.

    Parameters
    ----------
    series : one entry per symbol.
    end_ns : end of the request, not included.
    venue_now_ns : the venue's time when the run began; no candle after it was closed.
    """

    series: tuple[CollectedSeries, ...]
    end_ns: int
    venue_now_ns: int

    @property
    def complete(self) -> bool:
        """Whether the whole request is covered; not so where its end lies in the venue's future."""
        return all(one.until_ns >= self.end_ns for one in self.series)

    def as_dict(self) -> dict[str, Any]:
        """Stable keys, for `--json`."""
        return {
            "venue_time": stamp(self.venue_now_ns),
            "complete": self.complete,
            "series": [
                {
                    "venue": one.series.venue,
                    "symbol": one.series.symbol,
                    "kind": str(one.series.kind),
                    "interval": one.series.interval,
                    "added": one.added,
                    "asked": [{"from": stamp(start), "to": stamp(end)} for start, end in one.asked],
                    "until": stamp(one.until_ns),
                }
                for one in self.series
            ],
        }

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        lines = [[one.series.symbol, one.series.interval, f"{one.added:,}", stamp(one.until_ns)] for one in self.series]
        rest = "" if self.complete else f"; the rest lies after the venue's time, {stamp(self.venue_now_ns)}"
        venue = self.series[0].series.venue
        return bundle(f"collected from {venue}{rest}", ["symbol", "interval", "new bars", "covered until"], lines)

    def __str__(self) -> str:
        return self._repr_mimebundle_()["text/plain"]


def collect(
    symbols: Sequence[str],
    interval: str | Interval,
    start: Instant,
    end: Instant,
    *,
    exchange: str = EMBEDDED,
    config: Mapping[str, Any] | None = None,
    origin: Origin | None = None,
    store: Store | None = None,
    clock: Clock | None = None,
    page: int = _PAGE,
    progress: bool = True,
) -> Collected:
    """Collect closed candles that open in `[start, end)`; what is stored already is not asked for.

    Parameters
    ----------
    symbols : ccxt's symbols; spot pairs and linear perpetuals.
    exchange : ccxt's id of a venue, or "embedded".
    config : settings for ccxt. The embedded exchange needs them: they hold its address.
    origin : whose market the embedded exchange shows, `Origin.of_seed(7)` or, for recorded candles, `Origin()`.
    store : where to; the home's own unless given.
    clock : stands in for the time of a venue that does not tell its own; the machine's unless given.
    page, progress : candles per request; whether a bar is shown on stderr.

    Raises
    ------
    ExchangeError : the venue did not answer, or said no; says what was kept.
    UnknownInstrument, UnknownInterval : the venue does not have it.
    ConfigError : the embedded exchange without `config` or `origin`.
    BadBars : the venue's candles have a fault, or contradict what is stored.
    """
    length = interval if isinstance(interval, Interval) else Interval(interval)
    start_ns, end_ns = (-(-to_ns(moment) // length.ns) * length.ns for moment in (start, end))
    if end_ns <= start_ns or page < 1 or not symbols or isinstance(symbols, str):
        raise ValueRefused(
            "nothing to collect",
            expected="a list of symbols, an end after the start, pages of one candle or more",
            got=f"{symbols!r}, {start} to {end}, page {page}",
        )
    store = store or Store()
    kept: list[CollectedSeries] = []
    with _errors_of(exchange, kept):
        client = _connect(exchange, config, origin)
        all_series = [_series(client, exchange, symbol, length) for symbol in symbols]
        now_ns = _venue_now(client, clock or WallClock())
        until_ns = max(start_ns, min(end_ns, length.floor(now_ns)))
        with _shown(progress=progress) as begin:
            for series in all_series:
                left = store.missing(series, start_ns, until_ns)
                tick = begin(series.symbol, sum(length.bars_between(*span) for span in left))
                rules = _rules(client, series.symbol)
                kept.append(CollectedSeries(series, 0, tuple(left), left[0][0] if left else until_ns))
                for rows, covered in _pages(client, series, left, page):
                    added = kept[-1].added + store.append(series, rows, covered=covered, origin=origin, rules=rules)
                    kept[-1] = CollectedSeries(series, added, tuple(left), covered[1])
                    tick(length.bars_between(*covered))
                kept[-1] = CollectedSeries(series, kept[-1].added, tuple(left), until_ns)
    return Collected(tuple(kept), end_ns, now_ns)


def _pages(client: Any, series: Series, left: Sequence[Span], page: int) -> Iterator[tuple[Rows, Span]]:
    """Pages of closed candles, each with the stretch that it is all of."""
    length = series.length
    for start, end in left:
        at = start
        while at < end:
            answer = client.fetch_ohlcv(series.symbol, length.text, since=at // _NS_PER_MS, limit=page)
            rows = _rows_of(answer)
            # an empty answer says: no candle from `at` on, or none within this page; both are true of the page
            reached = int(rows.open_time_ns.max()) + length.ns if len(rows) else at + page * length.ns
            covered = (at, min(max(reached, at + length.ns), end))
            inside = rows.between(*covered)
            check(inside, length, name=str(series)).refuse()
            yield inside, covered
            at = covered[1]


def _rows_of(answer: Sequence[Sequence[Any]]) -> Rows:
    """Candles as ccxt gives them: milliseconds, then open, high, low, close, volume; a number may be None."""
    if not answer:
        return Rows.empty(Measure.BARS)
    times = np.array([int(candle[0]) * _NS_PER_MS for candle in answer], np.int64)
    return Rows(Measure.BARS, times, np.array([candle[1:6] for candle in answer], np.float64)).as_decimals()


def _connect(exchange: str, config: Mapping[str, Any] | None, origin: Origin | None) -> Any:
    """A ccxt client with its markets loaded."""
    import ccxt

    if exchange == EMBEDDED and (config is None or origin is None):
        raise ConfigError(
            "the embedded exchange needs an address and the name of its market",
            expected="config, the ccxt settings with its address; origin, whose market it shows",
            got=", ".join(name for name, value in (("config", config), ("origin", origin)) if value is None)
            + " missing",
            next="sapphire data collect ... --exchange embedded --url URL --seed SEED",
        )
    if exchange != EMBEDDED and origin is not None and origin.generated:
        raise ConfigError("a generated market on a real venue", expected=f"exchange {EMBEDDED!r}", got=exchange)
    known = "binance" if exchange == EMBEDDED else exchange
    if known not in ccxt.exchanges:
        raise ValueRefused(
            "unknown exchange", expected=f"{EMBEDDED}, or an id of ccxt's such as binance", got=repr(exchange)
        )
    settings = {**_DEFAULTS, **(config or {})}
    client = getattr(ccxt, known)({**settings, "options": {**_OPTIONS, **settings.get("options", {})}})
    client.load_markets()
    return client


def _series(client: Any, exchange: str, symbol: str, interval: Interval) -> Series:
    """The series of a symbol, if the venue has it in bars of base quantity."""
    pair_of(symbol)
    series = Series(exchange, symbol, Measure.BARS, interval.text)
    market = client.markets.get(symbol)
    if market is None:
        raise UnknownInstrument(
            f"{exchange} does not have this symbol",
            expected="a symbol of the venue, in ccxt's form (BTC/USDT, or BTC/USDT:USDT for the perpetual)",
            got=symbol,
        )
    if series.kind is InstrumentKind.LINEAR_PERPETUAL and market.get("contractSize") not in (None, 1, 1.0):
        raise UnknownInstrument(
            f"contracts of {symbol} on {exchange} are not one unit of base",
            expected="volumes in base",
            got=f"a contract of {market['contractSize']}",
        )
    if interval.text not in (client.timeframes or {}):
        raise UnknownInterval(
            f"{exchange} has no {interval} candles",
            expected="one of " + ", ".join(client.timeframes or {}),
            got=interval.text,
        )
    return series


def _rules(client: Any, symbol: str) -> dict[str, str]:
    """Tick, lot and smallest order value as the venue tells them; what it does not tell is left out."""
    market = client.markets[symbol]
    precision, least = market.get("precision") or {}, ((market.get("limits") or {}).get("cost") or {}).get("min")
    steps = {"tick": precision.get("price"), "lot": precision.get("amount")}
    rules = {name: _plain(value, client.precisionMode) for name, value in steps.items() if value is not None}
    if least is not None:
        rules["min_notional"] = f"{Decimal(str(least)).normalize():f}"
    return {name: text for name, text in rules.items() if text}


def _plain(value: float, mode: int) -> str:
    """A step as plain decimal text, from either of ccxt's two ways to state it as a step or as decimals."""
    import ccxt

    if mode == ccxt.TICK_SIZE:
        return f"{Decimal(str(value)).normalize():f}"
    if mode == ccxt.DECIMAL_PLACES:
        return f"{Decimal(1).scaleb(-int(value)):f}"
    return ""


def _venue_now(client: Any, clock: Clock) -> int:
    """The venue's time, UTC nanoseconds."""
    return int(client.fetch_time()) * _NS_PER_MS if client.has.get("fetchTime") else clock.now_ns()


@contextmanager
def _errors_of(exchange: str, kept: Sequence[CollectedSeries]) -> Iterator[None]:
    """Turn ccxt's errors into ours, with what was kept."""
    import ccxt

    try:
        yield
    except SapphireError:
        raise
    except ccxt.BaseError as error:
        lost = isinstance(error, ccxt.NetworkError)
        rows = sum(one.added for one in kept)
        reached = f"; {kept[-1].series.symbol} is covered until {stamp(kept[-1].until_ns)}" if kept else ""
        raise ExchangeError(
            f"{exchange} {'did not answer' if lost else 'said no'}",
            expected="candles",
            got=f"{type(error).__name__}: {str(error).splitlines()[0][:200] if str(error) else 'no message'}",
            next=f"run it again: {rows:,} new bars are kept{reached}, and it goes on from there",
        ) from error


@contextmanager
def _shown(*, progress: bool) -> Iterator[Callable[[str, int], Tick]]:
    """Progress on stderr: gives a function that begins a line and returns what advances it."""
    if not progress:
        yield lambda symbol, total: lambda done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:

        def begin(symbol: str, total: int) -> Tick:
            task = bar.add_task(symbol, total=total)
            return lambda done: bar.advance(task, done)

        yield begin
