"""Universes whose members come and go: a symbol that ends is paid out at its last price, with a mark."""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pytest

from sapphire.agents import Agent, ViewPanel
from sapphire.data import snapshot
from sapphire.research import walk_forward
from sapphire.research.runs.delisting import Settlement, ends_of

CASES = {"ends": slice(700, 2000), "begins": slice(0, 800), "hole": slice(700, 730), "ends early": slice(150, 2000)}


@dataclass(frozen=True)
class Keen(Agent):
    """Believes in whatever there is, at every bar."""

    horizon: timedelta = timedelta(hours=6)

    @property
    def warmup(self):
        return 2

    def views(self, window):
        close = window.panel("close").iloc[-1]
        return window.views(mean_bps=close * 0 + 40.0, std_bps=close * 0 + 60, horizon=self.horizon)

    def views_panel(self, bars):
        close = bars.frame("close")
        return ViewPanel(self.horizon, mean_bps=close * 0 + 40.0, std_bps=close * 0 + 60)


@pytest.fixture
def study_of(make_study, walked, unlisted):
    """A study of 2,000 bars in which ETH is not listed in some rows."""

    def make(rows, **more):
        bars = unlisted(walked(length=2_000), "ETH/USDT", rows)
        return make_study(bars, split=walk_forward(train="200h", test="800h", embargo="5h"), **more)

    return make


def test_ends_are_those_that_never_come_back(walked, unlisted):
    bars = walked(length=60)
    assert ends_of(bars) == {}
    assert ends_of(unlisted(bars, "ETH/USDT", slice(0, 10))) == {}
    assert ends_of(unlisted(bars, "ETH/USDT", slice(20, 30))) == {}
    assert ends_of(unlisted(bars, "ETH/USDT", slice(0, 60))) == {}
    ended = unlisted(unlisted(bars, "ETH/USDT", slice(20, 30)), "ETH/USDT", slice(50, 60))
    assert ends_of(ended) == {"ETH/USDT": int(bars.close_time_ns[50])}


def test_what_is_held_of_a_symbol_that_ends_is_paid_out_at_its_last_close(study_of):
    """Today's case: MissingData on the 57th day without a bar of a symbol that is held."""
    study = study_of(CASES["ends"])
    run = study.replay(Keen())
    bars, record = study.tested, run.record
    end = int(np.flatnonzero(~bars.listed[:, 1])[0])
    assert len(bars) - end > 1_000
    (paid,) = record["settlements"]
    positions = record["equity"]["position_atoms"][:, 1]
    assert positions[end] > 0
    assert not positions[end + 1 :].any()
    assert paid == Settlement(
        int(bars.close_time_ns[end]),
        "ETH/USDT",
        int(positions[end]),
        round(100 * bars.close[end - 1, 1]),
        int(positions[end]) * round(100 * bars.close[end - 1, 1]) * 10**6 // 10**8,
    )
    cash = record["equity"]["cash_quote_atoms"]
    spent = sum(int(fill) for fill in record["fills"]["quote_atoms"][record["fills"]["time_ns"] > paid.close_ns])
    assert cash[end] < cash[end] + paid.quote_atoms <= cash[-1] + spent
    assert "ETH/USDT" not in {
        symbol
        for symbol, time_ns in zip(record["fills"]["symbol"], record["fills"]["time_ns"], strict=True)
        if time_ns >= paid.close_ns
    }
    assert len(record["denials"]["order"]) == 0


def test_a_settlement_is_marked_wherever_the_replay_is_shown(study_of):
    run = study_of(CASES["ends"]).replay(Keen())
    assert "DELISTED and settled at the last price: ETH/USDT" in run.caption
    assert run.as_dict()["settled"] == ["ETH/USDT"]
    assert run.table()[1][0][0] == "keen (settled at the last price: ETH/USDT)"
    (row,) = run.settlements.to_dict("records")
    assert row["quote"] == pytest.approx(row["price"] * row["quantity"], rel=1e-9)


@pytest.mark.parametrize("case", ["begins", "hole", "ends early"])
def test_what_begins_later_or_comes_back_is_not_paid_out(study_of, case):
    study = study_of(CASES[case])
    run = study.replay(Keen())
    assert run.record["settlements"] == []
    assert "DELISTED" not in run.caption
    positions = run.record["equity"]["position_atoms"][:, 1]
    listed = study.tested.listed[:, 1]
    assert bool(positions[1:].any()) is bool(listed.any())
    if case == "begins":
        assert not positions[: np.flatnonzero(listed)[0] + 1].any()


@pytest.mark.parametrize("rows", [slice(180, 300), slice(0, 180), slice(180, 190), slice(90, 300)])
def test_screens_and_comparisons_hold_with_members_that_come_and_go(make_study, walked, unlisted, rows):
    study = make_study(unlisted(walked(), "ETH/USDT", rows))
    screened = study.screen(Keen())
    equity = screened.equity.to_numpy()
    assert np.isfinite(equity).all()
    assert screened.performance.fills > 0
    end = int(np.flatnonzero(~study.tested.listed[:, 1])[0])
    if rows.stop == 300 and end:
        btc = study.tested.close[end:, 0]
        moves = np.diff(equity[end:]) / np.diff(btc)
        assert np.ptp(moves) < 1e-6 * abs(moves[0])  # nothing but BTC moves it any more
    assert study.compare(Keen())


def test_a_screen_trades_what_changed_in_a_hole_at_the_first_open_after_it(make_study, bars_of, unlisted):
    closes = np.column_stack([np.full(300, 100.0), 50.0 * 1.01 ** np.arange(300)])
    study = make_study(unlisted(bars_of(closes, closes), "ETH/USDT", slice(150, 160)))
    equity = study.screen(Keen()).equity
    before = study.tested.times.get_loc(study.tested.times[~study.tested.listed[:, 1]][0])
    assert len(set(equity.iloc[before - 1 : before + 10])) == 1
    assert equity.iloc[before + 10] > equity.iloc[before + 9]


def test_a_generated_universe_whose_member_is_listed_later_can_be_studied(make_study):
    data = snapshot(["BTC/USDT", "SOL/USDT"], interval="1d", start="2020-01-01", end="2021-06-01", source="embedded")
    listed = data.bars.listed[:, 1]
    assert listed.any()
    assert not listed.all()
    study = make_study(data=data, holdout="60d", split=walk_forward(train="90d", test="120d", embargo="5d"))
    run = study.replay(Keen(horizon=timedelta(days=2)))
    assert run.record["equity"]["position_atoms"][:, 1].any()
    assert run.record["settlements"] == []
