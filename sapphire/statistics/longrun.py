"""The standard error of a mean when neighbours in time resemble each other.

Forward returns over h bars, taken at every bar, share h - 1 of their bars with the next one. The usual s / sqrt(n)
counts them as independent and is too small by up to sqrt(h).

Where the overlap is known, the number of lags follows from it (`overlap_lags`). Returns of an account overlap in no way
that is known beforehand; there the data choose the bandwidth (`automatic_standard_error`).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from sapphire.domain.errors import StatisticsError
from sapphire.statistics.samples import FloatArray, finite_sample, varies


def overlap_lags(length: int, *, horizon_bars: int = 1) -> int:
    r"""Number of lags for the long-run variance of `length` values that each look `horizon_bars` ahead.

    .. math:: L = \max\bigl(2(h-1),\ \lfloor 4 (n/100)^{2/9} \rfloor\bigr), \quad L \le n - 1

    The second is the usual rule for data of unknown memory. The first is for the overlap: Bartlett weights over h - 1
    lags see two thirds of the variance that h-bar overlapping sums have, over 2(h - 1) lags five sixths.

    Raises
    ------
    StatisticsError : a horizon or a length below 1.

    References
    ----------
    Newey and West (1994), Automatic lag selection in covariance matrix estimation, Review of Economic Studies 61(4).

    >>> overlap_lags(500), overlap_lags(500, horizon_bars=12)
    (5, 22)
    """
    if length < 1 or horizon_bars < 1:
        raise StatisticsError(
            "a horizon or a length below one bar",
            expected="at least 1 of each",
            got=f"horizon {horizon_bars}, length {length}",
            next="count the horizon in bars of the series",
        )
    rule = int(4.0 * math.pow(length / 100.0, 2.0 / 9.0))
    return min(max(2 * (horizon_bars - 1), rule), length - 1)


def newey_west_standard_error(values: npt.ArrayLike, *, lags: int) -> float:
    r"""Standard error of the mean of an autocorrelated series [T].

    .. math:: \mathrm{SE}^2 = \sum_t u_t^2 + 2\sum_{k=1}^{L} \Bigl(1-\tfrac{k}{L+1}\Bigr) \sum_{t>k} u_t u_{t-k},
              \quad u_t = (x_t - \bar x)/n

    A missing value (NaN) keeps its place in time and adds nothing; n counts the others. No small-sample factor.

    Parameters
    ----------
    values : series, NaN where missing.
    lags : L, see `overlap_lags`; 0 gives the error of independent values (divisor n).

    Raises
    ------
    StatisticsError : no finite value, or a negative number of lags.

    References
    ----------
    Newey and West (1987), A simple, positive semi-definite, heteroskedasticity and autocorrelation consistent
    covariance matrix, Econometrica 55(3).

    >>> round(newey_west_standard_error([1.0, 2.0, 4.0, 3.0, 5.0], lags=1), 6)
    0.663325
    """
    series = np.asarray(values, dtype=np.float64)
    present = np.isfinite(series)
    count = int(present.sum())
    if series.ndim != 1 or count == 0 or lags < 0:
        raise StatisticsError(
            "no series to take a standard error of",
            expected="one axis, at least one finite value, 0 or more lags",
            got=f"shape {series.shape}, {count} finite values, {lags} lags",
            next="see whether forecasts and outcomes share any times",
        )
    influence = np.where(present, series - series[present].mean(), 0.0) / count
    return math.sqrt(long_run_variance(influence, lags=lags))


def long_run_variance(influence: FloatArray, *, lags: int) -> float:
    """Variance of the sum of an autocorrelated series [T] of mean zero, with Bartlett weights; never negative.

    >>> long_run_variance(np.array([1.0, -1.0]), lags=0)
    2.0
    """
    total = float(np.dot(influence, influence))
    for lag in range(1, min(lags, len(influence) - 1) + 1):
        total += 2.0 * (1.0 - lag / (lags + 1)) * float(np.dot(influence[lag:], influence[:-lag]))
    return max(total, 0.0)


def long_run_covariance(influence: FloatArray, *, lags: int) -> FloatArray:
    """Covariance [K, K] of the sums of autocorrelated series [T, K] of mean zero, with Bartlett weights.

    >>> long_run_covariance(np.array([[1.0, 0.0], [-1.0, 2.0]]), lags=0).tolist()
    [[2.0, -2.0], [-2.0, 4.0]]
    """
    total = influence.T @ influence
    for lag in range(1, min(lags, len(influence) - 1) + 1):
        crossed = influence[lag:].T @ influence[:-lag]
        total = total + (1.0 - lag / (lags + 1)) * (crossed + crossed.T)
    return np.asarray(total)


def automatic_lags(series: npt.ArrayLike) -> int:
    r"""Number of lags for the long-run variance of a series [T], or of the sum of several [T, K], chosen by the data.

    .. math:: L = \Bigl\lceil 1.1447\,\bigl(\hat\alpha(1)\,T\bigr)^{1/3} \Bigr\rceil, \quad L \le \sqrt{T}

    with :math:`\hat\alpha(1)` from the first :math:`4 (T/100)^{2/9}` autocovariances. Where those sum to nearly nothing
    (a series that reverts at once) the rule has no limit, hence the bound.

    Raises
    ------
    TooFewReturns : fewer than 4 values.
    StatisticsError : a value is not finite, or the values do not vary.

    References
    ----------
    Newey and West (1994), Automatic lag selection in covariance matrix estimation, Review of Economic Studies 61(4),
    on the Bartlett kernel. Chosen by `arch`.

    >>> noise = np.random.default_rng(3).standard_normal(2_000)
    >>> trending = np.convolve(noise, np.ones(10), mode="valid")
    >>> automatic_lags(noise), automatic_lags(trending)
    (7, 31)
    """
    from arch.covariance.kernel import NeweyWest

    array = _series(series)
    chosen = NeweyWest(array, center=True, force_int=True).opt_bandwidth
    return int(min(math.ceil(chosen), math.isqrt(len(array))))


def automatic_standard_error(values: npt.ArrayLike) -> float:
    r"""Newey-West standard error of the mean of a series [T], with the lags of `automatic_lags`.

    .. math:: \mathrm{SE}^2 = \frac{n}{n-1} \Bigl( \sum_t u_t^2 + 2\sum_{k=1}^{L} \Bigl(1-\tfrac{k}{L+1}\Bigr)
              \sum_{t>k} u_t u_{t-k} \Bigr), \quad u_t = (x_t - \bar x)/n

    Raises
    ------
    TooFewReturns : fewer than 4 values.
    StatisticsError : a value is not finite, or the values do not vary.

    References
    ----------
    Newey and West (1987), Econometrica 55(3); (1994), Review of Economic Studies 61(4).

    >>> noise = np.random.default_rng(3).standard_normal(2_000)
    >>> round(automatic_standard_error(noise) * 2_000**0.5, 1)              # independent: the usual s / sqrt(n)
    1.0
    """
    sample = finite_sample(values, name="values", at_least=4)
    centred = (sample - sample.mean()) / len(sample)
    variance = long_run_variance(centred, lags=automatic_lags(sample))
    return math.sqrt(variance * len(sample) / (len(sample) - 1))


def _series(values: npt.ArrayLike) -> FloatArray:
    """A series [T], or several [T, K], of which each varies."""
    array = np.asarray(values, dtype=np.float64)
    sample = finite_sample(array, name="values", at_least=4, dimensions=2 if array.ndim == 2 else 1)
    columns = sample.reshape(len(sample), -1)
    if not all(varies(column) for column in columns.T):
        raise StatisticsError(
            "values that do not vary",
            expected="a series with a spread",
            got=f"{len(sample)} equal values",
            next="see whether the agent traded at all in this window",
        )
    return columns
