"""What a submit measured is one record: it reads as it was written, or not at all."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sapphire.agents.counterfactuals import COUNTERFACTUALS, AgentCounterfactuals, Counterfactual
from sapphire.domain.canonical import canonical_json, sha256_of
from sapphire.domain.errors import EvidenceRefused, ValueRefused
from sapphire.registry import CalibrationEvidence, EvidenceBundle, Outcome, ParityDay, ProbabilityFit

CHANGED = AgentCounterfactuals(
    agent="reader",
    windows=5,
    unit="probability",
    tolerance=0.01,
    constant=False,
    rows=tuple(Counterfactual(kind=kind, views=10, kept=9, worst_change=0.25) for kind in COUNTERFACTUALS),
)


@pytest.fixture
def bundle(freeze: Callable[..., Path], small: SimpleNamespace) -> EvidenceBundle:
    return small.bundle_of(freeze())


def test_a_bundle_reads_as_it_was_written(bundle: EvidenceBundle, small: SimpleNamespace) -> None:
    assert EvidenceBundle.parse(bundle.canonical) == bundle
    assert bundle.digest == sha256_of(bundle.canonical)
    assert small.replaced(bundle, walk_forward={"trials": 75}).digest != bundle.digest


def test_counterfactuals_are_part_of_it_and_evidence_without_any_keeps_its_digest(bundle: EvidenceBundle) -> None:
    assert b"counterfactuals" not in bundle.canonical
    asked = dataclasses.replace(bundle, counterfactuals=(CHANGED,))
    assert asked.digest != bundle.digest
    assert EvidenceBundle.parse(asked.canonical) == asked
    assert EvidenceBundle.parse(asked.canonical).counterfactuals == (CHANGED,)


def test_its_numbers_are_there_for_tracking_by_their_path(bundle: EvidenceBundle) -> None:
    metrics = bundle.metrics()
    assert metrics["walk_forward/trials_count"] == 74.0
    assert metrics["holdout/baselines/buy_and_hold/return_pct"] == pytest.approx(10.0)
    assert metrics["costs/outcome/return_pct"] == pytest.approx(20.0)
    hourly = math.sqrt(365 * 24)
    assert metrics["walk_forward/sharpe_annual"] == pytest.approx(bundle.walk_forward.sharpe * hourly)
    assert metrics["holdout/over/cash/difference_bps_per_bar"] == pytest.approx(0.3)
    assert metrics["holdout/over/buy_and_hold/difference_sharpe_annual"] == pytest.approx(3e-5 * hourly)
    assert "holdout/baselines/cash/sharpe_annual" not in metrics
    assert not [name for name in metrics if name.endswith("_ns")]


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("format", "EVIDENCE@1", "format EVIDENCE@4"),
        ("walk_forward.trials", 0, "at least 1 trial"),
        ("walk_forward.ledger_head", "head", "ledger head"),
        ("walk_forward.author_says", 1, "author_says"),
        ("holdout.baselines", {}, "baselines cash and buy_and_hold"),
        ("holdout.agent", 1, "does not read"),
        ("walk_forward.openings", 0, "1 opening"),
        ("walk_forward.span", {"market": "real"}, "span of the evidence"),
        ("walk_forward.active", {"alpha": 1.0}, "does not read"),
        ("holdout.over", {"cash": None}, "what the release is over them"),
        ("holdout.over.cash", {"mean": 1.0}, "does not read"),
        ("holdout.over.cash.p_value", 1.5, "a p-value from 0 to 1"),
        ("protocol.costs", {"taker_bps": 1.0}, "costs of a protocol"),
        ("protocol.author", "me", "not a protocol"),
        ("protocol.format", "PROTOCOL@0", "not a protocol"),
        ("costs.times", 1.0, "more than 1"),
        ("integrity.checks", {}, "checks of the evidence"),
        ("integrity.checks.truncation_test.verdict", "skipped", "verdict of a check"),
        ("integrity.isolation", "trusted", "isolation of the evidence"),
        ("integrity.truncation_test", "pass", "truncation_test"),
        ("integrity.lock_sha256", "", "lock_sha256"),
        ("replays", {"screen": "0" * 64}, "replays of the evidence"),
        ("calibration", {"slopes": []}, "calibration of the evidence"),
        ("calibration.checks", [{"fold": 1}], "does not read"),
        ("counterfactuals", [{"agent": "reader"}], "does not read"),
        ("counterfactuals", [{**CHANGED.as_dict(), "rows": []}], "counterfactuals of reader"),
        ("source", "made up", "recorded or embedded"),
        ("integrity", None, "integrity"),
    ],
)
def test_a_record_that_is_none_is_refused_by_name(bundle: EvidenceBundle, path: str, value: Any, named: str) -> None:
    whole = json.loads(bundle.canonical)
    *way, last = path.split(".")
    inner = whole
    for key in way:
        inner = inner[key]
    inner[last] = value
    if value is None:
        del inner[last]
    with pytest.raises(EvidenceRefused) as refused:
        EvidenceBundle.parse(canonical_json(whole))
    assert named in str(refused.value)


def test_another_protocol_is_other_evidence(bundle: EvidenceBundle, small: SimpleNamespace) -> None:
    assert bundle.protocol_digest == small.PROTOCOL.digest
    other = small.replaced(bundle, protocol={"starting_cash": "50000"})
    assert other.protocol_digest != bundle.protocol_digest
    assert other.digest != bundle.digest
    assert EvidenceBundle.parse(other.canonical).protocol == other.protocol


ODDS = ProbabilityFit(
    agent="Odds",
    fold=1,
    method="platt",
    kept=0.9,
    t_value=3.2,
    base_rate=0.52,
    up_bps=31.0,
    down_bps=-29.5,
    brier=0.24,
    reliability=0.001,
    resolution=0.0106,
    uncertainty=0.2496,
    pairs=900,
    independent=75.0,
    test_brier=0.245,
    test_reliability=0.002,
    test_resolution=0.007,
    test_uncertainty=0.25,
    test_pairs=300,
)


def test_evidence_of_log_odds_reads_as_it_was_written_and_that_of_scores_as_before(bundle: EvidenceBundle) -> None:
    assert "probabilities" not in bundle.as_dict()["calibration"]
    fits = CalibrationEvidence(probabilities=(ODDS, dataclasses.replace(ODDS, fold=0, test_brier=None)))
    stated = dataclasses.replace(bundle, calibration=fits)
    assert EvidenceBundle.parse(stated.canonical) == stated
    assert stated.digest != bundle.digest
    assert [each.test_skill for each in fits.probabilities] == [pytest.approx(0.02), None]


@pytest.mark.parametrize("wrong", [{"kept": 1.2}, {"brier": math.nan}, {"pairs": -1}, {"test_brier": math.inf}])
def test_a_fit_of_log_odds_that_is_none_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueRefused, match="fit of log-odds"):
        dataclasses.replace(ODDS, **wrong)


def test_a_number_that_is_not_finite_is_no_measurement(bundle: EvidenceBundle, small: SimpleNamespace) -> None:
    with pytest.raises(ValueRefused, match="not finite"):
        small.replaced(bundle, holdout={"agent": Outcome(total_return=float("nan"), sharpe=None)})


def test_a_day_reads_as_it_was_written(small: SimpleNamespace) -> None:
    (day,) = small.paper_days(1)
    assert ParityDay.parse(day.canonical) == day
    with pytest.raises(EvidenceRefused, match="not canonical"):
        ParityDay.parse(json.dumps(json.loads(day.canonical), indent=1).encode())


@pytest.mark.parametrize(
    "wrong",
    [
        {"day": "2026-2-1"},
        {"day": "yesterday"},
        {"market": "simulated"},
        {"account": ""},
        {"unexplained_lots": -1},
        {"explained_lots": {"signal late": -1}},
        {"bars": 0, "bars_seen": 0, "bars_decided": 0},
        {"bars": 25},
        {"bars_seen": 25},
        {"bars_decided": 25},
        {"signals_taken": 41},
    ],
)
def test_a_day_that_is_none_is_refused(wrong: dict[str, Any], small: SimpleNamespace) -> None:
    with pytest.raises(ValueRefused, match="parity of a day"):
        small.paper_day(**{"day": "2026-02-01", **wrong})
