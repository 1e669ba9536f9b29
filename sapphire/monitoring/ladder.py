"""What the market's assumptions cost: the same beliefs by the engine's models, one assumption after the other.

The first model is the screen's world (next open, fees in quote), the last one is the evidence. The order is fixed, so
two days can be compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sapphire.monitoring.evidence import Evidence
from sapphire.research.results.replays import LADDER, REAL, Model

__all__ = ["Ladder", "ladder_of"]

_SHORT = {Model.VENUE_FEES: "fees", Model.SPREAD: "spread", Model.BOOK: "latency"}


@dataclass(frozen=True, slots=True)
class Ladder:
    """From the screen's world to the evidence.

    Parameters
    ----------
    screen_return, evidence_return : of the first model and of the last, fractions.
    steps_bps : what each assumption changes, in basis points of the starting equity, in the fixed order.
    """

    screen_return: float
    evidence_return: float
    steps_bps: Mapping[str, float]


def ladder_of(runs: Mapping[Model, Evidence]) -> Ladder:
    """The steps between the models' returns."""
    returns = [runs[model].total_return for model in LADDER]
    pairs = zip(LADDER[1:], returns, returns[1:], strict=False)
    steps = {_SHORT[model]: 1e4 * (after - before) for model, before, after in pairs}
    return Ladder(returns[0], runs[REAL].total_return, steps)
