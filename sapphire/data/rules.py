"""Trading rules of a recorded symbol: as the venue or a file states them, or read off its candles.

Candle files do not say tick and lot. A price series shows its tick in its decimals, and where they change, when the
venue changed it. What is stated wins where the prices fit it: rules of today that old prices do not fit hold since the
prices do, and no price is rounded.

Volume is data: no step is asked of it. It shows a lot where it is a sum of whole lots, which is how venues tell it. It
shows none where it was computed, and a false one where it was rounded (whole bitcoins); then the lot is assumed: 1e-8,
the finest that an account counts, or coarser where a bar would be more lots than 64 bits hold. The rules say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from sapphire.data.decimals import FINEST_DECIMALS, decimals_of
from sapphire.data.rows import Rows
from sapphire.data.series import kind_of, pair_of
from sapphire.data.trading_rules import ALWAYS_NS, RulesPeriod, TradingRules
from sapphire.domain.errors import BadBars
from sapphire.domain.instruments import Instrument, InstrumentKind

__all__ = ["MIN_NOTIONAL", "fits", "least_notional", "rules_of", "smallest_step", "venue_rules"]

MIN_NOTIONAL: Mapping[InstrumentKind, Mapping[str, str]] = {
    # Binance spot, exchangeInfo, filter NOTIONAL (minNotional) by quote asset, 2024
    InstrumentKind.SPOT: {"USDT": "5", "USDC": "5", "FDUSD": "5", "BTC": "0.0001"},
    # Binance USD-M futures, exchangeInfo, filter MIN_NOTIONAL by pair, then by quote asset, 2025
    InstrumentKind.LINEAR_PERPETUAL: {"BTC/USDT": "100", "ETH/USDT": "20", "USDT": "5", "USDC": "5"},
}
"""Smallest order value (quote) where no venue states it; a quote asset that is not named here has none."""


_LARGEST_LOT: Mapping[str, float] = dict.fromkeys(
    ("USD", "USDT", "USDC", "FDUSD", "BUSD", "TUSD", "DAI", "EUR", "GBP"), 500.0
) | {"BTC": 0.01, "ETH": 0.2, "BNB": 1.0}
"""What a lot is never worth (quote): the dearest of Binance's, BTC/USDT:USDT's 0.001, is worth 130 USDT at its highest
price (2025). A volume that shows a larger step was rounded."""
_MOST_LOTS = 2**56
"""In one bar, so that 64 bits hold the sum of many."""
_ENOUGH = 30
"""Different prices that show a tick: that all of so many are multiples of ten finer ones by chance is 1e-30."""
_DAYS_NS = 3 * 86_400 * 10**9
"""How long a coarser tick was in force at least: no venue changes one for hours."""


def rules_of(symbol: str, rows: Rows, known: TradingRules | None = None) -> TradingRules:
    """The rules of a recorded symbol over the time of its bars.

    Parameters
    ----------
    symbol : ccxt's symbol.
    rows : its bars, in order, one or more.
    known : as the venue or a file states them. A period that the prices do not fit holds since they do, and not at all
        where they have not done so for long enough; what is left without rules is read off.

    Raises
    ------
    BadBars : a price finer than 1e-8.
    """
    if known is None:
        return TradingRules(symbol, tuple(_shown(symbol, rows, ALWAYS_NS)))
    found: list[RulesPeriod] = []
    ends = [*(period.from_ns for period in known.periods[1:]), None]
    for period, end_ns in zip(known.periods, ends, strict=True):
        part = rows.between(period.from_ns, np.iinfo(np.int64).max if end_ns is None else end_ns)
        off = np.flatnonzero(~_fitting(part.values[:, :4], period.tick).all(axis=1))
        if not off.size:
            found.append(period)
            continue
        last = int(off[-1])
        if np.unique(part.values[last + 1 :, :4]).size < _ENOUGH:
            found += _shown(symbol, part, period.from_ns, known=period)
            continue
        found += _shown(symbol, part.take(np.arange(len(part)) <= last), period.from_ns, known=period)
        found.append(replace(period, from_ns=int(part.open_time_ns[last + 1])))
    return TradingRules(symbol, _distinct(found))


def venue_rules(symbol: str, stated: Mapping[str, str]) -> TradingRules | None:
    """Rules as a venue states them ("tick", "lot", "min_notional"); None without steps that an account counts in."""
    steps = {
        name: Decimal(stated[name]) for name in ("tick", "lot") if name in stated and _countable(Decimal(stated[name]))
    }
    if len(steps) < 2:
        return None
    least = Decimal(stated["min_notional"]) if "min_notional" in stated else least_notional(symbol)
    return TradingRules(symbol, (RulesPeriod(ALWAYS_NS, steps["tick"], steps["lot"], least, "venue"),))


def least_notional(symbol: str) -> Decimal:
    """The smallest order value (quote) where no venue states it."""
    known, (base, quote) = MIN_NOTIONAL[kind_of(symbol)], pair_of(symbol)
    return Decimal(known.get(f"{base}/{quote}") or known.get(quote) or "0")


def _shown(symbol: str, rows: Rows, from_ns: int, known: RulesPeriod | None = None) -> list[RulesPeriod]:
    """The rules that bars show: a period for each tick; what they do not show is as known, where something is."""
    quote = pair_of(symbol)[1]
    lot, source, least = None, "read off the candles", least_notional(symbol)
    if known is not None:
        lot, least = known.lot, known.min_notional
    else:
        lot = _shown_lot(rows.column("volume"), float(rows.values[:, :4].max()), quote)
        if lot is None:
            lot, source = _assumed_lot(rows.column("volume")), f"{source}, lot assumed"
    ticks = _shown_ticks(symbol, rows)
    times = [from_ns, *(time for time, _ in ticks[1:])]
    return [RulesPeriod(time, tick, lot, least, source) for time, (_, tick) in zip(times, ticks, strict=True)]


def _shown_ticks(symbol: str, rows: Rows) -> list[tuple[int, Decimal]]:
    """The ticks that prices show, each with the open time of its first bar.

    The tick is the finest that a price shows, but where for days, over enough different prices, all are multiples of a
    coarser one: from the bar after the last finer price to the bar before the next.
    """
    prices = rows.values[:, :4]
    smallest_step(prices, what=f"a price of {symbol}")
    times, decimals = np.asarray(rows.open_time_ns), decimals_of(prices).max(axis=1)
    found = np.empty(len(rows), np.int64)
    left = [(0, len(rows))]
    while left:
        first, end = left.pop()
        finest = int(decimals[first:end].max())
        found[first:end] = finest
        at = np.flatnonzero(decimals[first:end] == finest) + first
        edges = np.concatenate([[first - 1], at, [end]])
        for before in np.flatnonzero(np.diff(edges) * prices.shape[1] > _ENOUGH):
            start, stop = int(edges[before]) + 1, int(edges[before + 1])
            lasts = times[stop - 1] - times[start] >= _DAYS_NS
            if lasts and np.unique(prices[start:stop]).size >= _ENOUGH:
                left.append((start, stop))
    changes = np.flatnonzero(np.diff(found, prepend=-1))
    return [(int(times[row]), Decimal(1).scaleb(-int(found[row]))) for row in changes]


def _distinct(periods: list[RulesPeriod]) -> tuple[RulesPeriod, ...]:
    """The periods without those that say what the one before them says."""
    kept: list[RulesPeriod] = []
    for period in periods:
        if not kept or replace(period, from_ns=kept[-1].from_ns) != kept[-1]:
            kept.append(period)
    return tuple(kept)


def fits(rows: Rows, instrument: Instrument) -> bool:
    """Whether every price of the bars is a whole number of the instrument's ticks, and every volume of its lots."""
    prices, volumes = rows.values[:, :4], rows.column("volume")
    return bool(_fitting(prices, instrument.tick).all() and _fitting(volumes, instrument.lot).all())


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


def _countable(step: Decimal) -> bool:
    """Whether an account can count in a step that a venue states."""
    return step > 0 and step % Decimal(1).scaleb(-FINEST_DECIMALS) == 0


def _fitting(values: NDArray[np.float64], step: Decimal) -> NDArray[np.bool_]:
    """Whether each value is the double nearest to a whole multiple of `step`."""
    numerator, denominator = step.as_integer_ratio()
    counts = np.round(values * denominator / numerator)
    return np.asarray(counts * numerator / denominator == values, np.bool_)
