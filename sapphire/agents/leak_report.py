"""LeakReport: what the leak checks found, as a table that shows itself."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from sapphire.domain.display import bundle

__all__ = ["KINDS", "Kind", "LeakCheck", "LeakReport"]

Verdict = Literal["pass", "fail", "absent"]
Kind = Literal[
    "truncation",
    "future",
    "twin",
    "warm_up",
    "fit",
    "features",
    "asked_again",
    "symbol_order",
    "duplicate_rows",
    "shuffled_rows",
]
"""What a check is about; several checks may be about one thing."""
KINDS: tuple[Kind, ...] = get_args(Kind)
_HEADINGS = ("check", "bars", "worst difference", "allowed", "verdict", "note")


@dataclass(frozen=True, slots=True)
class LeakCheck:
    """One row.

    Parameters
    ----------
    kind : what it is about.
    check : what was compared with what.
    bars : how many bars it was compared at.
    worst : largest difference found, relative; infinite where one side speaks and the other does not, or where the
        check could not be carried out.
    allowed : the largest that passes.
    verdict : "pass", "fail", or "absent" where the agent has nothing to compare.
    note : where the worst was, or why there was none.
    """

    kind: Kind
    check: str
    bars: int
    worst: float
    allowed: float
    verdict: Verdict
    note: str = ""

    @property
    def cells(self) -> tuple[str, ...]:
        """The row as text."""
        if self.verdict == "absent":
            return (self.check, "-", "-", "-", self.verdict, self.note)
        worst = f"{self.worst:.2g}" if math.isfinite(self.worst) else "whole"
        allowed = f"{self.allowed:.0e}" if self.allowed else "0"
        return (self.check, f"{self.bars:,}", worst, allowed, self.verdict, self.note)


@dataclass(frozen=True, slots=True)
class LeakReport:
    """What the checks of one agent found.

    Parameters
    ----------
    agent : its name.
    rows : one per check.
    """

    agent: str
    rows: tuple[LeakCheck, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing failed, and something was checked."""
        return not self.failed and any(row.verdict == "pass" for row in self.rows)

    @property
    def failed(self) -> tuple[LeakCheck, ...]:
        """The rows that failed."""
        return tuple(row for row in self.rows if row.verdict == "fail")

    @property
    def title(self) -> str:
        """One line: the agent and the outcome."""
        if self.failed:
            return f"{self.agent}: {len(self.failed)} of {len(self.rows)} checks failed"
        return f"{self.agent}: {'no leak found' if self.ok else 'nothing was checked'}"

    def __add__(self, other: LeakReport) -> LeakReport:
        return LeakReport(self.agent, self.rows + other.rows)

    def __str__(self) -> str:
        return self._table()["text/plain"]

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON can hold it; an infinite difference is null."""
        rows = [asdict(row) for row in self.rows]
        for row in rows:
            row["worst"] = row["worst"] if math.isfinite(row["worst"]) else None
        return {"agent": self.agent, "ok": self.ok, "checks": rows}

    def _table(self) -> dict[str, str]:
        return bundle(self.title, _HEADINGS, [row.cells for row in self.rows])

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        # With JSON in it, JupyterLab would show a tree in place of the table.
        return self._table()
