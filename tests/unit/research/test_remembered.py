"""An agent without a twin is asked about a window once, however many training windows hold it."""

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

import numpy as np
import pytest

from sapphire.agents import Agent, MovingAverageCross, view_panel, window_panel
from sapphire.agents.panels import views_at
from sapphire.agents.remembered import Remembered
from sapphire.research.runs.walking import walk_beliefs, walk_views


@dataclass(frozen=True)
class Slow(Agent):
    """How far the close moved over some bars; it counts how often it is asked about a moment."""

    lookback: float = 6
    horizon: timedelta = timedelta(hours=2)
    asked: ClassVar[Counter] = Counter()

    @property
    def warmup(self):
        return int(self.lookback) + 1

    def views(self, window):
        Slow.asked[window.as_of] += 1
        close = window.panel("close")
        return window.views(score=close.iloc[-1] / close.iloc[0] - 1.0 + self.lookback % 1, horizon=self.horizon)


@pytest.fixture(autouse=True)
def nothing_asked():
    Slow.asked.clear()


def quiet(*_):
    pass


def walked_by(study, agent):
    return walk_beliefs(agent, study.evaluation, study.folds, seed=study.seed, on_progress=quiet)


def test_a_study_asks_about_each_window_once(make_study):
    study = make_study()
    alone = walked_by(study, Slow())
    assert max(Slow.asked.values()) > 2  # training windows overlap
    Slow.asked.clear()
    first = study.replay(Slow())
    assert set(Slow.asked.values()) == {1}
    again = study.replay(Slow())
    study.screen(Slow())
    study.compare(Slow())
    assert set(Slow.asked.values()) == {1}
    assert np.array_equal(first.returns, again.returns)
    with study._remembered.open():
        remembered = walked_by(study, Slow())
    assert np.array_equal(alone.mean_bps, remembered.mean_bps, equal_nan=True)
    assert np.array_equal(alone.std_bps, remembered.std_bps, equal_nan=True)
    assert set(Slow.asked.values()) == {1}


def test_looking_again_counts_again(make_study):
    study = make_study()
    study.replay(Slow())
    lines = study.ledger.trials(*study.span).rows
    study.replay(Slow())
    assert len(study.ledger.trials(*study.span).rows) == len(lines)  # the same trial,
    assert study.replay(Slow(lookback=9)).trials == study.replay(Slow()).trials == 2  # and another


@pytest.mark.parametrize("other", [Slow(lookback=7), Slow(lookback=6.0), Slow(horizon=timedelta(hours=3))])
def test_another_parameter_is_another_agent(make_study, other):
    bars, remembered = make_study().evaluation, Remembered()
    with remembered.open():
        views_at(Slow(), bars, 20)
        assert views_at(other, bars, 20) == other.views(window_of(other, bars, 20))
    assert Slow.asked[window_of(other, bars, 20).as_of] == 3


def window_of(agent, bars, row):
    from sapphire.agents.panels import window_at

    return window_at(agent, bars, row)


def test_another_method_is_another_agent(make_study, monkeypatch):
    bars = make_study().evaluation
    with Remembered().open():
        assert views_at(Slow(), bars, 20)
        monkeypatch.setattr(Slow, "views", lambda self, window: [])
        assert views_at(Slow(), bars, 20) == []


def test_a_window_across_a_gap_is_another_window(make_study):
    bars = make_study().evaluation
    kept = np.r_[0:16, 18 : len(bars)]
    with_gap = type(bars)(
        symbols=bars.symbols,
        interval=bars.interval,
        open_time_ns=bars.open_time_ns[kept],
        listed=bars.listed[kept],
        **{name: getattr(bars, name)[kept] for name in ("open", "high", "low", "close", "volume")},
    )
    with Remembered().open():
        whole, cut = views_at(Slow(), bars, 20), views_at(Slow(), with_gap, 18)
    assert whole[0].as_of == cut[0].as_of
    assert cut == Slow().views(window_of(Slow(), with_gap, 18)) != whole


def test_a_twin_is_compared_with_views_that_are_asked_anew(make_study, monkeypatch):
    bars, agent, asked = make_study().evaluation, MovingAverageCross(fast=3, slow=12), []
    views = MovingAverageCross.views
    monkeypatch.setattr(MovingAverageCross, "views", lambda self, window: asked.append(1) or views(self, window))
    with Remembered().open():
        view_panel(agent, bars)
        once = len(asked)
        view_panel(agent, bars)
    assert len(asked) == 2 * once > 0


def test_only_the_agents_asked_last_are_remembered(make_study):
    bars, remembered = make_study().evaluation, Remembered()
    with remembered.open():
        for lookback in range(2, 12):
            window_panel(Slow(lookback=lookback), bars)
        Slow.asked.clear()
        window_panel(Slow(lookback=11), bars)
        assert not Slow.asked
        window_panel(Slow(lookback=2), bars)
        assert Slow.asked


def test_nothing_is_remembered_outside(make_study):
    study = make_study()
    for _ in range(2):
        walk_views(Slow(), study.evaluation, study.folds, seed=study.seed, on_progress=quiet)
    assert set(Slow.asked.values()) == {2}
