"""What a Sharpe ratio is worth once it is known how many were tried.

The number of trials is counted by the ledger and never by the author. All ratios and variances are per period.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from sapphire.domain.errors import StatisticsError, TooFewReturns
from sapphire.statistics.samples import MINIMUM_RETURNS, finite_sample
from sapphire.statistics.sharpe import psr_2012

EULER_GAMMA = 0.5772156649015329


def expected_maximum_sharpe(trials: float, variance: float) -> float:
    r"""Expected best Sharpe ratio of `trials` agents without skill.

    .. math:: \mathrm{E}[\max_N] \approx \sqrt{V}\left( (1-\gamma)\,\Phi^{-1}\!\left(1-\tfrac1N\right)
              + \gamma\,\Phi^{-1}\!\left(1-\tfrac1{N e}\right) \right)

    With one trial nothing was chosen and it is 0; between one and two, where the approximation falls below zero, it is
    held there.

    Parameters
    ----------
    trials : number of independent trials N, at least 1; an effective number need not be whole.
    variance : variance V of the trials' Sharpe ratios, in the unit squared that the answer is wanted in.

    Raises
    ------
    StatisticsError : fewer than one trial, or a negative variance.

    References
    ----------
    Bailey and Lopez de Prado (2014), The deflated Sharpe ratio, Journal of Portfolio Management 40(5).

    >>> round(expected_maximum_sharpe(100, 1.0), 12)
    2.530602893202
    >>> expected_maximum_sharpe(1, 1.0)
    0.0
    """
    from scipy.special import ndtri

    if not (math.isfinite(trials) and trials >= 1.0):
        raise StatisticsError(
            "fewer trials than one",
            expected="at least 1 trial: the agent itself is one",
            got=f"{trials:g}",
            next="take the number from the trial ledger",
        )
    if not (math.isfinite(variance) and variance >= 0.0):
        raise StatisticsError(
            "a variance of trials below zero",
            expected="the variance of the trials' Sharpe ratios, 0 or more",
            got=f"{variance:g}",
            next="take it from the trial ledger, per period and not annualised",
        )
    if trials == 1.0:
        return 0.0
    best = (1.0 - EULER_GAMMA) * float(ndtri(1.0 - 1.0 / trials)) + EULER_GAMMA * float(
        ndtri(1.0 - 1.0 / (trials * math.e))
    )
    return math.sqrt(variance) * max(best, 0.0)


def deflated_sharpe_ratio(
    sharpe: float,
    *,
    trials: float,
    variance_of_trials: float,
    length: int,
    skew: float = 0.0,
    kurtosis: float = 3.0,
) -> float:
    r"""Probability that the true Sharpe ratio is above the best of `trials` lucky ones.

    .. math:: \mathrm{DSR} = \Phi\!\left( \frac{(\mathrm{SR}-\mathrm{SR}_0)\sqrt{T-1}}
              {\sqrt{1 - \gamma_3\,\mathrm{SR} + \frac{\gamma_4-1}{4}\,\mathrm{SR}^2}} \right), \quad
              \mathrm{SR}_0 = \mathrm{E}[\max_N]

    With one trial it is the probabilistic Sharpe ratio (`psr_2012`).

    Parameters
    ----------
    sharpe : per-period Sharpe ratio of the chosen trial, not annualised.
    trials : number of independent trials, from the ledger, never from the author.
    variance_of_trials : variance of the trials' per-period Sharpe ratios.
    length : number of returns.
    skew, kurtosis : of the chosen trial's returns; kurtosis is raw, 3 for a normal distribution.

    Raises
    ------
    TooFewReturns : fewer than 30 returns; says how many there were.
    StatisticsError : fewer than one trial, a negative variance, moments that no distribution has.

    References
    ----------
    Bailey and Lopez de Prado (2014), The deflated Sharpe ratio, Journal of Portfolio Management 40(5), eq. 2.

    >>> round(deflated_sharpe_ratio(2.5 / 250**0.5, trials=100, variance_of_trials=0.5 / 250, length=1250,
    ...                             skew=-3.0, kurtosis=10.0), 4)       # the paper's own example
    0.9004
    """
    if length < MINIMUM_RETURNS:
        raise TooFewReturns(
            "too few returns to deflate a Sharpe ratio",
            expected=f"at least {MINIMUM_RETURNS}",
            got=str(length),
            next="use a longer window or a shorter bar interval",
        )
    luck = expected_maximum_sharpe(trials, variance_of_trials)
    return psr_2012(sharpe, length=length, benchmark=luck, skew=skew, kurtosis=kurtosis)


def minimum_backtest_length(trials: float, sharpe: float) -> float:
    r"""Length below which the best of `trials` agents without skill is expected to show a Sharpe ratio of `sharpe`.

    .. math:: \mathrm{MinBTL} = \left( \mathrm{E}[\max_N] / \mathrm{SR} \right)^2

    Parameters
    ----------
    trials : number of independent trials.
    sharpe : Sharpe ratio of the chosen trial, annualised for an answer in years, per period for one in periods.

    Raises
    ------
    StatisticsError : fewer than one trial, or a ratio that is not above zero.

    References
    ----------
    Bailey, Borwein, Lopez de Prado and Zhu (2014), Pseudo-mathematics and financial charlatanism, Notices of the AMS
    61(5), where five years of data bear no more than 45 independent configurations.

    >>> round(minimum_backtest_length(45, 1.0), 4)
    4.9981
    """
    if not (math.isfinite(sharpe) and sharpe > 0.0):
        raise StatisticsError(
            "a Sharpe ratio that is not above zero needs no backtest length",
            expected="a ratio above zero",
            got=f"{sharpe:g}",
            next="there is nothing to explain by luck",
        )
    return (expected_maximum_sharpe(trials, 1.0) / sharpe) ** 2


def effective_number_of_trials(correlation: npt.ArrayLike) -> float:
    r"""How many independent trials a set of correlated ones amounts to: the effective rank.

    .. math:: N_{\mathrm{eff}} = \exp\Bigl(-\sum_i p_i \ln p_i\Bigr), \quad p_i = \lambda_i \Big/ \sum_j \lambda_j

    with :math:`\lambda` the eigenvalues of the correlation matrix of the trials' returns: N for independent trials, 1
    for N copies of one. Noise in an estimated correlation raises it, and it is at most the number of returns; it
    is shown beside the ledger's count and does not replace it.

    Parameters
    ----------
    correlation : [N, N], symmetric, ones on the diagonal.

    Raises
    ------
    StatisticsError : the matrix is not square, not symmetric, has no unit diagonal or a negative eigenvalue.

    References
    ----------
    Roy and Vetterli (2007), The effective rank: a measure of effective dimensionality, EUSIPCO.
    Lopez de Prado (2018), Advances in Financial Machine Learning, ch. 14, on trials that are not independent.

    >>> round(effective_number_of_trials(np.eye(4)), 12), round(effective_number_of_trials(np.ones((4, 4))), 12)
    (4.0, 1.0)
    >>> round(effective_number_of_trials([[1.0, 0.5], [0.5, 1.0]]), 4)
    1.7548
    """
    matrix = finite_sample(correlation, name="correlations", at_least=1, dimensions=2)
    if (
        matrix.shape[0] != matrix.shape[1]
        or not np.allclose(matrix, matrix.T, rtol=0.0, atol=1e-8)
        or not np.allclose(np.diag(matrix), 1.0, rtol=0.0, atol=1e-8)
    ):
        raise StatisticsError(
            "not a correlation matrix",
            expected="a symmetric square matrix with ones on its diagonal",
            got=f"shape {matrix.shape}, diagonal from {np.diag(matrix).min():g} to {np.diag(matrix).max():g}",
            next="numpy.corrcoef(trial_returns, rowvar=False) makes one from returns [T, N]",
        )
    eigenvalues = np.linalg.eigvalsh(matrix)
    if eigenvalues[0] < -1e-6:
        raise StatisticsError(
            "a correlation matrix with a negative eigenvalue",
            expected="eigenvalues of 0 or more",
            got=f"{eigenvalues[0]:g}",
            next="estimate all correlations on the same times: pairwise windows do not fit together",
        )
    shares = np.clip(eigenvalues, 0.0, None) / np.clip(eigenvalues, 0.0, None).sum()
    shares = shares[shares > 0.0]
    return float(np.exp(-np.sum(shares * np.log(shares))))
