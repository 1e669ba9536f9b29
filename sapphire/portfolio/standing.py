"""Which beliefs stand at the moment of a state."""

from __future__ import annotations

from collections.abc import Sequence

from sapphire.domain.errors import LeakFound, ValueRefused
from sapphire.domain.views import Belief
from sapphire.portfolio.state import PortfolioState
from sapphire.portfolio.targets import Reason


def standing_beliefs(beliefs: Sequence[Belief], state: PortfolioState) -> tuple[dict[str, Belief], dict[str, Reason]]:
    """The beliefs that can be sized, by symbol in alphabetical order, and the reason why each other symbol cannot.

    The second names every symbol that has a belief or a position and is not in the first.

    Raises
    ------
    ValueRefused : two beliefs about one symbol.
    UnknownInstrument : a belief about a symbol outside the universe.
    LeakFound : a belief from after the state.
    """
    standing: dict[str, Belief] = {}
    idle: dict[str, Reason] = {symbol: Reason.ZERO_NO_BELIEF for symbol, lots in state.lots.items() if lots}
    for belief in sorted(beliefs, key=_symbol):
        symbol = belief.symbol
        state.instruments.index(symbol)
        if symbol in standing:
            raise ValueRefused(
                f"two beliefs about {symbol}",
                expected="one pooled belief per symbol",
                got=f"{len(beliefs)} beliefs",
                next="pool them first",
            )
        if belief.as_of > state.as_of:
            raise LeakFound(
                f"a belief about {symbol} from the future",
                expected=f"as_of up to {state.as_of.isoformat()}",
                got=belief.as_of.isoformat(),
                next="size it with the state of its own bar",
            )
        standing[symbol] = belief
    for symbol, belief in tuple(standing.items()):
        reason = _obstacle(belief, state)
        if reason is not None:
            idle[symbol] = reason
            del standing[symbol]
        else:
            idle.pop(symbol, None)
    return standing, idle


def _symbol(belief: Belief) -> str:
    return belief.symbol


def _obstacle(belief: Belief, state: PortfolioState) -> Reason | None:
    if belief.as_of + belief.horizon <= state.as_of:
        return Reason.ZERO_EXPIRED
    if belief.symbol not in state.prices:
        return Reason.ZERO_NO_PRICE
    return Reason.ZERO_NO_EQUITY if state.equity_quote <= 0.0 else None
