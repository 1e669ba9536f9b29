"""What a forecast knows, before any money is involved: rank correlation, its decay, returns by quantile.

All take panels [T, S], time by symbol (one axis is one symbol), with NaN where a value is missing. `over` says what is
ranked against what: "symbols" ranks the symbols at each time, "time" ranks each symbol's own history. With two symbols
the first is +1 or -1 and little else; use the second.

These look at the whole sample at once (ranks need it), so they describe a forecast and are no evidence for it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from sapphire.domain.errors import StatisticsError
from sapphire.statistics.longrun import long_run_variance, newey_west_standard_error, overlap_lags
from sapphire.statistics.samples import FloatArray, panel, same_shape

Over = Literal["symbols", "time"]


@dataclass(frozen=True, slots=True)
class Information:
    """A mean rank correlation and how sure it is.

    Attributes
    ----------
    horizon_bars : how far ahead the outcomes look.
    mean : mean rank correlation, -1 to 1.
    standard_error : Newey-West, with the lags of `overlap_lags`.
    times : number of times that have a value.
    """

    horizon_bars: int
    mean: float
    standard_error: float
    times: int

    @property
    def t_statistic(self) -> float:
        """Mean over its standard error; NaN where the error is zero."""
        return self.mean / self.standard_error if self.standard_error > 0.0 else math.nan


@dataclass(frozen=True, slots=True)
class QuantileReturn:
    """The mean outcome of the forecasts in one quantile.

    Attributes
    ----------
    quantile : 1 for the lowest forecasts.
    mean : mean outcome, in the unit of the outcomes.
    standard_error : Newey-West over time, with the lags of `overlap_lags`.
    count : number of outcomes (time and symbol) in it.
    """

    quantile: int
    mean: float
    standard_error: float
    count: int


def rank_ic(forecasts: npt.ArrayLike, outcomes: npt.ArrayLike, *, over: Over = "time") -> FloatArray:
    r"""Spearman's rank correlation of forecasts and outcomes.

    .. math:: \mathrm{IC} = \frac{\sum_i (R_i-\bar R)(Q_i-\bar Q)}
              {\sqrt{\sum_i (R_i-\bar R)^2 \sum_i (Q_i-\bar Q)^2}}

    with R and Q the ranks, ties averaged; a pair with a missing value is left out.

    Parameters
    ----------
    forecasts, outcomes : panels [T, S] of one shape.
    over : "time" ranks each symbol's history, one number per symbol [S]; "symbols" ranks the symbols at each time, one
        number per time [T]. NaN where fewer than two pairs are there or either side does not vary.

    Raises
    ------
    StatisticsError : shapes that differ, an infinite value, an unknown `over`.

    References
    ----------
    Spearman (1904), The proof and measurement of association between two things, American Journal of Psychology 15(1).
    Grinold and Kahn (2000), Active Portfolio Management, on the information coefficient.

    >>> rank_ic([106, 100, 86, 101, 99, 103, 97, 113, 112, 110],
    ...         [7, 27, 2, 50, 28, 29, 20, 12, 6, 17]).round(6)          # the usual textbook pair: -29/165
    array([-0.175758])
    """
    products = _rank_products(forecasts, outcomes, over=over)
    axis = 0 if over == "time" else 1
    return _mean_of_present(products, axis=axis)


def information_coefficient(
    forecasts: npt.ArrayLike, outcomes: npt.ArrayLike, *, horizon_bars: int = 1, over: Over = "time"
) -> Information:
    r"""Mean rank correlation with a standard error that knows about overlapping outcomes.

    The product of the two standardised ranks is one number per time and symbol, whose mean over `over` is `rank_ic`.
    Averaged over the symbols at each time it is a series, and its mean and Newey-West error are the answer: the error
    so allows for symbols that move together and for outcomes that share bars. It takes the rank scale as known, which
    is exact where the true correlation is zero.

    Parameters
    ----------
    forecasts, outcomes : panels [T, S] of one shape.
    horizon_bars : how many bars ahead the outcomes look.
    over : see `rank_ic`.

    Raises
    ------
    StatisticsError : shapes that differ, an infinite value, no time with a pair, a horizon below one bar.

    References
    ----------
    Newey and West (1987), Econometrica 55(3). Grinold and Kahn (2000), Active Portfolio Management.

    >>> found = information_coefficient([1, 2, 3, 4, 5, 6], [1, 3, 2, 4, 6, 5])
    >>> round(found.mean, 4), found.times
    (0.8857, 6)
    """
    products = _rank_products(forecasts, outcomes, over=over)
    by_time = _mean_of_present(products, axis=1)
    times = int(np.isfinite(by_time).sum())
    if times == 0:
        raise StatisticsError(
            "forecasts and outcomes that never meet",
            expected="at least one symbol or time with two pairs that vary",
            got=f"none in {by_time.size} times",
            next="align both on the same times, and see whether the forecast varies at all",
        )
    lags = overlap_lags(len(by_time), horizon_bars=horizon_bars)
    return Information(
        horizon_bars=horizon_bars,
        mean=float(np.nanmean(by_time)),
        standard_error=newey_west_standard_error(by_time, lags=lags),
        times=times,
    )


def forward_returns(closes: npt.ArrayLike, *, horizon_bars: int) -> FloatArray:
    r"""Return from each close to the one `horizon_bars` later.

    .. math:: y_{t} = c_{t+h} / c_t - 1

    Parameters
    ----------
    closes : panel [T, S] of prices above zero, NaN where missing.
    horizon_bars : h, at least 1.

    Returns
    -------
    [T, S], NaN in the last h rows: they are not known yet.

    Raises
    ------
    StatisticsError : a horizon below one bar, a price that is not above zero.

    References
    ----------
    Campbell, Lo and MacKinlay (1997), The Econometrics of Financial Markets, section 1.4, simple returns.

    >>> forward_returns([100.0, 110.0, 121.0], horizon_bars=1).ravel().round(6)
    array([0.1, 0.1, nan])
    """
    prices = panel(closes, name="closes")
    if horizon_bars < 1 or bool((prices <= 0.0).any()):
        raise StatisticsError(
            "no forward return of these closes",
            expected="a horizon of at least 1 bar and prices above zero",
            got=f"horizon {horizon_bars}, {int((prices <= 0.0).sum())} prices of zero or less",
            next="sapphire data check names bad bars",
        )
    ahead = np.full_like(prices, np.nan)
    ahead[:-horizon_bars] = prices[horizon_bars:] / prices[:-horizon_bars] - 1.0
    return ahead


def information_decay(
    forecasts: npt.ArrayLike, closes: npt.ArrayLike, *, horizons_bars: Sequence[int], over: Over = "time"
) -> tuple[Information, ...]:
    """Mean rank correlation of the same forecasts with returns over longer and longer horizons.

    Parameters
    ----------
    forecasts, closes : panels [T, S] of one shape; the forecast at t was made at the close of t.
    horizons_bars : horizons, each at least 1.
    over : see `rank_ic`.

    Returns
    -------
    One `Information` per horizon, in the order given.

    Raises
    ------
    StatisticsError : as `information_coefficient` and `forward_returns`.

    References
    ----------
    Grinold and Kahn (2000), Active Portfolio Management, ch. 13, the information horizon.

    >>> closes = [100.0, 101.0, 103.0, 102.0, 105.0, 104.0, 108.0, 107.0]
    >>> knows = [1.0, 2.0, -1.0, 3.0, -1.0, 4.0, -1.0, 0.0]                 # the next move, and only that
    >>> [round(found.mean, 3) for found in information_decay(knows, closes, horizons_bars=(1, 2, 3))]
    [0.964, 0.145, 0.975]
    """
    return tuple(
        information_coefficient(
            forecasts, forward_returns(closes, horizon_bars=horizon), horizon_bars=horizon, over=over
        )
        for horizon in horizons_bars
    )


def returns_by_quantile(
    forecasts: npt.ArrayLike,
    outcomes: npt.ArrayLike,
    *,
    quantiles: int = 5,
    horizon_bars: int = 1,
    over: Over = "time",
) -> tuple[QuantileReturn, ...]:
    r"""Mean outcome of the forecasts in each quantile, lowest first.

    A forecast of rank R (ties averaged) among n is in quantile :math:`\lceil q (R - 1/2) / n \rceil`. The error of a
    mean is that of a ratio over time: the outcomes' deviations in the quantile, summed at each time, Newey-West.

    Parameters
    ----------
    forecasts, outcomes : panels [T, S] of one shape.
    quantiles : how many, at least 2.
    horizon_bars : how many bars ahead the outcomes look.
    over : see `rank_ic`.

    Returns
    -------
    One `QuantileReturn` per quantile; mean and error are NaN in an empty one (forecasts with many ties).

    Raises
    ------
    StatisticsError : shapes that differ, an infinite value, fewer than two quantiles, a horizon below one bar.

    References
    ----------
    Newey and West (1987), Econometrica 55(3), for the error.

    >>> low, high = returns_by_quantile([1, 2, 3, 4], [-1.0, -3.0, 2.0, 6.0], quantiles=2)
    >>> low.mean, high.mean, high.count
    (-2.0, 4.0, 2)
    """
    predicted, realised = _paired(forecasts, outcomes)
    if quantiles < 2:
        raise StatisticsError("fewer than two quantiles", expected="2 or more", got=str(quantiles), next="5 is usual")
    axis = _axis(over)
    ranks = _ranks(predicted, axis=axis)
    counts = np.isfinite(predicted).sum(axis=axis, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        buckets = np.ceil(quantiles * (ranks - 0.5) / counts)
    lags = overlap_lags(len(predicted), horizon_bars=horizon_bars)
    return tuple(
        _quantile_return(quantile, realised, buckets == quantile, lags=lags) for quantile in range(1, quantiles + 1)
    )


def _quantile_return(
    quantile: int, outcomes: FloatArray, members: npt.NDArray[np.bool_], *, lags: int
) -> QuantileReturn:
    count = int(members.sum())
    if count == 0:
        return QuantileReturn(quantile=quantile, mean=math.nan, standard_error=math.nan, count=0)
    mean = float(outcomes[members].mean())
    influence = np.where(members, outcomes - mean, 0.0).sum(axis=1) / count
    error = math.sqrt(long_run_variance(influence, lags=lags))
    return QuantileReturn(quantile=quantile, mean=mean, standard_error=error, count=count)


def _rank_products(forecasts: npt.ArrayLike, outcomes: npt.ArrayLike, *, over: Over) -> FloatArray:
    """The product of the standardised ranks, [T, S]; NaN where a pair is missing or one side does not vary."""
    predicted, realised = _paired(forecasts, outcomes)
    axis = _axis(over)
    return _standardised_ranks(predicted, axis=axis) * _standardised_ranks(realised, axis=axis)


def _paired(forecasts: npt.ArrayLike, outcomes: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    predicted, realised = panel(forecasts, name="forecasts"), panel(outcomes, name="outcomes")
    same_shape(predicted, realised, names=("forecasts", "outcomes"))
    missing = np.isnan(predicted) | np.isnan(realised)
    return np.where(missing, np.nan, predicted), np.where(missing, np.nan, realised)


def _axis(over: Over) -> int:
    if over not in ("symbols", "time"):
        raise StatisticsError(
            "an unknown direction to rank in", expected='"symbols" or "time"', got=repr(over), next="see rank_ic"
        )
    return 0 if over == "time" else 1


def _ranks(values: FloatArray, *, axis: int) -> FloatArray:
    from scipy.stats import rankdata

    return np.asarray(rankdata(values, axis=axis, nan_policy="omit"), dtype=np.float64)


def _standardised_ranks(values: FloatArray, *, axis: int) -> FloatArray:
    ranks = _ranks(values, axis=axis)
    present = np.isfinite(ranks)
    count = present.sum(axis=axis, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        centred = ranks - np.where(present, ranks, 0.0).sum(axis=axis, keepdims=True) / count
        spread = np.sqrt(np.where(present, centred**2, 0.0).sum(axis=axis, keepdims=True) / count)
        return np.asarray(np.where(spread > 0.0, centred / spread, np.nan), dtype=np.float64)


def _mean_of_present(values: FloatArray, *, axis: int) -> FloatArray:
    present = np.isfinite(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(present, values, 0.0).sum(axis=axis) / present.sum(axis=axis)
    return np.asarray(mean, dtype=np.float64)
