"""A replay hands its data out with times, and round trips that add up to what the account earned."""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from sapphire.agents import Agent
from sapphire.domain.instruments import Universe
from sapphire.research.results.round_trips import COLUMNS, profit_factor, round_trips, win_rate

NO_SETTLEMENTS = pd.DataFrame(columns=["time", "symbol", "price", "quantity", "quote"])
FILL = ("time", "symbol", "side", "price", "quantity", "fee", "fee_asset")


@dataclass(frozen=True)
class Swing(Agent):
    """Expects the last three bars to go on, strongly: it comes and goes."""

    horizon: timedelta = timedelta(hours=1)

    @property
    def warmup(self):
        return 4

    def views(self, window):
        close = window.panel("close")
        return window.views(
            mean_bps=1e4 * (close.iloc[-1] / close.iloc[-4] - 1), std_bps=close.iloc[-1] * 0 + 60, horizon=self.horizon
        )


@pytest.fixture
def replayed(make_study):
    return make_study().replay(Swing())


def hours(*of):
    return [pd.Timestamp("2024-01-01", tz="UTC") + pd.Timedelta(hours=each) for each in of]


def fills_of(*rows):
    times = hours(*range(len(rows)))
    return pd.DataFrame([(time, *row) for time, row in zip(times, rows, strict=True)], columns=FILL)


@pytest.fixture
def rules(replayed):
    return replayed.study.data.instruments


def test_positions_are_what_the_fills_left(replayed):
    tested, positions, fills = replayed.study.tested, replayed.positions, replayed.fills
    assert positions.index.equals(tested.times)
    assert tuple(positions.columns) == tested.symbols
    for symbol in tested.symbols:
        mine = fills[fills["symbol"] == symbol]
        signed = mine["quantity"].where(mine["side"] == "BUY", -mine["quantity"])
        in_base = mine["fee"].where(mine["fee_asset"] == symbol.split("/")[0], 0.0)
        assert positions[symbol].iloc[-1] == pytest.approx((signed - in_base).sum(), abs=1e-9)


def test_equity_is_cash_and_what_is_held(replayed):
    cash = replayed.record["equity"]["cash_quote_atoms"] / 1e8
    value = (replayed.positions * replayed.study.tested.frame("close")).sum(axis=1)
    np.testing.assert_allclose(replayed.equity, cash + value, atol=1e-4)


def test_beliefs_have_numbers_by_symbol(replayed):
    beliefs = replayed.beliefs
    assert beliefs.index.equals(replayed.study.tested.times)
    assert beliefs["mean_bps"]["ETH/USDT"].notna().all()
    assert beliefs["std_bps"].to_numpy() == pytest.approx(60.0)


def test_orders_fills_and_refusals_have_times(replayed):
    orders, fills = replayed.orders, replayed.fills
    assert len(orders) > 20
    assert (orders["sent"] >= orders["bar_close"]).all()
    assert (orders["arrives"] > orders["sent"]).all()
    filled = fills.groupby("order")["quantity"].sum()
    named = orders.set_index("order")["filled"]
    np.testing.assert_allclose(filled, named[filled.index])
    assert set(orders.loc[orders["filled"] == 0, "mean_price"].isna()) <= {True}
    for frame in (replayed.denials, replayed.refusals):
        assert isinstance(frame["time"].dtype, pd.DatetimeTZDtype)
    first = orders[orders["filled"] > 0].iloc[0]
    assert fills.set_index("order").loc[[first["order"]], "price"].min() <= first["mean_price"] <= first["limit"]


def test_round_trips_add_up_to_the_account(replayed):
    trips = replayed.round_trips
    assert tuple(trips.columns) == COLUMNS
    assert len(trips) > 5
    earned = replayed.worth[-1] - replayed.worth[0]
    dust = 0.001 * 2_500  # less than a lot of each symbol is left over at each end
    assert trips["profit"].sum() == pytest.approx(earned, abs=dust * len(trips) / 10)
    assert (trips["closed"].dropna() >= trips["opened"][trips["closed"].notna()]).all()


def test_a_round_trip_by_hand(rules):
    fills = fills_of(
        ("BTC/USDT", "BUY", 100.0, 1.0, 0.001, "BTC"),
        ("BTC/USDT", "BUY", 110.0, 1.0, 0.001, "BTC"),
        ("BTC/USDT", "SELL", 120.0, 1.998, 0.2, "USDT"),
        ("BTC/USDT", "BUY", 100.0, 1.0, 0.0, "BTC"),
        ("BTC/USDT", "SELL", 90.0, 1.0, 0.0, "USDT"),
        ("ETH/USDT", "BUY", 10.0, 2.0, 0.0, "ETH"),
    )
    trips = round_trips(fills, NO_SETTLEMENTS, rules, {"BTC/USDT": 1.0, "ETH/USDT": 11.0})
    assert trips["symbol"].tolist() == ["BTC/USDT", "BTC/USDT", "ETH/USDT"]
    assert trips["opened"].tolist() == hours(0, 3, 5)
    assert trips["closed"].isna().tolist() == [False, False, True]
    assert trips["entry"].tolist() == [105.0, 100.0, 10.0]
    assert trips["profit"].tolist() == pytest.approx([120.0 * 1.998 - 210.0 - 0.2, -10.0, 2.0])
    assert trips["fees"].tolist() == pytest.approx([0.2 + 0.1 + 0.11, 0.0, 0.0])
    assert win_rate(trips) == 0.5
    assert profit_factor(trips) == pytest.approx((120.0 * 1.998 - 210.2) / 10.0)


def test_a_rest_below_a_lot_is_flat(rules):
    fills = fills_of(
        ("BTC/USDT", "BUY", 100.0, 1.0, 0.000004, "BTC"),
        ("BTC/USDT", "SELL", 100.0, 0.99999, 0.0, "USDT"),
        ("BTC/USDT", "BUY", 100.0, 1.0, 0.0, "BTC"),
    )
    trips = round_trips(fills, NO_SETTLEMENTS, rules, {"BTC/USDT": 100.0})
    assert trips["closed"].isna().tolist() == [False, True]


def test_a_symbol_that_is_paid_out_ends_its_trip(rules: Universe):
    fills = fills_of(("BTC/USDT", "BUY", 100.0, 1.0, 0.0, "BTC"))
    paid = pd.DataFrame([(hours(4)[0], "BTC/USDT", 80.0, 1.0, 80.0)], columns=NO_SETTLEMENTS.columns)
    (trip,) = round_trips(fills, paid, rules, {"BTC/USDT": 80.0}).to_dict("records")
    assert (trip["closed"], trip["profit"], trip["return"]) == (hours(4)[0], -20.0, -0.2)


def test_nothing_traded_is_an_empty_table(make_study):
    replayed = make_study().replay(Swing(horizon=timedelta(hours=1)))
    empty = round_trips(replayed.fills.iloc[:0], NO_SETTLEMENTS, replayed.study.data.instruments, {})
    assert tuple(empty.columns) == COLUMNS
    assert np.isnan(win_rate(empty))
    assert np.isnan(profit_factor(empty))


def test_the_statistics_are_those_of_the_parts(replayed):
    statistics, trips = replayed.statistics, replayed.round_trips
    assert statistics["win_rate"] == (trips.loc[trips["closed"].notna(), "profit"] > 0).mean()
    below = replayed.returns.clip(upper=0.0)
    assert statistics["sortino_per_year"] == pytest.approx(
        replayed.returns.mean() / (below**2).mean() ** 0.5 * 8_760**0.5
    )
    assert statistics["total_return"] == pytest.approx(replayed.equity.iloc[-1] / replayed.equity.iloc[0] - 1.0)
    assert 0.0 < statistics["mean_exposure"] < statistics["time_in_market"] <= 1.0
    assert statistics["round_trips"] == trips["closed"].notna().sum()
