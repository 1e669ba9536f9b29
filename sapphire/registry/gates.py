"""Gates: a policy's questions answered from what was measured.

Each measure is one small function of the release, its evidence and its paper days. What cannot be measured answers
nothing, and nothing passes no gate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sapphire.domain.errors import EvidenceRefused, StatisticsError
from sapphire.domain.evidence import Authority, GateReport, GateRow
from sapphire.domain.needs import Value
from sapphire.domain.releases import Manifest
from sapphire.registry.evidence_store import FIRST
from sapphire.registry.measurements import EvidenceBundle, Outcome, ParityDay, WalkForwardEvidence
from sapphire.registry.policies import Policy

__all__ = ["Issue", "evaluate_gates"]

_SHORT = 12


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
    parity: tuple[ParityDay, ...]
    counted: WalkForwardEvidence

    @property
    def held(self) -> Outcome:
        return self.bundle.holdout.baselines["buy_and_hold"]


_Answer = tuple[Value, str]
"""A value, and what it stands on."""


def evaluate_gates(
    manifest: Manifest,
    bundle: EvidenceBundle,
    policy: Policy,
    *,
    parity: Sequence[ParityDay] = (),
    signer: str,
    authority: Authority,
    counted: WalkForwardEvidence | None = None,
    issue: Issue | None = None,
) -> GateReport:
    """What a policy says of a release.

    Parameters
    ----------
    parity : the paper days that there are.
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
    asked = _Asked(manifest, bundle, tuple(parity), walk)
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
    wanted, got = asked.manifest.lock_sha256, asked.bundle.integrity.lock_sha256
    note = f"lock {wanted[:_SHORT]}" if wanted == got else f"release {wanted[:_SHORT]}, evidence {got[:_SHORT]}"
    return wanted == got, note


def _clean_tree(asked: _Asked) -> _Answer:
    integrity = asked.bundle.integrity
    commit = integrity.git_commit
    if not commit:
        return False, "not under version control"
    return not integrity.dirty, f"commit {commit[:_SHORT]}" + (" with changes beside it" if integrity.dirty else "")


def _golden(asked: _Asked) -> _Answer:
    return "pass" if asked.bundle.integrity.golden_ok else "fail", ""


def _replayed(name: str) -> Callable[[_Asked], _Answer]:
    def answer(asked: _Asked) -> _Answer:
        digest = asked.bundle.replays.get(name)
        return ("recorded", f"digest {digest[:_SHORT]}") if digest else (None, "")

    return answer


def _deflated_sharpe(asked: _Asked) -> _Answer:
    from sapphire.statistics import deflated_sharpe_ratio

    walk = asked.counted
    note = f"N = {walk.trials:,} trial{'' if walk.trials == 1 else 's'} in the ledger"
    if walk.effective_trials is not None:
        note += f", {walk.effective_trials:.3g} effective"
    if walk.sharpe is None or walk.skew is None or walk.kurtosis is None:
        return None, "the returns do not vary"
    try:
        value = deflated_sharpe_ratio(
            walk.sharpe,
            trials=walk.trials,
            variance_of_trials=walk.variance_of_trials,
            length=walk.length,
            skew=walk.skew,
            kurtosis=walk.kurtosis,
        )
    except StatisticsError as error:
        return None, f"{error.what}: {error.got}"
    return value, note


def _return_over(baseline: str) -> Callable[[_Asked], _Answer]:
    def answer(asked: _Asked) -> _Answer:
        mine = asked.bundle.holdout.agent.total_return
        theirs = asked.bundle.holdout.baselines[baseline].total_return
        return mine - theirs, f"{100 * mine:+.2f} % against {100 * theirs:+.2f} %"

    return answer


def _sharpe_over_held(asked: _Asked) -> _Answer:
    mine, theirs = asked.bundle.holdout.agent.sharpe, asked.held.sharpe
    if mine is None or theirs is None:
        return None, f"the returns of {'the release' if mine is None else 'buy and hold'} do not vary"
    return mine - theirs, f"{mine:.4f} against {theirs:.4f} per bar"


def _edge_survives(asked: _Asked) -> _Answer:
    """The largest tested multiple of the costs up to which something was left; 0 if there was nothing to lose."""
    plain, dear = asked.bundle.walk_forward.total_return, asked.bundle.costs
    left = dear.outcome.total_return
    note = f"{100 * plain:+.2f} % at the costs, {100 * left:+.2f} % at {dear.times:g} times"
    return (0.0 if plain <= 0.0 else dear.times if left > 0.0 else 1.0), note


def _unexplained_lots(asked: _Asked) -> _Answer:
    if not asked.parity:
        return None, "no paper day was replayed"
    days = {(each.day, each.journal_digest): each.unexplained_lots for each in asked.parity}
    return sum(days.values()), f"over {len(days)} replayed day{'' if len(days) == 1 else 's'}"


def _paper_days(asked: _Asked) -> _Answer:
    real = {each.day for each in asked.parity if each.market == "real"}
    others = {each.day for each in asked.parity} - real
    return len(real), f"{len(others)} more on other markets, which do not count" if others else ""


_ANSWERS: Mapping[str, Mapping[str, Callable[[_Asked], _Answer]]] = {
    "integrity": {
        "captured_source": lambda asked: (asked.bundle.integrity.captured_source, ""),
        "snapshot_pinned": _snapshot_pinned,
        "lock_pinned": _lock_pinned,
        "clean_tree": _clean_tree,
        "recorded_data": lambda asked: (asked.bundle.source == "recorded", asked.bundle.data),
        "truncation_test": lambda asked: (asked.bundle.integrity.truncation_test, ""),
        "golden_vectors": _golden,
    },
    "replay": {name: _replayed(name) for name in ("walk_forward", "holdout", "doubled_costs")},
    "skill": {
        "deflated_sharpe": _deflated_sharpe,
        "holdout_return_over_cash": _return_over("cash"),
        "holdout_return_over_buy_and_hold": _return_over("buy_and_hold"),
        "holdout_sharpe_over_buy_and_hold": _sharpe_over_held,
    },
    "cost": {"edge_survives_costs_times": _edge_survives},
    "parity": {"unexplained_lots": _unexplained_lots, "paper_days": _paper_days},
}
