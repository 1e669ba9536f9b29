"""What a submit measures: under one protocol, beside cash and the market, on a ledger that is counted again."""

import pickle
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from sapphire.agents import BuyAndHold, MovingAverageCross
from sapphire.domain.errors import LedgerDamaged, ValueRefused
from sapphire.domain.limits import Execution, Limits
from sapphire.research import costs
from sapphire.research.ledger.counting import trial_counter
from sapphire.research.results.replays import REAL, Model
from sapphire.research.runs.replaying import Beside, replay_beside
from sapphire.research.runs.walking import walk_beliefs

LONG = BuyAndHold()
AGENT = MovingAverageCross(fast=3, slow=12, horizon=timedelta(hours=2))


def row(report, measure):
    (found,) = (each for each in report.rows if each.measure == measure)
    return found


def rising(bars_of, length=300):
    """A market that rises almost every day."""
    dice, start = np.random.default_rng(1), np.array([42_000.0, 2_500.0])
    closes = start * np.exp(np.cumsum(dice.normal(0.0015, 0.004, (length, 2)), axis=0))
    return bars_of(np.vstack([start, closes[:-1]]), closes)


@pytest.fixture(scope="module")
def submitted(studies_in, bars_of, tmp_path_factory):
    """A study and the release that it submitted, in a state folder of the module's own."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SAPPHIRE_HOME", str(tmp_path_factory.mktemp("submitted")))
        study = studies_in()(bars=rising(bars_of))
        yield study, study.submit(LONG)


@pytest.fixture(autouse=True)
def in_that_folder(request, monkeypatch, home):
    """Where a test takes the submitted release, its state folder is the one of now."""
    if "submitted" in request.fixturenames:
        monkeypatch.setenv("SAPPHIRE_HOME", str(request.getfixturevalue("submitted")[1].registry.home))


def test_the_release_carries_limits_and_execution_and_the_evidence_its_protocol(make_study):
    tight, quick = Limits(name="tight", order=0.5, daily_loss_bps=900), Execution(retry_ns=1_000_000_000)
    study = make_study(limits=tight, execution=quick)
    release = study.submit(AGENT)
    manifest = next((release.registry.folder(release.digest)).glob("manifest.json")).read_text()
    assert f'"max_order_atoms":{50_000 * 10**8}' in manifest
    assert '"retry_ns":1000000000' in manifest
    assert release.bundle.protocol == study.protocol
    assert release.bundle.protocol.limits["daily_loss_bps"] == 900


def test_a_release_is_a_value_and_finds_its_registry_again(submitted):
    release = submitted[1]
    read = pickle.loads(pickle.dumps(release))
    assert read == release
    assert hash(read) == hash(release)
    assert read.registry.home == release.registry.home
    assert read.gates(to="paper").rows == release.gates(to="paper").rows
    assert len(read) == len(release.table()[1])


def test_the_evidence_runs_under_its_limits(make_study, bars_of):
    bars = rising(bars_of)
    free = make_study(name="free", bars=bars).replay(LONG)
    assert (free.as_dict()["denials"], free.performance.fills > 0) == (0, True)
    small = make_study(name="small", bars=bars, limits=Limits(name="small", order=1e-4)).replay(LONG)
    assert small.as_dict()["denials"] > 0
    assert small.performance.fills == 0


def test_a_costless_study_of_the_same_agent_is_other_evidence(submitted, studies_in, bars_of):
    study, release = submitted
    nothing = costs.binance_spot(maker_bps=0.0, taker_bps=0.0)
    free = studies_in()(bars=rising(bars_of), costs=nothing).submit(LONG)
    assert free.digest == release.digest, "the same decision is the same release"
    assert free.bundle.digest != release.bundle.digest
    assert free.bundle.walk_forward.total_return > release.bundle.walk_forward.total_return
    report = free.gates(to="paper")
    assert {each.measure for each in report.failed} >= {"maker_fee_bps_over_published", "taker_fee_bps_over_published"}
    assert free.bundle.costs == release.bundle.costs, "what is doubled is what the venue publishes"
    again = study.submit(LONG)
    assert again.bundle == release.bundle, "and the first protocol keeps its own"


def test_trials_after_the_submit_count_at_the_next_gate(submitted):
    study, release = submitted
    before = release.gates(to="paper")
    study.sweep(AGENT, fast=[2, 4, 5, 6], slow=[14, 16])
    after = release.gates(to="paper")
    assert row(after, "deflated_sharpe").value < row(before, "deflated_sharpe").value
    counted = study.trials().count
    assert row(after, "deflated_sharpe").note.startswith(f"N = {counted} trials in the ledger")
    assert after.ledger_head == study.ledger.head.digest != before.ledger_head


def test_an_evaluation_without_returns_counts_and_does_not_dilute(submitted):
    study, release = submitted
    count = trial_counter(release.registry.home)
    found = count(release.bundle)
    for horizon in (timedelta(hours=3), timedelta(hours=5)):
        study.information(AGENT.replace(horizon=horizon))
    more = count(release.bundle)
    assert more.trials == found.trials + 2
    assert more.variance_of_trials == found.variance_of_trials >= 1 / release.bundle.walk_forward.length


def test_a_ledger_that_was_cut_submits_nothing(submitted):
    study, release = submitted
    whole = study.ledger.path.read_bytes()
    study.ledger.path.write_bytes(whole.splitlines(keepends=True)[0])
    for ask in (lambda: study.submit(LONG), lambda: release.gates(to="paper")):
        with pytest.raises(LedgerDamaged, match="the trial ledger is not the one that"):
            ask()
    study.ledger.path.write_bytes(whole)


def test_beta_is_no_skill(make_study, bars_of):
    release = make_study(bars=rising(bars_of)).submit(BuyAndHold())
    report = release.gates(to="paper")
    assert row(report, "deflated_sharpe").passed, "it rose, and it was long"
    active = row(report, "deflated_active_sharpe")
    assert not active.passed
    assert release.bundle.walk_forward.active.beta > 0.5
    assert "beta 0.8" in active.note
    assert not row(report, "holdout_p_value_over_buy_and_hold").passed
    assert report.skill_failed


def test_counterfactuals_of_the_platform_are_no_sweep(make_study):
    study = make_study()
    beliefs = walk_beliefs(AGENT, study.evaluation, study.folds, seed=7, on_progress=lambda *_: None)
    others = [Beside(Model.IDEAL), Beside(times=2.0), Beside(holds=True)]
    evidence, *runs = replay_beside(study, AGENT, beliefs, others, on_progress=lambda *_: None)
    assert (evidence.model, study.trials().count, len(study.ledger.evaluations())) == (REAL, 1, 4)
    assert runs[1].study.costs.taker_bps > study.costs.taker_bps
    with pytest.raises(ValueRefused, match="a counterfactual run"):
        Beside(times=0.5)


def test_other_beliefs_under_the_same_name_are_another_trial(make_study):
    study = make_study()
    for factor in (1.0, -1.0, 0.1):
        beliefs = walk_beliefs(AGENT, study.evaluation, study.folds, seed=7, on_progress=lambda *_: None)
        replay_beside(
            study, AGENT, replace(beliefs, mean_bps=factor * beliefs.mean_bps), [], on_progress=lambda *_: None
        )
    assert study.trials().count > 1
