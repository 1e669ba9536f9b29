"""Walk-forward splits: train on the past, test on what follows, with an embargo between.

A fit is given the bars that close in its training window and nothing else, so an outcome that is known only later does
not exist for it: that is the purge. The embargo keeps what leaks across the border out of both (Lopez de Prado,
Advances in Financial Machine Learning, 2018, ch. 7).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from sapphire.domain.clocks import parse_duration
from sapphire.domain.errors import StudyError, ValueRefused

__all__ = ["Fold", "Split", "WalkForward", "walk_forward"]


@dataclass(frozen=True, slots=True)
class Fold:
    """One training window and the test window behind it; both closed at the start and open at the end.

    A bar belongs to the window that it closes in, because that is when it is known.
    """

    train_start: datetime
    train_end: datetime
    test_start: datetime
    test_end: datetime


class Split(Protocol):
    """How a stretch of time becomes folds."""

    def folds(self, start: datetime, end: datetime) -> tuple[Fold, ...]:
        """The folds in `[start, end)`."""
        ...


@dataclass(frozen=True, slots=True)
class WalkForward:
    """Folds that walk through time: each test window begins where the one before ended.

    Parameters
    ----------
    train : length of a training window.
    test : length of a test window.
    embargo : time left out between the two, so that what leaks across their border is in neither.
    anchored : every training window begins at the start of the data and grows.

    Raises
    ------
    ValueRefused : a train or test length that is not above zero.
    """

    train: timedelta
    test: timedelta
    embargo: timedelta = timedelta(0)
    anchored: bool = False

    def __post_init__(self) -> None:
        if self.train <= timedelta(0) or self.test <= timedelta(0):
            raise ValueRefused(
                "walk-forward split", expected="train and test above zero", got=f"train {self.train}, test {self.test}"
            )

    def folds(self, start: datetime, end: datetime) -> tuple[Fold, ...]:
        """The folds in `[start, end)`; the last test window ends at `end` and may be shorter than the others.

        Raises
        ------
        StudyError : there is no room for one training window, the embargo and any test; says how much is needed.

        Examples
        --------
        >>> from datetime import UTC
        >>> split = walk_forward(train="20d", test="5d", embargo="1d")
        >>> folds = split.folds(datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 2, 1, tzinfo=UTC))
        >>> [(f.train_start.day, f.train_end.day, f.test_start.day, f.test_end.day) for f in folds]
        [(1, 21, 22, 27), (6, 26, 27, 1)]
        """
        test_start = start + self.train + self.embargo
        if test_start >= end:
            raise StudyError(
                "too little data before the hold-out for one fold",
                expected=f"more than {self.train + self.embargo} (train {self.train} and embargo {self.embargo})",
                got=f"{end - start}, {start:%Y-%m-%d} to {end:%Y-%m-%d}",
                next="take a longer snapshot, or shorten train or holdout",
            )
        folds = []
        while test_start < end:
            train_end = test_start - self.embargo
            train_start = start if self.anchored else train_end - self.train
            folds.append(Fold(train_start, train_end, test_start, min(test_start + self.test, end)))
            test_start += self.test
        return tuple(folds)


def walk_forward(
    *, train: str | timedelta, test: str | timedelta, embargo: str | timedelta = "0s", anchored: bool = False
) -> WalkForward:
    """A walk-forward split from lengths such as "365d", "30d" and "1d"."""
    return WalkForward(parse_duration(train), parse_duration(test), parse_duration(embargo), anchored)
