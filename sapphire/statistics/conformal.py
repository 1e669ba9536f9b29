"""Intervals that hold what they say, whatever the distribution is: conformal prediction.

A forecast states a mean and a deviation. How many of its deviations hold 80 % of the outcomes is counted on outcomes
that it did not learn from, and is not taken from a normal distribution.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from sapphire.domain.errors import StatisticsError, TooFewReturns
from sapphire.statistics.samples import MINIMUM_RETURNS, FloatArray, paired, panel, same_shape

__all__ = ["AdaptiveConformal", "SplitConformal", "adaptive_conformal", "fit_split_conformal"]

_ROUNDING = 1e-9
"""(n + 1) c is 28.999999999999996 for some n and c that make 29: that much above a whole number is that number."""


@dataclass(frozen=True, slots=True)
class SplitConformal:
    """How many stated deviations hold the outcome.

    Attributes
    ----------
    coverage : the share of outcomes that the interval is to hold.
    multiplier : half its width in stated deviations.
    pairs : number of forecasts that it was counted on.
    independent : how many of them share no bar.
    """

    coverage: float
    multiplier: float
    pairs: float
    independent: float

    def __post_init__(self) -> None:
        sound = 0.0 < self.coverage < 1.0 and 0.0 < self.multiplier < math.inf
        if not sound or not self.pairs >= self.independent > 0.0:
            raise StatisticsError(
                "conformal intervals that cannot be applied",
                expected="a coverage between 0 and 1, a finite multiplier above 0, pairs",
                got=repr(self),
                next="fit them again with fit_split_conformal",
            )

    @property
    def std_factor(self) -> float:
        """What stated deviations are multiplied by, so that the normal interval of `coverage` is the conformal one."""
        return self.multiplier / NormalDist().inv_cdf((1.0 + self.coverage) / 2.0)

    def interval(self, mean: npt.ArrayLike, std: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Lower and upper ends of forecasts, of any one shape; NaN where a forecast is missing.

        >>> SplitConformal(0.8, 1.5, 100.0, 100.0).interval([1.0], [2.0])
        (array([-2.]), array([4.]))
        """
        middle, half = np.asarray(mean, dtype=np.float64), self.multiplier * np.asarray(std, dtype=np.float64)
        return middle - half, middle + half

    def to_arrays(self) -> dict[str, FloatArray]:
        """As named float64 arrays of one value each."""
        return {each.name: np.array([getattr(self, each.name)], dtype=np.float64) for each in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[np.float64]]) -> SplitConformal:
        """What `to_arrays` wrote.

        Raises
        ------
        StatisticsError : a name is missing or unknown, or an array has another shape than (1,).
        """
        names = [each.name for each in fields(cls)]
        wrong = sorted(set(names) ^ set(arrays)) or [name for name in names if arrays[name].shape != (1,)]
        if wrong:
            raise StatisticsError(
                "arrays that are no conformal intervals",
                expected=f"one value each for {', '.join(names)}",
                got=f"missing, unknown or of another shape: {', '.join(wrong)}",
                next="write them with SplitConformal.to_arrays",
            )
        return cls(**{name: float(arrays[name][0]) for name in names})


def fit_split_conformal(
    mean: npt.ArrayLike, std: npt.ArrayLike, outcomes: npt.ArrayLike, *, coverage: float = 0.8, horizon_bars: int = 1
) -> SplitConformal:
    r"""The multiplier of stated deviations whose interval holds a share `coverage` of outcomes not learned from.

    .. math:: s_i = |y_i - \mu_i| / \sigma_i, \quad q = s_{(k)}, \quad k = \lceil (n+1)\,c \rceil

    so the interval :math:`\mu \pm q\sigma` holds the next exchangeable outcome with probability c or more. Outcomes
    that look h bars ahead at every bar are not exchangeable: the quantile is then that of level
    :math:`\lceil (m+1) c \rceil / m` with m = n / h, the number of pairs that share no bar. Where a market changes for
    good, the promise is broken until it is fitted again: `adaptive_conformal` follows.

    Parameters
    ----------
    mean, std, outcomes : [T] or [T, S] of one shape and unit, NaN where missing; std above zero.
    coverage : between 0 and 1.
    horizon_bars : how many bars ahead the outcomes look.

    Raises
    ------
    TooFewReturns : fewer than 30 pairs, or too few to find such a quantile in.
    StatisticsError : shapes that differ, an infinite value, a deviation that is not above zero, a coverage or a horizon
        out of range, outcomes that are all equal to the means.

    References
    ----------
    Lei, G'Sell, Rinaldo, Tibshirani and Wasserman (2018), Distribution-free predictive inference for regression, JASA
    113(523), locally weighted.

    >>> y = np.arange(-50.0, 51.0)                                   # |y| is 0, 1, 1, 2, 2, ...; k = 82 of 101
    >>> fit_split_conformal(np.zeros(101), np.ones(101), y).multiplier
    41.0
    """
    _check(coverage, horizon_bars)
    scores = _scores(mean, std, outcomes)
    found = np.sort(scores[np.isfinite(scores)])
    shares_no_bar = len(found) // horizon_bars
    rank = math.ceil((shares_no_bar + 1) * coverage - _ROUNDING)
    if len(found) < MINIMUM_RETURNS or rank > shares_no_bar:
        raise TooFewReturns(
            "too few forecasts with a known outcome for conformal intervals",
            expected=f"at least {MINIMUM_RETURNS}, and {math.ceil(coverage / (1 - coverage)) * horizon_bars} at "
            f"{horizon_bars} bars ahead",
            got=str(len(found)),
            next="use a longer window, a shorter horizon or a lower coverage",
        )
    place = math.ceil(len(found) * rank / shares_no_bar - _ROUNDING)
    return SplitConformal(coverage, float(found[place - 1]), float(len(found)), float(shares_no_bar))


@dataclass(frozen=True, slots=True, eq=False)
class AdaptiveConformal:
    """Intervals that follow what came, row by row.

    Attributes
    ----------
    multipliers : [T], half the width in stated deviations; inf where everything is let in, below 0 where
        nothing is, NaN before there is a past.
    miss_rates : [T], the miss rate that was aimed at, which moves.
    covered : [T, S], 1 where the outcome was inside, 0 where not, NaN where it or the interval is missing.
    """

    multipliers: FloatArray
    miss_rates: FloatArray
    covered: FloatArray

    @property
    def coverage(self) -> float:
        """Share of outcomes that were inside; NaN where there were none."""
        known = self.covered[np.isfinite(self.covered)]
        return float(known.mean()) if known.size else math.nan


def adaptive_conformal(
    mean: npt.ArrayLike,
    std: npt.ArrayLike,
    outcomes: npt.ArrayLike,
    *,
    coverage: float = 0.8,
    gamma: float = 0.005,
    window: int = 500,
    horizon_bars: int = 1,
) -> AdaptiveConformal:
    r"""Conformal intervals in the order of time, whose miss rate is led back to what it should be.

    .. math:: \alpha_{t+1} = \alpha_t + \gamma\,(\alpha - \mathrm{err}_{t-h+1}), \quad
              q_t = Q_{1-\alpha_t}\bigl(s_{t-h-w+1}, \dots, s_{t-h}\bigr)

    An outcome that looks h bars ahead is known h rows later, so row t learns from row t - h and before, never from what
    is not known yet. err is the share of the row's symbols that were missed. Whatever the outcomes do, the mean miss
    rate of T rows with outcomes is within :math:`(\max(\alpha, 1-\alpha) + h\gamma) / (T\gamma)` of
    :math:`\alpha = 1 - c`: below 0 the rate lets everything in, above 1 nothing, at most h rows late.

    Parameters
    ----------
    mean, std, outcomes : [T] or [T, S] of one shape and unit, NaN where missing; std above zero.
    coverage : between 0 and 1.
    gamma : step; 0 keeps the miss rate, larger follows faster and swings more.
    window : rows of scores that the quantile is taken of.
    horizon_bars : how many bars ahead the outcomes look.

    Raises
    ------
    StatisticsError : shapes that differ, an infinite value, a deviation that is not above zero, a coverage, a step, a
        window or a horizon out of range.

    References
    ----------
    Gibbs and Candes (2021), Adaptive conformal inference under distribution shift, NeurIPS 34, proposition 4.1, here
    with outcomes that are known h rows late.

    >>> y = np.random.default_rng(1).normal(0.0, np.repeat([1.0, 3.0], 1_000))        # three times louder half-way
    >>> found = adaptive_conformal(np.zeros(2_000), np.ones(2_000), y, gamma=0.05)
    >>> round(found.coverage, 2)
    0.8
    """
    _check(coverage, horizon_bars)
    if gamma < 0.0 or window < 1:
        raise StatisticsError(
            "steps that adaptive intervals cannot take",
            expected="gamma of zero or more, a window of at least 1 row",
            got=f"gamma {gamma:g}, window {window}",
        )
    scores = _scores(mean, std, outcomes)
    rows = len(scores)
    multipliers, rates, covered = np.full(rows, np.nan), np.full(rows, np.nan), np.full(scores.shape, np.nan)
    aim = rate = 1.0 - coverage
    for row in range(rows):
        known = max(0, row - horizon_bars + 1)  # so many rows have an outcome that is known at the close of this one
        missed = 1.0 - covered[known - 1] if known else np.empty(0)
        missed = missed[np.isfinite(missed)]
        if missed.size:
            rate += gamma * (aim - float(missed.mean()))
        rates[row] = rate
        past = scores[max(0, known - window) : known]
        multipliers[row] = _quantile(past[np.isfinite(past)], rate)
        if not math.isnan(multipliers[row]):
            covered[row] = np.where(np.isfinite(scores[row]), scores[row] <= multipliers[row], np.nan)
    return AdaptiveConformal(multipliers, rates, covered)


def _quantile(past: FloatArray, miss_rate: float) -> float:
    """The score that a share 1 - miss_rate is at or below: inf where all is let in, below 0 where nothing is."""
    if not past.size:
        return math.nan
    if miss_rate >= 1.0:
        return -1.0
    place = math.ceil((len(past) + 1) * (1.0 - miss_rate) - _ROUNDING)
    return math.inf if place > len(past) else float(np.partition(past, max(place, 1) - 1)[max(place, 1) - 1])


def _scores(mean: npt.ArrayLike, std: npt.ArrayLike, outcomes: npt.ArrayLike) -> FloatArray:
    """|y - mean| / std, [T, S]; NaN where one of the three is missing."""
    middle, came, present = paired(mean, outcomes, names=("means", "outcomes"))
    spread = panel(std, name="standard deviations")
    same_shape(middle, spread, names=("means", "standard deviations"))
    present &= np.isfinite(spread)
    if bool((spread[present] <= 0.0).any()):
        raise StatisticsError(
            "a forecast without uncertainty",
            expected="standard deviations above zero",
            got=f"{float(spread[present].min()):g}",
            next="a forecast states how sure it is; see fit_score_calibration",
        )
    return np.where(present, np.abs(came - middle) / np.where(present, spread, 1.0), np.nan)


def _check(coverage: float, horizon_bars: int) -> None:
    if not 0.0 < coverage < 1.0 or horizon_bars < 1:
        raise StatisticsError(
            "intervals that cannot be",
            expected="a coverage between 0 and 1, a horizon of at least 1 bar",
            got=f"coverage {coverage:g}, horizon {horizon_bars}",
            next="80 % is 0.8",
        )
