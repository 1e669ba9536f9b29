"""What the trials of a ledger amount to: how many they are in effect, and how far their Sharpe ratios spread.

N, the number of trials, is counted by the ledger. The numbers here say how much luck N trials had to choose from, and a
trial that says nothing new must not make that look smaller.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from sapphire.domain.errors import StatisticsError
from sapphire.statistics.samples import FloatArray, finite_sample

ALIKE = 0.99
"""Trials whose returns correlate by this much or more say the same (`alike_trials`)."""
_CHANCE = 3.0
"""How many standard errors the ratios of two copies may lie apart."""
_SYMMETRIC = 1e-8


def variance_of_trials(
    sharpes: Sequence[float | None], *, length: int, series: Sequence[Hashable] | None = None
) -> float:
    r"""Variance V of the trials' Sharpe ratios, for the deflation of the best of them.

    .. math:: V = \max\left( \frac{1}{M-1}\sum_{i=1}^{M} (\mathrm{SR}_i - \overline{\mathrm{SR}})^2,\
              \frac{1}{T} \right)

    over the M different return series among the trials; the first of its likes stands for them. A trial without returns
    (a table of information) counts in N and not here. Copies of one trial count once here: a thousand of them would
    otherwise shrink V and with it the luck that N trials had. V is at least 1/T, the variance that the ratio of a
    single agent without skill has from T returns.

    Parameters
    ----------
    sharpes : one per trial, per period of the release's bar length (`sharpe_at_interval`); None where it kept no
        returns or they do not vary.
    length : number T of returns of the release.
    series : what tells the trials' returns apart, one per trial: their digests, or the labels of `alike_trials`. By
        default trials with the same ratio are the same.

    Raises
    ------
    StatisticsError : a ratio that is not finite, a length below 2, labels that do not pair with the ratios.

    References
    ----------
    Bailey and Lopez de Prado (2014), The deflated Sharpe ratio, Journal of Portfolio Management 40(5), for V; Lo
    (2002), Financial Analysts Journal 58(4), for 1/T.

    >>> round(variance_of_trials([0.1, -0.1, 0.3, None], length=100), 12)
    0.04
    >>> round(variance_of_trials([0.1, -0.1, 0.3, None] + 1_000 * [0.1], length=100), 12)
    0.04
    >>> variance_of_trials([0.1, 0.1001], length=100), variance_of_trials([None], length=100)
    (0.01, 0.01)
    """
    if length < 2 or (series is not None and len(series) != len(sharpes)):
        raise StatisticsError(
            "trials that do not fit together",
            expected="at least 2 returns, one label per trial",
            got=f"length {length}, {len(sharpes)} trials, {'no' if series is None else len(series)} labels",
            next="take all of them from the trial ledger",
        )
    distinct: dict[Hashable, float] = {}
    for position, sharpe in enumerate(sharpes):
        if sharpe is None:
            continue
        if not math.isfinite(sharpe):
            raise StatisticsError(
                "a trial's Sharpe ratio that is not finite",
                expected="a finite ratio, None for a trial without one",
                got=f"{sharpe} at position {position} of {len(sharpes)}",
                next="a trial that never traded has no ratio: pass None",
            )
        distinct.setdefault(sharpe if series is None else series[position], sharpe)
    spread = float(np.var(list(distinct.values()), ddof=1)) if len(distinct) > 1 else 0.0
    return max(spread, 1.0 / length)


def sharpe_at_interval(sharpe: float, *, interval: timedelta, to: timedelta) -> float:
    r"""A Sharpe ratio per bar of one length as a ratio per bar of another.

    .. math:: \mathrm{SR}_{\mathrm{to}} = \mathrm{SR}\,\sqrt{\Delta_{\mathrm{to}} / \Delta}

    Exact for returns without autocorrelation. Trials on five-minute bars have ratios a seventeenth of the same on days;
    taken as they are, they would shrink the variance of the trials.

    Raises
    ------
    StatisticsError : an interval that is not above zero, a ratio that is not finite.

    References
    ----------
    Lo (2002), The statistics of Sharpe ratios, Financial Analysts Journal 58(4), on time aggregation.

    >>> round(sharpe_at_interval(0.01, interval=timedelta(hours=1), to=timedelta(days=1)), 6)
    0.04899
    """
    if interval <= timedelta(0) or to <= timedelta(0) or not math.isfinite(sharpe):
        raise StatisticsError(
            "a Sharpe ratio or an interval out of range",
            expected="a finite ratio, intervals above zero",
            got=f"{sharpe:g} per {interval}, wanted per {to}",
            next="take the interval from the trial's bars",
        )
    return sharpe * math.sqrt(to / interval)


def alike_trials(
    correlation: npt.ArrayLike, sharpes: Sequence[float], *, length: int, at_least: float = ALIKE
) -> tuple[int, ...]:
    r"""Labels of trials that say the same as an earlier one.

    .. math:: \rho_{ij} \ge \rho_0, \quad
              |\mathrm{SR}_i - \mathrm{SR}_j| \le 3 \sqrt{2 (1 - \rho_0) / T}

    with :math:`\rho_0` = `at_least`: the ratios of two accounts that correlate so differ by no more than chance. A copy
    with a grain of noise in it is still a copy: its digest differs, its returns do not. The same trades at other costs
    correlate as well, and are told apart by their ratio.

    Trials are taken in order, and one that is like no first of its label gets a new one. So later trials change no
    label of earlier ones, and a row of small steps does not make its two ends the same.

    Parameters
    ----------
    correlation : [N, N], of the trials' returns, earliest first; 0 for two that cannot be compared.
    sharpes : [N], per period; what is judged alike, so for ratios beside the market those.
    length : number T of returns.
    at_least : above 0, at most 1.

    Returns
    -------
    One label per trial, from 0, for `variance_of_trials`.

    Raises
    ------
    StatisticsError : not a correlation matrix, ratios that do not pair with it or are not finite, a length below 2, or
        a bound outside (0, 1].

    References
    ----------
    Hartigan (1975), Clustering algorithms, ch. 3, the leader algorithm. Memmel (2003), Performance hypothesis testing
    with the Sharpe ratio, Finance Letters 1, for the error of the difference of two ratios.

    >>> alike_trials([[1.0, 0.999, 0.2], [0.999, 1.0, 0.2], [0.2, 0.2, 1.0]], [0.1, 0.1, 0.1], length=100)
    (0, 0, 1)
    >>> alike_trials([[1.0, 0.999], [0.999, 1.0]], [0.1, -0.1], length=1_000)
    (0, 1)
    """
    matrix = _correlation_matrix(correlation)
    ratios = finite_sample(sharpes, name="Sharpe ratios of trials", at_least=1)
    if not 0.0 < at_least <= 1.0:
        raise StatisticsError(
            "a bound on correlation out of range",
            expected="above 0, at most 1",
            got=f"{at_least:g}",
            next=f"{ALIKE} is usual",
        )
    if len(ratios) != len(matrix) or length < 2:
        raise StatisticsError(
            "trials that do not fit together",
            expected="at least 2 returns, one ratio per trial",
            got=f"length {length}, {len(matrix)} trials, {len(ratios)} ratios",
            next="take all of them from the trial ledger",
        )
    apart = _CHANCE * math.sqrt(2.0 * (1.0 - at_least) / length)
    first = np.empty(len(ratios), dtype=np.int64)
    labels: list[int] = []
    known = 0
    for position, row in enumerate(matrix):
        earlier = first[:known]
        alike = (row[earlier] >= at_least) & (np.abs(ratios[earlier] - ratios[position]) <= apart)
        if not alike.any():
            first[known] = position
            known += 1
        labels.append(int(alike.argmax()) if alike.any() else known - 1)
    return tuple(labels)


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
    matrix = _correlation_matrix(correlation)
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


def _correlation_matrix(correlation: npt.ArrayLike) -> FloatArray:
    matrix = finite_sample(correlation, name="correlations", at_least=1, dimensions=2)
    if (
        matrix.shape[0] != matrix.shape[1]
        or float(np.abs(matrix - matrix.T).max()) > _SYMMETRIC
        or float(np.abs(np.diag(matrix) - 1.0).max()) > _SYMMETRIC
    ):
        raise StatisticsError(
            "not a correlation matrix",
            expected="a symmetric square matrix with ones on its diagonal",
            got=f"shape {matrix.shape}, diagonal from {np.diag(matrix).min():g} to {np.diag(matrix).max():g}",
            next="numpy.corrcoef(trial_returns, rowvar=False) makes one from returns [T, N]",
        )
    return matrix
