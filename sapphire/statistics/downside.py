"""Reward for the returns that hurt: those below zero alone count as risk."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from sapphire.domain.errors import StatisticsError
from sapphire.statistics.samples import finite_sample


def sortino_ratio(returns: npt.ArrayLike) -> float:
    r"""Sortino ratio per period of returns [T], against a target of zero.

    .. math:: \frac{\bar r}{\sqrt{\frac{1}{T} \sum_t \min(r_t, 0)^2}}

    Every return stands under the root, those above the target as zero.

    Raises
    ------
    TooFewReturns : fewer than two.
    StatisticsError : a value that is not finite, or no return below zero: then nothing hurt, and there is no ratio.

    References
    ----------
    Sortino and Price (1994), Performance measurement in a downside risk framework, Journal of Investing 3(3).

    Examples
    --------
    >>> round(sortino_ratio([0.02, -0.01, 0.03, -0.02]), 6)  # 0.005 over the root of 0.000125
    0.447214
    """
    sample = finite_sample(returns, name="returns", at_least=2)
    downside = math.sqrt(float(np.mean(np.minimum(sample, 0.0) ** 2)))
    if downside == 0.0:
        raise StatisticsError("a Sortino ratio without a loss", expected="a return below zero", got="none")
    return float(sample.mean()) / downside
