"""Every payload has the fields of the venue's documentation, with their types: text, number, flag.

The examples are shortened from the documentation's own. A field that the documentation shows only under conditions is
left out of both.
"""

import asyncio
import hashlib
import hmac
import json
import time
from typing import Any

import aiohttp
import pytest

from sapphire.execution import Credentials, Exchange

MINUTE_NS = 60_000_000_000
TEXT, NUMBER, FLAG = "text", 1, True
LEVELS = [[TEXT, TEXT]]

MARKET = {
    "time": {"serverTime": NUMBER},
    "depth?symbol=BTCUSDT&limit=5": {"lastUpdateId": NUMBER, "bids": LEVELS, "asks": LEVELS},
    "trades?symbol=BTCUSDT&limit=2": [
        {
            "id": NUMBER,
            "price": TEXT,
            "qty": TEXT,
            "quoteQty": TEXT,
            "time": NUMBER,
            "isBuyerMaker": FLAG,
            "isBestMatch": FLAG,
        }
    ],
    "aggTrades?symbol=BTCUSDT&limit=2": [
        {"a": NUMBER, "p": TEXT, "q": TEXT, "f": NUMBER, "l": NUMBER, "T": NUMBER, "m": FLAG, "M": FLAG}
    ],
    "klines?symbol=BTCUSDT&interval=1h&limit=2": [
        [NUMBER, TEXT, TEXT, TEXT, TEXT, TEXT, NUMBER, TEXT, NUMBER, TEXT, TEXT, TEXT]
    ],
    "ticker/24hr?symbol=BTCUSDT": {
        "symbol": TEXT,
        "priceChange": TEXT,
        "priceChangePercent": TEXT,
        "weightedAvgPrice": TEXT,
        "prevClosePrice": TEXT,
        "lastPrice": TEXT,
        "lastQty": TEXT,
        "bidPrice": TEXT,
        "bidQty": TEXT,
        "askPrice": TEXT,
        "askQty": TEXT,
        "openPrice": TEXT,
        "highPrice": TEXT,
        "lowPrice": TEXT,
        "volume": TEXT,
        "quoteVolume": TEXT,
        "openTime": NUMBER,
        "closeTime": NUMBER,
        "firstId": NUMBER,
        "lastId": NUMBER,
        "count": NUMBER,
    },
    "ticker/24hr?symbol=BTCUSDT&type=MINI": {
        "symbol": TEXT,
        "openPrice": TEXT,
        "highPrice": TEXT,
        "lowPrice": TEXT,
        "lastPrice": TEXT,
        "volume": TEXT,
        "quoteVolume": TEXT,
        "openTime": NUMBER,
        "closeTime": NUMBER,
        "firstId": NUMBER,
        "lastId": NUMBER,
        "count": NUMBER,
    },
    "ticker/price": [{"symbol": TEXT, "price": TEXT}],
    "ticker/bookTicker": [{"symbol": TEXT, "bidPrice": TEXT, "bidQty": TEXT, "askPrice": TEXT, "askQty": TEXT}],
}

STREAMS = {
    "btcusdt@trade": {
        "e": "trade",
        "E": NUMBER,
        "s": TEXT,
        "t": NUMBER,
        "p": TEXT,
        "q": TEXT,
        "T": NUMBER,
        "m": FLAG,
        "M": FLAG,
    },
    "btcusdt@aggTrade": {
        "e": "aggTrade",
        "E": NUMBER,
        "s": TEXT,
        "a": NUMBER,
        "p": TEXT,
        "q": TEXT,
        "f": NUMBER,
        "l": NUMBER,
        "T": NUMBER,
        "m": FLAG,
        "M": FLAG,
    },
    "btcusdt@depth@100ms": {
        "e": "depthUpdate",
        "E": NUMBER,
        "s": TEXT,
        "U": NUMBER,
        "u": NUMBER,
        "b": LEVELS,
        "a": LEVELS,
    },
    "btcusdt@depth5@100ms": {"lastUpdateId": NUMBER, "bids": LEVELS, "asks": LEVELS},
    "btcusdt@bookTicker": {"u": NUMBER, "s": TEXT, "b": TEXT, "B": TEXT, "a": TEXT, "A": TEXT},
    "btcusdt@kline_1m": {
        "e": "kline",
        "E": NUMBER,
        "s": TEXT,
        "k": {
            "t": NUMBER,
            "T": NUMBER,
            "s": TEXT,
            "i": TEXT,
            "f": NUMBER,
            "L": NUMBER,
            "o": TEXT,
            "c": TEXT,
            "h": TEXT,
            "l": TEXT,
            "v": TEXT,
            "n": NUMBER,
            "x": FLAG,
            "q": TEXT,
            "V": TEXT,
            "Q": TEXT,
            "B": TEXT,
        },
    },
    "btcusdt@miniTicker": {
        "e": "24hrMiniTicker",
        "E": NUMBER,
        "s": TEXT,
        "c": TEXT,
        "o": TEXT,
        "h": TEXT,
        "l": TEXT,
        "v": TEXT,
        "q": TEXT,
    },
    "btcusdt@ticker": {
        "e": "24hrTicker",
        "E": NUMBER,
        "s": TEXT,
        **dict.fromkeys(["p", "P", "w", "x", "c", "Q", "b", "B", "a", "A", "o", "h", "l", "v", "q"], TEXT),
        **dict.fromkeys(["O", "C", "F", "L", "n"], NUMBER),
    },
}

ORDER_STATE = {
    "price": TEXT,
    "origQty": TEXT,
    "executedQty": TEXT,
    "origQuoteOrderQty": TEXT,
    "cummulativeQuoteQty": TEXT,
    "status": TEXT,
    "timeInForce": TEXT,
    "type": TEXT,
    "side": TEXT,
    "workingTime": NUMBER,
    "selfTradePreventionMode": TEXT,
}
IDS = {"symbol": TEXT, "orderId": NUMBER, "orderListId": -1, "clientOrderId": TEXT}
PLACED = {
    **IDS,
    "transactTime": NUMBER,
    **ORDER_STATE,
    "fills": [{"price": TEXT, "qty": TEXT, "commission": TEXT, "commissionAsset": TEXT, "tradeId": NUMBER}],
}
CANCELLED = {**IDS, "origClientOrderId": TEXT, "transactTime": NUMBER, **ORDER_STATE}
QUERIED = {
    **IDS,
    **ORDER_STATE,
    "stopPrice": TEXT,
    "icebergQty": TEXT,
    "time": NUMBER,
    "updateTime": NUMBER,
    "isWorking": FLAG,
}
TRADED = {
    "symbol": TEXT,
    "id": NUMBER,
    "orderId": NUMBER,
    "orderListId": -1,
    "price": TEXT,
    "qty": TEXT,
    "quoteQty": TEXT,
    "commission": TEXT,
    "commissionAsset": TEXT,
    "time": NUMBER,
    "isBuyer": FLAG,
    "isMaker": FLAG,
    "isBestMatch": FLAG,
}
ACCOUNT = {
    **dict.fromkeys(["makerCommission", "takerCommission", "buyerCommission", "sellerCommission"], NUMBER),
    "commissionRates": {"maker": TEXT, "taker": TEXT, "buyer": TEXT, "seller": TEXT},
    **dict.fromkeys(["canTrade", "canWithdraw", "canDeposit", "brokered", "requireSelfTradePrevention"], FLAG),
    "preventSor": FLAG,
    "updateTime": NUMBER,
    "accountType": "SPOT",
    "balances": [{"asset": TEXT, "free": TEXT, "locked": TEXT}],
    "permissions": ["SPOT"],
    "uid": NUMBER,
}
REPORTED = {
    "e": "executionReport",
    **dict.fromkeys(["s", "c", "S", "o", "f", "q", "p", "P", "F", "C", "x", "X", "r", "l", "z", "L", "n"], TEXT),
    **dict.fromkeys(["E", "g", "i", "T", "t", "I", "O", "W"], NUMBER),
    **dict.fromkeys(["w", "m", "M"], FLAG),
    **dict.fromkeys(["Z", "Y", "Q", "V"], TEXT),
}
POSITION = {"e": "outboundAccountPosition", "E": NUMBER, "u": NUMBER, "B": [{"a": TEXT, "f": TEXT, "l": TEXT}]}


def check(documented: Any, got: Any, where: str = "answer") -> None:
    """The same fields, of the same types, all the way down."""
    if isinstance(documented, dict):
        assert isinstance(got, dict), where
        assert set(got) == set(documented), where
        for name, example in documented.items():
            check(example, got[name], f"{where}.{name}")
    elif isinstance(documented, list) and len(documented) == 1:
        assert isinstance(got, list), where
        assert got, f"{where} is empty"
        for row in got:
            check(documented[0], row, f"{where}[]")
    elif isinstance(documented, list):
        assert len(got) == len(documented), where
        for number, (example, value) in enumerate(zip(documented, got, strict=True)):
            check(example, value, f"{where}[{number}]")
    else:
        assert type(got) is type(documented), f"{where}: {got!r}"


def signed(account: Credentials, **params: Any) -> dict[str, Any]:
    params |= {"apiKey": account.api_key, "timestamp": time.time_ns() // 1_000_000}
    payload = "&".join(f"{name}={params[name]}" for name in sorted(params))
    return params | {"signature": hmac.new(account.api_secret.encode(), payload.encode(), hashlib.sha256).hexdigest()}


@pytest.mark.parametrize("path", MARKET)
def test_market_data(history: Exchange, path: str) -> None:
    async def main() -> None:
        async with aiohttp.ClientSession() as session, session.get(f"{history.address.url}/api/v3/{path}") as response:
            check(MARKET[path], await response.json(), path)

    asyncio.run(main())


def test_streams(stepped: Exchange) -> None:
    async def main() -> None:
        url = f"{stepped.address.ws_url}/stream?streams={'/'.join(STREAMS)}"
        control = stepped.control
        seen = set()
        async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket, asyncio.timeout(20):
            await asyncio.to_thread(lambda: control.advance_fully(control.now_ns() + 2 * MINUTE_NS))
            while seen != set(STREAMS):
                event = await socket.receive_json()
                stream, data = event["stream"], event["data"]
                for side in ("a", "b"):  # a diff may touch one side alone
                    if isinstance(data.get(side), list) and not data[side]:
                        data[side] = [["0", "0"]]
                check(STREAMS[stream], data, stream)
                seen.add(stream)

    asyncio.run(main())


def test_orders_and_accounts(venue: Exchange, account: Credentials) -> None:
    async def main() -> None:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{venue.address.ws_url}/ws-api/v3?returnRateLimits=false") as socket,
            asyncio.timeout(20),
        ):
            events: list[dict[str, Any]] = []

            async def ask(method: str, **params: Any) -> Any:
                await socket.send_str(json.dumps({"id": 1, "method": method, "params": signed(account, **params)}))
                while True:
                    message = await socket.receive_json()
                    if "event" not in message:
                        return message["result"]
                    events.append(message["event"])

            await ask("userDataStream.subscribe.signature")
            order = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.01"}
            placed = await ask("order.place", type="MARKET", **order)
            check(PLACED, placed, "order.place")
            stands = await ask("order.place", type="LIMIT", timeInForce="GTC", price="10000", **order)
            cancelled = await ask("order.cancel", symbol="BTCUSDT", orderId=stands["orderId"])
            check(CANCELLED, cancelled, "order.cancel")
            check(QUERIED, await ask("order.status", symbol="BTCUSDT", orderId=placed["orderId"]), "order.status")
            check([QUERIED], await ask("allOrders", symbol="BTCUSDT"), "allOrders")
            check([TRADED], await ask("myTrades", symbol="BTCUSDT"), "myTrades")
            check(ACCOUNT, await ask("account.status"), "account.status")
            reports = [event for event in events if event["e"] == "executionReport"]
            assert {report["x"] for report in reports} == {"NEW", "TRADE", "CANCELED"}
            for report in reports:
                asset = report.pop("N")
                assert asset == ("BTC" if report["x"] == "TRADE" else None)
                check(REPORTED, report, report["x"])
            for event in events:
                if event["e"] == "outboundAccountPosition":
                    check(POSITION, event, "position")

    asyncio.run(main())
