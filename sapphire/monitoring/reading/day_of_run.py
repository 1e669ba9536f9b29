"""One UTC day of a run, read from the day's own part of what the run wrote, however long the run is.

What happens at a close that is midnight, and after it, belongs to the day that begins. The close at which the day began
stands before its bars, so that a return of the day is what the account's equity did from one midnight to the next; the
evidence of the day begins with the account as it stood there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, TypeVar

from sapphire.domain.clocks import from_ns, to_ns
from sapphire.domain.display import stamp
from sapphire.domain.errors import MissingData
from sapphire.execution.journal import journal_rows
from sapphire.monitoring.reading.decisions import DecidedBar, read_decisions
from sapphire.monitoring.reading.evidence_plan import EvidencePlan
from sapphire.monitoring.reading.exchange_books import ExchangeBooks
from sapphire.monitoring.reading.happened import AccountAt, Adjustment, ReleaseTraded
from sapphire.monitoring.reading.latency_traces import LatencyTrace, read_latency_traces
from sapphire.monitoring.reading.market import Marks
from sapphire.monitoring.reading.run_folder import EXCHANGE_FILE, TradedRun, read_json
from sapphire.monitoring.reading.trading_day import JournalRow, TradedDay

if TYPE_CHECKING:
    from sapphire.agents.release import LoadedRelease
    from sapphire.monitoring.judging.evidence import Evidence

__all__ = ["DayOfRun", "days_of", "equal_cash"]

_DAY_NS = 86_400_000_000_000
_NEVER_NS = 2**63 - 1
_BARS_BEFORE = 2
"""Marks before the day's first close: that of the account that is carried over, and one for what was filled before."""


class _At(Protocol):
    @property
    def market_ns(self) -> int: ...


_Event = TypeVar("_Event", bound=_At)


def days_of(run: TradedRun) -> tuple[date, ...]:
    """The UTC days in which bars of a run opened, rising."""
    first, last = (_day_of(close, run.facts.interval.ns) for close in run.span_ns)
    return tuple(first + timedelta(days=number) for number in range((last - first).days + 1))


@dataclass(frozen=True)
class DayOfRun(TradedRun):
    """A run on one day: what the day's own files say, and the account as it was carried over midnight.

    Parameters
    ----------
    whole : the run; nothing of it is read but where it begins and ends.
    utc_day : the day.

    Raises
    ------
    MissingData : no bar of the run opened on that day.
    """

    whole: TradedRun
    utc_day: date

    @classmethod
    def of_run(cls, run: TradedRun, day: date | None = None) -> DayOfRun:
        """A day of a run, its last one unless given.

        Raises
        ------
        MissingData : no bar has closed yet, or none opened on that day.
        """
        return cls(run.folder, run.home, run.facts, run, days_of(run)[-1] if day is None else day)

    def __post_init__(self) -> None:
        known = days_of(self.whole)
        if self.utc_day not in known:
            raise MissingData(
                f"the run has no bar on {self.utc_day.isoformat()}",
                expected=f"a day from {known[0].isoformat()} to {known[-1].isoformat()}, UTC",
                got=self.utc_day.isoformat(),
                next="leave the day out for the last one",
            )

    @property
    def begin_ns(self) -> int:
        """Its midnight."""
        return to_ns(f"{self.utc_day.isoformat()}T00:00Z")

    @property
    def end_ns(self) -> int:
        """The next midnight; a bar that closes then is this day's last."""
        return self.begin_ns + _DAY_NS

    @property
    def is_over(self) -> bool:
        """Whether the run has come to the next midnight."""
        return self.span_ns[1] >= self.end_ns

    @property
    def span_ns(self) -> tuple[int, int]:
        """Of the whole run."""
        return self.whole.span_ns

    @cached_property
    def journal(self) -> tuple[JournalRow, ...]:
        """The day's rows, and what they need to be read alone."""
        return tuple(journal_rows(self.account_folder, (self.begin_ns, self.end_ns)))

    @cached_property
    def day(self) -> TradedDay:
        """What the service's journal says of this day."""
        whole_run = TradedDay.of(self.journal)
        states = tuple(state for state in whole_run.states if self.begin_ns <= state.bar_close_ns <= self.end_ns)
        return replace(
            whole_run,
            signals=self._during(whole_run.signals),
            ended_bars=tuple(close for close in whole_run.ended_bars if self.has_close(close)),
            orders=self._during(whole_run.orders),
            denials=self._during(whole_run.denials),
            reports=self._during(whole_run.reports),
            fills=self._during(whole_run.fills),
            targets=self._during(whole_run.targets),
            states=states,
            adjustments=self._during(whole_run.adjustments),
            trading=self._during(whole_run.trading),
            traded=self._traded(whole_run.traded),
        )

    def _traded(self, releases: Sequence[ReleaseTraded]) -> tuple[ReleaseTraded, ...]:
        """What was traded on this day: what it began with, and what came on it."""
        return tuple(
            each
            for each, after in zip(releases, (*releases[1:], None), strict=False)
            if each.market_ns < self.end_ns and (after is None or after.market_ns > self.begin_ns)
        )

    @property
    def adjusted_later(self) -> tuple[Adjustment, ...]:
        """Balances that changed on this day without a fill."""
        return self.day.adjusted_later if self._is_first else self.day.adjustments

    @cached_property
    def decisions(self) -> Mapping[int, DecidedBar]:
        """What was decided at the closes of the day's bars."""
        return {close: made for close, made in self._decided.items() if self.has_close(close)}

    @cached_property
    def _decided(self) -> Mapping[int, DecidedBar]:
        """The same, and that of the day before, whose end is carried over."""
        first = self.utc_day - timedelta(days=1)
        return read_decisions(self.folder / "decisions.jsonl", first=first, last=self.utc_day)

    @cached_property
    def latency_traces(self) -> tuple[LatencyTrace, ...]:
        """When each order of the day passed where."""
        return read_latency_traces(self.account_folder / "hops", self._window)

    @cached_property
    def exchange(self) -> ExchangeBooks | None:
        """The exchange's books of the day, with its balances at the end of the run; None while it runs."""
        path = self.folder / EXCHANGE_FILE
        books = ExchangeBooks.of(read_json(path), window=self._window) if path.is_file() else None
        return None if books is None or books.now_ns < self.span_ns[1] else books

    @property
    def release(self) -> LoadedRelease:
        """The whole run's."""
        return self.whole.release

    @cached_property
    def closes_ns(self) -> tuple[int, ...]:
        """Closes of the day's bars."""
        first, last = self.span_ns
        step = self.facts.interval.ns
        begin = first + max(0, -(-(self.begin_ns + 1 - first) // step)) * step
        return tuple(range(begin, min(last, self.end_ns) + 1, step))

    @property
    def start_ns(self) -> int:
        """Where the evidence begins: with the run on its first day, else a bar before the account that is carried."""
        carried = self._carried
        return super().start_ns if carried is None else carried.bar_close_ns - self.facts.interval.ns

    @property
    def _carried(self) -> AccountAt | None:
        """The account at midnight, or at the first close that the service saw since; None on the run's first day."""
        return None if self._is_first or not self.states else self.states[0]

    @property
    def plan(self) -> EvidencePlan:
        """What the day was made of: the account at midnight, and the bars since.

        The risk gate's loss of the day, and what was halted before it, begin anew with it.
        """
        carried, interval_ns = self._carried, self.facts.interval.ns
        if carried is None:
            return super().plan
        holdings = {
            symbol.split("/")[0]: holding.atoms for symbol, holding in carried.positions.items() if holding.atoms
        }
        before = self._decided.get(carried.bar_close_ns - interval_ns)
        since = (close for close in self.closes_ns if close > carried.bar_close_ns)
        return replace(
            super().plan,
            closes_ns=(carried.bar_close_ns, *since),
            deposits_atoms={str(self.day.config["quote"]): carried.cash_quote_atoms, **holdings},
            remembered=() if before is None else before.remembered,
        )

    @cached_property
    def marks(self) -> Marks:
        """Closes to value positions by, from the bar before the day's first."""
        ticks = {symbol: int(listing["tick_atoms"]) for symbol, listing in self.listings.items()}
        return self.facts.market.marks(
            self.facts.symbols,
            self.facts.interval,
            ticks,
            rows=len(self.closes_ns) + _BARS_BEFORE,
            until_ns=self.closes_ns[-1],
        )

    @property
    def is_whole(self) -> bool:
        """Whether the run has every bar of the day."""
        return len(self.closes_ns) == max(1, _DAY_NS // self.facts.interval.ns)

    @property
    def covers(self) -> str:
        """From when to when, and how much of the day that is."""
        first, last = from_ns(self.closes_ns[0] - self.facts.interval.ns), from_ns(self.closes_ns[-1])
        until = "24:00" if self.closes_ns[-1] == self.end_ns else f"{last:%H:%M}"
        text = f"{self.utc_day.isoformat()} from {first:%H:%M} to {until} UTC"
        if self.is_whole:
            return f"{text}, the whole day"
        return f"{text}, {len(self.closes_ns):,} of the day's {_DAY_NS // self.facts.interval.ns:,} bars"

    @property
    def title(self) -> str:
        """One line: what ran, on what, and when in market time."""
        facts = self.facts
        return (
            f"{facts.label} on {facts.stage}, {', '.join(facts.symbols)}, {facts.interval} bars of {self.covers}; "
            f"{facts.market.label}; the run began {stamp(self.span_ns[0] - facts.interval.ns)}"
        )

    def has_close(self, close_ns: int) -> bool:
        """Whether a bar that closes then is the day's."""
        return self.begin_ns < close_ns <= self.end_ns

    def of(self, evidence: Evidence) -> Evidence:
        """A replay of the day's plan, without what belongs to the next day."""
        return replace(
            evidence,
            orders=tuple(order for order in evidence.orders if self._has(order.sent_ns)),
            fills=self._during(evidence.fills),
            denied={key: codes for key, codes in evidence.denied.items() if self.has_close(key[1])},
            refused={key: why for key, why in evidence.refused.items() if self.has_close(key[1])},
        )

    @property
    def _window(self) -> tuple[int, int]:
        """Market time of what is of this day; the first and the last day have what lies before and behind the bars."""
        return (0 if self._is_first else self.begin_ns, _NEVER_NS if self._is_last else self.end_ns)

    @property
    def _is_first(self) -> bool:
        """No bar of the run has closed by its midnight."""
        return self.span_ns[0] > self.begin_ns

    @property
    def _is_last(self) -> bool:
        """No bar of the run closes behind it."""
        return self.span_ns[1] <= self.end_ns

    def _has(self, market_ns: int) -> bool:
        """Whether it happened on this day."""
        begin_ns, end_ns = self._window
        return begin_ns <= market_ns < end_ns

    def _during(self, events: Iterable[_Event]) -> tuple[_Event, ...]:
        return tuple(event for event in events if self._has(event.market_ns))


def _day_of(close_ns: int, interval_ns: int) -> date:
    return (from_ns(close_ns) - timedelta(microseconds=interval_ns // 1_000)).date()


def equal_cash(run: TradedRun, bars: Sequence[int], evidence: Evidence) -> int:
    """At how many of these closes the account has the replay's cash, to the atom."""
    wanted = set(bars)
    replayed = {bar.bar_close_ns: bar.cash_quote_atoms for bar in evidence.bars if bar.bar_close_ns in wanted}
    return sum(replayed.get(state.bar_close_ns) == state.cash_quote_atoms for state in run.states)
