"""What a study lets decide: nothing that came later, nothing of the hold-out, and training bars where one learns."""

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sapphire.agents import Agent, Arrays, MovingAverageCross, RandomWalk, ViewPanel, fitted
from sapphire.domain.clocks import from_ns, to_ns
from sapphire.domain.errors import AgentError, StudyError, TooFewReturns
from sapphire.research.results.replays import Model
from sapphire.research.runs.replaying import replay_beliefs
from sapphire.research.runs.walking import calibrated, walk_beliefs, walk_views

AGENT = MovingAverageCross(fast=3, slow=12, horizon=timedelta(hours=2))


@dataclass(frozen=True)
class Drift(Agent):
    """Learns how far its training bars moved and expects as much, whatever it is shown."""

    horizon: timedelta = timedelta(hours=1)
    learned: Arrays = fitted()  # noqa: RUF009
    lessons: ClassVar[list] = []

    @property
    def warmup(self):
        return 1

    def fit(self, train, seed):
        Drift.lessons.append((int(train.close_time_ns[0]), int(train.close_time_ns[-1]), len(train), seed))
        return self.with_arrays({"learned.bps": 1e4 * np.abs(np.diff(np.log(train.close), axis=0)).mean(axis=0)})

    def views(self, window):
        close = window.panel("close").iloc[-1]
        return window.views(mean_bps=close * 0 + self.learned["bps"], std_bps=close * 0 + 60.0, horizon=self.horizon)


@dataclass(frozen=True)
class Scorer(Drift):
    """The same as a score, which has to be calibrated."""

    def views(self, window):
        close = window.panel("close")
        return window.views(score=close.iloc[-1] - close.iloc[0] * (1 + self.learned["bps"]), horizon=self.horizon)


@dataclass(frozen=True)
class Spy(Agent):
    """A moving average that notes the latest close it was ever shown, by which method."""

    seen: ClassVar[dict] = {}
    twin: bool = True
    horizon: timedelta = timedelta(hours=2)
    learned: Arrays = fitted()  # noqa: RUF009

    @property
    def warmup(self):
        return 12

    @property
    def has_twin(self):
        return self.twin

    def note(self, method, bars):
        Spy.seen[method] = max(Spy.seen.get(method, 0), int(bars.close_time_ns[-1]))

    def fit(self, train, seed):
        self.note("fit", train)
        return self.with_arrays({"learned.nothing": np.zeros(1)})

    def views(self, window):
        self.note("views", window.bars)
        return AGENT.replace(horizon=self.horizon).views(window)

    def views_panel(self, bars):
        if not self.twin:
            return None
        self.note("panel", bars)
        return AGENT.replace(horizon=self.horizon).views_panel(bars)


@dataclass(frozen=True)
class Chaser(Agent):
    """Expects the last three bars to go on: it changes its mind often, so that there is something to decide."""

    horizon: timedelta = timedelta(hours=1)

    @property
    def warmup(self):
        return 4

    def views(self, window):
        close = window.panel("close")
        return window.views(
            mean_bps=1e4 * (close.iloc[-1] / close.iloc[-4] - 1), std_bps=close.iloc[-1] * 0 + 60, horizon=self.horizon
        )

    def views_panel(self, bars):
        close = bars.frame("close")
        return ViewPanel(self.horizon, mean_bps=1e4 * (close / close.shift(3) - 1), std_bps=close * 0 + 60)


@dataclass(frozen=True)
class Mute(Agent):
    """Never says anything, window by window."""

    horizon: timedelta = timedelta(hours=1)

    @property
    def warmup(self):
        return 2

    def views(self, window):
        return []


CHASER = Chaser()


def quiet(*_):
    """Progress that nobody follows."""


def beliefs_of(study, agent=AGENT):
    return walk_beliefs(agent, study.evaluation, study.folds, seed=study.seed, on_progress=quiet)


def same(left, right, rows=slice(None)):
    return np.array_equal(left.mean_bps[rows], right.mean_bps[rows], equal_nan=True) and np.array_equal(
        left.std_bps[rows], right.std_bps[rows], equal_nan=True
    )


def test_beliefs_have_one_row_per_tested_bar(make_study):
    study = make_study()
    panel = beliefs_of(study)
    assert panel.close_time_ns.tolist() == study.tested.close_time_ns.tolist()
    assert panel.mean_bps.shape == (155, 2)
    assert np.isfinite(panel.mean_bps).all()
    standing = panel.at(7)
    assert [belief.symbol for belief in standing] == ["BTC/USDT", "ETH/USDT"]
    assert {to_ns(belief.as_of) for belief in standing} == {int(study.tested.close_time_ns[7])}


@pytest.mark.parametrize("agent", [AGENT, CHASER, Drift(), Scorer()], ids=lambda agent: agent.name)
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(row=st.integers(1, 299), factor=st.sampled_from([0.7, 1.4]))
def test_a_bar_changes_no_belief_before_its_own_close(agent, make_study, walked, changed, row, factor):
    study, bars = make_study(), walked()
    before = int(np.searchsorted(study.tested.close_time_ns, bars.close_time_ns[row]))
    other = beliefs_of(make_study(changed(bars, [row], factor)), agent)
    assert same(beliefs_of(study, agent), other, slice(0, before))


@pytest.mark.parametrize("fold", [0, 1])
def test_nothing_behind_the_end_of_a_test_decides_before_it(make_study, walked, changed, fold):
    whole = make_study()
    end = whole.folds[fold].test_end
    first = int(np.searchsorted(whole.evaluation.close_time_ns, to_ns(end)))
    holdout = from_ns(whole.data.end_ns) - from_ns(int(whole.evaluation.close_time_ns[first - 1]))
    clean = make_study(holdout=holdout)
    spoiled = make_study(changed(walked(), slice(first, None), 1.3), holdout=holdout)
    assert len(clean.folds) == fold + 1
    runs = [study.replay(CHASER) for study in (clean, spoiled)]
    assert runs[0].digest == runs[1].digest
    assert runs[0].performance.fills > 20
    for agent in (AGENT, CHASER):
        assert same(beliefs_of(clean, agent), beliefs_of(whole, agent), slice(0, len(clean.tested)))


def test_the_market_of_a_bar_reaches_the_engine_in_that_bar_and_not_before(make_study, walked, changed):
    plain = make_study()
    row = int(np.searchsorted(walked().close_time_ns, plain.tested.close_time_ns[90]))
    other = make_study(changed(walked(), [row], 1.1)).replay(CHASER)
    plain = plain.replay(CHASER)
    assert plain.worth[:90].tolist() == other.worth[:90].tolist()
    assert plain.digest != other.digest
    opened = int(plain.study.tested.open_time_ns[90])
    earlier = [run.fills[run.record["fills"]["time_ns"] < opened] for run in (plain, other)]
    assert earlier[0].equals(earlier[1])
    assert len(earlier[0]) > 20


@pytest.mark.parametrize("model", [Model.IDEAL, Model.BOOK])
def test_the_hold_out_decides_nothing(make_study, walked, changed, model):
    plain, spoiled = make_study(), make_study(changed(walked(), slice(260, None), 2.0))
    assert plain.holdout_start == from_ns(int(walked().close_time_ns[259]))
    runs = [
        replay_beliefs(study, CHASER, beliefs_of(study, CHASER), model, on_progress=quiet) for study in (plain, spoiled)
    ]
    assert runs[0].digest == runs[1].digest
    assert runs[0].performance.fills > 20
    assert runs[0].worth.tolist() == runs[1].worth.tolist()
    assert runs[0].record["equity"]["close_ns"][-1] == to_ns(plain.holdout_start)


@pytest.mark.parametrize("twin", [True, False], ids=["twin", "window by window"])
def test_no_bar_of_the_hold_out_is_shown_to_an_agent(make_study, twin):
    Spy.seen.clear()
    study, agent = make_study(), Spy(twin=twin)
    for ask in (study.screen, study.replay, study.compare, study.information):
        ask(agent)
    study.sweep(agent, horizon=[timedelta(hours=1), timedelta(hours=2)])
    assert set(Spy.seen) == {"fit", "views", *(["panel"] if twin else [])}
    sealed = to_ns(study.holdout_start)
    assert max(Spy.seen.values()) == sealed == int(study.evaluation.close_time_ns[-1])
    assert Spy.seen["fit"] < to_ns(study.folds[-1].test_start)


@pytest.mark.parametrize("row", [20, 60, 98])
def test_training_bars_decide(make_study, walked, changed, row):
    panels = [beliefs_of(make_study(bars)) for bars in (walked(), changed(walked(), [row], 1.05))]
    tests_of_first_fold = slice(30, 60)  # past the reach of the averages into training bars
    assert not same(panels[0], panels[1], tests_of_first_fold)


def test_an_embargoed_bar_teaches_nobody(make_study, walked, changed):
    study = make_study()
    first, second, third = study.folds
    assert first.test_start - first.train_end == timedelta(hours=5)
    embargoed = np.flatnonzero(
        (walked().close_time_ns >= to_ns(first.train_end)) & (walked().close_time_ns < to_ns(first.test_start))
    )
    assert len(embargoed) == 5
    other = beliefs_of(make_study(changed(walked(), embargoed, 1.2)), Drift())
    assert same(beliefs_of(study, Drift()), other, slice(0, 60))
    assert second.train_start < first.test_start <= third.train_end
    assert not same(beliefs_of(study, Drift()), other, slice(60, 120))


def test_an_agent_that_learns_is_fitted_once_a_fold_on_its_bars(make_study):
    study = make_study(seed=11)
    Drift.lessons.clear()
    beliefs_of(study, Drift())
    hour = 3_600_000_000_000
    assert Drift.lessons == [(to_ns(fold.train_start), to_ns(fold.train_end) - hour, 100, 11) for fold in study.folds]
    Drift.lessons.clear()
    walk_views(Drift(), study.evaluation, study.folds, seed=3, on_progress=quiet)
    assert [(length, seed) for _, _, length, seed in Drift.lessons] == [(100, 3)] * 3


def test_a_score_that_was_learned_is_calibrated_inside_the_same_fold(make_study):
    study = make_study()
    Drift.lessons.clear()
    beliefs_of(study, Scorer())
    for fold in study.folds:
        mine = [lesson for lesson in Drift.lessons if lesson[0] == to_ns(fold.train_start)]
        assert mine
        assert all(last < to_ns(fold.train_end) for _, last, _, _ in mine)


def test_views_of_folds_that_learn_stand_where_their_tests_do(make_study):
    study = make_study()
    views = walk_views(Drift(), study.evaluation, study.folds, seed=7, on_progress=quiet)
    assert views.times.equals(study.tested.times)
    drifts = views.mean_bps["BTC/USDT"].to_numpy()
    assert [len(set(drifts[rows].tolist())) for rows in (slice(0, 60), slice(60, 120), slice(120, 155))] == [1, 1, 1]
    assert len(set(drifts.tolist())) == 3


@pytest.mark.parametrize("agent", [AGENT, CHASER, RandomWalk(lookback=10)], ids=lambda agent: agent.name)
def test_window_by_window_is_the_twin(make_study, agent, monkeypatch):
    study = make_study()
    quick_beliefs, quick_views = (
        beliefs_of(study, agent),
        walk_views(agent, study.evaluation, study.folds, seed=7, on_progress=quiet),
    )
    monkeypatch.setattr(type(agent), "has_twin", False)
    monkeypatch.setattr(type(agent), "views_panel", lambda self, bars: None)
    slow_beliefs, slow_views = (
        beliefs_of(study, agent),
        walk_views(agent, study.evaluation, study.folds, seed=7, on_progress=quiet),
    )
    np.testing.assert_allclose(slow_beliefs.mean_bps, quick_beliefs.mean_bps, rtol=1e-8)
    np.testing.assert_allclose(slow_beliefs.std_bps, quick_beliefs.std_bps, rtol=1e-8)
    for name, frame in quick_views.numbers.items():
        np.testing.assert_allclose(slow_views.numbers[name], frame, rtol=1e-8)


def test_without_a_twin_only_tested_bars_are_asked_about(make_study, monkeypatch):
    asked = []
    monkeypatch.setattr(MovingAverageCross, "has_twin", False)
    monkeypatch.setattr(MovingAverageCross, "views_panel", lambda self, bars: None)
    views = MovingAverageCross.views
    monkeypatch.setattr(
        MovingAverageCross, "views", lambda self, window: asked.append(to_ns(window.as_of)) or views(self, window)
    )
    study = make_study()
    walk_views(AGENT, study.evaluation, study.folds, seed=7, on_progress=quiet)
    assert asked == study.tested.close_time_ns.tolist()


def test_an_agent_that_is_silent_believes_nothing(make_study):
    study = make_study()
    panel = beliefs_of(study, Mute())
    assert np.isnan(panel.mean_bps).all()
    assert panel.mean_bps.shape == (155, 2)
    assert panel.at(3) == []
    assert len(study.replay(Mute()).record["orders"]["order"]) == 0


def test_a_score_that_training_never_showed_is_refused(make_study):
    with pytest.raises(StudyError, match="never stated its score in a training window") as refused:
        make_study().replay(MovingAverageCross(fast=3, slow=102))
    assert "warm-up of 102" in refused.value.expected
    assert refused.value.got == "100 training bars"
    with pytest.raises(TooFewReturns):
        make_study().replay(MovingAverageCross(fast=3, slow=99))


def test_a_fold_without_bars_is_refused(make_study, walked):
    rows = np.concatenate([np.arange(105), np.arange(170, 365)])
    with pytest.raises(StudyError, match="a fold without test bars"):
        make_study(walked(rows=rows)).replay(AGENT)


def test_folds_that_speak_of_different_things_are_refused(make_study, monkeypatch):
    def fickle(self, window):
        close = window.panel("close").iloc[-1]
        if to_ns(window.as_of) < to_ns(study.folds[1].test_start):
            return window.views(score=close, horizon=self.horizon)
        return window.views(mean_bps=close * 0, std_bps=close, horizon=self.horizon)

    study = make_study()
    monkeypatch.setattr(Drift, "views", fickle)
    with pytest.raises(AgentError, match="do not form a panel"):
        walk_views(Drift(), study.evaluation, study.folds, seed=7, on_progress=quiet)


def test_a_fold_of_silence_takes_the_kind_of_the_others(make_study, monkeypatch):
    views = Drift.views
    study = make_study()
    late = to_ns(study.folds[1].test_start)
    monkeypatch.setattr(Drift, "views", lambda self, window: views(self, window) if to_ns(window.as_of) >= late else [])
    stated = walk_views(Drift(), study.evaluation, study.folds, seed=7, on_progress=quiet)
    assert stated.kind == "forecast"
    assert stated.times.equals(study.tested.times)
    assert np.isnan(stated.mean_bps.to_numpy()[:60]).all()
    assert np.isfinite(stated.mean_bps.to_numpy()[60:]).all()


def test_a_calibrated_agent_is_not_calibrated_again(make_study):
    study = make_study()
    once = calibrated(AGENT, study.evaluation.rows(0, 100), 7)
    assert calibrated(once, study.evaluation.rows(0, 100), 7) == once
