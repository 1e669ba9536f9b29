"""Whether choosing the best of several trials in one half of the time picked a good one for the other half."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sapphire.domain.errors import StatisticsError, TooFewReturns
from sapphire.statistics.samples import FloatArray, finite_sample, varies

_MOST_BLOCKS = 16


@dataclass(frozen=True, slots=True, eq=False)
class Overfitting:
    """How often the best trial of one half of the time is no better than the median of the other half.

    Attributes
    ----------
    probability : share of the splits with a logit of 0 or less.
    logits : float64 [C], one per split, in the order of `itertools.combinations` over the blocks chosen in sample.
    blocks : number S of blocks; there are C(S, S/2) splits.
    trials : number of distinct trials compared.
    """

    probability: float
    logits: FloatArray
    blocks: int
    trials: int


def probability_of_backtest_overfitting(returns: npt.ArrayLike, *, blocks: int = 10) -> Overfitting:
    r"""Probability of backtest overfitting (PBO) by combinatorially symmetric cross-validation.

    The rows are cut into S contiguous blocks. For each of the C(S, S/2) choices of half the blocks, the trial with the
    best Sharpe ratio there is ranked by its ratio r in the other half:

    .. math:: \omega = \frac{\mathrm{rank}(r)}{N+1}, \quad \lambda = \ln\frac{\omega}{1-\omega}, \quad
              \mathrm{PBO} = \frac{\#\{\lambda \le 0\}}{C(S, S/2)}

    Conventions: a logit of exactly 0 (the median) counts as overfit; ties out of sample get their average rank, ties in
    sample go to the first column; rows beyond a multiple of S are cut from the end; a trial whose returns are all 0 in
    a half is cash there, with a ratio of 0. Equal columns count as one trial: copies of a loser would push the winner's
    rank up for nothing. Trials that lose on purpose still do, so take every trial of the study and no others.

    Parameters
    ----------
    returns : [T, N], time by trial, N of at least 2 distinct ones.
    blocks : S, even, from 2 to 16. 10 makes 252 splits; the paper's 16 makes 12,870 and takes fifty times as long.

    Raises
    ------
    TooFewReturns : fewer than two rows per block.
    StatisticsError : an odd or too large number of blocks, fewer than two distinct trials, a value that is not finite,
        a trial with constant returns other than 0 in some half.

    References
    ----------
    Bailey, Borwein, Lopez de Prado and Zhu (2017), The probability of backtest overfitting, Journal of Computational
    Finance 20(4). Counted by `ffn`.

    >>> rows = [[1, 2, 3], [2, 1, -1], [0, 3, 1], [1, -1, 2], [3, 1, -2], [-1, 2, 0], [2, 0, 1], [1, 1, -1]]
    >>> found = probability_of_backtest_overfitting(rows, blocks=4)
    >>> found.probability, found.logits.round(4).tolist()
    (1.0, [0.0, -1.0986, 0.0, 0.0, 0.0, -0.5108])
    """
    sample = finite_sample(returns, name="returns of trials", at_least=1, dimensions=2)
    _check_blocks(blocks, len(sample))
    distinct = _distinct_columns(sample)
    if distinct.shape[1] < 2:
        raise StatisticsError(
            "too few trials to say whether choosing among them overfits",
            expected="at least 2 trials with different returns",
            got=f"{sample.shape[1]} trials, {distinct.shape[1]} of them distinct",
            next="a study of one trial chose nothing: its probabilistic Sharpe ratio says what it is worth",
        )
    counted = _counted(distinct, blocks)
    return Overfitting(
        probability=float(counted["pbo"]),
        logits=np.asarray(counted["logits"], dtype=np.float64),
        blocks=blocks,
        trials=distinct.shape[1],
    )


def _counted(sample: FloatArray, blocks: int) -> dict[str, Any]:
    """What `ffn` counts, for trials [T, N] that differ."""
    import pandas as pd
    from ffn.core import calc_prob_backtest_overfitting

    short = pd.DataFrame(_two_rows_a_block(sample, blocks))
    counted: dict[str, Any] = calc_prob_backtest_overfitting(short, n_blocks=blocks, full_output=True)
    if not math.isfinite(counted["pbo"]):  # some half without a trade: slower, and says 0 for it
        counted = calc_prob_backtest_overfitting(short, n_blocks=blocks, metric=_ratio_or_cash, full_output=True)
    if not math.isfinite(counted["pbo"]):
        raise StatisticsError(
            "a trial with the same return in every period of a half",
            expected="returns that vary, or are 0 where it does not trade",
            got=f"{sample.shape[1]} trials in {blocks} blocks, one of them constant in half of the blocks",
            next="see how its returns were made",
        )
    return counted


def _check_blocks(blocks: int, length: int) -> None:
    if blocks % 2 or not 2 <= blocks <= _MOST_BLOCKS:
        raise StatisticsError(
            "a number of blocks that cannot be halved",
            expected=f"an even number from 2 to {_MOST_BLOCKS}",
            got=str(blocks),
            next="10 makes 252 splits, 16 makes 12,870",
        )
    if length < 2 * blocks:
        raise TooFewReturns(
            "too few returns for the blocks",
            expected=f"at least {2 * blocks}, two for each of {blocks} blocks",
            got=str(length),
            next="take fewer blocks or a longer window",
        )


def _distinct_columns(sample: FloatArray) -> FloatArray:
    """The columns that differ, in the order they first came."""
    _, first = np.unique(sample, axis=1, return_index=True)
    return sample[:, np.sort(first)]


def _two_rows_a_block(sample: FloatArray, blocks: int) -> FloatArray:
    """Two rows for each block, with its mean and its variance.

    Blocks are equally long, so the Sharpe ratio of any set of them is the same up to one factor for all trials, and
    ranks stay as they are; splits of 20 rows are quick where those of 8,760 are not.
    """
    cut = sample[: len(sample) // blocks * blocks].reshape(blocks, -1, sample.shape[1])
    flat = np.ptp(cut, axis=1) == 0.0
    middle = np.where(flat, cut[:, 0], cut.mean(axis=1))
    spread = np.where(flat, 0.0, cut.std(axis=1))
    return np.stack([middle - spread, middle + spread], axis=1).reshape(2 * blocks, -1)


def _ratio_or_cash(sample: npt.ArrayLike) -> float:
    half = np.asarray(sample, dtype=np.float64)
    if varies(half):
        return float(half.mean() / half.std(ddof=1))
    return 0.0 if not half.any() else math.nan
