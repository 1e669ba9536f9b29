"""Every error of the venue, by code and words, and the class that the unmodified ccxt makes of it."""

import json
from decimal import Decimal
from typing import Any

import ccxt
import pytest

from sapphire.execution import Exchange

SYMBOL = "BTC/USDT"
LIMIT = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.01",
    "price": "10000",
}
MARKET = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}


def code_and_words(error: pytest.ExceptionInfo[Any]) -> tuple[int, str]:
    """Code and words of the venue, as ccxt passes them on."""
    text = str(error.value)
    body = json.loads(text[text.index("{") :])
    return body["code"], body["msg"]


def without(order: dict[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in order.items() if name not in names}


def steps(client: ccxt.binance) -> dict[str, str]:
    """Numbers that the rules in force have no place for, by name: a generated market's rules follow its price."""
    filters = client.public_get_exchangeinfo({"symbol": LIMIT["symbol"]})["symbols"][0]["filters"]
    price, lot = ({**row} for row in filters if row["filterType"] in ("PRICE_FILTER", "LOT_SIZE"))
    tick, step = Decimal(price["tickSize"]), Decimal(lot["stepSize"])
    named = {
        "between_ticks": Decimal(LIMIT["price"]) + tick / 10,
        "above_prices": Decimal(price["maxPrice"]) + tick,
        "between_lots": Decimal(LIMIT["quantity"]) + step / 10,
        "above_lots": Decimal(lot["maxQty"]) + step,
    }
    return {name: f"{number.normalize():f}" for name, number in named.items()}


BAD_ORDERS = [
    # filters
    (LIMIT | {"price": "{between_ticks}"}, ccxt.InvalidOrder, -1013, "Filter failure: PRICE_FILTER"),
    (LIMIT | {"price": "0"}, ccxt.InvalidOrder, -1013, "Filter failure: PRICE_FILTER"),
    (LIMIT | {"price": "{above_prices}"}, ccxt.InvalidOrder, -1013, "Filter failure: PRICE_FILTER"),
    (LIMIT | {"quantity": "{between_lots}"}, ccxt.InvalidOrder, -1013, "Filter failure: LOT_SIZE"),
    (LIMIT | {"quantity": "0"}, ccxt.InvalidOrder, -1013, "Filter failure: LOT_SIZE"),
    (LIMIT | {"quantity": "{above_lots}"}, ccxt.InvalidOrder, -1013, "Filter failure: LOT_SIZE"),
    (MARKET | {"quantity": "{between_lots}"}, ccxt.InvalidOrder, -1013, "Filter failure: LOT_SIZE"),
    (MARKET | {"quantity": "{above_lots}"}, ccxt.InvalidOrder, -1013, "Filter failure: MARKET_LOT_SIZE"),
    (LIMIT | {"quantity": "0.0001"}, ccxt.BadRequest, -1013, "Filter failure: NOTIONAL"),
    (MARKET | {"quantity": "0.00001"}, ccxt.BadRequest, -1013, "Filter failure: NOTIONAL"),
    # forms
    (
        LIMIT | {"price": "3e4"},
        ccxt.BadRequest,
        -1100,
        r"Illegal characters found in parameter 'price'; legal range is '^([0-9]{1,20})(\.[0-9]{1,20})?$'.",
    ),
    (
        LIMIT | {"newClientOrderId": "no spaces"},
        ccxt.BadRequest,
        -1100,
        "Illegal characters found in parameter 'newClientOrderId'; legal range is '^[a-zA-Z0-9-_]{1,36}$'.",
    ),
    (
        LIMIT | {"symbol": "btcusdt"},
        ccxt.BadRequest,
        -1100,
        "Illegal characters found in parameter 'symbol'; legal range is '^[A-Z0-9-_.]{1,20}$'.",
    ),
    (
        without(LIMIT, "price"),
        ccxt.BadRequest,
        -1102,
        "Mandatory parameter 'price' was not sent, was empty/null, or malformed.",
    ),
    (
        without(LIMIT, "timeInForce"),
        ccxt.BadRequest,
        -1102,
        "Mandatory parameter 'timeInForce' was not sent, was empty/null, or malformed.",
    ),
    (
        without(LIMIT, "symbol"),
        ccxt.BadRequest,
        -1102,
        "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.",
    ),
    (
        without(MARKET, "quantity"),
        ccxt.BadRequest,
        -1102,
        "Param 'quantity' or 'quoteOrderQty' must be sent, but both were empty/null!",
    ),
    (
        LIMIT | {"colour": "blue"},
        ccxt.BadRequest,
        -1104,
        "Not all sent parameters were read; read '10' parameter(s) but was sent '11'.",
    ),
    (LIMIT | {"newOrderRespType": ""}, ccxt.BadRequest, -1105, "Parameter 'newOrderRespType' was empty."),
    (MARKET | {"price": "10000"}, ccxt.BadRequest, -1106, "Parameter 'price' sent when not required."),
    (MARKET | {"timeInForce": "GTC"}, ccxt.BadRequest, -1106, "Parameter 'timeInForce' sent when not required."),
    (LIMIT | {"stopPrice": "9000"}, ccxt.BadRequest, -1106, "Parameter 'stopPrice' sent when not required."),
    (LIMIT | {"price": "10000.000000001"}, ccxt.BadRequest, -1111, "Parameter 'price' has too much precision."),
    (LIMIT | {"timeInForce": "GTX"}, ccxt.BadRequest, -1115, "Invalid timeInForce."),
    (LIMIT | {"type": "LIMITED"}, ccxt.BadRequest, -1116, "Invalid orderType."),
    (LIMIT | {"side": "HOLD"}, ccxt.BadRequest, -1117, "Invalid side."),
    (LIMIT | {"symbol": "NOSUCH"}, ccxt.BadSymbol, -1121, "Invalid symbol."),
    (MARKET | {"quoteOrderQty": "100"}, ccxt.BadRequest, -1128, "Combination of optional parameters invalid."),
    (
        LIMIT | {"selfTradePreventionMode": "NONE"},
        ccxt.BadRequest,
        -1130,
        "Data sent for parameter 'selfTradePreventionMode' is not valid.",
    ),
    # the matching engine
    (
        LIMIT | {"quantity": "1000"},
        ccxt.InsufficientFunds,
        -2010,
        "Account has insufficient balance for requested action.",
    ),
    (
        {**LIMIT, "side": "SELL", "symbol": "ETHUSDT"},
        ccxt.InsufficientFunds,
        -2010,
        "Account has insufficient balance for requested action.",
    ),
    (
        without(LIMIT | {"type": "LIMIT_MAKER", "price": "900000", "quantity": "0.001"}, "timeInForce"),
        ccxt.OrderImmediatelyFillable,
        -2010,
        "Order would immediately match and take.",
    ),
    (
        LIMIT | {"type": "STOP_LOSS_LIMIT", "stopPrice": "9000"},
        ccxt.InvalidOrder,
        -2010,
        "Stop loss limit orders are not supported for this symbol.",
    ),
    (
        LIMIT | {"icebergQty": "0.001"},
        ccxt.InvalidOrder,
        -2010,
        "Iceberg orders are not supported for this symbol.",
    ),
]


@pytest.mark.parametrize(
    ("order", "kind", "code", "words"),
    BAD_ORDERS,
    ids=[f"{code}-{number}" for number, (_, _, code, _) in enumerate(BAD_ORDERS)],
)
def test_a_bad_order_is_refused_in_the_venues_words(
    client: ccxt.binance, order: dict[str, str], kind: type[Exception], code: int, words: str
) -> None:
    numbers = steps(client)
    order = {name: text.format(**numbers) for name, text in order.items()}
    with pytest.raises(ccxt.BaseError) as error:
        client.private_post_order(order)
    assert type(error.value) is kind
    if code != -2010 or kind is ccxt.InvalidOrder:
        assert code_and_words(error) == (code, words)
    else:
        assert words in str(error.value)
    assert client.fetch_orders(SYMBOL) == []


def test_a_client_order_id_is_used_once(client: ccxt.binance) -> None:
    client.create_order(SYMBOL, "limit", "buy", 0.01, 10_000, {"clientOrderId": "once"})
    with pytest.raises(ccxt.InvalidOrder, match="Duplicate order sent"):
        client.create_order(SYMBOL, "limit", "buy", 0.01, 10_000, {"clientOrderId": "once"})
    assert len(client.fetch_open_orders(SYMBOL)) == 1


def test_an_account_has_two_hundred_open_orders_at_most(stepped: Exchange) -> None:
    """The ten-second limit of a hundred orders comes first where time runs, so this one needs time that is moved."""
    control = stepped.control
    client = ccxt.binance(stepped.address.ccxt_config())
    for _ in range(2):
        for step in range(100):
            client.private_post_order(LIMIT | {"price": str(9_000 + step), "quantity": "0.001"})
        with pytest.raises(ccxt.DDoSProtection, match="Too many new orders; current limit is 100 orders per 10 SECOND"):
            client.private_post_order(LIMIT)
        control.advance_fully(control.now_ns() + 10_000_000_000)
    with pytest.raises(ccxt.InvalidOrder, match="MAX_NUM_ORDERS"):
        client.private_post_order(LIMIT)
    assert len(client.cancel_all_orders(SYMBOL)) == 200
    control.advance_fully(control.now_ns() + 1_000_000_000)
    assert client.fetch_open_orders(SYMBOL) == []


def test_before_its_listing_a_symbol_is_closed() -> None:
    with Exchange(symbols=["SOL/USDT"], seed=7, start="2018-01-01") as exchange:
        client = ccxt.binance(exchange.address.ccxt_config())
        assert client.load_markets()["SOL/USDT"]["active"] is False
        with pytest.raises(ccxt.MarketClosed):
            client.create_order("SOL/USDT", "limit", "buy", 1, 10)
        assert client.fetch_ohlcv("SOL/USDT", "1h") == []
        assert client.fetch_tickers()["SOL/USDT"]["info"]["lastPrice"] == "0.00000000"


def test_what_is_not_there_is_not_found(client: ccxt.binance) -> None:
    client.load_markets()
    with pytest.raises(ccxt.OrderNotFound) as error:
        client.fetch_order("123456", SYMBOL)
    assert code_and_words(error) == (-2013, "Order does not exist.")
    with pytest.raises(ccxt.OrderNotFound) as error:
        client.cancel_order("123456", SYMBOL)
    assert code_and_words(error) == (-2011, "Unknown order sent.")
    with pytest.raises(ccxt.OrderNotFound) as error:
        client.cancel_all_orders(SYMBOL)
    assert code_and_words(error) == (-2011, "Unknown order sent.")
    order = client.create_order(SYMBOL, "limit", "buy", 0.01, 10_000)
    client.cancel_order(order["id"], SYMBOL)
    with pytest.raises(ccxt.OrderNotFound) as error:
        client.cancel_order(order["id"], SYMBOL)
    assert code_and_words(error) == (-2011, "Unknown order sent.")


def test_another_accounts_order_is_not_found(venue: Exchange, client: ccxt.binance) -> None:
    order = client.create_order(SYMBOL, "limit", "buy", 0.01, 10_000)
    other = ccxt.binance(venue.address.ccxt_config())
    with pytest.raises(ccxt.OrderNotFound):
        other.fetch_order(order["id"], SYMBOL)
    with pytest.raises(ccxt.OrderNotFound):
        other.cancel_order(order["id"], SYMBOL)


@pytest.mark.parametrize(
    ("query", "code", "words"),
    [
        ({"symbol": "BTCUSDT", "interval": "7m"}, -1120, "Invalid interval."),
        ({"symbol": "BTCUSDT", "interval": "1H"}, -1120, "Invalid interval."),
        (
            {"symbol": "BTCUSDT"},
            -1102,
            "Mandatory parameter 'interval' was not sent, was empty/null, or malformed.",
        ),
        ({"symbol": "BTCUSDT", "interval": "1m", "limit": 0}, -1130, "Data sent for parameter 'limit' is not valid."),
        (
            {"symbol": "BTCUSDT", "interval": "1m", "startTime": "yesterday"},
            -1100,
            "Illegal characters found in parameter 'startTime'; legal range is '^[0-9]{1,20}$'.",
        ),
        (
            {"symbol": "BTCUSDT", "interval": "1m", "a": 1, "b": 2, "c": 3, "d": 4},
            -1101,
            "Too many parameters; expected '5' and received '6'.",
        ),
    ],
)
def test_a_bad_question_is_refused(reader: ccxt.binance, query: dict[str, Any], code: int, words: str) -> None:
    with pytest.raises(ccxt.BadRequest) as error:
        reader.public_get_klines(query)
    assert code_and_words(error) == (code, words)


def test_bad_tickers_are_refused(reader: ccxt.binance) -> None:
    with pytest.raises(ccxt.BadRequest, match="-1128"):
        reader.public_get_ticker_price({"symbol": "BTCUSDT", "symbols": '["ETHUSDT"]'})
    with pytest.raises(ccxt.BadRequest, match="-1100"):
        reader.public_get_ticker_price({"symbols": "BTCUSDT"})
    with pytest.raises(ccxt.BadSymbol, match="-1121"):
        reader.public_get_ticker_price({"symbols": '["BTCUSDT","NOSUCH"]'})
    with pytest.raises(ccxt.ExchangeError, match="-1151"):
        reader.public_get_ticker_price({"symbols": '["BTCUSDT","BTCUSDT"]'})
    with pytest.raises(ccxt.ExchangeError, match="-1139"):
        reader.public_get_ticker_24hr({"symbol": "BTCUSDT", "type": "MAXI"})


def test_windows_of_history_are_a_day_at_most(client: ccxt.binance) -> None:
    day_ms = 86_400_000
    window = {"symbol": "BTCUSDT", "startTime": 1_700_000_000_000, "endTime": 1_700_000_000_000 + day_ms}
    assert client.private_get_allorders(window) == []
    assert client.private_get_mytrades(window) == []
    with pytest.raises(ccxt.BadRequest) as error:
        client.private_get_allorders(window | {"endTime": window["endTime"] + 1})
    assert code_and_words(error) == (-1127, "More than 24 hours between startTime and endTime.")
    with pytest.raises(ccxt.BadRequest, match="-1128"):
        client.private_get_mytrades(window | {"fromId": 1})


# Who asks, and when


def test_a_wrong_secret(settings: dict[str, Any]) -> None:
    client = ccxt.binance(settings | {"secret": "x" * 64})
    with pytest.raises(ccxt.AuthenticationError) as error:
        client.fetch_balance()
    assert code_and_words(error) == (-1022, "Signature for this request is not valid.")


def test_an_unknown_key(settings: dict[str, Any]) -> None:
    client = ccxt.binance(settings | {"apiKey": "x" * 64})
    with pytest.raises(ccxt.AuthenticationError) as error:
        client.fetch_balance()
    assert code_and_words(error) == (-2015, "Invalid API-key, IP, or permissions for action.")


def test_a_key_that_cannot_be_one(settings: dict[str, Any]) -> None:
    client = ccxt.binance(settings | {"apiKey": "short"})
    with pytest.raises(ccxt.AuthenticationError) as error:
        client.fetch_balance()
    assert code_and_words(error) == (-2014, "API-key format invalid.")


def test_a_clock_that_is_behind_or_ahead(client: ccxt.binance) -> None:
    client.load_markets()
    now_ms = client.milliseconds()
    for wrong_ms, words in (
        (now_ms - 12_000, "Timestamp for this request is outside of the recvWindow."),
        (now_ms + 12_000, "Timestamp for this request was 1000ms ahead of the server's time."),
    ):
        client.nonce = lambda wrong_ms=wrong_ms: wrong_ms
        with pytest.raises(ccxt.InvalidNonce) as error:
            client.private_get_account()
        assert code_and_words(error) == (-1021, words)
    client.nonce = lambda: now_ms - 12_000
    assert client.private_get_account({"recvWindow": 60_000})["accountType"] == "SPOT"
    with pytest.raises(ccxt.ExchangeError) as error:
        client.private_get_account({"recvWindow": 60_001})
    assert code_and_words(error) == (-1131, "recvWindow must be less than 60000")


def test_a_market_of_another_time_takes_both_clocks(history: Exchange) -> None:
    client = ccxt.binance(history.address.ccxt_config())
    client.load_markets()
    assert client.private_get_account()["accountType"] == "SPOT", "wall time"
    market_ms = history.control.now_ns() // 1_000_000
    client.nonce = lambda: market_ms
    assert client.private_get_account()["accountType"] == "SPOT", "market time"
    client.nonce = lambda: market_ms + 3_600_000
    with pytest.raises(ccxt.InvalidNonce):
        client.private_get_account()


# How much


def test_who_asks_too_much_is_told_to_wait_and_then_banned() -> None:
    with Exchange(seed=7, lockstep=True) as exchange:
        client = ccxt.binance(exchange.address.ccxt_config())
        for _ in range(24):
            client.public_get_depth({"symbol": "BTCUSDT", "limit": 5000})
        assert client.last_response_headers["x-mbx-used-weight-1m"] == "6000"
        for _ in range(10):
            with pytest.raises(ccxt.DDoSProtection, match=r"429.*-1003.*limit is 6000 request weight per 1 MINUTE"):
                client.public_get_ping()
            assert 0 < int(client.last_response_headers["retry-after"]) <= 60
        with pytest.raises(ccxt.DDoSProtection, match=r"418.*IP banned until"):
            client.public_get_ping()
        assert client.last_response_headers["retry-after"] == "120"
        control = exchange.control
        control.advance_fully(control.now_ns() + 119_000_000_000)
        with pytest.raises(ccxt.DDoSProtection, match="418"):
            client.public_get_ping()
        control.advance_fully(control.now_ns() + 1_000_000_000)
        assert client.public_get_ping() == {}
