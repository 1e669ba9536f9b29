"""Decisions: what the coordinator saw and decided at each bar, from the run's `decisions.jsonl`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from sapphire.coordination.decision_archive import decision_lines
from sapphire.coordination.decisions import Decision, note_of
from sapphire.domain.clocks import from_ns
from sapphire.domain.errors import DataError, ValueRefused
from sapphire.domain.stopped_views import LastBelief
from sapphire.domain.views import Belief, View
from sapphire.portfolio import Target
from sapphire.research.runs.decided import Decisions, reasons_text

__all__ = ["DecidedBar", "DecidedSignal", "read_decisions", "why_untraded"]

_US_PER_NS = 1_000


@dataclass(frozen=True, slots=True)
class DecidedSignal:
    """A signal as the coordinator wrote it to the bus; `entry` is its place there."""

    symbol: str
    target_lots: int
    reference_ticks: int
    entry: str


@dataclass(frozen=True, slots=True)
class DecidedBar:
    """One bar's decision.

    Parameters
    ----------
    bar_close_ns : market time.
    release : digest.
    history_rows : closed bars that the portfolio's state was measured from.
    closes_ticks : last known close by symbol.
    cash_quote_atoms : of the account's state; None where it never came.
    atoms : base atoms held, by symbol.
    equity_quote_atoms : cash and positions at the closes; None where nothing was decided.
    views, beliefs, targets, signals : what followed from one another.
    silent : symbols without a view.
    code, text : why nothing was decided; None where something was.
    asked_ns, answered_ns : wall time of the question to the release's server and of the answer; None when not asked.
    remembered : the newest belief of each symbol behind this bar.
    heard : of a pool whose members were asked by themselves, those that were heard; None where it was asked as one.
    """

    bar_close_ns: int
    release: str
    history_rows: int
    closes_ticks: Mapping[str, int] = field(hash=False)
    cash_quote_atoms: int | None
    atoms: Mapping[str, int] = field(hash=False)
    equity_quote_atoms: int | None
    views: tuple[View, ...]
    beliefs: tuple[Belief, ...]
    targets: tuple[Target, ...]
    signals: tuple[DecidedSignal, ...]
    silent: tuple[str, ...]
    code: str | None
    text: str
    asked_ns: int | None
    answered_ns: int | None
    remembered: tuple[LastBelief, ...] = ()
    heard: frozenset[str] | None = None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> DecidedBar:
        """The decision of the facts of a line, which `DecisionLine` has read."""
        account = row["account"]
        positions = {} if account is None else {each["symbol"]: int(each["atoms"]) for each in account["positions"]}
        reason = row["reason"]
        close_ns, release = int(row["bar_close_ns"]), str(row["release"])
        return cls(
            bar_close_ns=close_ns,
            release=release,
            history_rows=int(row["history_rows"]),
            closes_ticks={symbol: int(ticks) for symbol, ticks in row["closes_ticks"].items()},
            cash_quote_atoms=None if account is None else int(account["cash_quote_atoms"]),
            atoms=positions,
            equity_quote_atoms=_whole(row["equity_quote_atoms"]),
            views=tuple(_view(each, release) for each in row["views"]),
            beliefs=tuple(_belief(each, close_ns) for each in row["beliefs"]),
            targets=tuple(
                Target(each["symbol"], int(each["lots"]), float(each["weight"]), each["reason"])
                for each in row["targets"]
            ),
            signals=tuple(
                DecidedSignal(
                    each["symbol"], int(each["target_lots"]), int(each["reference_ticks"]), str(each["entry"])
                )
                for each in row["signals"]
            ),
            silent=tuple(row["silent"]),
            code=None if reason is None else str(reason["code"]),
            text="" if reason is None else str(reason["text"]),
            asked_ns=_whole(row["asked_ns"]),
            answered_ns=_whole(row["answered_ns"]),
            remembered=Decision(row).remembered,
            heard=_heard(row.get("members")),
        )


def _heard(members: Sequence[Mapping[str, Any]] | None) -> frozenset[str] | None:
    """The members that were pooled."""
    if members is None:
        return None
    return frozenset(each["name"] for each in members if each["silence"] is None and each["shadow"] is None)


def read_decisions(path: Path, *, first: date | None = None, last: date | None = None) -> dict[int, DecidedBar]:
    """Every bar's decision by the bar's close, in the file's order; empty where there is no file yet.

    A last line that is still being written is passed over.

    Parameters
    ----------
    first, last : UTC days in which the bars end, both in it; all of them unless given.

    Raises
    ------
    DataError : a line that cannot be read, or two lines about one bar.
    """
    decisions: dict[int, DecidedBar] = {}
    for number, line in enumerate(decision_lines(path, first=first, last=last), start=1):
        try:
            decision = DecidedBar.of(Decision.read(line).facts)
        except ValueRefused as error:
            raise DataError(
                f"{path.name}: line {number:,} cannot be read",
                expected=error.expected or "one decision of the coordinator",
                got=f"{error.what}: {error.got}",
                next=error.next or "coordinator and reader must be of one version",
            ) from error
        if decision.bar_close_ns in decisions:
            raise DataError(
                f"{path.name}: two decisions about one bar",
                expected="one line a bar",
                got=f"line {number:,} is about {from_ns(decision.bar_close_ns).isoformat()} again",
            )
        decisions[decision.bar_close_ns] = decision
    return decisions


def why_untraded(
    decided: Iterable[DecidedBar], symbols: Sequence[str], *, denied: Mapping[str, int], refused: Mapping[str, int]
) -> str:
    """Why nothing was traded, from the reasons of decisions and what the gate denied and the intake refused.

    Parameters
    ----------
    denied, refused : how often, by code.
    """
    decisions = Decisions()
    for made in decided:
        believed = {belief.symbol: belief.mean_bps for belief in made.beliefs}
        otherwise = {"otherwise": f"not decided, {made.code.replace('_', ' ')}"} if made.code else {}
        decisions.add(symbols, made.targets, believed, **otherwise)
    return reasons_text(decisions.counted(), denied, refused)


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)


def _duration(ns: Any) -> timedelta:
    return timedelta(microseconds=int(ns) // _US_PER_NS)


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _view(row: Mapping[str, Any], release: str) -> View:
    levels = {float(point["probability"]): float(point["value_bps"]) for point in row["quantiles"]}
    return View(
        symbol=row["symbol"],
        as_of=from_ns(int(row["as_of_ns"])),
        horizon=_duration(row["horizon_ns"]),
        score=_number(row["score"]),
        mean_bps=_number(row["mean_bps"]),
        std_bps=_number(row["std_bps"]),
        quantiles_bps=levels or None,
        agent=release,
        note=note_of(row),
    )


def _belief(row: Mapping[str, Any], close_ns: int) -> Belief:
    horizon = _duration(row["horizon_ns"])
    return Belief(row["symbol"], from_ns(close_ns), horizon, float(row["mean_bps"]), float(row["std_bps"]))
