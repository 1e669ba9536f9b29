"""The ledger's part of a study, as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sapphire.research.ledger import Trials
from sapphire.research.showing import Shown

__all__ = ["TrialsTable"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TrialsTable(Shown):
    """Every trial whose data overlap the study's tested window, counted by the platform.

    Parameters
    ----------
    effective : how many independent trials they amount to; None where that cannot be had.
    """

    study: str
    trials: Trials
    effective: float | None = None

    @property
    def count(self) -> int:
        """N."""
        return self.trials.count

    @property
    def caption(self) -> str:
        """One line."""
        return (
            f"N = {self.trials.count} trials{self._effective_text()} in {self.trials.evaluations} evaluations overlap "
            f"the tested window of {self.study}; ledger head {self.trials.head.digest[:12]}"
        )

    def table(self) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
        """One line per agent, method and study."""
        groups = Counter((row.agent, row.method, row.study, row.code[:12]) for row in self.trials.rows)
        lines = [(*group, str(number)) for group, number in sorted(groups.items())]
        return ("agent", "last evaluated by", "study", "code", "trials"), lines

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "method": "trials",
            "trials": self.trials.count,
            "effective_trials": self.effective,
            "evaluations": self.trials.evaluations,
            "head": self.trials.head.digest,
            "lines": self.trials.head.lines,
        }

    def _effective_text(self) -> str:
        return "" if self.effective is None else f" ({self.effective:.3g} effective)"
