"""Expected rates: how often each skill gate passes by the mathematics, singly and together.

Every variant is long or out by a coin, so its return is a share of the market's and something of its own. The best of
them by its whole return is replayed and judged; what its own part is worth beside the market is then known as well.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from sapphire.research.proof.measured import CONTROLS, MEASURES, skill_policy
from sapphire.statistics import PassRate, expected_maximum_sharpe, level_after_openings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.floating[Any]]

__all__ = ["TOGETHER", "Model", "alone_name", "expected_rates", "interval_of"]

TOGETHER = "together"
_DRAWS = 200_000
_AT_ONCE = 50_000
_SEED = 20_261_130


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What the rates are computed for.

    Parameters
    ----------
    variants : how many the best is taken of.
    counted : N of the ledger: the variants, and the replay of the best.
    openings : looks at the hold-out.
    length, holdout_length : number of returns of the walk-forward and of the hold-out.
    correlation : of the returns of two variants, from 0 to below 1; its root is theirs with the market.
    cost : Sharpe ratio per bar that fees, spread and execution take from every variant.
    edge : true Sharpe ratios per bar of the first variant, of its returns and of those beside the market's.
    kurtosis : of the market's returns; 3 where they are normal.
    """

    variants: int
    counted: int
    openings: int
    length: int
    holdout_length: int
    correlation: float
    cost: float = 0.0
    edge: tuple[float, float] = (0.0, 0.0)
    kurtosis: float = 3.0

    @property
    def shapes(self) -> tuple[float, float]:
        r"""Kurtosis of a variant's returns, and of those beside the market's.

        .. math:: \frac{\kappa}{\rho}, \quad \kappa \, \frac{1 - 3\rho(1-\rho)}{\rho(1-\rho)}

        for a variant that has the market's return, of kurtosis κ, a share ρ of the time.
        """
        rho = self.correlation
        if rho == 0.0:
            return self.kurtosis, self.kurtosis
        return self.kurtosis / rho, self.kurtosis * (1.0 / (rho * (1.0 - rho)) - 3.0)


def alone_name(measure: str) -> str:
    """What the rate is called at which a measure passes with one trial in the ledger."""
    return f"{measure}, N = 1"


@lru_cache(maxsize=64)
def expected_rates(model: Model, *, draws: int = _DRAWS) -> Mapping[str, PassRate]:
    r"""Rate at which each skill gate passes, all of them together, and those on the deflated ratio with N = 1.

    .. math:: \mathrm{SR}_i = \mathrm{SR}^*_i + \left(\sqrt\rho\, Z_0 + \sqrt{1-\rho}\, Z_i\right) / \sqrt T, \quad
              \mathrm{SR}^{\mathrm{active}}_i = \mathrm{SR}^{*\mathrm{active}}_i + Z_i / \sqrt T

    The best is that of the highest SR. It is deflated by N and by V of the variants' ratios, with its own or without,
    whichever is larger, and at least 1/T. On the hold-out it draws anew, against cash and against the market, whose own
    draw it shares.
    With a correlation of zero, normal returns and no edge the first is `false_pass_rate` of as many trials, but for
    the skewness: the days that made a sample's mean high made its skewness as well, so that of the two

    .. math:: \mathrm{cov}\left(\widehat{\mathrm{SR}}, \hat\gamma_3\right) = \frac{\gamma_4 - 3}{T}, \quad
              \mathrm{E}\left[\hat\gamma_3 \mid \widehat{\mathrm{SR}}\right] = (\gamma_4 - 3)\, \widehat{\mathrm{SR}}

    The second holds with an edge too: who has the returns of a drifting normal market a share ρ of the time has
    skewness :math:`3 (1/\rho - 1)` times its true ratio.

    References
    ----------
    Bailey and Lopez de Prado (2014), The deflated Sharpe ratio, Journal of Portfolio Management 40(5).
    """
    random = np.random.default_rng(_SEED)
    passed: dict[str, int] = {}
    left = draws
    while left > 0:
        now = min(left, _AT_ONCE)
        for name, found in _drawn(model, now, random).items():
            passed[name] = passed.get(name, 0) + int(found.sum())
        left -= now
    rates = {name: count / draws for name, count in passed.items()}
    return {
        name: PassRate(rate=rate, standard_error=math.sqrt(rate * (1.0 - rate) / draws), draws=draws)
        for name, rate in rates.items()
    }


def interval_of(parts: Sequence[tuple[PassRate, int]], *, confidence: float = 0.99) -> tuple[float, float]:
    """Between which shares of all runs the passes fall with a probability, the parts having rates of their own.

    Parameters
    ----------
    parts : a rate, and the number of runs that have it.
    """
    from scipy.special import ndtri
    from scipy.stats import binom

    tail = (1.0 - confidence) / 2.0
    runs = sum(count for _, count in parts)
    away = float(-ndtri(tail))
    ends = []
    for sign, level in ((-1.0, tail), (1.0, 1.0 - tail)):
        chance = np.ones(1)
        for each, count in parts:
            rate = min(max(each.rate + sign * away * each.standard_error, 0.0), 1.0)
            chance = np.convolve(chance, binom.pmf(np.arange(count + 1), count, rate))
        ends.append(int(np.searchsorted(np.cumsum(chance), level)) / runs)
    return ends[0], ends[1]


def _drawn(model: Model, draws: int, random: np.random.Generator) -> dict[str, NDArray[np.bool_]]:
    """Which of so many simulated strategies pass what."""
    rho, length = model.correlation, model.length
    own = random.standard_normal((draws, model.variants))
    market = random.standard_normal((draws, 1))
    truth, beside = _truths(model)
    whole, active = model.shapes
    ratios = truth + _spread(truth, whole, length) * (math.sqrt(rho) * market + math.sqrt(1.0 - rho) * own)
    actives = beside + _spread(beside, active, length) * own
    best = ratios.argmax(axis=1)
    rows = np.arange(draws)
    passed: dict[str, NDArray[np.bool_]] = {}
    for name, every, shape in zip(CONTROLS, (ratios, actives), model.shapes, strict=True):
        chosen = every[rows, best]
        passed[name] = _deflates(chosen, every, shape, length, model.counted)
        passed[alone_name(name)] = _deflates(chosen, every, shape, length, 1)
    passed |= _holdout_passed(model, truth[best], random)
    passed[TOGETHER] = np.logical_and.reduce([passed[name] for name in MEASURES])
    return passed


def _truths(model: Model) -> tuple[Floats, Floats]:
    """True ratio per bar of each variant, of its returns and beside the market's."""
    truth = np.full(model.variants, -model.cost)
    beside = np.full(model.variants, -model.cost / math.sqrt(1.0 - model.correlation))
    truth[0] += model.edge[0]
    beside[0] += model.edge[1]
    return truth, beside


def _shape_term(ratio: Floats, kurtosis: float) -> Floats:
    """Variance of a ratio times T (Mertens 2002), with the skewness that goes with the ratio."""
    return np.asarray(1.0 - (kurtosis - 3.0) * ratio**2 + (kurtosis - 1.0) / 4.0 * ratio**2)


def _spread(truth: Floats, kurtosis: float, length: int) -> Floats:
    """Standard error of a ratio."""
    return np.asarray(np.sqrt(_shape_term(truth, kurtosis) / length))


def _deflates(chosen: Floats, every: Floats, kurtosis: float, length: int, counted: int) -> NDArray[np.bool_]:
    """Whether the chosen ratio is above the luck of so many.

    The replay's own ratio is one of those that differ, and says the same as that of the screen it was chosen by; V is
    the larger of the two spreads.
    """
    from scipy.special import ndtri

    apart = np.column_stack([every, chosen]).var(axis=1, ddof=1)
    variance = np.maximum(np.maximum(apart, every.var(axis=1, ddof=1)), 1.0 / length)
    luck = np.sqrt(variance) * expected_maximum_sharpe(counted, 1.0)
    distance = (chosen - luck) * math.sqrt(length - 1) / np.sqrt(_shape_term(chosen, kurtosis))
    return np.asarray(distance >= float(ndtri(_need("deflated_sharpe", "min"))))


def _holdout_passed(model: Model, truth: Floats, random: np.random.Generator) -> dict[str, NDArray[np.bool_]]:
    """Whether the hold-out shows more than cash, and a better ratio than the market's."""
    from scipy.special import ndtri

    market, own = random.standard_normal((2, len(truth)))
    share = math.sqrt(model.correlation)
    cash = truth * math.sqrt(model.holdout_length) + share * market + math.sqrt(1.0 - model.correlation) * own
    over = {
        "holdout_p_value_over_cash": cash,
        "holdout_p_value_over_buy_and_hold": (cash - market) / math.sqrt(2.0 - 2.0 * share),
    }
    return {
        name: np.asarray(each >= -float(ndtri(level_after_openings(_need(name, "max"), model.openings))))
        for name, each in over.items()
    }


def _need(measure: str, bound: str) -> float:
    needs = skill_policy().gates["skill"][measure]
    assert isinstance(needs, Mapping)
    return float(needs[bound])
