"""From wanted weights to whole lots: what the venue accepts, and what is not worth an order.

Lots are cut toward zero, so what is asked for never costs more than was wanted. A change too small to matter is not
asked for at all; that rule alone can leave a position above what was wanted, and it yields where the sum of all
positions would pass equity.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from sapphire.domain.instruments import Instrument, InstrumentKind
from sapphire.domain.money import ATOMS_PER_UNIT
from sapphire.portfolio.state import PortfolioState
from sapphire.portfolio.targets import Reason, Target


class Allocation(NamedTuple):
    """A wanted weight, signed share of equity, and what limited it."""

    weight: float
    reason: Reason


def whole_lots(
    allocations: Mapping[str, Allocation],
    idle: Mapping[str, Reason],
    state: PortfolioState,
    *,
    rebalance_band: float,
    hold: bool = False,
) -> tuple[Target, ...]:
    """One target per allocation and per idle symbol, in alphabetical order.

    Parameters
    ----------
    allocations : symbol to wanted weight; each symbol has a price, and their gross sum is at most 1.
    idle : symbol to the reason why nothing of it is wanted.
    state : equity, prices, positions, instruments.
    rebalance_band : relative change, in [0, 1), up to which the lots held are kept. It is relative to the larger of
        wanted and held, so opening, closing and turning always go through. After Carver (2015), Systematic Trading,
        "position inertia".
    hold : what is held is kept, whatever the change, as long as something on the same side is wanted.
    """
    wanted: dict[str, Target] = {}
    kept: dict[str, Target] = {}
    for symbol, allocation in allocations.items():
        instrument = state.instruments[symbol]
        lot_quote = instrument.lot_atoms / ATOMS_PER_UNIT * state.prices[symbol]
        target = wanted[symbol] = _wanted(allocation, instrument, lot_quote, state)
        position = state.lots.get(symbol, 0)
        if position != target.lots:
            reason = _keeps(position, target.lots, instrument, lot_quote, rebalance_band, hold=hold)
            if reason is not None:
                kept[symbol] = Target(symbol, position, position * lot_quote / state.equity_quote, reason)
    chosen = {**wanted, **kept}
    if kept and sum(abs(target.weight) for target in chosen.values()) > 1.0:
        chosen = {
            symbol: wanted[symbol] if abs(target.lots) > abs(wanted[symbol].lots) else target
            for symbol, target in chosen.items()
        }
    for symbol, reason in idle.items():
        chosen[symbol] = Target(symbol, 0, 0.0, reason)
    return tuple(chosen[symbol] for symbol in sorted(chosen))


def may_be_short(instrument: Instrument, *, long_only: bool) -> bool:
    """Whether a position below zero can be asked for: never on spot, which cannot be borrowed here."""
    return not long_only and instrument.kind is not InstrumentKind.SPOT


def _wanted(allocation: Allocation, instrument: Instrument, lot_quote: float, state: PortfolioState) -> Target:
    """The lots of an allocation; `lot_quote` is what one lot is worth."""
    symbol = instrument.symbol
    lots = instrument.floor_lots(allocation.weight * state.equity_quote / state.prices[symbol])
    if lots == 0 or below_smallest_order(lots, instrument, lot_quote):
        return Target(symbol, 0, 0.0, Reason.ZERO_TOO_SMALL if allocation.weight else allocation.reason)
    return Target(symbol, lots, lots * lot_quote / state.equity_quote, allocation.reason)


def _keeps(
    position: int, wanted: int, instrument: Instrument, lot_quote: float, band: float, *, hold: bool
) -> Reason | None:
    """Why the lots held are kept instead of those wanted, if they are."""
    if position == 0 or wanted == 0 or (position > 0) is not (wanted > 0):
        return None
    if hold:
        return Reason.KEPT_BOUGHT
    if below_smallest_order(wanted - position, instrument, lot_quote):
        return Reason.KEPT_SMALL_CHANGE
    return Reason.KEPT_WITHIN_BAND if abs(wanted - position) <= band * max(abs(wanted), abs(position)) else None


def below_smallest_order(lots: int, instrument: Instrument, lot_quote: float) -> bool:
    """Whether the venue takes no order of so few lots; `lot_quote` is what one lot is worth."""
    size = abs(lots)
    return size < instrument.min_lots or size * lot_quote < float(instrument.min_notional)
