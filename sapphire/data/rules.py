"""Trading rules of a recorded symbol: as the venue told them, or read off its candles.

Candle files do not say tick and lot. A price series shows its tick in its decimals. What the venue said wins where the
prices fit it; ticks change over the years, and an old price that does not fit today's tick is not rounded.

Volume is data: no step is asked of it. It shows a lot where it is a sum of whole lots, which is how venues tell it. It
shows none where it was computed, and a false one where it was rounded (whole bitcoins); then the lot is assumed: 1e-8,
the finest that an account counts, or coarser where a bar would be more lots than 64 bits hold. The rules say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from sapphire.data.decimals import FINEST_DECIMALS, decimals_of
from sapphire.data.rows import Rows
from sapphire.data.series import kind_of, pair_of
from sapphire.domain.errors import BadBars
from sapphire.domain.instruments import Instrument, InstrumentKind

__all__ = ["MIN_NOTIONAL", "fits", "instrument_of", "smallest_step"]

MIN_NOTIONAL: Mapping[InstrumentKind, Mapping[str, str]] = {
    # Binance spot, exchangeInfo, filter NOTIONAL (minNotional) by quote asset, 2024
    InstrumentKind.SPOT: {"USDT": "5", "USDC": "5", "FDUSD": "5", "BTC": "0.0001"},
    # Binance USD-M futures, exchangeInfo, filter MIN_NOTIONAL by pair, then by quote asset, 2025
    InstrumentKind.LINEAR_PERPETUAL: {"BTC/USDT": "100", "ETH/USDT": "20", "USDT": "5", "USDC": "5"},
}
"""Smallest order value (quote) where no venue told it; a quote asset that is not named here has none."""


_LARGEST_LOT: Mapping[str, float] = dict.fromkeys(
    ("USD", "USDT", "USDC", "FDUSD", "BUSD", "TUSD", "DAI", "EUR", "GBP"), 500.0
) | {"BTC": 0.01, "ETH": 0.2, "BNB": 1.0}
"""What a lot is never worth (quote): the dearest of Binance's, BTC/USDT:USDT's 0.001, is worth 130 USDT at its highest
price (2025). A volume that shows a larger step was rounded."""
_MOST_LOTS = 2**56
"""In one bar, so that 64 bits hold the sum of many."""


def instrument_of(symbol: str, rows: Rows, told: Mapping[str, str]) -> tuple[Instrument, str]:
    """The instrument of a recorded symbol, and where its rules are from.

    Parameters
    ----------
    symbol : ccxt's symbol.
    rows : its bars; every price is a whole number of ticks.
    told : "tick", "lot", "min_notional" as the venue told them; may be empty.

    Raises
    ------
    BadBars : a price finer than 1e-8.
    """
    base, quote = pair_of(symbol)
    kind = kind_of(symbol)
    prices = rows.values[:, :4].ravel()
    steps = {name: Decimal(told[name]) for name in ("tick", "lot") if name in told and _is_held(Decimal(told[name]))}
    if "tick" in steps and not _fits(prices, steps["tick"]):
        del steps["tick"]
    tick = steps.get("tick") or smallest_step(prices, what=f"a price of {symbol}")
    source = "venue" if len(steps) == 2 else "read off the candles"
    lot = steps.get("lot")
    if lot is None:
        shown = _shown_lot(rows.column("volume"), float(prices.max()), quote)
        lot = shown or _assumed_lot(rows.column("volume"))
        source = source if shown else "read off the candles, lot assumed"
    known = MIN_NOTIONAL[kind]
    least = told.get("min_notional") or known.get(f"{base}/{quote}") or known.get(quote) or "0"
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
    decimals = decimals_of(values)
    finest = int(decimals.max(initial=0))
    if finest > FINEST_DECIMALS:
        got = f"{float(values[decimals == finest][0])!r}"
        raise BadBars(f"{what} is finer than any venue's", expected="multiples of 1e-8", got=got)
    return Decimal(1).scaleb(-finest)


def _shown_lot(volumes: NDArray[np.float64], price: float, quote: str) -> Decimal | None:
    """The lot that the volumes show; None where they show none, one that is worth too much, or too many of it."""
    if int(decimals_of(volumes).max(initial=0)) > FINEST_DECIMALS:
        return None
    step = smallest_step(volumes)
    believed = float(step) * price <= _LARGEST_LOT.get(quote, np.inf)
    return step if believed and float(volumes.max(initial=0.0)) / float(step) <= _MOST_LOTS else None


def _assumed_lot(volumes: NDArray[np.float64]) -> Decimal:
    """The finest lot of which 64 bits hold what a bar trades."""
    decimals = FINEST_DECIMALS
    most = float(volumes.max(initial=0.0))
    while decimals > 0 and most * 10.0**decimals > _MOST_LOTS:
        decimals -= 1
    return Decimal(1).scaleb(-decimals)


def _is_held(step: Decimal) -> bool:
    """Whether an account can count in a step that a venue told."""
    return step > 0 and step % Decimal(1).scaleb(-FINEST_DECIMALS) == 0


def _fits(values: NDArray[np.float64], step: Decimal) -> bool:
    """Whether each value is the double nearest to a whole multiple of `step`."""
    numerator, denominator = step.as_integer_ratio()
    counts = np.round(values * denominator / numerator)
    return bool((counts * numerator / denominator == values).all())
