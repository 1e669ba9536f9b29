"""A venue as whoever follows its closed bars asks it: its time and its candles, through one ccxt client.

Of ccxt only the one exchange is loaded: a process that is started again should be there in half a second, and the whole
library takes several.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from typing import Any, TypeVar

from sapphire.domain.errors import ExchangeError, NotReady, UnknownInstrument, UnknownInterval, ValueRefused
from sapphire.domain.intervals import Interval

__all__ = ["Candle", "Venue"]

Candle = tuple[int, float, float, float, float, float]
"""Open time (UTC ns), open, high, low, close (quote), volume (base)."""

_NS_PER_MS = 1_000_000
_PAGE = 1_000
"""Candles per request; the most that Binance's klines give (spot REST, parameter limit)."""
_SETTINGS: Mapping[str, Any] = {"enableRateLimit": True, "timeout": 10_000}

_T = TypeVar("_T")


class Venue:
    """Market data of one venue.

    Parameters
    ----------
    exchange : ccxt's id.
    config : settings for ccxt beside or instead of the defaults.

    Raises
    ------
    ValueRefused : ccxt does not know the exchange.
    """

    def __init__(self, exchange: str, config: Mapping[str, Any] | None = None) -> None:
        self._name = exchange
        self._client = _exchange_class(exchange)({**_SETTINGS, **(config or {})})
        self._errors = import_module("ccxt.base.errors")

    def require(self, symbols: tuple[str, ...], interval: Interval) -> None:
        """Load the venue's markets, and see that it has these.

        Raises
        ------
        UnknownInstrument, UnknownInterval : it does not have one of them.
        NotReady : it did not answer.
        ExchangeError : it said no.
        """
        markets = self._ask(self._client.load_markets)
        unknown = [symbol for symbol in symbols if symbol not in markets]
        if unknown:
            raise UnknownInstrument(
                f"{self._name} does not have these symbols",
                expected="symbols of the venue, in ccxt's form (BTC/USDT)",
                got=", ".join(unknown),
            )
        if interval.text not in (self._client.timeframes or {}):
            known = ", ".join(self._client.timeframes or {})
            what = f"{self._name} has no {interval} candles"
            raise UnknownInterval(what, expected=f"one of {known}", got=str(interval))

    def now_ns(self) -> int:
        """The venue's time, UTC nanoseconds.

        Raises
        ------
        NotReady : it did not answer.
        ExchangeError : it said no.
        """
        return int(self._ask(self._client.fetch_time)) * _NS_PER_MS

    def candles(self, symbol: str, interval: Interval, start_ns: int, end_ns: int) -> list[Candle]:
        """Candles that open in `[start_ns, end_ns]`, oldest first; the last of them may still be forming.

        Raises
        ------
        NotReady : it did not answer.
        ExchangeError : it said no.
        """
        found: list[Candle] = []
        at_ns = start_ns
        while at_ns <= end_ns:
            limit = min(_PAGE, (end_ns - at_ns) // interval.ns + 1)
            page = self._page(symbol, interval, at_ns, limit)
            found += (candle for candle in page if at_ns <= candle[0] <= end_ns)
            # a page without a candle says that there is none up to its end
            reached_ns = max((candle[0] for candle in page), default=0)
            at_ns = (reached_ns if reached_ns >= at_ns else at_ns + (limit - 1) * interval.ns) + interval.ns
        return found

    def _page(self, symbol: str, interval: Interval, at_ns: int, limit: int) -> list[Candle]:
        since = at_ns // _NS_PER_MS
        answer = self._ask(lambda: self._client.fetch_ohlcv(symbol, interval.text, since=since, limit=limit))
        return [_candle(row) for row in answer]

    def _ask(self, ask: Callable[[], _T]) -> _T:
        """What ccxt answers, its errors as ours."""
        try:
            return ask()
        except self._errors.BaseError as error:
            lost = isinstance(error, self._errors.NetworkError)
            raise (NotReady if lost else ExchangeError)(
                f"{self._name} {'did not answer' if lost else 'said no'}",
                expected="its time or candles",
                got=f"{type(error).__name__}: {str(error).partition(chr(10))[0][:200]}",
                next="it is asked again" if lost else "see what the venue says about this request",
            ) from error


def _candle(row: Sequence[Any]) -> Candle:
    """A candle as ccxt gives it: milliseconds, then open, high, low, close, volume; a number may be None."""
    opened, first, high, low, last, volume = row[:6]
    return int(opened) * _NS_PER_MS, _number(first), _number(high), _number(low), _number(last), _number(volume)


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _exchange_class(exchange: str) -> Any:
    """The class of one exchange, without the library's other hundred.

    `import ccxt` imports every exchange. Here the package stands unexecuted while its one module is loaded, and is
    forgotten after that, so that whoever imports ccxt later gets the whole of it.
    """
    package = sys.modules.get("ccxt")
    spec = find_spec("ccxt")
    try:
        if package is None and spec is not None:
            sys.modules["ccxt"] = module_from_spec(spec)
        return getattr(import_module(f"ccxt.{exchange}"), exchange)
    except (ImportError, AttributeError):
        expected = "an id of ccxt's, such as binance"
        raise ValueRefused("unknown exchange", expected=expected, got=repr(exchange)) from None
    finally:
        if package is None:
            sys.modules.pop("ccxt", None)
