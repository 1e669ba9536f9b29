"""Series: which market, what is measured of it, and in which bars. Its name is its folder in the store.

A symbol says its kind: "BTC/USDT" is spot, "BTC/USDT:USDT" the perpetual settled in its quote.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from sapphire.data.rows import Measure
from sapphire.domain.errors import ValueRefused
from sapphire.domain.instruments import InstrumentKind
from sapphire.domain.intervals import Interval

__all__ = [
    "AS_SPOT",
    "DEFAULT_VENUE",
    "EMBEDDED",
    "Series",
    "kind_of",
    "market_label",
    "name_to_symbol",
    "pair_of",
    "symbol_to_name",
]

DEFAULT_VENUE = "binance"
"""Whose recordings are meant where nobody says."""
EMBEDDED = "embedded"
"""The venue whose market is made here: the embedded exchange."""
AS_SPOT = "-as-spot"
"""Ends the name of a venue whose perpetuals stand in for spot, so that every label says it; no such evidence is of a
market that happened."""

_SYMBOL = re.compile(r"(?P<base>[A-Z0-9]+)/(?P<quote>[A-Z0-9]+)(:(?P<settle>[A-Z0-9]+))?", re.ASCII)
_VENUE = re.compile(r"[a-z0-9][a-z0-9_-]*", re.ASCII)
_NAME = re.compile(r"[A-Z0-9]+_[A-Z0-9]+(_[A-Z0-9]+)?", re.ASCII)


def pair_of(symbol: str) -> tuple[str, str]:
    """Base and quote of a symbol.

    Raises
    ------
    ValueRefused : neither a spot pair nor a perpetual settled in its quote.

    Examples
    --------
    >>> pair_of("BTC/USDT:USDT")
    ('BTC', 'USDT')
    """
    match = _SYMBOL.fullmatch(symbol)
    if match is None or match["settle"] not in (None, match["quote"]):
        raise ValueRefused(
            "not a symbol of a spot pair or a linear perpetual",
            expected="BASE/QUOTE, or BASE/QUOTE:QUOTE for the perpetual",
            got=repr(symbol),
        )
    return match["base"], match["quote"]


def kind_of(symbol: str) -> InstrumentKind:
    """Spot or linear perpetual, as the symbol says."""
    pair_of(symbol)
    return InstrumentKind.LINEAR_PERPETUAL if ":" in symbol else InstrumentKind.SPOT


def symbol_to_name(symbol: str) -> str:
    """The symbol as a file name.

    Examples
    --------
    >>> symbol_to_name("BTC/USDT:USDT")
    'BTC_USDT_USDT'
    """
    pair_of(symbol)
    return symbol.replace("/", "_").replace(":", "_")


def name_to_symbol(name: str) -> str:
    """The symbol that a file name stands for; the inverse of `symbol_to_name`."""
    if not _NAME.fullmatch(name):
        raise ValueRefused("not the name of a symbol", expected="BASE_QUOTE or BASE_QUOTE_QUOTE", got=repr(name))
    base, quote, *settle = name.split("_")
    symbol = f"{base}/{quote}" + "".join(f":{asset}" for asset in settle)
    pair_of(symbol)
    return symbol


def market_label(venue: str, symbols: Iterable[str]) -> str:
    """The venue and its markets in words, for plots and reports.

    Examples
    --------
    >>> market_label("binance", ["BTC/USDT:USDT"])
    'binance usdm'
    >>> market_label("binanceusdm-as-spot", ["BTC/USDT"])
    'binanceusdm-as-spot'
    """
    if venue.endswith(AS_SPOT):
        return venue
    words = {InstrumentKind.SPOT: "spot", InstrumentKind.LINEAR_PERPETUAL: "perpetual"}
    if venue in ("binance", "binanceusdm"):  # one venue, two ids in ccxt
        venue, words[InstrumentKind.LINEAR_PERPETUAL] = "binance", "usdm"
    kinds = {kind_of(symbol) for symbol in symbols}
    return " ".join([venue, " and ".join(word for kind, word in words.items() if kind in kinds)]).rstrip()


@dataclass(frozen=True, slots=True, order=True)
class Series:
    """One recorded series.

    Parameters
    ----------
    venue : ccxt's id of the venue, or "embedded".
    symbol : ccxt's symbol.
    measure : bars, mark prices or funding rates.
    interval : length of a bar; for funding, the time between two settlements.

    Raises
    ------
    ValueRefused : a venue or symbol that cannot be named, or marks and funding of a spot pair.
    UnknownInterval : an interval that venues do not have.
    """

    venue: str
    symbol: str
    measure: Measure
    interval: str

    def __post_init__(self) -> None:
        Interval(self.interval)
        object.__setattr__(self, "measure", Measure(self.measure))
        if not _VENUE.fullmatch(self.venue):
            raise ValueRefused("not a venue", expected="ccxt's id, such as binance", got=repr(self.venue))
        if kind_of(self.symbol) is InstrumentKind.SPOT and self.measure is not Measure.BARS:
            raise ValueRefused(
                f"{self.measure} of a spot pair",
                expected="a perpetual, BASE/QUOTE:QUOTE",
                got=self.symbol,
            )

    def __str__(self) -> str:
        return f"{self.venue} {self.symbol} {self.measure} {self.interval}"

    @property
    def kind(self) -> InstrumentKind:
        """Spot or linear perpetual."""
        return kind_of(self.symbol)

    @property
    def length(self) -> Interval:
        """The interval."""
        return Interval(self.interval)

    @property
    def folder(self) -> PurePosixPath:
        """Where the store keeps it, in the key=value form that DuckDB and Polars read as columns."""
        return PurePosixPath(
            f"venue={self.venue}",
            f"symbol={symbol_to_name(self.symbol)}",
            f"measure={self.measure}",
            f"interval={self.interval}",
        )

    @classmethod
    def from_folder(cls, folder: PurePosixPath) -> Series:
        """The series that a folder of the store holds; the inverse of `folder`."""
        named = dict(part.split("=", 1) for part in folder.parts)
        symbol = name_to_symbol(named["symbol"])
        return cls(named["venue"], symbol, Measure(named["measure"]), named["interval"])
