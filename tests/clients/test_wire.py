"""The wire below any client: how requests are signed and sent, and what stands in the headers."""

import hashlib
import hmac
import http.client
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest

from sapphire.execution import Credentials, Exchange

FORM = "application/x-www-form-urlencoded"
ORDER = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price=10000"


@dataclass(frozen=True)
class Answered:
    status: int
    headers: dict[str, str]
    body: Any


Send = Callable[..., Answered]


@pytest.fixture
def send(venue: Exchange, account: Credentials) -> Send:
    """Send bytes as they are."""
    connection = http.client.HTTPConnection(urlsplit(venue.address.url).netloc, timeout=10)

    def send(verb: str, path: str, body: str | bytes | None = None, **headers: str) -> Answered:
        headers = {"X-MBX-APIKEY": account.api_key} | {name.replace("_", "-"): text for name, text in headers.items()}
        connection.request(verb, path, body, headers)
        response = connection.getresponse()
        text = response.read()
        answered = {name.lower(): value for name, value in response.getheaders()}
        return Answered(response.status, answered, json.loads(text) if text else None)

    return send


@pytest.fixture
def sign(account: Credentials) -> Callable[[str], str]:
    def sign(payload: str) -> str:
        return hmac.new(account.api_secret.encode(), payload.encode(), hashlib.sha256).hexdigest()

    return sign


def stamp() -> str:
    return f"timestamp={time.time_ns() // 1_000_000}"


def test_signed_in_the_query(send: Send, sign: Callable[[str], str]) -> None:
    query = f"{ORDER}&{stamp()}"
    assert send("POST", f"/api/v3/order?{query}&signature={sign(query)}").body["status"] == "NEW"


def test_signed_in_the_body(send: Send, sign: Callable[[str], str]) -> None:
    body = f"{ORDER}&{stamp()}"
    answered = send("POST", "/api/v3/order", f"{body}&signature={sign(body)}", Content_Type=FORM)
    assert answered.body["status"] == "NEW"


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "application/json; charset=utf-8"])
def test_a_form_is_read_under_any_content_type(send: Send, sign: Callable[[str], str], content_type: str) -> None:
    """Hummingbot posts its form as application/json."""
    body = f"{ORDER}&{stamp()}"
    answered = send("POST", "/api/v3/order", f"{body}&signature={sign(body)}", Content_Type=content_type)
    assert answered.body["status"] == "NEW"


def test_query_and_body_are_signed_as_one_without_a_separator(send: Send, sign: Callable[[str], str]) -> None:
    query = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC"
    body = f"quantity=0.01&price=10000&{stamp()}"
    good = send("POST", f"/api/v3/order?{query}", f"{body}&signature={sign(query + body)}", Content_Type=FORM)
    assert good.body["status"] == "NEW"
    bad = send("POST", f"/api/v3/order?{query}", f"{body}&signature={sign(query + '&' + body)}", Content_Type=FORM)
    assert (bad.status, bad.body["code"]) == (400, -1022)


def test_the_signature_stands_anywhere_and_in_either_case(send: Send, sign: Callable[[str], str]) -> None:
    query = stamp()
    signature = sign(query).upper()
    assert send("GET", f"/api/v3/account?signature={signature}&{query}").status == 200
    window = f"recvWindow=5000&{query}"
    signature = sign(window).upper()
    assert send("GET", f"/api/v3/account?recvWindow=5000&signature={signature}&{query}").status == 200


def test_what_was_signed_is_the_text_as_sent(send: Send, sign: Callable[[str], str]) -> None:
    """Percent-encoding is neither undone nor made before the check."""
    encoded = f"{stamp()}&recvWindow=5%30%30%30"
    assert send("GET", f"/api/v3/account?{encoded}&signature={sign(encoded)}").status == 200
    plain = encoded.replace("%30", "0")
    assert send("GET", f"/api/v3/account?{encoded}&signature={sign(plain)}").body["code"] == -1022


def test_text_that_is_not_ascii_is_not_signed(send: Send, sign: Callable[[str], str]) -> None:
    body = f"{ORDER}&{stamp()}&newClientOrderId=größer"
    answered = send("POST", "/api/v3/order", f"{body}&signature={sign(body)}".encode(), Content_Type=FORM)
    assert answered.body["code"] == -1022


def test_the_query_wins_over_the_body(send: Send, sign: Callable[[str], str]) -> None:
    query, body = f"{ORDER}&{stamp()}", "price=11000"
    answered = send("POST", f"/api/v3/order?{query}&signature={sign(query + body)}", body, Content_Type=FORM)
    assert answered.body["price"] == "10000.00000000"


def test_a_name_twice_is_refused(send: Send) -> None:
    answered = send("GET", "/api/v3/depth?symbol=BTCUSDT&symbol=ETHUSDT")
    assert answered.body == {"code": -1101, "msg": "Duplicate values for a parameter detected."}


def test_a_signed_request_needs_key_time_and_signature(send: Send, sign: Callable[[str], str]) -> None:
    query = stamp()
    signed = f"/api/v3/account?{query}&signature={sign(query)}"
    assert send("GET", signed).status == 200
    without_key = send("GET", signed, X_MBX_APIKEY="")
    assert (without_key.status, without_key.body["code"]) == (401, -2014)
    words = "Mandatory parameter '{}' was not sent, was empty/null, or malformed."
    assert send("GET", f"/api/v3/account?{query}").body == {"code": -1102, "msg": words.format("signature")}
    empty = send("GET", f"/api/v3/account?signature={sign('')}")
    assert empty.body == {"code": -1102, "msg": words.format("timestamp")}


def test_a_key_is_not_asked_for_where_none_is_needed(send: Send) -> None:
    assert send("GET", "/api/v3/ping", X_MBX_APIKEY="").body == {}


def test_answers_count_weight_and_orders(send: Send, sign: Callable[[str], str]) -> None:
    first = send("GET", "/api/v3/depth?symbol=BTCUSDT&limit=1000")
    second = send("GET", "/api/v3/ping")
    used = [int(answered.headers["x-mbx-used-weight-1m"]) for answered in (first, second)]
    assert used[1] - used[0] == 1 or used[1] == 1, "a new minute may have begun between the two"
    assert first.headers["content-type"].startswith("application/json")
    counts = []
    for _ in range(2):
        query = f"{ORDER}&{stamp()}"
        placed = send("POST", f"/api/v3/order?{query}&signature={sign(query)}")
        counts.append((placed.headers["x-mbx-order-count-10s"], placed.headers["x-mbx-order-count-1d"]))
    assert counts[0][1] == "1"
    assert counts[1][1] == "2"
    query = stamp()
    limits = send("GET", f"/api/v3/rateLimit/order?{query}&signature={sign(query)}").body
    assert [(row["interval"], row["limit"]) for row in limits] == [("SECOND", 100), ("DAY", 200_000)]
    assert limits[1]["count"] == 2


def test_how_much_an_answer_tells_is_asked_for(send: Send, sign: Callable[[str], str]) -> None:
    def place(more: str) -> dict[str, Any]:
        query = f"symbol=BTCUSDT&side=BUY&quantity=0.01&{more}&{stamp()}"
        answered: dict[str, Any] = send("POST", f"/api/v3/order?{query}&signature={sign(query)}").body
        return answered

    ids = {"symbol", "orderId", "orderListId", "clientOrderId", "transactTime"}
    limit = "type=LIMIT&timeInForce=GTC&price=10000"
    assert set(place(f"{limit}&newOrderRespType=ACK")) == ids
    assert set(place("type=LIMIT_MAKER&price=10000")) == ids, "the venue's default for orders that cannot trade"
    assert "fills" not in place(f"{limit}&newOrderRespType=RESULT")
    assert place(limit)["fills"] == []
    filled = place("type=MARKET")
    assert filled["status"] == "FILLED"
    assert set(filled["fills"][0]) == {"price", "qty", "commission", "commissionAsset", "tradeId"}


def test_an_address_that_does_not_exist(send: Send) -> None:
    answered = send("GET", "/api/v3/nothing")
    assert (answered.status, answered.body["code"]) == (404, -1099)
    assert send("POST", "/api/v3/depth").status == 404
    assert "x-mbx-used-weight-1m" in answered.headers
