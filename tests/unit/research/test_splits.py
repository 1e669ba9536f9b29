from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapphire.domain.errors import StudyError, ValueRefused
from sapphire.research.splits import WalkForward, walk_forward

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
