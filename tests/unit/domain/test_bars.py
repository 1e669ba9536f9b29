"""Bars: a panel that is what it says, indexed by when it became known."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapphire.domain import FIELDS, BadBars, Bars, Interval, UnknownInstrument, ValueRefused, from_ns, to_ns

HOUR = Interval("1h").ns
START = to_ns("2024-03-01")
SYMBOLS = ("BTC/USDT", "ETH/USDT")


def panel(rows: int = 6, *, unlisted: tuple[tuple[int, int], ...] = (), opens: list[int] | None = None) -> Bars:
    times = np.array(opens if opens is not None else [START + row * HOUR for row in range(rows)], dtype=np.int64)
    close = 100.0 + np.arange(times.size * 2, dtype=np.float64).reshape(-1, 2)
    fields = {"open": close - 0.5, "high": close + 1.0, "low": close - 1.0, "close": close, "volume": close * 0.1}
    listed = np.ones(close.shape, dtype=np.bool_)
    for cell in unlisted:
        listed[cell] = False
    masked = {name: np.where(listed, values, np.nan) for name, values in fields.items()}
    return Bars(symbols=SYMBOLS, interval=Interval("1h"), open_time_ns=times, listed=listed, **masked)


def edited(bars: Bars, change: Callable[[dict[str, np.ndarray]], None]) -> Bars:
    arrays = {name: np.array(getattr(bars, name)) for name in ("open_time_ns", *FIELDS, "listed")}
    change(arrays)
    return Bars(symbols=bars.symbols, interval=bars.interval, **arrays)


def test_a_frame_is_indexed_by_the_close() -> None:
    frame = panel(unlisted=((0, 1),)).validate().frame("close")
    assert frame.index[0] == pd.Timestamp("2024-03-01T01:00Z")
    assert str(frame.index.dtype) == "datetime64[ns, UTC]"
    assert list(frame.columns) == list(SYMBOLS)
    assert frame.loc["2024-03-01T03:00Z", "BTC/USDT"] == 104.0
    assert np.isnan(frame.iloc[0, 1])
    assert list(panel().open_times) == [time - pd.Timedelta("1h") for time in panel().times]


def test_a_frame_is_a_copy_and_the_arrays_are_sealed() -> None:
    bars = panel()
    frame = bars.frame("close")
    frame.iloc[0, 0] = -1.0
    assert bars.close[0, 0] == 100.0
    with pytest.raises(ValueError, match="read-only"):
        bars.close[0, 0] = -1.0


def test_the_callers_array_stays_writable() -> None:
    mine = np.ones((1, 1))
    one = Bars(
        ("A/B",), Interval("1h"), np.array([START]), mine, mine, mine, mine, mine, np.ones((1, 1), dtype=np.bool_)
    )
    mine[0, 0] = 2.0
    assert one.validate().close[0, 0] == 2.0


@given(st.sets(st.integers(0, 40), max_size=20), st.integers(-2, 42), st.integers(-1, 1))
def test_head_until_holds_exactly_the_bars_that_have_closed(rows: set[int], hour: int, off: int) -> None:
    bars = panel(opens=[START + row * HOUR for row in sorted(rows)])
    moment = START + hour * HOUR + off
    head = bars.head_until(moment)
    assert list(head.open_time_ns) == [each for each in bars.open_time_ns if each + HOUR <= moment]
    assert len(head) == len(head.close)


@given(st.sets(st.integers(0, 40), max_size=20), st.integers(-2, 42), st.integers(-2, 42), st.integers(-1, 1))
def test_a_slice_is_closed_at_the_start_and_open_at_the_end(rows: set[int], first: int, last: int, off: int) -> None:
    bars = panel(opens=[START + row * HOUR for row in sorted(rows)])
    start, end = START + first * HOUR + off, START + last * HOUR + off
    assert list(bars.slice(start, end).open_time_ns) == [each for each in bars.open_time_ns if start <= each < end]


def test_a_slice_takes_text_datetimes_and_nanoseconds() -> None:
    bars = panel()
    end = datetime(2024, 3, 1, 3, tzinfo=UTC)
    assert len(bars.slice("2024-03-01T01:00Z", end)) == len(bars.slice(START + HOUR, from_ns(START + 3 * HOUR))) == 2


def test_symbols_are_chosen_by_name_in_the_order_asked_for() -> None:
    chosen = panel().symbols_only(["ETH/USDT"])
    assert (chosen.symbols, chosen.close.shape) == (("ETH/USDT",), (6, 1))
    assert panel().symbols_only(reversed(SYMBOLS)).close[0, 0] == panel().close[0, 1]
    with pytest.raises(UnknownInstrument, match="SOL/USDT"):
        panel().symbols_only(["SOL/USDT"])


def test_a_field_that_bars_do_not_have_is_refused() -> None:
    with pytest.raises(ValueRefused, match="vwap"):
        panel().frame("vwap")


def test_good_bars_pass() -> None:
    bars = panel(unlisted=((0, 0), (3, 1)))
    assert bars.validate() is bars
    assert len(panel(0).validate()) == 0
    assert "no bars" in repr(panel(0))
    assert "2024-03-01T06:00Z" in repr(bars)


def set_cell(name: str, value: float) -> Callable[[dict[str, np.ndarray]], None]:
    def change(arrays: dict[str, np.ndarray]) -> None:
        arrays[name][3, 1] = value

    return change


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("close", np.nan, "prices finite"),
        ("open", np.inf, "prices finite"),
        ("low", 0.0, "prices finite"),
        ("low", -1.0, "prices finite"),
        ("high", 1.0, "a high that no price is above"),
        ("low", 106.9, "a low that no price is below"),
        ("close", 500.0, "a high that no price is above"),
        ("volume", -0.1, "a volume of zero or more"),
        ("volume", np.nan, "a volume of zero or more"),
        ("listed", False, "NaN in every field"),
    ],
)
def test_a_bad_cell_is_refused_by_symbol_and_row(name: str, value: float, expected: str) -> None:
    with pytest.raises(BadBars, match=re.escape("ETH/USDT at row 3, opened 2024-03-01T03:00:00+00:00")) as caught:
        edited(panel(), set_cell(name, value)).validate()
    assert caught.value.expected.startswith(expected)


def test_an_unlisted_cell_with_a_volume_is_refused() -> None:
    with pytest.raises(BadBars, match="ETH/USDT at row 3"):
        edited(panel(unlisted=((3, 1),)), set_cell("volume", 0.0)).validate()


def test_times_out_of_order_or_off_the_grid_are_refused() -> None:
    with pytest.raises(BadBars, match="out of order") as caught:
        panel(opens=[START, START + 2 * HOUR, START + HOUR]).validate()
    assert caught.value.got == "2024-03-01T01:00:00+00:00 after 2024-03-01T02:00:00+00:00 at row 2"
    with pytest.raises(BadBars, match="out of order"):
        panel(opens=[START, START]).validate()
    with pytest.raises(BadBars, match="off the 1h grid"):
        panel(opens=[START, START + HOUR + 1]).validate()


def test_arrays_that_do_not_fit_each_other_are_refused_when_made() -> None:
    with pytest.raises(BadBars, match="'high' does not fit"):
        edited(panel(), lambda arrays: arrays.update(high=arrays["high"][:-1]))
    with pytest.raises(BadBars, match="'close' does not fit"):
        edited(panel(), lambda arrays: arrays.update(close=arrays["close"].astype(np.float32)))
    with pytest.raises(BadBars, match="open_time_ns"):
        edited(panel(), lambda arrays: arrays.update(open_time_ns=arrays["open_time_ns"].astype(np.float64)))
    with pytest.raises(BadBars, match="symbols repeat"):
        Bars(("A/B", "A/B"), Interval("1h"), *(getattr(panel(), name) for name in ("open_time_ns", *FIELDS, "listed")))
