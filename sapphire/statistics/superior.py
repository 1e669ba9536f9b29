"""Whether any of many trials beats a benchmark, and which, after paying for having tried them all."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sapphire.domain.errors import StatisticsError
from sapphire.statistics.bootstrap import block_length, check_draws
from sapphire.statistics.longrun import automatic_standard_error
from sapphire.statistics.samples import MINIMUM_RETURNS, FloatArray, finite_sample, same_shape, varies

_REPETITIONS = 1000


@dataclass(frozen=True, slots=True)
class SuperiorAbility:
    """P-values of "no trial beats the benchmark".

    Attributes
    ----------
    lower, consistent, upper : by how many of the bad trials are taken to be bad for good: all, those that are clearly
        bad, none. `consistent` is the one to judge by; `upper` is White's Reality Check, studentised.
    block_length : mean block length of the bootstrap.
    trials : number of trials compared.
    n : number of periods.
    """

    lower: float
    consistent: float
    upper: float
    block_length: int
    trials: int
    n: int


def superior_predictive_ability(
    returns: npt.ArrayLike,
    benchmark: npt.ArrayLike,
    *,
    seed: int,
    repetitions: int = _REPETITIONS,
    mean_block: float | None = None,
) -> SuperiorAbility:
    r"""Test that the best of N trials beats a benchmark no more than the luckiest of N equals would.

    .. math:: T = \max_k \frac{\bar d_k}{\hat\omega_k}, \quad d_{k,t} = r_{k,t} - b_t, \quad
              p = \frac{1 + \#\{T^*_b > T\}}{B + 1}

    with :math:`\hat\omega_k` the Newey-West error of trial k's mean difference and :math:`T^*` the same over
    stationary-bootstrap resamples of whole rows, recentred: at the observed means (upper), at those that are not
    clearly below zero (consistent), at those above zero (lower).

    Conventions: differences are standardised before `arch` sees them, which by itself takes the maximum of unscaled
    means and so lets the most volatile trial decide; a trial that equals the benchmark in every period is left out; a
    p-value is never 0; the block length is the longest that any trial asks for. The work grows with T squared: sum
    five-minute returns to hours first.

    Parameters
    ----------
    returns : [T, N], time by trial, every trial of the study.
    benchmark : [T], over the same periods; zeros for cash.
    seed : of the draws.
    repetitions : number of resamples B, at least 100.
    mean_block : mean block length; by default the automatic one.

    Raises
    ------
    TooFewReturns : fewer than 30 periods.
    StatisticsError : lengths that differ, a value that is not finite, no trial that differs from the benchmark, one
        that differs by the same in every period, an argument out of range.

    References
    ----------
    Hansen (2005), A test for superior predictive ability, Journal of Business and Economic Statistics 23(4).
    White (2000), A reality check for data snooping, Econometrica 68(5). Computed by `arch`.

    >>> rng = np.random.default_rng(6)
    >>> trials = rng.normal(0.0, 0.01, (300, 5))
    >>> noise = superior_predictive_ability(trials, np.zeros(300), seed=1)
    >>> noise.lower <= noise.consistent <= noise.upper, noise.consistent > 0.1
    (True, True)
    >>> superior_predictive_ability(trials + [0, 0, 0, 0, 0.003], np.zeros(300), seed=1).consistent < 0.01
    True
    """
    from arch.bootstrap import SPA

    check_draws(level=0.05, repetitions=repetitions, mean_block=mean_block)
    scaled, _, length = _standardised(returns, benchmark, mean_block)
    test = SPA(np.zeros(len(scaled)), -scaled, block_size=length, reps=repetitions, seed=np.random.default_rng(seed))
    test.compute()
    lower, consistent, upper = ((1.0 + repetitions * float(p)) / (repetitions + 1.0) for p in test.pvalues)
    return SuperiorAbility(
        lower=lower, consistent=consistent, upper=upper, block_length=length, trials=scaled.shape[1], n=len(scaled)
    )


def step_m(
    returns: npt.ArrayLike,
    benchmark: npt.ArrayLike,
    *,
    seed: int,
    level: float = 0.05,
    repetitions: int = _REPETITIONS,
    mean_block: float | None = None,
) -> tuple[int, ...]:
    r"""The trials that beat a benchmark, such that any of them is there by luck with probability `level` at most.

    Trials whose :math:`\bar d_k / \hat\omega_k` is above the quantile :math:`1 - \mathrm{level}` of the resampled
    maximum are taken out, and the maximum is taken of the rest, until none is. Conventions are those of
    `superior_predictive_ability`.

    Parameters
    ----------
    returns : [T, N], time by trial, every trial of the study.
    benchmark : [T], over the same periods; zeros for cash.
    seed : of the draws.
    level : family-wise, between 0 and 1.
    repetitions : number of resamples, at least 100.
    mean_block : mean block length; by default the automatic one.

    Returns
    -------
    Columns of `returns`, rising; empty where no trial is superior.

    Raises
    ------
    TooFewReturns : fewer than 30 periods.
    StatisticsError : lengths that differ, a value that is not finite, no trial that differs from the benchmark, one
        that differs by the same in every period, an argument out of range.

    References
    ----------
    Romano and Wolf (2005), Stepwise multiple testing as formalized data snooping, Econometrica 73(4).
    Computed by `arch`.

    >>> rng = np.random.default_rng(6)
    >>> step_m(rng.normal(0.0, 0.01, (300, 4)) + [0.0, 0.003, 0.0, 0.004], np.zeros(300), seed=1)
    (1, 3)
    """
    from arch.bootstrap import StepM

    check_draws(level=level, repetitions=repetitions, mean_block=mean_block)
    scaled, columns, length = _standardised(returns, benchmark, mean_block)
    test = StepM(
        np.zeros(len(scaled)),
        -scaled,
        size=level,
        block_size=length,
        reps=repetitions,
        seed=np.random.default_rng(seed),
    )
    test.compute()
    found = np.asarray(test.superior_models, dtype=np.int64).tolist()
    return tuple(sorted(columns[position] for position in found))


def _standardised(
    returns: npt.ArrayLike, benchmark: npt.ArrayLike, mean_block: float | None
) -> tuple[FloatArray, list[int], int]:
    """Differences in units of their own long-run deviation [T, K], their columns, and the block length."""
    trials = finite_sample(returns, name="returns of trials", at_least=MINIMUM_RETURNS, dimensions=2)
    against = finite_sample(benchmark, name="returns of the benchmark", at_least=MINIMUM_RETURNS)
    if trials.shape[1]:
        same_shape(trials[:, 0], against, names=("returns of trials", "returns of the benchmark"))
    differences = trials - against[:, np.newaxis]
    columns = [column for column in range(differences.shape[1]) if bool(differences[:, column].any())]
    constant = [column for column in columns if not varies(differences[:, column])]
    if not columns or constant:
        raise StatisticsError(
            "trials that cannot be compared with the benchmark",
            expected="at least one trial that differs from it, by more than a constant",
            got=f"{trials.shape[1]} trials, {len(columns)} that differ, {len(constant)} of them by a constant",
            next="see whether the agents traded at all in this window",
        )
    kept = differences[:, columns]
    deviations = np.array([automatic_standard_error(column) for column in kept.T]) * math.sqrt(len(kept))
    wanted = max(block_length(column) for column in kept.T) if mean_block is None else mean_block
    return kept / deviations, columns, min(max(math.ceil(wanted), 1), len(kept))
