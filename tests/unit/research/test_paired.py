"""Two accounts side by side, and the trades of one on the market's candles."""

import pickle
from datetime import timedelta

import numpy as np
import pytest

import sapphire as sp
from sapphire.agents import Cash, MovingAverageCross
from sapphire.domain.errors import MissingData, StudyError, UnknownInstrument
from sapphire.research import walk_forward
from sapphire.statistics import one_sided_difference

AGENT = MovingAverageCross(fast=3, slow=12, horizon=timedelta(hours=2))
SLOWER = AGENT.replace(fast=5, slow=30)


@pytest.fixture(scope="module")
def trending(bars_of):
    """Hourly bars of two symbols whose drift turns every two days, so that a trend follower trades."""
    dice = np.random.default_rng(5)
    drift = np.repeat(dice.choice([-1.0, 1.0], 12), 45)[:, None] * 0.0032
    start = np.array([42_000.0, 2_500.0])
    closes = start * np.exp(np.cumsum(dice.normal(0.0, 0.004, (540, 2)) + drift, axis=0))
    return bars_of(np.vstack([start, closes[:-1]]), closes)


@pytest.fixture(scope="module")
def both(studies_in, trending, tmp_path_factory):
    """A study with two replays and a screen."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SAPPHIRE_HOME", str(tmp_path_factory.mktemp("paired")))
        study = studies_in()(trending)
        yield study, study.replay(AGENT), study.replay(SLOWER), study.screen(AGENT)


def test_the_difference_is_that_of_returns_at_the_same_closes(both):
    _, one, other, _ = both
    found = sp.compare(one, other)
    first, second = one.returns, other.returns
    expected = one_sided_difference(first.to_numpy(), second.to_numpy(), seed=0, method="hac")
    assert found.difference.mean == pytest.approx((first - second).mean())
    assert found.difference.standard_error == pytest.approx(expected.standard_error)
    assert found.frame["difference"].to_numpy() == pytest.approx((first - second).to_numpy())
    assert len(found) == len(found.frame) == len(first)
    assert found.per_year == pytest.approx(8_760.0)
    values = found.as_dict()
    assert values["mean_difference_per_year"] == pytest.approx(8_760.0 * (first - second).mean())
    assert 0.0 < values["p_value"] < 1.0


def test_pairing_tells_two_agents_apart_by_less_than_each_from_cash(both):
    _, one, other, _ = both
    found = sp.compare(one, other)
    alone = one_sided_difference(one.returns.to_numpy(), np.zeros(len(one.returns)), seed=0, method="hac")
    assert found.difference.standard_error < alone.standard_error


def test_it_says_what_is_paired_and_that_it_is_no_evidence(both):
    _, one, other, _ = both
    found = sp.compare(one, other)
    assert f"at the {len(one.equity):,} closes that both have" in found.caption
    assert "not evidence" in found.caption
    assert "recorded candles (binance spot)" in found.caption
    assert found.names == ("moving-average-cross(fast=3, slow=12)", "moving-average-cross(fast=5, slow=30)")
    header, lines = found.table()
    assert [line[0] for line in lines] == [*found.names, "first less second"]
    assert all(len(line) == len(header) for line in lines)
    assert "±" in lines[2][2]


def test_there_is_one_plot_of_both_equities_and_the_difference_with_its_error(both):
    _, one, other, _ = both
    found = sp.compare(one, other)
    (figure,) = found.figures
    curves = {trace.name: trace for trace in figure.data}
    assert curves[found.names[0]].y.tolist() == (one.worth / one.worth[0]).tolist()
    assert curves[found.names[1]].y.tolist() == (other.worth / other.worth[0]).tolist()
    assert "buy and hold" in curves
    added = curves["first less second"].y
    assert added[-1] == pytest.approx(100 * (one.returns - other.returns).sum())
    width = curves["± 2 standard errors of no difference"].y
    assert width[-1] == pytest.approx(200 * found.difference.standard_error * len(added))
    low, high = figure.layout.yaxis2.range
    assert low < -max(width) < max([*added, *width]) < high
    assert "not evidence" in figure.layout.title.text


def test_a_screen_is_compared_with_a_replay_and_each_is_named_for_what_it_is(both):
    _, one, _, screen = both
    found = sp.compare(one, screen)
    assert found.names[0].endswith("replayed (latency)")
    assert found.names[1].endswith("screened")


def test_windows_that_overlap_are_paired_where_they_do(studies_in, trending, both, tmp_path, monkeypatch):
    monkeypatch.setenv("SAPPHIRE_HOME", str(tmp_path))
    _, one, _, _ = both
    later = studies_in()(trending, split=walk_forward(train="200h", test="60h", embargo="5h")).replay(AGENT)
    found = sp.compare(one, later)
    common = one.equity.index.intersection(later.equity.index)
    assert 30 < len(common) < len(one.equity)
    assert found.growth.index.equals(common)
    assert found.growth.iloc[0].tolist() == [1.0, 1.0]


def test_two_that_did_the_same_are_said_to_have(both, make_study):
    _, one, _, _ = both
    same = sp.compare(one, one)
    assert same.difference is None
    assert "earned the same at every close" in same.caption
    assert same.as_dict()["mean_difference_per_year"] == 0.0
    assert same.figure.to_dict()["data"]
    idle = make_study().replay(Cash(horizon=timedelta(hours=1)))
    assert "earned the same" in repr(sp.compare(idle, idle))


def test_what_cannot_be_paired_is_refused_in_words(both, studies_in, make_study, walked, bars_of):
    study, one, _, _ = both
    with pytest.raises(StudyError, match="not an account") as refused:
        sp.compare(one, study.trials())
    assert "study.replay(agent)" in refused.value.expected
    with pytest.raises(StudyError, match="not an account"):
        sp.compare(AGENT, SLOWER)
    late = make_study(walked(300, rows=np.arange(1_000, 1_300))).screen(AGENT)
    with pytest.raises(StudyError, match="too few closes") as refused:
        sp.compare(one, late)
    assert refused.value.got.startswith("0: 2024-01-05")


def test_a_comparison_is_a_value_too(both):
    _, one, other, _ = both
    found = sp.compare(one, other)
    assert pickle.loads(pickle.dumps(found)) == found
    assert sp.compare(other, one) != found


def test_trades_stand_on_the_candles_with_the_view_and_the_position_below(both):
    study, one, _, _ = both
    figure = one.plot()
    traces = {trace.name: trace for trace in figure.data}
    assert traces["BTC/USDT"].type == "candlestick"
    fills = one.fills[one.fills["symbol"] == "BTC/USDT"]
    assert {"BUY", "SELL"} == set(fills["side"])
    for side, name in (("BUY", "bought"), ("SELL", "sold")):
        mine = fills[fills["side"] == side]
        points = np.asarray(traces[name].customdata)
        assert points[:, 0].sum() == pytest.approx(mine["quantity"].sum())
        assert (points[:, 0] * points[:, 1]).sum() == pytest.approx((mine["quantity"] * mine["price"]).sum())
    candles = traces["BTC/USDT"]
    lows = dict(zip(map(str, candles.x), candles.low, strict=True))
    assert all(y < lows[str(x)] for x, y in zip(traces["bought"].x, traces["bought"].y, strict=True))
    believed = one.beliefs["mean_bps"]["BTC/USDT"]
    assert traces["believed, ± 1 SD"].y[-1] == believed.iloc[-1]
    closes = study.tested.frame("close")["BTC/USDT"]
    share = 100 * one.positions["BTC/USDT"] * closes / one.equity
    assert traces["held"].y[-1] == pytest.approx(share.iloc[-1])
    low = figure.layout.yaxis2.range[0]
    assert low < np.nanmin(believed - one.beliefs["std_bps"]["BTC/USDT"])


def test_a_symbol_and_a_time_are_chosen(both):
    _, one, _, _ = both
    figure = one.plot("ETH/USDT", start="2024-01-10", end="2024-01-12")
    assert "ETH/USDT, 1h candles" in figure.layout.title.text
    assert len(figure.data[0].x) == 48
    with pytest.raises(UnknownInstrument):
        one.plot("LTC/USDT")
    with pytest.raises(MissingData, match="no tested bar"):
        one.plot(start="2030-01-01", end="2030-02-01")
