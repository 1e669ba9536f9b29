"""What an agent is worth over several paths: how far one order of history decides its result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sapphire.research.results.performance import HEADER, performances_frame
from sapphire.research.results.plots import line_up_figure
from sapphire.research.results.showing import Shown, described
from sapphire.statistics import annualise

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go
    from numpy.typing import NDArray

    from sapphire.agents import Agent
    from sapphire.research.results.replays import Replayed
    from sapphire.research.studies import Study

__all__ = ["Paths"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Paths(Shown):
    """One replay per path of a combinatorial purged split. Part of each training lies behind its tests: no evidence.

    `len` counts the paths, and a loop goes through their replays.

    Parameters
    ----------
    study : with the combinatorial split in place of its own.
    runs : by the engine, one per path.
    trials : N in the ledger once they are in it, as one trial.
    """

    study: Study
    agent: Agent
    runs: tuple[Replayed, ...]
    trials: int = 0

    @property
    def sharpes(self) -> NDArray[np.float64]:
        """Annual Sharpe ratio of each path, float64 [P]; NaN for one that never traded."""
        return np.array([annualise(run.performance.sharpe, run.performance.per_year) for run in self.runs])

    @property
    def caption(self) -> str:
        """One line."""
        return (
            f"{len(self.runs)} paths of {described(self.agent)} by combinatorial purged cross-validation, "
            f"{len(self.study.folds)} fits, no evidence: {self._spread()}; {self.study.label}; "
            f"N = {self.trials} trials in the ledger"
        )

    def table(self) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
        """One line per path."""
        return ("path", *HEADER), [(str(number), *run.performance.row()) for number, run in enumerate(self.runs, 1)]

    @property
    def figure(self) -> go.Figure:
        """Annual Sharpe ratio of each path, lowest first."""
        performances = sorted(
            (run.performance for run in self.runs), key=lambda each: float(np.nan_to_num(each.sharpe))
        )
        return line_up_figure(
            f"Paths: {self.agent.name} (not evidence)",
            self.study.label,
            [str(number) for number in range(1, len(performances) + 1)],
            [annualise(each.sharpe, each.per_year) for each in performances],
            [annualise(each.sharpe_error, each.per_year) for each in performances],
            across="path, lowest first",
            value="Sharpe ratio per year",
        )

    @property
    def frame(self) -> pd.DataFrame:
        """One row per path, the numbers of `Performance.as_dict`."""
        return performances_frame(((str(number), run.performance) for number, run in enumerate(self.runs, 1)), "path")

    def _parts(self) -> Sequence[Replayed]:
        return self.runs

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "method": "paths",
            "agent": self.agent.name,
            "trials": self.trials,
            "folds": len(self.study.folds),
            "rows": [run.performance.as_dict() for run in self.runs],
        }

    def _spread(self) -> str:
        found = self.sharpes[np.isfinite(self.sharpes)]
        if not len(found):
            return "it never traded"
        return (
            f"Sharpe ratio a year {np.median(found):.2f} in the median, from {found.min():.2f} to {found.max():.2f}, "
            f"below zero on {int((found < 0.0).sum())} of {len(found)}"
        )
