"""What was traded is shown: which way each score is taken, what came of each forecast, and why nothing was traded."""

import json
import pickle
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
import pytest

from sapphire.agents import Agent, Cash, MovingAverageCross, Pool
from sapphire.agents.panels import outcomes_bps, view_panel
from sapphire.agents.release import ReleaseCode
from sapphire.domain.limits import Limits
from sapphire.portfolio import VolatilityTarget
from sapphire.registry import CalibrationEvidence
from sapphire.research.results.calibrations import slopes_in, slopes_of, stated_probabilities
from sapphire.research.results.fitted_scores import probabilities_in, probabilities_of
from sapphire.research.runs.walking import calibrated, training_bars
from sapphire.statistics import brier_decomposition, slope_report

CAREFUL = VolatilityTarget(annual=0.2, cost_bps=500.0)
"""Moves a position only where that earns 5 %."""
TREND = MovingAverageCross(fast=2, slow=5, horizon=timedelta(hours=2))


@dataclass(frozen=True)
class Forecaster(Agent):
    """Believes that a share of the distance from 42,000 is made good in an hour."""

    share: float = 0.5
    deviation: float = 90.0
    quantiles: bool = False
    horizon: timedelta = timedelta(hours=1)

    @property
    def warmup(self):
        return 2

    def views(self, window):
        close = window.panel("close").iloc[-1]
        mean = 1e4 * self.share * np.log(window.panel("close").iloc[0] / close)
        if not self.quantiles:
            return window.views(mean_bps=mean, std_bps=mean * 0 + self.deviation, horizon=self.horizon)
        levels = {level: mean + z * self.deviation for level, z in ((0.1, -1.2816), (0.5, 0.0), (0.9, 1.2816))}
        return window.views(quantiles=levels, horizon=self.horizon)


def returning(bars_of, length=300, seed=2):
    """Prices that come back to where they were: what an average calls up goes down."""
    dice, away = np.random.default_rng(seed), np.zeros((length, 2))
    for row in range(1, length):
        away[row] = 0.4 * away[row - 1] + dice.normal(0.0, 0.01, 2)
    closes = np.array([42_000.0, 2_500.0]) * np.exp(away)
    return bars_of(np.vstack([closes[:1], closes[:-1]]), closes)


def row(report, measure):
    (found,) = (each for each in report.rows if each.measure == measure)
    return found


@pytest.fixture(scope="module")
def submitted(studies_in, bars_of, tmp_path_factory):
    """A study whose sizing expects costs that no change earns, and a release of a score that its market turns round."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SAPPHIRE_HOME", str(tmp_path_factory.mktemp("submitted")))
        study = studies_in()(returning(bars_of), sizing=CAREFUL)
        yield study, study.submit(TREND)


@pytest.fixture(autouse=True)
def in_that_folder(request, monkeypatch, home):
    """Where a test takes the submitted release, its state folder is the one of now."""
    if "submitted" in request.fixturenames:
        monkeypatch.setenv("SAPPHIRE_HOME", str(request.getfixturevalue("submitted")[1].registry.home))


def test_what_was_traded_is_said_wherever_the_release_appears(submitted):
    study, release = submitted
    replayed = study.replay(TREND)
    turned = sum(each.traded_bps < 0.0 for each in replayed.believed.slopes)
    assert turned >= 2
    mark = f"score is traded reversed in {turned} of 3 folds"
    why = f"never traded: {replayed.untraded}"
    assert replayed.as_dict()["marks"] == [mark, why]
    assert f"MARKED: {mark}; MARKED: {why}" in replayed.caption
    assert f"MARKED: {mark}" in replayed.calibration.caption
    whole = f"{mark} and as it is released"
    idle = f"never traded in the hold-out: {release.bundle.holdout.untraded}"
    lines = {line[0]: line[-1] for line in release.table()[1]}
    assert lines["walk-forward, NEVER TRADED"] == replayed.untraded
    assert lines["hold-out, NEVER TRADED"] == release.bundle.holdout.untraded
    assert release.bundle.marks == (whole, why, idle)
    marks = ", ".join(release.bundle.marks)
    assert f"MARKED: {marks}" in release.caption
    assert "negative in 3 of 3 folds" in str(release)
    assert release.registry.releases().standings[release.digest].mark == marks, "before any gates"
    report = release.gates(to="paper")
    assert f"MARKED: skill not shown, {marks}" in report.caption
    assert row(report, "walk_forward").note.endswith(f"; MARKED: {marks}")
    assert row(report, "fills").note == why
    assert release.registry.releases().standings[release.digest].mark == f"skill not shown, {marks}"


def test_a_score_that_is_taken_as_it_is_has_no_mark(make_study, bars_of):
    replayed = make_study(returning(bars_of)).replay(Reversal())
    assert all(each.traded_bps > 0.0 for each in replayed.believed.slopes)
    assert replayed.marks == ()
    assert "MARKED" not in replayed.caption


@dataclass(frozen=True)
class Reversal(MovingAverageCross):
    """Says of itself what calibration would find of the trend."""

    fast: int = 2
    slow: int = 5
    horizon: timedelta = timedelta(hours=2)

    def views(self, window):
        return window.views(score=-self._distance(window.panel("close")), horizon=self.horizon)

    def _distance(self, close):
        return close.tail(self.fast).mean() / close.tail(self.slow).mean() - 1.0


@dataclass(frozen=True)
class Odds(Agent):
    """Says as log-odds of a rise that prices come back, and is far too sure of it."""

    score_is = "log_odds"
    boast: float = 2_000.0
    horizon: timedelta = timedelta(hours=2)

    @property
    def warmup(self):
        return 5

    def views(self, window):
        close = window.panel("close").tail(5)
        return window.views(score=self.boast * (1.0 - close.tail(2).mean() / close.mean()), horizon=self.horizon)


def test_log_odds_are_shown_as_probabilities_that_were_held_to_what_came(make_study, bars_of):
    study = make_study(returning(bars_of, length=600))
    replayed = study.replay(Odds())
    shown, found = replayed.calibration, replayed.calibration.found
    assert found.slopes == found.marks == ()
    assert [each.fold for each in found.probabilities] == list(range(1, len(study.folds) + 1))
    tested = stated_probabilities(study, replayed.believed)
    for fit, check in zip(found.probabilities, found.checks, strict=True):
        assert fit.method == "platt"
        assert fit.kept > 0.5
        assert fit.up_bps > 0.0 > fit.down_bps
        assert fit.test_pairs == check.pairs
        assert fit.test_brier == pytest.approx(fit.test_reliability - fit.test_resolution + fit.test_uncertainty)
    assert sum(fit.test_pairs for fit in found.probabilities) == np.isfinite(tested.rose * tested.probabilities).sum()
    calibrated_skill = brier_decomposition(tested.probabilities, tested.rose).skill
    assert calibrated_skill > 0.0
    raw = 1.0 / (1.0 + np.exp(-view_panel(Odds(), study.tested).score.to_numpy()))
    assert brier_decomposition(raw, tested.rose).skill < calibrated_skill - 0.1
    (table,) = shown.below
    header, lines = table.table()
    assert {len(line) for line in lines} == {len(header)}
    assert lines[0][:3] == ("1", "Odds", "platt")
    assert pickle.loads(pickle.dumps(table)) == table
    assert json.loads(json.dumps(table.as_dict()))["fits"][0]["test_pairs"] == found.probabilities[0].test_pairs
    assert len(table.frame) == len(study.folds)
    assert shown.table()[1][0][1:3] == ("Odds", "log-odds, see below")
    assert "Brier = reliability - resolution + uncertainty" in str(shown)
    assert CalibrationEvidence.from_dict(found.as_dict()) == found
    assert sum(point.pairs for point in shown.points) == sum(fit.test_pairs for fit in found.probabilities)
    _, diagram = shown.figures
    _, points, counts = diagram.data
    assert list(points.y) == [point.share for point in shown.points]
    assert list(counts.y) == [point.pairs for point in shown.points]
    assert study.label in diagram.layout.title.text


def test_probabilities_read_off_beliefs_are_those_that_were_stated(make_study, bars_of):
    study = make_study(returning(bars_of))
    believed = study.replay(Odds()).believed
    tested = stated_probabilities(study, believed)
    fold, train = study.folds[0], training_bars(study.evaluation, study.folds[0])
    fitted = calibrated(Odds(), train, study.seed)
    first = int(np.searchsorted(study.evaluation.times, fold.testing[0].start, side="left"))
    scores = view_panel(Odds(), study.evaluation).score.to_numpy()[first : first + 20]
    assert tested.probabilities[:20] == pytest.approx(fitted.calibration.probability.apply(scores), abs=1e-9)
    assert probabilities_of(fitted, 1)[0].brier == believed.probabilities[0].brier


def test_log_odds_of_a_pool_are_told_apart_and_have_no_probability_of_their_own(make_study, bars_of):
    study = make_study(returning(bars_of))
    pool = Pool((Odds(), Odds(boast=1.0), TREND))
    fitted = calibrated(pool, study.evaluation, 7)
    found = probabilities_of(fitted, 1)
    assert [each.agent for each in found] == ["Odds 1", "Odds 2"]
    assert [each.agent for each in slopes_of(fitted, 1)] == ["MovingAverageCross"]
    assert probabilities_in(ReleaseCode.of(pool), fitted.arrays(), 1) == found
    shown = study.replay(pool).calibration
    assert {each.test_brier for each in shown.found.probabilities} == {None}
    assert shown.points == ()
    assert len(shown.figures) == 1
    assert shown.below[0].table()[1][0][-2:] == ("not known", "0")


def test_log_odds_that_were_worth_nothing_are_why_nothing_was_traded(make_study, bars_of):
    replayed = make_study(returning(bars_of), sizing=CAREFUL).replay(Odds(boast=-2_000.0))
    assert {each.kept for each in replayed.believed.probabilities} == {0.0}
    assert replayed.untraded.startswith(
        "the log-odds were worth nothing in training, the base rate is stated in 3 of 3"
    )


def test_a_release_says_how_its_log_odds_are_calibrated(submitted, make_study, bars_of):
    study, release = submitted
    fits = probabilities_of(calibrated(Odds(), study.evaluation, 7), 0)
    stated = replace(release.bundle.calibration, probabilities=fits)
    shown = replace(release, bundle=replace(release.bundle, calibration=stated))
    (line,) = (line for line in shown.table()[1] if line[0].startswith("log-odds"))
    assert line[0] == "log-odds of Odds, as released"
    assert line[2].startswith("platt, t +")


def test_slopes_are_those_of_the_training_windows_and_traded_as_shrunk(make_study, walked):
    study = make_study(walked(seed=4))
    found = study.replay(TREND).believed.slopes
    trains = [training_bars(study.evaluation, fold) for fold in study.folds]
    scores = [view_panel(TREND, train).numbers["score"] for train in trains]
    outcomes = [outcomes_bps(train, TREND.horizon) for train in trains]
    by_hand = slope_report(scores, outcomes, horizon_bars=2).folds
    assert [each.slope_bps for each in found] == pytest.approx([each.slope for each in by_hand], rel=1e-9)
    assert [each.t_value for each in found] == pytest.approx([each.t_value for each in by_hand], rel=1e-9)
    assert [each.pairs for each in found] == [each.pairs for each in by_hand]
    for each in found:
        kept = max(0.0, 1.0 - 1.0 / each.t_value**2)
        assert each.traded_bps == pytest.approx(kept * each.slope_bps, rel=1e-9)


def test_workers_and_the_replay_find_the_same(submitted):
    study, release = submitted
    found, replayed = release.bundle.calibration, study.replay(TREND)
    assert found.slopes == replayed.believed.slopes
    (frozen,) = found.frozen
    assert (frozen.agent, frozen.fold) == ("MovingAverageCross", 0)
    assert frozen.pairs > max(each.pairs for each in found.slopes)
    theirs = [(each.slope, each.coverage) for each in replayed.calibration.found.checks]
    assert np.array([(each.slope, each.coverage) for each in found.checks]) == pytest.approx(np.array(theirs), rel=1e-9)
    assert type(release.bundle).parse(release.bundle.canonical) == release.bundle


def test_members_of_a_pool_are_told_apart(make_study, walked):
    study = make_study(walked())
    pool = Pool((TREND, MovingAverageCross(fast=3, slow=9, horizon=TREND.horizon)))
    fitted = calibrated(pool, study.evaluation, 7)
    found = slopes_of(fitted, 1)
    assert [each.agent for each in found] == ["MovingAverageCross 1", "MovingAverageCross 2"]
    assert slopes_in(ReleaseCode.of(pool), fitted.arrays(), 1) == found
    header, lines = study.replay(pool).calibration.table()
    assert len(lines) == 2 * len(study.folds)
    assert {len(line) for line in lines} == {len(header)}


@pytest.mark.parametrize("quantiles", [False, True])
def test_forecasts_are_held_to_what_came_of_them(make_study, bars_of, quantiles):
    study = make_study(returning(bars_of))
    sound = study.replay(Forecaster(quantiles=quantiles)).calibration.found
    boastful = study.replay(Forecaster(share=5.0, deviation=9.0, quantiles=quantiles)).calibration.found
    upside_down = study.replay(Forecaster(share=-0.5, quantiles=quantiles)).calibration.found
    assert sound.slopes == boastful.slopes == ()
    assert all(0.3 < each.slope < 2.0 for each in sound.checks)
    assert all(each.slope < 0.3 for each in boastful.checks)
    assert boastful.mean_p_value < 1e-6 < sound.mean_p_value
    assert (sound.negative_share, upside_down.negative_share) == (0.0, 1.0)
    assert sound.coverage_gap < 0.2 < boastful.coverage_gap
    assert sum(each.pairs for each in sound.checks) == 2 * len(study.tested) - 2, "the last outcome is in the hold-out"


def test_a_table_line_and_a_point_for_each_fold(make_study, bars_of):
    study = make_study(returning(bars_of))
    for agent in (TREND, Forecaster()):
        shown = study.replay(agent).calibration
        header, lines = shown.table()
        assert [line[0] for line in lines] == ["1", "2", "3"]
        assert {len(line) for line in lines} == {len(header)}
        (points,) = shown.figure.data
        assert list(points.x) == [1, 2, 3]
        assert len(points.error_y.array) == 3
        assert min(points.error_y.array) > 0.0


def test_an_agent_that_never_traded_is_told_why(submitted):
    study, _ = submitted
    replayed = study.replay(TREND)
    decisions = 2 * (len(study.tested) - 1)
    counted = replayed.record["decided_for"]
    assert replayed.performance.fills == 0
    assert sum(each["decisions"] for each in counted) == decisions
    first = counted[0]
    reason = first["reason"].replace(": ", ", ")
    reason_text = f"{reason}, mean {first['mean_bps']:+.2f} bps in {first['decisions']:,} of {decisions:,} decisions"
    assert replayed.untraded.startswith(reason_text)
    assert "kept, a change would not earn its cost, mean +" in replayed.untraded


def test_a_score_that_is_worth_nothing_is_the_reason_that_nothing_is_traded(make_study, walked):
    replayed = make_study(walked(seed=4), sizing=CAREFUL).replay(Constant())
    assert {each.slope_bps for each in replayed.believed.slopes} == {0.0}
    assert replayed.marks == (f"never traded: {replayed.untraded}",)
    assert "decisions" in replayed.untraded


@dataclass(frozen=True)
class Constant(Agent):
    """A score that never varies."""

    horizon: timedelta = timedelta(hours=2)

    @property
    def warmup(self):
        return 2

    def views(self, window):
        return window.views(score=window.panel("close").iloc[-1] * 0 + 1.0, horizon=self.horizon)


IDLE = {
    "silent": (Cash(), {}, "zero, no belief in 308 of 308 decisions"),
    "edge below cost": (TREND, {"sizing": CAREFUL}, "kept, a change would not earn its cost, mean +"),
    "score worth nothing": (
        Constant(),
        {},
        "the score was worth nothing in training, slope 0 in 3 of 3 fits; zero, mean not above zero, mean +0.00 bps",
    ),
    "smallest order": (Forecaster(), {"starting_cash": 6.0}, "zero, below the smallest order, mean "),
    "denied each time": (
        Forecaster(),
        {"limits": Limits(name="small", order=1e-4)},
        "orders denied for ORDER_NOTIONAL",
    ),
}


@pytest.mark.parametrize("why", IDLE)
def test_whatever_kept_an_account_idle_is_said_in_its_table_and_its_caption(make_study, bars_of, why):
    agent, changes, words = IDLE[why]
    replayed = make_study(returning(bars_of), **changes).replay(agent)
    assert replayed.performance.fills == 0
    assert words in replayed.untraded
    assert f"MARKED: never traded: {replayed.untraded}" in replayed.caption
    _, ((account, *_), _) = replayed.table()
    assert account == f"{agent.name} NEVER TRADED"
    assert replayed.as_dict()["untraded"] == replayed.untraded


def test_silence_and_the_risk_gate_are_reasons_too(make_study, bars_of):
    study = make_study(returning(bars_of))
    silent = study.replay(Cash())
    assert silent.untraded.startswith("zero, ")
    assert "in 308 of 308 decisions" in silent.untraded
    denied = make_study(returning(bars_of), name="small", limits=Limits(name="small", order=1e-4)).replay(Reversal())
    assert denied.performance.fills == 0
    assert "orders denied for " in denied.untraded
    assert "sized" in denied.untraded


def test_an_agent_that_traded_is_asked_nothing(make_study, bars_of):
    replayed = make_study(returning(bars_of)).replay(Reversal())
    assert replayed.performance.fills > 0
    assert replayed.untraded == ""
    assert replayed.marks == ()
