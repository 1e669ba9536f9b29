"""Clocks and times: who tells the time, and how instants and durations are read.

Market time is UTC nanoseconds since the epoch; in Python a moment is a timezone-aware datetime. Below the edge nobody
asks the machine for the time: a `Clock` is handed in.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from operator import index
from typing import Protocol, SupportsIndex, runtime_checkable

from sapphire.domain.errors import ValueRefused

__all__ = ["Clock", "FixedClock", "Instant", "WallClock", "from_ns", "parse_duration", "to_ns"]

Instant = SupportsIndex | date | str
"""A moment: UTC nanoseconds (any integer), a timezone-aware datetime, a date (its first moment, UTC), or ISO 8601
text (UTC if it names no offset)."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds", "ms": "milliseconds"}
_DURATION = re.compile(r"(?:\d+(?:ms|[wdhms]))+", re.ASCII)
_DURATION_PART = re.compile(r"(\d+)(ms|[wdhms])", re.ASCII)


@runtime_checkable
class Clock(Protocol):
    """Two times: the market's, which decisions use, and a monotonic one, which timeouts use."""

    def now_ns(self) -> int:
        """Market time, UTC nanoseconds since the epoch."""
        ...

    def monotonic_ns(self) -> int:
        """Nanoseconds on a clock that never goes back."""
        ...


@dataclass(frozen=True, slots=True)
class WallClock:
    """The machine's clocks. Made only at the edge: a command, a service's start, a notebook."""

    def now_ns(self) -> int:
        """Wall time, UTC nanoseconds since the epoch."""
        return time.time_ns()

    def monotonic_ns(self) -> int:
        """The machine's monotonic clock."""
        return time.monotonic_ns()


@dataclass(frozen=True, slots=True)
class FixedClock:
    """A clock that stands still: replays, tests, generated reports.

    Parameters
    ----------
    at_ns : what `now_ns` says.
    monotonic_at_ns : what `monotonic_ns` says.
    """

    at_ns: int
    monotonic_at_ns: int = 0

    def now_ns(self) -> int:
        """The time it stands at."""
        return self.at_ns

    def monotonic_ns(self) -> int:
        """The monotonic time it stands at."""
        return self.monotonic_at_ns


def to_ns(when: Instant) -> int:
    """UTC nanoseconds since the epoch.

    Raises
    ------
    ValueRefused : a datetime without a timezone, or text that is not ISO 8601.

    Examples
    --------
    >>> to_ns("2024-03-01T05:00Z")
    1709269200000000000
    >>> to_ns("2024-03-01T05:00Z") == to_ns("2024-03-01T06:00+01:00") == to_ns("2024-03-01 05:00")
    True
    >>> to_ns(date(2024, 3, 1)) == to_ns("2024-03-01")
    True
    """
    if isinstance(when, bool):
        raise _not_a_moment(when)
    if isinstance(when, str):
        try:
            moment = datetime.fromisoformat(when)
        except ValueError:
            raise _not_a_moment(when) from None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    elif isinstance(when, datetime):
        moment = when
    elif isinstance(when, date):  # its first moment
        moment = datetime(when.year, when.month, when.day, tzinfo=UTC)
    elif isinstance(when, SupportsIndex):  # numpy's integers
        return index(when)
    else:
        raise _not_a_moment(when)
    if moment.utcoffset() is None:
        raise ValueRefused(
            "a time without a timezone",
            expected="a timezone-aware datetime",
            got=repr(when),
            next="datetime(..., tzinfo=UTC), or text such as '2024-03-01T05:00Z'",
        )
    # pandas timestamps are datetimes that carry nanoseconds beside their microseconds
    return int((moment - _EPOCH) // _MICROSECOND) * 1_000 + int(getattr(moment, "nanosecond", 0))


def from_ns(ns: int) -> datetime:
    """The UTC datetime at `ns`; what is finer than a microsecond is cut off.

    Examples
    --------
    >>> from_ns(1709269200000000000).isoformat()
    '2024-03-01T05:00:00+00:00'
    """
    return _EPOCH + timedelta(microseconds=ns // 1_000)


def parse_duration(duration: str | timedelta) -> timedelta:
    """A length of time from text such as "365d", "12h" or "1d12h" (w, d, h, m, s, ms); a timedelta passes through.

    Raises
    ------
    ValueRefused : other text, or a negative length.

    Examples
    --------
    >>> parse_duration("1d12h")
    datetime.timedelta(days=1, seconds=43200)
    """
    if isinstance(duration, timedelta):
        if duration < timedelta(0):
            raise ValueRefused("a negative duration", expected="zero or more", got=str(duration))
        return duration
    if not isinstance(duration, str) or not _DURATION.fullmatch(duration):
        raise ValueRefused("not a duration", expected="text such as '365d', '12h' or '1d12h'", got=repr(duration))
    total = timedelta(0)
    for count, unit in _DURATION_PART.findall(duration):
        total += timedelta(**{_UNITS[unit]: int(count)})
    return total


def _not_a_moment(when: object) -> ValueRefused:
    return ValueRefused(
        "not a moment in time",
        expected="UTC nanoseconds, a timezone-aware datetime, or ISO 8601 text",
        got=repr(when),
    )
