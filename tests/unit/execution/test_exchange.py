"""The embedded exchange as a process: found, started, told, ended."""

import os
import stat
from pathlib import Path
from urllib.parse import urlsplit

import ccxt
import pytest

from sapphire.domain.errors import EngineMissing, ExchangeError, NotReady, ValueRefused
from sapphire.execution import Exchange, ccxt_config, engine_binary
from sapphire.execution.exchange import exchange_arguments


def fake_binary(folder: Path, script: str) -> None:
    """A program in the exchange's place."""
    path = folder / "exchange"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("start", ["2025-03-07T23:45", "2025-03-07T23:45Z", "2025-03-08T00:45+01:00"])
def test_a_start_is_any_moment_that_python_takes(start: str) -> None:
    words = exchange_arguments(symbols=["BTC/USDT"], start=start)
    assert words[words.index("--start") + 1] == "2025-03-07T23:45:00Z"


def test_a_start_that_is_no_moment_is_refused_before_anything_runs() -> None:
    with pytest.raises(ValueRefused, match="noon"):
        exchange_arguments(symbols=["BTC/USDT"], start="noon")


def test_a_missing_binary_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(EngineMissing) as error:
        engine_binary("exchange", environment={"SAPPHIRE_ENGINE_BIN": str(tmp_path)})
    assert "make engine" in str(error.value)
    assert str(tmp_path / "exchange") in str(error.value)


def test_the_environment_names_another_folder(tmp_path: Path) -> None:
    fake_binary(tmp_path, "exit 0")
    assert engine_binary("exchange", environment={"SAPPHIRE_ENGINE_BIN": str(tmp_path)}) == tmp_path / "exchange"


def test_an_exchange_comes_up_tells_where_it_is_and_ends() -> None:
    with Exchange(symbols=["BTC/USDT"], seed=7, lockstep=True, funds={"USDT": "5"}) as exchange:
        pid = exchange.pid
        assert is_running(pid)
        assert exchange.address.url.startswith("http://127.0.0.1:")
        assert exchange.control.state()["accounts"][0]["balances"]["USDT"]["free"] == "500000000"
    assert not is_running(pid)
    with pytest.raises(ExchangeError, match="not running"):
        _ = exchange.address


def test_secrets_are_not_shown() -> None:
    with Exchange(lockstep=True) as exchange:
        shown = repr(exchange.address) + repr(exchange.control.add_account("second", {}))
        assert exchange.address.api_secret not in shown
        assert exchange.address.control_token not in shown
        assert exchange.address.control_read_token not in shown


@pytest.mark.parametrize(
    ("bind", "host", "expected"), [("0.0.0.0", "localhost", "localhost"), ("::1", None, "[::1]"), ("::", None, "[::1]")]
)
def test_it_listens_where_it_is_told_and_is_reached_by_what_it_tells(bind, host, expected) -> None:
    with Exchange(symbols=["BTC/USDT"], lockstep=True, bind=bind, host=host) as exchange:
        address = exchange.address
        for url in (address.url, address.ws_url, address.control_url):
            assert urlsplit(url).netloc.rpartition(":")[0] == expected
        assert exchange.control.drain() is True
        assert list(ccxt.binance(address.ccxt_config()).load_markets()) == ["BTC/USDT"]


def test_an_address_of_another_machine_is_told_with_its_own_words() -> None:
    with pytest.raises(NotReady) as error:
        Exchange(bind="192.0.2.1").start()
    assert "bind is no address of this machine" in error.value.got


def test_a_kill_ends_it_at_once_and_it_can_start_again() -> None:
    exchange = Exchange(lockstep=True)
    exchange.start()
    pid = exchange.pid
    exchange.kill()
    assert not is_running(pid)
    with exchange:
        assert exchange.pid != pid


def test_a_second_start_is_refused() -> None:
    with Exchange(lockstep=True) as exchange, pytest.raises(ExchangeError, match="already started"):
        exchange.start()


def test_what_it_cannot_do_is_told_with_its_own_words() -> None:
    with pytest.raises(NotReady) as error:
        Exchange(symbols=["NO/SUCH"]).start()
    assert "unknown symbol" in str(error.value)


def test_a_used_port_names_its_holder() -> None:
    with Exchange(lockstep=True) as exchange:
        port = int(exchange.address.url.rsplit(":", 1)[1])
        with pytest.raises(NotReady, match=f"process {exchange.pid}"):
            Exchange(lockstep=True, port=port).start()


def test_silence_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAPPHIRE_ENGINE_BIN", str(tmp_path))
    fake_binary(tmp_path, "echo waiting >&2; exec sleep 60")
    exchange = Exchange(ready_within=0.5)
    with pytest.raises(NotReady, match="waiting"):
        exchange.start()


def test_a_first_line_of_another_version_is_an_error_that_shows_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAPPHIRE_ENGINE_BIN", str(tmp_path))
    fake_binary(tmp_path, 'echo \'{"url": "x", "api_secret": "hidden"}\'; exec sleep 60')
    with pytest.raises(NotReady) as error:
        Exchange().start()
    assert "make engine" in str(error.value)
    assert "hidden" not in str(error.value)


def test_the_log_can_be_kept(tmp_path: Path) -> None:
    log = tmp_path / "exchange.log"
    with Exchange(lockstep=True, log=log) as exchange:
        exchange.control.state()
    assert "shutting down" in log.read_text()


def test_ccxt_finds_every_address_under_one_server() -> None:
    settings = ccxt_config("http://host:1/", "ws://host:2/", "key", "secret")
    api = settings["urls"]["api"]
    assert (settings["apiKey"], settings["secret"]) == ("key", "secret")
    assert "/stream" in api["ws"]["spot"], "by this ccxt.pro knows a spot socket"
    assert api["ws"]["linear"].endswith("/ws"), "by this ccxt.pro finds the futures' own paths"
    assert {url.split("/", 3)[2] for url in api.values() if isinstance(url, str)} == {"host:1"}
    assert "apiKey" not in ccxt_config("http://host:1", "ws://host:2")
