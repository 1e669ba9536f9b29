"""Views over whole panels: one kind, one index, nothing before the warm-up; and what came afterwards."""

from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
import pytest

from sapphire.agents import (
    Agent,
    MovingAverageCross,
    RandomWalk,
    ViewPanel,
    horizon_bars,
    kind_stated,
    outcomes_bps,
    view_panel,
    views_at,
    window_panel,
)
from sapphire.domain import Interval
from sapphire.domain.errors import AgentError

HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Quantiles(Agent):
    """States three quantiles around the last return."""

    horizon: timedelta = HOUR
    warmup: int = 2

    def views(self, window):
        last = 1e4 * (window.panel("close").iloc[-1] / window.panel("close").iloc[-2] - 1.0)
        return window.views(quantiles={0.1: last - 20.0, 0.5: last, 0.9: last + 20.0}, horizon=self.horizon)


def test_a_panel_states_exactly_one_thing(bars):
    frame = bars.frame("close")
    for wrong in ({}, {"mean_bps": frame}, {"score": frame, "mean_bps": frame, "std_bps": frame}):
        with pytest.raises(AgentError, match="must state one thing"):
            ViewPanel(horizon=HOUR, **wrong)
    with pytest.raises(AgentError, match="do not fit each other"):
        ViewPanel(horizon=HOUR, mean_bps=frame, std_bps=frame.iloc[1:])
    assert ViewPanel(horizon=HOUR, score=frame).kind == "score"
    assert ViewPanel(horizon=HOUR, mean_bps=frame, std_bps=frame).kind == "forecast"


def test_an_agent_without_a_twin_goes_window_by_window(bars):
    panel = view_panel(Quantiles(), bars)
    assert panel.kind == kind_stated(Quantiles(), bars) == "quantiles"
    assert list(panel.numbers) == ["q0.1", "q0.5", "q0.9"]
    assert not panel.spoken().iloc[0].any()
    assert panel.spoken().iloc[1:].all(axis=None)
    row = panel.numbers["q0.5"].iloc[17]
    moves = 1e4 * (bars.close[17] / bars.close[16] - 1.0)
    assert row.to_numpy() == pytest.approx(moves, rel=1e-12)


def test_nobody_is_asked_before_the_warm_up(bars):
    agent = MovingAverageCross(fast=2, slow=10)
    assert views_at(agent, bars, 8) == []
    assert [view.symbol for view in views_at(agent, bars, 9)] == list(bars.symbols)
    spoken = view_panel(agent, bars).spoken()
    assert not spoken.iloc[:9].any(axis=None)
    assert spoken.iloc[9:].all(axis=None)


def test_a_twin_that_is_about_other_bars_is_refused(bars):
    @dataclass(frozen=True)
    class Elsewhere(MovingAverageCross):
        def views_panel(self, bars):
            return super().views_panel(bars.rows(1, len(bars)))

    with pytest.raises(AgentError, match="not about its bars"):
        view_panel(Elsewhere(), bars)


def test_where_a_twin_is_compared_cannot_be_foreseen(bars):
    """It is right at the bars that their number alone would draw, and wrong at all others."""
    agent = MovingAverageCross(fast=2, slow=10)

    @dataclass(frozen=True)
    class Elsewhere(MovingAverageCross):
        def views_panel(self, bars):
            panel = super().views_panel(bars)
            rows = np.random.default_rng(len(bars)).choice(np.arange(self.warmup - 1, len(bars)), 32, replace=False)
            side = np.where(np.isin(np.arange(len(bars)), rows), 1.0, -1.0)
            return replace(panel, score=panel.score.mul(side, axis=0))

    assert view_panel(Elsewhere(fast=2, slow=10), bars).score.equals(window_panel(agent, bars).score)


def test_views_of_two_kinds_do_not_form_a_panel(bars):
    @dataclass(frozen=True)
    class Fickle(Quantiles):
        def views(self, window):
            if window.bars.open_time_ns[-1] // window.interval.ns % 2:
                return super().views(window)
            return window.views(score=window.panel("close").iloc[-1], horizon=self.horizon)

    @dataclass(frozen=True)
    class Farsighted(Quantiles):
        def views(self, window):
            return [replace(view, horizon=2 * self.horizon) for view in super().views(window)]

    for agent in (Fickle(), Farsighted()):
        with pytest.raises(AgentError, match="do not form a panel"):
            window_panel(agent, bars)


def test_a_half_stated_forecast_is_none(bars):
    frame = bars.frame("close")
    holed = frame.copy()
    holed.iloc[3, 0] = np.nan
    cut = ViewPanel(horizon=HOUR, mean_bps=holed, std_bps=frame).silent_before(1)
    assert cut.std_bps.isna().sum().sum() == 3
    assert np.isnan(cut.std_bps.iloc[3, 0])


def test_outcomes_look_one_horizon_ahead_and_no_further(bars):
    outcomes = outcomes_bps(bars, HOUR)
    assert outcomes.iloc[5].to_numpy() == pytest.approx(1e4 * (bars.close[17] / bars.close[5] - 1.0), rel=1e-12)
    assert outcomes.iloc[-12:].isna().all(axis=None)
    assert outcomes.iloc[:-12].notna().all(axis=None)
    assert outcomes_bps(bars.rows(0, 5), HOUR).isna().all(axis=None)


def test_outcomes_over_a_gap_or_a_missing_bar_are_not_known(bars, make_hole):
    gapped = replace(
        bars, open_time_ns=bars.open_time_ns + np.where(np.arange(len(bars)) >= 100, 10 * bars.interval.ns, 0)
    )
    outcomes = outcomes_bps(gapped, HOUR)
    assert outcomes.iloc[88:100].isna().all(axis=None)
    assert outcomes.iloc[[87, 100]].notna().all(axis=None)
    holed = outcomes_bps(make_hole(bars, "ETH/USDT", [100]), HOUR)
    assert np.flatnonzero(holed["ETH/USDT"].iloc[:-12].isna()).tolist() == [88, 100]
    assert holed["BTC/USDT"].iloc[:-12].notna().all()


@pytest.mark.parametrize("horizon", [timedelta(minutes=7), timedelta(minutes=1), timedelta(0)])
def test_a_horizon_that_bars_cannot_measure_is_refused(bars, horizon):
    with pytest.raises(AgentError, match="multiple of 5m"):
        horizon_bars(horizon, bars.interval)
    assert horizon_bars(HOUR, Interval("15m")) == 4


def test_an_agent_that_never_speaks_has_an_empty_panel(bars):
    from sapphire.agents import Cash

    assert kind_stated(Cash(), bars) is None
    assert window_panel(Cash(), bars).score.isna().all(axis=None)
    assert view_panel(RandomWalk(lookback=3), bars.rows(0, 2)).mean_bps.isna().all(axis=None)


@dataclass(frozen=True)
class Momentum(Agent):
    """Reads a feature by its name."""

    length: int = 12
    horizon: timedelta = HOUR

    @property
    def features(self):
        return (f"log_return_{self.length}",)

    @property
    def warmup(self):
        return self.length + 1

    def views(self, window):
        return window.views(score=window.feature(self.features[0]).iloc[-1], horizon=self.horizon)


def test_windows_have_the_features_that_an_agent_names(bars):
    from sapphire.agents import Calibrated, Pool, check_agent, features_of

    (first, _) = views_at(Momentum(), bars, 100)
    assert first.score == pytest.approx(np.log(bars.close[100, 0] / bars.close[88, 0]), rel=1e-12)
    pool = Pool((Momentum(), Momentum(length=5)))
    assert pool.features == ("log_return_12", "log_return_5")
    assert list(features_of(Calibrated(Momentum()))) == ["log_return_12"]
    assert views_at(pool.fit(bars, seed=1), bars, 100)
    report = check_agent(Momentum(), bars)
    assert report.ok, str(report)
    assert "feature log_return_12, in bulk against bar by bar" in [row.check for row in report.rows]
