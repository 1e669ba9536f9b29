"""Trading rules of a recorded symbol: as the venue told them, or read off its candles.

Candle files do not say tick and lot. A price series shows its tick in its decimals, a volume (a sum of whole lots) its
lot. What the venue said wins where the candles fit it; ticks change over the years, and an old price that does not fit
today's tick is not rounded.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from sapphire.data.rows import Rows
from sapphire.data.series import kind_of, pair_of
from sapphire.domain.errors import BadBars
from sapphire.domain.instruments import Instrument, InstrumentKind

__all__ = ["MIN_NOTIONAL", "fits", "instrument_of", "smallest_step"]

_MAX_DECIMALS = 8

MIN_NOTIONAL: Mapping[InstrumentKind, Mapping[str, str]] = {
    # Binance spot, exchangeInfo, filter NOTIONAL (minNotional) by quote asset, 2024
    InstrumentKind.SPOT: {"USDT": "5", "USDC": "5", "FDUSD": "5", "BTC": "0.0001"},
    # Binance USD-M futures, exchangeInfo, filter MIN_NOTIONAL by pair, then by quote asset, 2025
    InstrumentKind.LINEAR_PERPETUAL: {"BTC/USDT": "100", "ETH/USDT": "20", "USDT": "5", "USDC": "5"},
}
"""Smallest order value (quote) where no venue told it; a quote asset that is not named here has none."""


def instrument_of(symbol: str, rows: Rows, told: Mapping[str, str]) -> tuple[Instrument, str]:
    """The instrument of a recorded symbol, and where its rules are from.

    Parameters
    ----------
    symbol : ccxt's symbol.
    rows : its bars; every price is a whole number of ticks, every volume of lots.
    told : "tick", "lot", "min_notional" as the venue told them; may be empty.

    Raises
    ------
    BadBars : a price or volume finer than 1e-8.
    """
    base, quote = pair_of(symbol)
    kind = kind_of(symbol)
    prices, volumes = rows.values[:, :4].ravel(), rows.column("volume")
    tick, told_tick = _step(prices, told.get("tick"), f"a price of {symbol}")
    lot, told_lot = _step(volumes, told.get("lot"), f"a volume of {symbol}")
    known = MIN_NOTIONAL[kind]
    least = told.get("min_notional") or known.get(f"{base}/{quote}") or known.get(quote) or "0"
    source = "venue" if told_tick and told_lot else "read off the candles"
    return Instrument(symbol, base, quote, kind, tick, lot, Decimal(least)), source


def fits(rows: Rows, instrument: Instrument) -> bool:
    """Whether every price of the bars is a whole number of the instrument's ticks, and every volume of its lots."""
    return _fits(rows.values[:, :4], instrument.tick) and _fits(rows.column("volume"), instrument.lot)


def smallest_step(values: NDArray[np.float64], *, what: str = "a value") -> Decimal:
    """The largest power of ten, at most 1, of which every value is a whole multiple.

    Raises
    ------
    BadBars : finer than 1e-8.

    Examples
    --------
    >>> smallest_step(np.array([95505.4, 95502.0]))
    Decimal('0.1')
    """
    for decimals in range(_MAX_DECIMALS + 1):
        if _fits(values, Decimal(1).scaleb(-decimals)):
            return Decimal(1).scaleb(-decimals)
    scaled = np.round(values * 10.0**_MAX_DECIMALS) / 10.0**_MAX_DECIMALS
    finest = values[scaled != values]
    raise BadBars(f"{what} is finer than any venue's", expected="multiples of 1e-8", got=f"{finest[0]!r}")


def _step(values: NDArray[np.float64], told: str | None, what: str) -> tuple[Decimal, bool]:
    if told is not None and _fits(values, Decimal(told)):
        return Decimal(told), True
    return smallest_step(values, what=what), False


def _fits(values: NDArray[np.float64], step: Decimal) -> bool:
    """Whether each value is the double nearest to a whole multiple of `step`."""
    numerator, denominator = step.as_integer_ratio()
    counts = np.round(values * denominator / numerator)
    return bool((counts * numerator / denominator == values).all())
