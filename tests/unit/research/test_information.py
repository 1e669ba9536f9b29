"""Information is measured on the tested bars alone, over horizons in time and not in rows."""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pytest

from sapphire.agents import Agent, MovingAverageCross, ViewPanel
from sapphire.domain.errors import AgentError

AGENT = MovingAverageCross(fast=3, slow=12, horizon=timedelta(hours=2))


@dataclass(frozen=True)
class Reversal(Agent):
    """Expects the last bar to be undone."""

    horizon: timedelta = timedelta(hours=1)

    @property
    def warmup(self):
        return 2

    def views(self, window):
        close = window.panel("close")
        return window.views(score=1 - close.iloc[-1] / close.iloc[-2], horizon=self.horizon)

    def views_panel(self, bars):
        close = bars.frame("close")
        return ViewPanel(self.horizon, score=1 - close / close.shift(1))


def swinging(bars_of, length=300):
    """Closes that go up and down in turn, by dice: a reversal knows the next bar's side and nothing further."""
    moves = np.random.default_rng(5).uniform(0.002, 0.01, (length, 2)) * np.where(np.arange(length) % 2, 1, -1)[:, None]
    closes = np.array([42_000.0, 2_500.0]) * np.exp(np.cumsum(moves, axis=0))
    return bars_of(closes, closes)


def test_what_is_known_for_one_bar_shows_at_one_bar(make_study, bars_of):
    report = make_study(swinging(bars_of)).information(Reversal())
    by_horizon = {row.horizon_bars: row for row in report.decay}
    assert by_horizon[1].mean > 0.7
    assert by_horizon[1].mean > by_horizon[1].standard_error * 10
    assert abs(by_horizon[2].mean) < 0.3
    assert by_horizon[1].times == 154  # the outcome of the last tested bar lies in the hold-out
    assert report.quantiles[0].mean < 0 < report.quantiles[-1].mean


def test_outcomes_in_the_hold_out_are_not_looked_at(make_study, walked, changed):
    plain = make_study().information(AGENT)
    spoiled = make_study(changed(walked(), slice(260, None), 3.0)).information(AGENT)
    assert plain.as_dict() == spoiled.as_dict()


def test_across_a_gap_a_horizon_is_as_long_as_elsewhere(make_study, walked):
    rows = np.concatenate([np.arange(200), np.arange(207, 307)])  # seven bars that the venue never made
    report = make_study(walked(rows=rows), split=make_study().split).information(AGENT)
    tested = report.study.tested
    opens = set(tested.open_time_ns.tolist())
    assert len(tested) < (tested.open_time_ns[-1] - tested.open_time_ns[0]) // tested.interval.ns + 1
    for row in report.decay:
        with_outcome = sum(int(at) + row.horizon_bars * tested.interval.ns in opens for at in tested.open_time_ns)
        assert row.times == with_outcome


def test_horizons_beyond_the_tested_bars_are_left_out(make_study):
    report = make_study().information(AGENT.replace(horizon=timedelta(hours=48)))
    assert [row.horizon_bars for row in report.decay] == [12, 24, 48, 96]


def test_a_horizon_that_is_no_number_of_bars_is_refused(make_study):
    study = make_study()
    with pytest.raises(AgentError, match="a horizon that these bars cannot measure"):
        study.information(AGENT.replace(horizon=timedelta(minutes=90)))
    assert study.ledger.evaluations() == ()
