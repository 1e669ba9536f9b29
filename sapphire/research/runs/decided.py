"""Why a replay holds what it holds: the reasons of its targets, counted; and why one that never traded never did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypedDict

from sapphire.portfolio import Reason
from sapphire.portfolio.targets import Target
from sapphire.registry.calibrations import ProbabilityFit, ScoreSlope

__all__ = ["DecidedFor", "Decisions", "reasons_text", "why_untraded"]

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

    def add(
        self,
        symbols: Sequence[str],
        targets: Iterable[Target],
        means_bps: Mapping[str, float],
        *,
        otherwise: str = str(Reason.ZERO_NO_BELIEF),
    ) -> None:
        """What was decided at one close.

        Parameters
        ----------
        means_bps : what is believed, by symbol.
        otherwise : the reason of a symbol without a target.
        """
        reasons = {target.symbol: str(target.reason) for target in targets}
        for symbol in symbols:
            reason = reasons.get(symbol, otherwise)
            self._counts[reason] += 1
            if symbol in reasons and symbol in means_bps:
                self._sums.setdefault(reason, []).append(means_bps[symbol])

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


def why_untraded(
    record: Mapping[str, Any], slopes: Sequence[ScoreSlope] = (), probabilities: Sequence[ProbabilityFit] = ()
) -> str:
    """Why a replay has no fill; empty where it has one.

    Parameters
    ----------
    slopes, probabilities : what its scores and its log-odds were worth in training, fold by fold.
    """
    if len(record["fills"]["order"]):
        return ""
    denied, refused = (Counter(map(str, each)) for each in (record["denials"]["code"], record["refusals"]["reason"]))
    worth = ""
    if slopes and not any(each.traded_bps for each in slopes):
        worth = f"the score was worth nothing in training, slope 0 in {len(slopes)} of {len(slopes)} fits; "
    if probabilities and not any(each.kept for each in probabilities):
        fits = len(probabilities)
        worth += f"the log-odds were worth nothing in training, the base rate is stated in {fits} of {fits} fits; "
    return worth + reasons_text(record["decided_for"], denied, refused)


def reasons_text(reasons: Sequence[DecidedFor], denied: Mapping[str, int], refused: Mapping[str, int]) -> str:
    """The reasons of decisions, and what the risk gate denied and the intake refused, in a line.

    >>> counted = [DecidedFor(reason="kept: a change would not earn its cost", decisions=4_440, mean_bps=-0.15)]
    >>> reasons_text(counted, {}, {"stale": 2})
    'kept, a change would not earn its cost, mean -0.15 bps in 4,440 of 4,440 decisions; 2 signals refused for stale'
    """
    total = sum(each["decisions"] for each in reasons)
    parts = []
    for each in reasons[:_NAMED]:
        mean = "" if each["mean_bps"] is None else f", mean {each['mean_bps']:+.2f} bps"
        parts.append(f"{each['reason'].replace(': ', ', ')}{mean} in {each['decisions']:,} of {total:,} decisions")
    rest = sum(each["decisions"] for each in reasons[_NAMED:])
    parts += [f"other reasons in {rest:,}"] if rest else []
    for what, codes in (("orders denied", denied), ("signals refused", refused)):
        parts += [f"{count:,} {what} for {code}" for code, count in Counter(codes).most_common(_NAMED)]
    return "; ".join(parts) or "nothing was decided"
