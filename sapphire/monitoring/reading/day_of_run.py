"""One UTC day of a run: the same values as of the whole, cut to the bars that opened in it.

What happens at a close that is midnight, and after it, belongs to the day that begins. The close at which the day began
stands before its bars, so that a return of the day is what the account's equity did from one midnight to the next.
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
from sapphire.domain.instruments import Universe
from sapphire.monitoring.reading.decisions import DecidedBar
from sapphire.monitoring.reading.exchange_books import ExchangeBooks
from sapphire.monitoring.reading.happened import Adjustment
from sapphire.monitoring.reading.hops import OrderHops
from sapphire.monitoring.reading.market import Marks
from sapphire.monitoring.reading.run_folder import TradedRun
from sapphire.monitoring.reading.trading_day import JournalRow, TradedDay

if TYPE_CHECKING:
    from sapphire.agents.release import LoadedRelease
    from sapphire.monitoring.judging.evidence import Evidence

__all__ = ["DayOfRun", "days_of", "equal_cash"]

_DAY_NS = 86_400_000_000_000


class _At(Protocol):
    @property
    def market_ns(self) -> int: ...


_Event = TypeVar("_Event", bound=_At)


def days_of(run: TradedRun) -> tuple[date, ...]:
    """The UTC days in which bars of a run opened, rising."""
    return tuple(dict.fromkeys(_day_of(close, run.facts.interval.ns) for close in run.closes_ns))


@dataclass(frozen=True)
class DayOfRun(TradedRun):
    """A run on one day; everything else is the run's own.

    Parameters
    ----------
    whole : the run.
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
    def journal(self) -> tuple[JournalRow, ...]:
        """The whole run's."""
        return self.whole.journal

    @cached_property
    def day(self) -> TradedDay:
        """What the service's journal says of this day."""
        whole = self.whole.day
        return replace(
            whole,
            signals=self._during(whole.signals),
            ended_bars=tuple(close for close in whole.ended_bars if self.has_close(close)),
            orders=self._during(whole.orders),
            denials=self._during(whole.denials),
            reports=self._during(whole.reports),
            fills=self._during(whole.fills),
            targets=self._during(whole.targets),
            states=tuple(state for state in whole.states if self._is_shown(state.bar_close_ns)),
            adjustments=self._during(whole.adjusted_later),
            trading=self._during(whole.trading),
        )

    @property
    def adjusted_later(self) -> tuple[Adjustment, ...]:
        """Balances that changed on this day without a fill."""
        return self.day.adjustments

    @cached_property
    def decisions(self) -> Mapping[int, DecidedBar]:
        """What was decided at the closes of the day's bars."""
        return {close: made for close, made in self.whole.decisions.items() if self.has_close(close)}

    @cached_property
    def hops(self) -> tuple[OrderHops, ...]:
        """When each order of the day passed where."""
        return self._during(self.whole.hops)

    @property
    def exchange(self) -> ExchangeBooks | None:
        """The exchange's books at the end of the whole run."""
        return self.whole.exchange

    @property
    def release(self) -> LoadedRelease:
        """The whole run's."""
        return self.whole.release

    @property
    def instruments(self) -> Universe:
        """The whole run's."""
        return self.whole.instruments

    @property
    def marks(self) -> Marks:
        """Closes of the whole run."""
        return self.whole.marks

    @cached_property
    def closes_ns(self) -> tuple[int, ...]:
        """Closes of the day's bars."""
        return tuple(close for close in self.whole.closes_ns if self.has_close(close))

    @property
    def is_whole(self) -> bool:
        """Whether the run has every bar of the day."""
        return len(self.closes_ns) == max(1, _DAY_NS // self.facts.interval.ns)

    @property
    def covers(self) -> str:
        """From when to when, and how much of the day that is."""
        first, last = from_ns(self.closes_ns[0] - self.facts.interval.ns), from_ns(self.closes_ns[-1])
        until = "24:00" if self.closes_ns[-1] == self.end_ns else f"{last:%H:%M}"
        told = f"{self.utc_day.isoformat()} from {first:%H:%M} to {until} UTC"
        if self.is_whole:
            return f"{told}, the whole day"
        return f"{told}, {len(self.closes_ns):,} of the day's {_DAY_NS // self.facts.interval.ns:,} bars"

    @property
    def title(self) -> str:
        """One line: what ran, on what, and when in market time."""
        facts = self.facts
        return (
            f"{facts.label} on {facts.stage}, {', '.join(facts.symbols)}, {facts.interval} bars of {self.covers}; "
            f"{facts.market.label}; the run began {stamp(self.whole.closes_ns[0] - facts.interval.ns)}"
        )

    def has_close(self, close_ns: int) -> bool:
        """Whether a bar that closes then is the day's."""
        return self.begin_ns < close_ns <= self.end_ns

    def of(self, evidence: Evidence) -> Evidence:
        """A replay of the run, on this day."""
        return replace(
            evidence,
            bars=tuple(bar for bar in evidence.bars if self._is_shown(bar.bar_close_ns)),
            orders=tuple(order for order in evidence.orders if self._has(order.sent_ns)),
            fills=self._during(evidence.fills),
            denied={key: codes for key, codes in evidence.denied.items() if self.has_close(key[1])},
            refused={key: why for key, why in evidence.refused.items() if self.has_close(key[1])},
        )

    def _is_shown(self, close_ns: int) -> bool:
        """Whether an account at a close is shown: those of the day's bars, and the one before them."""
        return self.has_close(close_ns) or close_ns == self._before_ns

    @cached_property
    def _before_ns(self) -> int | None:
        """The last close of the run before the day's bars; None on its first day."""
        before = [state.bar_close_ns for state in self.whole.states if state.bar_close_ns <= self.begin_ns]
        return before[-1] if before else None

    def _has(self, market_ns: int) -> bool:
        """Whether it happened on this day; the first and the last day have what lies before and behind the bars."""
        days = days_of(self.whole)
        after = self.begin_ns <= market_ns or self.utc_day == days[0]
        return after and (market_ns < self.end_ns or self.utc_day == days[-1])

    def _during(self, events: Iterable[_Event]) -> tuple[_Event, ...]:
        return tuple(event for event in events if self._has(event.market_ns))


def _day_of(close_ns: int, interval_ns: int) -> date:
    return (from_ns(close_ns) - timedelta(microseconds=interval_ns // 1_000)).date()


def equal_cash(run: TradedRun, bars: Sequence[int], evidence: Evidence) -> int:
    """At how many of these closes the account has the replay's cash, to the atom."""
    wanted = set(bars)
    replayed = {bar.bar_close_ns: bar.cash_quote_atoms for bar in evidence.bars if bar.bar_close_ns in wanted}
    return sum(replayed.get(state.bar_close_ns) == state.cash_quote_atoms for state in run.states)
