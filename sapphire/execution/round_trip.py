"""A paper order's round trip: shows that an exchange takes, holds, cancels and fills orders rightly.

Asked as any client asks, by ccxt: one limit order rests and is cancelled, one market order buys and another sells what
arrived. Every fill and fee then explains the balances to the last digit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_UP, Decimal
from typing import TYPE_CHECKING, Any

from sapphire.domain.errors import ExchangeError, UnknownInstrument
from sapphire.execution.ccxt_settings import ccxt_config

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["RoundTrip", "round_trip"]

_FAR = Decimal("0.9")
"""Of the best bid: a buy there rests."""
_OVER = Decimal("2")
"""Times the smallest order's notional: what remains after the fee can be sold again."""


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """What was done and seen.

    Parameters
    ----------
    symbol : "BTC/USDT".
    rested : id of the order that rested and was cancelled.
    bought, sold : ids of the orders that were filled.
    fills : how many fills they had.
    cost : what the trip cost in the quote asset: spread and fees.
    """

    symbol: str
    rested: str
    bought: str
    sold: str
    fills: int
    cost: Decimal

    def as_dict(self) -> dict[str, Any]:
        """Stable keys."""
        return {
            "symbol": self.symbol,
            "rested": self.rested,
            "bought": self.bought,
            "sold": self.sold,
            "fills": self.fills,
            "cost": format(self.cost, "f"),
        }


def round_trip(url: str, symbol: str, *, api_key: str, api_secret: str) -> RoundTrip:
    """Place, see and cancel an order, then buy and sell again.

    Parameters
    ----------
    url : of the exchange's REST API.
    symbol : of the spot market.
    api_key, api_secret : of an account that nobody else trades meanwhile, with some of the quote asset.

    Raises
    ------
    UnknownInstrument : it is not traded there.
    ExchangeError : the exchange is not reached, refuses, or balances are other than fills and fees explain.
    """
    import ccxt

    client = ccxt.binance(ccxt_config(url, url.replace("http", "ws", 1), api_key, api_secret))
    with _told(url):
        if symbol not in client.load_markets():
            raise UnknownInstrument(
                f"{symbol} is not traded at {url}", expected="one of " + ", ".join(client.symbols), got=symbol
            )
        market = client.market(symbol)
        before = _balances(client, market)
        best = Decimal(str(client.fetch_order_book(symbol, 5)["bids"][0][0]))
        amount = _amount(market, best * _FAR)
        rested = _rest_and_cancel(client, symbol, amount, best * _FAR)
        _agree("a cancelled order leaves the balances", before, _balances(client, market))
        bought = client.create_order(symbol, "market", "buy", float(amount))["id"]
        arrived = _balances(client, market)[market["base"]] - before[market["base"]]
        sold = client.create_order(symbol, "market", "sell", float(_whole(arrived, market, ROUND_DOWN)))["id"]
        fills = [fill["info"] for fill in client.fetch_my_trades(symbol) if fill["order"] in (bought, sold)]
        after = _balances(client, market)
        _agree("fills and fees explain the balances", _explained(before, fills, market), after)
    return RoundTrip(symbol, rested, bought, sold, len(fills), before[market["quote"]] - after[market["quote"]])


def _rest_and_cancel(client: Any, symbol: str, amount: Decimal, price: Decimal) -> str:
    """Place a buy far below the market, see it rest, cancel it, see it gone; its id."""
    order = str(
        client.create_order(symbol, "limit", "buy", float(amount), client.price_to_precision(symbol, price))["id"]
    )
    _agree("an order below the market rests", "open", client.fetch_order(order, symbol)["status"])
    _agree("and is among the open orders", True, order in [each["id"] for each in client.fetch_open_orders(symbol)])
    client.cancel_order(order, symbol)
    _agree("a cancelled order is cancelled", "canceled", client.fetch_order(order, symbol)["status"])
    return order


def _amount(market: Mapping[str, Any], price: Decimal) -> Decimal:
    least = Decimal(str(market["limits"]["cost"]["min"] or 1))
    return _whole(least * _OVER / price, market, ROUND_UP)


def _whole(amount: Decimal, market: Mapping[str, Any], rounding: str) -> Decimal:
    """In whole lots."""
    lot = Decimal(str(market["precision"]["amount"]))
    return (amount / lot).quantize(Decimal(1), rounding=rounding) * lot


def _balances(client: Any, market: Mapping[str, Any]) -> dict[str, Decimal]:
    """Free and locked of both assets, as the exchange writes them."""
    rows = {row["asset"]: row for row in client.fetch_balance()["info"]["balances"]}
    return {
        asset: sum((Decimal(rows[asset][part]) for part in ("free", "locked")), Decimal(0))
        if asset in rows
        else Decimal(0)
        for asset in (market["base"], market["quote"])
    }


def _explained(
    before: Mapping[str, Decimal], fills: Iterable[Mapping[str, Any]], market: Mapping[str, Any]
) -> dict[str, Decimal]:
    """The balances that fills and their fees lead to."""
    base, quote = market["base"], market["quote"]
    after = dict(before)
    for fill in fills:
        sign = 1 if fill["isBuyer"] else -1
        after[base] += sign * Decimal(fill["qty"])
        after[quote] -= sign * Decimal(fill["quoteQty"])
        if fill["commissionAsset"] in after:
            after[fill["commissionAsset"]] -= Decimal(fill["commission"])
    return after


def _agree(what: str, expected: object, got: object) -> None:
    if expected != got:
        raise ExchangeError(f"a round trip went wrong: {what}", expected=str(expected), got=str(got))


@contextmanager
def _told(url: str) -> Iterator[None]:
    """Errors of ccxt as ours."""
    import ccxt

    try:
        yield
    except ccxt.BaseError as error:
        raise ExchangeError(
            f"the exchange at {url} did not do its part of a round trip",
            expected="orders that are taken, cancelled and filled",
            got=f"{type(error).__name__}: {error}",
        ) from error
