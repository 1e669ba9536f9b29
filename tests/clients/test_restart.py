"""A kill of the exchange, as the unmodified client sees it."""

from pathlib import Path

import ccxt
import pytest

from sapphire.execution import Exchange

SYMBOL = "BTC/USDT"


@pytest.mark.parametrize("pace", ["lockstep", "speed"])
def test_a_kill_loses_nothing_that_a_client_was_told(tmp_path: Path, pace: str) -> None:
    lockstep = pace == "lockstep"
    exchange = Exchange(symbols=[SYMBOL], seed=7, lockstep=lockstep, start="2024-03-01", journal=tmp_path)
    exchange.start()
    client = ccxt.binance(exchange.address.ccxt_config())
    stands = client.create_order(SYMBOL, "limit", "buy", 0.01, 10_000, {"clientOrderId": "stands"})
    gone = client.create_order(SYMBOL, "limit", "buy", 0.01, 10_000)
    if lockstep:
        exchange.control.advance_fully(exchange.control.now_ns() + 60_000_000_000)
    client.cancel_order(gone["id"], SYMBOL)
    bought = client.create_order(SYMBOL, "market", "buy", 0.05)

    def state_of_client() -> list[object]:
        orders = client.fetch_orders(SYMBOL)
        return [
            [order["info"] for order in orders],
            [trade["info"] for trade in client.fetch_my_trades(SYMBOL)],
            client.fetch_balance()["info"]["balances"],
        ]

    before, key = state_of_client(), exchange.address.api_key
    exchange.kill()
    with exchange:
        assert exchange.address.api_key == key
        client = ccxt.binance(exchange.address.ccxt_config())
        assert state_of_client() == before
        if lockstep:
            exchange.control.advance_fully(exchange.control.now_ns() + 60_000_000_000)
        assert client.fetch_order(bought["id"], SYMBOL)["status"] == "closed"
        assert [order["id"] for order in client.fetch_open_orders(SYMBOL)] == [stands["id"]]
        with pytest.raises(ccxt.InvalidOrder, match="Duplicate order sent"):
            client.create_order(SYMBOL, "limit", "buy", 0.01, 10_000, {"clientOrderId": "stands"})
