"""What the collector refuses before, and says when, nobody answers. What it collects is tested against the exchange."""

import socket
from decimal import Decimal

import ccxt
import pytest

from sapphire.data import Origin, Store, collect
from sapphire.data.collector import _plain
from sapphire.domain import ConfigError, ExchangeError, UnknownInterval, ValueRefused

DAY = ("1h", "2024-01-01", "2024-01-02")


@pytest.fixture
def nobody():
    """An address at which nobody listens, held so that nobody can."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        yield {
            "urls": {"api": {"public": f"{url}/api/v3"}},
            "options": {"maxRetriesOnFailure": 0, "fetchMarkets": {"types": ["spot"]}},
        }


def test_a_venue_that_does_not_answer_is_an_exchange_error(home, nobody):
    with pytest.raises(ExchangeError, match="embedded did not answer") as refused:
        collect(["BTC/USDT"], *DAY, config=nobody, origin=Origin.of_seed(7), progress=False)
    assert isinstance(refused.value.__cause__, ccxt.NetworkError)
    assert refused.value.next == "run it again: 0 new bars are kept, and it goes on from there"
    assert Store().stored() == []


@pytest.mark.parametrize("missing", ["config", "origin"])
def test_the_embedded_exchange_needs_an_address_and_a_market(home, nobody, missing):
    given = {"config": nobody, "origin": Origin.of_seed(7)} | {missing: None}
    with pytest.raises(ConfigError, match="needs an address") as refused:
        collect(["BTC/USDT"], *DAY, **given)
    assert refused.value.got == f"{missing} missing"


def test_a_real_venue_shows_no_generated_market(home):
    with pytest.raises(ConfigError, match="generated market on a real venue"):
        collect(["BTC/USDT"], *DAY, exchange="binance", origin=Origin.of_seed(7))


def test_an_exchange_that_ccxt_does_not_know_is_refused(home):
    with pytest.raises(ValueRefused, match="unknown exchange"):
        collect(["BTC/USDT"], *DAY, exchange="../binance")


@pytest.mark.parametrize("request_", [([], *DAY), ("BTC/USDT", *DAY), (["BTC/USDT"], "1h", "2024-01-02", "2024-01-01")])
def test_nothing_to_collect_is_refused(home, request_):
    with pytest.raises(ValueRefused, match="nothing to collect"):
        collect(*request_, exchange="binance")


def test_an_interval_that_no_venue_has_is_refused(home):
    with pytest.raises(UnknownInterval):
        collect(["BTC/USDT"], "7m", "2024-01-01", "2024-01-02", exchange="binance")


@pytest.mark.parametrize(
    ("value", "mode", "text"),
    [
        (1e-05, ccxt.TICK_SIZE, "0.00001"),
        (0.5, ccxt.TICK_SIZE, "0.5"),
        (2, ccxt.DECIMAL_PLACES, "0.01"),
        (5, ccxt.SIGNIFICANT_DIGITS, ""),
    ],
)
def test_steps_are_plain_decimals_however_ccxt_states_them(value, mode, text):
    assert _plain(value, mode) == text
    assert not text or Decimal(text) > 0
