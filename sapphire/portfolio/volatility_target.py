"""Sizing by risk: each belief gets a share of a volatility budget, as large as it is sure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import ClassVar

from sapphire.domain.errors import ValueRefused
from sapphire.domain.views import Belief
from sapphire.portfolio.baselines import require_kinds
from sapphire.portfolio.lots import Allocation, may_be_short, whole_lots
from sapphire.portfolio.standing import standing_beliefs
from sapphire.portfolio.state import PortfolioState
from sapphire.portfolio.targets import Reason, Target

_YEAR = timedelta(days=365)
_HIGHEST = 3.0
_NOTHING = Allocation(0.0, Reason.ZERO_NOT_POSITIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class VolatilityTarget:
    r"""Positions whose expected volatility together is at most `annual`.

    .. math:: S_i = \frac{\mu_i}{s_i}\sqrt{\frac{365\,\mathrm{d}}{h_i}}, \quad
              c_i = \mathrm{clip}\Bigl(\frac{S_i}{S_{\mathrm{full}}}, -1, 1\Bigr), \quad
              w_i = \frac{c_i\,\sigma^*}{\sigma_i}

    with :math:`\mu_i, s_i, h_i` the belief's mean, deviation and horizon, so that :math:`S_i` is its annualised Sharpe
    ratio whatever the horizon; :math:`\sigma_i` the annualised volatility in the state and :math:`\sigma^*` the target.
    Each weight is cut to `max_weight`, then all are scaled down together, never up, until

    .. math:: \sqrt{\sum_{ij} w_i w_j \sigma_i \sigma_j \rho_{ij}} \le \sigma^*, \qquad \sum_i |w_i| \le g_{\max}

    A pair whose correlation is not in the state is taken to move as one, against us: :math:`|w_i w_j|` with
    :math:`\rho = 1`. A measured correlation below zero counts as zero: it is the first thing to go in a fall.

    With a cost :math:`k` per trade, a position is moved only as far as it pays within the horizon: bought up to
    :math:`w(\mu - k)`, sold down to :math:`w(\mu + k)`, and left alone between the two.

    Up to full conviction this is Kelly at a fraction: growth-optimal betting runs a volatility equal to the Sharpe
    ratio, this one :math:`\sigma^*/S_{\mathrm{full}}` of it (0.2 by default).

    Parameters
    ----------
    annual : target volatility of the portfolio per year, 0.20 is 20 %; up to 3, which no spot portfolio reaches.
    full_conviction : annualised Sharpe ratio of a belief from which it gets the whole budget.
    max_weight : largest share of equity in one symbol, up to 1.
    max_gross : largest sum of absolute weights, up to 1. Below 1 so that the fee (10 bps for a taker on Binance spot)
        and a move between close and fill are paid from cash and not denied for want of it.
    rebalance_band : relative change up to which the lots held are kept (`whole_lots`); it may hold a position, and so
        the volatility, up to 1 / (1 - band) of what was wanted.
    cost_bps : what a trade costs one way, fee and half spread, in basis points; 0 follows every change of mind.
    long_only : nothing below zero; on spot there is never anything below zero.

    Raises
    ------
    ValueRefused : a parameter out of range.

    References
    ----------
    Moskowitz, Ooi and Pedersen (2012), Time series momentum, Journal of Financial Economics 104(2), for weights in
    inverse proportion to volatility. Thorp (2006), The Kelly criterion in blackjack, sports betting and the stock
    market, for the fraction. Davis and Norman (1990), Portfolio selection with transaction costs, Mathematics of
    Operations Research 15(4), for the region in which not to trade. Carver (2015), Systematic Trading, for the floor
    under correlations and the band.
    """

    name: ClassVar[str] = "volatility_target"

    annual: float = 0.20
    full_conviction: float = 1.0
    max_weight: float = 1.0
    max_gross: float = 0.99
    rebalance_band: float = 0.10
    cost_bps: float = 0.0
    long_only: bool = True

    def __post_init__(self) -> None:
        require_kinds(self)
        positive = all(
            math.isfinite(value) and value > 0.0
            for value in (self.annual, self.full_conviction, self.max_weight, self.max_gross)
        )
        within = self.annual <= _HIGHEST and self.max_weight <= 1.0 and self.max_gross <= 1.0
        within = within and 0.0 <= self.rebalance_band < 1.0
        if not (positive and within and 0.0 <= self.cost_bps < math.inf):
            raise ValueRefused(
                "a volatility target out of range",
                expected=f"annual in (0, {_HIGHEST:g}], where 0.20 is 20 % a year; full_conviction > 0; "
                "max_weight, max_gross in (0, 1]; rebalance_band in [0, 1); "
                "cost_bps of zero or more",
                got=", ".join(f"{name}={value}" for name, value in self.parameters.items()),
                next="start from the defaults: VolatilityTarget(annual=0.20)",
            )

    @property
    def parameters(self) -> dict[str, float | bool]:
        """What the sizing is made of, by name; `VolatilityTarget(**parameters)` is the same sizing."""
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
        allocations: dict[str, Allocation] = {}
        for symbol, belief in standing.items():
            volatility = state.volatility.get(symbol)
            if volatility is None:
                idle[symbol] = Reason.ZERO_NO_VOLATILITY
            else:
                allocations[symbol] = self._alone(belief, volatility, state)
        return whole_lots(self._together(allocations, state), idle, state, rebalance_band=self.rebalance_band)

    def _alone(self, belief: Belief, volatility: float, state: PortfolioState) -> Allocation:
        """What the belief would get if it were the only one, and a change had to earn its cost."""
        if self.cost_bps == 0.0:
            return self._wanted(belief, belief.mean_bps, volatility, state)
        current = _current_weight(belief.symbol, state)
        bought = self._wanted(belief, belief.mean_bps - self.cost_bps, volatility, state)
        if current < bought.weight:
            return bought
        sold = self._wanted(belief, belief.mean_bps + self.cost_bps, volatility, state)
        return sold if current > sold.weight else Allocation(current, Reason.KEPT_WITHIN_COSTS)

    def _wanted(self, belief: Belief, mean_bps: float, volatility: float, state: PortfolioState) -> Allocation:
        """The weight of a mean."""
        sharpe = mean_bps / belief.std_bps * math.sqrt(_YEAR / belief.horizon)
        conviction = max(-1.0, min(1.0, sharpe / self.full_conviction))
        if conviction < 0.0 and not may_be_short(state.instruments[belief.symbol], long_only=self.long_only):
            return _NOTHING
        if conviction == 0.0:
            return _NOTHING
        weight = conviction * self.annual / volatility
        if abs(weight) > self.max_weight:
            return Allocation(math.copysign(self.max_weight, weight), Reason.LIMITED_BY_WEIGHT)
        return Allocation(weight, Reason.SIZED)

    def _together(self, allocations: Mapping[str, Allocation], state: PortfolioState) -> dict[str, Allocation]:
        """The same allocations, scaled down until volatility and gross weight are within their limits."""
        scale, reason = 1.0, None
        volatility = expected_volatility(
            {symbol: allocation.weight for symbol, allocation in allocations.items()}, state
        )
        if volatility > self.annual:
            scale, reason = self.annual / volatility, Reason.LIMITED_BY_VOLATILITY
        gross = scale * sum(abs(allocation.weight) for allocation in allocations.values())
        if gross > self.max_gross:
            scale, reason = scale * self.max_gross / gross, Reason.LIMITED_BY_GROSS
        if reason is None:
            return dict(allocations)
        return {
            symbol: Allocation(allocation.weight * scale, reason if allocation.weight else allocation.reason)
            for symbol, allocation in allocations.items()
        }


def _current_weight(symbol: str, state: PortfolioState) -> float:
    """Signed share of equity that is held of a symbol."""
    lots = state.lots.get(symbol, 0)
    return lots * float(state.instruments[symbol].lot) * state.prices[symbol] / state.equity_quote if lots else 0.0


def expected_volatility(weights: Mapping[str, float], state: PortfolioState) -> float:
    """Annualised volatility of `weights` (symbol to signed share of equity) under the state's estimates.

    Pairs without a correlation count as moving as one, against us; a correlation below zero counts as zero.

    Raises
    ------
    KeyError : a weight of a symbol that has no volatility in the state.
    """
    symbols = sorted(weights)
    risks = [weights[symbol] * state.volatility[symbol] for symbol in symbols]
    variance = sum(risk * risk for risk in risks)
    for first, one in enumerate(symbols):
        for second in range(first + 1, len(symbols)):
            product = risks[first] * risks[second]
            correlation = state.correlation.get((one, symbols[second]))
            variance += 2.0 * (abs(product) if correlation is None else max(correlation, 0.0) * product)
    return math.sqrt(max(variance, 0.0))
