"""What sizing is handed: the account in exact integers, valued at the bar's closes as the engine's replay values it.

The sizing itself comes from above; here is only what it is asked with, so that a study and the coordinator ask alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

import numpy as np

from sapphire.domain.bars import Bars
from sapphire.domain.errors import MissingData, UnknownInstrument
from sapphire.domain.instruments import Universe
from sapphire.domain.intervals import Interval
from sapphire.domain.messages import AccountStateMessage
from sapphire.domain.money import ATOMS_PER_UNIT
from sapphire.domain.precision import cut, fits_amount
from sapphire.domain.stopped_views import LastBelief, WhenViewsStop
from sapphire.domain.views import Belief
from sapphire.domain.wire import decimal_of_float

__all__ = [
    "Account",
    "Asked",
    "Chosen",
    "Kept",
    "Size",
    "Sized",
    "account_of",
    "closes_in_ticks",
    "equity_atoms",
    "kept_by_rule",
]


@dataclass(frozen=True, slots=True, eq=False)
class Account:
    """An account at the close of a bar.

    Parameters
    ----------
    bars : closed bars up to that close.
    equity_quote : cash and positions at the closes.
    lots : symbol to lots held.
    prices : last known price of each symbol that has one, however old.
    """

    bars: Bars
    equity_quote: float
    lots: Mapping[str, int]
    prices: Mapping[str, float]


class Chosen(Protocol):
    """A target, as a sizing states it."""

    @property
    def symbol(self) -> str:
        """Of what."""
        ...

    @property
    def lots(self) -> int:
        """How many to hold."""
        ...

    @property
    def weight(self) -> float:
        """Share of equity."""
        ...

    @property
    def reason(self) -> str:
        """Why."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """What a sizing is asked with at the close of a bar.

    Parameters
    ----------
    beliefs : those stated at this close.
    remembered : the newest of each symbol before it.
    account : as it stands.
    answered : whether the release answered at all.
    """

    beliefs: Sequence[Belief]
    remembered: Sequence[LastBelief]
    account: Account
    answered: bool


class Sized(Protocol):
    """What a sizing answers."""

    @property
    def targets(self) -> Sequence[Chosen]:
        """At most one for each symbol."""
        ...

    @property
    def remembered(self) -> Sequence[LastBelief]:
        """What the next close is to be sized with."""
        ...


@dataclass(frozen=True, slots=True)
class Kept:
    """The target of a symbol at a close that could not be sized.

    Parameters
    ----------
    symbol, lots : as in `Chosen`.
    weight : not known without prices, so zero.
    reason : "believed", or where the rule for views that stop has the position.
    """

    symbol: str
    lots: int
    reason: str
    weight: float = 0.0


def kept_by_rule(
    remembered: Sequence[LastBelief],
    lots_held: Mapping[str, int],
    close: datetime,
    *,
    rule: WhenViewsStop,
    interval: Interval,
) -> tuple[list[Kept], list[LastBelief]]:
    """What is to be held where nothing can be sized, and what is to be remembered: no prices are looked at.

    While a belief lives its position stays as it is; from its end on it follows the rule. A position that nothing was
    ever believed of is left alone, as is everything else in the account.

    Parameters
    ----------
    remembered : the newest belief of each symbol before this close.
    lots_held : symbol to lots.
    close : of the bar.

    Examples
    --------
    >>> from datetime import timedelta
    >>> from sapphire.domain.clocks import from_ns
    >>> hour, start = Interval("1h"), from_ns(0)
    >>> last = [LastBelief(Belief("BTC/USDT", start, timedelta(hours=1), 5.0, 9.0))]
    >>> rule = WhenViewsStop(hold_bars=1, reduce_bars=1)
    >>> for bar in range(1, 4):
    ...     kept, last = kept_by_rule(last, {"BTC/USDT": 10}, start + bar * hour.timedelta, rule=rule, interval=hour)
    ...     print(kept[0].lots, kept[0].reason)
    10 holding
    5 reducing
    0 flat
    """
    kept, after = [], []
    for last in remembered:
        lots, bar = lots_held.get(last.symbol, 0), last.bars_since(close, interval)
        if bar <= 0:
            kept.append(Kept(last.symbol, lots, "believed"))
            after.append(last)
            continue
        ended = last if last.lots is not None else replace(last, lots=lots)
        left = rule.remaining(ended.lots or 0, bar)
        goes_on = lots * left > 0
        kept.append(Kept(last.symbol, min(lots, left, key=abs) if goes_on else 0, str(rule.stage(bar))))
        after.append(ended)
    return kept, after


Size = Callable[[Asked], Sized]
"""From beliefs and an account to targets: a pure function."""


def closes_in_ticks(bars: Bars, instruments: Universe, before: Mapping[str, int]) -> dict[str, int]:
    """The last known close of each symbol, in its ticks; a symbol without any is left out.

    Parameters
    ----------
    before : those that were known at the bar before, for a symbol that has no bar here.

    Raises
    ------
    PrecisionError : a close that is finer than the tick.
    """
    closes = {symbol: ticks for symbol, ticks in before.items() if symbol in bars.symbols}
    for column, symbol in enumerate(bars.symbols):
        known = np.flatnonzero(np.isfinite(bars.close[:, column]))
        if known.size:
            price = decimal_of_float(bars.close[known[-1], column])
            closes[symbol] = instruments[symbol].to_ticks(price)
    return closes


def equity_atoms(state: AccountStateMessage, closes_ticks: Mapping[str, int], instruments: Universe) -> int:
    """Cash and positions in quote atoms; the value of each position is cut toward zero, as the engine does.

    Raises
    ------
    MissingData : something is held that has no close.
    UnknownInstrument : something is held that is not in the universe.
    PrecisionError : more than an account can hold.
    """
    equity = state.cash_quote_atoms
    for position in state.positions:
        if not position.atoms:
            continue
        if position.symbol not in instruments:
            raise UnknownInstrument(
                f"the account holds {position.symbol}, which nobody sizes",
                expected="positions in " + ", ".join(instruments.symbols),
                got=f"{position.atoms} atoms",
                next="sell it, or trade the release on an account of its own",
            )
        if position.symbol not in closes_ticks:
            raise MissingData(
                f"no close of {position.symbol}, of which {position.atoms} atoms are held",
                expected="a bar of every symbol that is held",
                got=", ".join(closes_ticks) or "no bars",
            )
        price_atoms = closes_ticks[position.symbol] * instruments[position.symbol].tick_atoms
        equity += cut(position.atoms * price_atoms, ATOMS_PER_UNIT)
    return fits_amount(equity, what=f"equity of account {state.account}")


def account_of(
    state: AccountStateMessage, bars: Bars, closes_ticks: Mapping[str, int], equity: int, instruments: Universe
) -> Account:
    """The account that a sizing is asked with.

    Raises
    ------
    MissingData : a symbol of the universe that the account does not trade.
    """
    positions = {position.symbol: position.lots for position in state.positions}
    absent = [symbol for symbol in instruments.symbols if symbol not in positions]
    if absent:
        raise MissingData(
            f"account {state.account} does not say what it holds of {', '.join(absent)}",
            expected="a position, of zero or more, in each of " + ", ".join(instruments.symbols),
            got=", ".join(positions) or "none",
            next="start the service with the release's universe",
        )
    lots = {symbol: positions[symbol] for symbol in instruments.symbols}
    prices = {symbol: float(ticks * instruments[symbol].tick) for symbol, ticks in closes_ticks.items()}
    return Account(bars, equity / ATOMS_PER_UNIT, lots, prices)
