"""Every gate answers from what was measured, and what was not measured passes none."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sapphire.agents.counterfactuals import COUNTERFACTUALS, AgentCounterfactuals, Counterfactual
from sapphire.domain.artefacts import Artefact
from sapphire.domain.canonical import sha256_of
from sapphire.domain.clocks import to_ns
from sapphire.domain.errors import EvidenceRefused
from sapphire.domain.evidence import LAPTOP_KEY, GateReport, GateRow, Target
from sapphire.domain.protocols import Protocol
from sapphire.domain.releases import Manifest
from sapphire.registry import (
    BeliefCheck,
    CalibrationEvidence,
    CheckEvidence,
    Difference,
    EvidenceBundle,
    Outcome,
    ParityDay,
    ScoreSlope,
    evaluate_gates,
    load_policy,
)
from sapphire.registry.integrity import CHECKS
from sapphire.registry.paper_days import PaperDays
from sapphire.statistics import deflated_sharpe_ratio, psr_2012

POLICIES = Path(__file__).parents[3] / "mlflow" / "gates"
Release = tuple[Manifest, EvidenceBundle]


def sound_days(count: int) -> list[ParityDay]:
    return [
        ParityDay(
            day=f"2026-01-{day:02}",
            market="real",
            account="paper",
            bars=24,
            whole_bars=24,
            bars_seen=24,
            bars_decided=24,
            signals=10,
            signals_taken=10,
            foreign_signals=0,
            books_equal=True,
            replays=True,
            unexplained_lots=0,
            explained_lots={},
            journal_digest=sha256_of(bytes([day])),
        )
        for day in range(1, count + 1)
    ]


@pytest.fixture
def good(freeze: Callable[..., Path], small: SimpleNamespace) -> Release:
    folder = freeze()
    return small.manifest_of(folder), small.bundle_of(folder)


def evaluate(release: Release, to: Target = "live", parity: list[ParityDay] | None = None) -> GateReport:
    manifest, bundle = release
    days = PaperDays.seen_by(lambda *_: "", manifest.digest, sound_days(20) if parity is None else parity)
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


def test_the_track_record_stands_beside_the_least_that_would_do(good: Release, small: SimpleNamespace) -> None:
    """MinTRL by hand for normal returns: 1 + (1 + SR^2 / 2) (1.645 / SR)^2, which is 1,084.6 at a Sharpe of 0.05."""
    manifest, bundle = good

    def note(**walk: Any) -> str:
        made = small.replaced(bundle, walk_forward={"skew": 0.0, "kurtosis": 3.0, "sharpe": 0.05, **walk})
        return row(evaluate((manifest, made)), "tested_days").note

    assert note(trials=1) == (
        "8,760 returns; MinTRL at 0.95: 1,085 for a Sharpe ratio above 0, 1,085 above the luck of N"
    )
    assert "1,085 for a Sharpe ratio above 0, 4,080 above the luck of N" in note()
    assert "1,085 for a Sharpe ratio above 0, none is enough above the luck of N" in note(variance_of_trials=1.0)
    assert note(sharpe=None) == "8,760 returns; no MinTRL: they do not vary"
    assert "MinTRL at 0.95" in str(evaluate(good))


def test_days_that_nobody_saw_do_not_thin_out_bad_ones(small: SimpleNamespace) -> None:
    """Beside five days of which half the bars were decided, twenty perfect ones from a notebook change nothing."""
    bad = [small.paper_day(f"2026-01-{day:02}", bars_decided=12, signals_taken=20) for day in range(1, 6)]
    forged = small.paper_days(20)
    days = PaperDays.seen_by(lambda _, day: "" if day in bad else "forged", "release", [*bad, *forged])
    assert (days.bars_decided, days.signals_taken) == (0.5, 0.5)
    worse = small.paper_days(1, bars_decided=0)
    days = PaperDays.seen_by(lambda _, day: "" if day in bad else "forged", "release", [*bad, *worse])
    assert days.bars_decided == 60 / 144


DAY_NS = 86_400_000_000_000
HOLDOUT_ENDS = to_ns("2025-06-30")
EDGE = Difference(mean=3e-5, standard_error=1e-5, p_value=0.01, length=4_320, method="bootstrap")
LUCK = Difference(mean=1e-5, standard_error=2e-5, p_value=0.21, length=4_320, method="bootstrap")
PUBLISHED = {"maker_bps": 10.0, "taker_bps": 10.0, "slippage_bps": 1.0, "latency_ms": [5.0, 50.0], "tier": "regular"}


def under(costs: dict[str, Any]) -> Protocol:
    """A protocol with other costs than the venue publishes."""
    return Protocol(
        costs=PUBLISHED | costs,
        published=PUBLISHED,
        split={},
        holdout_ns=0,
        seeds={},
        sizing={},
        limits={},
        execution={},
        when_views_stop={},
        starting_cash="1",
    )


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
    ({"data": "recorded candles (binanceusdm-as-spot)"}, "recorded_data"),
    ({"walk_forward": {"trials": 100_000}}, "deflated_sharpe deflated_active_sharpe"),
    ({"walk_forward": {"sharpe": None}}, "deflated_sharpe"),
    ({"walk_forward": {"length": 29}}, "deflated_sharpe deflated_active_sharpe"),
    ({"walk_forward": {"kurtosis": 0.1}}, "deflated_sharpe"),
    ({"walk_forward": {"active": None}}, "deflated_active_sharpe"),
    ({"walk_forward": {"variance_of_active": 1e-2}}, "deflated_active_sharpe"),
    ({"walk_forward": {"folds": 3}}, "folds"),
    ({"walk_forward": {"tested_days": 364.0}}, "tested_days"),
    ({"walk_forward": {"fills": 99}}, "fills"),
    ({"holdout": {"start_ns": HOLDOUT_ENDS - 59 * DAY_NS}}, "holdout_days"),
    ({"holdout": {"over": {"cash": LUCK, "buy_and_hold": EDGE}}}, "holdout_p_value_over_cash"),
    ({"holdout": {"over": {"cash": EDGE, "buy_and_hold": LUCK}}}, "holdout_p_value_over_buy_and_hold"),
    ({"holdout": {"over": {"cash": EDGE, "buy_and_hold": None}}}, "holdout_p_value_over_buy_and_hold"),
    ({"walk_forward": {"openings": 100}}, "holdout_p_value_over_cash holdout_p_value_over_buy_and_hold"),
    ({"protocol": under(costs={"taker_bps": 9.99})}, "taker_fee_bps_over_published"),
    ({"protocol": under(costs={"maker_bps": 0.0})}, "maker_fee_bps_over_published"),
    ({"protocol": under(costs={"latency_ms": [0.0, 50.0]})}, "latency_ms"),
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
    ("plain", "costlier", "survives"), [(0.4, 0.2, 2.0), (0.4, 0.0, 1.0), (0.0, -0.1, 0.0), (-0.2, 0.1, 0.0)]
)
def test_an_edge_survives_up_to_the_costs_that_leave_something(
    good: Release, plain: float, costlier: float, survives: float, small: SimpleNamespace
) -> None:
    changed = small.replaced(
        good[1], walk_forward={"total_return": plain}, costs={"outcome": Outcome(total_return=costlier, sharpe=None)}
    )
    assert row(evaluate((good[0], changed)), "edge_survives_costs_times").value == survives


def test_only_days_on_the_real_market_count_and_each_once(good: Release, small: SimpleNamespace) -> None:
    days = small.paper_days(19)
    assert row(evaluate(good, parity=[*days, *days]), "paper_days").value == 19
    mixed = [*days, *small.paper_days(28, market="generated"), *small.paper_days(25, market="recorded")]
    found = row(evaluate(good, parity=mixed), "paper_days")
    assert (found.value, found.note) == (19, "53 more on other markets: they do not count")
    assert evaluate(good, parity=mixed).permits is None
    assert evaluate(good, parity=small.paper_days(20)).permits == "live"


def test_an_unexplained_lot_counts_on_any_market(good: Release, small: SimpleNamespace) -> None:
    days = [*small.paper_days(20), *small.paper_days(1, market="generated", unexplained_lots=3)]
    found = row(evaluate(good, parity=days), "unexplained_lots")
    assert (found.value, found.passed, found.note) == (3, False, "over 21 recorded days")


BAD_DAYS: list[tuple[dict[str, Any], str, Any]] = [
    ({"bars_decided": 0}, "bars_decided", 19 / 20),
    ({"signals_taken": 20}, "signals_taken", 1 - 20 / 800),
    ({"books_equal": False}, "books_equal", False),
    ({"books_equal": None}, "books_equal", None),
    ({"replays": False}, "journals_replay", False),
    ({"unexplained_lots": 1}, "unexplained_lots", 1),
]


@pytest.mark.parametrize(("changed", "measure", "value"), BAD_DAYS)
def test_one_bad_day_closes_live(
    good: Release, small: SimpleNamespace, changed: dict[str, Any], measure: str, value: Any
) -> None:
    days = [*small.paper_days(19), small.paper_day("2026-02-20", **changed)]
    report = evaluate(good, parity=days)
    found = row(report, measure)
    assert (found.passed, report.permits) == (False, None)
    assert found.value == (value if not isinstance(value, float) else pytest.approx(value))


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"bars_seen": 23}, "not seen from midnight to midnight"),
        ({"bars": 23, "bars_seen": 23, "bars_decided": 23}, "not seen from midnight to midnight"),
        ({"foreign_signals": 1}, "shared with another release"),
        ({"replays": False}, "whose journal does not replay"),
    ],
)
def test_a_day_that_is_not_as_it_should_be_does_not_count(
    good: Release, small: SimpleNamespace, changed: dict[str, Any], why: str
) -> None:
    days = [*small.paper_days(19), small.paper_day("2026-02-20", **changed)]
    found = row(evaluate(good, parity=days), "paper_days")
    assert (found.value, found.note) == (19, f"1 more {why}: they do not count")


def test_a_day_with_another_journal_counts_no_more_and_all_that_is_bad_of_either_counts(
    good: Release, small: SimpleNamespace
) -> None:
    """Recording a bad day again, from a better run, does not make it a good one."""
    bad = small.paper_day("2026-02-20", unexplained_lots=5, bars_decided=0, books_equal=False)
    again = small.paper_day("2026-02-20", journal_digest="ab" * 32, unexplained_lots=2)
    report = evaluate(good, parity=[*small.paper_days(19), bad, again])
    assert (row(report, "paper_days").value, row(report, "unexplained_lots").value) == (19, 7)
    assert row(report, "paper_days").note == "1 more recorded with different journals: they do not count"
    assert (row(report, "books_equal").value, row(report, "bars_decided").value) == (False, pytest.approx(0.95))


def test_books_that_were_compared_later_are_those_of_the_day(good: Release, small: SimpleNamespace) -> None:
    early = small.paper_day("2026-02-20", books_equal=None)
    report = evaluate(good, parity=[*small.paper_days(19), early, small.paper_day("2026-02-20")])
    assert (row(report, "books_equal").value, row(report, "paper_days").value) == (True, 20)
    later = evaluate(good, parity=[*small.paper_days(20), small.paper_day("2026-02-20", books_equal=False)])
    assert row(later, "books_equal").value is False


def test_days_that_no_witness_saw_do_not_count(good: Release, small: SimpleNamespace) -> None:
    manifest, bundle = good
    days = small.paper_days(20)
    policy = load_policy(POLICIES, "live")
    for witness, note in (
        (None, "20 more that nobody compared with a journal"),
        (lambda _, day: "not in the journal of any run here" if day == days[3] else "", "1 more not in the journal"),
    ):
        seen = PaperDays.seen_by(witness, manifest.digest, days)
        found = evaluate_gates(manifest, bundle, policy, parity=seen, signer=sha256_of(b"key"), authority=LAPTOP_KEY)
        assert found.permits is None
        assert row(found, "paper_days").note.startswith(note)


def test_the_trials_are_those_that_the_ledger_has_now(good: Release, small: SimpleNamespace) -> None:
    manifest, bundle = good
    now = small.replaced(bundle, walk_forward={"trials": 100_000, "openings": 50, "ledger_head": "f" * 64}).walk_forward
    days = PaperDays.seen_by(lambda *_: "", manifest.digest, sound_days(20))
    settings: dict[str, Any] = {"parity": days, "signer": sha256_of(b"key"), "authority": LAPTOP_KEY}
    report = evaluate_gates(manifest, bundle, load_policy(POLICIES, "live"), counted=now, **settings)
    assert report.permits is None
    assert report.ledger_head == "f" * 64
    assert "N = 100,000 trials" in row(report, "deflated_sharpe").note


@pytest.mark.parametrize(("looks", "value"), [(1, 0.01), (2, 1 - 0.99**2), (22, 1 - 0.99**22), (23, 1 - 0.99**23)])
def test_each_look_at_the_hold_out_costs(good: Release, looks: int, value: float, small: SimpleNamespace) -> None:
    changed = small.replaced(good[1], walk_forward={"openings": looks})
    found = row(evaluate((good[0], changed)), "holdout_p_value_over_cash")
    assert found.value == pytest.approx(value, rel=1e-12)
    assert found.passed == (looks < 23)  # 1 - 0.8 ** (1 / 22) is 0.0101, and 1 - 0.8 ** (1 / 23) is 0.0097
    assert f"{looks} look" in found.note
    assert "power" in found.note


def test_a_hold_out_that_others_saw_is_marked(good: Release, small: SimpleNamespace) -> None:
    changed = small.replaced(good[1], holdout={"seen_by": ("carry", "trend")})
    assert (
        "MARKED: its hold-out was seen before by carry, trend"
        in row(evaluate((good[0], changed)), "holdout_p_value_over_cash").note
    )


def test_alpha_beta_and_information_ratio_are_told(good: Release) -> None:
    note = row(evaluate(good), "deflated_active_sharpe").note
    assert note.startswith("alpha +2 bps a bar (t +4.00), beta 0.10, information ratio +0.0500 a bar; N = 74 trials")


def test_evidence_of_something_else_is_refused(
    good: Release, freeze: Callable[..., Path], small: SimpleNamespace
) -> None:
    manifest, bundle = good
    other = small.manifest_of(freeze(fast=13))
    with pytest.raises(EvidenceRefused, match="of another release"):
        evaluate((other, bundle))
    with pytest.raises(EvidenceRefused, match="of another engine"):
        evaluate((manifest, small.replaced(bundle, engine_version="0.2.0")))


def slope(fold: int, bps: float, error: float = 1.0, *, agent: str = "Trend") -> ScoreSlope:
    """The slope of a fit, traded where it is more than an error away from zero."""
    traded = bps if abs(bps) > error else 0.0
    return ScoreSlope(agent=agent, fold=fold, slope_bps=bps, error_bps=error, traded_bps=traded, pairs=900)


def check(fold: int, of: float | None, coverage: float = 0.8, p_value: float = 0.5) -> BeliefCheck:
    """What came of what was believed in a fold."""
    return BeliefCheck(
        fold=fold,
        slope=of,
        slope_error=0.4,
        p_value=p_value,
        coverage=coverage,
        coverage_error=0.02,
        pairs=500,
    )


def asking(folder: Path, asked: str) -> Path:
    """The policies for paper with one gate more."""
    folder.mkdir()
    text = (POLICIES / "paper.yaml").read_text("utf-8")
    (folder / "paper.yaml").write_text(f"{text}\ncalibration:\n  {asked}\n", "utf-8")
    return folder


SCORED = CalibrationEvidence(
    slopes=(slope(1, 4.0), slope(2, -0.5), slope(3, -3.0), slope(4, 2.5)),
    frozen=(slope(0, 2.2),),
    checks=(check(1, 1.1), check(2, -0.3, 0.7), check(3, None)),
)
STATED = CalibrationEvidence(checks=(check(1, 1.1, p_value=0.01), check(2, -0.3, 0.7), check(3, 0.8)))


@pytest.mark.parametrize(
    ("found", "asked", "value", "permits"),
    [
        (SCORED, "negative_share: {max: 0}", 0.4, None),
        (SCORED, "negative_share: {max: 0.4}", 0.4, "paper"),
        (SCORED, "least_abs_t: {min: 2}", 0.5, None),
        (SCORED, "least_abs_t: {min: 0.5}", 0.5, "paper"),
        (SCORED, "coverage_gap: {max: 0.05}", 0.1, None),
        (STATED, "negative_share: {max: 0}", 1 / 3, None),
        (STATED, "least_abs_t: {min: 2}", 0.75, None),
        (STATED, "mean_p_value: {min: 0.05}", 0.03, None),
        (STATED, "mean_p_value: {min: 0.01}", 0.03, "paper"),
        (CalibrationEvidence(), "negative_share: {max: 0}", None, None),
        (CalibrationEvidence(slopes=(slope(1, 4.0, 0.0),)), "least_abs_t: {min: 2}", None, None),
    ],
)
def test_a_policy_may_refuse_what_calibration_found(
    good: Release, tmp_path: Path, found: Any, asked: str, value: float | None, permits: str | None
) -> None:
    manifest, bundle = good
    policy = load_policy(asking(tmp_path / "asking", asked), "paper")
    changed = dataclasses.replace(bundle, calibration=found)
    report = evaluate_gates(manifest, changed, policy, signer=sha256_of(b"key"), authority=LAPTOP_KEY)
    assert row(report, asked.split(":")[0]).value == (None if value is None else pytest.approx(value))
    assert report.permits == permits


def test_a_turned_member_of_a_pool_is_named_and_counts_for_all(good: Release) -> None:
    found = CalibrationEvidence(
        slopes=(slope(1, 4.0), slope(1, -4.0, agent="Value"), slope(2, 3.0), slope(2, 2.0, agent="Value")),
        frozen=(slope(0, 2.2), slope(0, -2.0, agent="Value")),
    )
    assert found.negative_share == pytest.approx(2 / 3)
    mark = "Value: score is traded reversed in 1 of 2 folds and as it is released"
    assert found.marks == (mark,)
    manifest, bundle = good
    report = evaluate((manifest, dataclasses.replace(bundle, calibration=found)), "paper")
    assert report.marked == (mark,)
    assert f"permits paper until 1970-01-08T00:00Z; MARKED: {mark}; " in report.caption
    assert GateReport.parse(report.canonical) == report


def test_a_release_that_never_traded_is_told_why(good: Release, small: SimpleNamespace) -> None:
    why = "kept, a change would not earn its cost, mean -0.15 bps in 4,440 of 4,440 decisions"
    manifest, bundle = good
    report = evaluate((manifest, small.replaced(bundle, walk_forward={"fills": 0, "untraded": why})), "paper")
    assert (row(report, "fills").value, row(report, "fills").note) == (0, f"never traded: {why}")
    assert report.marked == ("skill not shown", f"never traded: {why}")
    assert f"never traded: {why}" in str(report)


def test_perpetuals_that_stand_in_for_spot_say_so_wherever_the_release_is_shown(good: Release) -> None:
    manifest, bundle = good
    label = "recorded candles (binanceusdm-as-spot)"
    dressed = dataclasses.replace(bundle, data=label)
    mark = f"perpetuals stand in for spot and never pass live: {label}"
    assert dressed.marks == (mark,)
    for target in ("paper", "live"):
        report = evaluate((manifest, dressed), target)
        assert mark in report.marked
        assert f"MARKED: {mark}" in report.caption
    assert report.permits is None
    assert [(each.measure, each.has) for each in report.failed] == [("recorded_data", "no")]
    assert not bundle.marks


def test_a_model_that_may_remember_the_tested_bars_shows_no_skill(good: Release, small: SimpleNamespace) -> None:
    manifest, bundle = good
    days = (HOLDOUT_ENDS - 500 * DAY_NS, HOLDOUT_ENDS - 180 * DAY_NS)
    span = {"market": "real", "assets": {}, "bar_ns": 1, "start_ns": days[0], "end_ns": days[1]}

    def asked(published: str, cutoff: str | None = None, source: str = "recorded") -> GateRow:
        model = Artefact(
            repository="desk/model",
            revision="1",
            sha256="0" * 64,
            dtype="fp8",
            runtime="vllm",
            licence="MIT",
            published=date.fromisoformat(published),
            knowledge_cutoff=None if cutoff is None else date.fromisoformat(cutoff),
        )
        (agent,) = manifest.agents
        made = dataclasses.replace(manifest, agents=(dataclasses.replace(agent, artefacts=(model,)),))
        changed = small.replaced(bundle, manifest_digest=made.digest, source=source, walk_forward={"span": span})
        return row(evaluate((made, changed)), "after_knowledge_cutoff")

    assert row(evaluate(good), "after_knowledge_cutoff").note == "it asks no model"
    assert asked("2023-01-01").passed
    assert not asked("2025-12-01").passed
    assert "100 % of what was tested" in asked("2025-12-01").note
    assert not asked("2024-06-01").passed
    assert asked("2025-12-01", cutoff="2023-06-01").passed  # what its makers state counts, the day it came out does not
    generated = asked("2025-12-01", source="embedded")
    assert generated.passed
    assert "no model has read it" in generated.note


OLD_MODEL = Artefact(
    repository="desk/model",
    revision="1",
    sha256="0" * 64,
    dtype="fp8",
    runtime="vllm",
    licence="MIT",
    published=date(2020, 1, 1),
)


def changed_inputs(kept: int, moved: int, agent: str = "reader", **of_names: Any) -> AgentCounterfactuals:
    """Of ten views each: how many kept their sign where names or dates were changed, and moved where inputs were."""
    asked = {
        "anonymised_symbols": {"views": 10, "kept": kept} | of_names,
        "shifted_dates": {"views": 10, "kept": 10},
        "exchanged_inputs": {"views": 10, "silent": 2, "moved": moved},
    }
    rows = tuple(Counterfactual(kind=kind, **asked.get(kind, {})) for kind in COUNTERFACTUALS)
    return AgentCounterfactuals(
        agent=agent, windows=5, unit="probability", tolerance=0.01, constant=moved == 0, rows=rows
    )


def test_a_model_that_goes_by_names_and_dates_shows_no_skill(good: Release) -> None:
    manifest, bundle = good
    (agent,) = manifest.agents
    made = dataclasses.replace(manifest, agents=(dataclasses.replace(agent, artefacts=(OLD_MODEL,)),))

    def asked(*found: AgentCounterfactuals) -> GateReport:
        return evaluate((made, dataclasses.replace(bundle, manifest_digest=made.digest, counterfactuals=found)))

    names = ("anonymised_consistency", "dates_consistency", "input_dependency")
    assert {row(evaluate(good), name).note for name in names} == {"not applicable: it asks no model"}
    assert all(row(evaluate(good), name).passed for name in names)
    honest = asked(changed_inputs(9, 8))
    assert [row(honest, name).value for name in names] == [0.9, 1.0, 1.0]
    assert all(row(honest, name).passed for name in names)
    assert row(honest, names[0]).note == "reader: 9 of 10 views kept their sign, 95 % 0.60 to 0.98"
    assert row(honest, names[2]).note == "reader: 8 of 8 views moved by more than 0.01 of probability, 2 fell silent"
    by_name = asked(changed_inputs(7, 8))
    assert [row(by_name, name).passed for name in names] == [False, True, True]
    deaf = row(asked(changed_inputs(10, 0)), "input_dependency")
    assert (deaf.value, deaf.passed) == (0.0, False)
    assert "it says the same whatever it is shown" in deaf.note
    older = row(asked(), "dates_consistency")
    assert (older.value, older.passed) == (None, False)
    assert older.note == "measured of 0 of 1 agents that ask a model; older evidence has none"
    mute = row(asked(changed_inputs(0, 8, views=0, note="no view")), "anonymised_consistency")
    assert (mute.value, mute.note) == (None, "reader: no view")


def test_of_several_agents_that_ask_a_model_the_least_counts(good: Release) -> None:
    manifest, bundle = good
    (agent,) = manifest.agents
    both = tuple(dataclasses.replace(agent, name=name, artefacts=(OLD_MODEL,)) for name in ("one", "two"))
    made = dataclasses.replace(manifest, agents=both, pooling={"rule": "equal"})
    found = (changed_inputs(9, 8, "one"), changed_inputs(3, 5, "two"))
    report = evaluate((made, dataclasses.replace(bundle, manifest_digest=made.digest, counterfactuals=found)))
    assert row(report, "anonymised_consistency").value == 0.3
    assert row(report, "anonymised_consistency").note.startswith("two: 3 of 10")
    assert row(report, "input_dependency").value == 5 / 8
