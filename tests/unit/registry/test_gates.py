"""Every gate answers from what was measured, and what was not measured passes none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sapphire.domain.canonical import sha256_of
from sapphire.domain.errors import EvidenceRefused
from sapphire.domain.evidence import LAPTOP_KEY, GateReport, GateRow, Target
from sapphire.domain.releases import Manifest
from sapphire.registry import CheckEvidence, EvidenceBundle, Outcome, ParityDay, evaluate_gates, load_policy
from sapphire.registry.integrity import CHECKS
from sapphire.statistics import deflated_sharpe_ratio, psr_2012

POLICIES = Path(__file__).parents[3] / "mlflow" / "gates"
Release = tuple[Manifest, EvidenceBundle]

TWENTY_DAYS = [
    ParityDay(day=f"2026-01-{day:02}", market="real", unexplained_lots=0, journal_digest=sha256_of(bytes([day])))
    for day in range(1, 21)
]


@pytest.fixture
def good(freeze: Callable[..., Path], small: SimpleNamespace) -> Release:
    folder = freeze()
    return small.manifest_of(folder), small.bundle_of(folder)


def evaluate(release: Release, to: Target = "live", parity: list[ParityDay] | None = None) -> GateReport:
    manifest, bundle = release
    days = TWENTY_DAYS if parity is None else parity
    policy = load_policy(POLICIES, to)
    return evaluate_gates(manifest, bundle, policy, parity=days, signer=sha256_of(b"key"), authority=LAPTOP_KEY)


def row(report: GateReport, measure: str) -> GateRow:
    (found,) = (each for each in report.rows if each.measure == measure)
    return found


def test_a_release_that_shows_everything_may_trade_money(good: Release) -> None:
    report = evaluate(good)
    assert (report.permits, report.skill_failed, report.failed) == ("live", False, ())
    assert report.manifest_digest == good[0].digest
    assert report.evidence_digest == good[1].digest
    assert report.ledger_head == good[1].walk_forward.ledger_head


MAY_BE_ABSENT = ("twin_test", "fit_test", "feature_parity", "symbol_order")
"""What an agent may lack: a twin, something to fit, features, a second symbol."""


def checks_with(name: str, verdict: Any) -> dict[str, CheckEvidence]:
    """All checks, one with another verdict."""
    plain = {each: CheckEvidence(verdict="pass", bars=460, worst=0.0) for each in CHECKS}
    return plain | {name: CheckEvidence(verdict=verdict, bars=460, worst=None, note="there")}


@pytest.mark.parametrize("name", MAY_BE_ABSENT)
def test_what_an_agent_lacks_breaks_no_gate(good: Release, small: SimpleNamespace, name: str) -> None:
    manifest, bundle = good
    changed = small.replaced(bundle, integrity={"checks": checks_with(name, "absent")})
    report = evaluate((manifest, changed))
    assert report.permits == "live"
    assert row(report, name).note == "nothing to compare: there"


BREAKS: list[tuple[dict[str, Any], str]] = [
    ({"integrity": {"captured_source": False}}, "captured_source"),
    ({"integrity": {"snapshot_verified": False}}, "snapshot_pinned"),
    ({"integrity": {"lock_sha256": "0" * 64}}, "lock_pinned"),
    ({"integrity": {"lock_differs": ("numpy 2.4.1, not 2.4.0",)}}, "lock_pinned"),
    ({"integrity": {"isolation": "observed"}}, "isolated"),
    *(({"integrity": {"checks": checks_with(name, "fail")}}, name) for name in CHECKS),
    *(({"integrity": {"checks": checks_with(name, "absent")}}, name) for name in CHECKS if name not in MAY_BE_ABSENT),
    ({"integrity": {"golden_ok": False}}, "golden_vectors"),
    ({"replays": {}}, "walk_forward holdout doubled_costs"),
    ({"integrity": {"dirty": True}}, "clean_tree"),
    ({"integrity": {"git_commit": ""}}, "clean_tree"),
    ({"source": "embedded"}, "recorded_data"),
    ({"walk_forward": {"trials": 100_000}}, "deflated_sharpe"),
    ({"walk_forward": {"sharpe": None}}, "deflated_sharpe"),
    ({"walk_forward": {"length": 29}}, "deflated_sharpe"),
    ({"walk_forward": {"kurtosis": 0.1}}, "deflated_sharpe"),
    ({"holdout": {"agent": Outcome(total_return=0.0, sharpe=0.02)}}, "holdout_return_over_cash"),
    ({"holdout": {"agent": Outcome(total_return=0.1, sharpe=0.012)}}, "holdout_sharpe_over_buy_and_hold"),
    ({"holdout": {"agent": Outcome(total_return=0.1, sharpe=None)}}, "holdout_sharpe_over_buy_and_hold"),
    ({"costs": {"times": 1.5}}, "edge_survives_costs_times"),
    ({"costs": {"outcome": Outcome(total_return=0.0, sharpe=None)}}, "edge_survives_costs_times"),
]


@pytest.mark.parametrize(("broken", "measures"), BREAKS)
def test_each_failure_alone_keeps_a_release_from_money(
    good: Release, broken: dict[str, Any], measures: str, small: SimpleNamespace
) -> None:
    manifest, bundle = good
    report = evaluate((manifest, small.replaced(bundle, **broken)))
    assert [each.measure for each in report.failed] == measures.split()
    assert report.permits is None


@pytest.mark.parametrize(("broken", "measures"), BREAKS)
def test_paper_is_kept_by_integrity_and_replay_and_marked_by_skill(
    good: Release, broken: dict[str, Any], measures: str, small: SimpleNamespace
) -> None:
    manifest, bundle = good
    report = evaluate((manifest, small.replaced(bundle, **broken)), "paper", [])
    skill = any(each.gate in ("skill", "cost") and each.measure in measures.split() for each in report.rows)
    only_live = measures in ("clean_tree", "recorded_data", "isolated")
    assert report.permits == ("paper" if skill or only_live else None)
    assert report.skill_failed == skill
    assert [each.measure for each in report.marks] == (measures.split() if skill else [])


def test_the_deflated_sharpe_is_the_one_of_the_statistics_room(good: Release, small: SimpleNamespace) -> None:
    walk = good[1].walk_forward
    shape: dict[str, Any] = {"length": walk.length, "skew": walk.skew, "kurtosis": walk.kurtosis}
    assert walk.sharpe is not None
    value = deflated_sharpe_ratio(walk.sharpe, trials=walk.trials, variance_of_trials=walk.variance_of_trials, **shape)
    found = row(evaluate(good), "deflated_sharpe")
    assert found.value == value
    assert found.note == "N = 74 trials in the ledger, 21.5 effective"
    alone = small.replaced(good[1], walk_forward={"trials": 1, "variance_of_trials": 0.0, "effective_trials": None})
    found = row(evaluate((good[0], alone)), "deflated_sharpe")
    assert (found.value, found.note) == (psr_2012(walk.sharpe, **shape), "N = 1 trial in the ledger")


def test_more_trials_never_help(good: Release, small: SimpleNamespace) -> None:
    values = [
        row(evaluate((good[0], small.replaced(good[1], walk_forward={"trials": n}))), "deflated_sharpe").value
        for n in (1, 2, 10, 74, 1_000, 100_000)
    ]
    assert values == sorted(values, reverse=True)  # type: ignore[type-var]


def test_what_could_not_be_measured_says_why(good: Release, small: SimpleNamespace) -> None:
    manifest, bundle = good
    short = evaluate((manifest, small.replaced(bundle, walk_forward={"length": 12})))
    assert row(short, "deflated_sharpe").value is None
    assert row(short, "deflated_sharpe").note == "too few returns to deflate a Sharpe ratio: 12"
    flat = evaluate((manifest, small.replaced(bundle, walk_forward={"sharpe": None, "skew": None, "kurtosis": None})))
    assert row(flat, "deflated_sharpe").note == "the returns do not vary"
    assert row(evaluate(good, parity=[]), "unexplained_lots").has == "nothing"


@pytest.mark.parametrize(
    ("plain", "dear", "survives"), [(0.4, 0.2, 2.0), (0.4, 0.0, 1.0), (0.0, -0.1, 0.0), (-0.2, 0.1, 0.0)]
)
def test_an_edge_survives_up_to_the_costs_that_leave_something(
    good: Release, plain: float, dear: float, survives: float, small: SimpleNamespace
) -> None:
    changed = small.replaced(
        good[1], walk_forward={"total_return": plain}, costs={"outcome": Outcome(total_return=dear, sharpe=None)}
    )
    assert row(evaluate((good[0], changed)), "edge_survives_costs_times").value == survives


def test_only_days_on_the_real_market_count_and_each_once(good: Release, small: SimpleNamespace) -> None:
    days = small.paper_days(19)
    assert row(evaluate(good, parity=[*days, *days]), "paper_days").value == 19
    mixed = [*days, *small.paper_days(28, market="generated"), *small.paper_days(25, market="recorded")]
    found = row(evaluate(good, parity=mixed), "paper_days")
    assert (found.value, found.note) == (19, "9 more on other markets, which do not count")
    assert evaluate(good, parity=mixed).permits is None
    assert evaluate(good, parity=small.paper_days(20)).permits == "live"


def test_an_unexplained_lot_counts_on_any_market(good: Release, small: SimpleNamespace) -> None:
    days = [*small.paper_days(20), *small.paper_days(1, market="generated", unexplained_lots=3)]
    found = row(evaluate(good, parity=days), "unexplained_lots")
    assert (found.value, found.passed, found.note) == (3, False, "over 21 replayed days")


def test_evidence_of_something_else_is_refused(
    good: Release, freeze: Callable[..., Path], small: SimpleNamespace
) -> None:
    manifest, bundle = good
    other = small.manifest_of(freeze(fast=13))
    with pytest.raises(EvidenceRefused, match="of another release"):
        evaluate((other, bundle))
    with pytest.raises(EvidenceRefused, match="of another engine"):
        evaluate((manifest, small.replaced(bundle, engine_version="0.2.0")))
