"""A score becomes a forecast by a calibration that was fitted on training bars alone."""

from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
import pytest
from safetensors.numpy import load, save

from sapphire.agents import (
    Agent,
    Arrays,
    BuyAndHold,
    Calibrated,
    Cash,
    MovingAverageCross,
    RandomWalk,
    check_agent,
    fitted,
    outcomes_bps,
    plain_parameters,
    view_panel,
    views_at,
)
from sapphire.domain.clocks import from_ns
from sapphire.domain.errors import AgentError, NotFitted, StatisticsError, TooFewReturns
from sapphire.domain.windows import Window
from sapphire.statistics import fit_direction_calibration, fit_score_calibration

HOUR = timedelta(hours=1)
CROSS = MovingAverageCross(fast=3, slow=12, horizon=HOUR)


@dataclass(frozen=True)
class Quantiles(Agent):
    warmup: int = 2
    horizon: timedelta = HOUR

    def views(self, window):
        last = window.panel("close").iloc[-1]
        return window.views(quantiles={0.1: last * 0 - 20.0, 0.5: last * 0, 0.9: last * 0 + 20.0}, horizon=self.horizon)


@dataclass(frozen=True)
class Memorising(Agent):
    """Learns the outcomes of its training bars by heart: perfect where it learned, worthless elsewhere."""

    warmup: int = 1
    horizon: timedelta = HOUR
    learned: Arrays = fitted()  # noqa: RUF009

    def fit(self, train, seed):
        came = outcomes_bps(train, HOUR).to_numpy()
        return self.with_arrays({"learned.ns": train.close_time_ns, "learned.came": came})

    def views(self, window):
        import pandas as pd

        place = int(np.searchsorted(self.learned["ns"], window.bars.close_time_ns[-1]))
        known = place < len(self.learned["ns"]) and self.learned["ns"][place] == window.bars.close_time_ns[-1]
        came = self.learned["came"][place] if known else np.sin(float(window.bars.close_time_ns[-1] % 997)) * np.ones(2)
        return window.views(score=pd.Series(np.nan_to_num(came), index=list(window.symbols)), horizon=self.horizon)


@dataclass(frozen=True)
class Odds(MovingAverageCross):
    """States the log-odds that the price rises, from the same averages."""

    score_is = "log_odds"
    fast: int = 3
    slow: int = 12
    horizon: timedelta = HOUR


def test_log_odds_are_calibrated_as_a_probability(bars):
    calibrated = Calibrated(Odds()).fit(bars, seed=1)
    scores, came = view_panel(Odds(), bars).score.to_numpy(), outcomes_bps(bars, HOUR).to_numpy()
    assert calibrated.calibration == fit_direction_calibration(scores, came, horizon_bars=12)
    assert calibrated.calibration.probability.method == "platt"  # 754 pairs are some 60 that share no bar
    window = Window(bars, from_ns(int(bars.close_time_ns[-1])))
    for view, raw in zip(calibrated.views(window), Odds().views(window), strict=True):
        mean, std = calibrated.calibration.apply(raw.score)
        assert (view.mean_bps, view.std_bps) == (float(mean), float(std))
    card = calibrated.card()["calibration"]
    assert card["method"] == "platt"
    assert card["pairs"] == 2 * (400 - 12 - 11)
    assert card["brier"] == pytest.approx(card["reliability"] - card["resolution"] + card["uncertainty"], abs=2e-4)
    assert {"up_mean_bps", "down_mean_bps", "kept"} <= set(card)


def test_a_kind_of_score_that_there_is_not_is_refused():
    with pytest.raises(AgentError, match="score, log_odds"):
        type("Wrong", (Odds,), {"score_is": "probability"})
    assert CROSS.score_is == "score"


def test_prices_that_only_rose_calibrate_no_probability(make_bars):
    bars = make_bars(100)
    risen = np.cumsum(np.ones_like(bars.close), axis=0) + 100.0
    rising = replace(bars, open=risen, high=risen, low=risen, close=risen)
    with pytest.raises(StatisticsError, match="each at least once"):
        Calibrated(Odds()).fit(rising, seed=1)


def test_the_calibration_is_that_of_the_training_window(bars):
    calibrated = Calibrated(CROSS).fit(bars, seed=1)
    expected = fit_score_calibration(
        view_panel(CROSS, bars).score.to_numpy(), outcomes_bps(bars, HOUR).to_numpy(), horizon_bars=12
    )
    assert calibrated.calibration == expected
    assert calibrated.horizon == HOUR
    assert calibrated.warmup == 12


@pytest.mark.parametrize("agent", [CROSS, Odds()], ids=["score", "log_odds"])
def test_nothing_after_the_training_window_moves_the_calibration(make_bars, agent):
    whole = make_bars(500, seed=4)
    other = replace(whole, close=np.where(np.arange(500)[:, None] < 300, whole.close, 2.0 * whole.close))
    first, second = (Calibrated(agent).fit(of.rows(0, 300), seed=1) for of in (whole, other))
    assert first.calibration == second.calibration
    assert Calibrated(agent).fit(whole, seed=1).calibration != first.calibration


def test_views_are_forecasts_and_beliefs_are_the_same(bars):
    calibrated = Calibrated(CROSS).fit(bars, seed=1)
    window = Window(bars, from_ns(int(bars.close_time_ns[-1])))
    for view, raw, belief in zip(
        calibrated.views(window), CROSS.views(window), calibrated.beliefs(window), strict=True
    ):
        mean, std = calibrated.calibration.apply(raw.score)
        assert (view.mean_bps, view.std_bps) == (belief.mean_bps, belief.std_bps) == (float(mean), float(std))
        assert view.score is None


def test_forecasts_and_quantiles_pass_through(bars):
    walk = Calibrated(RandomWalk(lookback=20)).fit(bars, seed=1)
    assert walk.calibration is None
    assert views_at(walk, bars, 60) == views_at(RandomWalk(lookback=20), bars, 60)
    quantiles = views_at(Calibrated(Quantiles()).fit(bars, seed=1), bars, 60)
    assert [view.mean_bps for view in quantiles] == pytest.approx([0.0, 0.0], abs=1e-12)
    assert [view.std_bps for view in quantiles] == pytest.approx([15.606, 15.606], abs=1e-3)  # 20 / z(0.9)
    assert Calibrated(Cash()).fit(bars, seed=1).calibration is None


def test_a_score_without_calibration_is_refused(bars):
    with pytest.raises(NotFitted, match="nobody knows what the score of moving-average-cross is worth"):
        views_at(Calibrated(CROSS), bars, 60)
    with pytest.raises(NotFitted, match="nobody knows"):
        view_panel(Calibrated(CROSS), bars)


def test_an_agent_that_learns_is_calibrated_on_bars_it_did_not_learn_from(bars):
    calibrated = Calibrated(Memorising()).fit(bars, seed=1)
    assert len(calibrated.agent.learned["ns"]) == 280  # 70 % of 400 bars
    assert abs(calibrated.calibration.slope_t) < 4.0
    flattered = Memorising().fit(bars, seed=1)
    came = outcomes_bps(bars, HOUR).to_numpy()
    assert fit_score_calibration(view_panel(flattered, bars).score.to_numpy(), came, horizon_bars=12).slope_t > 100.0


def test_a_constant_score_is_worth_the_drift_of_training(bars):
    bought = Calibrated(BuyAndHold(horizon=HOUR)).fit(bars, seed=1)
    assert bought.calibration.slope_bps == 0.0
    views = views_at(bought, bars, 60)
    assert {view.mean_bps for view in views} == {bought.calibration.intercept_bps}


def test_too_few_training_bars_are_refused(bars):
    with pytest.raises(TooFewReturns):
        Calibrated(CROSS).fit(bars.rows(0, 30), seed=1)


@pytest.mark.parametrize("agent", [CROSS, Odds(), RandomWalk(lookback=20), Quantiles(), Memorising()], ids=repr)
def test_arrays_travel_as_safetensors(agent, bars):
    learned = Calibrated(agent).fit(bars, seed=1)
    loaded = Calibrated(agent).with_arrays(load(save(learned.arrays())))
    assert loaded == learned
    assert views_at(loaded, bars, 399) == views_at(learned, bars, 399)


def test_strange_arrays_are_refused(bars):
    learned = Calibrated(CROSS).fit(bars, seed=1).arrays()
    with pytest.raises(AgentError, match="not a calibrated agent's"):
        Calibrated(CROSS).with_arrays({**learned, "extra": np.zeros(1)})


@pytest.mark.parametrize("agent", [CROSS, RandomWalk(lookback=20), Quantiles()], ids=repr)
def test_a_calibrated_agent_passes_the_checks_of_its_agent(agent, bars):
    report = check_agent(Calibrated(agent), bars)
    assert report.ok, str(report)


def test_card_and_parameters_name_the_agent_within(bars):
    calibrated = Calibrated(CROSS).fit(bars, seed=1)
    card = calibrated.card()
    assert card["of"]["agent"] == "moving-average-cross"
    assert card["calibration"]["pairs"] == 2 * (400 - 12 - 11)
    assert plain_parameters(calibrated) == {
        "agent": {"agent": "moving-average-cross", "parameters": {"fast": 3, "slow": 12, "horizon": "1h"}}
    }


def test_an_agent_that_never_speaks_has_a_panel_of_forecasts_all_the_same(bars):
    panel = view_panel(Calibrated(Cash()).fit(bars, seed=1), bars)
    assert panel.kind == "forecast"
    assert panel.mean_bps.isna().all(axis=None)
