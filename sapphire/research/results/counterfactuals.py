"""Counterfactuals of an agent in a study, as a result that shows itself: names, dates, news and inputs changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sapphire.research.results.showing import Shown, described

if TYPE_CHECKING:
    from sapphire.agents import Agent
    from sapphire.agents.counterfactuals import AgentCounterfactuals, Counterfactual
    from sapphire.research.studies import Study

__all__ = ["Counterfactuals"]

_HEADER = ("changed", "views", "sign kept", "95 %", "moved", "median change", "worst", "CI", "IDS", "silent", "note")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Counterfactuals(Shown):
    """What an agent said of windows of a study that were changed in one thing each.

    Where names or dates alone are changed, the sign should stay; where everything else is, views should move. `CI` and
    `IDS` are confidence invariance and input dependency score of `agents.counterfactuals.Counterfactual`.

    Parameters
    ----------
    study, agent : who was asked about what.
    measured : the numbers.
    """

    study: Study
    agent: Agent
    measured: AgentCounterfactuals

    @property
    def caption(self) -> str:
        """One line."""
        found = self.measured
        unit = "of probability" if found.unit == "probability" else "deviations of its score"
        text = f"counterfactuals of {described(self.agent)}, {found.windows:,} windows, {self.study.label}"
        if found.constant:
            return f"{text}: IT SAYS THE SAME WHATEVER IT IS SHOWN"
        return f"{text}: moved is by more than {found.tolerance:g} {unit}"

    def table(self) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
        """One line for each thing that was changed."""
        return _HEADER, [_line(row) for row in self.measured.rows]

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "method": "counterfactuals",
            "study": self.study.name,
            "label": self.study.label,
            **self.measured.as_dict(),
            "shares": {row.kind: _shares(row) for row in self.measured.rows},
        }


def _line(row: Counterfactual) -> tuple[str, ...]:
    low_high = row.interval
    return (
        row.kind.replace("_", " "),
        f"{row.views:,}" if row.views else "-",
        _percent(row.consistency),
        "-" if low_high is None else f"{100 * low_high[0]:.0f} to {100 * low_high[1]:.0f} %",
        _percent(row.dependency),
        _number(row.median_change),
        _number(row.worst_change),
        _number(row.confidence_invariance),
        _number(row.divergence),
        f"{row.silent:,}",
        "; ".join(each for each in (row.note, _documents(row)) if each),
    )


def _documents(row: Counterfactual) -> str:
    return f"{row.turned:,} of {row.documents:,} documents have a word that turns" if row.documents else ""


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f} %"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _shares(row: Counterfactual) -> dict[str, Any]:
    interval = row.interval
    return {
        "consistency": row.consistency,
        "interval": None if interval is None else list(interval),
        "dependency": row.dependency,
    }
