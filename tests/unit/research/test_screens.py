"""Screens and sweeps against arithmetic done by hand."""

import json
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from sapphire.agents import BuyAndHold, MovingAverageCross, RandomWalk, ViewPanel
from sapphire.research import costs
from sapphire.research.runs.accounts import ScreenMarket
from sapphire.research.runs.screening import equity_of_fills, position
from sapphire.research.runs.walking import one_number

AGENT = MovingAverageCross(fast=3, slow=12, horizon=timedelta(hours=2))
FEE, SLIPPAGE = 0.001, 0.0005
DEAR = costs.binance_spot(taker_bps=1e4 * FEE, slippage_bps=1e4 * SLIPPAGE)


def screened(bars, long, costs=DEAR):
    frame = pd.DataFrame(long, index=bars.times, columns=pd.Index(bars.symbols, name="symbol"))
    return ScreenMarket.of(bars, costs, ends={}).account(frame.to_numpy())


def test_three_bars_by_hand(bars_of):
    bars = bars_of([[100.0], [110.0], [120.0]], [[105.0], [115.0], [125.0]])
    account = screened(bars, [[True], [False], [True]])
    bought = 100_000 / ((1 + FEE) * 110 * (1 + SLIPPAGE))  # all the cash, at the second open
    proceeds = bought * 120 * (1 - SLIPPAGE)  # at the third open; what the third close says comes too late
    expected = [100_000, bought * 115, proceeds * (1 - FEE)]
    assert account.equity.tolist() == pytest.approx(expected, rel=1e-12)
    paid = bought * 110 * (1 + SLIPPAGE)
    performance = account.performance(bars.interval)
    traded = performance.turnover * account.equity.mean() * performance.bars / performance.per_year
    assert performance.fills == 2
    assert traded == pytest.approx(paid + proceeds, rel=1e-12)
    assert 100_000 * performance.costs == pytest.approx(FEE * (paid + proceeds), rel=1e-12)


def test_without_costs_it_is_the_price(bars_of):
    bars = bars_of([[100.0], [110.0], [120.0]], [[105.0], [115.0], [125.0]])
    free = costs.binance_spot(taker_bps=0, slippage_bps=0)
    assert screened(bars, [[True], [True], [True]], free).equity.tolist() == pytest.approx(
        [100_000, 100_000 * 115 / 110, 100_000 * 125 / 110], rel=1e-12
    )
    assert screened(bars, [[False]] * 3, free).equity.tolist() == [100_000] * 3


def test_two_symbols_share_the_account(bars_of):
    opens = [[100.0, 10.0], [100.0, 10.0], [120.0, 8.0], [120.0, 8.0]]
    bars = bars_of(opens, opens)
    free = costs.binance_spot(taker_bps=0, slippage_bps=0)
    equity = screened(bars, [[True, True], [True, False], [True, True], [True, True]], free).equity
    # 500 of one and 5,000 of the other, worth 60,000 and 40,000 at the third open, where the second is sold.
    assert equity.tolist() == pytest.approx([100_000, 100_000, 100_000, 100_000], rel=1e-12)
    later = screened(bars, [[True, False], [False, True], [False, True], [False, True]], free).equity
    assert later.tolist() == pytest.approx([100_000, 100_000, 110_000, 110_000], rel=1e-12)


def test_given_trades_by_hand(bars_of):
    bars = bars_of([[100.0, 10.0], [110.0, 11.0]], [[105.0, 10.5], [100.0, 12.0]])
    quantities = np.array([[2.0, 0.0], [-1.0, 30.0]])
    equity = equity_of_fills(bars, quantities, fee_rate=FEE, starting_cash=1_000.0)
    first = 1_000 - 200 * (1 + FEE)
    second = first + 110 * (1 - FEE) - 330 * (1 + FEE)
    assert equity.tolist() == pytest.approx([first + 2 * 105, second + 100 + 30 * 12], rel=1e-12)


def test_where_to_be_long_is_where_the_one_number_is_above_zero():
    frame = pd.DataFrame({"BTC/USDT": [1.0, -1.0, 0.0, np.nan]})
    hour = timedelta(hours=1)
    wide = frame * 0 + 50.0
    for views in (
        ViewPanel(hour, score=frame),
        ViewPanel(hour, mean_bps=frame, std_bps=wide),
        ViewPanel(hour, quantiles_bps={0.1: frame - 9, 0.45: frame, 0.9: frame + 9}),
    ):
        assert position(views)["BTC/USDT"].tolist() == [True, False, False, False]
        assert one_number(views).equals(frame)


@pytest.mark.parametrize(
    ("agent", "grid"),
    [
        (AGENT, {"slow": [20, 12], "fast": [6, 3]}),
        (AGENT, {"fast": [5, 2, 3]}),
        (AGENT, {"horizon": [timedelta(hours=4), timedelta(hours=2)]}),
        (BuyAndHold(), {"symbols": [("BTC/USDT",), (), ("ETH/USDT",)]}),
        (RandomWalk(), {"lookback": [10, 5]}),
    ],
    ids=["two", "one", "durations", "symbols", "never long"],
)
def test_a_sweep_is_the_screens_in_it(make_study, agent, grid):
    study = make_study()
    swept = study.sweep(agent, **grid)
    for values, performance in zip(swept.values, swept.performances, strict=True):
        alone = study.screen(agent.replace(**dict(zip(swept.names, values, strict=True)))).performance
        assert performance.total_return == pytest.approx(alone.total_return, rel=1e-12, abs=1e-15)
        assert performance.row() == alone.row()
    assert len({row.total_return for row in swept.performances}) == (
        1 if "horizon" in grid or "lookback" in grid else len(swept.values)
    )
    assert json.loads(json.dumps(swept.as_dict(), allow_nan=False))["rows"]


def test_what_the_agent_refuses_is_named(make_study):
    swept = make_study().sweep(AGENT, fast=[12, 3, 20], slow=[12, 6])
    assert swept.values == ((3, 12), (3, 6))
    assert swept.refused == ((12, 12), (12, 6), (20, 12), (20, 6))
    assert "4 refused by the agent (fast=12, slow=12; fast=12, slow=6; fast=20, slow=12; ...)" in swept.caption
    facts = swept.as_dict()
    assert facts["refused"][-1] == {"fast": 20, "slow": 6}
    assert [row["parameters"] for row in facts["rows"]] == [{"fast": 3, "slow": 12}, {"fast": 3, "slow": 6}]


def test_a_sweep_s_values_are_json_whatever_they_are(make_study):
    swept = make_study().sweep(AGENT, horizon=[timedelta(hours=2), timedelta(hours=36)])
    assert [row["parameters"] for row in swept.as_dict()["rows"]] == [{"horizon": "2h"}, {"horizon": "1d12h"}]
    assert [line[0] for line in swept.table()[1]] == ["2h", "1d12h"]


def test_the_table_shows_the_five_that_luck_helped_most(make_study):
    swept = make_study().sweep(AGENT, fast=[2, 3, 4, 5, 6, 7, 8])
    sharpes = {str(values[0]): row.sharpe for values, row in zip(swept.values, swept.performances, strict=True)}
    header, lines = swept.table()
    assert header[0] == "fast"
    assert [line[0] for line in lines] == sorted(sharpes, key=sharpes.get, reverse=True)[:5]


def test_a_screen_is_of_the_tested_bars(make_study):
    study = make_study()
    screen = study.screen(AGENT)
    assert screen.equity.index.equals(study.tested.times)
    assert screen.equity.iloc[0] == 100_000
    assert screen.performance.fills > 10
    assert screen.as_dict()["bars"] == 154
