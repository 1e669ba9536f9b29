"""Screen against replay: first that they agree where they should, then what each assumption costs.

Given the engine's own lots, fees in the quote asset and fills at the next open, vectorbt and the engine must come to
the same equity. From there the assumptions are made real one after the other, in this order and no other: fees in the
asset the venue takes them in, the book with its spread, the time that requests travel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from sapphire.domain.clocks import from_ns
from sapphire.domain.errors import StudyError
from sapphire.domain.money import ATOMS_PER_UNIT
from sapphire.research.performance import HEADER
from sapphire.research.plots import waterfall_figure
from sapphire.research.replaying import Replayed
from sapphire.research.showing import Shown, described

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from numpy.typing import NDArray

    from sapphire.agents import Agent
    from sapphire.research.studies import Study

__all__ = ["TOLERANCE", "Comparison"]

TOLERANCE = 1e-8
"""Largest relative difference of the two equities that counts as rounding."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Comparison(Shown):
    """Four engine runs, and how far vectorbt is from the first.

    Parameters
    ----------
    runs : in the order of the ladder, the ideal one first and the real one last.
    difference : largest relative difference between vectorbt's equity and that of the ideal run, over all bars.
    """

    study: Study
    agent: Agent
    runs: tuple[Replayed, ...]
    difference: float

    @classmethod
    def of(cls, study: Study, agent: Agent, runs: Sequence[Replayed], screened: NDArray[np.float64]) -> Comparison:
        """Check the ideal run against vectorbt's equity [T] for the same lots.

        Raises
        ------
        StudyError : they differ by more than `TOLERANCE`, and by more than the venue cuts off, somewhere; names the
            first such bar.
        """
        ours = runs[0].equity
        gaps = np.abs(screened / ours - 1.0)
        beyond = np.flatnonzero(~(gaps <= TOLERANCE + _cut_off(runs[0]) / ours))
        if beyond.size:
            row = int(beyond[0])
            raise StudyError(
                "vectorbt and the engine disagree under equal assumptions",
                expected=f"equity equal to {TOLERANCE:g} on every bar",
                got=f"{screened[row]:.8f} against {ours[row]:.8f} at the close of "
                f"{from_ns(int(study.tested.close_time_ns[row])).isoformat()}, and {beyond.size - 1:,} bars more",
                next="this is a defect of ours or of vectorbt, not of the agent: report it with the snapshot's hash",
            )
        return cls(study, agent, tuple(runs), float(gaps.max()))

    def counted(self, trials: int) -> Comparison:
        """The same, with N of the ledger once its runs are in it."""
        return replace(self, runs=tuple(replace(run, trials=trials) for run in self.runs))

    @property
    def steps(self) -> dict[str, float]:
        """What each assumption changes, in basis points of the starting equity, in order."""
        totals = [1e4 * run.performance.total_return for run in self.runs]
        names = [run.model.assumption for run in self.runs[1:]]
        return {name: after - before for name, before, after in zip(names, totals, totals[1:], strict=False)}

    @property
    def caption(self) -> str:
        """One line."""
        return (
            f"screen against replay of {described(self.agent)}: equal to {self.difference:.1e} under equal "
            f"assumptions over {len(self.study.tested):,} bars; {self.study.label}; "
            f"N = {self.runs[-1].trials} trials in the ledger"
        )

    def table(self) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
        """One line per run, with what its assumption changed."""
        changes = ["", *(f"{change:+.1f} bps" for change in self.steps.values())]
        lines = [
            (str(run.model), change, *run.performance.row()) for run, change in zip(self.runs, changes, strict=True)
        ]
        return ("engine run", "change", *HEADER), lines

    @property
    def figure(self) -> go.Figure:
        """A waterfall from the ideal return to the real one."""
        ideal = 1e4 * self.runs[0].performance.total_return
        title = f"What each assumption costs: {self.agent.name}"
        return waterfall_figure(title, self.study.label, (str(self.runs[0].model), ideal), self.steps, "the evidence")

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "method": "compare",
            "agent": self.agent.name,
            "trials": self.runs[-1].trials,
            "largest_relative_difference": self.difference,
            "ideal_return": self.runs[0].performance.total_return,
            "evidence_return": self.runs[-1].performance.total_return,
            "steps_bps": [[name, change] for name, change in self.steps.items()],
        }


def _cut_off(run: Replayed) -> NDArray[np.float64]:
    """The most that the engine's books have lost to whole atoms by each close [T], quote.

    A fill cuts at most one atom of its value and one of its fee, and marking a position one more. It matters to an
    account of a few hundred units that trades for long.
    """
    closes = run.record["equity"]["close_ns"]
    fills = np.searchsorted(run.record["fills"]["time_ns"], closes, side="right")
    return np.asarray((2 * fills + len(run.record["symbols"])) / ATOMS_PER_UNIT, dtype=np.float64)
