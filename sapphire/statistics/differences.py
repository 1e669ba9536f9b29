"""Whether one account beat another over the same time by more than the error of saying so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy.typing as npt

from sapphire.domain.errors import StatisticsError
from sapphire.statistics.one_sided import OneSidedTest, bootstrap_mean_test, hac_mean_test, level_after_openings
from sapphire.statistics.samples import MINIMUM_RETURNS, FloatArray, finite_sample, same_shape

Method = Literal["bootstrap", "hac"]
"""How the error of a mean is found: `bootstrap_mean_test` or `hac_mean_test`."""


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """Mean return of one account less that of another, and how sure it is to be above zero.

    Attributes
    ----------
    mean : mean difference per period.
    standard_error : of the mean.
    p_value : probability of a mean this high or higher if the truth were zero.
    lower_bound : one-sided, at `level`.
    level : that the p-value has to reach, after correction for openings.
    power : probability to pass if the true difference is `true_difference`.
    true_difference : per period; the observed mean where none was given.
    openings : how many times the returns have been looked at, this time included.
    n : number of periods.
    method : "bootstrap" or "hac".
    """

    mean: float
    standard_error: float
    p_value: float
    lower_bound: float
    level: float
    power: float
    true_difference: float
    openings: int
    n: int
    method: Method

    @property
    def passes(self) -> bool:
        """Whether the first account is better by more than its error."""
        return self.p_value <= self.level


def one_sided_difference(
    returns: npt.ArrayLike,
    benchmark: npt.ArrayLike,
    *,
    seed: int,
    level: float = 0.20,
    method: Method = "bootstrap",
    openings: int = 1,
    true_difference: float | None = None,
) -> PairedDifference:
    r"""One-sided test that the mean of `returns` less `benchmark`, both [T] over the same periods, is above zero.

    .. math:: d_t = r_t - b_t, \quad H_0: \mathrm{E}[d] \le 0, \quad
              \mathrm{power} = \Phi\!\left( \delta / \mathrm{SE} - z_{1-\mathrm{level}} \right)

    Pairing takes out what both have in common, the market for the most part. The level is corrected for the number of
    times that the same periods were looked at (`level_after_openings`).

    Parameters
    ----------
    returns, benchmark : per period, simple returns. Cash is a benchmark of zeros.
    seed : of the bootstrap's draws; the other method draws nothing.
    level : of one look.
    method : "bootstrap" (the stationary bootstrap with automatic block length) or "hac" (Newey-West, automatic lags).
    openings : number of looks, this one included.
    true_difference : per period, that the power is computed for.

    Raises
    ------
    TooFewReturns : fewer than 30 periods.
    StatisticsError : lengths that differ, a value that is not finite, a difference that does not vary (the two accounts
        did the same, or neither did anything), an unknown method, a level or a number of openings out of range.

    References
    ----------
    Politis and Romano (1994), The stationary bootstrap, JASA 89(428). Newey and West (1994), Review of Economic Studies
    61(4). Sidak (1967), JASA 62(318). Diebold and Mariano (1995), Comparing predictive accuracy, Journal of Business
    and Economic Statistics 13(3), for a test of a paired difference.

    >>> import numpy as np
    >>> rng = np.random.default_rng(2)
    >>> market = rng.normal(0.0, 0.02, 250)
    >>> better = market + rng.normal(0.001, 0.004, 250)
    >>> found = one_sided_difference(better, market, seed=1)
    >>> found.passes, found.p_value < 0.01, found.power > 0.9
    (True, True, True)
    >>> one_sided_difference(better, np.zeros(250), seed=1).passes           # against cash the market drowns it
    False
    """
    difference = _paired(returns, benchmark)
    corrected = level_after_openings(level, openings)
    tested = _tested(difference, method, seed=seed, level=corrected)
    truth = tested.estimate if true_difference is None else true_difference
    return PairedDifference(
        mean=tested.estimate,
        standard_error=tested.standard_error,
        p_value=tested.p_value,
        lower_bound=tested.lower_bound,
        level=corrected,
        power=_power(truth, tested.standard_error, corrected),
        true_difference=truth,
        openings=openings,
        n=tested.n,
        method=method,
    )


def _paired(returns: npt.ArrayLike, benchmark: npt.ArrayLike) -> FloatArray:
    """What one account earned more than the other, period by period [T]."""
    first = finite_sample(returns, name="returns", at_least=MINIMUM_RETURNS)
    second = finite_sample(benchmark, name="returns of the benchmark", at_least=MINIMUM_RETURNS)
    same_shape(first, second, names=("returns", "returns of the benchmark"))
    return first - second


def _tested(difference: FloatArray, method: Method, *, seed: int, level: float) -> OneSidedTest:
    """The mean with its error, by the method that is named."""
    if method not in get_args(Method):
        raise StatisticsError(
            "an unknown way to the error of a mean",
            expected=" or ".join(get_args(Method)),
            got=repr(method),
            next="name one of them in the policy",
        )
    if method == "bootstrap":
        return bootstrap_mean_test(difference, seed=seed, level=level)
    return hac_mean_test(difference, level=level)


def _power(truth: float, error: float, level: float) -> float:
    """Probability that a mean with this error passes at `level` if it is truly `truth`."""
    from scipy.special import ndtr, ndtri

    return float(ndtr(truth / error - ndtri(1.0 - level)))
