"""The daily report of a run: what was traded, and whether it is what the evidence says, with every number's n.

All of it is computed once from the run's folder and the market's own bars; the notebook and the command show it.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

from sapphire.domain.errors import ValueRefused
from sapphire.domain.progress import Progress
from sapphire.execution.journal import JournalReplay, replay_journal
from sapphire.monitoring.judging.balances import Reconciliation, reconcile
from sapphire.monitoring.judging.days_on_paper import paper_days
from sapphire.monitoring.judging.evidence import Evidence, evidence_of
from sapphire.monitoring.judging.ladder import Ladder, ladder_of
from sapphire.monitoring.judging.parity import Parity, compare
from sapphire.monitoring.reading.day_of_run import DayOfRun, equal_cash
from sapphire.monitoring.reading.decisions import why_untraded
from sapphire.monitoring.reading.latency_traces import SIGNAL_TO_WIRE, LatencySummary, summarise_latency
from sapphire.monitoring.reading.run_folder import TradedRun
from sapphire.research.results.fees import FeesPaid
from sapphire.research.results.replays import REAL, Model

__all__ = ["DailyReport", "daily_report", "read_day"]


@dataclass(frozen=True)
class DailyReport:
    """One run, measured.

    Parameters
    ----------
    run : what it wrote down.
    runs : the engine's replay of its bars by every model of the ladder.
    parity : traded against the last of them.
    ladder : from the screen's world to the evidence.
    reconciliation : service against exchange; None while the exchange's books are not saved.
    latency : by stage of an order's way.
    replay : the journal folded again, step by step, up to now; of a whole run or of one whose day this is.
    """

    run: TradedRun
    runs: Mapping[Model, Evidence]
    parity: Parity
    ladder: Ladder
    reconciliation: Reconciliation | None
    latency: tuple[LatencySummary, ...]
    replay: JournalReplay

    @property
    def utc_day(self) -> date | None:
        """The day that it is of; None where it is of a whole run."""
        return self.run.utc_day if isinstance(self.run, DayOfRun) else None

    @property
    def evidence(self) -> Evidence:
        """The replay by the model that the market is."""
        return self.runs[REAL]

    @cached_property
    def equity_atoms(self) -> tuple[tuple[int, int], ...]:
        """(close, equity in quote atoms) of every bar that the service saw close."""
        return tuple((state.bar_close_ns, self.run.equity_atoms(state)) for state in self.run.states)

    @property
    def traded_return(self) -> float:
        """From the first close to the last."""
        return self.equity_atoms[-1][1] / self.equity_atoms[0][1] - 1.0

    @property
    def signal_to_wire(self) -> LatencySummary:
        """From the word that triggered an order to its bytes on the socket."""
        return next(stage for stage in self.latency if stage.hop == SIGNAL_TO_WIRE)

    @property
    def is_sound(self) -> bool:
        """Whether nothing is lost, doubled or unexplained, the books are equal and the journal replays."""
        books = self.reconciliation is None or self.reconciliation.is_sound
        return books and self.parity.unexplained_lots == 0 and self.replay.identical

    @property
    def quote(self) -> str:
        """The asset that the account is kept in."""
        return str(self.run.day.config["quote"])

    @property
    def fees(self) -> FeesPaid:
        """What the fills paid, in the quote asset, and in the assets that it was taken in."""
        return self.run.fees

    @property
    def untraded(self) -> str:
        """Why the account never traded; empty where it did."""
        day = self.run.day
        if day.fills:
            return ""
        made, symbols = self.run.decisions.values(), self.run.facts.symbols
        return why_untraded(made, symbols, denied=day.denied_for, refused=day.refused_for)

    @property
    def model_kinds(self) -> dict[str, int]:
        """How many of the views each kind of model made, "embedded-default"; empty where no model did."""
        notes = [view.note for made in self.run.decisions.values() for view in made.views if view.note is not None]
        return dict(Counter(note.model_kind for note in notes if note.model_kind))

    def as_dict(self) -> dict[str, Any]:
        """Plain values with stable keys."""
        day, books, facts = self.run.day, self.reconciliation, self.run.facts
        return {
            "method": "traded",
            "run": str(self.run.folder),
            "day": None if self.utc_day is None else self.utc_day.isoformat(),
            "market": facts.market.label,
            "account": facts.account,
            "release": {"label": facts.label, "digest": facts.release, "stage": facts.stage},
            "releases_traded": [
                {
                    "name": day.releases.get(each.release),
                    "digest": each.release,
                    "since_market_ns": str(each.market_ns),
                    "since_wall_ns": str(each.wall_ns),
                }
                for each in day.traded
            ],
            "first_close_ns": str(self.run.closes_ns[0]),
            "last_close_ns": str(self.run.closes_ns[-1]),
            "bars": len(self.run.closes_ns),
            "orders": len(day.orders),
            "fills": len(day.fills),
            "untraded": self.untraded,
            "denied_for": day.denied_for,
            "refused_for": day.refused_for,
            "model_kinds": self.model_kinds,
            "undecided_for": dict(Counter(made.code for made in self.run.decisions.values() if made.code)),
            "starts": len(day.epochs),
            "traded_return": self.traded_return,
            "evidence_return": self.evidence.total_return,
            "costless_return": self.ladder.costless_return,
            "steps_bps": [[name, change] for name, change in self.ladder.steps_bps.items()],
            "steps_quote": [[name, change] for name, change in self.ladder.steps_quote.items()],
            "quote": self.quote,
            "fees": {
                "quote_atoms": str(self.fees.total_quote_atoms),
                "atoms": {asset: str(atoms) for asset, atoms in sorted(self.fees.atoms.items())},
                "unpriced": list(self.fees.unpriced),
            },
            "parity": {
                "bars": self.parity.bars,
                "equal_cash_bars": self.parity.equal_cash_bars,
                "lots": self.parity.lots,
                "unexplained_lots": self.parity.unexplained_lots,
                "lots_by_cause": {str(cause): lots for cause, lots in self.parity.lots_by_cause.items()},
            },
            "books": None if books is None else _books(books),
            "latency": [_stage(stage) for stage in self.latency],
            "paper_days": [dataclasses.asdict(day) for day in paper_days(self)],
            "replay": {"steps": self.replay.steps, "identical": self.replay.identical, "digest": self.replay.digest},
            "sound": self.is_sound,
            "run_bars": self.run.run_bars,
        }


def read_day(day: date | str) -> date:
    """A day as it is written, "2025-03-07".

    Raises
    ------
    ValueRefused : text that is no date.
    """
    try:
        return day if isinstance(day, date) else date.fromisoformat(day)
    except ValueError:
        raise ValueRefused("a day of a report", expected="a date such as 2025-03-07, UTC", got=repr(day)) from None


def daily_report(
    run: TradedRun, day: date | str | None = None, *, on_progress: Progress = lambda *_: None
) -> DailyReport:
    """Measure a run, finished or running, or one day (UTC) of it, for which only what is the day's is read.

    Raises
    ------
    MissingData : no bar has closed yet, none opened on that day, or the market has no bars where the run had.
    DataError : something that the run wrote cannot be read.
    ValueRefused : text that is no date.
    EvidenceRefused : the release is not the one that traded.
    EngineError : the journal or the replay cannot be read.
    """
    if day is not None:
        return _of_day(DayOfRun.of_run(run, read_day(day)), on_progress)
    runs = evidence_of(run.plan, run.release, on_progress=on_progress)
    return DailyReport(
        run=run,
        runs=runs,
        parity=compare(run.day, run.decisions, runs[REAL]),
        ladder=ladder_of(runs),
        reconciliation=None if run.exchange is None else reconcile(run.day, run.exchange),
        latency=summarise_latency(run.latency_traces),
        replay=replay_journal(run.account_folder),
    )


def _of_day(run: DayOfRun, on_progress: Progress) -> DailyReport:
    runs = {
        model: run.of(evidence)
        for model, evidence in evidence_of(run.plan, run.release, on_progress=on_progress).items()
    }
    found = compare(run.day, run.decisions, runs[REAL])
    closes = [state.bar_close_ns for state in run.states if run.has_close(state.bar_close_ns)]
    differences = tuple(each for each in found.differences if run.has_close(each.bar_close_ns))
    books, holdings = run.exchange, run.day.holdings
    return DailyReport(
        run=run,
        runs=runs,
        parity=Parity(len(closes), equal_cash(run, closes, runs[REAL]), differences),
        ladder=ladder_of(runs),
        reconciliation=None if books is None else reconcile(run.day, books, holdings=holdings),
        latency=summarise_latency(run.latency_traces),
        replay=replay_journal(run.account_folder),
    )


def _books(books: Reconciliation) -> dict[str, Any]:
    return {
        "balances_equal": books.balances_equal,
        "balances": {
            balance.asset: {"service_atoms": str(balance.service_atoms), "exchange_atoms": str(balance.exchange_atoms)}
            for balance in books.balances
        },
        "lost": list(books.lost),
        "doubled": list(books.doubled),
        "changed": list(books.changed),
    }


def _stage(stage: LatencySummary) -> dict[str, Any]:
    return {
        "hop": stage.hop,
        "n": stage.n,
        "median_us": stage.median_us,
        "max_us": stage.max_us,
        "percentiles_us": {f"{percent:g}": value for percent, value in stage.percentiles.items()},
    }
