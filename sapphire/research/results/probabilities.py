"""What log-odds were worth as probabilities: in training, and in the test windows, which nothing was fitted on.

A belief holds the mean that a probability was turned into. Where one agent's log-odds are all that was believed, the
probability is read off that mean again and held to whether the price rose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from sapphire.registry.calibrations import ProbabilityFit
from sapphire.research.results.showing import Shown
from sapphire.statistics import ReliabilityBin, brier_decomposition, reliability_diagram

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ProbabilityTable", "StatedProbabilities", "parts_text", "with_test_scores"]


@dataclass(frozen=True, slots=True, eq=False)
class StatedProbabilities:
    """What was stated at the tested closes, and whether the price rose.

    Parameters
    ----------
    fits : one per fold, or several in a pool.
    probabilities, rose : float64 [T, S]; NaN where nothing was stated or the outcome is not known.
    """

    fits: tuple[ProbabilityFit, ...]
    probabilities: NDArray[np.float64]
    rose: NDArray[np.float64]

    def points(self, horizon_bars: int) -> tuple[ReliabilityBin, ...]:
        """Of a reliability diagram of all test windows; none where no probability can be held to an outcome."""
        if not (np.isfinite(self.probabilities) & np.isfinite(self.rose)).any():
            return ()
        return reliability_diagram(self.probabilities, self.rose, horizon_bars=horizon_bars)


def with_test_scores(
    fits: Sequence[ProbabilityFit],
    folds: NDArray[np.intp],
    mean_bps: NDArray[np.float64],
    outcomes_bps: NDArray[np.float64],
) -> StatedProbabilities:
    """The fits of each fold with Brier's score of its test window.

    Parameters
    ----------
    fits : of the folds' training windows.
    folds : int [T], the number of each tested row's fold.
    mean_bps, outcomes_bps : float64 [T, S], what was believed and what came.
    """
    probabilities = np.full(mean_bps.shape, np.nan)
    rose = np.where(np.isfinite(outcomes_bps), outcomes_bps > 0.0, np.nan)
    alone = len({fit.agent for fit in fits}) == 1 and len({fit.fold for fit in fits}) == len(fits)
    scored = []
    for fit in fits:
        rows = folds == fit.fold
        if alone:
            stated = (mean_bps[rows] - fit.down_bps) / (fit.up_bps - fit.down_bps)
            probabilities[rows] = np.clip(stated, 0.0, 1.0)  # rounding alone leads out of there
        scored.append(_with_test(fit, probabilities[rows], rose[rows]))
    return StatedProbabilities(tuple(scored), probabilities, rose)


def _with_test(fit: ProbabilityFit, stated: NDArray[np.float64], rose: NDArray[np.float64]) -> ProbabilityFit:
    if not (np.isfinite(stated) & np.isfinite(rose)).any():
        return fit
    parts = brier_decomposition(stated, rose)
    return replace(
        fit,
        test_brier=parts.brier,
        test_reliability=parts.reliability,
        test_resolution=parts.resolution,
        test_uncertainty=parts.uncertainty,
        test_pairs=parts.pairs,
    )


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ProbabilityTable(Shown):
    """Fold by fold: how log-odds were calibrated, and Brier's score in its parts, in training and in the test.

    Parameters
    ----------
    fits : one per fold and agent.
    """

    fits: tuple[ProbabilityFit, ...]

    @property
    def caption(self) -> str:
        """One line."""
        return "log-odds as probabilities of a rise; Brier = reliability - resolution + uncertainty"

    def table(self) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
        """One line per fold and agent."""
        header = ("fold", "log-odds of", "method", "kept", "t", "pairs", "rise / fall, bps")
        return (*header, "Brier in training", "Brier in the test", "outcomes"), [_cells(fit) for fit in self.fits]

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"method": "probabilities", "fits": [asdict(fit) for fit in self.fits]}


def parts_text(brier: float | None, *parts: float | None) -> str:
    """Brier's score and its parts in a cell.

    >>> parts_text(0.19, 0.065, 0.0625, 0.1875), parts_text(None)
    ('0.1900 = 0.0650 - 0.0625 + 0.1875', 'not known')
    """
    if brier is None:
        return "not known"
    reliability, resolution, uncertainty = parts
    return f"{brier:.4f} = {reliability:.4f} - {resolution:.4f} + {uncertainty:.4f}"


def _cells(fit: ProbabilityFit) -> tuple[str, ...]:
    return (
        str(fit.fold),
        fit.agent,
        fit.method,
        f"{100 * fit.kept:.0f} %",
        f"{fit.t_value:+.2f}",
        f"{fit.pairs:,}",
        f"{fit.up_bps:+.1f} / {fit.down_bps:+.1f}",
        parts_text(fit.brier, fit.reliability, fit.resolution, fit.uncertainty),
        parts_text(fit.test_brier, fit.test_reliability, fit.test_resolution, fit.test_uncertainty),
        f"{fit.test_pairs:,}",
    )
