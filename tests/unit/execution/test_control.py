"""The control plane's client, against a running exchange."""

from collections.abc import Iterator

import pytest

from sapphire.domain.errors import ExchangeError
from sapphire.execution import Control, Exchange

MINUTE_NS = 60_000_000_000


@pytest.fixture(scope="module")
def exchange() -> Iterator[Exchange]:
    with Exchange(seed=7, lockstep=True) as exchange:
        yield exchange


def test_time_moves_as_far_as_it_is_told(exchange: Exchange) -> None:
    control = exchange.control
    start_ns = control.now_ns()
    advanced = control.advance(start_ns + MINUTE_NS)
    assert (advanced.now_ns, advanced.events) == (start_ns + MINUTE_NS, 0)
    assert control.advance(start_ns + 3 * MINUTE_NS, wake_at_ns=[start_ns + 2 * MINUTE_NS]).now_ns == (
        start_ns + 2 * MINUTE_NS
    )
    assert control.advance_fully(start_ns + 3 * MINUTE_NS) == 0
    assert control.now_ns() == start_ns + 3 * MINUTE_NS


def test_time_does_not_go_back(exchange: Exchange) -> None:
    control = exchange.control
    with pytest.raises(ExchangeError, match=r"409.*expected a time from"):
        control.advance(control.now_ns() - 1)


def test_money_goes_in_and_out(exchange: Exchange) -> None:
    control = exchange.control
    account = control.add_account("in-and-out", {"USDT": "10.5"}).account
    assert control.deposit(account, "USDT", "0.00000001") == {"free": "10.50000001", "locked": "0.00000000"}
    assert control.deposit(account, "USDT", "-10.5")["free"] == "0.00000001"
    for asset, amount in (("USDT", "-1"), ("NOSUCH", "1"), ("USDT", "1e3")):
        with pytest.raises(ExchangeError, match="400"):
            control.deposit(account, asset, amount)


def test_the_state_is_full_on_demand(exchange: Exchange) -> None:
    control = exchange.control
    assert "history" not in control.state()["accounts"][0]
    assert control.state(full=True)["accounts"][0]["history"] == []


def test_connections_drain(exchange: Exchange) -> None:
    assert exchange.control.drain() is True


def test_a_wrong_token_is_refused(exchange: Exchange) -> None:
    stranger = Control(exchange.address.control_url, "x" * 64)
    with pytest.raises(ExchangeError, match="401"):
        stranger.advance(0)


def test_the_token_that_reads_looks_and_moves_nothing(exchange: Exchange) -> None:
    reader = Control(exchange.address.control_url, exchange.address.control_read_token)
    before = exchange.control.state(full=True)
    assert reader.state(full=True) == before
    assert reader.drain() is True
    acts = (
        lambda: reader.advance(int(before["now_ns"]) + 60_000_000_000),
        lambda: reader.deposit(1, "USDT", "1"),
        lambda: reader.add_account("third", {}),
        lambda: reader.account("in-and-out"),
        reader.shutdown,
    )
    for act in acts:
        with pytest.raises(ExchangeError) as refused:
            act()
        assert "403" in refused.value.got
        assert "expected the control_token" in refused.value.got
    assert exchange.control.state(full=True) == before


def test_an_exchange_that_is_gone_is_an_error() -> None:
    with Exchange(lockstep=True) as exchange:
        control = Control(exchange.address.control_url, exchange.address.control_token)
        assert control.now_ns() > 0
    with pytest.raises(ExchangeError, match="did not answer /control/state"):
        control.state()


def test_an_exchange_ends_when_it_is_asked_to() -> None:
    exchange = Exchange(lockstep=True)
    exchange.start()
    exchange.control.shutdown()
    exchange.stop()
    with pytest.raises(ExchangeError, match="not running"):
        _ = exchange.pid


def test_time_that_runs_is_not_moved() -> None:
    with Exchange(speed=10.0) as exchange, pytest.raises(ExchangeError, match="lockstep"):
        exchange.control.advance(exchange.control.now_ns() + MINUTE_NS)
