"""A run's folder: what was run, where the parts left what they wrote, and all of it read into one value.

::

    stack.json            what runs: release, market, symbols, clock, closes of the first and the last bar
    coordinator.json      the universe as it was sized with
    account/journal/      the service's journal;  account/hops/EPOCH.bin  when each order passed where
    decisions.jsonl       the coordinator's decisions
    exchange_state.json   the exchange's own books, saved at the end of the run
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sapphire.coordination.decision_log import last_decision
from sapphire.domain.display import stamp
from sapphire.domain.errors import DataError, MissingData
from sapphire.domain.instruments import Instrument, InstrumentKind, Universe
from sapphire.domain.intervals import Interval
from sapphire.domain.money import ATOMS_PER_UNIT
from sapphire.execution.journal import journal_bars, journal_rows
from sapphire.monitoring.reading.decisions import DecidedBar, read_decisions
from sapphire.monitoring.reading.evidence_plan import EvidencePlan
from sapphire.monitoring.reading.exchange_books import ExchangeBooks
from sapphire.monitoring.reading.happened import AccountAt, Adjustment
from sapphire.monitoring.reading.latency_traces import LatencyTrace, read_latency_traces
from sapphire.monitoring.reading.market import Market, Marks
from sapphire.monitoring.reading.trading_day import JournalRow, TradedDay
from sapphire.research.results.fees import Fee, FeesPaid, fees_paid

if TYPE_CHECKING:
    from sapphire.agents.release import LoadedRelease

__all__ = ["EXCHANGE_FILE", "RunFacts", "TradedRun", "read_json", "read_run"]

STACK_FILE, COORDINATOR_FILE, EXCHANGE_FILE = "stack.json", "coordinator.json", "exchange_state.json"
_NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What a stack says of itself.

    Parameters
    ----------
    release, label : digest, and what people call it, "paper.pool@1".
    marks : what has to be said of the release wherever it is shown.
    stage : "paper" or "live".
    market : whose bars it trades on.
    symbols, interval : the universe.
    start_ns : where market time began; None before the exchange was up.
    latency_ns : shortest and longest delay of a request in lock-step; zeros on a paced clock, where nobody knows it.
    is_lockstep : market time stands until every part has settled.
    account : the account's name; None where the stack did not say.
    exchange_account : its number at the exchange.
    """

    release: str
    label: str
    stage: str
    marks: tuple[str, ...]
    market: Market
    symbols: tuple[str, ...]
    interval: Interval
    start_ns: int | None
    latency_ns: tuple[int, int]
    is_lockstep: bool
    account: str | None
    exchange_account: int = 1

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> RunFacts:
        """From the content of `stack.json`."""
        market = facts["market"]
        shortest, longest = facts["latency_ms"] or (0, 0)
        return cls(
            release=str(facts["release"]["digest"]),
            label=str(facts["release"]["label"]),
            stage=str(facts["release"]["stage"]),
            marks=tuple(facts["release"]["marks"]),
            market=Market(int(market["seed"]), Path(market["candles"]) if market["candles"] else None),
            symbols=tuple(facts["symbols"]),
            interval=Interval(facts["interval"]),
            start_ns=None if market["start_ns"] is None else int(market["start_ns"]),
            latency_ns=(int(shortest * _NS_PER_MS), int(longest * _NS_PER_MS)),
            is_lockstep=bool(facts["clock"].get("lockstep", False)),
            account=None if facts.get("account") is None else str(facts["account"]),
            exchange_account=int(facts.get("exchange_account") or 1),
        )


@dataclass(frozen=True)
class TradedRun:
    """Everything that a run wrote down, read once when it is first asked for.

    Parameters
    ----------
    folder : of the run.
    home : the state folder whose releases it runs.
    facts : from its `stack.json`.
    """

    folder: Path
    home: Path
    facts: RunFacts

    @cached_property
    def day(self) -> TradedDay:
        """What the service's journal says."""
        return TradedDay.of(self.journal)

    @cached_property
    def journal(self) -> tuple[JournalRow, ...]:
        """The service's journal, row by row."""
        return tuple(journal_rows(self.account_folder))

    @cached_property
    def span_ns(self) -> tuple[int, int]:
        """Closes of the run's first and last bar, known without reading what lies between.

        Raises
        ------
        MissingData : no bar has closed yet.
        """
        found = journal_bars(self.account_folder)
        if found is None:
            raise self._no_bar()
        last = last_decision(self.folder / "decisions.jsonl")
        return found[0], found[1] if last is None else max(found[1], last.bar_close_ns)

    @property
    def run_bars(self) -> int:
        """How many bars the whole run has."""
        first, last = self.span_ns
        return (last - first) // self.facts.interval.ns + 1

    @cached_property
    def decisions(self) -> Mapping[int, DecidedBar]:
        """What the coordinator decided, by close of the bar."""
        return read_decisions(self.folder / "decisions.jsonl")

    @cached_property
    def latency_traces(self) -> tuple[LatencyTrace, ...]:
        """When each order passed where."""
        return read_latency_traces(self.account_folder / "hops")

    @cached_property
    def exchange(self) -> ExchangeBooks | None:
        """The exchange's own books at the end of the run; None while it runs, and where it went on since."""
        path = self.folder / EXCHANGE_FILE
        books = ExchangeBooks.of(read_json(path), account=self.facts.exchange_account) if path.is_file() else None
        return None if books is None or books.now_ns < self.day.last_ns else books

    @cached_property
    def release(self) -> LoadedRelease:
        """The release that traded, verified and loaded from its own bytes."""
        from sapphire.agents.release import load_release

        return load_release(self.home / "releases" / self.facts.release, expected_digest=self.facts.release)

    @property
    def account_folder(self) -> Path:
        """The service's own folder."""
        return self.folder / "account"

    @property
    def start_ns(self) -> int:
        """Where market and account began."""
        if self.facts.start_ns is not None:
            return self.facts.start_ns
        return self.closes_ns[0] - self.facts.interval.ns

    @property
    def states(self) -> tuple[AccountAt, ...]:
        """The account at each close, in order."""
        return self.day.states

    @cached_property
    def closes_ns(self) -> tuple[int, ...]:
        """Closes of the run's bars: every one from the first that the service saw to the last that any part knew.

        Raises
        ------
        MissingData : no bar has closed yet.
        """
        if not self.states:
            raise self._no_bar()
        closes = [state.bar_close_ns for state in self.states]
        last = max(*closes, *self.decisions) if self.decisions else max(closes)
        return tuple(range(min(closes), last + 1, self.facts.interval.ns))

    def _no_bar(self) -> MissingData:
        return MissingData(
            f"no bar has closed in {self.folder}",
            expected="at least one",
            got="none",
            next="sapphire status says how far it is",
        )

    @cached_property
    def listings(self) -> Mapping[str, Mapping[str, Any]]:
        """The venue's rules by symbol, as the service traded under."""
        return {str(listing["symbol"]): listing for listing in self.day.config["instruments"]}

    @cached_property
    def instruments(self) -> Universe:
        """The universe as the coordinator sized with it.

        Raises
        ------
        DataError : steps other than those that the service traded in: a target would mean another quantity.
        """
        settings = read_json(self.folder / COORDINATOR_FILE)
        made = Universe(_instrument(row) for row in settings["instruments"])
        for instrument in made:
            listing = self.listings[instrument.symbol]
            steps = int(listing["tick_atoms"]), int(listing["lot_atoms"])
            if steps != (instrument.tick_atoms, instrument.lot_atoms):
                raise DataError(
                    f"{instrument.symbol} was sized and traded in different steps",
                    expected=f"tick and lot of {steps} atoms, as the service traded",
                    got=f"{(instrument.tick_atoms, instrument.lot_atoms)} in {COORDINATOR_FILE}",
                    next="start the stack with the venue's own rules",
                )
        return made

    @cached_property
    def marks(self) -> Marks:
        """Closes to value positions by, up to the run's last bar."""
        ticks = {symbol: int(listing["tick_atoms"]) for symbol, listing in self.listings.items()}
        rows = len(self.closes_ns) + 1
        return self.facts.market.marks(
            self.facts.symbols, self.facts.interval, ticks, rows=rows, until_ns=self.closes_ns[-1]
        )

    def equity_atoms(self, state: AccountAt) -> int:
        """Cash and positions at a close, quote atoms."""
        positions = state.positions.items()
        return state.cash_quote_atoms + sum(
            self.marks.value_atoms(symbol, holding.atoms, state.bar_close_ns) for symbol, holding in positions
        )

    @property
    def adjusted_later(self) -> tuple[Adjustment, ...]:
        """Balances that changed without a fill once orders were sent."""
        return self.day.adjusted_later

    @property
    def fees(self) -> FeesPaid:
        """What the fills paid; a fee in a third asset counts at that asset's last close before its fill."""
        fills = (
            Fee(each.symbol, each.fee_asset, each.fee_atoms, each.ticks, each.market_ns) for each in self.day.fills
        )
        return fees_paid(fills, self.instruments, price_at=self._price_at)

    def _price_at(self, asset: str, market_ns: int) -> int | None:
        symbol = f"{asset}/{self.day.config['quote']}"
        if symbol not in self.marks.ticks:
            return None
        try:
            return self.marks.value_atoms(symbol, ATOMS_PER_UNIT, market_ns)
        except MissingData:  # no close of it yet
            return None

    @property
    def plan(self) -> EvidencePlan:
        """What the run was made of, to be made again by the engine's replay."""
        config = self.day.config
        quote = str(config["quote"])
        assets = {quote, *(symbol.split("/")[0] for symbol in self.facts.symbols)}
        began = {asset: atoms for asset, atoms in self.day.began_with.items() if asset in assets and atoms}
        return EvidencePlan(
            market=self.facts.market,
            interval=self.facts.interval,
            instruments=self.instruments,
            listings=self.listings,
            closes_ns=self.closes_ns,
            start_ns=self.start_ns,
            deposits_atoms=began,
            fee_e8=int(config["fee_rate"]),
            latency_ns=self.facts.latency_ns,
            limits=_limits(_numbers(config["limits"]), self.release.manifest.limits),
            execution=_numbers({key: value for key, value in config["execution"].items() if key != "style"}),
            heard={close_ns: of.heard for close_ns, of in self.decisions.items() if of.heard is not None},
        )

    @property
    def title(self) -> str:
        """One line: what ran, on what, and when in market time."""
        first, last = self.closes_ns[0] - self.facts.interval.ns, self.closes_ns[-1]
        return (
            f"{self.facts.label} on {self.facts.stage}, {', '.join(self.facts.symbols)}, {len(self.closes_ns):,} bars "
            f"of {self.facts.interval} from {stamp(first)} to {stamp(last)}, {self.facts.market.label}"
        )


def read_run(folder: Path, home: Path) -> TradedRun:
    """The run in `folder`.

    Parameters
    ----------
    folder : of the run, with `stack.json`.
    home : the state folder whose releases it runs.

    Raises
    ------
    MissingData : no run there.
    DataError : a `stack.json` that this version does not read.
    """
    path = folder / STACK_FILE
    if not path.is_file():
        raise MissingData(
            f"no run in {folder}",
            expected=str(path),
            got="no such file",
            next="sapphire up starts one, sapphire demo makes one",
        )
    content = read_json(path)
    try:
        facts = RunFacts.of(content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"{path} is not what this version of Sapphire reads",
            expected="release, market, symbols, interval, latency_ms and clock",
            got=f"{type(error).__name__}: {error}",
            next="start the stack again",
        ) from error
    return TradedRun(folder, home, facts)


def read_json(path: Path) -> dict[str, Any]:
    """The one object of a file of a run.

    Raises
    ------
    MissingData, DataError : no such file, or another shape.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MissingData(f"{path.name} is missing", expected=str(path), got="no such file") from None
    except ValueError as error:
        raise DataError(f"{path} is not JSON", expected="one JSON object", got=str(error)) from error
    if not isinstance(content, dict):
        raise DataError(f"{path} is not JSON of the right shape", expected="one object", got=type(content).__name__)
    return content


def _instrument(row: Mapping[str, Any]) -> Instrument:
    base, quote = str(row["symbol"]).split("/")
    tick, lot, least = (Decimal(row[name]) for name in ("tick", "lot", "min_notional"))
    return Instrument(row["symbol"], base, quote, InstrumentKind.SPOT, tick, lot, least)


def _numbers(content: Mapping[str, Any]) -> dict[str, Any]:
    """The engine's numbers as numbers: those of money and time come as text."""

    def number(value: Any) -> Any:
        if isinstance(value, Mapping):
            return _numbers(value)
        return int(value) if isinstance(value, str) else value

    return {name: number(value) for name, value in content.items()}


def _limits(account: Mapping[str, Any], release: Mapping[str, Any]) -> dict[str, Any]:
    """The gate's numbers with the release's own, which can only tighten."""
    strategy = dict(account.get("strategy", {}))
    for name, value in release.items():
        known = strategy.get(name)
        strategy[name] = value if known is None else min(int(known), int(value))
    return {**account, "strategy": strategy}
