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
from sapphire.statistics import annualise

if TYPE_CHECKING:
    import pandas as pd

    from sapphire.research.ledger.book import Evaluation
    from sapphire.research.ledger.trial_returns import ReturnSeries
    from sapphire.research.studies import Study

__all__ = ["TrialsTable"]

_YEAR_NS = 365 * 86_400 * 1_000_000_000


@dataclass(frozen=True, eq=False, repr=False)
class TrialsTable(Shown):
    """Every trial whose data overlap the study's tested window, counted by the platform.

    What takes time is worked out when it is asked for or shown. `len` counts the distinct trials, each once, and a loop
    goes through the last evaluation of each; `count` is N, which counts some more often (`Trials.looks`).
    """

    _not_compared = frozenset[str]()

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

    @property
    def frame(self) -> pd.DataFrame:
        """One row per trial, oldest first: of what, by what, on what, and the Sharpe ratio that it had.

        Columns: agent, parameters, method, study, symbols, first_close, last_close, bar, sharpe_per_year,
        active_per_year (beside the market), as_trials (what it counts for in N), code, trial. A ratio that a trial does
        not have is NaN.
        """
        import pandas as pd

        names = ("agent", "parameters", "method", "study", "symbols", "first_close", "last_close", "bar")
        ratios = ("sharpe_per_year", "active_per_year", "as_trials", "code", "trial")
        rows = [
            (
                row.agent,
                row.parameters,
                row.method,
                row.study,
                ", ".join(row.span.assets),
                pd.Timestamp(row.span.start_ns, tz="UTC"),
                pd.Timestamp(row.span.end_ns - 1, tz="UTC"),
                pd.Timedelta(row.span.bar_ns, "ns"),
                annualise(row.sharpe, _YEAR_NS / row.span.bar_ns),
                annualise(row.active, _YEAR_NS / row.span.bar_ns),
                self.trials.looks(row),
                row.code,
                row.trial,
            )
            for row in self.trials.rows
        ]
        return pd.DataFrame(rows, columns=[*names, *ratios])

    def _parts(self) -> Sequence[Evaluation]:
        return self.trials.rows

    def __getstate__(self) -> object:
        """With the returns of its trials, which another process would look for in a ledger of its own."""
        return {"study": self.study, "trials": self.trials, "_kept": self._kept}

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
