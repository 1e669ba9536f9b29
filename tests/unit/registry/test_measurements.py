"""What a submit measured is one record: it reads as it was written, or not at all."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sapphire.domain.canonical import canonical_json, sha256_of
from sapphire.domain.errors import EvidenceRefused, ValueRefused
from sapphire.registry import EvidenceBundle, Outcome, ParityDay


@pytest.fixture
def bundle(freeze: Callable[..., Path], small: SimpleNamespace) -> EvidenceBundle:
    return small.bundle_of(freeze())


def test_a_bundle_reads_as_it_was_written(bundle: EvidenceBundle, small: SimpleNamespace) -> None:
    assert EvidenceBundle.parse(bundle.canonical) == bundle
    assert bundle.digest == sha256_of(bundle.canonical)
    assert small.replaced(bundle, walk_forward={"trials": 75}).digest != bundle.digest


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
