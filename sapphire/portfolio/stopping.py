"""Sizing from one close to the next: a belief lives for its horizon, and what it leaves behind follows the rule.

A sizing remembers nothing. What was believed last is handed in here and handed out again, so a study, the coordinator
and a coordinator that was started again state the same targets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sapphire.domain.intervals import Interval
from sapphire.domain.money import ATOMS_PER_UNIT
from sapphire.domain.stopped_views import LastBelief, Stage, WhenViewsStop
from sapphire.domain.views import Belief
from sapphire.portfolio.lots import below_smallest_order
from sapphire.portfolio.sizing import Sizing
from sapphire.portfolio.state import PortfolioState
from sapphire.portfolio.targets import Reason, Target

__all__ = ["Sized", "size_at_close"]

_UNBELIEVED = frozenset({Reason.ZERO_NO_BELIEF, Reason.ZERO_EXPIRED})
"""Why a sizing that follows beliefs closes a position of which nothing is believed."""
_REASONS = {
    Stage.HOLDING: Reason.VIEWS_STOPPED_HELD,
    Stage.REDUCING: Reason.VIEWS_STOPPED_REDUCED,
    Stage.FLAT: Reason.VIEWS_STOPPED_ZERO,
}


@dataclass(frozen=True, slots=True)
class Sized:
    """What one close comes to.

    Parameters
    ----------
    targets : in alphabetical order of symbol.
    remembered : what the next close is to be sized with, in alphabetical order of symbol.
    """

    targets: tuple[Target, ...]
    remembered: tuple[LastBelief, ...]


def size_at_close(
    spoken: Sequence[Belief],
    remembered: Sequence[LastBelief],
    state: PortfolioState,
    *,
    sizing: Sizing,
    rule: WhenViewsStop,
    interval: Interval,
    answered: bool = True,
) -> Sized:
    """Targets at the close that `state` is of; a function of its arguments.

    An older belief that still lives is sized as it was stated, with the prices and volatility of today. A position
    whose last belief has ended follows the rule: its target is never above what is held. What is bought of the others
    is paid with what those positions leave free.

    Parameters
    ----------
    spoken : beliefs stated at this close.
    remembered : `Sized.remembered` of the close before; nothing at the first.
    sizing, rule, interval : of the release.
    answered : whether views came at all. Where none came a sizing that looks at no beliefs follows the rule too.

    Raises
    ------
    ValueRefused : two beliefs about one symbol.
    UnknownInstrument : a belief about a symbol outside the universe.
    LeakFound : a belief from after the state.
    """
    last = {each.symbol: each for each in remembered} | {each.symbol: LastBelief(each) for each in spoken}
    now = {belief.symbol for belief in spoken}
    living = {symbol for symbol, each in last.items() if each.bars_since(state.as_of, interval) <= 0}
    older = [last[symbol].belief for symbol in sorted(living - now)]
    sized = sizing.size([*spoken, *older], state)
    kept = {
        symbol: each if symbol in living or each.lots is not None else replace(each, lots=state.lots.get(symbol, 0))
        for symbol, each in last.items()
    }
    if answered:
        leaving = {target.symbol for target in sized if target.reason in _UNBELIEVED} & kept.keys() - living
    else:
        holdings = {symbol for symbol, lots in state.lots.items() if lots}
        leaving = ({target.symbol for target in sized} | holdings) - living
    ruled = [
        _ruled(kept[symbol], state, rule, interval) if symbol in kept else Target(symbol, 0, 0.0, Reason.ZERO_NO_BELIEF)
        for symbol in leaving
    ]
    spared = [target for target in sized if target.symbol not in leaving]
    if any(target.lots for target in ruled):
        spared = _paid_for(spared, ruled, state, gross=float(sizing.parameters.get("max_gross", 1.0)))
    targets = sorted([*spared, *ruled], key=lambda target: target.symbol)
    return Sized(tuple(targets), tuple(kept[symbol] for symbol in sorted(kept)))


def _ruled(last: LastBelief, state: PortfolioState, rule: WhenViewsStop, interval: Interval) -> Target:
    """The target of a symbol whose last belief has ended: never more than is held, never too little to be sold."""
    bar = last.bars_since(state.as_of, interval)
    position, reason = state.lots.get(last.symbol, 0), _REASONS[rule.stage(bar)]
    left = rule.remaining(last.lots or 0, bar)
    if not position or (left > 0) is not (position > 0):
        return Target(last.symbol, 0, 0.0, Reason.VIEWS_STOPPED_ZERO)
    lots = min(position, left, key=abs)
    instrument = state.instruments[last.symbol]
    lot_quote = _lot_quote(last.symbol, state)
    if lots != position:
        if below_smallest_order(lots, instrument, lot_quote):
            lots, reason = 0, Reason.VIEWS_STOPPED_ZERO
        elif below_smallest_order(lots - position, instrument, lot_quote):
            lots = position
    return Target(last.symbol, lots, _weight(lots, lot_quote, state), reason)


def _paid_for(
    targets: Sequence[Target], leaving: Sequence[Target], state: PortfolioState, *, gross: float
) -> list[Target]:
    """The targets with what they buy cut to what is free beside the positions on their way out."""

    def worth(lots: int, symbol: str) -> float:
        return abs(lots) * _lot_quote(symbol, state) if lots else 0.0

    kept = [_within(target.lots, state.lots.get(target.symbol, 0)) for target in targets]
    bought = sum(worth(target.lots - lots, target.symbol) for target, lots in zip(targets, kept, strict=True))
    standing = sum(worth(lots, target.symbol) for target, lots in zip(targets, kept, strict=True))
    standing += sum(worth(target.lots, target.symbol) for target in leaving)
    free = max(0.0, gross * state.equity_quote - standing)
    if bought <= free:
        return list(targets)
    return [
        target if target.lots == lots else _cut(target, lots, free / bought, state)
        for target, lots in zip(targets, kept, strict=True)
    ]


def _cut(target: Target, kept: int, share: float, state: PortfolioState) -> Target:
    """A target with that share of what it buys above the lots that are kept."""
    instrument, lot_quote = state.instruments[target.symbol], _lot_quote(target.symbol, state)
    bought = int((target.lots - kept) * share)
    if below_smallest_order(bought, instrument, lot_quote):
        bought = 0
    lots = kept + bought
    return Target(target.symbol, lots, _weight(lots, lot_quote, state), Reason.LIMITED_BY_LEAVING)


def _within(wanted: int, position: int) -> int:
    """The part of a target that is held already."""
    return min(wanted, position, key=abs) if wanted * position > 0 else 0


def _lot_quote(symbol: str, state: PortfolioState) -> float:
    return state.instruments[symbol].lot_atoms / ATOMS_PER_UNIT * state.prices[symbol]


def _weight(lots: int, lot_quote: float, state: PortfolioState) -> float:
    return lots * lot_quote / state.equity_quote if state.equity_quote > 0.0 else 0.0
