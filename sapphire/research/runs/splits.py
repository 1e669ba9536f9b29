"""Splits: how a stretch of time becomes folds, each with time to train on and time to test.

Walk-forward trains on the past and tests on what follows: the default, and what evidence is made of. Purged k-fold and
combinatorial purged splits test every part of the time, the earliest too, by training on what lies on both sides of it;
they say how much a result owes to the one order in which history came.

A fit is given the bars that close in its training time and nothing else. The purge keeps labels apart: an outcome that
looks h ahead from just before a test is made of the test's own bars, and so is a test's last outcome of the bars behind
it. The embargo keeps out what is correlated beyond that (Lopez de Prado, Advances in Financial Machine Learning, 2018,
ch. 7 and 12).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import combinations, pairwise
from numbers import Integral
from typing import Protocol, runtime_checkable

from sapphire.domain.clocks import parse_duration
from sapphire.domain.errors import StudyError, ValueRefused

__all__ = [
    "CombinatorialPurged",
    "Fold",
    "PurgedKFold",
    "Split",
    "TimeWindow",
    "WalkForward",
    "combinatorial_purged",
    "purged_k_fold",
    "walk_forward",
]

_MOST_FOLDS = 1_000


@dataclass(frozen=True, slots=True, order=True)
class TimeWindow:
    """A stretch of time, closed at the start and open at the end.

    Raises
    ------
    ValueRefused : an end that is not after the start.
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise ValueRefused("span of time", expected="an end after its start", got=f"{self.start} to {self.end}")

    @property
    def length(self) -> timedelta:
        """How long it lasts."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Fold:
    """Time to train on and time to test; each window is closed at the start and open at the end.

    A bar belongs to the window that it closes in, because that is when it is known.

    Parameters
    ----------
    train_start, train_end : from the first training window's start to the last one's end.
    test_start, test_end : from the first test window's start to the last one's end.
    training : the training windows in time order; by default the one from `train_start` to `train_end`.
    testing : the test windows in time order; by default the one from `test_start` to `test_end`.

    Raises
    ------
    ValueRefused : windows that overlap, are out of order, or do not begin and end where the fold says.
    """

    train_start: datetime
    train_end: datetime
    test_start: datetime
    test_end: datetime
    training: tuple[TimeWindow, ...] = ()
    testing: tuple[TimeWindow, ...] = ()

    def __post_init__(self) -> None:
        if not self.training:
            object.__setattr__(self, "training", (TimeWindow(self.train_start, self.train_end),))
        if not self.testing:
            object.__setattr__(self, "testing", (TimeWindow(self.test_start, self.test_end),))
        bounds = (
            ("training", self.training, self.train_start, self.train_end),
            ("testing", self.testing, self.test_start, self.test_end),
        )
        for name, spans, start, end in bounds:
            if any(later.start < earlier.end for earlier, later in pairwise(spans)):
                raise ValueRefused(f"{name} windows of a fold", expected="in time order, apart", got=_text(spans))
            if (spans[0].start, spans[-1].end) != (start, end):
                raise ValueRefused(
                    f"{name} windows of a fold", expected=f"from {start} to {end}, as the fold says", got=_text(spans)
                )
        if any(a.start < b.end and b.start < a.end for a in self.training for b in self.testing):
            raise ValueRefused(
                "a fold that trains on what it tests",
                expected="training and test windows apart",
                got=f"training {_text(self.training)}; testing {_text(self.testing)}",
            )

    @classmethod
    def of(cls, training: Sequence[TimeWindow], testing: Sequence[TimeWindow]) -> Fold:
        """The fold with these windows."""
        return cls(
            training[0].start,
            training[-1].end,
            testing[0].start,
            testing[-1].end,
            tuple(training),
            tuple(testing),
        )

    @property
    def trained(self) -> timedelta:
        """Length of its training windows together."""
        return sum((window.length for window in self.training), timedelta(0))

    @property
    def apart(self) -> timedelta:
        """The least time between a training and a test window."""
        return min(max(b.start - a.end, a.start - b.end) for a in self.training for b in self.testing)

    @property
    def contiguous(self) -> bool:
        """Whether it has one training window, followed by one test window: a step of a walk forward."""
        return len(self.training) == len(self.testing) == 1 and self.train_end <= self.test_start


@runtime_checkable
class Split(Protocol):
    """How a stretch of time becomes folds. A fold may have several test windows, and time may be tested repeatedly."""

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
    ValueRefused : a train or test length that is not above zero, or a negative embargo.
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
        _check_gaps("walk-forward split", embargo=self.embargo)

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


@dataclass(frozen=True, slots=True)
class PurgedKFold:
    """K blocks of equal length, each tested once by an agent that was trained on what is left of all the others.

    Parameters
    ----------
    blocks : number of blocks, at least 2.
    purge : how far an outcome looks ahead (the agent's horizon); left out of training on both sides of a test.
    embargo : time left out of training behind a test as well.

    Raises
    ------
    ValueRefused : fewer than two blocks, a negative purge or embargo.
    """

    blocks: int
    purge: timedelta = timedelta(0)
    embargo: timedelta = timedelta(0)

    def __post_init__(self) -> None:
        if self.blocks < 2:
            raise ValueRefused("purged k-fold split", expected="at least 2 blocks", got=str(self.blocks))
        _check_gaps("purged k-fold split", purge=self.purge, embargo=self.embargo)

    def folds(self, start: datetime, end: datetime) -> tuple[Fold, ...]:
        """The folds in `[start, end)`; their test windows follow each other without a gap.

        Raises
        ------
        StudyError : blocks shorter than purge and embargo together.

        Examples
        --------
        >>> from datetime import UTC
        >>> split = purged_k_fold(3, purge="1d")
        >>> folds = split.folds(datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 1, 31, tzinfo=UTC))
        >>> [[(span.start.day, span.end.day) for span in fold.training] for fold in folds]
        [[(12, 31)], [(1, 10), (22, 31)], [(1, 20)]]
        """
        return _purged_folds(start, end, self.blocks, 1, self.purge, self.embargo)


@dataclass(frozen=True, slots=True)
class CombinatorialPurged:
    """Every choice of `tested` of `groups` blocks of equal length, tested by an agent trained on what is left.

    Each block is tested by several agents. `sapphire.research.runs.paths` puts one of them after the other to paths
    through the whole time: (6, 2) makes 15 folds and 5 paths.

    Parameters
    ----------
    groups : number of blocks, at least 3.
    tested : number of blocks that a fold tests, from 2 to one less than all.
    purge : how far an outcome looks ahead (the agent's horizon); left out of training on both sides of each test.
    embargo : time left out of training behind each test as well.

    Raises
    ------
    ValueRefused : numbers out of range, more than 1,000 folds, a negative purge or embargo.
    """

    groups: int
    tested: int
    purge: timedelta = timedelta(0)
    embargo: timedelta = timedelta(0)

    def __post_init__(self) -> None:
        if self.groups < 3 or not 2 <= self.tested < self.groups or math.comb(self.groups, self.tested) > _MOST_FOLDS:
            raise ValueRefused(
                "combinatorial purged split",
                expected=f"3 groups or more, 2 or more of them tested but not all, at most {_MOST_FOLDS:,} folds",
                got=f"{self.groups} groups, {self.tested} tested",
            )
        _check_gaps("combinatorial purged split", purge=self.purge, embargo=self.embargo)

    def folds(self, start: datetime, end: datetime) -> tuple[Fold, ...]:
        """The folds in `[start, end)`, in the order of `itertools.combinations` of the blocks that they test.

        Raises
        ------
        StudyError : blocks shorter than purge and embargo together.

        Examples
        --------
        >>> from datetime import UTC
        >>> split = combinatorial_purged(4, 2, purge="1d")
        >>> folds = split.folds(datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 1, 29, tzinfo=UTC))
        >>> len(folds), [(span.start.day, span.end.day) for span in folds[1].testing]
        (6, [(1, 8), (15, 22)])
        >>> [(span.start.day, span.end.day) for span in folds[1].training]
        [(9, 14), (23, 29)]
        """
        return _purged_folds(start, end, self.groups, self.tested, self.purge, self.embargo)


def walk_forward(
    *, train: str | timedelta, test: str | timedelta, embargo: str | timedelta = "0s", anchored: bool = False
) -> WalkForward:
    """A walk-forward split from lengths such as "365d", "30d" and "1d"."""
    return WalkForward(parse_duration(train), parse_duration(test), parse_duration(embargo), anchored)


def purged_k_fold(blocks: int, *, purge: str | timedelta = "0s", embargo: str | timedelta = "0s") -> PurgedKFold:
    """A purged k-fold split; `purge` is the agent's horizon, in lengths such as "4h"."""
    return PurgedKFold(blocks, parse_duration(purge), parse_duration(embargo))


def combinatorial_purged(
    groups: int, tested: int = 2, *, purge: str | timedelta = "0s", embargo: str | timedelta = "0s"
) -> CombinatorialPurged:
    """A combinatorial purged split; `purge` is the agent's horizon, in lengths such as "4h"."""
    given: tuple[tuple[str, object], ...] = (("groups", groups), ("tested", tested))
    for name, count in given:
        if isinstance(count, bool) or not isinstance(count, Integral):
            raise ValueRefused(f"{name} of a split", expected="a whole number", got=repr(count))
    return CombinatorialPurged(groups, tested, parse_duration(purge), parse_duration(embargo))


def _purged_folds(
    start: datetime, end: datetime, blocks: int, tested: int, purge: timedelta, embargo: timedelta
) -> tuple[Fold, ...]:
    edges = [start + (end - start) * number / blocks for number in range(blocks)] + [end]
    if (end - start) / blocks <= 2 * purge + embargo:
        raise StudyError(
            f"too little data before the hold-out for {blocks} blocks",
            expected=f"blocks longer than {2 * purge + embargo} (twice the purge {purge}, and embargo {embargo})",
            got=f"{(end - start) / blocks} each, {start:%Y-%m-%d} to {end:%Y-%m-%d}",
            next="take a longer snapshot, fewer blocks, or a shorter horizon",
        )
    spans = [TimeWindow(*edge) for edge in pairwise(edges)]
    return tuple(
        Fold.of(_left_of(spans, chosen, purge, embargo), [spans[number] for number in chosen])
        for chosen in combinations(range(blocks), tested)
    )


def _left_of(
    spans: Sequence[TimeWindow], chosen: Sequence[int], purge: timedelta, embargo: timedelta
) -> list[TimeWindow]:
    """What is left to train on, blocks that touch joined to one."""
    left: list[TimeWindow] = []
    for number, span in enumerate(spans):
        if number in chosen:
            continue
        start = span.start + purge + embargo if number - 1 in chosen else span.start
        end = span.end - purge if number + 1 in chosen else span.end
        if left and left[-1].end == start:
            left[-1] = TimeWindow(left[-1].start, end)
        else:
            left.append(TimeWindow(start, end))
    return left


def _check_gaps(name: str, **gaps: timedelta) -> None:
    for gap, length in gaps.items():
        if length < timedelta(0):
            raise ValueRefused(name, expected=f"{gap} of zero or more", got=f"{gap} {length}")


def _text(spans: Sequence[TimeWindow]) -> str:
    return ", ".join(f"{span.start:%Y-%m-%d %H:%M} to {span.end:%Y-%m-%d %H:%M}" for span in spans)
