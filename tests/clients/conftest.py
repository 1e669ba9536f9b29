"""Real exchanges for real clients.

The binary is not built here: a missing one fails every test with the command that makes it.
"""

from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import count
from typing import Any

import ccxt
import pytest

from sapphire.execution import Credentials, Exchange, ccxt_config

FUNDS = {"USDT": "1000000", "BTC": "10"}
MINUTE_NS = 60_000_000_000
_NUMBERS = count(1)


@pytest.fixture(scope="session")
def venue() -> Iterator[Exchange]:
    """An exchange whose time runs, where orders are answered with their fills."""
    with Exchange(symbols=["BTC/USDT", "ETH/USDT"], seed=7, start="2024-03-01T12:00:00Z") as exchange:
        yield exchange


@pytest.fixture(scope="session")
def history() -> Iterator[Exchange]:
    """An exchange in lock-step that has traded for an hour and stands still since."""
    with Exchange(symbols=["BTC/USDT", "ETH/USDT"], seed=7, lockstep=True, start="2024-03-01T12:00:00Z") as exchange:
        control = exchange.control
        control.advance_fully(control.now_ns() + 60 * MINUTE_NS + 30_000_000_000)
        yield exchange


@pytest.fixture
def stepped() -> Iterator[Exchange]:
    """An exchange in lock-step of one's own, with a request delay of 5 to 25 ms."""
    with Exchange(symbols=["BTC/USDT", "ETH/USDT"], seed=7, lockstep=True, start="2024-03-01T12:00:00Z") as exchange:
        yield exchange


@pytest.fixture
def account(venue: Exchange) -> Credentials:
    """An account of one's own at the exchange whose time runs."""
    return venue.control.add_account(f"test-{next(_NUMBERS)}", FUNDS)


@pytest.fixture
def settings(venue: Exchange, account: Credentials) -> dict[str, Any]:
    """ccxt's settings for the account of one's own."""
    address = venue.address
    return ccxt_config(address.url, address.ws_url, account.api_key, account.api_secret)


@pytest.fixture
def client(settings: dict[str, Any]) -> ccxt.binance:
    """The unmodified sync client with an account of its own."""
    return ccxt.binance(settings)


@pytest.fixture
def reader(history: Exchange) -> ccxt.binance:
    """The unmodified sync client of the exchange that stands still."""
    return ccxt.binance(history.address.ccxt_config())


@pytest.fixture
def balances(client: ccxt.binance) -> Callable[[], dict[str, tuple[Decimal, Decimal]]]:
    """Free and locked of each asset, as the exchange writes them."""

    def read() -> dict[str, tuple[Decimal, Decimal]]:
        rows = client.fetch_balance()["info"]["balances"]
        return {row["asset"]: (Decimal(row["free"]), Decimal(row["locked"])) for row in rows}

    return read
