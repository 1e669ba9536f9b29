"""Accounts beside each other on one exchange: each has its own delays, its own books, and survives a restart."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ccxt
import pytest

from sapphire.domain.errors import ExchangeError
from sapphire.execution import Control, Credentials, Exchange, ccxt_config

MINUTE_NS = 60_000_000_000
BARS = 30
SYMBOL = "BTC/USDT"
FUNDS = {"USDT": "1000000", "BTC": "10"}


def exchange(journal: Path | None = None) -> Exchange:
    """An exchange in lock-step whose development account can buy and sell."""
    return Exchange(symbols=[SYMBOL], seed=7, lockstep=True, start="2024-03-01", funds=FUNDS, journal=journal)


def client(running: Exchange, credentials: Credentials | None = None) -> ccxt.binance:
    """The unmodified client of the development account, or of another."""
    address = running.address
    if credentials is None:
        return ccxt.binance(address.ccxt_config())
    return ccxt.binance(ccxt_config(address.url, address.ws_url, credentials.api_key, credentials.api_secret))


def trade(of: ccxt.binance, bar: int, best: dict[str, float], *, name: str) -> dict[str, Any]:
    """One order of a bar: it takes, rests at the best bid or ask of the public book, or sweeps it."""
    side, price, amount, kind = (
        ("buy", best["ask"], 0.02, "GTC"),
        ("sell", best["ask"], 0.05, "GTC"),
        ("buy", best["bid"], 0.05, "GTC"),
        ("sell", best["bid"], 2.0, "IOC"),
        ("buy", best["ask"] + 5, 3.0, "IOC"),
    )[bar % 5]
    named = {"timeInForce": kind, "clientOrderId": f"{name}-{bar}"}
    order: dict[str, Any] = of.create_order(SYMBOL, "limit", side, amount, price, named)
    return order


def thirty_bars(running: Exchange, *, is_second_there: bool) -> list[str]:
    """What the development account and the public were told in thirty bars, word for word."""
    control, first = running.control, client(running)
    second = client(running, control.add_account("second", FUNDS)) if is_second_there else None
    answers: list[Any] = []
    rests: list[dict[str, Any]] = []
    for bar in range(BARS):
        best = {side: first.fetch_order_book(SYMBOL, 5)[f"{side}s"][0][0] for side in ("bid", "ask")}
        if second is not None:
            # Before the first account's request, at the same instant: this took the first ordinal and the best prices.
            rests += [trade(second, bar + more, best, name=f"at-{bar}") for more in (4, 1, 3, 2)]
            if bar % 3 == 2:
                second.cancel_order(rests[-1]["id"], SYMBOL)
        answers.append(trade(first, bar, best, name="first")["info"])
        control.advance_fully(control.now_ns() + MINUTE_NS)
        if bar % 7 == 6:
            answers.append(
                [row["info"] for row in first.cancel_all_orders(SYMBOL)] if first.fetch_open_orders(SYMBOL) else []
            )
        answers.append(first.public_get_depth({"symbol": "BTCUSDT", "limit": 50}))
        answers.append(first.public_get_trades({"symbol": "BTCUSDT", "limit": 20}))
    answers.append(first.private_get_mytrades({"symbol": "BTCUSDT"}))
    answers.append(first.private_get_allorders({"symbol": "BTCUSDT"}))
    answers.append(first.fetch_balance()["info"])
    state = control.state(full=True)
    answers += [state["accounts"][0], state["symbols"]]
    if second is not None:
        fills = second.fetch_my_trades(SYMBOL)
        assert len(fills) > BARS
        assert {fill["takerOrMaker"] for fill in fills} == {"maker", "taker"}
        assert {fill["order"] for fill in fills} <= {order["id"] for order in rests}
        mine = state["accounts"][1]
        assert (mine["name"], mine["fills"], len(mine["history"])) == ("second", len(fills), len(rests))
    return [json.dumps(each) for each in answers]


def test_another_account_leaves_an_accounts_fills_as_they_are() -> None:
    with exchange() as running:
        alone = thirty_bars(running, is_second_there=False)
        fills = running.control.state()["accounts"][0]["fills"]
    with exchange() as running:
        beside = thirty_bars(running, is_second_there=True)
    assert fills > BARS
    assert beside == alone


def test_an_account_survives_a_kill_with_its_key_and_its_orders(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    with exchange(journal) as running:
        added = running.control.add_account("second", FUNDS, taker="0.0004")
        rests = client(running, added).create_order(SYMBOL, "limit", "buy", 0.01, 5_000)
        running.control.advance_fully(running.control.now_ns() + MINUTE_NS)
        state = running.control.state(full=True)
        running.kill()
    assert rests["id"] == str((1 << 40) + 1), "no other account's order has this id"
    assert added.api_secret.encode() not in b"".join(path.read_bytes() for path in journal.glob("*.journal"))
    with exchange(journal) as running:
        again = running.control.state(full=True)
        assert again["accounts"] == state["accounts"]
        assert again["outputs"] == state["outputs"]
        assert running.control.account("second") == added
        (order,) = client(running, added).fetch_open_orders(SYMBOL)
        assert order["id"] == rests["id"]
        with pytest.raises(ExchangeError, match="409"):
            running.control.add_account("second", FUNDS)
        assert running.control.add_account("third", {}).account == 3


@pytest.mark.parametrize(
    ("name", "funds", "got"),
    [
        ("second", {}, '409: there is an account "second" already'),
        ("", {}, "400: expected an account name of 1 to 32 letters"),
        ("a/b", {}, "400: expected an account name of 1 to 32 letters"),
        ("x" * 33, {}, "400: expected an account name of 1 to 32 letters"),
        ("third", {"NOSUCH": "1"}, "400: expected one of the assets BTC, USDT"),
        ("third", {"USDT": "-1"}, "400: an account begins with 0 to"),
        ("third", {"USDT": "1e3"}, "400: expected USDT as a decimal"),
        ("third", {"USDT": "100000000000000000000"}, "400: expected USDT as a decimal"),
    ],
)
def test_an_account_that_does_not_fit_is_refused_in_words(
    with_second: Control, name: str, funds: dict[str, str], got: str
) -> None:
    before = with_second.state(full=True)
    with pytest.raises(ExchangeError) as refused:
        with_second.add_account(name, funds)
    assert got in refused.value.got
    assert with_second.state(full=True) == before


def test_nobody_finds_an_account_that_is_not_there(with_second: Control) -> None:
    for name in ("third", "", "../state", "a b"):
        with pytest.raises(ExchangeError) as refused:
            with_second.account(name)
        assert refused.value.got.startswith("40")


@pytest.fixture(scope="module")
def with_second() -> Iterator[Control]:
    """The control plane of an exchange that has an account "second"."""
    with exchange() as running:
        running.control.add_account("second", {})
        yield running.control
