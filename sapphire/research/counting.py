"""Counting: how many trials there were, asked anew by each gate."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sapphire.domain.errors import LedgerDamaged, StatisticsError
from sapphire.registry import EvidenceBundle, Registry, WalkForwardEvidence
from sapphire.registry._workings import Workings
from sapphire.research.chain import Head
from sapphire.research.ledger import Ledger, Trials
from sapphire.research.spans import Span
from sapphire.statistics import variance_of_trials

__all__ = ["Counted", "check_anchors", "counted", "registry_of", "trial_counter"]


@dataclass(frozen=True, slots=True)
class Counted:
    """What the ledger says of a release now.

    Parameters
    ----------
    trials : N.
    variance_of_trials, variance_of_active : of the Sharpe ratios per bar of the release, and of those beside
        the market.
    effective_trials : how many independent ones they amount to; None where that cannot be had.
    openings : trials that share data with the hold-out.
    head : how far the ledger reached.
    """

    trials: int
    variance_of_trials: float
    variance_of_active: float
    effective_trials: float | None
    openings: int
    head: Head


def registry_of(home: Path) -> Registry:
    """The registry of a state folder, with its trial ledger to count on.

    No day on paper counts by it: `sapphire.monitoring.days_on_paper.witnessed_registry` gives one that reads journals.
    """
    return Registry._of(Workings(home, count=trial_counter(home)))


def trial_counter(home: Path) -> Callable[[EvidenceBundle], WalkForwardEvidence]:
    """What a registry asks at each gate: the walk-forward evidence of a bundle with the trials counted now.

    What it hands back raises `LedgerDamaged` where the ledger does not verify, or where a head of it that some evidence
    or registered version keeps is not in it any more.
    """

    def count(bundle: EvidenceBundle) -> WalkForwardEvidence:
        ledger, walk = Ledger(home / "ledger"), bundle.walk_forward
        check_anchors(ledger, Registry(home))
        ledger.chain.holds(Head(walk.ledger_lines, walk.ledger_head), kept_by="this evidence")
        now = counted(ledger, Span.from_dict(walk.span), Span.from_dict(bundle.holdout.span), length=walk.length)
        if not now.trials or not now.openings:
            raise LedgerDamaged(
                "the trial ledger does not know the evidence",
                expected="its own walk-forward replay and its own look at the hold-out among the trials",
                got=f"{now.trials} trials, {now.openings} looks at the hold-out",
                next="restore the ledger from a backup, or submit the study again",
            )
        return replace(
            walk,
            trials=now.trials,
            variance_of_trials=now.variance_of_trials,
            variance_of_active=now.variance_of_active,
            effective_trials=now.effective_trials,
            openings=now.openings,
            ledger_head=now.head.digest,
            ledger_lines=now.head.lines,
        )

    return count


def check_anchors(ledger: Ledger, registry: Registry) -> None:
    """Refuse a ledger that lacks a line which evidence or a registered version was counted on.

    Raises
    ------
    LedgerDamaged : it does; says whose.
    """
    for anchor in registry.ledger_anchors():
        ledger.chain.holds(Head(anchor.lines, anchor.head), kept_by=anchor.kept_by)


def counted(ledger: Ledger, tested: Span, held: Span, *, length: int) -> Counted:
    """What the ledger says of a tested span and a hold-out.

    Parameters
    ----------
    length : number of returns of the release over the tested span.

    Raises
    ------
    LedgerDamaged : a line or a sketch does not verify.
    """
    trials = ledger.trials(tested)
    return Counted(
        trials=trials.count,
        variance_of_trials=_variance(trials.sharpes, length),
        variance_of_active=_variance(trials.actives, length),
        effective_trials=_effective(ledger, trials),
        openings=ledger.trials(held).count,
        head=trials.head,
    )


def _variance(ratios: Sequence[float], length: int) -> float:
    """V of distinct ratios; at least 1/T, and nothing at all where there are no returns to deflate."""
    return variance_of_trials(ratios, length=length) if length > 1 else 0.0


def _effective(ledger: Ledger, trials: Trials) -> float | None:
    try:
        found = ledger.effective_trials(trials)
    except StatisticsError:  # returns that no correlation can be had of say nothing of their number
        return None
    return found if found is not None and math.isfinite(found) else None
