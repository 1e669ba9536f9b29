"""A round trip by an unmodified ccxt: buy at market, sell at a limit through the book, and count the money."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sapphire.domain.errors import ExchangeError
from sapphire.execution import Exchange
from sapphire.lab.demo.market import STUDY_START, SYMBOLS, DemoMarket

__all__ = ["RoundTrip", "trade_by_ccxt"]


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """What ccxt did on the exchange.

    Parameters
    ----------
    balances_agree : whether the fills, fee by fee, explain the change of every balance to the last digit.
    """

    orders: int
    fills: int
    balances_agree: bool


def trade_by_ccxt(market: DemoMarket) -> RoundTrip:
    """Start an exchange on the market, trade on it, end it.

    Raises
    ------
    ExchangeError : nothing traded.
    """
    import ccxt

    start = None if market.candles else STUDY_START
    with Exchange(symbols=SYMBOLS, seed=market.seed, speed=60.0, start=start, candles=market.candles) as exchange:
        client = ccxt.binance(exchange.address.ccxt_config())
        before = _holdings(client)
        bought = client.create_order("BTC/USDT", "market", "buy", 0.1)
        worst = client.price_to_precision("BTC/USDT", client.fetch_ticker("BTC/USDT")["bid"] * 0.99)
        held = _holdings(client)["BTC"] - before.get("BTC", Decimal(0))
        sold = client.create_order("BTC/USDT", "limit", "sell", client.amount_to_precision("BTC/USDT", held), worst)
        fills = client.fetch_my_trades("BTC/USDT")
        after = _holdings(client)
    return RoundTrip(2, len(fills), _agree(before, after, fills) and {bought["status"], sold["status"]} == {"closed"})


def _holdings(client: Any) -> dict[str, Decimal]:
    """Free and locked together, exact, from the venue's own text."""
    balances = client.fetch_balance()["info"]["balances"]
    return {row["asset"]: Decimal(row["free"]) + Decimal(row["locked"]) for row in balances}


def _agree(before: dict[str, Decimal], after: dict[str, Decimal], fills: list[dict[str, Any]]) -> bool:
    """Whether the fills explain the change of every balance."""
    changes: dict[str, Decimal] = {}
    for fill in (fill["info"] for fill in fills):
        sign = 1 if fill["isBuyer"] else -1
        for asset, amount in (
            ("BTC", sign * Decimal(fill["qty"])),
            ("USDT", -sign * Decimal(fill["quoteQty"])),
            (fill["commissionAsset"], -Decimal(fill["commission"])),
        ):
            changes[asset] = changes.get(asset, Decimal(0)) + amount
    if not fills:
        raise ExchangeError("the demo's orders did not trade", expected="fills of BTC/USDT", got="none")
    return all(after.get(asset, 0) - before.get(asset, 0) == change for asset, change in changes.items())
