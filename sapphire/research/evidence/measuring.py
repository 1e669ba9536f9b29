"""What replays amount to as evidence: the walk-forward beside cash and market, the hold-out beside its baselines."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from sapphire.domain.errors import StatisticsError, StudyError
from sapphire.registry import ActiveEvidence, Difference, HoldoutEvidence, Outcome, WalkForwardEvidence
from sapphire.research.ledger.counting import counted
from sapphire.research.ledger.recording import market_returns
from sapphire.research.runs.splits import Fold
from sapphire.statistics import market_model, one_sided_difference, return_moments

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sapphire.research.results.replays import Replayed
    from sapphire.research.studies import Study

    Returns = NDArray[np.floating[Any]]

__all__ = ["holdout_evidence", "open_holdout", "outcome_of", "walk_forward_evidence"]

_SEED = 8
"""Of the bootstrap's draws: a fixed one, so that the same evidence is the same to the last digit."""
_DAY_NS = 86_400_000_000_000


@dataclass(frozen=True, slots=True)
class OpenedHoldout:
    """The one fold whose test is the hold-out."""

    begins: datetime

    def folds(self, start: datetime, end: datetime) -> tuple[Fold, ...]:
        """Train on what lies before the hold-out, test on the hold-out."""
        begins = self.begins + timedelta(microseconds=1)
        return (Fold(start, begins, begins, end),)


def open_holdout(study: Study) -> Study:
    """The study of a study's own hold-out: it opens the seal that the study put there.

    Raises
    ------
    StudyError : a study without a hold-out, or one that has not evaluated anything: nothing is sealed yet.
    """
    sealed = None if study.sealed is None else study.sealed[0]
    seals = [seal for seal in study.ledger.seals() if seal.span == sealed]
    if not seals:
        raise StudyError(
            f"study {study.name!r} has no hold-out to open",
            expected="a holdout= with bars in it, sealed by the study's first evaluation",
            got="none",
            next="give the study a hold-out: what is submitted is measured on it",
        )
    return dataclasses.replace(
        study,
        holdout=timedelta(0),
        split=OpenedHoldout(study.holdout_start),
        opens=(*study.opens, *(seal.digest for seal in _meeting(study))),
    )


def walk_forward_evidence(study: Study, walked: Replayed, opened: Study) -> WalkForwardEvidence:
    """The walk-forward replay of a study, and how many were tried by now.

    Parameters
    ----------
    opened : the study of its hold-out.
    """
    returns = walked.returns.to_numpy()
    now = counted(study.ledger, study.span[0], opened.span[0], length=len(returns))
    moments = return_moments(returns) if np.isfinite(walked.performance.sharpe) else None
    return WalkForwardEvidence(
        sharpe=None if moments is None else moments.sharpe,
        skew=None if moments is None else moments.skew,
        kurtosis=None if moments is None else moments.kurtosis,
        length=len(returns),
        total_return=walked.performance.total_return,
        active=_active(returns, market_returns(study)),
        folds=len(study.folds),
        tested_days=len(study.tested) * study.data.interval.ns / _DAY_NS,
        fills=walked.performance.fills,
        untraded=walked.untraded,
        span=study.span[0].as_dict(),
        trials=now.trials,
        variance_of_trials=now.variance_of_trials,
        variance_of_active=now.variance_of_active,
        effective_trials=now.effective_trials,
        openings=now.openings,
        ledger_head=now.head.digest,
        ledger_lines=now.head.lines,
    )


def holdout_evidence(opened: Study, holdout: Replayed, market: Replayed, seen_by: tuple[str, ...]) -> HoldoutEvidence:
    """The hold-out replay beside cash and beside the market, both by the engine.

    Parameters
    ----------
    seen_by : studies that looked at these bars before.
    """
    span = opened.span[0]
    earned, of_market = holdout.returns.to_numpy(), market.returns.to_numpy()
    return HoldoutEvidence(
        start_ns=span.start_ns,
        end_ns=span.end_ns,
        agent=outcome_of(holdout),
        baselines={"cash": Outcome(total_return=0.0, sharpe=None), "buy_and_hold": outcome_of(market)},
        over={
            "cash": _difference(earned, np.zeros(len(earned))),
            "buy_and_hold": _difference(_per_deviation(earned), _per_deviation(of_market)),
        },
        span=span.as_dict(),
        seen_by=seen_by,
        untraded=holdout.untraded,
    )


def outcome_of(run: Replayed) -> Outcome:
    """An account in two numbers."""
    sharpe = run.performance.sharpe
    return Outcome(total_return=run.performance.total_return, sharpe=sharpe if np.isfinite(sharpe) else None)


def _active(returns: Returns, market: Returns) -> ActiveEvidence | None:
    """The returns beside the market's; None where they are too few or nothing is left."""
    try:
        model = market_model(returns, market)
        moments = return_moments(model.active_returns)
    except StatisticsError:
        return None
    return ActiveEvidence(
        alpha=model.alpha,
        alpha_t=model.alpha_t,
        beta=model.beta,
        information_ratio=model.information_ratio,
        sharpe=moments.sharpe,
        skew=moments.skew,
        kurtosis=moments.kurtosis,
    )


def _difference(mine: Returns, theirs: Returns) -> Difference | None:
    """Mean difference with its error by the stationary bootstrap; None where there is no such thing."""
    try:
        found = one_sided_difference(mine, theirs, seed=_SEED)
    except StatisticsError:
        return None
    return Difference(
        mean=found.mean,
        standard_error=found.standard_error,
        p_value=found.p_value,
        length=found.n,
        method=found.method,
    )


def _per_deviation(returns: Returns) -> Returns:
    """Returns in units of their own deviation, whose mean is the Sharpe ratio; zeros where they do not vary."""
    deviation = float(returns.std(ddof=1)) if len(returns) > 1 else 0.0
    return returns / deviation if deviation > 0.0 else np.zeros_like(returns)


def _meeting(study: Study) -> list[Any]:
    """The seals that the hold-out of a study meets: its own, and those that it adopted."""
    assert study.sealed is not None
    sealed, sketches = study.sealed
    kept = study.ledger
    return [seal for seal in kept.seals() if sealed.shares_data_with(seal.span, kept.sketches(sketches))]
