"""Research: studies that say what an agent is worth, before it may trade.

In:    snapshots (data), agents, a sizing (portfolio), costs.
Out:   screens, sweeps, walk-forward replays by the compiled engine, and the ledger of every trial.
Never: shows an agent a bar of its future or of the sealed hold-out, trusts a screen, forgets a trial.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sapphire.research.ledger.book import Evaluation, Ledger, Trials
    from sapphire.research.results.paired import Paired, compare
    from sapphire.research.runs import costs
    from sapphire.research.runs.costs import Costs
    from sapphire.research.runs.paths import walk_paths
    from sapphire.research.runs.splits import (
        CombinatorialPurged,
        PurgedKFold,
        WalkForward,
        combinatorial_purged,
        purged_k_fold,
        walk_forward,
    )
    from sapphire.research.studies import Study, study

__all__ = [
    "CombinatorialPurged",
    "Costs",
    "Evaluation",
    "Ledger",
    "Paired",
    "PurgedKFold",
    "Study",
    "Trials",
    "WalkForward",
    "combinatorial_purged",
    "compare",
    "costs",
    "purged_k_fold",
    "study",
    "walk_forward",
    "walk_paths",
]

_HOMES = {
    "CombinatorialPurged": "runs.splits",
    "Costs": "runs.costs",
    "Evaluation": "ledger.book",
    "Ledger": "ledger.book",
    "Paired": "results.paired",
    "PurgedKFold": "runs.splits",
    "Study": "studies",
    "Trials": "ledger.book",
    "WalkForward": "runs.splits",
    "combinatorial_purged": "runs.splits",
    "compare": "results.paired",
    "purged_k_fold": "runs.splits",
    "study": "studies",
    "walk_forward": "runs.splits",
    "walk_paths": "runs.paths",
}


def __getattr__(name: str) -> object:
    """Load what is asked for, when it is asked for (PEP 562)."""
    if name == "costs":
        return import_module("sapphire.research.runs.costs")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
