"""What a submit measured is one record: it reads as it was written, or not at all."""

from __future__ import annotations

import json
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
    assert metrics["walk_forward.trials"] == 74.0
    assert metrics["holdout.baselines.buy_and_hold.total_return"] == 0.10
    assert metrics["costs.outcome.total_return"] == 0.2
    assert "holdout.baselines.cash.sharpe" not in metrics
    assert not [name for name in metrics if name.endswith("_ns")]


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("format", "EVIDENCE@2", "format EVIDENCE@1"),
        ("walk_forward.trials", 0, "at least 1 trial"),
        ("walk_forward.ledger_head", "head", "ledger head"),
        ("walk_forward.author_says", 1, "author_says"),
        ("holdout.baselines", {}, "baselines cash and buy_and_hold"),
        ("holdout.agent", 1, "does not read"),
        ("costs.times", 1.0, "more than 1"),
        ("integrity.checks", {}, "checks of the evidence"),
        ("integrity.checks.truncation_test.verdict", "skipped", "verdict of a check"),
        ("integrity.isolation", "trusted", "isolation of the evidence"),
        ("integrity.truncation_test", "pass", "truncation_test"),
        ("integrity.lock_sha256", "", "lock_sha256"),
        ("replays", {"screen": "0" * 64}, "replays of the evidence"),
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
    [{"day": "2026-2-1"}, {"day": "yesterday"}, {"market": "simulated"}, {"unexplained_lots": -1}],
)
def test_a_day_that_is_none_is_refused(wrong: dict[str, Any]) -> None:
    right: dict[str, Any] = {"day": "2026-02-01", "market": "real", "unexplained_lots": 0, "journal_digest": "0" * 64}
    with pytest.raises(ValueRefused, match="parity of a day"):
        ParityDay(**{**right, **wrong})
