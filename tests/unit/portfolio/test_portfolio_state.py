"""The state: measured from closed bars, gaps and listings included, and refused where it cannot be."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sapphire.domain import Bars, Interval, MissingData, UnknownInstrument, ValueRefused
from sapphire.portfolio import (
    RISKMETRICS_HALF_LIFE,
    PortfolioState,
    realised_correlation,
    realised_volatility,
    volatility_window,
)

HOUR = Interval("1h")
START_NS = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp()) * 10**9


def made_bars(closes, *, symbols=("BTC/USDT", "ETH/USDT"), missing_rows=()):
    closes = np.asarray(closes, dtype=np.float64)
    rows = np.setdiff1d(np.arange(len(closes)), missing_rows)
    kept = closes[rows]
    return Bars(
        symbols=symbols,
        interval=HOUR,
        open_time_ns=START_NS + rows.astype(np.int64) * HOUR.ns,
        open=kept,
        high=kept,
        low=kept,
        close=kept,
        volume=np.where(np.isnan(kept), np.nan, 1.0),
        listed=np.isfinite(kept),
    )


def walk(seed, length, *, symbols=2, correlation=0.0, step=0.005):
    rng = np.random.default_rng(seed)
    moves = rng.standard_normal((length, symbols))
    moves[:, 1:] = correlation * moves[:, :1] + math.sqrt(1 - correlation**2) * moves[:, 1:]
    return 100.0 * np.exp(np.cumsum(step * moves, axis=0))


def test_the_half_life_is_that_of_riskmetrics():
    assert 0.5 ** (timedelta(days=1) / RISKMETRICS_HALF_LIFE) == pytest.approx(0.94)
    assert volatility_window(HOUR) == math.ceil(5 * 24 * math.log(0.5) / math.log(0.94)) + 1


def test_volatility_is_the_weighted_mean_square_by_hand():
    closes = walk(1, 200)
    returns = np.diff(np.log(closes), axis=0)
    weights = 0.5 ** (np.arange(198, -1, -1) / 48)
    expected = np.sqrt((weights[:, None] * returns**2).sum(axis=0) / weights.sum() * 8760)
    found = realised_volatility(closes, HOUR, half_life=timedelta(hours=48))
    assert found == pytest.approx(expected, rel=1e-12)


def test_correlation_is_the_weighted_one_by_hand():
    closes = walk(1, 200, correlation=0.3)
    first, second = np.diff(np.log(closes), axis=0).T
    weights = 0.5 ** (np.arange(198, -1, -1) / 48)
    expected = (weights * first * second).sum() / math.sqrt((weights * first**2).sum() * (weights * second**2).sum())
    found = realised_correlation(closes, HOUR, half_life=timedelta(hours=48))
    assert found[0, 1] == pytest.approx(expected, rel=1e-12)


def test_volatility_is_that_of_pandas():
    import pandas as pd

    closes = walk(2, 150)
    squares = pd.DataFrame(np.diff(np.log(closes), axis=0) ** 2)
    expected = np.sqrt(squares.ewm(halflife=36).mean().iloc[-1] * 8760)
    assert realised_volatility(closes, HOUR, half_life=timedelta(hours=36)) == pytest.approx(expected, rel=1e-12)


def test_volatility_finds_the_truth():
    found = realised_volatility(walk(3, 5000, symbols=8), HOUR)
    assert found.mean() == pytest.approx(0.005 * math.sqrt(8760), rel=0.02)


def test_correlation_finds_the_truth_and_is_symmetric():
    matrix = realised_correlation(walk(4, 5000, correlation=0.7), HOUR)
    assert matrix[0, 1] == matrix[1, 0] == pytest.approx(0.7, abs=0.05)
    assert np.array_equal(np.diag(matrix), [1.0, 1.0])


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(1, 400))
def test_history_before_the_window_does_not_matter(seed, more):
    half_life = timedelta(hours=20)
    closes = walk(seed, volatility_window(HOUR, half_life=half_life) + more)
    enough = closes[more:]
    assert np.array_equal(
        realised_volatility(closes, HOUR, half_life=half_life), realised_volatility(enough, HOUR, half_life=half_life)
    )
    assert np.array_equal(
        realised_correlation(closes, HOUR, half_life=half_life), realised_correlation(enough, HOUR, half_life=half_life)
    )


def test_too_few_or_motionless_closes_have_no_estimate():
    closes = walk(5, 30)
    assert np.isnan(realised_volatility(closes, HOUR)).all()
    assert np.isfinite(realised_volatility(walk(5, 31), HOUR)).all()
    assert np.isnan(realised_correlation(closes, HOUR)[0, 1])
    assert np.isnan(realised_volatility(np.full(100, 7.0), HOUR)).all()
    with pytest.raises(ValueRefused, match="zero or less"):
        realised_volatility([1.0, 0.0], HOUR)
    with pytest.raises(ValueRefused, match="half-life"):
        realised_volatility([1.0, 2.0], HOUR, half_life=timedelta(minutes=5))


def test_a_state_is_measured_at_the_close_of_the_last_bar(spot):
    closes = walk(6, 400, correlation=0.5)
    state = PortfolioState.from_bars(made_bars(closes), equity_quote=5e4, lots={"BTC/USDT": 7}, instruments=spot)
    assert state.as_of == datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=400)
    assert state.prices == {"BTC/USDT": closes[-1, 0], "ETH/USDT": closes[-1, 1]}
    assert list(state.volatility.values()) == list(realised_volatility(closes, HOUR))
    assert state.correlation == {("BTC/USDT", "ETH/USDT"): realised_correlation(closes, HOUR)[0, 1]}
    assert state.lots == {"BTC/USDT": 7}


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1), order=st.permutations(range(3)))
def test_the_order_of_the_columns_does_not_reach_the_state(spot, seed, order):
    closes, symbols = walk(seed, 200, symbols=3, correlation=0.5), spot.symbols
    straight = made_bars(closes, symbols=symbols)
    turned = made_bars(closes[:, order], symbols=tuple(symbols[column] for column in order))
    first, second = (
        PortfolioState.from_bars(bars, equity_quote=1.0, lots={}, instruments=spot) for bars in (straight, turned)
    )
    assert first == second
    assert all(one < other for one, other in first.correlation)


def test_a_gap_is_a_missing_return_not_a_long_one(spot):
    closes = walk(7, 300)
    closes[200:] *= 3.0  # what happened in the gap would be a return of 200 %
    gapped = made_bars(closes, missing_rows=range(190, 200))
    state = PortfolioState.from_bars(gapped, equity_quote=1.0, lots={}, instruments=spot)
    holed = closes.copy()
    holed[190:200] = np.nan
    assert list(state.volatility.values()) == list(realised_volatility(holed, HOUR))
    assert max(state.volatility.values()) < 0.6


def test_a_young_symbol_has_a_price_before_it_has_a_volatility(spot):
    closes = walk(8, 100)
    closes[:90, 1] = np.nan
    state = PortfolioState.from_bars(made_bars(closes), equity_quote=1.0, lots={}, instruments=spot)
    assert set(state.prices) == {"BTC/USDT", "ETH/USDT"}
    assert set(state.volatility) == {"BTC/USDT"}
    assert state.correlation == {}


def test_a_symbol_that_missed_the_last_bar_has_its_last_known_price(spot):
    closes = walk(9, 100)
    closes[-3:, 1] = np.nan
    state = PortfolioState.from_bars(made_bars(closes), equity_quote=1.0, lots={"ETH/USDT": 5}, instruments=spot)
    assert state.prices["ETH/USDT"] == closes[-4, 1]


def test_bars_that_give_no_state_are_refused(spot):
    with pytest.raises(MissingData, match="no bars"):
        PortfolioState.from_bars(made_bars(np.empty((0, 2))), equity_quote=1.0, lots={}, instruments=spot)
    bars = made_bars(walk(1, 50), symbols=("BTC/USDT", "DOGE/USDT"))
    with pytest.raises(UnknownInstrument):
        PortfolioState.from_bars(bars, equity_quote=1.0, lots={}, instruments=spot)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"equity_quote": math.nan}, ValueRefused),
        ({"prices": {"BTC/USDT": 0.0}}, ValueRefused),
        ({"volatility": {"BTC/USDT": math.nan}}, ValueRefused),
        ({"correlation": {("ETH/USDT", "BTC/USDT"): 0.5}}, ValueRefused),
        ({"correlation": {("BTC/USDT", "ETH/USDT"): 1.5}}, ValueRefused),
        ({"lots": {"DOGE/USDT": 1}}, UnknownInstrument),
        ({"lots": {"BTC/USDT": 1}, "prices": {}}, MissingData),
        ({"as_of": datetime(2024, 1, 1)}, ValueRefused),  # noqa: DTZ001
    ],
)
def test_a_state_that_cannot_be_is_refused(state, wrong, error):
    with pytest.raises(error):
        replace(state, **wrong)


def test_a_price_is_the_last_known_one_however_old(spot):
    """A symbol that has no bar any more can be held for longer than the window is."""
    length = volatility_window(HOUR) + 40
    closes = walk(3, length)
    closes[20:, 1] = np.nan
    state = PortfolioState.from_bars(
        made_bars(closes), equity_quote=1.0, lots={"ETH/USDT": 5}, instruments=spot, older_prices={"SOL/USDT": 7.0}
    )
    assert state.prices == {"BTC/USDT": closes[-1, 0], "ETH/USDT": closes[19, 1]}
    assert set(state.volatility) == {"BTC/USDT"}
    windowed = made_bars(closes[30:])
    older = {"ETH/USDT": closes[19, 1], "BTC/USDT": 1.0}
    again = PortfolioState.from_bars(
        windowed, equity_quote=1.0, lots={"ETH/USDT": 5}, instruments=spot, older_prices=older
    )
    assert again.prices == state.prices
