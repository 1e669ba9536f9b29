"""Whether a mean or a Sharpe ratio is above zero by more than its error, returns being what they are: not independent.

Two ways to an error that holds for returns whose neighbours resemble each other: blocks drawn again and again (the
stationary bootstrap), and a long-run variance (HAC). The first makes no assumption about the shape of the returns and
serves any statistic; the second is quick and serves the mean.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sapphire.domain.errors import StatisticsError
from sapphire.statistics.bootstrap import Statistic, resampled, sample_with_spread
from sapphire.statistics.longrun import automatic_standard_error
from sapphire.statistics.samples import FloatArray
from sapphire.statistics.sharpe import sharpe_ratio


@dataclass(frozen=True, slots=True)
class OneSidedTest:
    """An answer to whether the truth is above zero.

    Attributes
    ----------
    estimate : the statistic of the sample.
    standard_error : of the estimate.
    p_value : probability of an estimate this high or higher if the truth were zero.
    lower_bound : below it lies the truth in a share `level` of repetitions.
    level : of the test; it passes where `p_value` is at most this.
    n : number of returns.
    method : how the error was found, with the block length or the distribution.
    """

    estimate: float
    standard_error: float
    p_value: float
    lower_bound: float
    level: float
    n: int
    method: str

    @property
    def passes(self) -> bool:
        """Whether zero is left behind at `level`."""
        return self.p_value <= self.level


def bootstrap_test(
    returns: npt.ArrayLike,
    statistic: Statistic,
    *,
    seed: int,
    level: float = 0.05,
    repetitions: int = 1000,
    mean_block: float | None = None,
) -> OneSidedTest:
    r"""One-sided test that a statistic of the returns [T] is above zero, by the stationary bootstrap.

    .. math:: p = \frac{1 + \#\{\hat\theta^*_b - \hat\theta \ge \hat\theta\}}{B + 1}, \quad
              \mathrm{bound} = \hat\theta - q_{1-\mathrm{level}}(\hat\theta^* - \hat\theta)

    The resamples' spread around the estimate stands for the estimate's spread around the truth (the basic bootstrap),
    so the p-value and the bound say the same. A p-value is never 0: with B = 1,000 it is at least 1/1,001.

    Parameters
    ----------
    returns : series [T].
    statistic : from a resample [T] to a number that is zero under the null hypothesis. What it raises is raised here.
    seed : of the draws.
    level : of the test, between 0 and 1.
    repetitions : number of resamples B, at least 100.
    mean_block : mean block length; by default the automatic one (`block_length`).

    Raises
    ------
    TooFewReturns : fewer than 30 returns.
    StatisticsError : a value is not finite, the returns do not vary, an argument is out of range.

    References
    ----------
    Politis and Romano (1994), The stationary bootstrap, JASA 89(428). Davison and Hinkley (1997), Bootstrap methods and
    their application, ch. 4 and 5. Drawn by `arch`.

    >>> tested = bootstrap_test(np.tile([0.01, -0.005, 0.002], 40), lambda returns: float(returns.mean()), seed=7)
    >>> tested.passes, tested.p_value < 0.05, tested.lower_bound > 0.0
    (True, True, True)
    """
    sample = sample_with_spread(returns)
    draws, length = resampled(sample, statistic, seed=seed, level=level, repetitions=repetitions, mean_block=mean_block)
    estimate = float(statistic(sample))
    spread = draws - estimate
    return OneSidedTest(
        estimate=estimate,
        standard_error=float(draws.std(ddof=1)),
        p_value=(1 + int((spread >= estimate).sum())) / (repetitions + 1),
        lower_bound=estimate - float(np.quantile(spread, 1.0 - level)),
        level=level,
        n=len(sample),
        method=f"stationary bootstrap, mean block {length}",
    )


def bootstrap_mean_test(returns: npt.ArrayLike, *, seed: int, level: float = 0.05) -> OneSidedTest:
    r"""One-sided test that the mean of the returns [T] is above zero: `bootstrap_test` of :math:`\bar r`.

    Raises
    ------
    TooFewReturns : fewer than 30 returns.
    StatisticsError : a value is not finite, the returns do not vary, a level outside (0, 1).

    References
    ----------
    Politis and Romano (1994), The stationary bootstrap, JASA 89(428).

    >>> bootstrap_mean_test(np.tile([0.01, -0.012, 0.002], 40), seed=7).passes
    False
    """
    return bootstrap_test(returns, _mean, seed=seed, level=level)


def bootstrap_sharpe_test(returns: npt.ArrayLike, *, seed: int, level: float = 0.05) -> OneSidedTest:
    r"""One-sided test that the Sharpe ratio of the returns [T] is above zero: `bootstrap_test` of :math:`\bar r / s`.

    Raises
    ------
    TooFewReturns : fewer than 30 returns.
    StatisticsError : a value is not finite, the returns or those of a resample do not vary, a level outside (0, 1).

    References
    ----------
    Politis and Romano (1994), The stationary bootstrap, JASA 89(428). Ledoit and Wolf (2008), Robust performance
    hypothesis testing with the Sharpe ratio, Journal of Empirical Finance 15(5), on why blocks are needed.

    >>> round(bootstrap_sharpe_test(np.tile([0.01, -0.005, 0.002], 40), seed=7).estimate, 4)
    0.3792
    """
    return bootstrap_test(returns, sharpe_ratio, seed=seed, level=level)


def hac_mean_test(returns: npt.ArrayLike, *, level: float = 0.05) -> OneSidedTest:
    r"""One-sided test that the mean of the returns [T] is above zero, with a Newey-West error.

    .. math:: t = \bar r / \mathrm{SE}, \quad p = 1 - F_{T-1}(t), \quad
              \mathrm{bound} = \bar r - \mathrm{SE}\, F_{T-1}^{-1}(1-\mathrm{level})

    with the error of `automatic_standard_error` and F the distribution of Student's t.

    Raises
    ------
    TooFewReturns : fewer than 30 returns.
    StatisticsError : a value is not finite, the returns do not vary, a level outside (0, 1).

    References
    ----------
    Newey and West (1987), Econometrica 55(3); (1994), Review of Economic Studies 61(4).

    >>> tested = hac_mean_test(np.random.default_rng(1).normal(0.1, 1.0, 400))
    >>> tested.passes, tested.lower_bound < tested.estimate
    (False, True)
    """
    from scipy.special import stdtr, stdtrit

    _check_level(level)
    sample = sample_with_spread(returns)
    estimate, error, freedom = float(sample.mean()), automatic_standard_error(sample), len(sample) - 1
    if not error > 0.0:
        raise StatisticsError(
            "returns whose mean has no error",
            expected="returns that do not cancel each other exactly",
            got=f"{len(sample)} returns with a long-run variance of 0",
            next='method="bootstrap" takes them',
        )
    return OneSidedTest(
        estimate=estimate,
        standard_error=error,
        p_value=float(stdtr(freedom, -estimate / error)),
        lower_bound=estimate - error * float(stdtrit(freedom, 1.0 - level)),
        level=level,
        n=len(sample),
        method=f"Newey-West, Student's t with {freedom} degrees of freedom",
    )


def level_after_openings(level: float, openings: int) -> float:
    r"""Level of each of several tests of which none may pass by luck more often than `level` says of one.

    .. math:: \mathrm{level}_k = 1 - (1 - \mathrm{level})^{1/k}

    A hold-out that is opened for the k-th time has had k chances.

    Raises
    ------
    StatisticsError : a level outside (0, 1), or fewer than one opening.

    References
    ----------
    Sidak (1967), Rectangular confidence regions for the means of multivariate normal distributions, JASA 62(318).

    >>> [round(level_after_openings(0.20, openings), 4) for openings in (1, 2, 10)]
    [0.2, 0.1056, 0.0221]
    """
    _check_level(level)
    if openings < 1:
        raise StatisticsError(
            "a hold-out that was never opened",
            expected="at least 1 opening: the test's own",
            got=str(openings),
            next="take the number from the record of openings",
        )
    return -math.expm1(math.log1p(-level) / openings)


def _mean(returns: FloatArray) -> float:
    return float(returns.mean())


def _check_level(level: float) -> None:
    if not 0.0 < level < 1.0:
        raise StatisticsError(
            "a level that is none", expected="a level between 0 and 1", got=f"{level:g}", next="0.05 is usual"
        )
