"""The ledger's part of a study, as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sapphire.research.ledger.book import Trials
from sapphire.research.ledger.counting import effective_of
from sapphire.research.ledger.selection import Selection, selection_of
from sapphire.research.results.showing import Shown

if TYPE_CHECKING:
    from sapphire.research.ledger.trial_returns import ReturnSeries
    from sapphire.research.studies import Study

__all__ = ["TrialsTable"]


@dataclass(frozen=True, eq=False, repr=False)
class TrialsTable(Shown):
    """Every trial whose data overlap the study's tested window, counted by the platform.

    What takes time is worked out when it is asked for or shown.
    """

    study: Study
    trials: Trials

    @cached_property
    def effective(self) -> float | None:
        """How many independent trials they amount to; None where that cannot be had."""
        return effective_of(self.trials, self._kept)

    @cached_property
    def selection(self) -> Selection:
        """What they say together: PBO, SPA, StepM and the minimum track record length of the best."""
        return selection_of(self.study, self.trials, self._kept)

    @cached_property
    def _kept(self) -> dict[str, ReturnSeries]:
        return self.study.ledger.series(self.trials)

    @property
    def count(self) -> int:
        """N."""
        return self.trials.count

    @property
    def caption(self) -> str:
        """One line."""
        return (
            f"N = {self.trials.count} trials{self._effective_text()} in {self.trials.evaluations} evaluations overlap "
            f"the tested window of {self.study.caption}; ledger head {self.trials.head.digest[:12]}"
        )

    def table(self) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
        """One line per agent, method and study."""
        groups = Counter[tuple[str, str, str, str]]()
        for row in self.trials.rows:
            groups[row.agent, row.method, row.study, row.code[:12]] += self.trials.looks(row)
        lines = [(*group, str(number)) for group, number in sorted(groups.items())]
        return ("agent", "last evaluated by", "study", "code", "trials"), lines

    @property
    def below(self) -> tuple[Shown, ...]:
        """What the trials say together."""
        return (self.selection,) if self.count else ()

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "method": "trials",
            "trials": self.trials.count,
            "effective_trials": self.effective,
            "evaluations": self.trials.evaluations,
            "head": self.trials.head.digest,
            "lines": self.trials.head.lines,
            "selection": self.selection.as_dict(),
        }

    def _effective_text(self) -> str:
        return "" if self.effective is None else f" ({self.effective:.3g} effective)"
