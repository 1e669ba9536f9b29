"""How often the deflated Sharpe ratio lets agents pass, with skill and without: what a proof of the gates is held to.

The gate takes the best of N trials and asks whether its deflated Sharpe ratio reaches 1 - level. Here the same is done
to Sharpe ratios drawn from their distribution, so no bars, agents or engine are needed, and a ledger that counts wrong
or a deflation that is off shows as a difference.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sapphire.domain.errors import StatisticsError
from sapphire.statistics.deflation import expected_maximum_sharpe
from sapphire.statistics.samples import MINIMUM_RETURNS, FloatArray

_DRAWS = 200_000
_AT_ONCE = 4_000_000


@dataclass(frozen=True, slots=True)
class PassRate:
    """A probability to pass, by simulation.

    Attributes
    ----------
    rate : share of the draws that passed.
    standard_error : of the share, from the number of draws alone.
    draws : number of simulated studies.
    """

    rate: float
    standard_error: float
    draws: int

    def interval(self, runs: int, *, confidence: float = 0.99) -> tuple[float, float]:
        r"""Between which shares of `runs` studies the passes of a true gate fall with probability `confidence`.

        The equal-tailed quantiles of the binomial distribution, with the rate moved by as many of its own standard
        errors at either end.

        Raises
        ------
        StatisticsError : fewer than one run, or a confidence outside (0, 1).

        >>> PassRate(rate=0.01, standard_error=0.0, draws=10**6).interval(1_000)
        (0.003, 0.019)
        """
        from scipy.special import ndtri
        from scipy.stats import binom

        if runs < 1 or not 0.0 < confidence < 1.0:
            raise StatisticsError(
                "an interval that cannot be had",
                expected="at least 1 run, a confidence between 0 and 1",
                got=f"{runs} runs, confidence {confidence:g}",
                next="0.99 is usual",
            )
        tail = (1.0 - confidence) / 2.0
        away = float(-ndtri(tail)) * self.standard_error
        low = binom.ppf(tail, runs, max(self.rate - away, 0.0))
        high = binom.ppf(1.0 - tail, runs, min(self.rate + away, 1.0))
        return max(float(low), 0.0) / runs, max(float(high), 0.0) / runs


def false_pass_rate(
    trials: int,
    *,
    length: int,
    seed: int,
    correlation: float = 0.0,
    level: float = 0.05,
    counted: float | None = None,
    draws: int = _DRAWS,
) -> PassRate:
    r"""Probability that the best of N agents without skill passes the gate on the deflated Sharpe ratio.

    .. math:: \mathrm{SR}_i = \frac{\sqrt\rho\, Z_0 + \sqrt{1-\rho}\, Z_i}{\sqrt T}, \quad
              \frac{(\max_i \mathrm{SR}_i - \sqrt V\, e_N)\sqrt{T-1}}{\sqrt{1 + \tfrac12 \max_i \mathrm{SR}_i^2}} \ge
              z_{1-\mathrm{level}}, \quad V = \max(s^2_{\mathrm{SR}},\, 1/T)

    with :math:`e_N` the expected maximum of N (`expected_maximum_sharpe`). The standard deviation s is that of the very
    ratios the best was taken from. With N = 1 it is the level itself. Returns are taken as independent and normal.

    Parameters
    ----------
    trials : number N of trials that the best is taken from.
    length : number T of returns of each.
    seed : of the draws.
    correlation : of the trials' returns, each pair the same, from 0 to below 1.
    level : the gate asks for a deflated Sharpe ratio of 1 - level.
    counted : number of trials that the gate deflates by, `trials` where the ledger is true. 1 shows what a broken one
        lets through.
    draws : number of simulated studies, at least 1,000.

    Raises
    ------
    StatisticsError : an argument out of range.

    References
    ----------
    Bailey and Lopez de Prado (2014), The deflated Sharpe ratio, Journal of Portfolio Management 40(5). Lo (2002),
    Financial Analysts Journal 58(4), for the spread of the ratios.

    >>> alone = false_pass_rate(1, length=1_000, seed=1, draws=20_000)
    >>> abs(alone.rate - 0.05) < 0.006
    True
    >>> honest = false_pass_rate(20, length=1_000, seed=1, draws=20_000)
    >>> broken = false_pass_rate(20, length=1_000, seed=1, counted=1, draws=20_000)
    >>> honest.rate < 0.01, broken.rate > 0.5
    (True, True)
    """
    return _pass_rate(np.zeros(trials), length, correlation, level, counted, seed, draws)


def planted_pass_rate(
    sharpe: float,
    *,
    length: int,
    seed: int,
    trials: int = 1,
    planted: int = 1,
    correlation: float = 0.0,
    level: float = 0.05,
    counted: float | None = None,
    draws: int = _DRAWS,
) -> PassRate:
    r"""Probability that the best of N trials passes the gate, `planted` of which have a true ratio of `sharpe`.

    .. math:: \mathrm{SR}_i = \mathrm{SR} + \sqrt{1 + \tfrac12 \mathrm{SR}^2}\,
              \frac{\sqrt\rho\, Z_0 + \sqrt{1-\rho}\, Z_i}{\sqrt T}

    for the planted trials; the others, and the gate, are those of `false_pass_rate`.

    Parameters
    ----------
    sharpe : per period, of each planted trial.
    length : number T of returns of each trial.
    seed : of the draws.
    trials : number N of trials that the best is taken from.
    planted : how many of them are good, from 1 to N.
    correlation : of the trials' returns, each pair the same, from 0 to below 1.
    level : the gate asks for a deflated Sharpe ratio of 1 - level.
    counted : number of trials that the gate deflates by; `trials` by default.
    draws : number of simulated studies, at least 1,000.

    Raises
    ------
    StatisticsError : an argument out of range.

    References
    ----------
    Bailey and Lopez de Prado (2014), The deflated Sharpe ratio, Journal of Portfolio Management 40(5). Lo (2002),
    Financial Analysts Journal 58(4), for the spread of the ratios.

    >>> four_years = {"length": 4 * 365, "seed": 1, "draws": 20_000}
    >>> rates = [planted_pass_rate(annual / 365**0.5, **four_years).rate for annual in (0.5, 1.0, 2.0)]
    >>> [round(rate, 1) for rate in rates]                                 # one trial each
    [0.3, 0.6, 1.0]
    """
    if not 1 <= planted <= trials or not math.isfinite(sharpe):
        raise StatisticsError(
            "planted agents that are not among the trials",
            expected="from 1 to all of the trials planted, a finite ratio",
            got=f"{planted} of {trials} trials, ratio {sharpe:g}",
            next="count the planted agent itself as a trial",
        )
    truth = np.zeros(trials)
    truth[:planted] = sharpe
    return _pass_rate(truth, length, correlation, level, counted, seed, draws)


def _pass_rate(
    truth: FloatArray,
    length: int,
    correlation: float,
    level: float,
    counted: float | None,
    seed: int,
    draws: int,
) -> PassRate:
    if (
        len(truth) < 1
        or length < MINIMUM_RETURNS
        or not 0.0 <= correlation < 1.0
        or not 0.0 < level < 1.0
        or draws < 1_000
    ):
        raise StatisticsError(
            "a study that cannot be simulated",
            expected=f"1 trial, {MINIMUM_RETURNS} returns and 1,000 draws or more, a correlation from 0 to below 1",
            got=f"{len(truth)} trials, {length} returns, {draws} draws, correlation {correlation:g}, level {level:g}",
            next="take trials, length and correlation from the study",
        )
    unit = expected_maximum_sharpe(len(truth) if counted is None else counted, 1.0)
    random, passed, left = np.random.default_rng(seed), 0, draws
    at_once = max(_AT_ONCE // len(truth), 1)
    while left > 0:
        passed += _passes(truth, length, correlation, level, unit, min(at_once, left), random)
        left -= at_once
    rate = passed / draws
    return PassRate(rate=rate, standard_error=math.sqrt(rate * (1.0 - rate) / draws), draws=draws)


def _passes(
    truth: FloatArray,
    length: int,
    correlation: float,
    level: float,
    unit: float,
    draws: int,
    random: np.random.Generator,
) -> int:
    """How many of `draws` simulated studies pass."""
    from scipy.special import ndtri

    shared = math.sqrt(correlation) * random.standard_normal((draws, 1))
    own = math.sqrt(1.0 - correlation) * random.standard_normal((draws, len(truth)))
    ratios = truth + np.sqrt((1.0 + 0.5 * truth**2) / length) * (shared + own)
    spread = ratios.var(axis=1, ddof=1) if len(truth) > 1 else np.zeros(draws)
    luck = np.sqrt(np.maximum(spread, 1.0 / length)) * unit
    best = ratios.max(axis=1)
    distance = (best - luck) * np.sqrt((length - 1) / (1.0 + 0.5 * best**2))
    return int((distance >= float(ndtri(1.0 - level))).sum())
