"""A window shows what was knowable and nothing else."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapphire.domain import (
    FIELDS,
    Bars,
    Interval,
    LeakFound,
    MissingData,
    UnknownInstrument,
    UnknownInterval,
    ValueRefused,
    Window,
    from_ns,
    to_ns,
)
from sapphire.domain.views import ViewNote

HOUR = Interval("1h").ns
START = to_ns("2024-03-01")
SYMBOLS = ("BTC/USDT", "ETH/USDT")
HORIZON = timedelta(hours=12)


@st.composite
def panels(draw: st.DrawFn) -> Bars:
    """Hourly bars with gaps, unlisted cells and odd starts."""
    first, length = draw(st.integers(0, 12)), draw(st.integers(0, 48))
    holes = draw(st.sets(st.integers(0, 60), max_size=3))
    rows = [row for row in range(first, first + length) if row not in holes]
    seed = draw(st.integers(0, 2**32 - 1))
    generator = np.random.default_rng(seed)
    prices = np.sort(generator.uniform(50, 150, size=(4, len(rows), 2)), axis=0)
    flip = generator.random((len(rows), 2)) < 0.5
    fields = {
        "low": prices[0],
        "open": np.where(flip, prices[1], prices[2]),
        "close": np.where(flip, prices[2], prices[1]),
        "high": prices[3],
        "volume": generator.uniform(0, 10, size=(len(rows), 2)),
    }
    listed = generator.random((len(rows), 2)) < draw(st.sampled_from([0.8, 0.95, 1.0]))
    masked = {name: np.where(listed, values, np.nan) for name, values in fields.items()}
    times = START + np.array(rows, dtype=np.int64) * HOUR
    return Bars(symbols=SYMBOLS, interval=Interval("1h"), open_time_ns=times, listed=listed, **masked).validate()


def window_of(bars: Bars, as_of_ns: int) -> Window:
    return Window(bars.head_until(as_of_ns), from_ns(as_of_ns))


def hourly(rows: int = 24) -> Bars:
    close = np.arange(1.0, rows * 2 + 1).reshape(rows, 2)
    times = START + np.arange(rows, dtype=np.int64) * HOUR
    listed = np.ones((rows, 2), dtype=np.bool_)
    return Bars(SYMBOLS, Interval("1h"), times, close, close, close, close, close, listed).validate()


moments = st.integers(-5, 70 * 60).map(lambda minutes: START + minutes * 60 * 10**9)


@given(panels(), moments)
def test_a_window_never_shows_a_bar_that_closes_after_as_of(bars: Bars, moment: int) -> None:
    window = window_of(bars, moment)
    for field in FIELDS:
        index = window.panel(field).index
        assert len(index) == 0 or index.max() <= pd.Timestamp(window.as_of)
    if len(bars) and int(bars.close_time_ns[-1]) > moment:
        with pytest.raises(LeakFound, match="its own future"):
            Window(bars, from_ns(moment))


@given(panels(), moments, moments)
def test_what_comes_later_changes_nothing_that_was_known(bars: Bars, one: int, other: int) -> None:
    early, late = sorted((one, other))
    before = window_of(bars, early).panel("close")
    pd.testing.assert_frame_equal(before, window_of(bars, late).panel("close").iloc[: len(before)])


@given(panels(), moments, st.sampled_from(["1h", "2h", "4h", "12h", "1d"]))
def test_resampling_keeps_complete_bars_only_and_adds_them_up(bars: Bars, moment: int, text: str) -> None:
    window = window_of(bars, moment)
    longer = window.resample(text)
    length = Interval(text).ns
    by_open = {int(time): row for row, time in enumerate(window.bars.open_time_ns)}
    groups = {int(time) - int(time) % length for time in window.bars.open_time_ns}
    complete = [each for each in sorted(groups) if all(each + part in by_open for part in range(0, length, HOUR))]
    assert list(longer.bars.open_time_ns) == complete
    longer.bars.validate()
    for row, opens in enumerate(complete):
        assert opens + length <= moment
        parts = [by_open[opens + part] for part in range(0, length, HOUR)]
        for column in range(2):
            whole = bool(window.bars.listed[parts, column].all())
            assert bool(longer.bars.listed[row, column]) == whole
            if whole:
                made = [float(getattr(longer.bars, name)[row, column]) for name in FIELDS]
                of = {name: getattr(window.bars, name)[parts, column] for name in FIELDS}
                total = of["volume"].sum()
                expected = [of["open"][0], of["high"].max(), of["low"].min(), of["close"][-1], total]
                np.testing.assert_allclose(made, expected, rtol=1e-12)


def test_resampling_matches_the_clock_not_the_first_bar() -> None:
    longer = window_of(hourly().slice("2024-03-01T02:00Z", "2024-03-02"), START + 24 * HOUR).resample(Interval("4h"))
    assert [each.hour for each in longer.panel("close").index] == [8, 12, 16, 20, 0]
    assert longer.interval == Interval("4h")
    assert longer.as_of == from_ns(START + 24 * HOUR)


def test_bars_cannot_be_cut_shorter() -> None:
    window = window_of(hourly(), START + 24 * HOUR)
    with pytest.raises(ValueRefused, match="cannot be cut"):
        window.resample("30m")
    with pytest.raises(UnknownInterval):
        window.resample("7h")


def test_a_bar_is_known_at_its_close_and_not_a_microsecond_before() -> None:
    bars = hourly(1)
    close = from_ns(START + HOUR)
    assert len(Window(bars, close).bars) == 1
    with pytest.raises(LeakFound, match="its own future") as caught:
        Window(bars, close - timedelta(microseconds=1))
    assert caught.value.got == "a bar that closes at 2024-03-01T01:00:00+00:00"


def test_as_of_needs_a_timezone() -> None:
    with pytest.raises(ValueRefused, match="timezone"):
        Window(hourly(), datetime(2024, 3, 3))  # noqa: DTZ001  (what is refused)


def test_a_feature_is_computed_from_the_window_and_may_not_look_ahead() -> None:
    def momentum(window: Window) -> pd.DataFrame:
        return window.panel("close").diff()

    def prophecy(window: Window) -> pd.DataFrame:
        return window.panel("close").shift(freq="1h")

    as_of = START + 10 * HOUR
    window = Window(hourly().head_until(as_of), from_ns(as_of), {"momentum": momentum, "prophecy": prophecy})
    assert window.feature("momentum").iloc[-1, 0] == 2.0
    assert len(window.resample("2h").feature("momentum")) == 5
    with pytest.raises(LeakFound, match="'prophecy' looks ahead"):
        window.feature("prophecy")
    with pytest.raises(MissingData, match="momentum, prophecy"):
        window.feature("funding")


def test_one_view_for_each_symbol_with_a_finite_number() -> None:
    window = window_of(hourly(), START + 10 * HOUR)
    views = window.views(score=window.panel("close").iloc[-1], horizon=HORIZON, release="trend@1")
    assert [(view.symbol, view.score, view.agent) for view in views] == [
        ("BTC/USDT", 19.0, "trend@1"),
        ("ETH/USDT", 20.0, "trend@1"),
    ]
    assert {view.as_of for view in views} == {window.as_of}
    for hole in (np.nan, np.inf):
        assert [view.symbol for view in window.views(score=pd.Series([hole, 1.0], SYMBOLS), horizon=HORIZON)] == [
            "ETH/USDT"
        ]
    assert window.views(score=pd.Series(dtype=float), horizon=HORIZON) == []


def test_forecasts_need_both_numbers_and_quantiles_all_of_them() -> None:
    window = window_of(hourly(), START + 10 * HOUR)
    mean, std = pd.Series([1.0, 2.0], SYMBOLS), pd.Series([10.0, np.nan], SYMBOLS)
    assert [view.symbol for view in window.views(mean_bps=mean, std_bps=std, horizon=HORIZON)] == ["BTC/USDT"]
    quantiles = pd.DataFrame({0.1: [-5.0, -4.0], 0.9: [5.0, np.nan]}, index=SYMBOLS)
    (view,) = window.views(quantiles=quantiles, horizon=HORIZON)
    assert view.quantiles_bps == {0.1: -5.0, 0.9: 5.0}
    assert view == window.views(quantiles={level: quantiles[level] for level in (0.9, 0.1)}, horizon=HORIZON)[0]


@pytest.mark.parametrize("stated", [(), ("score", "mean_bps"), ("mean_bps",), ("std_bps",), ("score", "std_bps")])
def test_views_state_one_thing(stated: tuple[str, ...]) -> None:
    window = window_of(hourly(), START + 10 * HOUR)
    with pytest.raises(ValueRefused, match="must state one thing"):
        window.views(horizon=HORIZON, **dict.fromkeys(stated, pd.Series([1.0, 2.0], SYMBOLS)))


def test_a_note_stands_beside_the_view_of_its_symbol() -> None:
    window = window_of(hourly(), START + 10 * HOUR)
    scores, note = pd.Series([1.0, np.nan], SYMBOLS), ViewNote("it rose")
    (view,) = window.views(score=scores, horizon=HORIZON, notes=dict.fromkeys(SYMBOLS, note))
    assert (view.symbol, view.note) == ("BTC/USDT", note), "who says nothing needs no note"
    assert window.views(score=scores, horizon=HORIZON, notes={"ETH/USDT": note})[0].note is None
    with pytest.raises(UnknownInstrument, match="SOL/USDT"):
        window.views(score=scores, horizon=HORIZON, notes={"SOL/USDT": note})
    with pytest.raises(ValueRefused, match="notes of views"):
        window.views(score=scores, horizon=HORIZON, notes=note)  # type: ignore[arg-type]


def test_a_view_of_a_symbol_outside_the_universe_is_refused() -> None:
    window = window_of(hourly(), START + 10 * HOUR)
    with pytest.raises(UnknownInstrument, match="SOL/USDT"):
        window.views(score=pd.Series([1.0], ["SOL/USDT"]), horizon=HORIZON)
