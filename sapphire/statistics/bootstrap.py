"""Confidence intervals for any statistic of a return series, without assuming what the returns look like.

Blocks of consecutive returns are drawn, of random length, so that what neighbours share stays together. The seed is an
argument: the same returns and seed give the same interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sapphire.domain.errors import StatisticsError
from sapphire.statistics.samples import MINIMUM_RETURNS, FloatArray, finite_sample, varies

Statistic = Callable[[FloatArray], float]
"""From a series [T] to a number."""


@dataclass(frozen=True, slots=True)
class ConfidenceInterval:
    """An estimate and the interval that holds the truth in a share `level` of repetitions.

    Attributes
    ----------
    estimate : the statistic of the sample itself.
    lower, upper : the interval's ends, in the statistic's unit.
    level : the share, for example 0.90.
    block_length : mean length of the blocks drawn.
    repetitions : number of resamples.
    """

    estimate: float
    lower: float
    upper: float
    level: float
    block_length: int
    repetitions: int


def block_length(values: npt.ArrayLike) -> float:
    r"""Best mean block length for the stationary bootstrap of a series [T].

    .. math:: b = \left( \frac{2 G^2}{D} \right)^{1/3} T^{1/3}, \quad D = 2\,\hat\sigma^4

    with :math:`\hat\sigma^2` the long-run variance and G the autocovariances weighted by their lags, both by a flat-top
    kernel.

    Raises
    ------
    TooFewReturns : fewer than 30 values.
    StatisticsError : a value is not finite, or the values do not vary.

    References
    ----------
    Politis and White (2004), Automatic block-length selection for the dependent bootstrap, Econometric Reviews 23(1),
    with the correction of Patton, Politis and White (2009), Econometric Reviews 28(4). Computed by `arch`.

    >>> noise = np.random.RandomState(0).standard_normal(10_100)
    >>> series = np.zeros(10_100)
    >>> series[0] = noise[0]
    >>> for t in range(1, 10_100):
    ...     series[t] = 0.3 * series[t - 1] + noise[t]
    >>> round(block_length(series[100:]), 6)                             # the value in arch's own tests
    13.635665
    """
    from arch.bootstrap import optimal_block_length

    sample = sample_with_spread(values)
    return float(optimal_block_length(sample)["stationary"].iloc[0])


def bootstrap_interval(
    values: npt.ArrayLike,
    statistic: Statistic,
    *,
    seed: int,
    level: float = 0.90,
    repetitions: int = 1000,
    mean_block: float | None = None,
) -> ConfidenceInterval:
    r"""Percentile interval of `statistic` under the stationary bootstrap.

    Blocks begin anywhere with equal probability, wrap around the end, and have a geometric length of mean `mean_block`
    (rounded up to whole returns; `block_length` where not given). The interval's ends are the quantiles
    :math:`(1 \mp \mathrm{level})/2` of the statistic over the resamples.

    Parameters
    ----------
    values : series [T].
    statistic : from a resample [T] to a number, for example `sharpe_ratio`. What it raises is raised here: a series
        with a handful of trades has resamples without one.
    seed : of the draws.
    level : share covered, between 0 and 1. The lower end at 0.90 is a one-sided 95 % bound.
    repetitions : number of resamples, at least 100.
    mean_block : mean block length, at least 1.

    Raises
    ------
    TooFewReturns : fewer than 30 values.
    StatisticsError : a value is not finite, the values do not vary, an argument is out of range.

    References
    ----------
    Politis and Romano (1994), The stationary bootstrap, Journal of the American Statistical Association 89(428).
    Drawn by `arch`.

    >>> interval = bootstrap_interval(np.tile([0.01, -0.005, 0.002], 40), lambda returns: float(returns.mean()), seed=7)
    >>> interval.lower < interval.estimate < interval.upper
    True
    """
    sample = sample_with_spread(values)
    draws, length = resampled(sample, statistic, seed=seed, level=level, repetitions=repetitions, mean_block=mean_block)
    lower, upper = np.quantile(draws, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return ConfidenceInterval(
        estimate=float(statistic(sample)),
        lower=float(lower),
        upper=float(upper),
        level=level,
        block_length=length,
        repetitions=repetitions,
    )


def resampled(
    sample: FloatArray, statistic: Statistic, *, seed: int, level: float, repetitions: int, mean_block: float | None
) -> tuple[FloatArray, int]:
    """The statistic of each of `repetitions` resamples, and the mean block length they were drawn with.

    Raises
    ------
    StatisticsError : a level outside (0, 1), fewer than 100 repetitions, or a mean block below 1.

    >>> draws, length = resampled(np.tile([1.0, -1.0], 50), np.sum, seed=1, level=0.9, repetitions=100, mean_block=5)
    >>> draws.shape, length
    ((100,), 5)
    """
    from arch.bootstrap import StationaryBootstrap

    check_draws(level=level, repetitions=repetitions, mean_block=mean_block)
    wanted = block_length(sample) if mean_block is None else mean_block
    length = min(max(math.ceil(wanted), 1), len(sample))
    bootstrap = StationaryBootstrap(length, sample, seed=np.random.default_rng(seed))
    draws = bootstrap.apply(lambda resample: np.array([statistic(resample)]), reps=repetitions)
    return np.asarray(draws, dtype=np.float64).reshape(-1), length


def check_draws(*, level: float, repetitions: int, mean_block: float | None) -> None:
    """Refuse a bootstrap whose numbers make no sense.

    Raises
    ------
    StatisticsError : a level outside (0, 1), fewer than 100 repetitions, or a mean block below 1.

    >>> check_draws(level=0.9, repetitions=1000, mean_block=None)
    """
    if not 0.0 < level < 1.0 or repetitions < 100 or (mean_block is not None and not mean_block >= 1.0):
        raise StatisticsError(
            "a bootstrap that cannot be drawn",
            expected="level in (0, 1), at least 100 repetitions, a mean block of at least 1",
            got=f"level {level:g}, {repetitions} repetitions, mean block {mean_block}",
            next="leave level, repetitions and mean_block at their defaults",
        )


def sample_with_spread(values: npt.ArrayLike) -> FloatArray:
    """At least 30 finite returns that vary, as float64.

    Raises
    ------
    TooFewReturns : fewer than 30 values.
    StatisticsError : a value is not finite, or the values do not vary.

    >>> len(sample_with_spread(range(30)))
    30
    """
    sample = finite_sample(values, name="returns", at_least=MINIMUM_RETURNS)
    if not varies(sample):
        raise StatisticsError(
            "values that do not vary",
            expected="a series with a spread",
            got=f"{len(sample)} equal values",
            next="see whether the agent traded at all in this window",
        )
    return sample
