"""Stretches of time: joined, taken from each other, and those of the months."""

from __future__ import annotations

import numpy as np

__all__ = ["Span", "joined_spans", "month_span", "without"]

Span = tuple[int, int]
"""A stretch of open times `[start, end)`, UTC nanoseconds."""


def joined_spans(spans: list[Span]) -> tuple[Span, ...]:
    """The same times as `spans`, in order, with those that touch made one.

    Examples
    --------
    >>> joined_spans([(5, 9), (0, 3), (3, 5), (12, 12)])
    ((0, 9),)
    """
    joined: list[Span] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return tuple(joined)


def without(span: Span, covered: tuple[Span, ...]) -> list[Span]:
    """The parts of `span` that are in none of `covered` (in order, apart from each other).

    Examples
    --------
    >>> without((0, 10), ((2, 4), (8, 20)))
    [(0, 2), (4, 8)]
    """
    left: list[Span] = []
    at, end = span
    for first, last in covered:
        if last <= at:
            continue
        if first >= end:
            break
        if first > at:
            left.append((at, first))
        at = last
    if at < end:
        left.append((at, end))
    return left


def month_span(month: str) -> Span:
    """The stretch of a month, "2024-03"."""
    first = np.datetime64(month, "M")
    start, end = np.array([first, first + 1]).astype("datetime64[ns]").astype(np.int64).tolist()
    return start, end
