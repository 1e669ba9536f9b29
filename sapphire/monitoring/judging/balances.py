"""Reconciliation: the service's books against the exchange's own, to the last digit, and identities both ways.

The service folded its journal; the exchange kept its own. What one has and the other has not is lost or doubled, and is
named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sapphire.monitoring.reading.exchange_books import ExchangeBooks, ExchangeFill
from sapphire.monitoring.reading.happened import TradedFill, VenueReport
from sapphire.monitoring.reading.trading_day import TradedDay

__all__ = ["Balance", "Reconciliation", "reconcile"]


@dataclass(frozen=True, slots=True)
class Balance:
    """One asset, atoms of 1e-8."""

    asset: str
    service_atoms: int
    exchange_atoms: int

    @property
    def is_equal(self) -> bool:
        """Whether the two are the same to the last digit."""
        return self.service_atoms == self.exchange_atoms


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What each side has.

    Parameters
    ----------
    balances : by asset, in alphabetical order.
    orders, fills : how many the service counted.
    lost : what only one side has: orders of ours that the exchange does not know and nobody refused, orders that it
        has of us and we have not, fills likewise.
    doubled : orders that the exchange has twice under one id or that filled beyond what was asked, and fills that were
        counted twice.
    changed : fills that both have with other numbers.
    """

    balances: tuple[Balance, ...]
    orders: int
    fills: int
    lost: tuple[str, ...]
    doubled: tuple[str, ...]
    changed: tuple[str, ...]

    @property
    def balances_equal(self) -> bool:
        """Whether every balance is."""
        return all(balance.is_equal for balance in self.balances)

    @property
    def is_sound(self) -> bool:
        """Whether nothing is lost, doubled or changed, and every balance is equal."""
        return self.balances_equal and not (self.lost or self.doubled or self.changed)


def reconcile(day: TradedDay, books: ExchangeBooks, *, holdings: Mapping[str, int] | None = None) -> Reconciliation:
    """Compare the service's day with the exchange's books of the same moment.

    Parameters
    ----------
    holdings : what the engine holds at the end of the run, atoms by asset; only these assets are compared. What the
        day's own rows come to unless given, which is what is held where the day is a whole run.
    """
    ours = day.final_holdings() if holdings is None else dict(holdings)
    known = {*(asset for asset, atoms in ours.items() if atoms), *books.balances}
    assets = sorted(known if holdings is None else set(holdings))
    balances = tuple(Balance(asset, ours.get(asset, 0), books.balances.get(asset, 0)) for asset in assets)
    pairs = {symbol.replace("/", ""): symbol for symbol in (each["symbol"] for each in day.config["instruments"])}
    lost_orders, doubled_orders = _orders(day, books)
    lost_fills, doubled_fills, changed = _fills(day.fills, books.fills, pairs)
    return Reconciliation(
        balances=balances,
        orders=len(day.orders),
        fills=len(day.fills),
        lost=(*lost_orders, *lost_fills),
        doubled=(*doubled_orders, *doubled_fills),
        changed=changed,
    )


def _orders(day: TradedDay, books: ExchangeBooks) -> tuple[list[str], list[str]]:
    """Orders that one side lacks, and those that are there twice or filled beyond their quantity."""
    sent = Counter(order.order for order in day.orders)
    there = Counter(order.client_order_id for order in books.orders)
    never_came = {report.order for report in day.reports if _says_that_it_never_came(report)}
    lost = [
        f"order {order}: sent, the exchange does not know it"
        for order in sent
        if order not in there and order not in never_came
    ]
    lost += [f"order {order}: at the exchange, not in the journal" for order in there if order not in sent]
    doubled = [f"order {order}: {count} times at the exchange" for order, count in there.items() if count > 1]
    doubled += [f"order {order}: {count} times in the journal" for order, count in sent.items() if count > 1]
    wanted = {order.order: order.lots for order in day.orders}
    filled: Counter[str] = Counter()
    for order in books.orders:
        filled[order.client_order_id] += order.executed_lots
    doubled += [
        f"order {order}: {lots:,} lots filled of {wanted[order]:,}"
        for order, lots in filled.items()
        if lots > wanted.get(order, lots)
    ]
    return lost, doubled


def _says_that_it_never_came(report: VenueReport) -> bool:
    """Whether the venue refused the order, or says for good that it does not know it."""
    return report.kind == "REJECTED" or (report.kind == "NOT_FOUND" and report.detail.get("conclusive") is True)


def _fills(
    ours: Iterable[TradedFill], theirs: Iterable[ExchangeFill], pairs: Mapping[str, str]
) -> tuple[list[str], list[str], tuple[str, ...]]:
    """Fills that one side lacks, has twice, or has with other numbers; a trade's id is one of its symbol."""
    counted = Counter((fill.symbol, fill.trade) for fill in ours)
    booked = {(pairs.get(fill.symbol, fill.symbol), fill.trade): fill for fill in theirs}
    lost = [
        f"fill {trade} of {symbol}: at the exchange, not counted"
        for symbol, trade in booked
        if (symbol, trade) not in counted
    ]
    lost += [
        f"fill {trade} of {symbol}: counted, not at the exchange"
        for symbol, trade in counted
        if (symbol, trade) not in booked
    ]
    doubled = [
        f"fill {trade} of {symbol}: counted {count} times" for (symbol, trade), count in counted.items() if count > 1
    ]
    changed = []
    for fill in ours:
        other = booked.get((fill.symbol, fill.trade))
        if other is not None and _numbers(fill) != _numbers(other):
            changed.append(f"fill {fill.trade} of {fill.symbol}: {_numbers(fill)} against {_numbers(other)}")
    return lost, doubled, tuple(changed)


def _numbers(fill: TradedFill | ExchangeFill) -> tuple[str, int, int, int, int]:
    """Side, price in ticks, lots, quote and fee in atoms."""
    return fill.side, fill.ticks, fill.lots, fill.quote_atoms, fill.fee_atoms
