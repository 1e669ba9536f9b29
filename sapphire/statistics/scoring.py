"""How good a stated probability or distribution was, once the outcome is known.

Both scores are proper: what a forecaster believes is what scores best on average. They come one number per forecast,
because a sequential test needs the series and a mean is one call away.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from sapphire.domain.errors import StatisticsError
from sapphire.statistics.samples import FloatArray, finite_sample, same_shape


def brier_scores(probabilities: npt.ArrayLike, happened: npt.ArrayLike) -> FloatArray:
    r"""Brier score of each stated probability; lower is better, 0.25 is that of always saying one half.

    .. math:: B_i = (p_i - o_i)^2

    Parameters
    ----------
    probabilities : [N], each in [0, 1].
    happened : [N], 1 or True where the event came, else 0.

    Raises
    ------
    TooFewReturns : no forecasts.
    StatisticsError : lengths that differ, a probability outside [0, 1], an outcome other than 0 and 1.

    References
    ----------
    Brier (1950), Verification of forecasts expressed in terms of probability, Monthly Weather Review 78(1), in the
    one-sided form (half of Brier's own for two outcomes).

    >>> brier_scores([0.5, 0.75, 0.75], [1, 1, 0]).tolist()
    [0.25, 0.0625, 0.5625]
    """
    stated = finite_sample(probabilities, name="probabilities", at_least=1)
    came = finite_sample(happened, name="outcomes", at_least=1)
    same_shape(stated, came, names=("probabilities", "outcomes"))
    if bool(((stated < 0.0) | (stated > 1.0)).any()) or not bool(np.isin(came, (0.0, 1.0)).all()):
        raise StatisticsError(
            "probabilities or outcomes out of range",
            expected="probabilities in [0, 1], outcomes 0 or 1",
            got=f"probabilities from {stated.min():g} to {stated.max():g}, outcomes {np.unique(came)[:4].tolist()}",
            next="probability_up(mean_bps, std_bps) makes probabilities of a forecast",
        )
    return (stated - came) ** 2


def log_scores(probabilities: npt.ArrayLike, happened: npt.ArrayLike) -> FloatArray:
    r"""Log probability that was stated of what came; higher is better, in nats, -0.6931 is that of saying one half.

    .. math:: S_i = o_i \ln p_i + (1 - o_i) \ln(1 - p_i)

    Parameters
    ----------
    probabilities : [N], each in [0, 1].
    happened : [N], 1 or True where the event came, else 0.

    Raises
    ------
    TooFewReturns : no forecasts.
    StatisticsError : lengths that differ, a probability outside [0, 1], an outcome other than 0 and 1, a certainty that
        did not come, whose score is no number.

    References
    ----------
    Good (1952), Rational decisions, JRSS B 14(1). The doctest's mean is that of the
    documentation of scikit-learn's `log_loss`, with its sign turned.

    >>> round(float(log_scores([0.9, 0.1, 0.2, 0.65], [1, 0, 0, 1]).mean()), 5)
    -0.21616
    """
    stated = finite_sample(probabilities, name="probabilities", at_least=1)
    brier_scores(stated, happened)  # refuses what are no probabilities or outcomes
    came = np.where(np.asarray(happened, dtype=np.bool_), stated, 1.0 - stated)
    if not came.all():
        raise StatisticsError(
            "a certainty that did not come",
            expected="probabilities strictly between 0 and 1",
            got=f"{stated[came == 0.0][0]:g}, and the opposite came",
            next="a fitted calibration states no certainty: fit_probability_calibration",
        )
    return np.asarray(np.log(came))


def gaussian_log_scores(mean: npt.ArrayLike, std: npt.ArrayLike, outcomes: npt.ArrayLike) -> FloatArray:
    r"""Log density of each outcome under the normal distribution that was stated; higher is better, in nats.

    .. math:: S_i = -\tfrac12 \ln(2\pi\sigma_i^2) - \frac{(y_i-\mu_i)^2}{2\sigma_i^2}

    The level depends on the unit (basis points here, throughout); differences between forecasters do not.

    Parameters
    ----------
    mean, std, outcomes : [N], in one unit; std above zero.

    Raises
    ------
    TooFewReturns : no forecasts.
    StatisticsError : lengths that differ, a value that is not finite, a std that is not above zero.

    References
    ----------
    Good (1952), Rational decisions, JRSS B 14(1). Gneiting and Raftery (2007), Strictly proper scoring rules, JASA
    102(477).

    >>> gaussian_log_scores([0.0, 0.0], [1.0, 1.0], [0.0, 1.0]).round(4)
    array([-0.9189, -1.4189])
    """
    middle, spread = _stated(mean, std)
    came = finite_sample(outcomes, name="outcomes", at_least=1)
    same_shape(middle, came, names=("means", "outcomes"))
    return np.asarray(-0.5 * math.log(2.0 * math.pi) - np.log(spread) - 0.5 * ((came - middle) / spread) ** 2)


def probability_up(mean: npt.ArrayLike, std: npt.ArrayLike) -> FloatArray:
    r"""Probability of a return above zero under each stated normal distribution.

    .. math:: p_i = \Phi(\mu_i / \sigma_i)

    Parameters
    ----------
    mean, std : [N], in one unit; std above zero.

    Raises
    ------
    TooFewReturns : no forecasts.
    StatisticsError : lengths that differ, a value that is not finite, a std that is not above zero.

    References
    ----------
    The normal distribution function, by `scipy.special.ndtr`.

    >>> probability_up([0.0, 12.0], [80.0, 80.0]).round(4)
    array([0.5   , 0.5596])
    """
    from scipy.special import ndtr

    middle, spread = _stated(mean, std)
    return np.asarray(ndtr(middle / spread), dtype=np.float64)


def _stated(mean: npt.ArrayLike, std: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    middle = finite_sample(mean, name="means", at_least=1)
    spread = finite_sample(std, name="standard deviations", at_least=1)
    same_shape(middle, spread, names=("means", "standard deviations"))
    if bool((spread <= 0.0).any()):
        raise StatisticsError(
            "a forecast without uncertainty",
            expected="standard deviations above zero",
            got=f"{spread.min():g} at position {int(spread.argmin())}",
            next="a forecast states how sure it is; see fit_score_calibration",
        )
    return middle, spread
