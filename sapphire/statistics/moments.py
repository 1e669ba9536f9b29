"""The moments of a return series that the Sharpe statistics ask for.

Kurtosis is raw here and in the whole room: a normal distribution has 3, not 0. Mixing the two up is the commonest
error in published deflated Sharpe ratios, so an impossible pair of skew and kurtosis is refused
(`check_shape`): a raw kurtosis is never below skew squared plus one (Pearson 1916).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sapphire.domain.errors import StatisticsError
from sapphire.statistics.samples import finite_sample, varies


@dataclass(frozen=True, slots=True)
class ReturnMoments:
    """What a return series looks like, per period.

    Attributes
    ----------
    length : number of returns.
    mean, std : mean and standard deviation (divisor T - 1) per period, in the unit of the returns.
    skew : third standardised sample moment.
    kurtosis : fourth standardised sample moment, raw (3 for a normal distribution).
    autocorrelation : first-order autocorrelation.
    """

    length: int
    mean: float
    std: float
    skew: float
    kurtosis: float
    autocorrelation: float

    @property
    def sharpe(self) -> float:
        """Sharpe ratio per period, not annualised."""
        return self.mean / self.std


def return_moments(returns: npt.ArrayLike) -> ReturnMoments:
    r"""The moments of `returns` [T].

    .. math:: m_k = \tfrac1T\sum_t (r_t-\bar r)^k, \quad
              \mathrm{skew} = m_3 / m_2^{3/2}, \quad \mathrm{kurtosis} = m_4 / m_2^2, \quad
              \rho = \tfrac{1}{T m_2} \sum_{t>1} (r_t-\bar r)(r_{t-1}-\bar r)

    The plain sample moments, not the bias-corrected ones of pandas: they can never break Pearson's inequality, so the
    variance of a Sharpe ratio made of them is never negative.

    Raises
    ------
    TooFewReturns : fewer than 4 returns.
    StatisticsError : a value is not finite, or the returns do not vary.

    References
    ----------
    Joanes and Gill (1998), Comparing measures of sample skewness and kurtosis, The Statistician 47(1), g1 and b2 + 3.

    >>> moments = return_moments([0.01, -0.02, 0.03, 0.0, 0.01])
    >>> round(moments.sharpe, 4), round(moments.skew, 4), round(moments.kurtosis, 4)
    (0.3303, -0.179, 2.2686)
    >>> round(moments.autocorrelation, 4)
    -0.6788
    """
    sample = finite_sample(returns, name="returns", at_least=4)
    if not varies(sample):
        raise constant_returns(len(sample))
    centred = sample - sample.mean()
    second = float(np.mean(centred**2))
    return ReturnMoments(
        length=len(sample),
        mean=float(sample.mean()),
        std=float(sample.std(ddof=1)),
        skew=float(np.mean(centred**3)) / second**1.5,
        kurtosis=float(np.mean(centred**4)) / second**2,
        autocorrelation=float(np.dot(centred[1:], centred[:-1])) / (len(sample) * second),
    )


def constant_returns(length: int) -> StatisticsError:
    """The refusal of a series without spread: a ratio to its standard deviation means nothing."""
    return StatisticsError(
        "returns that do not vary",
        expected="a standard deviation above zero",
        got=f"{length} equal returns",
        next="see whether the agent traded at all in this window",
    )


def check_shape(*, skew: float, kurtosis: float) -> None:
    """Refuse a skew and a kurtosis that no distribution has together.

    Raises
    ------
    StatisticsError : kurtosis below skew squared plus one (with 1e-9 for rounding), or a value that is not finite.

    References
    ----------
    Pearson (1916), Mathematical contributions to the theory of evolution XIX, Phil. Trans. R. Soc. A 216.

    >>> check_shape(skew=-3.0, kurtosis=10.0)
    >>> check_shape(skew=-3.0, kurtosis=7.0)    # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    sapphire.domain.errors.StatisticsError: ...
    """
    if math.isfinite(skew) and math.isfinite(kurtosis) and kurtosis >= 1.0 + skew**2 - 1e-9:
        return
    raise StatisticsError(
        "a skew and a kurtosis that no distribution has together",
        expected=f"raw kurtosis of at least 1 + skew^2 = {1.0 + skew**2:g}",
        got=f"skew {skew:g}, kurtosis {kurtosis:g}",
        next="pass the raw kurtosis (3 for a normal distribution), not the excess over 3",
    )
