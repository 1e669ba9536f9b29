"""Folds with several test windows: what trains, what is tested, and the paths they make."""

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

import numpy as np
import pytest

from sapphire.agents import Agent, Arrays, Cash, MovingAverageCross, fitted
from sapphire.domain.clocks import to_ns
from sapphire.domain.errors import HoldoutSealed, StudyError
from sapphire.research.results.replays import REAL
from sapphire.research.runs.paths import path_folds, walk_paths
from sapphire.research.runs.replaying import replay_beliefs
from sapphire.research.runs.splits import combinatorial_purged, purged_k_fold, walk_forward
from sapphire.research.runs.walking import walk_beliefs, walk_views

HOUR_NS = 3_600_000_000_000
PURGE = timedelta(hours=2)
SPLIT = combinatorial_purged(4, 2, purge=PURGE, embargo=timedelta(hours=1))
AGENT = MovingAverageCross(fast=3, slow=12, horizon=PURGE)


@dataclass(frozen=True)
class Memory(Agent):
    """Keeps the closes that it was trained on, and states their number as its mean."""

    horizon: timedelta = PURGE
    learned: Arrays = fitted()  # noqa: RUF009
    trained: ClassVar[list] = []

    @property
    def warmup(self):
        return 1

    def fit(self, train, seed):
        Memory.trained.append(train)
        return self.with_arrays({"learned.number": np.array([float(len(Memory.trained))])})

    def views(self, window):
        close = window.panel("close").iloc[-1]
        return window.views(
            mean_bps=close * 0 + self.learned["number"][0], std_bps=close * 0 + 60.0, horizon=self.horizon
        )


@dataclass(frozen=True)
class Anchor(Agent):
    """Learns the mean close of its training bars and expects prices to come back to it, a little."""

    horizon: timedelta = PURGE
    learned: Arrays = fitted()  # noqa: RUF009

    @property
    def warmup(self):
        return 1

    def fit(self, train, seed):
        return self.with_arrays({"learned.close": train.close.mean(axis=0)})

    def views(self, window):
        close = window.panel("close").iloc[-1]
        away = 1e4 * (self.learned["close"] / close - 1.0)
        return window.views(mean_bps=away, std_bps=close * 0 + 60.0, horizon=self.horizon)


def quiet(*_):
    """Progress that nobody follows."""


def memories(study, walk):
    Memory.trained.clear()
    found = walk(Memory(), study.evaluation, study.folds, seed=1, on_progress=quiet)
    return found, list(Memory.trained)


def test_training_bars_are_those_of_all_windows_with_a_gap_at_each_test(make_study):
    study = make_study(split=SPLIT)
    _, trained = memories(study, walk_paths)
    assert len(trained) == len(study.folds) == 6
    for fold, bars in zip(study.folds, trained, strict=True):
        bars.validate()
        inside = [
            close
            for close in study.evaluation.close_time_ns.tolist()
            if any(to_ns(span.start) <= close < to_ns(span.end) for span in fold.training)
        ]
        assert bars.close_time_ns.tolist() == inside
        gaps = int((np.diff(bars.close_time_ns) > HOUR_NS).sum())
        assert gaps == len(fold.training) - 1
    assert max(len(fold.training) for fold in study.folds) == 2


def test_each_path_has_every_tested_bar_once_by_folds_that_did_not_train_on_it(make_study):
    study = make_study(split=SPLIT)
    panels, trained = memories(study, walk_paths)
    assert len(panels) == 3
    served = []
    for panel in panels:
        assert panel.close_time_ns.tolist() == study.tested.close_time_ns.tolist()
        by = panel.mean_bps[:, 0].astype(int) - 1  # the number of the fold, as its agent states it
        for close, fold in zip(panel.close_time_ns, by, strict=True):
            assert not np.isin(close, trained[fold].close_time_ns)
            assert np.abs(trained[fold].close_time_ns - close).min() > to_ns_length(PURGE)
        block = np.searchsorted(blocks(study), panel.close_time_ns, "right")
        served.extend(set(zip(by.tolist(), block.tolist(), strict=True)))
    assert len(served) == len(set(served)) == 12  # each fold serves both blocks it tests, each in one path


def blocks(study):
    return np.array(sorted({to_ns(span.start) for fold in study.folds for span in fold.testing}))


def to_ns_length(length):
    return int(length / timedelta(microseconds=1)) * 1_000


def test_a_bar_of_a_test_teaches_nothing_that_its_fold_says(make_study, walked, changed):
    """Prices of one tested block are doubled: what the fold says of its other block stays, bar for bar."""
    study = make_study(split=SPLIT)
    fold = study.folds[1]  # tests the first and the third block
    closes = walked().close_time_ns
    first, third = fold.testing

    def spoiled_by(start, end):
        rows = np.flatnonzero((closes >= to_ns(start)) & (closes < to_ns(end)))
        bars = make_study(changed(walked(), rows, 2.0), split=SPLIT).evaluation
        return walk_beliefs(Anchor(), bars, [fold], seed=1, on_progress=quiet)

    plain = walk_beliefs(Anchor(), study.evaluation, [fold], seed=1, on_progress=quiet)
    rows = plain.close_time_ns < to_ns(first.end)
    assert 40 < rows.sum() < len(rows)
    spoiled = spoiled_by(third.start, third.end)
    assert np.array_equal(plain.mean_bps[rows], spoiled.mean_bps[rows])
    assert not np.array_equal(plain.mean_bps[~rows], spoiled.mean_bps[~rows])
    purged = spoiled_by(third.start - PURGE, third.start)
    assert np.array_equal(plain.mean_bps, purged.mean_bps)
    for span in fold.training:
        assert not np.isclose(plain.mean_bps[rows], spoiled_by(span.start, span.end).mean_bps[rows]).any()


def test_no_outcome_across_the_gap_is_calibrated_on(make_study, walked, changed):
    """The jump from one side of the test to the other is no label, however far the price went meanwhile."""
    study = make_study(split=purged_k_fold(3))  # without a purge, so that the gap alone has to do it
    fold = study.folds[1]
    behind = np.flatnonzero(walked().close_time_ns >= to_ns(fold.training[1].start))
    far = make_study(changed(walked(), behind, 3.0), split=purged_k_fold(3))
    (near,), (away,) = (
        [walk_beliefs(AGENT, one.evaluation, [fold], seed=1, on_progress=quiet)] for one in (study, far)
    )
    assert np.nanmax(near.std_bps) < 200.0
    assert np.nanmax(away.std_bps) == pytest.approx(np.nanmax(near.std_bps), rel=0.2)


def test_purged_folds_are_walked_as_a_walk_forward_is(make_study):
    study = make_study(split=purged_k_fold(4, purge=PURGE))
    beliefs, trained = memories(study, walk_beliefs)
    assert beliefs.close_time_ns.tolist() == study.tested.close_time_ns.tolist()
    assert study.tested.close_time_ns.tolist() == study.evaluation.close_time_ns.tolist()
    assert len(trained) == 4
    (path,) = walk_paths(Anchor(), study.evaluation, study.folds, seed=1, on_progress=quiet)
    again = walk_beliefs(Anchor(), study.evaluation, study.folds, seed=1, on_progress=quiet)
    assert np.array_equal(path.mean_bps, again.mean_bps, equal_nan=True)
    assert walk_views(Memory(), study.evaluation, study.folds, seed=1, on_progress=quiet).times.equals(
        study.tested.times
    )


def test_a_path_is_replayed_by_the_engine_as_beliefs_are(make_study):
    study = make_study(split=SPLIT)
    runs = [
        replay_beliefs(study, Anchor(), panel, REAL, on_progress=quiet)
        for panel in walk_paths(Anchor(), study.evaluation, study.folds, seed=1, on_progress=quiet)
    ]
    assert all(len(run.worth) == len(study.tested) for run in runs)
    assert len({run.digest for run in runs}) == 3


def test_a_study_shows_how_paths_spread_and_counts_them_as_one_trial(make_study):
    study = make_study()
    study.screen(AGENT)
    found = study.paths(AGENT, groups=4, embargo="1h")
    assert found.study.split == SPLIT
    assert [len(run.worth) for run in found.runs] == 3 * [len(study.evaluation)]
    assert len({run.digest for run in found.runs}) == 3
    assert (found.trials, study.trials().count) == (2, 2)
    assert study.paths(AGENT, groups=4, embargo="1h").trials == 2, "the same again"
    assert study.paths(AGENT.replace(fast=4), groups=4).trials == 3
    lines = [line for line in study.ledger.evaluations() if line.method == "paths"]
    assert [np.isnan(line.sharpe) for line in lines] == 3 * [True]
    assert lines[0].protocol == found.study.protocol.digest != study.protocol.digest


def test_the_spread_of_paths_is_told_in_the_caption_the_table_and_the_figure(make_study):
    found = make_study().paths(Anchor(), groups=4)
    low, middle, high = np.sort(found.sharpes)
    assert low < high
    assert f"{middle:.2f} in the median, from {low:.2f} to {high:.2f}" in found.caption
    assert "no evidence" in found.caption
    assert [line[0] for line in found.table()[1]] == ["1", "2", "3"]
    assert list(found.figure.data[0].y) == pytest.approx([low, middle, high])
    assert [row["sharpe_annual"] for row in found.as_dict()["rows"]] == pytest.approx(found.sharpes)


def test_paths_meet_the_seals_of_other_studies(make_study):
    make_study(name="first", holdout="100h").screen(AGENT)
    late = make_study(name="late", holdout="40h")
    with pytest.raises(HoldoutSealed):
        late.paths(AGENT, groups=4)
    assert [line.method for line in late.ledger.evaluations()] == ["screen"]


def test_paths_of_an_agent_that_never_trades_say_so(make_study):
    found = make_study().paths(Cash(horizon=PURGE), groups=4)
    assert "it never traded" in found.caption
    assert np.isnan(found.sharpes).all()


def test_folds_that_overlap_are_no_one_account(make_study):
    study = make_study(split=SPLIT)
    for walk in (walk_beliefs, walk_views):
        with pytest.raises(StudyError, match="more than once") as refused:
            walk(AGENT, study.evaluation, study.folds, seed=1, on_progress=quiet)
        assert "walk_paths" in refused.value.next


def test_a_walk_forward_is_one_path_and_half_a_split_is_none(make_study):
    study = make_study()
    assert path_folds(study.folds) == (tuple(range(len(study.folds))),)
    folds = make_study(split=SPLIT).folds
    with pytest.raises(StudyError, match="do not make whole paths"):
        path_folds(folds[:4])
    gap = walk_forward(train="40h", test="20h").folds(study.folds[0].train_start, study.folds[-1].test_end)
    with pytest.raises(StudyError, match="do not make whole paths"):
        path_folds([gap[0], gap[2]])
