"""Whether forecasts meant what they said: stated means, stated intervals, stated quantiles.

Outcomes that look h bars ahead at every bar overlap, and symbols move together, so neither an error nor a coverage may
count them as independent. Errors here are Newey-West over time of the sums over symbols (Driscoll and Kraay), with the
lags that the overlap asks for (`overlap_lags`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sapphire.domain.errors import StatisticsError, TooFewReturns
from sapphire.statistics.longrun import long_run_covariance, long_run_variance, overlap_lags
from sapphire.statistics.samples import MINIMUM_RETURNS, FloatArray, paired, panel, same_shape, varies


@dataclass(frozen=True, slots=True)
class MeanCalibration:
    """The line of outcomes on stated means; a forecast that means what it says has intercept 0 and slope 1.

    Attributes
    ----------
    intercept, intercept_error : in the unit of the outcomes.
    slope, slope_error : outcome per stated outcome; 0 says that the statement knows nothing.
    p_value : of intercept 0 and slope 1 together (Wald).
    pairs : number of forecasts with a known outcome.
    """

    intercept: float
    intercept_error: float
    slope: float
    slope_error: float
    p_value: float
    pairs: int

    @property
    def slope_t(self) -> float:
        """Of slope 0: whether the stated means know anything."""
        return self.slope / self.slope_error


@dataclass(frozen=True, slots=True)
class Coverage:
    """How often the outcome fell where it was said to.

    Attributes
    ----------
    stated : probability that was stated.
    realised : share of outcomes that did.
    standard_error : of the share, if the stated probability were right.
    p_value : two-sided, of the stated probability.
    effective : number of independent outcomes that the overlapping ones amount to.
    pairs : number of forecasts with a known outcome.
    """

    stated: float
    realised: float
    standard_error: float
    p_value: float
    effective: float
    pairs: int


def mean_calibration(means: npt.ArrayLike, outcomes: npt.ArrayLike, *, horizon_bars: int = 1) -> MeanCalibration:
    r"""Line of outcomes on stated means, and whether it is the diagonal.

    .. math:: y = a + b\,\mu + \varepsilon, \quad W = (\hat a, \hat b - 1)\, \hat\Sigma^{-1} (\hat a, \hat b - 1)'
              \sim \chi^2_2

    Parameters
    ----------
    means, outcomes : [T] or [T, S] of one shape and unit, NaN where missing.
    horizon_bars : how many bars ahead both look.

    Raises
    ------
    TooFewReturns : fewer than 30 pairs.
    StatisticsError : shapes that differ, an infinite value, means or outcomes that do not vary.

    References
    ----------
    Mincer and Zarnowitz (1969), The evaluation of economic forecasts, in Economic Forecasts and Expectations, NBER.
    Driscoll and Kraay (1998), Review of Economics and Statistics 80(4), for the errors.

    >>> rng = np.random.default_rng(1)
    >>> stated = rng.normal(0.0, 5.0, 2_000)
    >>> honest = mean_calibration(stated, stated + rng.normal(0.0, 50.0, 2_000))
    >>> boastful = mean_calibration(10.0 * stated, stated + rng.normal(0.0, 50.0, 2_000))
    >>> honest.p_value > 0.05, boastful.p_value < 0.001, round(boastful.slope, 1)
    (True, True, 0.1)
    """
    from scipy.special import chdtrc

    x, y, present = paired(means, outcomes, names=("means", "outcomes"))
    pairs = _enough(present, "stated means")
    if not varies(x[present]) or not varies(y[present]):
        raise StatisticsError(
            "stated means or outcomes that do not vary",
            expected="both with a spread",
            got=f"{pairs} pairs, one side constant",
            next="an agent that always states one mean has no slope: judge its intervals",
        )
    centre = float(x[present].mean())
    away = np.where(present, x - centre, 0.0)
    total = float((away**2).sum())
    slope = float((away * y).sum()) / total
    level = float(y.sum()) / pairs
    intercept = level - slope * centre
    left = np.where(present, y - level - slope * away, 0.0)
    influence = np.column_stack([left.sum(axis=1) / pairs, (away * left).sum(axis=1) / total])
    influence[:, 0] -= centre * influence[:, 1]
    covariance = long_run_covariance(influence, lags=overlap_lags(len(x), horizon_bars=horizon_bars))
    off = np.array([intercept, slope - 1.0])
    wald = float(off @ np.linalg.pinv(covariance) @ off)
    return MeanCalibration(
        intercept=intercept,
        intercept_error=math.sqrt(max(float(covariance[0, 0]), 0.0)),
        slope=slope,
        slope_error=math.sqrt(max(float(covariance[1, 1]), 0.0)),
        p_value=float(chdtrc(2, wald)),
        pairs=pairs,
    )


def interval_coverage(
    lower: npt.ArrayLike, upper: npt.ArrayLike, outcomes: npt.ArrayLike, *, stated: float, horizon_bars: int = 1
) -> Coverage:
    r"""How often outcomes fell between the ends of intervals that were stated to hold them with probability `stated`.

    .. math:: \hat\pi = \tfrac1n \sum \mathbb{1}[l \le y \le u], \quad z = \frac{\hat\pi - \pi}{\sqrt{\pi(1-\pi)/n_e}},
              \quad n_e = n / \max\left(1,\ \frac{n\,\hat\Omega}{\hat\pi(1-\hat\pi)}\right)

    with :math:`\hat\Omega` the long-run variance of the share. Kupiec's test is this with :math:`n_e = n`: it takes
    hits as independent coins, and overlapping horizons and symbols that move together make them anything but. The
    spread of one coin is that of the stated probability, so a share of 0 or 1 has an error too (a block bootstrap would
    find none there); only the number of coins comes from the data, and it is never more than n. Where all outcomes
    fall on one side, n is divided by the overlap itself: the bars of the horizon times the symbols.

    Parameters
    ----------
    lower, upper, outcomes : [T] or [T, S] of one shape and unit, NaN where missing. Those of stated mean and deviation
        are `normal_interval`'s.
    stated : probability, between 0 and 1.
    horizon_bars : how many bars ahead the outcomes look.

    Raises
    ------
    TooFewReturns : fewer than 30 pairs.
    StatisticsError : shapes that differ, an infinite value, a lower end above the upper, a probability out of range.

    References
    ----------
    Kupiec (1995), Techniques for verifying the accuracy of risk measurement models, Journal of Derivatives 3(2).
    Christoffersen (1998), Evaluating interval forecasts, International Economic Review 39(4), on dependence.

    >>> rng = np.random.default_rng(1)
    >>> y = rng.normal(0.0, 50.0, 1_000)
    >>> low, high = normal_interval(np.zeros(1_000), np.full(1_000, 50.0), stated=0.8)
    >>> right = interval_coverage(low, high, y, stated=0.8)
    >>> round(right.realised, 2), right.p_value > 0.05
    (0.81, True)
    >>> interval_coverage(low / 2, high / 2, y, stated=0.8).p_value < 0.001
    True
    """
    below, above = panel(lower, name="lower ends"), panel(upper, name="upper ends")
    same_shape(below, above, names=("lower ends", "upper ends"))
    if bool((below > above).any()):
        raise StatisticsError(
            "an interval whose ends are the wrong way round",
            expected="lower ends at or below upper ends",
            got=f"{int((below > above).sum())} of {below.size} are above",
            next="pass the lower quantile first",
        )
    width, came, present = paired(above - below, outcomes, names=("intervals", "outcomes"))
    del width
    inside = present & (np.where(present, below, 0.0) <= came) & (came <= np.where(present, above, 0.0))
    return _coverage(inside, present, stated, horizon_bars)


def quantile_coverage(
    quantile: npt.ArrayLike, outcomes: npt.ArrayLike, *, stated: float, horizon_bars: int = 1
) -> Coverage:
    r"""How often outcomes were at or below a quantile that was stated to be so with probability `stated`.

    .. math:: \hat\pi = \tfrac1n \sum \mathbb{1}[y \le q_\pi]

    with the error of `interval_coverage`.

    Raises
    ------
    TooFewReturns : fewer than 30 pairs.
    StatisticsError : shapes that differ, an infinite value, a probability out of range.

    References
    ----------
    Kupiec (1995), Journal of Derivatives 3(2). Christoffersen (1998), International Economic Review 39(4).

    >>> y = np.random.default_rng(1).normal(0.0, 50.0, 1_000)
    >>> quantile_coverage(np.zeros(1_000), y, stated=0.5).p_value > 0.05
    True
    >>> quantile_coverage(np.full(1_000, 500.0), y, stated=0.9).p_value < 0.001       # it never came near
    True
    """
    at, came, present = paired(quantile, outcomes, names=("quantiles", "outcomes"))
    return _coverage(present & (came <= at), present, stated, horizon_bars)


def normal_interval(mean: npt.ArrayLike, std: npt.ArrayLike, *, stated: float) -> tuple[FloatArray, FloatArray]:
    r"""The central interval of a stated normal distribution that holds the outcome with probability `stated`.

    .. math:: \mu \mp \sigma\, \Phi^{-1}\!\left( \tfrac{1 + \pi}{2} \right)

    Raises
    ------
    StatisticsError : shapes that differ, an infinite value, a deviation that is not above zero, a probability out of
        range.

    References
    ----------
    The quantile of the normal distribution, by `scipy.special.ndtri`.

    >>> low, high = normal_interval([0.0], [10.0], stated=0.9)
    >>> low.round(2).tolist(), high.round(2).tolist()
    ([[-16.45]], [[16.45]])
    """
    from scipy.special import ndtri

    _check_probability(stated)
    middle, spread = panel(mean, name="means"), panel(std, name="standard deviations")
    same_shape(middle, spread, names=("means", "standard deviations"))
    if bool((spread <= 0.0).any()):
        raise StatisticsError(
            "a forecast without uncertainty",
            expected="standard deviations above zero",
            got=f"{float(np.nanmin(spread)):g}",
            next="a forecast states how sure it is; see fit_score_calibration",
        )
    half = spread * float(ndtri((1.0 + stated) / 2.0))
    return middle - half, middle + half


def sharing(hits: npt.NDArray[np.bool_], present: npt.NDArray[np.bool_], *, horizon_bars: int) -> float:
    r"""How many outcomes amount to one independent one: 1 or more, from the long-run variance of the share of hits.

    .. math:: \max\left(1,\ \frac{n\,\hat\Omega}{\hat\pi(1-\hat\pi)}\right)

    Where all or none are hits, the overlap itself: the bars of the horizon times the symbols, as far as n goes.

    Parameters
    ----------
    hits, present : bool [T, S]; a hit is present, and there is at least one that is.
    horizon_bars : how many bars ahead the outcomes look.

    >>> every = np.ones((4, 2), dtype=bool)
    >>> sharing(every, every, horizon_bars=3)
    6.0
    """
    pairs = int(present.sum())
    realised = float(hits.sum()) / pairs
    independent = realised * (1.0 - realised) / pairs
    if independent <= 0.0:
        return float(min(pairs, horizon_bars * hits.shape[1]))
    influence = np.where(present, hits - realised, 0.0).sum(axis=1) / pairs
    found = long_run_variance(influence, lags=overlap_lags(len(hits), horizon_bars=horizon_bars))
    return max(1.0, found / independent)


def _coverage(
    hits: npt.NDArray[np.bool_], present: npt.NDArray[np.bool_], stated: float, horizon_bars: int
) -> Coverage:
    from scipy.special import ndtr

    _check_probability(stated)
    pairs = _enough(present, "stated intervals")
    realised = float(hits.sum()) / pairs
    shared = sharing(hits, present, horizon_bars=horizon_bars)
    error = math.sqrt(stated * (1.0 - stated) * shared / pairs)
    return Coverage(
        stated=stated,
        realised=realised,
        standard_error=error,
        p_value=2.0 * float(ndtr(-abs(realised - stated) / error)),
        effective=pairs / shared,
        pairs=pairs,
    )


def _enough(present: npt.NDArray[np.bool_], name: str) -> int:
    pairs = int(present.sum())
    if pairs < MINIMUM_RETURNS:
        raise TooFewReturns(
            f"too few {name} with a known outcome",
            expected=f"at least {MINIMUM_RETURNS}",
            got=str(pairs),
            next="use a longer window or a shorter horizon",
        )
    return pairs


def _check_probability(stated: float) -> None:
    if not 0.0 < stated < 1.0:
        raise StatisticsError(
            "a stated probability that is none",
            expected="a number between 0 and 1",
            got=f"{stated:g}",
            next="80 % is 0.8",
        )
