"""Fills of a bar as lines: a storm of them is one message."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from sapphire.domain.order_messages import OrderExecutionMessage
from sapphire.stack.account.showing import money, price
from sapphire.stack.rules import Rules, plain

__all__ = ["add_fees", "add_fill", "fees_text", "fill_lines"]


def add_fill(sums: dict[str, Any], execution: OrderExecutionMessage) -> None:
    """Take a fill into the sums of its bar, by side and symbol."""
    if execution.fill is None:
        return
    row = sums.setdefault(
        f"{execution.side} {execution.symbol}", {"fills": 0, "lots": "0", "quote_atoms": "0", "fees": {}, "by": []}
    )
    row["fills"] += 1
    row["lots"] = str(int(row["lots"]) + execution.fill.lots)
    row["quote_atoms"] = str(int(row["quote_atoms"]) + execution.fill.quote_atoms)
    add_fees(row["fees"], execution)
    who = "release" if execution.release is not None else "operator"
    if who not in row["by"]:
        row["by"].append(who)


def add_fees(fees: dict[str, str], execution: OrderExecutionMessage) -> None:
    """Take the fee of a fill into sums by asset."""
    if execution.fill is not None:
        asset = execution.fill.fee_asset
        fees[asset] = str(int(fees.get(asset, "0")) + execution.fill.fee_atoms)


def fill_lines(sums: Mapping[str, Any], rules: Rules) -> Iterator[str]:
    """One line for each side and symbol: quantity, average price, value, fee."""
    for key, row in sums.items():
        side, symbol = key.split(" ", 1)
        base, _, quote = symbol.partition("/")
        quantity = rules.quantity(symbol, row["lots"])
        amount = f"{row['lots']} lots of {symbol}" if quantity is None else f"{quantity} {base}"
        paid = "" if not quantity else f" at {price(_average(row['quote_atoms'], quantity))}"
        count = "" if row["fills"] == 1 else f", {row['fills']:,} fills"
        by = ", by an operator's command" if "operator" in row["by"] else ""
        yield f"{side} {amount}{paid}: {money(row['quote_atoms'])} {quote}{count}, fee {fees_text(row['fees'])}{by}"


def fees_text(fees: Mapping[str, str]) -> str:
    """Fees by asset."""
    return ", ".join(f"{plain(atoms)} {asset}" for asset, atoms in sorted(fees.items())) or "none"


def _average(quote_atoms: str, quantity: str) -> int:
    return int(Decimal(quote_atoms) / Decimal(quantity))
