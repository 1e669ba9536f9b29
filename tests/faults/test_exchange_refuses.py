"""What keeps the embedded exchange from starting, or a request from being heard, leaves nothing behind.

A full disk under its journal stands beside the exchange's own tests of durability.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ccxt
import pytest

from sapphire.execution import Exchange, ccxt_config

START = "2024-03-01T12:00:00Z"
Refusal = Callable[..., str]


@pytest.fixture
def refused(tmp_path: Path) -> Refusal:
    """Runs `sapphire exchange` to its refusal; what it says, with no journal and no state folder made."""
    home, journal = tmp_path / "home", tmp_path / "journal"
    environment = os.environ | {"SAPPHIRE_HOME": str(home)}

    def start(*words: str) -> str:
        command = [sys.executable, "-m", "sapphire.cli", "exchange", "--lockstep", "--journal", str(journal), *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 1, done.stderr
        assert done.stdout == ""
        assert "Traceback" not in done.stderr
        assert not home.exists()
        assert not [path for path in journal.rglob("*") if path.stat().st_size]
        return done.stderr

    return start


@pytest.mark.parametrize("option", ["--port", "--control-port"])
def test_a_used_port(refused: Refusal, option: str) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        message = refused(option, str(port))
    assert str(port) in message
    assert f"process {os.getpid()}" in message


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n\x00", b"{}" * 99, b"open_time,open\n1,2\n"])
def test_an_unreadable_csv(refused: Refusal, tmp_path: Path, content: bytes) -> None:
    folder = tmp_path / "candles"
    folder.mkdir()
    (folder / "BTCUSDT-1h.csv").write_bytes(content)
    assert "BTCUSDT-1h.csv" in refused("--symbols", "BTCUSDT", "--candles", str(folder))


def test_a_folder_in_the_place_of_a_csv(refused: Refusal, tmp_path: Path) -> None:
    folder = tmp_path / "candles"
    (folder / "BTCUSDT-1h.csv").mkdir(parents=True)
    assert "BTCUSDT-1h.csv" in refused("--symbols", "BTCUSDT", "--candles", str(folder))


@pytest.mark.parametrize("content", [b"", b"{}" * 99, b"ARROW1\x00\x00" + b"\xff" * 64])
def test_an_unreadable_recording(refused: Refusal, tmp_path: Path, content: bytes) -> None:
    folder = tmp_path / "candles"
    folder.mkdir()
    name = "BTC_USDT-1h.feather"
    (folder / name).write_bytes(content)
    message = refused("--symbols", "BTC/USDT", "--candles", str(folder))
    assert name in message
    assert "\n  expected: " in message


@pytest.fixture(scope="module")
def market() -> Iterator[Exchange]:
    with Exchange(symbols=["BTC/USDT"], seed=7, lockstep=True, start=START) as exchange:
        yield exchange


@pytest.mark.parametrize(
    ("wrong", "code"),
    [({"secret": "x" * 64}, -1022), ({"apiKey": "x" * 64}, -2015), ({"apiKey": "short"}, -2014)],
)
def test_an_order_under_a_wrong_key(market: Exchange, wrong: dict[str, str], code: int) -> None:
    address = market.address
    own = ccxt_config(address.url, address.ws_url, address.api_key, address.api_secret)
    client: Any = ccxt.binance(own | wrong)
    before = market.control.state()
    with pytest.raises(ccxt.AuthenticationError) as refused:
        client.create_order("BTC/USDT", "limit", "buy", 0.001, 10_000)
    assert json.loads(str(refused.value).split(" ", 1)[1])["code"] == code
    market.control.advance(market.control.now_ns() + 1_000_000_000)
    after = market.control.state()
    assert after["accounts"] == before["accounts"]
    owner: Any = ccxt.binance(own)
    assert owner.fetch_open_orders("BTC/USDT") == []
