"""Intervals are closed at the start and open at the end."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapphire.domain import INTERVALS, Interval, UnknownInterval

intervals = st.sampled_from(INTERVALS).map(Interval)
moments = st.integers(-(2**62), 2**62)


@given(intervals, moments)
def test_a_moment_lies_in_its_bar_closed_at_the_start_and_open_at_the_end(interval: Interval, moment: int) -> None:
    opens = interval.floor(moment)
    assert opens % interval.ns == 0
    assert opens <= moment < opens + interval.ns


@given(intervals, moments)
def test_a_close_opens_the_next_bar(interval: Interval, moment: int) -> None:
    opens = interval.floor(moment)
    assert interval.floor(opens) == opens
    assert interval.floor(opens + interval.ns) == opens + interval.ns
    assert interval.floor(opens + interval.ns - 1) == opens


@given(intervals, st.integers(-50, 50), st.integers(-1, 1), st.integers(-50, 50), st.integers(-1, 1))
def test_bars_between_counts_the_opens_in_the_span(
    interval: Interval, first: int, first_off: int, last: int, last_off: int
) -> None:
    start, end = first * interval.ns + first_off, last * interval.ns + last_off
    opens = [index * interval.ns for index in range(-60, 60)]
    assert interval.bars_between(start, end) == sum(start <= each < end for each in opens)


@given(intervals, moments, st.lists(st.integers(0, 10**6), min_size=2, max_size=4))
def test_adjoining_spans_share_no_bar_and_lose_none(interval: Interval, start: int, lengths: list[int]) -> None:
    edges = [start]
    for length in lengths:
        edges.append(edges[-1] + length * 10**9)
    parts = sum(interval.bars_between(a, b) for a, b in pairwise(edges))
    assert parts == interval.bars_between(edges[0], edges[-1])


@pytest.mark.parametrize("text", INTERVALS)
def test_the_text_means_the_length(text: str) -> None:
    count, unit = int(text[:-1]), {"m": "minutes", "h": "hours", "d": "days"}[text[-1]]
    length = timedelta(**{unit: count})
    assert Interval(text).timedelta == length
    assert Interval(text).seconds == length.total_seconds()
    assert Interval(text).ns == Interval(text).seconds * 10**9
    assert str(Interval(text)) == text


@pytest.mark.parametrize("text", ["", "2m", "1w", "60m", "1H", "h", "1h "])
def test_other_lengths_are_refused_by_name(text: str) -> None:
    with pytest.raises(UnknownInterval, match="unknown bar interval") as caught:
        Interval(text)
    assert caught.value.got == repr(text)
    assert "15m" in caught.value.expected


def test_multiples() -> None:
    assert Interval("4h").is_multiple_of(Interval("1h"))
    assert Interval("1h").is_multiple_of(Interval("1h"))
    assert not Interval("1h").is_multiple_of(Interval("4h"))
    assert not Interval("8h").is_multiple_of(Interval("6h"))
