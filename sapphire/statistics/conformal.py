"""Conformal intervals: wide enough to cover what they say they cover, whatever the distribution.

A model that states mean and deviation is taken at its word about where and how wide; by what the deviation has to be
multiplied is read off outcomes that the model did not learn from.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from sapphire.domain.errors import StatisticsError, TooFewReturns
from sapphire.statistics.samples import FloatArray, finite_sample, same_shape

__all__ = ["adaptive_multipliers", "conformal_multiplier"]

_LEAST = 30


def conformal_multiplier(
    mean: npt.ArrayLike, std: npt.ArrayLike, outcomes: npt.ArrayLike, *, stated: float = 0.8
) -> float:
    r"""By what a deviation is multiplied, so that mean plus and minus it covers a stated share of what comes.

    .. math:: r_i = \frac{|y_i - \mu_i|}{\sigma_i}, \qquad
              q = r_{(k)}, \; k = \lceil (n + 1)\,p \rceil

    For exchangeable outcomes the interval covers the next one with a probability of at least p, and at most
    p + 1 / (n + 1). Overlapping outcomes, and a market that changes, loosen that: `adaptive_multipliers` follows it.

    Parameters
    ----------
    mean, std, outcomes : [N], in one unit, std above zero; forecasts that the model made of what it did not learn from.
    stated : p, probability in (0, 1).

    Returns
    -------
    q; infinite where the sample is too short for the probability.

    Raises
    ------
    TooFewReturns : fewer than 30.
    StatisticsError : lengths that differ, a value that is not finite, a std that is not above zero, no probability.

    References
    ----------
    Vovk, Gammerman and Shafer (2005), Algorithmic learning in a random world. Lei, G'Sell, Rinaldo, Tibshirani and
    Wasserman (2018), Distribution-free predictive inference for regression, JASA 113(523), section 5.2 (scores by the
    local spread).

    >>> scores = np.arange(1.0, 100.0)  # 99 of them, so that k = ceil(100 p)
    >>> conformal_multiplier(np.zeros(99), np.ones(99), scores, stated=0.8)
    80.0
    """
    ratios = _ratios(mean, std, outcomes)
    if not 0.0 < stated < 1.0:
        raise StatisticsError("share of a conformal interval", expected="between 0 and 1", got=f"{stated:g}")
    rank = math.ceil((len(ratios) + 1) * stated - 1e-9)
    return float(np.sort(ratios)[rank - 1]) if rank <= len(ratios) else math.inf


def adaptive_multipliers(
    mean: npt.ArrayLike,
    std: npt.ArrayLike,
    outcomes: npt.ArrayLike,
    *,
    stated: float = 0.8,
    rate: float = 0.01,
    delay: int = 1,
    window: int = 500,
) -> FloatArray:
    r"""The multiplier of each forecast in the order of time, from outcomes that are known by then alone.

    The error that is aimed at moves against the errors that were made:

    .. math:: \alpha_{t+1} = \alpha_t + \gamma\,\bigl((1 - p) - \mathbb 1\{r_t > q_t\}\bigr)

    so that over time the intervals cover the stated share, however the market changes:
    :math:`|\,\mathrm{coverage} - p\,| \le (\max(\alpha_1, 1-\alpha_1) + \gamma) / (T\gamma)`.

    Parameters
    ----------
    mean, std, outcomes : [T], in the order of time.
    stated : p.
    rate : gamma, above 0; larger follows faster and swings more.
    delay : bars until an outcome is known: the horizon.
    window : so many of the latest known outcomes make the quantile.

    Returns
    -------
    [T], the multiplier before each outcome; NaN while fewer than 30 are known.

    Raises
    ------
    TooFewReturns, StatisticsError : as `conformal_multiplier`; a rate, delay or window that is not above zero.

    References
    ----------
    Gibbs and Candes (2021), Adaptive conformal inference under distribution shift, NeurIPS 34, Algorithm 1 and
    Proposition 4.1.

    >>> dice = np.random.default_rng(7)
    >>> y = dice.standard_normal(4_000) * np.r_[np.ones(2_000), np.full(2_000, 3.0)]  # three times as loud
    >>> q = adaptive_multipliers(np.zeros(4_000), np.ones(4_000), y, rate=0.02)
    >>> round(float((np.abs(y) <= q)[200:].mean()), 2)
    0.8
    """
    ratios = _ratios(mean, std, outcomes)
    if not (0.0 < stated < 1.0 and rate > 0.0 and delay >= 1 and window >= _LEAST):
        raise StatisticsError(
            "an adaptive conformal interval",
            expected=f"0 < stated < 1, rate > 0, delay >= 1, window >= {_LEAST}",
            got=f"stated {stated:g}, rate {rate:g}, delay {delay}, window {window}",
        )
    made = np.full(len(ratios), math.nan)
    error = 1.0 - stated
    for now in range(len(ratios)):
        known = now - delay + 1
        if known < _LEAST:
            continue
        past = known - 1
        if not math.isnan(made[past]):
            error += rate * ((1.0 - stated) - float(ratios[past] > made[past]))
        share = min(max(1.0 - error, 0.0), 1.0)
        recent = np.sort(ratios[max(0, known - window) : known])
        rank = math.ceil((len(recent) + 1) * share - 1e-9)
        made[now] = recent[min(max(rank, 1), len(recent)) - 1]
    return made


def _ratios(mean: npt.ArrayLike, std: npt.ArrayLike, outcomes: npt.ArrayLike) -> FloatArray:
    """Distance of each outcome from its mean, in deviations."""
    middle, spread, came = (
        finite_sample(values, name=name)
        for values, name in ((mean, "means"), (std, "deviations"), (outcomes, "outcomes"))
    )
    same_shape(middle, came, names=("means", "outcomes"))
    same_shape(spread, came, names=("deviations", "outcomes"))
    if len(came) < _LEAST:
        raise TooFewReturns(
            "too few outcomes",
            expected=f"at least {_LEAST}",
            got=str(len(came)),
            next="keep more of the training window for calibration",
        )
    if bool((spread <= 0.0).any()):
        raise StatisticsError("deviations of forecasts", expected="above zero", got=f"{spread.min():g}")
    return np.asarray(np.abs(came - middle) / spread)
