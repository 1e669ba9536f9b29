"""Times are UTC nanoseconds; a moment without a timezone is no moment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapphire.domain import Clock, FixedClock, ValueRefused, WallClock, from_ns, parse_duration, to_ns

offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
first, last = datetime(1700, 1, 1), datetime(2200, 1, 1)  # noqa: DTZ001  (hypothesis adds the timezone)
moments = st.datetimes(first, last, timezones=offsets)


@given(moments)
def test_a_moment_survives_the_way_to_nanoseconds_and_back(moment: datetime) -> None:
    assert from_ns(to_ns(moment)) == moment
    assert to_ns(moment) == to_ns(moment.isoformat()) == to_ns(moment.astimezone(UTC))


@given(st.integers(-(2**62), 2**62))
def test_nanoseconds_pass_and_their_datetime_is_cut_to_microseconds(ns: int) -> None:
    assert to_ns(ns) == ns
    assert to_ns(np.int64(ns)) == ns
    assert 0 <= ns - to_ns(from_ns(ns)) < 1_000
    assert to_ns(pd.Timestamp(ns, tz="UTC")) == ns


def test_text_without_an_offset_is_utc() -> None:
    assert to_ns("2023-01-01") == to_ns("2023-01-01T00:00:00Z") == 1_672_531_200_000_000_000
    assert from_ns(0) == datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("when", ["yesterday", "", "2023-13-01", 1.5, None, True])
def test_what_is_no_moment_is_refused(when: object) -> None:
    with pytest.raises(ValueRefused, match="not a moment"):
        to_ns(when)


def test_a_datetime_without_a_timezone_is_refused() -> None:
    with pytest.raises(ValueRefused, match="without a timezone"):
        to_ns(datetime(2023, 1, 1))  # noqa: DTZ001  (what is refused)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("365d", timedelta(days=365)),
        ("12h", timedelta(hours=12)),
        ("1d12h30m", timedelta(days=1, hours=12, minutes=30)),
        ("250ms", timedelta(milliseconds=250)),
        ("2w", timedelta(weeks=2)),
        ("5m3s", timedelta(minutes=5, seconds=3)),
        ("0d", timedelta(0)),
    ],
)
def test_durations(text: str, length: timedelta) -> None:
    assert parse_duration(text) == length
    assert parse_duration(length) == length


@pytest.mark.parametrize("text", ["", "12", "h", "-1d", "1y", "1.5h", "1d ", timedelta(seconds=-1), 5])
def test_what_is_no_duration_is_refused(text: object) -> None:
    with pytest.raises(ValueRefused, match="duration"):
        parse_duration(text)


def test_clocks_are_clocks() -> None:
    fixed = FixedClock(5, 7)
    assert isinstance(fixed, Clock)
    assert [fixed.now_ns(), fixed.now_ns(), fixed.monotonic_ns()] == [5, 5, 7]
    wall = WallClock()
    assert isinstance(wall, Clock)
    assert wall.now_ns() > to_ns("2024-01-01")
    assert wall.monotonic_ns() <= wall.monotonic_ns()
