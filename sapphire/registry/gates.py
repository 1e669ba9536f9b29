"""Gates: a policy's questions answered from what was measured.

Each measure is one small function of the release, its evidence and its paper days. What cannot be measured answers
nothing, and nothing passes no gate.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sapphire.data.series import AS_SPOT
from sapphire.domain.clocks import to_ns
from sapphire.domain.display import stamp
from sapphire.domain.errors import EvidenceRefused, StatisticsError
from sapphire.domain.evidence import MARKED, Authority, GateReport, GateRow
from sapphire.domain.needs import Need, Value
from sapphire.domain.releases import Manifest
from sapphire.registry.integrity import CHECKS
from sapphire.registry.measurements import Difference, EvidenceBundle, WalkForwardEvidence
from sapphire.registry.paper_days import PaperDays
from sapphire.registry.policies import Policy
from sapphire.registry.record_lines import FIRST
from sapphire.registry.track_records import minimum_track_record_text

if TYPE_CHECKING:
    from sapphire.agents.counterfactuals import AgentCounterfactuals, Kind

__all__ = ["Issue", "evaluate_gates"]

_SHORT = 12
_NAMED = 3
_MAY_BE_ABSENT = ("twin_test", "fit_test", "feature_parity", "symbol_order")


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """Where and when a report is made; the defaults are those of a measurement that stands in no record.

    Parameters
    ----------
    record_head : sha256 of the last line of the release's record.
    sequence : number of the report among those of the release for the target.
    at_ns : now, UTC nanoseconds.
    revocations : how many revocations are known.
    """

    record_head: str = FIRST
    sequence: int = 1
    at_ns: int = 0
    revocations: int = 0


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the measures are taken of."""

    manifest: Manifest
    bundle: EvidenceBundle
    parity: PaperDays
    counted: WalkForwardEvidence
    policy: Policy


_Answer = tuple[Value, str]
"""A value, and what it stands on."""


def evaluate_gates(
    manifest: Manifest,
    bundle: EvidenceBundle,
    policy: Policy,
    *,
    parity: PaperDays | None = None,
    signer: str,
    authority: Authority,
    counted: WalkForwardEvidence | None = None,
    issue: Issue | None = None,
) -> GateReport:
    """What a policy says of a release.

    Parameters
    ----------
    parity : the paper days that there are, as their witness saw them.
    signer : id of the key that will sign.
    authority : what that signature proves.
    counted : the walk-forward evidence with the trials as the ledger has them now; as the submit counted them without.
    issue : where and when it is made.

    Raises
    ------
    EvidenceRefused : the evidence is of another release, or was made by another engine.
    """
    for what, expected, got in (
        ("release", manifest.digest[:_SHORT], bundle.manifest_digest[:_SHORT]),
        ("engine", manifest.engine_version, bundle.engine_version),
    ):
        if expected != got:
            raise EvidenceRefused(
                f"the evidence of {manifest.name} is of another {what}",
                expected=expected,
                got=got,
                next="study.submit(agent) measures the release that stands there now",
            )
    made, walk = issue or Issue(), counted or bundle.walk_forward
    asked = _Asked(manifest, bundle, parity or PaperDays((), {}), walk, policy)
    rows = []
    for gate, measure, needs, refuses in policy.rows():
        value, note = _ANSWERS[gate][measure](asked)
        rows.append(GateRow(gate=gate, measure=measure, needs=needs, value=value, refuses=refuses, note=note))
    return GateReport(
        name=manifest.name,
        manifest_digest=manifest.digest,
        policy_digest=policy.digest,
        evidence_digest=bundle.digest,
        record_head=made.record_head,
        trials=walk.trials,
        data=bundle.data,
        target=policy.target,
        rows=tuple(rows),
        ledger_head=walk.ledger_head,
        engine_version=bundle.engine_version,
        signer=signer,
        authority=authority,
        sequence=made.sequence,
        issued_ns=made.at_ns,
        valid_until_ns=made.at_ns + policy.valid_ns,
        revocations=made.revocations,
    )


def _snapshot_pinned(asked: _Asked) -> _Answer:
    integrity = asked.bundle.integrity
    return integrity.snapshot_verified, f"snapshot {integrity.snapshot_hash[:_SHORT]}, {asked.bundle.data}"


def _lock_pinned(asked: _Asked) -> _Answer:
    integrity = asked.bundle.integrity
    wanted, got = asked.manifest.lock_sha256, integrity.lock_sha256
    if wanted != got:
        return False, f"release {wanted[:_SHORT]}, evidence {got[:_SHORT]}"
    if integrity.lock_differs:
        return False, "; ".join(integrity.lock_differs[:_NAMED])
    beside = f", {len(integrity.lock_beside)} distributions beside it" if integrity.lock_beside else ""
    return True, f"lock {wanted[:_SHORT]}{beside}"


def _clean_tree(asked: _Asked) -> _Answer:
    integrity = asked.bundle.integrity
    commit = integrity.git_commit
    if not commit:
        return False, "not under version control"
    if integrity.uncommitted:
        return False, f"not in commit {commit[:_SHORT]}: {', '.join(integrity.uncommitted[:_NAMED])}"
    return not integrity.dirty, f"commit {commit[:_SHORT]}" + (" with changes beside it" if integrity.dirty else "")


def _isolated(asked: _Asked) -> _Answer:
    isolation = asked.bundle.integrity.isolation
    return isolation == "enforced", f"files and sockets of the agents: {isolation}"


def _check(name: str) -> Callable[[_Asked], _Answer]:
    """The verdict of a check; where there is nothing to compare, nothing is wrong, and the note says so."""

    def answer(asked: _Asked) -> _Answer:
        check = asked.bundle.integrity.checks[name]
        if check.verdict == "absent":
            return ("pass" if name in _MAY_BE_ABSENT else None), f"nothing to compare: {check.note}"
        note = f"{check.bars:,} bars"
        return check.verdict, f"{note}: {check.note}" if check.note else note

    return answer


def _golden(asked: _Asked) -> _Answer:
    return "pass" if asked.bundle.integrity.golden_ok else "fail", ""


def _replayed(name: str) -> Callable[[_Asked], _Answer]:
    def answer(asked: _Asked) -> _Answer:
        digest = asked.bundle.replays.get(name)
        return ("recorded", f"digest {digest[:_SHORT]}") if digest else (None, "")

    return answer


def _walked(asked: _Asked) -> _Answer:
    """The digest of the walk-forward, and what has to be said of the release wherever it is shown."""
    value, note = _replayed("walk_forward")(asked)
    marks = asked.bundle.marks
    return value, "; ".join([*([note] if note else []), *([f"{MARKED}{', '.join(marks)}"] if marks else [])])


def _fills(asked: _Asked) -> _Answer:
    walk = asked.bundle.walk_forward
    return walk.fills, f"never traded: {walk.untraded}" if walk.untraded else "fills of the walk-forward replay"


def _slopes(name: str) -> Callable[[_Asked], _Answer]:
    """Of the slopes that the agents were calibrated by, or of what came of forecasts that need no calibration."""

    def answer(asked: _Asked) -> _Answer:
        found = asked.bundle.calibration
        fits = len(found.slopes) + len(found.frozen)
        of = f"{fits:,} fits of the score of {', '.join(found.agents)}" if found.agents else _checks_text(asked)
        return getattr(found, name), of

    return answer


def _checks(name: str) -> Callable[[_Asked], _Answer]:
    return lambda asked: (getattr(asked.bundle.calibration, name), _checks_text(asked))


def _checks_text(asked: _Asked) -> str:
    checks = asked.bundle.calibration.checks
    return f"what was believed in {len(checks):,} test windows, {sum(each.pairs for each in checks):,} outcomes"


def _over_published(side: str) -> Callable[[_Asked], _Answer]:
    """By how much the fee that was assumed is above what the venue publishes for the tier."""

    def answer(asked: _Asked) -> _Answer:
        costs, published = asked.bundle.protocol.costs, asked.bundle.protocol.published
        mine, theirs = float(costs[side]), float(published[side])
        return mine - theirs, f"{mine:g} bps, published for tier {published.get('tier', 'unknown')}: {theirs:g} bps"

    return answer


def _latency(asked: _Asked) -> _Answer:
    shortest, longest = (float(each) for each in asked.bundle.protocol.costs["latency_ms"])
    return shortest, f"a request travels {shortest:g} to {longest:g} ms"


def _deflated_sharpe(asked: _Asked) -> _Answer:
    walk = asked.counted
    note = _trials_text(walk)
    if walk.sharpe is None or walk.skew is None or walk.kurtosis is None:
        return None, "the returns do not vary"
    return _deflated(walk, note, walk.sharpe, walk.skew, walk.kurtosis, variance=walk.variance_of_trials)


def _deflated_active_sharpe(asked: _Asked) -> _Answer:
    walk, active = asked.counted, asked.counted.active
    if active is None:
        return None, "nothing is left of the returns beside the market's"
    note = (
        f"alpha {1e4 * active.alpha:+.3g} bps a bar (t {active.alpha_t:+.2f}), beta {active.beta:.2f}, information "
        f"ratio {active.information_ratio:+.4f} a bar; {_trials_text(walk)}"
    )
    return _deflated(walk, note, active.sharpe, active.skew, active.kurtosis, variance=walk.variance_of_active)


def _deflated(
    walk: WalkForwardEvidence, note: str, sharpe: float, skew: float, kurtosis: float, *, variance: float
) -> _Answer:
    from sapphire.statistics import deflated_sharpe_ratio

    try:
        value = deflated_sharpe_ratio(
            sharpe,
            trials=walk.trials,
            variance_of_trials=variance,
            length=walk.length,
            skew=skew,
            kurtosis=kurtosis,
        )
    except StatisticsError as error:
        return None, f"{error.what}: {error.got}"
    return value, note


def _trials_text(walk: WalkForwardEvidence) -> str:
    text = f"N = {walk.trials:,} trial{'' if walk.trials == 1 else 's'} in the ledger"
    return text if walk.effective_trials is None else f"{text}, {walk.effective_trials:.3g} effective"


def _tested_days(asked: _Asked) -> _Answer:
    """The track record beside the least that would show its Sharpe ratio.

    That is said and not asked: the record is longer than what the luck of N trials takes exactly where the deflated
    Sharpe ratio is above the confidence.
    """
    walk = asked.counted
    return walk.tested_days, f"{walk.length:,} returns; {minimum_track_record_text(walk)}"


def _over(baseline: str, what: str) -> Callable[[_Asked], _Answer]:
    """Probability that luck alone puts the release over a baseline by as much, after as many looks at the hold-out.

    The p-value of the best of k looks, 1 - (1 - p)^k (Sidak 1967), is at most a policy's level where p is at most the
    level after k looks.
    """
    measure = f"holdout_p_value_over_{baseline}"

    def answer(asked: _Asked) -> _Answer:
        found, looks = asked.bundle.holdout.over[baseline], asked.counted.openings
        if found is None:
            return None, f"too few bars, or no difference from {baseline.replace('_', ' ')} that varies"
        value = -math.expm1(looks * math.log1p(-found.p_value)) if found.p_value < 1.0 else 1.0
        seen = asked.bundle.holdout.seen_by
        note = (
            f"{what} {found.mean:+.3g} ± {found.standard_error:.2g} a bar over {found.length:,} bars ({found.method}); "
            f"{_power_text(found, asked.policy.gates['skill'][measure], looks)}; "
            f"{looks:,} look{'' if looks == 1 else 's'} at the hold-out"
        )
        return value, note + (f"; {MARKED}its hold-out was seen before by {', '.join(seen)}" if seen else "")

    return answer


def _power_text(found: Difference, needs: Need, looks: int) -> str:
    """How likely a release of this very edge is to pass."""
    from scipy.special import ndtr, ndtri

    from sapphire.statistics import level_after_openings

    level = needs.get("max") if isinstance(needs, Mapping) else None
    if level is None or not 0.0 < level < 1.0:
        return "no level to tell a power for"
    corrected = level_after_openings(level, looks)
    power = float(ndtr(found.mean / found.standard_error - ndtri(1.0 - corrected)))
    return f"power {power:.2f} at that mean and the level {level:g}"


def _after_cutoff(asked: _Asked) -> _Answer:
    """Whether every tested bar closed after what the release's models may have read: before, a model may remember."""
    models = [artefact for agent in asked.manifest.agents for artefact in agent.artefacts]
    if not models:
        return True, "it asks no model"
    latest = max(models, key=lambda artefact: artefact.knows_until)
    knows = f"{latest.repository} may know what came before {stamp(to_ns(latest.knows_until))}"
    if asked.bundle.source == "embedded":
        return True, f"{knows}; the market is generated: no model has read it"
    span, cutoff_ns = asked.counted.span, to_ns(latest.knows_until)
    first_ns, end_ns = min(int(span["start_ns"]), asked.bundle.holdout.start_ns), asked.bundle.holdout.end_ns
    before = (min(cutoff_ns, end_ns) - first_ns) / (end_ns - first_ns)
    if before <= 0.0:
        return True, f"{knows}; the first tested bar closed at {stamp(first_ns)}"
    return False, f"{knows}: {100.0 * before:.0f} % of what was tested; test on newer bars, or name an older model"


def _changed(kind: Kind, share: Literal["consistency", "dependency"]) -> Callable[[_Asked], _Answer]:
    """A share of the views of windows in which one thing was changed, of the model's agent where it is least."""

    def answer(asked: _Asked) -> _Answer:
        found = asked.bundle.counterfactuals
        wanted = sum(bool(agent.artefacts) for agent in asked.manifest.agents)
        if not wanted:
            return 1.0, "not applicable: it asks no model"
        if len(found) != wanted:
            return None, f"measured of {len(found)} of {wanted} agents that ask a model; older evidence has none"
        rows = [(getattr(each.row(kind), share), each) for each in found]
        mute = [each for value, each in rows if value is None]
        if mute:
            return None, f"{mute[0].agent}: {mute[0].row(kind).note or 'no view to compare'}"
        value, least = min(rows, key=lambda pair: pair[0])
        return value, _changed_text(least, kind, share)

    return answer


def _changed_text(found: AgentCounterfactuals, kind: Kind, share: str) -> str:
    row = found.row(kind)
    if share == "dependency":
        unit = "of probability" if found.unit == "probability" else "deviations"
        text = f"{row.moved:,} of {row.spoken:,} views moved by more than {found.tolerance:g} {unit}"
    else:
        low, high = row.interval or (0.0, 1.0)
        text = f"{row.kept:,} of {row.views:,} views kept their sign, 95 % {low:.2f} to {high:.2f}"
    silent = f", {row.silent:,} fell silent" if row.silent else ""
    same = "; it says the same whatever it is shown" if found.constant else ""
    return f"{found.agent}: {text}{silent}{same}" + (f"; {row.note}" if row.note else "")


def _edge_survives(asked: _Asked) -> _Answer:
    """The largest tested multiple of the costs up to which something was left; 0 if there was nothing to lose."""
    plain, costly = asked.bundle.walk_forward.total_return, asked.bundle.costs
    left = costly.outcome.total_return
    note = f"{100 * plain:+.2f} % at the costs, {100 * left:+.2f} % at {costly.times:g} times"
    return (0.0 if plain <= 0.0 else costly.times if left > 0.0 else 1.0), note


def _of_days(value: Callable[[PaperDays], Value]) -> Callable[[_Asked], _Answer]:
    """A measure of all recorded days, on whatever market and however bad."""

    def answer(asked: _Asked) -> _Answer:
        days = len(asked.parity)
        if not days:
            return None, "no paper day was recorded"
        return value(asked.parity), f"over {days} recorded day{'' if days == 1 else 's'}"

    return answer


def _recorded_data(asked: _Asked) -> _Answer:
    """Whether the market that the evidence is of happened; perpetuals that stand in for spot are no such market."""
    bundle = asked.bundle
    return bundle.source == "recorded" and AS_SPOT not in bundle.data, bundle.data


def _paper_days(asked: _Asked) -> _Answer:
    counted, others = asked.parity.counted()
    more = "; ".join(f"{count} more {why}" for why, count in sorted(others.items()))
    return len(counted), f"{more}: they do not count" if more else ""


_ANSWERS: Mapping[str, Mapping[str, Callable[[_Asked], _Answer]]] = {
    "integrity": {
        "captured_source": lambda asked: (asked.bundle.integrity.captured_source, ""),
        "snapshot_pinned": _snapshot_pinned,
        "lock_pinned": _lock_pinned,
        "clean_tree": _clean_tree,
        "recorded_data": _recorded_data,
        "isolated": _isolated,
        **{name: _check(name) for name in CHECKS},
        "golden_vectors": _golden,
        "maker_fee_bps_over_published": _over_published("maker_bps"),
        "taker_fee_bps_over_published": _over_published("taker_bps"),
        "latency_ms": _latency,
    },
    "replay": {"walk_forward": _walked, **{name: _replayed(name) for name in ("holdout", "doubled_costs")}},
    "skill": {
        "deflated_sharpe": _deflated_sharpe,
        "deflated_active_sharpe": _deflated_active_sharpe,
        "holdout_p_value_over_cash": _over("cash", "return"),
        "holdout_p_value_over_buy_and_hold": _over("buy_and_hold", "Sharpe ratio"),
        "folds": lambda asked: (asked.bundle.walk_forward.folds, ""),
        "tested_days": _tested_days,
        "holdout_days": lambda asked: (asked.bundle.holdout.days, ""),
        "fills": _fills,
        "after_knowledge_cutoff": _after_cutoff,
        "anonymised_consistency": _changed("anonymised_symbols", "consistency"),
        "dates_consistency": _changed("shifted_dates", "consistency"),
        "input_dependency": _changed("exchanged_inputs", "dependency"),
    },
    "cost": {"edge_survives_costs_times": _edge_survives},
    "calibration": {
        **{name: _slopes(name) for name in ("negative_share", "least_abs_t")},
        **{name: _checks(name) for name in ("coverage_gap", "mean_p_value")},
    },
    "parity": {
        "unexplained_lots": _of_days(lambda days: days.unexplained_lots),
        "bars_decided": _of_days(lambda days: days.bars_decided),
        "signals_taken": _of_days(lambda days: days.signals_taken),
        "books_equal": _of_days(lambda days: days.books_equal),
        "journals_replay": _of_days(lambda days: days.journals_replay),
        "paper_days": _paper_days,
    },
}
