from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapphire.domain.errors import StudyError, ValueRefused
from sapphire.research.runs.splits import (
    CombinatorialPurged,
    Fold,
    PurgedKFold,
    TimeWindow,
    WalkForward,
    combinatorial_purged,
    purged_k_fold,
    walk_forward,
)
from sapphire.statistics import combinatorial_purged_splits, purged_k_fold_splits

START = datetime(2024, 1, 1, tzinfo=UTC)
hours = st.integers(1, 400).map(lambda h: timedelta(hours=h))


@given(
    train=hours, test=hours, embargo=st.integers(0, 48).map(lambda h: timedelta(hours=h)), room=st.integers(1, 2_000)
)
def test_tests_tile_the_evaluation_and_never_touch_their_training(train, test, embargo, room):
    end = START + train + embargo + timedelta(hours=room)
    folds = WalkForward(train, test, embargo).folds(START, end)
    assert folds[0].test_start == START + train + embargo
    assert folds[-1].test_end == end
    for fold, following in pairwise(folds):
        assert fold.test_end == following.test_start
    for fold in folds:
        assert START <= fold.train_start < fold.train_end <= fold.test_start - embargo
        assert fold.train_end - fold.train_start == train
        assert fold.test_start < fold.test_end <= end


def test_an_anchored_window_grows():
    folds = walk_forward(train="10d", test="5d", anchored=True).folds(START, START + timedelta(days=30))
    assert {fold.train_start for fold in folds} == {START}
    assert [fold.train_end for fold in folds] == [fold.test_start for fold in folds]


def test_too_little_data_says_how_much_is_needed():
    with pytest.raises(StudyError, match="too little data") as refused:
        walk_forward(train="365d", test="30d", embargo="1d").folds(START, START + timedelta(days=100))
    assert "366 days" in refused.value.expected
    assert "100 days" in refused.value.got


@pytest.mark.parametrize(("train", "test"), [("0d", "1d"), ("1d", "0d")])
def test_an_empty_window_is_refused(train, test):
    with pytest.raises(ValueRefused):
        walk_forward(train=train, test=test)


HOUR = timedelta(hours=1)


def rows_in(spans, length):
    """Which of the bars that close every hour from the start on lie in these windows."""
    return [row for row in range(length) if any(span.start <= START + row * HOUR < span.end for span in spans)]


@pytest.mark.parametrize(("groups", "tested"), [(3, 1), (5, 1), (4, 2), (6, 2), (5, 3)])
@pytest.mark.parametrize(("purge", "embargo"), [(0, 0), (3, 0), (2, 4), (0, 5)])
def test_windows_of_time_hold_the_rows_that_the_library_splits(groups, tested, purge, embargo):
    length = groups * 24
    if tested == 1:
        split = purged_k_fold(groups, purge=purge * HOUR, embargo=embargo * HOUR)
        rows = purged_k_fold_splits(length, folds=groups, purge=purge, embargo=embargo)
    else:
        split = combinatorial_purged(groups, tested, purge=purge * HOUR, embargo=embargo * HOUR)
        rows = combinatorial_purged_splits(length, groups=groups, tested=tested, purge=purge, embargo=embargo)
    folds = split.folds(START, START + length * HOUR)
    assert len(folds) == len(rows)
    for fold, theirs in zip(folds, rows, strict=True):
        assert rows_in(fold.training, length) == theirs.train.tolist()
        assert [rows_in([span], length) for span in fold.testing] == [block.tolist() for block in theirs.tests]


@given(
    groups=st.integers(2, 7),
    purge=st.integers(0, 20),
    embargo=st.integers(0, 20),
    spare=st.integers(1, 500),
)
def test_no_training_outcome_reaches_into_a_test_nor_a_test_outcome_into_training(groups, purge, embargo, spare):
    end = START + groups * (2 * purge + embargo) * HOUR + spare * HOUR
    split = purged_k_fold(groups, purge=purge * HOUR, embargo=embargo * HOUR)
    for fold in split.folds(START, end):
        (test,) = fold.testing
        for span in fold.training:
            before = span.end + purge * HOUR <= test.start
            behind = span.start >= test.end + (purge + embargo) * HOUR
            assert before or behind
    tested = [fold.testing[0] for fold in split.folds(START, end)]
    assert tested[0].start == START
    assert tested[-1].end == end
    assert all(a.end == b.start for a, b in pairwise(tested))


def test_a_fold_of_a_walk_forward_is_one_window_of_each():
    for fold in walk_forward(train="10d", test="5d").folds(START, START + timedelta(days=30)):
        assert fold.training == (TimeWindow(fold.train_start, fold.train_end),)
        assert fold.testing == (TimeWindow(fold.test_start, fold.test_end),)
        assert fold.contiguous
    folds = purged_k_fold(3).folds(START, START + timedelta(days=30))
    assert [fold.contiguous for fold in folds] == [False, False, True]
    assert (folds[1].train_start, folds[1].train_end) == (START, START + timedelta(days=30))


def days(*ends):
    return [TimeWindow(START + timedelta(days=a), START + timedelta(days=b)) for a, b in ends]


@pytest.mark.parametrize(
    ("training", "testing"),
    [
        (days((0, 5)), days((4, 8))),
        (days((0, 5), (4, 6)), days((8, 9))),
        (days((4, 5), (0, 1)), days((8, 9))),
        (days((0, 20)), days((8, 9))),
        (days((0, 2)), days((8, 9), (3, 5))),
    ],
)
def test_a_fold_that_trains_on_its_test_or_is_out_of_order_is_refused(training, testing):
    with pytest.raises(ValueRefused):
        Fold.of(training, testing)


def test_a_fold_is_where_its_windows_are():
    first, second = days((0, 2), (5, 6))
    with pytest.raises(ValueRefused, match="training windows"):
        Fold(first.start, second.start, second.end, second.end + HOUR, training=(first, second))
    with pytest.raises(ValueRefused, match="span of time"):
        TimeWindow(START, START)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: purged_k_fold(1),
        lambda: combinatorial_purged(2, 2),
        lambda: combinatorial_purged(6, 1),
        lambda: combinatorial_purged(6, 6),
        lambda: combinatorial_purged(20, 10),
        lambda: PurgedKFold(3, purge=-HOUR),
        lambda: CombinatorialPurged(4, 2, embargo=-HOUR),
        lambda: WalkForward(HOUR, HOUR, embargo=-HOUR),
    ],
)
def test_a_split_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValueRefused):
        wrong()


def test_blocks_without_room_say_how_much_they_need():
    with pytest.raises(StudyError, match="for 6 blocks") as refused:
        combinatorial_purged(6, 2, purge="2d", embargo="1d").folds(START, START + timedelta(days=30))
    assert "longer than 5 days" in refused.value.expected
    assert "5 days" in refused.value.got


def test_a_study_shows_blocks_of_odd_length_rounded(make_study):
    study = make_study(holdout=timedelta(hours=40, microseconds=1), split=purged_k_fold(7, purge="3h", embargo="1h"))
    rows = dict(study.table()[1])
    assert study.folds[0].trained % timedelta(seconds=1)
    assert rows["training from"] == "2024-01-01 01:00Z, 9d1h8m34s a fold"
    assert rows["embargo"] == "4h"
    assert rows["hold-out, sealed"].endswith(", 1d16h")
    assert str(study.name) in repr(study)


def test_a_fold_says_how_long_it_trains_and_how_far_from_its_tests():
    day = timedelta(days=1)
    middle = purged_k_fold(3, purge=day, embargo=day).folds(START, START + 30 * day)[1]
    assert (middle.trained, middle.apart) == (17 * day, day)
    assert walk_forward(train="10d", test="5d", embargo="2h").folds(START, START + 20 * day)[0].apart == day / 12
