"""A notice: one thing that a person is told, whatever service carries it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from sapphire.domain.display import stamp

__all__ = ["TEST", "About", "Notice"]

TEST = "test"
"""Kind of the message that `sapphire notify test` sends."""

_NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What runs: it stands in every message, so that paper and live never look alike.

    Parameters
    ----------
    account : "paper".
    stage : "paper" or "live".
    release : "paper.trend@1".
    market : "generated market, seed 7".
    marks : what has to be said of the release wherever it is shown.
    """

    account: str
    stage: str
    release: str
    market: str
    marks: Sequence[str] = ()

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> About:
        """From the facts of a run, as `stack.json` has them."""
        market, release = facts["market"], facts["release"]
        recorded = market["source"] == "recorded"
        return cls(
            account=facts["account"],
            stage=release["stage"],
            release=release["label"],
            market="recorded market" if recorded else f"generated market, seed {market['seed']}",
            marks=tuple(release["marks"]),
        )

    @property
    def line(self) -> str:
        """The same in one line."""
        marked = f", {', '.join(self.marks)}" if self.marks else ""
        stage = self.stage.upper() if self.stage == "live" else self.stage
        return f"{self.release} on {stage}{marked}; account {self.account}, {self.market}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One message.

    Parameters
    ----------
    id : made of what it is about, so a receiver can see that it came twice.
    kind : one of `workspace_settings.NOTICE_KINDS`, or `TEST`.
    title : what happened, in one line.
    lines : what there is to know of it.
    about : what runs, as `About.line` says.
    wall_ns, market_ns : when; None where it has no market time.
    facts : the same for programs; 64-bit numbers as text.
    """

    id: str
    kind: str
    title: str
    about: str
    wall_ns: int
    lines: Sequence[str] = ()
    market_ns: int | None = None
    facts: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def last_line(self) -> str:
        """What runs, and when it was."""
        if self.market_ns is None:
            return self.about
        return f"{self.about}, {stamp(self.market_ns // _NS_PER_S * _NS_PER_S)}"

    def as_dict(self) -> dict[str, Any]:
        """Stable keys; 64-bit numbers as text."""
        return {
            "id": self.id,
            "kind": self.kind,
            "title": self.title,
            "about": self.about,
            "lines": list(self.lines),
            "wall_ns": str(self.wall_ns),
            "market_ns": None if self.market_ns is None else str(self.market_ns),
            "facts": dict(self.facts),
        }

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """The notice that `as_dict` was made of."""
        market = row["market_ns"]
        times = {"wall_ns": int(row["wall_ns"]), "market_ns": None if market is None else int(market)}
        return cls(**{**row, **times, "lines": tuple(row["lines"])})
