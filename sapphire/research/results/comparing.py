"""Screen against replay: first that they agree where they should, then what makes the one into the other.

Given the engine's own lots, fees in the quote asset and fills at the next open, vectorbt and the engine must come to
the same equity. The way from the screen that a reader saw to the evidence has one change at each step, in this order
and no other: no fee and no assumed slippage, the calibrated forecast instead of the raw score, the study's sizing in
whole lots. That is the costless run, and from there on every step is a cost: risk limits, fees, the asset that the
venue takes them in, the book with its spread, the time that requests travel. The steps add up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from sapphire.domain.clocks import from_ns
from sapphire.domain.errors import StudyError
from sapphire.domain.money import ATOMS_PER_UNIT
from sapphire.research.results.performance import HEADER, Performance, performances_frame
from sapphire.research.results.plots import waterfall_figure
from sapphire.research.results.replays import Model, Replayed
from sapphire.research.results.showing import Shown, described
from sapphire.research.runs.screening import SCREENS, ScreenedAccount

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go
    from numpy.typing import NDArray

    from sapphire.agents import Agent
    from sapphire.research.studies import Study

__all__ = ["TOLERANCE", "Comparison", "ideal_of"]

_SIZED = "sizing in whole lots, no costs"

TOLERANCE = 1e-8
"""Largest relative difference of the two equities that counts as rounding."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Comparison(Shown):
    """The screen, the engine's runs, and how far vectorbt is from the ideal one of these for the same lots.

    `len` counts its rungs, and a loop goes through `(what changed, performance)`.

    Parameters
    ----------
    screens : in the order of `SCREENS`, the one that a reader saw first; none where the screen has no rule.
    runs : in the order of the ladder, the costless one first and the real one last.
    difference : largest relative difference between vectorbt's equity and that of the ideal run, over all bars.
    """

    study: Study
    agent: Agent
    screens: tuple[ScreenedAccount, ...]
    runs: tuple[Replayed, ...]
    difference: float

    @classmethod
    def of(
        cls,
        study: Study,
        agent: Agent,
        screens: Sequence[ScreenedAccount],
        runs: Sequence[Replayed],
        same_lots: NDArray[np.float64],
    ) -> Comparison:
        """Check the ideal run, which pays fees in quote, against vectorbt's equity [T] for the same lots.

        Raises
        ------
        StudyError : they differ by more than `TOLERANCE`, and by more than the venue cuts off, somewhere; names the
            first such bar.
        """
        ideal = ideal_of(runs)
        ours = ideal.worth
        gaps = np.abs(same_lots / ours - 1.0)
        beyond = np.flatnonzero(~(gaps <= TOLERANCE + _cut_off(ideal) / ours))
        if beyond.size:
            row = int(beyond[0])
            raise StudyError(
                "vectorbt and the engine disagree under equal assumptions",
                expected=f"equity equal to {TOLERANCE:g} on every bar",
                got=f"{same_lots[row]:.8f} against {ours[row]:.8f} at the close of "
                f"{from_ns(int(study.tested.close_time_ns[row])).isoformat()}, and {beyond.size - 1:,} bars more",
                next="this is a defect of ours or of vectorbt, not of the agent: report it with the snapshot's hash",
            )
        return cls(study, agent, tuple(screens), tuple(runs), float(gaps.max()))

    def counted(self, trials: int) -> Comparison:
        """The same, with N of the ledger once its runs are in it."""
        return replace(self, runs=tuple(replace(run, trials=trials) for run in self.runs))

    @property
    def rungs(self) -> tuple[tuple[str, Performance], ...]:
        """What was changed last, and what the account came to; the first is where the way begins."""
        screened = [(name, each.performance) for name, each in zip(SCREENS, self.screens, strict=False)]
        first = _SIZED if self.screens else self.runs[0].model.assumption
        names = [first, *(run.model.assumption for run in self.runs[1:])]
        ran = [(name, run.performance) for name, run in zip(names, self.runs, strict=True)]
        return *screened, *ran

    @property
    def steps(self) -> dict[str, float]:
        """What each change makes, in basis points of the starting equity, in order; they add up to the evidence."""
        totals = [1e4 * performance.total_return for _, performance in self.rungs]
        names = [name for name, _ in self.rungs[1:]]
        return {name: after - before for name, before, after in zip(names, totals, totals[1:], strict=False)}

    @property
    def steps_quote(self) -> dict[str, float]:
        """The same in the quote asset, for the study's starting cash."""
        return {name: change / 1e4 * self.study.starting_cash for name, change in self.steps.items()}

    @property
    def costs_bps(self) -> float:
        """What all costs together make, from the costless run to the evidence; basis points of the starting equity."""
        return 1e4 * (self.runs[-1].performance.total_return - self.runs[0].performance.total_return)

    @property
    def quote(self) -> str:
        """The asset that the account is kept in."""
        return self.study.data.instruments[self.study.tested.symbols[0]].quote

    @property
    def caption(self) -> str:
        """One line."""
        costs = self.costs_bps
        return (
            f"screen against replay of {described(self.agent)}: equal to {self.difference:.1e} under equal "
            f"assumptions over {len(self.study.tested):,} bars; costs together {costs:+.1f} bps, "
            f"{costs / 1e4 * self.study.starting_cash:+,.2f} {self.quote}; {self.study.label}; "
            f"N = {self.runs[-1].trials} trials in the ledger"
        )

    def table(self) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
        """One line per rung, with what its change made."""
        steps = zip(self.steps.values(), self.steps_quote.values(), strict=True)
        changes = [("", ""), *((f"{bps:+.1f} bps", f"{quote:+,.2f}") for bps, quote in steps)]
        lines = [
            (name, *change, *performance.row()) for (name, performance), change in zip(self.rungs, changes, strict=True)
        ]
        return ("from the screen to the evidence", "change", f"in {self.quote}", *HEADER), lines

    @property
    def figure(self) -> go.Figure:
        """A waterfall from the return of the screen to that of the evidence."""
        name, first = self.rungs[0]
        title = f"From the screen to the evidence: {self.agent.name}"
        start = (name, 1e4 * first.total_return)
        return waterfall_figure(title, self.study.label, start, self.steps, "the evidence")

    @property
    def frame(self) -> pd.DataFrame:
        """One row per rung: what its change made in basis points, and the numbers of `Performance.as_dict`."""
        made = performances_frame(self.rungs, "rung")
        made.insert(0, "change_bps", [math.nan, *self.steps.values()])
        return made

    def _parts(self) -> Sequence[tuple[str, Performance]]:
        return self.rungs

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "method": "compare",
            "agent": self.agent.name,
            "trials": self.runs[-1].trials,
            "largest_relative_difference": self.difference,
            "screen_return": self.screens[0].performance.total_return if self.screens else None,
            "costless_return": self.runs[0].performance.total_return,
            "evidence_return": self.runs[-1].performance.total_return,
            "steps_bps": [[name, change] for name, change in self.steps.items()],
            "steps_quote": [[name, change] for name, change in self.steps_quote.items()],
            "costs_bps": self.costs_bps,
            "quote": self.quote,
        }


def ideal_of(runs: Sequence[Replayed]) -> Replayed:
    """The run under the assumptions that vectorbt shares: next open, fees in the quote asset."""
    return next(run for run in runs if run.model is Model.IDEAL)


def _cut_off(run: Replayed) -> NDArray[np.float64]:
    """The most that the engine's books have lost to whole atoms by each close [T], quote.

    A fill cuts at most one atom of its value and one of its fee, and marking a position one more. It matters to an
    account of a few hundred units that trades for long.
    """
    closes = run.record["equity"]["close_ns"]
    fills = np.searchsorted(run.record["fills"]["time_ns"], closes, side="right")
    return np.asarray((2 * fills + len(run.record["symbols"])) / ATOMS_PER_UNIT, dtype=np.float64)
