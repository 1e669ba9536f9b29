"""Plain sizings to compare with: equal weights bought and held, and a fixed share per belief."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from sapphire.domain.errors import ValueRefused
from sapphire.domain.given_kinds import wrong_kinds
from sapphire.domain.views import Belief
from sapphire.portfolio.lots import Allocation, may_be_short, whole_lots
from sapphire.portfolio.standing import standing_beliefs
from sapphire.portfolio.state import PortfolioState
from sapphire.portfolio.targets import Reason, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class EqualWeight:
    """The same share of every instrument that has a price, whatever anyone believes: the market to beat.

    Parameters
    ----------
    max_gross : the sum of the weights, up to 1; below 1 so that fees are paid from cash.
    hold : a position once opened is kept as it is (buy and hold); otherwise weights are brought back to equal.
    rebalance_band : relative change up to which the lots held are kept (`whole_lots`).

    Raises
    ------
    ValueRefused : a parameter out of range.

    References
    ----------
    DeMiguel, Garlappi and Uppal (2009), Optimal versus naive diversification, Review of Financial Studies 22(5).
    """

    name: ClassVar[str] = "equal_weight"

    max_gross: float = 0.99
    hold: bool = True
    rebalance_band: float = 0.10

    def __post_init__(self) -> None:
        require_kinds(self)
        _check(self.parameters, shares=(self.max_gross,), band=self.rebalance_band)

    @property
    def parameters(self) -> dict[str, float | bool]:
        """What the sizing is made of, by name; `EqualWeight(**parameters)` is the same sizing."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def size(self, beliefs: Sequence[Belief], state: PortfolioState) -> tuple[Target, ...]:
        """One target per instrument of the universe, in alphabetical order; `beliefs` are not looked at."""
        if state.equity_quote <= 0.0:
            return whole_lots(
                {}, dict.fromkeys(state.instruments.symbols, Reason.ZERO_NO_EQUITY), state, rebalance_band=0
            )
        priced = sorted(symbol for symbol in state.instruments.symbols if symbol in state.prices)
        idle = {symbol: Reason.ZERO_NO_PRICE for symbol in state.instruments.symbols if symbol not in state.prices}
        allocations = {symbol: Allocation(self.max_gross / len(priced), Reason.SIZED) for symbol in priced}
        return whole_lots(allocations, idle, state, rebalance_band=self.rebalance_band, hold=self.hold)


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedFraction:
    """The same share of equity for every belief above zero, however sure it is.

    Parameters
    ----------
    fraction : share of equity per belief, up to 1.
    max_gross : largest sum of absolute weights, up to 1; beyond it all are scaled down together.
    rebalance_band : relative change up to which the lots held are kept (`whole_lots`).
    long_only : nothing below zero; on spot there is never anything below zero.

    Raises
    ------
    ValueRefused : a parameter out of range.

    References
    ----------
    Vince (1990), Portfolio Management Formulas, fixed fractional trading.
    """

    name: ClassVar[str] = "fixed_fraction"

    fraction: float = 0.10
    max_gross: float = 0.99
    rebalance_band: float = 0.10
    long_only: bool = True

    def __post_init__(self) -> None:
        require_kinds(self)
        _check(self.parameters, shares=(self.fraction, self.max_gross), band=self.rebalance_band)

    @property
    def parameters(self) -> dict[str, float | bool]:
        """What the sizing is made of, by name; `FixedFraction(**parameters)` is the same sizing."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def size(self, beliefs: Sequence[Belief], state: PortfolioState) -> tuple[Target, ...]:
        """One target per symbol that has a belief or a position, in alphabetical order; a function of its arguments.

        Raises
        ------
        ValueRefused : two beliefs about one symbol.
        UnknownInstrument : a belief about a symbol outside the universe.
        LeakFound : a belief from after the state.
        """
        standing, idle = standing_beliefs(beliefs, state)
        sides = {symbol: self._side(belief, state) for symbol, belief in standing.items()}
        gross = self.fraction * sum(abs(side) for side in sides.values())
        limited = gross > self.max_gross
        share = self.fraction * (self.max_gross / gross if limited else 1.0)
        sized = Reason.LIMITED_BY_GROSS if limited else Reason.SIZED
        allocations = {
            symbol: Allocation(side * share, sized if side else Reason.ZERO_NOT_POSITIVE)
            for symbol, side in sides.items()
        }
        return whole_lots(allocations, idle, state, rebalance_band=self.rebalance_band)

    def _side(self, belief: Belief, state: PortfolioState) -> int:
        if belief.mean_bps > 0.0:
            return 1
        short = belief.mean_bps < 0.0 and may_be_short(state.instruments[belief.symbol], long_only=self.long_only)
        return -1 if short else 0


def require_kinds(sizing: Any) -> None:
    """Refuse a parameter of another kind, such as a text for a number.

    Raises
    ------
    ValueRefused : names each.
    """
    if wrong := wrong_kinds(sizing):
        raise ValueRefused(
            f"parameters of {type(sizing).__name__}",
            expected="numbers, 0.20 for 20 %, and True or False",
            got="; ".join(wrong),
            next="start from the defaults",
        )


def _check(parameters: dict[str, float | bool], *, shares: tuple[float, ...], band: float) -> None:
    if not (all(math.isfinite(share) and 0.0 < share <= 1.0 for share in shares) and 0.0 <= band < 1.0):
        raise ValueRefused(
            "a sizing out of range",
            expected="shares of equity in (0, 1]; rebalance_band in [0, 1)",
            got=", ".join(f"{name}={value}" for name, value in parameters.items()),
            next="start from the defaults",
        )
