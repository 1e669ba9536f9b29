"""Paper days: the days of a run, as evidence for the release that traded them.

In:    a run's folder: the engine's journal of the account, the coordinator's decisions, the exchange's books.
Out:   one record for each day (UTC) that is over, bad ones as bad, beside the release; and the witness that computes a
       recorded day again before a gate counts it.
Never: takes a number from a notebook, leaves a day out because it is bad.

A day is computed from its own part of the run and the account that was carried over midnight. Its journal is the rows
of the day, so it stays the same while the account trades on.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sapphire.domain.canonical import canonical_json
from sapphire.domain.clocks import from_ns
from sapphire.domain.errors import EvidenceRefused, SapphireError
from sapphire.registry.paper_days import ParityDay, Witness

if TYPE_CHECKING:
    from sapphire.monitoring.judging.daily import DailyReport
    from sapphire.monitoring.reading.run_folder import TradedRun
    from sapphire.registry import Registry

__all__ = ["keep_paper_days", "paper_day_witness", "paper_days", "witnessed_registry"]

_DAY = timedelta(days=1)
_SHORT = 12


def paper_days(report: DailyReport) -> tuple[ParityDay, ...]:
    """Every day of a report that is over, whatever it is like: of a whole run, or the one that the report is of.

    Raises
    ------
    EvidenceRefused : the journal is of another account or release than the run's.
    """
    run = report.run
    _require_own_journal(run)
    days = _closes_by_day(run)
    journals = _journal_digests(run.journal, days)
    counts = _Counts.of(report)
    books = None if report.reconciliation is None else report.reconciliation.is_sound
    interval = run.facts.interval
    return tuple(
        ParityDay(
            day=day,
            market=run.facts.market.kind,
            account=str(run.day.config["account"]),
            bars=len(closes),
            whole_bars=max(1, _DAY // interval.timedelta),
            bars_seen=sum(close in counts.seen for close in closes),
            bars_decided=sum(close in counts.decided for close in closes),
            signals=sum(counts.signals[close] for close in closes),
            signals_taken=sum(counts.taken[close] for close in closes),
            foreign_signals=sum(counts.foreign[close] for close in closes),
            books_equal=books,
            replays=report.replay.identical,
            unexplained_lots=sum(counts.unexplained[close] for close in closes),
            explained_lots=_summed(counts.explained[close] for close in closes),
            journal_digest=journals[day],
        )
        for day, closes in days.items()
    )


def keep_paper_days(registry: Registry, release: str, run: Path, days: Iterable[date] | None = None) -> int:
    """Compute days of a run and keep them beside their release; how many say anything new.

    Parameters
    ----------
    release : digest of its manifest.
    run : the run's folder.
    days : only these; every day of the run unless given.

    Raises
    ------
    EvidenceRefused : the run or its journal is of another release or account, or the evidence that is there does not
        verify.
    Refused : the release is not in this registry.
    SapphireError : what `daily_report` raises.
    """
    wanted = None if days is None else tuple(days)
    return registry.record_paper_days(release, run, lambda folder: _measured(folder, registry.home, wanted))


def paper_day_witness(home: Path) -> Witness:
    """What compares a recorded day with the journals of the state folder's runs; of each only that day is read.

    The account's journal has to be there yet: a day whose run was forgotten cannot be shown any more.
    """
    from sapphire.monitoring.reading.finding import run_folders

    measured: dict[tuple[Path, str], tuple[str, Sequence[ParityDay]]] = {}

    def witness(release: str, day: ParityDay) -> str:
        for folder in run_folders(home):
            known = folder, day.day
            if known not in measured:
                try:
                    measured[known] = _measured(folder, home, (date.fromisoformat(day.day),))
                except SapphireError:  # a run that cannot be read, or has no such day, shows no day
                    measured[known] = ("", ())
            traded, days = measured[known]
            if traded == release and day in days:
                return ""
        return "not in the journal of any run here"

    return witness


def witnessed_registry(home: Path) -> Registry:
    """The registry of a state folder, with its trial ledger to count on and its journals to see days on paper in."""
    from sapphire.registry import Registry
    from sapphire.research.ledger.counting import registry_of

    return Registry._of(replace(registry_of(home)._workings, witness=paper_day_witness(home)))


def _measured(folder: Path, home: Path, days: Sequence[date] | None) -> tuple[str, list[ParityDay]]:
    from sapphire.monitoring.judging.daily import daily_report
    from sapphire.monitoring.reading.day_of_run import days_of
    from sapphire.monitoring.reading.run_folder import read_run

    run = read_run(folder, home)
    reports = (daily_report(run, day) for day in (days_of(run) if days is None else days))
    return run.facts.release, [day for report in reports for day in paper_days(report)]


def _require_own_journal(run: TradedRun) -> None:
    wanted, got = run.facts.account, str(run.day.config["account"])
    if wanted is not None and wanted != got:
        raise EvidenceRefused(
            f"the journal in {run.account_folder} is of another account", expected=f"account {wanted}", got=got
        )
    if run.facts.release not in run.day.releases:
        raise EvidenceRefused(
            f"the journal in {run.account_folder} is of another release",
            expected=run.facts.release[:_SHORT],
            got=", ".join(digest[:_SHORT] for digest in run.day.releases) or "none",
        )


def _closes_by_day(run: TradedRun) -> dict[str, list[int]]:
    """The run's closes by the day that their bars are of; of days that are over."""
    interval, days = run.facts.interval, defaultdict(list)
    for close_ns in run.closes_ns:
        days[from_ns(close_ns - interval.ns).date().isoformat()].append(close_ns)
    # A run, or a day of it, whose last close is no midnight is not over.
    last = max(days)
    if from_ns(days[last][-1]).date().isoformat() == last:
        del days[last]
    return dict(days)


def _journal_digests(rows: Iterable[Mapping[str, Any]], days: Iterable[str]) -> dict[str, str]:
    """sha256 of the run's configuration and the rows of each day, in their order."""
    hashes = {day: hashlib.sha256() for day in days}
    for row in rows:
        if row["kind"] == "run":
            for hashed in hashes.values():
                hashed.update(canonical_json(row["config"]))
        elif "market_ns" in row and (of_day := hashes.get(_day_of_row(row))) is not None:
            of_day.update(canonical_json(row))
    return {day: hashed.hexdigest() for day, hashed in hashes.items()}


def _day_of_row(row: Mapping[str, Any]) -> str:
    """The day that a row is of: what happens at midnight is of the day that begins, a bar that ends then is not."""
    if row["kind"] in ("state", "end_of_bar"):
        return from_ns(int(row["bar_close_ns"]) - 1_000).date().isoformat()
    return from_ns(int(row["market_ns"])).date().isoformat()


@dataclass(frozen=True, slots=True)
class _Counts:
    """What a report says of each close."""

    seen: frozenset[int]
    decided: frozenset[int]
    signals: Counter[int]
    taken: Counter[int]
    foreign: Counter[int]
    unexplained: Counter[int]
    explained: Mapping[int, Counter[str]]

    @classmethod
    def of(cls, report: DailyReport) -> _Counts:
        run, release = report.run, report.run.facts.release
        wanted = {
            (target.symbol, bar.bar_close_ns) for bar in report.evidence.bars for target in bar.targets
        } - report.evidence.refused.keys()
        own = [signal for signal in run.day.signals if signal.release == release]
        taken = {(signal.symbol, signal.bar_close_ns) for signal in own if signal.refused is None}
        unexplained: Counter[int] = Counter()
        explained: dict[int, Counter[str]] = defaultdict(Counter)
        for difference in report.parity.differences:
            if difference.root.is_explained:
                explained[difference.bar_close_ns][difference.root.value] += difference.lots
            else:
                unexplained[difference.bar_close_ns] += difference.lots
        return cls(
            seen=frozenset(state.bar_close_ns for state in run.states),
            decided=frozenset(_decided(run, release)),
            signals=Counter(close for _, close in wanted),
            taken=Counter(close for _, close in wanted & taken),
            foreign=Counter(signal.bar_close_ns for signal in run.day.signals if signal.release != release),
            unexplained=unexplained,
            explained=explained,
        )


def _decided(run: TradedRun, release: str) -> Iterable[int]:
    """Closes that were decided without an obstacle, and whose end marker the engine took."""
    ended = set(run.day.ended_bars)
    return (
        close
        for close, made in run.decisions.items()
        if made.code is None and made.release == release and close in ended
    )


def _summed(counters: Iterable[Counter[str]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for counter in counters:
        total.update(counter)
    return {cause: lots for cause, lots in sorted(total.items()) if lots}
