"""The traded day: what the service's journal says happened, as values.

In: rows of `service journal export`, one mapping each, numbers of money as text.  Out: a `TradedDay`.
Never: guesses a field that is not there, or passes over a kind of row that it does not know.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sapphire.domain.errors import DataError
from sapphire.monitoring.reading.happened import (
    AccountAt,
    Adjustment,
    DeniedOrder,
    Holding,
    ReleaseTraded,
    SentOrder,
    TakenSignal,
    TargetEnd,
    TradedFill,
    TradingChange,
    VenueReport,
)

__all__ = ["JournalRow", "TradedDay"]

_NOTHING_TRADED = ("verdict", "not_holdable")
"""Kinds that change nothing of a day: verdicts on releases, and balances that no engine holds."""

JournalRow = Mapping[str, Any]
"""One row of `service journal export`."""


@dataclass(frozen=True, slots=True)
class TradedDay:
    """Everything of one run, in the order of the journal.

    Parameters
    ----------
    config : what the engine was made of, as the journal's first row says.
    epochs : of every start of the service, in order.
    releases : digest to name.
    ended_bars : closes of the bars whose end marker was taken.
    steps : events of the run.
    digest : of all decisions.
    holdings : atoms by asset at the end of the run, as the engine has them; none where the journal did not say.
    traded : which release was traded from when on, oldest first; empty for a journal of before it was written.
    """

    config: Mapping[str, Any] = field(hash=False)
    epochs: tuple[int, ...]
    releases: Mapping[str, str] = field(hash=False)
    signals: tuple[TakenSignal, ...]
    ended_bars: tuple[int, ...]
    orders: tuple[SentOrder, ...]
    denials: tuple[DeniedOrder, ...]
    reports: tuple[VenueReport, ...]
    fills: tuple[TradedFill, ...]
    targets: tuple[TargetEnd, ...]
    states: tuple[AccountAt, ...]
    adjustments: tuple[Adjustment, ...]
    trading: tuple[TradingChange, ...]
    steps: int
    digest: str
    holdings: Mapping[str, int] = field(hash=False, default_factory=dict)
    traded: tuple[ReleaseTraded, ...] = ()

    @classmethod
    def of(cls, rows: Iterable[JournalRow]) -> TradedDay:
        """The day that the rows tell. Of several runs in one journal the last is the day.

        Raises
        ------
        DataError : a kind of row that is not known, a field that is missing or bad, or no run at all.
        """
        reading = _Reading()
        for number, row in enumerate(rows, start=1):
            try:
                reading.take(row)
            except (KeyError, TypeError, ValueError) as error:
                raise DataError(
                    f"row {number:,} of the journal's export cannot be read",
                    expected="the fields of its kind, whole numbers as text",
                    got=f"{type(error).__name__} {error} in {row!r}"[:300],
                    next="service and sapphire must be of one build: make engine",
                ) from error
        return reading.day()

    @property
    def refused_for(self) -> dict[str, int]:
        """Signals that were not taken, by reason."""
        return dict(Counter(signal.refused for signal in self.signals if signal.refused is not None))

    @property
    def denied_for(self) -> dict[str, int]:
        """Orders that the gate refused, by code."""
        return dict(Counter(denial.code for denial in self.denials))

    @property
    def began_with(self) -> dict[str, int]:
        """What the account held before anything was ordered, atoms by asset: what the first snapshots brought."""
        first = min((order.step for order in self.orders), default=self.steps + 1)
        holdings: dict[str, int] = {}
        for adjustment in self.adjustments:
            if adjustment.step < first:
                holdings[adjustment.asset] = holdings.get(adjustment.asset, 0) + adjustment.atoms
        return holdings

    @property
    def adjusted_later(self) -> tuple[Adjustment, ...]:
        """Balances that changed without a fill once orders were sent; none in a sound day."""
        first = min((order.step for order in self.orders), default=self.steps + 1)
        return tuple(adjustment for adjustment in self.adjustments if adjustment.step >= first)

    @property
    def last_ns(self) -> int:
        """Market time of the last thing that happened to an order or a balance; 0 where nothing did."""
        kinds = (self.orders, self.reports, self.fills, self.adjustments)
        return max((event.market_ns for events in kinds for event in events), default=0)

    def final_holdings(self) -> dict[str, int]:
        """Atoms by asset after the last event: what it began with, and every fill, fee and adjustment."""
        quote = str(self.config["quote"])
        holdings: dict[str, int] = {}

        def add(asset: str, atoms: int) -> None:
            holdings[asset] = holdings.get(asset, 0) + atoms

        for adjustment in self.adjustments:
            add(adjustment.asset, adjustment.atoms)
        lot_atoms = {listing["symbol"]: int(listing["lot_atoms"]) for listing in self.config["instruments"]}
        for fill in self.fills:
            add(fill.symbol.split("/")[0], fill.sign * fill.lots * lot_atoms[fill.symbol])
            add(quote, -fill.sign * fill.quote_atoms)
            add(fill.fee_asset, -fill.fee_atoms)
        return holdings


class _Reading:
    """The day so far."""

    def __init__(self) -> None:
        self._traded: list[ReleaseTraded] = []
        self._start: tuple[str, int] | None = None
        self._begin({})
        self._seen = False

    def _begin(self, config: Mapping[str, Any]) -> None:
        self._seen = True
        self._config = config
        self._epochs: list[int] = []
        self._releases: dict[str, str] = {}
        self._signals: list[TakenSignal] = []
        self._ended: list[int] = []
        self._orders: list[SentOrder] = []
        self._denials: list[DeniedOrder] = []
        self._reports: list[VenueReport] = []
        self._fills: list[TradedFill] = []
        self._targets: list[TargetEnd] = []
        self._states: list[AccountAt] = []
        self._adjustments: list[Adjustment] = []
        self._trading: list[TradingChange] = []
        self._steps, self._digest = 0, ""
        self._holdings: dict[str, int] = {}

    def take(self, row: JournalRow) -> None:
        """One row."""
        kind = row["kind"]
        if kind == "run":
            self._begin(row["config"])
        elif kind == "start":
            self._start = None if row["release"] is None else (str(row["release"]), int(row["wall_ns"]))
        elif kind == "epoch":
            self._epochs.append(int(row["epoch"]))
            self._trade(int(row["market_ns"]))
        elif kind == "release":
            self._releases[str(row["digest"])] = str(row["name"])
        elif kind == "end_of_bar":
            self._ended.append(int(row["bar_close_ns"]))
        elif kind == "state":
            self._states.append(_state(row))
        elif kind == "end":
            self._steps, self._digest = int(row["steps"]), str(row["digest"])
            self._holdings = {str(asset): int(atoms) for asset, atoms in row.get("holdings", {}).items()}
        elif kind not in _NOTHING_TRADED:
            self._take_step(kind, row)

    def _trade(self, market_ns: int) -> None:
        """A service has begun to trade; over several runs it is said once for each release in turn."""
        start, self._start = self._start, None
        if start is not None and (not self._traded or self._traded[-1].release != start[0]):
            self._traded.append(ReleaseTraded(start[0], market_ns, start[1]))

    def _take_step(self, kind: str, row: JournalRow) -> None:
        """A row that stands at a step and a market time."""
        at = (int(row["step"]), int(row["market_ns"]))
        if kind == "signal":
            self._signals.append(_signal(at, row))
        elif kind == "order":
            self._orders.append(_order(at, row))
        elif kind == "denied":
            self._denials.append(_denied(at, row))
        elif kind == "report":
            known = ("kind", "step", "market_ns", "order", "report")
            detail = {key: value for key, value in row.items() if key not in known and value is not None}
            self._reports.append(VenueReport(*at, str(row["order"]), str(row["report"]), detail))
        elif kind == "fill":
            self._fills.append(_fill(at, row))
        elif kind == "target":
            end = row["outcome"] if row["cause"] is None else row["cause"]
            self._targets.append(TargetEnd(*at, str(row["symbol"]), int(row["bar_close_ns"]), str(end)))
        elif kind == "adjusted":
            self._adjustments.append(Adjustment(*at, str(row["asset"]), int(row["atoms"])))
        elif kind == "trading":
            self._trading.append(TradingChange(*at, str(row["state"]), str(row["cause"])))
        else:
            raise ValueError(f"unknown kind {kind!r}")

    def day(self) -> TradedDay:
        """The whole day."""
        if not self._config:
            raise DataError(
                "the journal holds no run",
                expected="a row of kind run before all others",
                got="none",
                next="see whether the service ever started: its log is in the run's logs folder",
            )
        return TradedDay(
            config=self._config,
            epochs=tuple(self._epochs),
            releases=self._releases,
            signals=tuple(self._signals),
            ended_bars=tuple(self._ended),
            orders=tuple(self._orders),
            denials=tuple(self._denials),
            reports=tuple(self._reports),
            fills=tuple(self._fills),
            targets=tuple(self._targets),
            states=tuple(self._states),
            adjustments=tuple(self._adjustments),
            trading=tuple(self._trading),
            steps=self._steps,
            digest=self._digest,
            holdings=self._holdings,
            traded=tuple(self._traded),
        )


def _state(row: JournalRow) -> AccountAt:
    positions = {symbol: Holding(int(each["atoms"]), int(each["lots"])) for symbol, each in row["positions"].items()}
    return AccountAt(int(row["bar_close_ns"]), int(row["cash_quote_atoms"]), positions)


def _signal(at: tuple[int, int], row: JournalRow) -> TakenSignal:
    return TakenSignal(
        *at,
        entry=str(row["entry"]),
        release=str(row["release"]),
        symbol=str(row["symbol"]),
        target_lots=int(row["target_lots"]),
        bar_close_ns=int(row["bar_close_ns"]),
        refused=None if row["refused"] is None else str(row["refused"]),
    )


def _order(at: tuple[int, int], row: JournalRow) -> SentOrder:
    return SentOrder(
        *at,
        order=str(row["order"]),
        release=str(row["release"] or ""),
        symbol=str(row["symbol"]),
        side=str(row["side"]),
        ticks=int(row["ticks"]),
        lots=int(row["lots"]),
        time_in_force=str(row["time_in_force"]),
        bar_close_ns=int(row["bar_close_ns"]),
    )


def _denied(at: tuple[int, int], row: JournalRow) -> DeniedOrder:
    return DeniedOrder(
        *at,
        order=str(row["order"]),
        symbol=str(row["symbol"]),
        side=str(row["side"]),
        lots=int(row["lots"]),
        bar_close_ns=int(row["bar_close_ns"]),
        code=str(row["code"]),
        level=str(row["level"]),
        value=int(row["value"]),
        limit=int(row["limit"]),
    )


def _fill(at: tuple[int, int], row: JournalRow) -> TradedFill:
    return TradedFill(
        *at,
        order=str(row["order"]),
        symbol=str(row["symbol"]),
        side=str(row["side"]),
        trade=int(row["trade"]),
        ticks=int(row["ticks"]),
        lots=int(row["lots"]),
        quote_atoms=int(row["quote_atoms"]),
        fee_asset=str(row["fee_asset"]),
        fee_atoms=int(row["fee_atoms"]),
    )
