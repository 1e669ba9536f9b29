"""Every spot stream and socket request of the unmodified ccxt.pro against the embedded exchange."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import ccxt
import ccxt.pro
import pytest

from sapphire.execution import Exchange

SYMBOL = "BTC/USDT"
SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS
PATIENCE_S = 20


@asynccontextmanager
async def connected(settings: dict[str, Any]) -> AsyncIterator[Any]:
    client = ccxt.pro.binance(settings)
    try:
        await client.load_markets()
        yield client
    finally:
        await client.close()


def run(settings: dict[str, Any], story: Callable[[Any], Awaitable[None]]) -> None:
    """Run a coroutine with a connected client; nothing may take longer than `PATIENCE_S`."""

    async def main() -> None:
        async with connected(settings) as client, asyncio.timeout(PATIENCE_S):
            await story(client)

    asyncio.run(main())


async def advance(exchange: Exchange, ns: int) -> None:
    """Move time past everything that clients see, without holding up the event loop."""
    control = exchange.control
    await asyncio.to_thread(lambda: control.advance_fully(control.now_ns() + ns))


async def after_advancing(watch: Awaitable[Any], exchange: Exchange, ns: int = 5 * SECOND_NS) -> Any:
    """What a watch returns once time has moved; the subscription stands before it moves."""
    waiting = asyncio.ensure_future(watch)
    while not waiting.done():
        await asyncio.sleep(0.2)
        await advance(exchange, ns)
        await asyncio.wait([waiting], timeout=0.2)
    return await waiting


# Public streams, in lock-step


def test_the_watched_book_is_the_book(stepped: Exchange) -> None:
    """After every step of time the client's book, kept by diffs, equals REST's to the last level."""

    async def story(client: Any) -> None:
        await client.watch_order_book(SYMBOL)
        steps = 0
        for _ in range(30):
            await advance(stepped, 5 * SECOND_NS)
            rest = await client.fetch_order_book(SYMBOL, 1000)
            while client.orderbooks[SYMBOL]["nonce"] < rest["nonce"]:
                await client.watch_order_book(SYMBOL)
            watched = client.orderbooks[SYMBOL]
            assert watched["nonce"] == rest["nonce"]
            assert [list(level) for level in watched["bids"]] == rest["bids"]
            assert [list(level) for level in watched["asks"]] == rest["asks"]
            steps += 1
        assert steps == 30

    run(stepped.address.ccxt_config(), story)


def test_a_client_order_shows_in_the_watched_book(stepped: Exchange) -> None:
    async def story(client: Any) -> None:
        await client.watch_order_book(SYMBOL)
        await client.create_order(SYMBOL, "limit", "buy", 0.5, 10_000)
        book = await after_advancing(client.watch_order_book(SYMBOL), stepped, SECOND_NS)
        while [10_000.0, 0.5] not in [list(level) for level in book["bids"]]:
            book = await after_advancing(client.watch_order_book(SYMBOL), stepped, SECOND_NS)
        await client.cancel_all_orders(SYMBOL)
        while 10_000.0 in [level[0] for level in book["bids"]]:
            book = await after_advancing(client.watch_order_book(SYMBOL), stepped, SECOND_NS)

    run(stepped.address.ccxt_config(), story)


def test_two_books_are_watched_on_one_socket(stepped: Exchange) -> None:
    async def story(client: Any) -> None:
        seen = set()
        while seen != {"BTC/USDT", "ETH/USDT"}:
            book = await after_advancing(client.watch_order_book_for_symbols(["BTC/USDT", "ETH/USDT"]), stepped)
            seen.add(book["symbol"])

    run(stepped.address.ccxt_config(), story)


@pytest.mark.parametrize("name", ["trade", "aggTrade"])
def test_watch_trades_is_the_tape(stepped: Exchange, name: str) -> None:
    async def story(client: Any) -> None:
        client.options["watchTrades"] = {"name": name}
        seen: dict[str, Any] = {}
        while len(seen) < 10:
            trades = await after_advancing(client.watch_trades(SYMBOL), stepped, MINUTE_NS)
            seen |= {trade["id"]: trade for trade in trades}
        assert {trade["symbol"] for trade in seen.values()} == {SYMBOL}
        method = "publicGetTrades" if name == "trade" else "publicGetAggTrades"
        tape = await client.fetch_trades(SYMBOL, limit=1000, params={"fetchTradesMethod": method})
        tape = {trade["id"]: trade for trade in tape}
        for number, trade in seen.items():
            for field in ("price", "amount", "side", "timestamp"):
                assert trade[field] == tape[number][field]

    run(stepped.address.ccxt_config(), story)


@pytest.mark.parametrize(("name", "event"), [("ticker", "24hrTicker"), ("miniTicker", "24hrMiniTicker")])
def test_watch_ticker(stepped: Exchange, name: str, event: str) -> None:
    async def story(client: Any) -> None:
        ticker = await after_advancing(client.watch_ticker(SYMBOL, {"name": name}), stepped, MINUTE_NS)
        assert (ticker["symbol"], ticker["info"]["e"]) == (SYMBOL, event)
        assert ticker["low"] <= ticker["last"] <= ticker["high"]
        assert ticker["baseVolume"] > 0 < ticker["quoteVolume"]
        if name == "ticker":
            assert ticker["bid"] < ticker["ask"]

    run(stepped.address.ccxt_config(), story)


def test_watch_tickers_of_some_and_of_all(stepped: Exchange) -> None:
    async def story(client: Any) -> None:
        some = await after_advancing(client.watch_tickers([SYMBOL]), stepped, MINUTE_NS)
        assert list(some) == [SYMBOL]
        assert some[SYMBOL]["info"]["e"] == "24hrMiniTicker"
        seen = set()
        while seen != {"BTC/USDT", "ETH/USDT"}:
            seen |= set(await after_advancing(client.watch_tickers(), stepped, MINUTE_NS))

    run(stepped.address.ccxt_config(), story)


def test_watch_bids_asks_is_the_top_of_the_book(stepped: Exchange) -> None:
    async def story(client: Any) -> None:
        tops = await after_advancing(client.watch_bids_asks([SYMBOL]), stepped)
        assert tops[SYMBOL]["bid"] < tops[SYMBOL]["ask"]
        assert "e" not in tops[SYMBOL]["info"]
        rest = (await client.fetch_bids_asks([SYMBOL]))[SYMBOL]
        while client.bidsasks[SYMBOL]["bid"] != rest["bid"] or client.bidsasks[SYMBOL]["ask"] != rest["ask"]:
            await client.watch_bids_asks([SYMBOL])

    run(stepped.address.ccxt_config(), story)


def test_watch_ohlcv_closes_as_rest_has_it(stepped: Exchange) -> None:
    async def story(client: Any) -> None:
        candles: dict[int, list[float]] = {}
        while len(candles) < 3:
            rows = await after_advancing(client.watch_ohlcv(SYMBOL, "1m"), stepped, 20 * SECOND_NS)
            candles |= {row[0]: list(row) for row in rows}
        opens = sorted(candles)
        rest = {row[0]: row for row in await client.fetch_ohlcv(SYMBOL, "1m", limit=100)}
        for open_ms in opens[:-1]:  # the last one may not be closed yet
            assert candles[open_ms] == rest[open_ms]

    run(stepped.address.ccxt_config(), story)


def test_unwatch_ends_a_stream(stepped: Exchange) -> None:
    async def story(client: Any) -> None:
        await after_advancing(client.watch_trades(SYMBOL), stepped, MINUTE_NS)
        await client.un_watch_trades(SYMBOL)
        (socket,) = (one for one in client.clients.values() if "/stream" in one.url)
        heard = len(client.trades.get(SYMBOL, []))
        await advance(stepped, MINUTE_NS)
        await asyncio.sleep(0.3)
        assert len(client.trades.get(SYMBOL, [])) == heard
        assert socket.connection is not None

    run(stepped.address.ccxt_config(), story)


# The account's own stream


async def subscribed(client: Any) -> None:
    """Wait until the exchange has confirmed the account's stream."""
    await client.ensure_user_data_stream_ws_subscribe_signature("spot")


def test_orders_fills_and_balances_are_told(venue: Exchange, settings: dict[str, Any]) -> None:
    """One order bought at the market and one cancelled, as three watchers see them."""

    async def story(client: Any) -> None:
        orders, trades, balances = [], [], []

        async def collect(watch: Callable[[], Awaitable[Any]], into: list[Any]) -> None:
            while True:
                into.append(await watch())

        client.newUpdates = True
        await subscribed(client)
        watchers = [
            asyncio.create_task(collect(client.watch_orders, orders)),
            asyncio.create_task(collect(client.watch_my_trades, trades)),
            asyncio.create_task(collect(client.watch_balance, balances)),
        ]
        await asyncio.sleep(0)
        bought = await client.create_order(SYMBOL, "market", "buy", 0.01)
        stands = await client.create_order(SYMBOL, "limit", "buy", 0.01, 10_000, {"clientOrderId": "told-1"})
        await client.cancel_order(stands["id"], SYMBOL)
        while "canceled" not in {order["status"] for update in orders for order in update}:
            await asyncio.sleep(0.01)
        rest = await client.fetch_balance()
        while any(balances[-1].get(asset) != rest[asset] for asset in ("BTC", "USDT")):
            await asyncio.sleep(0.01)
        for watcher in watchers:
            watcher.cancel()
        await asyncio.gather(*watchers, return_exceptions=True)

        last = {order["id"]: order for update in orders for order in update}
        assert (last[bought["id"]]["status"], last[bought["id"]]["filled"]) == ("closed", 0.01)
        assert last[stands["id"]]["status"] == "canceled"
        assert last[stands["id"]]["clientOrderId"] == "told-1", "the cancel's own id stands in `c`, the order's in `C`"
        fills = {trade["id"]: trade for update in trades for trade in update}
        assert sum(fill["amount"] for fill in fills.values()) == pytest.approx(0.01)
        assert {fill["fee"]["currency"] for fill in fills.values()} == {"BTC"}

    run(settings, story)


def test_a_deposit_is_told(venue: Exchange, account: Any, settings: dict[str, Any]) -> None:
    async def story(client: Any) -> None:
        await subscribed(client)
        watching = asyncio.ensure_future(client.watch_balance())
        await asyncio.sleep(0)
        await asyncio.to_thread(venue.control.deposit, account.account, "ETH", "1.5")
        assert (await watching)["ETH"]["free"] == 1.5

    run(settings, story)


def test_another_accounts_orders_are_not_told(venue: Exchange, settings: dict[str, Any]) -> None:
    async def story(client: Any) -> None:
        client.newUpdates = True
        await subscribed(client)
        watching = asyncio.ensure_future(client.watch_orders())
        await asyncio.sleep(0)
        other = ccxt.binance(venue.address.ccxt_config())
        await asyncio.to_thread(other.create_order, SYMBOL, "limit", "buy", 0.01, 10_000)
        own = await client.create_order(SYMBOL, "limit", "buy", 0.01, 10_000)
        assert [order["id"] for order in await watching] == [own["id"]]
        await asyncio.to_thread(other.cancel_all_orders, SYMBOL)

    run(settings, story)


def test_in_lockstep_an_order_travels_until_time_moves(stepped: Exchange) -> None:
    async def story(client: Any) -> None:
        client.newUpdates = True
        order = await client.create_order(SYMBOL, "market", "buy", 0.01)
        assert (order["info"]["status"], order["filled"], order["info"]["fills"]) == ("PENDING_NEW", 0, [])
        assert (await client.fetch_order(order["id"], SYMBOL))["info"]["status"] == "PENDING_NEW"
        await subscribed(client)
        watching = asyncio.ensure_future(client.watch_orders())
        await asyncio.sleep(0)
        before_ns = stepped.control.now_ns()
        advanced = await asyncio.to_thread(stepped.control.advance, before_ns + MINUTE_NS)
        assert 5_000_000 <= advanced.now_ns - before_ns <= 25_000_000, "it travelled for 5 to 25 ms of market time"
        assert advanced.events > 0
        while (await watching)[-1]["status"] != "closed":
            watching = asyncio.ensure_future(client.watch_orders())
        assert (await client.fetch_order(order["id"], SYMBOL))["status"] == "closed"

    run(stepped.address.ccxt_config(), story)


# Requests over the socket


def test_orders_over_the_socket(settings: dict[str, Any]) -> None:
    async def story(client: Any) -> None:
        order = await client.create_order_ws(SYMBOL, "limit", "buy", 0.01, 10_000)
        assert order["status"] == "open"
        assert (await client.fetch_order_ws(order["id"], SYMBOL))["status"] == "open"
        assert [row["id"] for row in await client.fetch_open_orders_ws(SYMBOL)] == [order["id"]]
        assert (await client.cancel_order_ws(order["id"], SYMBOL))["status"] == "canceled"
        for step in range(3):
            await client.create_order_ws(SYMBOL, "limit", "buy", 0.01, 10_000 + step)
        assert {row["status"] for row in await client.cancel_all_orders_ws(SYMBOL)} == {"canceled"}
        filled = await client.create_order_ws(SYMBOL, "market", "sell", 0.01)
        assert (filled["status"], filled["fees"][0]["currency"]) == ("closed", "USDT")
        assert len(await client.fetch_orders_ws(SYMBOL)) == 5
        assert [row["id"] for row in await client.fetch_closed_orders_ws(SYMBOL)] == [filled["id"]]
        trades = await client.fetch_my_trades_ws(SYMBOL)
        assert {trade["order"] for trade in trades} == {filled["id"]}
        test = await client.create_order_ws(SYMBOL, "limit", "buy", 0.01, 10_000, {"test": True})
        assert test["id"] is None
        # ccxt does not read a spot account's balances from this answer, so they are read from the answer itself.
        free = {row["asset"]: row["free"] for row in (await client.fetch_balance_ws())["info"]["balances"]}
        assert free["BTC"] == "9.99000000"

    run(settings, story)


def test_market_data_over_the_socket(history: Exchange) -> None:
    async def story(client: Any) -> None:
        assert await client.fetch_ohlcv_ws(SYMBOL, "5m", limit=10) == await client.fetch_ohlcv(SYMBOL, "5m", limit=10)
        rest = await client.fetch_trades(SYMBOL, limit=5, params={"fetchTradesMethod": "publicGetTrades"})
        over_socket = await client.fetch_trades_ws(SYMBOL, limit=5)
        assert [trade["id"] for trade in over_socket] == [trade["id"] for trade in rest]

    run(history.address.ccxt_config(), story)


def test_errors_over_the_socket_have_their_classes(settings: dict[str, Any]) -> None:
    async def story(client: Any) -> None:
        with pytest.raises(ccxt.InsufficientFunds):
            await client.create_order_ws(SYMBOL, "limit", "buy", 1000, 10_000)
        with pytest.raises(ccxt.OrderImmediatelyFillable):
            await client.create_order_ws(SYMBOL, "LIMIT_MAKER", "buy", 0.001, 900_000)
        with pytest.raises(ccxt.OrderNotFound):
            await client.cancel_order_ws("123456", SYMBOL)
        with pytest.raises(ccxt.OrderNotFound):
            await client.fetch_order_ws("123456", SYMBOL)
        client.secret = "x" * 64
        with pytest.raises(ccxt.AuthenticationError):
            await client.fetch_balance_ws()

    run(settings, story)
