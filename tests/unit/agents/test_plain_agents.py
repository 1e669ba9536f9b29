"""The moving-average cross and the baselines say what their formulas say."""

from datetime import timedelta

import numpy as np
import pytest

from sapphire.agents import BuyAndHold, Cash, MovingAverageCross, RandomWalk, check_agent, view_panel, views_at
from sapphire.domain.errors import AgentError

AGENTS = [
    MovingAverageCross(fast=3, slow=11),
    BuyAndHold(),
    BuyAndHold(symbols=("ETH/USDT",)),
    RandomWalk(lookback=20),
    Cash(),
]


def test_moving_averages_by_hand(bars):
    agent = MovingAverageCross(fast=2, slow=5)
    views = views_at(agent, bars, 40)
    for column, view in enumerate(views):
        close = bars.close[:41, column]
        assert view.score == pytest.approx(close[-2:].mean() / close[-5:].mean() - 1.0, rel=1e-12)
        assert view.symbol == bars.symbols[column]
        assert view.horizon == timedelta(hours=12)


@pytest.mark.parametrize(("fast", "slow"), [(5, 5), (6, 5), (0, 5)])
def test_averages_that_cannot_cross_are_refused(fast, slow):
    with pytest.raises(AgentError, match="1 <= fast < slow"):
        MovingAverageCross(fast=fast, slow=slow)


def test_a_random_walk_states_the_spread_of_its_lookback(bars):
    views = views_at(RandomWalk(lookback=30, horizon=timedelta(minutes=20)), bars, 100)
    returns = np.diff(np.log(bars.close[70:101]), axis=0)
    for column, view in enumerate(views):
        assert view.mean_bps == 0.0
        assert view.std_bps == pytest.approx(1e4 * 2.0 * np.sqrt((returns[:, column] ** 2).mean()), rel=1e-12)


def test_buy_and_hold_holds_what_it_is_told(bars, make_hole):
    assert [view.symbol for view in views_at(BuyAndHold(), bars, 0)] == list(bars.symbols)
    assert [view.symbol for view in views_at(BuyAndHold(symbols=("ETH/USDT",)), bars, 0)] == ["ETH/USDT"]
    assert [view.symbol for view in views_at(BuyAndHold(), make_hole(bars, "ETH/USDT", [7]), 7)] == ["BTC/USDT"]


def test_cash_never_says_anything(bars):
    assert views_at(Cash(), bars, 50) == []


@pytest.mark.parametrize("agent", AGENTS, ids=repr)
def test_none_of_them_leaks_and_every_twin_is_its_agent(agent, make_bars, make_hole):
    whole = make_bars(160, symbols=3, seed=3)
    for tested in (whole, make_hole(whole, "SOL/USDT", slice(0, 60)), make_hole(whole, "BTC/USDT", [90, 91, 92])):
        report = check_agent(agent, tested)
        assert report.ok, str(report)


def test_a_price_that_stands_still_has_no_spread(make_bars):
    from dataclasses import replace

    bars = make_bars(60)
    flat = np.full_like(bars.close, 100.0)
    still = replace(bars, open=flat, high=flat, low=flat, close=flat)
    assert views_at(RandomWalk(lookback=20), still, 50) == []
    assert view_panel(RandomWalk(lookback=20), still).std_bps.isna().all(axis=None)
    assert {view.score for view in views_at(MovingAverageCross(), still, 50)} == {0.0}
