"""Every spot call about accounts and orders of the unmodified ccxt over REST, sync and async."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import ccxt
import ccxt.async_support
import pytest

from sapphire.execution import Exchange, ccxt_config

Balances = Callable[[], dict[str, tuple[Decimal, Decimal]]]

SYMBOL = "BTC/USDT"


def test_fetch_balance_is_what_was_paid_in(client: ccxt.binance) -> None:
    balance = client.fetch_balance()
    assert balance["total"]["USDT"] == 1_000_000
    assert balance["free"]["BTC"] == 10
    assert balance["info"]["commissionRates"]["taker"] == "0.00100000"
    assert balance["info"]["permissions"] == ["SPOT"]
    assets = client.private_get_account({"omitZeroBalances": "true"})["balances"]
    assert [row["asset"] for row in assets] == ["BTC", "USDT"]


def far_below(client: ccxt.binance) -> float:
    """A price at which nobody sells."""
    return float(client.price_to_precision(SYMBOL, client.fetch_ticker(SYMBOL)["last"] * 0.5))


def test_a_limit_order_stands_until_it_is_cancelled(client: ccxt.binance, balances: Balances) -> None:
    price = far_below(client)
    order = client.create_order(SYMBOL, "limit", "buy", 0.01, price, {"clientOrderId": "stands-1"})
    assert (order["status"], order["filled"], order["clientOrderId"]) == ("open", 0, "stands-1")
    assert (order["timeInForce"], order["type"], order["side"]) == ("GTC", "limit", "buy")
    cost = Decimal(str(price)) * Decimal("0.01")
    assert balances()["USDT"] == (1_000_000 - cost, cost)

    fetched = client.fetch_order(order["id"], SYMBOL)
    assert (fetched["status"], fetched["price"], fetched["amount"]) == ("open", price, 0.01)
    by_client_id = client.fetch_order(None, SYMBOL, {"origClientOrderId": "stands-1"})
    assert by_client_id["id"] == order["id"]
    assert [row["id"] for row in client.fetch_open_orders(SYMBOL)] == [order["id"]]
    client.options["warnOnFetchOpenOrdersWithoutSymbol"] = False
    assert [row["id"] for row in client.fetch_open_orders()] == [order["id"]]

    cancelled = client.cancel_order(order["id"], SYMBOL)
    assert cancelled["status"] == "canceled"
    assert cancelled["info"]["origClientOrderId"] == "stands-1"
    assert balances()["USDT"] == (1_000_000, 0)
    assert client.fetch_order(order["id"], SYMBOL)["status"] == "canceled"
    assert client.fetch_open_orders(SYMBOL) == []


def test_an_order_is_cancelled_by_its_client_id(client: ccxt.binance) -> None:
    client.create_order(SYMBOL, "limit", "buy", 0.01, far_below(client), {"clientOrderId": "by-name"})
    assert client.cancel_order(None, SYMBOL, {"origClientOrderId": "by-name"})["status"] == "canceled"


def test_cancel_all_orders(client: ccxt.binance) -> None:
    price = far_below(client)
    placed = {client.create_order(SYMBOL, "limit", "buy", 0.01, price + step)["id"] for step in range(3)}
    other = client.create_order("ETH/USDT", "limit", "buy", 0.1, 100)
    cancelled = client.cancel_all_orders(SYMBOL)
    assert {order["id"] for order in cancelled} == placed
    assert {order["status"] for order in cancelled} == {"canceled"}
    assert [order["id"] for order in client.fetch_open_orders("ETH/USDT")] == [other["id"]]


def after_trades(orders: list[Any]) -> dict[str, Decimal]:
    """What these orders' fills made of the funds, to the digit."""
    assets = {"USDT": Decimal(1_000_000), "BTC": Decimal(10)}
    for order in orders:
        sign = 1 if order["side"] == "buy" else -1
        for fill in order["info"]["fills"]:
            quantity, price = Decimal(fill["qty"]), Decimal(fill["price"])
            assets["BTC"] += sign * quantity
            assets["USDT"] -= sign * quantity * price
            assets[fill["commissionAsset"]] -= Decimal(fill["commission"])
    return assets


def check_fees(order: Any) -> None:
    """Each fill's commission is 0.1 % of what was received, cut after eight decimals."""
    for fill in order["info"]["fills"]:
        quantity, price = Decimal(fill["qty"]), Decimal(fill["price"])
        received = quantity if order["side"] == "buy" else quantity * price
        assert Decimal(fill["commission"]) == (received / 1000).quantize(Decimal("0.00000001"), rounding="ROUND_DOWN")
        assert fill["commissionAsset"] == ("BTC" if order["side"] == "buy" else "USDT")


def test_market_orders_by_quantity(client: ccxt.binance, balances: Balances) -> None:
    bought = client.create_order(SYMBOL, "market", "buy", 0.12345)
    sold = client.create_order(SYMBOL, "market", "sell", 0.05)
    for order in (bought, sold):
        assert order["status"] == "closed"
        assert order["filled"] == order["amount"]
        check_fees(order)
    assets = after_trades([bought, sold])
    assert {asset: free for asset, (free, locked) in balances().items() if asset in assets} == assets
    assert bought["fees"][0]["currency"] == "BTC"
    assert sold["fees"][0]["currency"] == "USDT"


def test_market_orders_by_quote_amount(client: ccxt.binance, balances: Balances) -> None:
    bought = client.create_market_buy_order_with_cost(SYMBOL, 1000)
    sold = client.create_market_sell_order_with_cost(SYMBOL, 500)
    for order, cost in ((bought, 1000), (sold, 500)):
        assert order["status"] == "closed"
        assert cost - 1 < order["cost"] <= cost, "as much as whole lots allow"
        assert order["info"]["origQuoteOrderQty"] == f"{cost}.00000000"
        check_fees(order)
    assets = after_trades([bought, sold])
    assert {asset: free for asset, (free, _) in balances().items() if asset in assets} == assets


def test_immediate_or_cancel_takes_what_is_there(client: ccxt.binance) -> None:
    price, volume = client.fetch_order_book(SYMBOL, 5)["asks"][0]
    order = client.create_order(SYMBOL, "limit", "buy", volume + 1, price, {"timeInForce": "IOC"})
    assert order["status"] == "expired"
    assert 0 < order["filled"] < order["amount"]
    assert client.fetch_open_orders(SYMBOL) == []
    check_fees(order)


def test_fill_or_kill_is_all_or_nothing(client: ccxt.binance, balances: Balances) -> None:
    price, volume = client.fetch_order_book(SYMBOL, 5)["asks"][0]
    client.fetch_balance()
    too_large = client.create_order(SYMBOL, "limit", "buy", volume + 1, price, {"timeInForce": "FOK"})
    assert (too_large["status"], too_large["filled"]) == ("expired", 0)
    assert balances()["USDT"] == (1_000_000, 0)
    whole = client.create_order(SYMBOL, "limit", "buy", 0.01, round(price * 1.01, 2), {"timeInForce": "FOK"})
    assert (whole["status"], whole["filled"]) == ("closed", 0.01)
    assert whole["average"] <= price * 1.01


def test_post_only_stands_or_is_refused(client: ccxt.binance) -> None:
    order = client.create_order(SYMBOL, "limit", "buy", 0.01, far_below(client), {"postOnly": True})
    fetched = client.fetch_order(order["id"], SYMBOL)
    assert (fetched["status"], fetched["info"]["type"], fetched["postOnly"]) == ("open", "LIMIT_MAKER", True)
    above = round(client.fetch_ticker(SYMBOL)["ask"] * 1.05, 2)
    with pytest.raises(ccxt.OrderImmediatelyFillable, match="immediately match and take"):
        client.create_order(SYMBOL, "limit", "buy", 0.01, above, {"postOnly": True})


def test_a_market_order_with_a_price_is_ccxts_quote_amount(client: ccxt.binance) -> None:
    order = client.create_order(SYMBOL, "market", "buy", 0.01, 50_000)
    assert order["info"]["origQuoteOrderQty"] == "500.00000000"


def test_order_history(client: ccxt.binance) -> None:
    price = far_below(client)
    stands = client.create_order(SYMBOL, "limit", "buy", 0.01, price)
    gone = client.create_order(SYMBOL, "limit", "buy", 0.01, price)
    client.cancel_order(gone["id"], SYMBOL)
    filled = client.create_order(SYMBOL, "market", "buy", 0.01)
    history = client.fetch_orders(SYMBOL)
    assert [(order["id"], order["status"]) for order in history] == [
        (stands["id"], "open"),
        (gone["id"], "canceled"),
        (filled["id"], "closed"),
    ]
    assert [order["id"] for order in client.fetch_closed_orders(SYMBOL)] == [filled["id"]]
    assert [order["id"] for order in client.fetch_canceled_orders(SYMBOL)] == [gone["id"]]
    assert [order["id"] for order in client.fetch_orders(SYMBOL, limit=1, params={"orderId": gone["id"]})] == [
        gone["id"]
    ]
    since = history[0]["timestamp"]
    assert len(client.fetch_orders(SYMBOL, since=since)) == 3
    assert client.fetch_orders(SYMBOL, since=since + 60_000) == []


def test_fetch_my_trades(client: ccxt.binance) -> None:
    first = client.create_order(SYMBOL, "market", "buy", 0.02)
    second = client.create_order(SYMBOL, "market", "sell", 0.01)
    trades = client.fetch_my_trades(SYMBOL)
    fills = [fill for order in (first, second) for fill in order["info"]["fills"]]
    assert [trade["id"] for trade in trades] == [str(fill["tradeId"]) for fill in fills]
    for trade, fill in zip(trades, fills, strict=True):
        assert trade["info"]["commission"] == fill["commission"]
        assert trade["fee"]["currency"] == fill["commissionAsset"]
        assert trade["takerOrMaker"] == "taker"
    assert {trade["order"] for trade in client.fetch_order_trades(first["id"], SYMBOL)} == {first["id"]}
    later = client.fetch_my_trades(SYMBOL, params={"fromId": trades[-1]["id"]})
    assert [trade["id"] for trade in later] == [trades[-1]["id"]]
    assert len(client.fetch_my_trades(SYMBOL, since=trades[0]["timestamp"] - 1000)) == len(trades)


def test_a_fill_as_maker_pays_the_makers_fee(stepped: Exchange) -> None:
    """An order rests at the best ask until the market has risen through it."""
    address, control = stepped.address, stepped.control
    makers = control.add_account("makers", {"BTC": "1"}, maker="0.0002")
    maker = ccxt.binance(ccxt_config(address.url, address.ws_url, makers.api_key, makers.api_secret))
    price = maker.fetch_ticker(SYMBOL)["ask"]
    rests = maker.create_order(SYMBOL, "limit", "sell", 0.00101, price, {"postOnly": True})
    for _ in range(60):
        control.advance_fully(control.now_ns() + 60_000_000_000)
        if maker.fetch_order(rests["id"], SYMBOL)["status"] == "closed":
            break
    (fill,) = maker.fetch_my_trades(SYMBOL)
    assert (fill["takerOrMaker"], fill["order"], fill["amount"]) == ("maker", rests["id"], 0.00101)
    commission = Decimal("0.00101") * Decimal(str(price)) * 2 / 10_000
    assert Decimal(fill["info"]["commission"]) == commission.quantize(Decimal("1e-8"), rounding="ROUND_DOWN")


def test_a_test_order_changes_nothing(client: ccxt.binance, balances: Balances) -> None:
    assert client.create_order(SYMBOL, "limit", "buy", 0.01, 10_000, {"test": True})["id"] is None
    assert client.fetch_orders(SYMBOL) == []
    assert balances()["USDT"] == (1_000_000, 0)


def test_trading_fees(client: ccxt.binance) -> None:
    assert client.fetch_trading_fee(SYMBOL)["taker"] == 0.001
    assert sorted(client.fetch_trading_fees()) == ["BTC/USDT", "ETH/USDT"]


def test_a_live_paced_exchange_keeps_the_walls_time() -> None:
    with Exchange(symbols=[SYMBOL], seed=7) as exchange:
        client = ccxt.binance(exchange.address.ccxt_config())
        assert abs(client.fetch_time() - client.milliseconds()) < 1000
        order = client.create_order(SYMBOL, "market", "buy", 0.01)
        assert order["status"] == "closed"
        assert abs(order["timestamp"] - client.milliseconds()) < 1000


def test_a_deposit_shows(venue: Exchange, account: Any, client: ccxt.binance) -> None:
    venue.control.deposit(account.account, "ETH", "1.5")
    venue.control.deposit(account.account, "USDT", "-999999.99999999")
    balance = client.fetch_balance()
    assert balance["total"]["ETH"] == 1.5
    assert balance["total"]["USDT"] == 1e-8


def test_the_async_client_does_the_same(settings: dict[str, Any]) -> None:
    async def trade() -> None:
        client = ccxt.async_support.binance(settings)
        try:
            await client.load_markets()
            book, candles = await asyncio.gather(
                client.fetch_order_book(SYMBOL, 5), client.fetch_ohlcv(SYMBOL, "1h", limit=5)
            )
            assert book["bids"][0][0] < book["asks"][0][0]
            assert len(candles) == 5
            orders = await asyncio.gather(
                *(client.create_order(SYMBOL, "limit", "buy", 0.01, 9_000 + step) for step in range(5))
            )
            assert {order["status"] for order in orders} == {"open"}
            assert len(await client.fetch_open_orders(SYMBOL)) == 5
            assert len(await client.cancel_all_orders(SYMBOL)) == 5
            filled = await client.create_order(SYMBOL, "market", "sell", 0.01)
            assert filled["status"] == "closed"
        finally:
            await client.close()

    asyncio.run(trade())
