"""What the ledger says before a run: that somebody is about to look.

A result can be seen without the run's end: it is interrupted, it raises, or what is asked on the way listens. So a line
stands in the ledger before anything runs. The evaluation that comes of it names that line; a run that no evaluation
completes counts as a trial of its own, without returns, and one at the hold-out as a look at it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sapphire.research.ledger.chain import canonical
from sapphire.research.ledger.spans import Span

if TYPE_CHECKING:
    from sapphire.research.ledger.book import Evaluation

__all__ = ["BEGUN", "Begun", "Run", "interrupted"]

BEGUN = "begun"
"""The kind of line that it is."""
_DECIDES = ("agent", "code", "parameters", "sizing", "protocol", "seed", "method", "study")


@dataclass(frozen=True, slots=True)
class Run:
    """An agent and what it is run on.

    Parameters
    ----------
    agent, code, parameters : which agent: its name, the digest of its source, its parameters.
    sizing : how positions come of what it says, as parameters.
    protocol : digest of what it is measured under.
    seed : of its fit.
    span : the data.
    method : what is done: "screen", "sweep", "replay", "information", "paths", "holdout", "counterfactual".
    study : what the author called the study.
    """

    agent: str
    code: str
    parameters: Mapping[str, Any]
    sizing: Mapping[str, Any]
    protocol: str
    seed: int
    span: Span
    method: str
    study: str


@dataclass(frozen=True, slots=True)
class Begun(Run):
    """A run that is about to be looked at.

    Parameters
    ----------
    line : digest of its line; empty before that is written.
    """

    line: str = field(default="", compare=False)

    def as_dict(self) -> dict[str, Any]:
        """The keys of its line."""
        return {"kind": BEGUN} | {name: getattr(self, name) for name in _DECIDES} | self.span.as_dict()

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any], line: str) -> Begun:
        """What a line says that was begun.

        Parameters
        ----------
        line : its digest.

        Raises
        ------
        KeyError : a key that is missing.
        """
        return cls(**{name: entry[name] for name in _DECIDES}, span=Span.from_dict(entry), line=line)

    def evaluated(self, returns_digest: str, sharpe: float, **more: Any) -> Evaluation:
        """The evaluation that completes it."""
        from sapphire.research.ledger.book import Evaluation

        content: dict[str, Any] = {name: getattr(self, name) for name in _DECIDES}
        return Evaluation(
            **content, span=self.span, returns_digest=returns_digest, sharpe=sharpe, begun=self.line, **more
        )

    def is_completed_by(self, evaluation: Evaluation) -> bool:
        """Whether an evaluation is what came of it."""
        return evaluation.counted and evaluation.begun == self.line and _decides(evaluation) == _decides(self)


def _decides(of: Run) -> bytes:
    return canonical([*(getattr(of, name) for name in _DECIDES), of.span.as_dict()])


def interrupted(begun: Iterable[Begun], evaluations: Iterable[Evaluation]) -> list[Evaluation]:
    """The runs that no evaluation completes, as trials without returns: the digest of the line tells each apart."""
    ends = {each.begun: each for each in evaluations if each.begun and each.counted}
    open_ones = [each for each in begun if not (each.line in ends and each.is_completed_by(ends[each.line]))]
    return [replace(each, method=f"{each.method}, interrupted").evaluated(each.line, math.nan) for each in open_ones]
