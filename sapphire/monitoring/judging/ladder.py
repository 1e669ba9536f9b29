"""What the market's assumptions cost: the same beliefs by the engine's models, one assumption after the other.

The first model costs nothing and limits nothing (fills at the next open), the last one is the evidence. The order is
fixed, so two days can be compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sapphire.domain.money import ATOMS_PER_UNIT
from sapphire.monitoring.judging.evidence import Evidence
from sapphire.research.results.replays import LADDER, REAL, Model

__all__ = ["Ladder", "ladder_of"]


@dataclass(frozen=True, slots=True)
class Ladder:
    """From the costless run to the evidence.

    Parameters
    ----------
    costless_return, evidence_return : of the first model and of the last, fractions.
    steps_bps : what each assumption changes, in basis points of the starting equity, in the fixed order.
    equity_quote : the starting equity, in the quote asset.
    """

    costless_return: float
    evidence_return: float
    steps_bps: Mapping[str, float]
    equity_quote: float

    @property
    def steps_quote(self) -> Mapping[str, float]:
        """The same in the quote asset."""
        return {name: change / 1e4 * self.equity_quote for name, change in self.steps_bps.items()}


def ladder_of(runs: Mapping[Model, Evidence]) -> Ladder:
    """The steps between the models' returns."""
    returns = [runs[model].total_return for model in LADDER]
    pairs = zip(LADDER[1:], returns, returns[1:], strict=False)
    steps = {model.assumption: 1e4 * (after - before) for model, before, after in pairs}
    start = runs[REAL].bars[0].equity_quote_atoms / ATOMS_PER_UNIT
    return Ladder(returns[0], runs[REAL].total_return, steps, start)
