"""The sockets below any client: paths, subscriptions, requests and limits, with a plain WebSocket."""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import aiohttp
import pytest

from sapphire.execution import Credentials, Exchange

MINUTE_NS = 60_000_000_000
PATIENCE_S = 20

Socket = aiohttp.ClientWebSocketResponse


def run(story: Callable[[aiohttp.ClientSession], Awaitable[None]]) -> None:
    async def main() -> None:
        async with aiohttp.ClientSession() as session, asyncio.timeout(PATIENCE_S):
            await story(session)

    asyncio.run(main())


async def ask(socket: Socket, **request: Any) -> Any:
    """The answer to a request, past the events before it."""
    await socket.send_json(request)
    while True:
        answer = await socket.receive_json(timeout=5)
        if answer.get("id", object()) == request["id"]:
            return answer


async def advance(exchange: Exchange, ns: int) -> None:
    control = exchange.control
    await asyncio.to_thread(lambda: control.advance_fully(control.now_ns() + ns))


def signed(account: Credentials, **params: Any) -> dict[str, Any]:
    params |= {"apiKey": account.api_key, "timestamp": time.time_ns() // 1_000_000}
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in params.items()}
    payload = "&".join(f"{name}={texts[name]}" for name in sorted(texts))
    return params | {"signature": hmac.new(account.api_secret.encode(), payload.encode(), hashlib.sha256).hexdigest()}


@pytest.mark.parametrize("path", ["/ws", "/ws/17", "/stream/ws", "/stream/ws/17", "/stream", "/stream/stream"])
def test_a_socket_opens_on_every_path_and_lists_what_it_is_told(history: Exchange, path: str) -> None:
    async def story(session: aiohttp.ClientSession) -> None:
        async with session.ws_connect(history.address.ws_url + path) as socket:
            assert await ask(socket, method="LIST_SUBSCRIPTIONS", id=1) == {"result": [], "id": 1}
            streams = ["btcusdt@depth@100ms", "!miniTicker@arr"]
            assert await ask(socket, method="SUBSCRIBE", params=streams, id="two") == {"result": None, "id": "two"}
            assert (await ask(socket, method="LIST_SUBSCRIPTIONS", id=3))["result"] == streams
            assert (await ask(socket, method="UNSUBSCRIBE", params=streams[:1], id=4))["result"] is None
            assert (await ask(socket, method="LIST_SUBSCRIPTIONS", id=5))["result"] == streams[1:]

    run(story)


def test_raw_and_combined_sockets_by_path(stepped: Exchange) -> None:
    async def story(session: aiohttp.ClientSession) -> None:
        base = stepped.address.ws_url
        async with (
            session.ws_connect(f"{base}/ws/btcusdt@trade") as raw,
            session.ws_connect(f"{base}/stream?streams=btcusdt@trade/ethusdt@trade") as combined,
        ):
            await advance(stepped, 2 * MINUTE_NS)
            trade = await raw.receive_json(timeout=5)
            assert (trade["e"], trade["s"], trade["M"]) == ("trade", "BTCUSDT", True)
            seen = set()
            while seen != {"btcusdt@trade", "ethusdt@trade"}:
                event = await combined.receive_json(timeout=5)
                assert set(event) == {"stream", "data"}
                assert event["stream"] == event["data"]["s"].lower() + "@trade"
                seen.add(event["stream"])

    run(story)


def test_the_combined_property_can_be_set(history: Exchange) -> None:
    async def story(session: aiohttp.ClientSession) -> None:
        async with session.ws_connect(history.address.ws_url + "/ws") as socket:
            assert (await ask(socket, method="GET_PROPERTY", params=["combined"], id=1))["result"] is False
            assert (await ask(socket, method="SET_PROPERTY", params=["combined", True], id=2))["result"] is None
            assert (await ask(socket, method="GET_PROPERTY", params=["combined"], id=3))["result"] is True

    run(story)


@pytest.mark.parametrize("stream", ["nosuch@trade", "btcusdt@nothing", "BTCUSDT@trade", "btcusdt@kline_7m", ""])
def test_a_stream_that_does_not_exist_is_refused(history: Exchange, stream: str) -> None:
    async def story(session: aiohttp.ClientSession) -> None:
        async with session.ws_connect(history.address.ws_url + "/ws") as socket:
            answer = await ask(socket, method="SUBSCRIBE", params=["btcusdt@trade", stream], id=9)
            assert answer == {"error": {"code": 2, "msg": "Invalid request: invalid stream"}, "id": 9}
            assert (await ask(socket, method="LIST_SUBSCRIPTIONS", id=10))["result"] == []
        if stream:
            with pytest.raises(aiohttp.WSServerHandshakeError) as error:
                await session.ws_connect(f"{history.address.ws_url}/ws/{stream}")
            assert error.value.status == 400

    run(story)


def test_what_is_no_request_is_refused(history: Exchange) -> None:
    async def story(session: aiohttp.ClientSession) -> None:
        async with session.ws_connect(history.address.ws_url + "/ws") as socket:
            await socket.send_str("{")
            assert (await socket.receive_json(timeout=5))["error"]["code"] == 3
            assert (await ask(socket, method="DANCE", params=[], id=1))["error"]["code"] == 2
            await socket.send_json({"method": "SUBSCRIBE", "params": [], "id": 1.5})
            assert (await socket.receive_json(timeout=5))["error"]["code"] == 2

    run(story)


def test_diffs_continue_each_other_and_the_slow_stream_misses_none(stepped: Exchange) -> None:
    async def story(session: aiohttp.ClientSession) -> None:
        base = stepped.address.ws_url
        async with (
            session.ws_connect(f"{base}/ws/btcusdt@depth@100ms") as fast,
            session.ws_connect(f"{base}/ws/btcusdt@depth") as slow,
        ):
            await advance(stepped, 3 * MINUTE_NS)
            books: list[dict[str, Any]] = []
            for socket in (fast, slow):
                diffs = []
                while not diffs or diffs[-1]["E"] < stepped.control.now_ns() // 1_000_000 - 5_000:
                    diffs.append(await socket.receive_json(timeout=5))
                assert len(diffs) > 20
                for before, after in pairwise(diffs):
                    assert after["U"] == before["u"] + 1
                books.append(rebuilt(diffs, until=diffs[-1]["u"]))
            assert books[0] == books[1]

    run(story)


def rebuilt(diffs: list[dict[str, Any]], *, until: int) -> dict[str, dict[str, str]]:
    """The levels that diffs leave."""
    book: dict[str, dict[str, str]] = {"b": {}, "a": {}}
    for diff in diffs:
        if diff["u"] > until:
            break
        for side in ("b", "a"):
            for price, quantity in diff[side]:
                book[side][price] = quantity
                if float(quantity) == 0:
                    del book[side][price]
    return book


def test_partial_books_are_rests(stepped: Exchange) -> None:
    async def story(session: aiohttp.ClientSession) -> None:
        base = stepped.address.ws_url
        async with session.ws_connect(f"{base}/ws/btcusdt@depth5@100ms") as socket:
            await advance(stepped, MINUTE_NS)
            async with session.get(f"{stepped.address.url}/api/v3/depth?symbol=BTCUSDT&limit=5") as response:
                rest = await response.json()
            while (await socket.receive_json(timeout=5)) != rest:
                pass

    run(story)


def test_all_tickers_of_an_instant_come_in_one_list(stepped: Exchange) -> None:
    async def story(session: aiohttp.ClientSession) -> None:
        base = stepped.address.ws_url
        async with (
            session.ws_connect(f"{base}/ws/!miniTicker@arr") as mini,
            session.ws_connect(f"{base}/ws/!ticker@arr") as full,
        ):
            await advance(stepped, MINUTE_NS)
            for socket, event in ((mini, "24hrMiniTicker"), (full, "24hrTicker")):
                seen: set[str] = set()
                while seen != {"BTCUSDT", "ETHUSDT"}:
                    rows = await socket.receive_json(timeout=5)
                    assert {row["e"] for row in rows} == {event}
                    assert len({row["s"] for row in rows}) == len(rows)
                    seen |= {row["s"] for row in rows}

    run(story)


def test_more_than_five_messages_a_second_end_the_connection(history: Exchange) -> None:
    async def story(session: aiohttp.ClientSession) -> None:
        async with session.ws_connect(history.address.ws_url + "/ws") as socket:
            for number in range(6):
                await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": number})
            answers = [await socket.receive(timeout=5) for _ in range(6)]
            assert [answer.type for answer in answers] == [aiohttp.WSMsgType.TEXT] * 5 + [aiohttp.WSMsgType.CLOSE]
            assert socket.close_code == 1008

    run(story)


def test_a_connection_has_1024_streams_at_most(history: Exchange) -> None:
    async def story(session: aiohttp.ClientSession) -> None:
        async with session.ws_connect(history.address.ws_url + "/ws") as socket:
            answer = await ask(socket, method="SUBSCRIBE", params=["btcusdt@trade"] * 1025, id=1)
            assert answer["error"]["code"] == 2

    run(story)


# The WebSocket API


def test_requests_are_answered_with_their_id_and_limits(history: Exchange) -> None:
    async def story(session: aiohttp.ClientSession) -> None:
        async with session.ws_connect(history.address.ws_url + "/ws-api/v3") as socket:
            for number in (1, "text", None):
                pong = await ask(socket, id=number, method="ping")
                assert (pong["status"], pong["result"]) == (200, {})
            assert pong["rateLimits"][0]["rateLimitType"] == "REQUEST_WEIGHT"
            quiet = await ask(socket, id=4, method="time", params={"returnRateLimits": False})
            assert quiet == {
                "id": 4,
                "status": 200,
                "result": {"serverTime": history.control.now_ns() // 1_000_000},
            }
            assert (await ask(socket, id=5, method="v3/time"))["status"] == 200
        async with session.ws_connect(history.address.ws_url + "/ws-api/v3?returnRateLimits=false") as socket:
            assert "rateLimits" not in await ask(socket, id=1, method="ping")
            assert "rateLimits" in await ask(socket, id=2, method="ping", params={"returnRateLimits": True})

    run(story)


@pytest.mark.parametrize(
    ("method", "path", "params"),
    [
        ("exchangeInfo", "exchangeInfo?symbol=BTCUSDT", {"symbol": "BTCUSDT"}),
        ("exchangeInfo", 'exchangeInfo?symbols=["ETHUSDT"]', {"symbols": ["ETHUSDT"]}),
        ("depth", "depth?symbol=BTCUSDT&limit=5", {"symbol": "BTCUSDT", "limit": 5}),
        ("trades.recent", "trades?symbol=BTCUSDT&limit=3", {"symbol": "BTCUSDT", "limit": 3}),
        ("trades.aggregate", "aggTrades?symbol=BTCUSDT&limit=3", {"symbol": "BTCUSDT", "limit": 3}),
        ("klines", "klines?symbol=BTCUSDT&interval=1h&limit=3", {"symbol": "BTCUSDT", "interval": "1h", "limit": 3}),
        ("ticker.24hr", "ticker/24hr?symbol=BTCUSDT", {"symbol": "BTCUSDT"}),
        ("ticker.24hr", "ticker/24hr", {}),
        ("ticker.price", "ticker/price?symbol=BTCUSDT", {"symbol": "BTCUSDT"}),
        ("ticker.book", "ticker/bookTicker", {}),
    ],
)
def test_a_request_over_the_socket_is_rests(history: Exchange, method: str, path: str, params: dict[str, Any]) -> None:
    async def story(session: aiohttp.ClientSession) -> None:
        async with (
            session.ws_connect(history.address.ws_url + "/ws-api/v3") as socket,
            session.get(f"{history.address.url}/api/v3/{path}") as response,
        ):
            over_socket = await ask(socket, id=1, method=method, params=params)
            assert over_socket["result"] == await response.json()

    run(story)


def test_errors_over_the_socket_have_the_venues_form(history: Exchange) -> None:
    async def story(session: aiohttp.ClientSession) -> None:
        async with session.ws_connect(history.address.ws_url + "/ws-api/v3") as socket:
            bad = await ask(socket, id=1, method="depth", params={"symbol": "NOSUCH"})
            assert (bad["status"], bad["error"]) == (400, {"code": -1121, "msg": "Invalid symbol."})
            assert (await ask(socket, id=2, method="dance"))["error"]["code"] == -1020
            assert (await ask(socket, id=3, method="account.status"))["error"]["code"] == -2014
            await socket.send_str("not json")
            answer = await socket.receive_json(timeout=5)
            assert (answer["id"], answer["status"], answer["error"]["code"]) == (None, 400, -1135)

    run(story)


def test_a_signature_covers_the_texts_as_they_came(venue: Exchange, account: Credentials) -> None:
    async def story(session: aiohttp.ClientSession) -> None:
        async with session.ws_connect(venue.address.ws_url + "/ws-api/v3") as socket:
            order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01"}
            placed = await ask(socket, id=1, method="order.place", params=signed(account, price="10000.00", **order))
            assert placed["result"]["status"] == "NEW"
            assert [limit["rateLimitType"] for limit in placed["rateLimits"]] == ["ORDERS", "ORDERS", "REQUEST_WEIGHT"]
            number = await ask(socket, id=2, method="order.place", params=signed(account, price=10000.5, **order))
            assert number["result"]["price"] == "10000.50000000"
            flag = signed(account, omitZeroBalances=True, returnRateLimits=False)
            assert "rateLimits" not in await ask(socket, id=3, method="account.status", params=flag)
            changed = signed(account, price="10000", **order) | {"price": "30001"}
            assert (await ask(socket, id=4, method="order.place", params=changed))["error"]["code"] == -1022

    run(story)


def test_the_user_stream_is_wrapped_ordered_and_ends(venue: Exchange, account: Credentials) -> None:
    async def story(session: aiohttp.ClientSession) -> None:
        subscribe, unsubscribe = "userDataStream.subscribe.signature", "userDataStream.unsubscribe"
        async with session.ws_connect(venue.address.ws_url + "/ws-api/v3") as socket:
            assert (await ask(socket, id=1, method=subscribe, params=signed(account)))["result"] == {
                "subscriptionId": 0
            }
            twice = await ask(socket, id=2, method=subscribe, params=signed(account))
            assert twice["error"]["code"] == -2035
            assert (await ask(socket, id=3, method="session.subscriptions"))["result"] == [{"subscriptionId": 0}]

            order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}
            await socket.send_json({"id": 4, "method": "order.place", "params": signed(account, **order)})
            events: list[dict[str, Any]] = []
            answered = None
            while answered is None or not events or events[-1]["e"] != "outboundAccountPosition":
                message = await socket.receive_json(timeout=5)
                if "event" in message:
                    assert message["subscriptionId"] == 0
                    events.append(message["event"])
                else:
                    answered = message["result"]
            reports = [event for event in events if event["e"] == "executionReport"]
            assert [report["x"] for report in reports] == ["NEW"] + ["TRADE"] * len(answered["fills"])
            assert [report["t"] for report in reports[1:]] == [fill["tradeId"] for fill in answered["fills"]]
            assert [report["n"] for report in reports[1:]] == [fill["commission"] for fill in answered["fills"]]
            assert [report["I"] for report in reports] == sorted(report["I"] for report in reports)
            last = reports[-1]
            assert (last["X"], last["z"], last["Z"]) == ("FILLED", "0.01000000", answered["cummulativeQuoteQty"])
            assert {report["T"] for report in reports} == {answered["transactTime"]}
            assert [row["a"] for row in events[-1]["B"]] == ["BTC", "USDT"]

            venue.control.deposit(account.account, "ETH", "1.5")
            update = (await socket.receive_json(timeout=5))["event"]
            assert (update["e"], update["a"], update["d"]) == ("balanceUpdate", "ETH", "1.50000000")

            await socket.send_json({"id": 5, "method": unsubscribe, "params": {"subscriptionId": 0}})
            rest = [await socket.receive_json(timeout=5) for _ in range(3)]
            assert rest[-2] == rest[-2] | {"id": 5, "status": 200, "result": {}}
            assert rest[-1]["event"]["e"] == "eventStreamTerminated"
            assert (await ask(socket, id=6, method=unsubscribe))["error"]["code"] == -2036

    run(story)


def test_two_accounts_on_one_socket_are_told_apart(venue: Exchange, account: Credentials) -> None:
    async def story(session: aiohttp.ClientSession) -> None:
        other = venue.control.add_account("beside", {"USDT": "1000"})
        async with session.ws_connect(venue.address.ws_url + "/ws-api/v3") as socket:
            for number, one in enumerate((account, other)):
                answer = await ask(socket, id=1, method="userDataStream.subscribe.signature", params=signed(one))
                assert answer["result"] == {"subscriptionId": number}
            venue.control.deposit(other.account, "USDT", "1")
            assert (await socket.receive_json(timeout=5))["subscriptionId"] == 1

    run(story)


def test_who_asks_too_much_over_the_socket_is_told_when_to_come_back() -> None:
    async def story(session: aiohttp.ClientSession) -> None:
        with Exchange(seed=7, lockstep=True) as exchange:
            now_ms = exchange.control.now_ns() // 1_000_000
            async with session.ws_connect(f"{exchange.address.ws_url}/ws-api/v3") as socket:
                depth = {"symbol": "BTCUSDT", "limit": 5000}
                for number in range(23):
                    assert (await ask(socket, id=number, method="depth", params=depth))["status"] == 200
                limited = await ask(socket, id=23, method="depth", params=depth)
                assert (limited["status"], limited["error"]["code"]) == (429, -1003)
                assert limited["error"]["data"] == {
                    "serverTime": now_ms,
                    "retryAfter": now_ms // 60_000 * 60_000 + 60_000,
                }
                assert limited["rateLimits"][0]["count"] == 6_002, "the connection itself weighs 2"
                for number in range(9):
                    assert (await ask(socket, id=number, method="ping"))["status"] == 429
                banned = await ask(socket, id=9, method="ping")
                assert (banned["status"], banned["error"]["data"]["retryAfter"]) == (418, now_ms + 120_000)
                assert (await socket.receive(timeout=5)).type == aiohttp.WSMsgType.CLOSE

    run(story)


def test_a_shutdown_is_announced() -> None:
    async def story(session: aiohttp.ClientSession) -> None:
        with Exchange(seed=7, lockstep=True) as exchange:
            base = exchange.address.ws_url
            async with (
                session.ws_connect(f"{base}/ws/btcusdt@trade") as stream,
                session.ws_connect(f"{base}/ws-api/v3") as requests,
            ):
                await ask(stream, method="LIST_SUBSCRIPTIONS", id=1)
                await ask(requests, id=1, method="ping")
                await asyncio.to_thread(exchange.stop)
                assert (await stream.receive_json(timeout=5))["e"] == "serverShutdown"
                assert (await requests.receive_json(timeout=5))["event"]["e"] == "serverShutdown"
                for socket in (stream, requests):
                    end = await socket.receive(timeout=5)
                    assert (end.type, end.data) == (aiohttp.WSMsgType.CLOSE, 1001)

    run(story)
