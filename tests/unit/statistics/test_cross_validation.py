"""No training row shares a label's bar with a test row, and every row is tested as often as it should be."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sapphire.domain.errors import StatisticsError
from sapphire.statistics import combinatorial_paths, combinatorial_purged_splits, purged_k_fold_splits


def allowed(length, blocks, purge, embargo):
    """Rows that may be trained on, label by label: the definition, slowly."""
    tested = np.concatenate(blocks)
    kept = []
    for row in set(range(length)) - set(tested.tolist()):
        labels_apart = all(row + purge < first or row > last + purge for first, last in _ends(blocks))
        embargoed = any(last < row <= last + purge + embargo for _, last in _ends(blocks))
        if labels_apart and not embargoed:
            kept.append(row)
    return sorted(kept)


def _ends(blocks):
    return [(int(block[0]), int(block[-1])) for block in blocks]


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_training_is_what_purge_and_embargo_leave(data):
    groups = data.draw(st.integers(3, 6))
    tested = data.draw(st.integers(1, groups - 1))
    purge, embargo = data.draw(st.integers(0, 3)), data.draw(st.integers(0, 3))
    length = groups * data.draw(st.integers(purge + embargo + 2, 20)) + data.draw(st.integers(0, groups - 1))
    if tested == 1:
        splits = purged_k_fold_splits(length, folds=groups, purge=purge, embargo=embargo)
    else:
        splits = combinatorial_purged_splits(length, groups=groups, tested=tested, purge=purge, embargo=embargo)
    times = np.zeros(length, dtype=int)
    for split in splits:
        assert split.train.tolist() == allowed(length, split.tests, purge, embargo)
        assert len(split.tests) == tested
        times[np.concatenate(split.tests)] += 1
    assert set(times.tolist()) == {len(splits) * tested // groups}


@pytest.mark.parametrize(("groups", "tested"), [(3, 2), (6, 2), (5, 3)])
def test_each_path_covers_every_block_once_by_splits_that_test_it(groups, tested):
    splits = combinatorial_purged_splits(groups * 4, groups=groups, tested=tested)
    paths = combinatorial_paths(groups, tested)
    used = []
    for path in paths:
        for block, split in enumerate(path):
            assert block * 4 in np.concatenate(splits[split].tests)
            used.append((block, int(split)))
    assert len(used) == len(set(used)) == len(splits) * tested


@pytest.mark.parametrize(
    "wrong",
    [
        {"groups": 2, "tested": 2},
        {"groups": 6, "tested": 1},
        {"groups": 6, "tested": 6},
        {"groups": 20, "tested": 10},
        {"groups": 6, "tested": 2, "purge": -1},
        {"groups": 6, "tested": 2, "embargo": -1},
        {"groups": 6, "tested": 2, "purge": 10},
    ],
)
def test_what_cannot_be_split_is_refused(wrong):
    with pytest.raises(StatisticsError):
        combinatorial_purged_splits(60, **wrong)


def test_folds_that_cannot_be_are_refused():
    for wrong in ({"folds": 1}, {"folds": 10, "purge": 6}, {"folds": 2, "embargo": -1}):
        with pytest.raises(StatisticsError, match="cannot be cut"):
            purged_k_fold_splits(60, **wrong)
