"""What scores were worth, fold by fold: the slope of outcomes on them, its t-value and its sign.

A calibration takes a score by its slope, whatever its sign: an agent called "trend" whose slopes are negative is traded
as a reversal. This is where that shows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from sapphire.domain.errors import StatisticsError
from sapphire.statistics.longrun import long_run_variance, overlap_lags
from sapphire.statistics.samples import MINIMUM_RETURNS, FloatArray, paired, varies


@dataclass(frozen=True, slots=True)
class FoldSlope:
    """What scores were worth in one fold.

    Attributes
    ----------
    fold : number, from 1.
    slope : change of the outcome per standard deviation of score, in the unit of the outcomes.
    t_value : slope over its error.
    pairs : number of scores with a known outcome.
    """

    fold: int
    slope: float
    t_value: float
    pairs: int

    @property
    def sign(self) -> Literal[-1, 0, 1]:
        """Of the slope: -1 where calibration turns the score round, 0 where the score never varied."""
        return 0 if self.slope == 0.0 else 1 if self.slope > 0.0 else -1


@dataclass(frozen=True, slots=True)
class SlopeReport:
    """The slope of outcomes on scores, fold by fold.

    Attributes
    ----------
    folds : those with enough pairs to judge by.
    unjudged : numbers of the folds that have fewer than 30 pairs, or outcomes that do not vary.
    """

    folds: tuple[FoldSlope, ...]
    unjudged: tuple[int, ...]

    @property
    def turned(self) -> tuple[int, ...]:
        """Numbers of the folds with a negative slope: what the score calls up went down."""
        return tuple(fold.fold for fold in self.folds if fold.sign < 0)

    @property
    def weak(self) -> tuple[int, ...]:
        """Numbers of the folds with a t-value within 2 of zero: their slope may be anything."""
        return tuple(fold.fold for fold in self.folds if abs(fold.t_value) < 2.0)


def slope_report(
    scores: Sequence[npt.ArrayLike], outcomes: Sequence[npt.ArrayLike], *, horizon_bars: int = 1
) -> SlopeReport:
    r"""Slope, t-value and sign of outcomes on scores in each fold.

    .. math:: y = \alpha + \beta z + \varepsilon, \quad z = (x - \bar x)/s_x

    Parameters
    ----------
    scores, outcomes : one panel [T, S] (or series [T]) per fold, NaN where missing; outcomes are forward returns.
    horizon_bars : how many bars ahead the outcomes look.

    Raises
    ------
    StatisticsError : numbers of folds or shapes that differ, an infinite value.

    References
    ----------
    Driscoll and Kraay (1998), Consistent covariance matrix estimation with spatially dependent panel data, Review of
    Economics and Statistics 80(4). Newey and West (1987), Econometrica 55(3).

    >>> x = np.linspace(-1.0, 1.0, 101)
    >>> report = slope_report([x, x], [2.0 * x + 5.0 * np.cos(40.0 * x), -x + np.cos(40.0 * x)])
    >>> [(fold.fold, round(fold.slope, 2), round(fold.t_value, 1), fold.sign) for fold in report.folds]
    [(1, 1.17, 3.2, 1), (2, -0.58, -8.1, -1)]
    >>> report.turned, report.weak
    ((2,), ())
    """
    if len(scores) != len(outcomes):
        raise StatisticsError(
            "scores and outcomes of different folds",
            expected="one panel of each per fold",
            got=f"{len(scores)} of scores, {len(outcomes)} of outcomes",
            next="take both from the same folds",
        )
    judged, unjudged = [], []
    for number, (score_panel, outcome_panel) in enumerate(zip(scores, outcomes, strict=True), start=1):
        x, y, present = paired(score_panel, outcome_panel, names=("scores", "outcomes"))
        pairs = int(present.sum())
        if pairs < MINIMUM_RETURNS or not varies(y[present]):
            unjudged.append(number)
            continue
        judged.append(_fold_slope(number, x, y, present, horizon_bars))
    return SlopeReport(folds=tuple(judged), unjudged=tuple(unjudged))


def _fold_slope(
    number: int, x: FloatArray, y: FloatArray, present: npt.NDArray[np.bool_], horizon_bars: int
) -> FoldSlope:
    pairs, scores = int(present.sum()), x[present]
    if not varies(scores):
        return FoldSlope(fold=number, slope=0.0, t_value=0.0, pairs=pairs)
    z = np.where(present, (x - float(scores.mean())) / float(scores.std()), 0.0)
    slope = float((z * y).sum()) / pairs
    left = np.where(present, y - float(y.sum()) / pairs - slope * z, 0.0)
    lags = overlap_lags(len(x), horizon_bars=horizon_bars)
    error = math.sqrt(long_run_variance((z * left).sum(axis=1) / pairs, lags=lags))
    t_value = slope / error if error > 0.0 else math.copysign(math.inf, slope) if slope else 0.0
    return FoldSlope(fold=number, slope=slope, t_value=t_value, pairs=pairs)
