"""Counting: how many trials there were, asked anew by each gate."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sapphire.domain.errors import LedgerDamaged, StatisticsError
from sapphire.registry import EvidenceBundle, Registry, WalkForwardEvidence
from sapphire.registry._workings import Workings
from sapphire.research.ledger.book import Ledger, Trials
from sapphire.research.ledger.chain import Head
from sapphire.research.ledger.spans import Span
from sapphire.research.ledger.trial_returns import ReturnSeries, correlations, effective_trials
from sapphire.statistics import alike_trials, variance_of_trials

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "Counted",
    "Likeness",
    "check_anchors",
    "counted",
    "effective_of",
    "registry_of",
    "spread_of",
    "trial_counter",
]


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

    No day on paper counts by it: `witnessed_registry` of `sapphire.monitoring.judging.days_on_paper` reads journals.
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
    """Refuse a ledger that lacks a line which was last written here, or evidence or a version was counted on.

    Raises
    ------
    LedgerDamaged : it does; says whose, or how many are missing.
    """
    for anchor in registry.ledger_anchors():
        ledger.chain.holds(Head(anchor.lines, anchor.head), kept_by=anchor.kept_by)
    ledger.check()


def counted(ledger: Ledger, tested: Span, holdout: Span, *, length: int) -> Counted:
    """What the ledger says of a tested span and a hold-out.

    Parameters
    ----------
    length : number of returns of the release over the tested span.

    Raises
    ------
    LedgerDamaged : a line or a sketch does not verify.
    """
    trials = ledger.trials(tested)
    kept = ledger.series(trials)
    alike = Likeness.of(trials, kept)
    return Counted(
        trials=trials.count,
        variance_of_trials=spread_of(trials, alike, "sharpe", length=length),
        variance_of_active=spread_of(trials, alike, "active", length=length),
        effective_trials=effective_of(trials, kept),
        openings=ledger.trials(holdout).count,
        head=trials.head,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Likeness:
    """How alike the trials are that keep returns.

    Parameters
    ----------
    rows : their positions among the trials, rising.
    correlation : float64 [N, N], of their returns.
    """

    rows: tuple[int, ...]
    correlation: NDArray[np.float64]

    @classmethod
    def of(cls, trials: Trials, kept: Mapping[str, ReturnSeries]) -> Likeness:
        """Of the kept returns, by identity."""
        rows = tuple(place for place, row in enumerate(trials.rows) if row.trial in kept)
        series = [kept[trials.rows[place].trial] for place in rows]
        return cls(rows, correlations(series) if series else np.empty((0, 0)))

    def labels(self, ratios: Sequence[float | None], length: int) -> dict[int, int]:
        """Position to the label of its group, of those with a ratio."""
        found = [number for number, place in enumerate(self.rows) if ratios[place] is not None]
        if not found:
            return {}
        places = [self.rows[number] for number in found]
        among = self.correlation if len(found) == len(self.rows) else self.correlation[np.ix_(found, found)]
        labels = alike_trials(among, [ratio for place in places if (ratio := ratios[place]) is not None], length=length)
        return dict(zip(places, labels, strict=True))


def spread_of(trials: Trials, alike: Likeness, name: str, *, length: int) -> float:
    """V of the trials' ratios, which no flood of copies makes smaller; 0 where there are no returns to deflate.

    The larger of V over the ratios that differ and V over the groups of trials that say the same. Copies with a grain
    of noise have ratios of their own and one group; a fine sweep is few groups and has all its ratios.

    Parameters
    ----------
    name : "sharpe", or "active" beside the market.
    length : number of returns of the release.
    """
    if length < 2:
        return 0.0
    ratios = [None if math.isnan(ratio) else ratio for ratio in trials.ratios(name)]
    outcomes, labels = trials.outcomes(name), alike.labels(ratios, length)
    groups = [labels.get(place, outcome) for place, outcome in enumerate(outcomes)]
    return max(variance_of_trials(ratios, length=length, series=each) for each in (outcomes, groups))


def effective_of(trials: Trials, kept: Mapping[str, ReturnSeries]) -> float | None:
    """How many independent trials these amount to; None where that cannot be had: returns that are not kept."""
    if len(kept) < sum(not math.isnan(row.sharpe) for row in trials.rows):
        return None
    try:
        found = effective_trials(list(kept.values()))
    except StatisticsError:  # returns that no correlation can be had of say nothing of their number
        return None
    return found if found is not None and math.isfinite(found) else None
