"""How many independent trials there were: the returns behind the ledger's count."""

from datetime import timedelta

import numpy as np
import pytest

from sapphire.agents import Cash, MovingAverageCross
from sapphire.research.ledger.book import Ledger
from sapphire.research.ledger.trial_returns import ReturnSeries, TrialReturns, effective_trials

AGENT = MovingAverageCross(fast=3, slow=12, horizon=timedelta(hours=2))


def series(values, first=0):
    return ReturnSeries(np.arange(first, first + len(values), dtype=np.int64), np.asarray(values, dtype=np.float64))


def noise(seed, length=400):
    return np.random.default_rng(seed).standard_normal(length)


def test_copies_are_one_trial_and_strangers_are_many():
    one = noise(1)
    assert effective_trials([series(one)]) == pytest.approx(1.0)
    assert effective_trials([series(one), series(2 * one), series(3 * one)]) == pytest.approx(1.0)
    assert effective_trials([series(noise(seed)) for seed in range(4)]) == pytest.approx(4.0, abs=0.1)
    assert 1.0 < effective_trials([series(one), series(one + noise(2))]) < 2.0


def test_only_closes_that_all_have_are_compared():
    one = noise(1)
    shifted = series(one[100:], first=100)
    assert effective_trials([series(one), shifted]) == pytest.approx(1.0)
    assert effective_trials([series(one[:100]), shifted]) is None, "no close in common"
    assert effective_trials([series(one[:129]), shifted]) is None, "fewer than 30 in common"


def test_an_account_that_never_traded_is_left_out():
    assert effective_trials([series(noise(1)), series(np.zeros(400))]) == pytest.approx(1.0)
    assert effective_trials([series(np.zeros(400))]) is None
    assert effective_trials([]) is None


def test_what_is_kept_comes_back_and_the_same_again_takes_no_room(tmp_path):
    kept = TrialReturns(tmp_path / "returns")
    trials = {"one": series(noise(1)), "two": series(noise(2, 50), first=7)}
    for _ in range(2):
        kept.keep(trials)
    assert len(list(kept.folder.iterdir())) == 1
    found = kept.of({trial: each.digest for trial, each in trials.items()})
    assert {trial: each.close_time_ns[0] for trial, each in found.items()} == {"one": 0, "two": 7}
    assert [found[trial].digest for trial in trials] == [each.digest for each in trials.values()]


def test_returns_that_are_not_those_of_the_ledger_are_not_taken(tmp_path):
    kept = TrialReturns(tmp_path / "returns")
    kept.keep({"one": series(noise(1))})
    assert kept.of({"one": series(noise(2)).digest}) == {}
    kept.keep({"one": series(noise(2))})
    assert kept.of({"one": series(noise(2)).digest})["one"].digest == series(noise(2)).digest


def test_a_study_says_how_many_independent_trials_there_were(make_study):
    study = make_study()
    assert study.trials().effective is None
    study.screen(AGENT)
    assert study.trials().effective == pytest.approx(1.0)
    study.sweep(AGENT, fast=[2, 3, 4], slow=[12, 16])
    table = study.trials()
    assert table.count == 6
    assert 1.0 < table.effective < 6.0
    assert f"N = 6 trials ({table.effective:.3g} effective) in 7 evaluations" in table.caption
    assert table.as_dict()["effective_trials"] == table.effective
    study.information(AGENT)
    study.screen(Cash(horizon=timedelta(hours=2)))
    assert study.trials().count == 8
    assert study.trials().effective == pytest.approx(table.effective), "neither has returns that vary"


def test_counterfactual_runs_keep_no_returns(make_study):
    study = make_study()
    study.compare(AGENT)
    trials = study.trials().trials.rows
    assert [trial.method for trial in trials] == ["replay", "screen"]
    for trial in trials:
        assert study.ledger.returns.of({trial.trial: trial.returns_digest})[trial.trial].digest == trial.returns_digest
    assert len(list(study.ledger.returns.folder.iterdir())) == len(trials)


def test_without_the_returns_there_is_no_number(make_study):
    study = make_study()
    study.sweep(AGENT, fast=[2, 3])
    for path in study.ledger.returns.folder.iterdir():
        path.unlink()
    assert study.trials().effective is None
    assert study.trials().count == 2
    assert Ledger(study.ledger.folder).evaluations()[0].series is None
