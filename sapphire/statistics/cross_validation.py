"""Cross-validation for series: which rows to train on and which to test, with what leaks between them left out.

Two things leak across the border of a test block. A label that looks h rows ahead shares rows with the test's own
labels: h rows before each block and h behind it are purged. What is correlated in time leaks on beyond the labels: rows
behind a block are embargoed as well.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from sapphire.domain.errors import StatisticsError

IndexArray = npt.NDArray[np.int64]

_MOST_SPLITS = 1_000


@dataclass(frozen=True, slots=True, eq=False)
class IndexSplit:
    """Rows to train on and rows to test.

    Attributes
    ----------
    train : int64, rising, with holes where tests, purge and embargo are.
    tests : one int64 array for each test block, in time order.
    """

    train: IndexArray
    tests: tuple[IndexArray, ...]


def purged_k_fold_splits(length: int, *, folds: int, purge: int = 0, embargo: int = 0) -> tuple[IndexSplit, ...]:
    r"""K-fold splits of `length` rows without shuffling: each block is tested once, by what is left of the others.

    .. math:: \mathrm{train}_j = \{ t : t < a_j - p \ \text{or}\ t > b_j + p + e \}

    for a test block of rows :math:`a_j` to :math:`b_j`, purge p and embargo e. Blocks are equally long, the last one
    takes the rest. `sklearn.model_selection.KFold` purges nothing, which is why this is here.

    Parameters
    ----------
    length : number of rows.
    folds : number of blocks, at least 2.
    purge : rows that a label looks ahead; left out on both sides of a test block.
    embargo : further rows left out behind a test block.

    Raises
    ------
    StatisticsError : fewer than two folds, a negative purge or embargo, or blocks too short for both.

    References
    ----------
    Lopez de Prado (2018), Advances in Financial Machine Learning, ch. 7.

    >>> [split.train.tolist() for split in purged_k_fold_splits(9, folds=3, purge=1)]
    [[4, 5, 6, 7, 8], [0, 1, 7, 8], [0, 1, 2, 3, 4]]
    """
    blocks = _blocks(length, folds, purge, embargo)
    rows = np.arange(length, dtype=np.int64)
    splits = []
    for block in blocks:
        kept = (rows < block[0] - purge) | (rows > block[-1] + purge + embargo)
        splits.append(IndexSplit(rows[kept], (block,)))
    return tuple(splits)


def combinatorial_purged_splits(
    length: int, *, groups: int, tested: int, purge: int = 0, embargo: int = 0
) -> tuple[IndexSplit, ...]:
    r"""Combinatorial purged splits of `length` rows: every choice of `tested` of `groups` blocks is tested once.

    .. math:: \#\mathrm{splits} = \binom{N}{k}, \quad \#\mathrm{paths} = \frac{k}{N}\binom{N}{k}

    Blocks are equally long, the last one takes the rest; choices come in the order of `itertools.combinations`.

    Parameters
    ----------
    length : number of rows.
    groups : number N of blocks, at least 3.
    tested : number k of blocks that a split tests, from 2 to N - 1; `purged_k_fold_splits` tests one.
    purge : rows that a label looks ahead; left out on both sides of each test block.
    embargo : further rows left out behind each test block.

    Raises
    ------
    StatisticsError : numbers out of range, more than 1,000 splits, or blocks too short for purge and embargo.

    References
    ----------
    Lopez de Prado (2018), Advances in Financial Machine Learning, ch. 12. Split by `skfolio`.

    >>> [split.train.tolist() for split in combinatorial_purged_splits(12, groups=3, tested=2, purge=1)]
    [[9, 10, 11], [5, 6], [0, 1, 2]]
    """
    from skfolio.model_selection import CombinatorialPurgedCV

    _check_choice(groups, tested)
    _blocks(length, groups, purge, embargo)
    validation = CombinatorialPurgedCV(n_folds=groups, n_test_folds=tested, purged_size=purge, embargo_size=embargo)
    return tuple(
        IndexSplit(np.asarray(train, dtype=np.int64), tuple(np.asarray(test, dtype=np.int64) for test in tests))
        for train, tests in validation.split(np.zeros((length, 1)))
    )


def combinatorial_paths(groups: int, tested: int) -> IndexArray:
    r"""Which split supplies each block of each path through the whole time.

    Each block is tested by :math:`\frac{k}{N}\binom{N}{k}` splits; path p takes the p-th of them for every block, so
    each split is used once for each block it tests.

    Returns
    -------
    int64 [paths, groups], numbers of splits in the order of `combinatorial_purged_splits`.

    Raises
    ------
    StatisticsError : numbers out of range, or more than 1,000 splits.

    References
    ----------
    Lopez de Prado (2018), Advances in Financial Machine Learning, ch. 12. Assembled by `skfolio`.

    >>> combinatorial_paths(3, 2).tolist()                                # splits test (0, 1), (0, 2), (1, 2)
    [[0, 0, 1], [1, 2, 2]]
    >>> combinatorial_paths(6, 2).shape, combinatorial_paths(10, 8).shape, combinatorial_paths(10, 2).shape
    ((5, 6), (36, 10), (9, 10))
    """
    from skfolio.model_selection import CombinatorialPurgedCV

    _check_choice(groups, tested)
    found = CombinatorialPurgedCV(n_folds=groups, n_test_folds=tested).recombined_paths
    return np.asarray(found, dtype=np.int64).T


def _check_choice(groups: int, tested: int) -> None:
    if groups < 3 or not 2 <= tested < groups or math.comb(groups, tested) > _MOST_SPLITS:
        raise StatisticsError(
            "a choice of blocks that cannot be tested",
            expected=f"at least 3 groups, 2 or more of them tested but not all, at most {_MOST_SPLITS:,} splits",
            got=f"{groups} groups, {tested} tested",
            next="6 groups of which 2 are tested make 15 splits and 5 paths",
        )


def _blocks(length: int, count: int, purge: int, embargo: int) -> Sequence[IndexArray]:
    """Equal blocks of rows; the last one takes the rest."""
    if count < 2 or purge < 0 or embargo < 0 or length // max(count, 1) - 1 <= purge + embargo:
        raise StatisticsError(
            "rows that cannot be cut into blocks with purge and embargo between them",
            expected="at least 2 blocks, each longer by two rows than purge and embargo together",
            got=f"{length} rows in {count} blocks, purge {purge}, embargo {embargo}",
            next="take fewer blocks, a longer window or a shorter horizon",
        )
    size = length // count
    edges = [*range(0, size * count, size), length]
    return [np.arange(first, last, dtype=np.int64) for first, last in pairwise(edges)]
