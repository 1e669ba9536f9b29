"""Why a replay holds what it holds: the reasons of its targets, counted; and why one that never traded never did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypedDict

from sapphire.domain.stopped_views import LastBelief
from sapphire.portfolio import Reason
from sapphire.portfolio.targets import Target

__all__ = ["DecidedFor", "Decisions", "why_untraded"]

_NAMED = 3


class DecidedFor(TypedDict):
    """How often a reason was given.

    Keys
    ----
    reason : one of `Reason`, or what the sizing said.
    decisions : number of closes and symbols.
    mean_bps : what was believed in them on average; None where nothing was.
    """

    reason: str
    decisions: int
    mean_bps: float | None


class Decisions:
    """The reasons of a run, one decision for each symbol at each close."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._sums: dict[str, list[float]] = {}

    def add(self, symbols: Sequence[str], targets: Iterable[Target], remembered: Iterable[LastBelief]) -> None:
        """What was decided at one close; a symbol without a target has nothing believed of it."""
        reasons = {target.symbol: str(target.reason) for target in targets}
        means = {each.symbol: each.belief.mean_bps for each in remembered}
        for symbol in symbols:
            reason = reasons.get(symbol, str(Reason.ZERO_NO_BELIEF))
            self._counts[reason] += 1
            if symbol in reasons and symbol in means:
                self._sums.setdefault(reason, []).append(means[symbol])

    def counted(self) -> list[DecidedFor]:
        """The reasons, the most frequent first."""
        return [
            {
                "reason": reason,
                "decisions": count,
                "mean_bps": sum(self._sums[reason]) / len(self._sums[reason]) if reason in self._sums else None,
            }
            for reason, count in self._counts.most_common()
        ]


def why_untraded(record: Mapping[str, Any]) -> str:
    """Why a run has no fill: the reasons of its decisions, what the risk gate denied and the intake refused.

    Empty where it has one.
    """
    if len(record["fills"]["order"]):
        return ""
    reasons: list[DecidedFor] = record["decided_for"]
    total = sum(each["decisions"] for each in reasons)
    told = []
    for each in reasons[:_NAMED]:
        mean = "" if each["mean_bps"] is None else f", mean {each['mean_bps']:+.2f} bps"
        told.append(f"{each['reason'].replace(': ', ', ')}{mean} in {each['decisions']:,} of {total:,} decisions")
    rest = sum(each["decisions"] for each in reasons[_NAMED:])
    told += [f"other reasons in {rest:,}"] if rest else []
    for what, codes in (
        ("orders denied", record["denials"]["code"]),
        ("signals refused", record["refusals"]["reason"]),
    ):
        told += [f"{count:,} {what} for {code}" for code, count in Counter(map(str, codes)).most_common(_NAMED)]
    return "; ".join(told) or "nothing was decided"
