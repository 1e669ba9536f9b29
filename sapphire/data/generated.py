"""Bars of the generated market, from the compiled engine: the same candles that the embedded exchange shows.

Prices and volumes are the doubles nearest to the engine's ticks and lots. The market is uncalibrated, and says so.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np

from sapphire.data.rows import Measure, Rows
from sapphire.data.series import kind_of
from sapphire.domain.display import stamp
from sapphire.domain.engine import load_engine
from sapphire.domain.errors import MissingData, UnknownInstrument, ValueRefused
from sapphire.domain.instruments import Instrument
from sapphire.domain.intervals import Interval

__all__ = ["generated_instrument", "generated_rows"]

_MAX_SEED = 2**64 - 1


def generated_instrument(symbol: str) -> Instrument:
    """The instrument as the generated market lists it.

    Raises
    ------
    UnknownInstrument : it is not listed there.
    EngineMissing : the engine is not built.
    """
    listed = _listing(symbol)
    tick, lot, least = (Decimal(listed[name]) for name in ("tick", "lot", "min_notional"))
    return Instrument(symbol, listed["base"], listed["quote"], kind_of(symbol), tick, lot, least)


def generated_rows(symbol: str, interval: Interval, start_ns: int, end_ns: int, *, seed: int) -> Rows:
    """Bars of the generated market that open in `[start_ns, end_ns)`, both on the interval's grid.

    Raises
    ------
    UnknownInstrument : the market does not list the symbol.
    MissingData : it listed the symbol only later.
    ValueRefused : a seed that does not fit in 64 bits.
    EngineMissing : the engine is not built.
    """
    if not 0 <= seed <= _MAX_SEED:
        raise ValueRefused("seed of the generated market", expected="0 to 2**64 - 1", got=str(seed))
    listed = _listing(symbol)
    times, prices, volumes = load_engine().generated_candles(seed, symbol, interval.ns, start_ns, end_ns)
    if not len(times):
        raise MissingData(
            f"no generated {interval} bars of {symbol} from {stamp(start_ns)} to {stamp(end_ns)}",
            expected=f"a range after {stamp(listed['listed_ns'])}, when the generated market listed it",
            got="no bars",
        )
    return Rows(Measure.BARS, times, np.column_stack([prices, volumes]))


def _listing(symbol: str) -> dict[str, Any]:
    listings: dict[str, dict[str, Any]] = {entry["symbol"]: entry for entry in load_engine().listings()}
    if symbol not in listings:
        raise UnknownInstrument(
            "the generated market does not list this symbol",
            expected="one of " + ", ".join(listings),
            got=symbol,
        )
    return listings[symbol]
