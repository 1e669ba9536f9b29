"""A round trip by an unmodified ccxt: buy at market, sell at a limit through the book, and count the money."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sapphire.domain.errors import ExchangeError
from sapphire.execution import Exchange
from sapphire.lab.demo.market import DemoMarket

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
    """Start an exchange on the market, trade its first symbol, end it.

    Raises
    ------
    ExchangeError : nothing traded.
    """
    import ccxt

    symbol, base = market.symbols[0], market.symbols[0].partition("/")[0]
    with Exchange(
        symbols=market.symbols,
        seed=market.seed,
        speed=60.0,
        start=market.windows.start,
        candles=market.candles,
        funds={market.quote: market.cash},
    ) as exchange:
        client = ccxt.binance(exchange.address.ccxt_config())
        before = _holdings(client)
        bought = client.create_order(symbol, "market", "buy", _amount(client, symbol, float(market.cash)))
        worst = client.price_to_precision(symbol, client.fetch_ticker(symbol)["bid"] * 0.99)
        holding = _holdings(client)[base] - before.get(base, Decimal(0))
        sold = client.create_order(symbol, "limit", "sell", client.amount_to_precision(symbol, holding), worst)
        fills = client.fetch_my_trades(symbol)
        after = _holdings(client)
    agree = _agree(before, after, fills, symbol)
    return RoundTrip(2, len(fills), agree and {bought["status"], sold["status"]} == {"closed"})


def _amount(client: Any, symbol: str, cash: float) -> str:
    """A tenth of the account, or of what the book offers where that is less."""
    asks = client.fetch_order_book(symbol)["asks"]
    if not asks:
        raise ExchangeError(f"nobody sells {symbol}", expected="offers in the book", got="none")
    offered = sum(amount for _, amount in asks)
    wanted = min(cash / 10 / asks[0][0], offered / 10)
    return str(client.amount_to_precision(symbol, wanted))


def _holdings(client: Any) -> dict[str, Decimal]:
    """Free and locked together, exact, from the venue's own text."""
    balances = client.fetch_balance()["info"]["balances"]
    return {row["asset"]: Decimal(row["free"]) + Decimal(row["locked"]) for row in balances}


def _agree(before: dict[str, Decimal], after: dict[str, Decimal], fills: list[dict[str, Any]], symbol: str) -> bool:
    """Whether the fills explain the change of every balance."""
    base, _, quote = symbol.partition("/")
    changes: dict[str, Decimal] = {}
    for fill in (fill["info"] for fill in fills):
        sign = 1 if fill["isBuyer"] else -1
        for asset, amount in (
            (base, sign * Decimal(fill["qty"])),
            (quote, -sign * Decimal(fill["quoteQty"])),
            (fill["commissionAsset"], -Decimal(fill["commission"])),
        ):
            changes[asset] = changes.get(asset, Decimal(0)) + amount
    if not fills:
        raise ExchangeError("the demo's orders did not trade", expected=f"fills of {symbol}", got="none")
    return all(after.get(asset, 0) - before.get(asset, 0) == change for asset, change in changes.items())
