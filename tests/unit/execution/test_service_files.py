"""The service's settings and credentials as files, and what its client says when nothing answers."""

import json
import stat
from pathlib import Path

import pytest

from sapphire.domain.errors import EngineError, MissingData, NotReady, Refused
from sapphire.execution.exchange import ExchangeAddress
from sapphire.execution.journal import journal_rows, replay_journal, verify_journal
from sapphire.execution.service import (
    Service,
    ServiceAddress,
    ServiceSettings,
    draw_token,
    read_credentials,
    write_credentials,
)
from sapphire.serving.ports import free_port

VENUE = ExchangeAddress("http://v", "ws://v", "http://c", "control-token", "key", "secret", "look-token")


TRUST = {"key": "/c/promoter.ed25519.pub"}


def settings(**changed):
    given = {
        "account": "paper", "account_tag": 1, "release": "ab" * 32, "venue": "embedded", "stage": "paper",
        "home": Path("/h"), "trust": TRUST,
        "folder": Path("/r/account"), "symbols": ("BTC/USDT", "ETH/USDT"), "quote": "USDT", "interval": "5m",
        "rest_url": "http://127.0.0.1:1", "ws_url": "ws://127.0.0.1:1", "credentials": Path("/r/credentials.json"),
        "bus_url": "valkey://127.0.0.1:2/0", "signal_key": Path("/r/signal-key"),
        "clock": {"lockstep": True}, "port": 3,
    }  # fmt: skip
    return ServiceSettings(**given | changed)


def test_the_settings_file_says_what_the_service_reads(tmp_path):
    path = tmp_path / "service.json"
    settings(control_url="http://127.0.0.1:4", execution={"max_slippage_bps": 20}).write(path)
    assert json.loads(path.read_text()) == {
        "account": "paper", "account_tag": 1, "release": "ab" * 32, "stage": "paper", "home": "/h", "trust": TRUST,
        "folder": "/r/account",
        "symbols": ["BTC/USDT", "ETH/USDT"], "quote": "USDT", "interval": "5m",
        "venue": {
            "name": "embedded", "rest_url": "http://127.0.0.1:1", "ws_url": "ws://127.0.0.1:1",
            "control_url": "http://127.0.0.1:4",
        },
        "credentials": "/r/credentials.json", "bus_url": "valkey://127.0.0.1:2/0", "clock": {"lockstep": True},
        "signal_key": "/r/signal-key", "service_tokens": None, "bus_password": None,
        "limits": {}, "execution": {"max_slippage_bps": 20}, "port": 3, "bind": "127.0.0.1", "host": None,
        "journal": {"segment_bytes": 4_194_304, "reserve_bytes": 1_048_576}, "spin": False,
    }  # fmt: skip


@pytest.mark.parametrize(("lockstep", "token"), [(True, "look-token"), (False, None)])
def test_credentials_are_their_owner_s_alone(tmp_path, lockstep, token):
    path = tmp_path / "run" / "credentials.json"
    for _ in range(2):  # a second start writes them again
        write_credentials(path, VENUE, service_token="t", service_read_token="r", lockstep=lockstep)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_credentials(path) == {
        "api_key": "key", "api_secret": "secret", "venue_control_token": token, "service_token": "t",
        "service_read_token": "r",
    }  # fmt: skip
    assert [each.name for each in path.parent.iterdir()] == ["credentials.json"]
    path.chmod(0o640)
    with pytest.raises(Refused, match="others can read") as refused:
        read_credentials(path)
    assert "secret" not in str(refused.value)
    assert refused.value.next == f"chmod 600 {path}"


def test_missing_credentials_say_who_writes_them(tmp_path):
    with pytest.raises(Refused, match="no credentials"):
        read_credentials(tmp_path / "none.json")


def test_tokens_differ():
    assert len(draw_token()) == 64
    assert draw_token() != draw_token()


def test_the_first_line_is_read_or_refused():
    line = b'{"control_url": "http://127.0.0.1:5", "account": "paper", "epoch": 7, "pid": 8}\n'
    assert ServiceAddress.read(line) == ServiceAddress("http://127.0.0.1:5", "paper", 7, 8)
    for other in (b"", b"hello\n", b"{}", b"[1]"):
        with pytest.raises(NotReady, match="first line"):
            ServiceAddress.read(other)


def test_a_service_that_is_gone_is_an_error():
    service = Service(f"http://127.0.0.1:{free_port()}", "t")
    for ask in (service.state, service.positions, service.orders, service.fills, lambda: service.halt("why")):
        with pytest.raises(NotReady, match="did not answer"):
            ask()


def test_a_folder_without_a_journal_is_an_error(tmp_path):
    for ask in (verify_journal, replay_journal, lambda folder: list(journal_rows(folder))):
        with pytest.raises(MissingData, match="no account of a service"):
            ask(tmp_path / "none")


def test_what_the_binary_cannot_read_is_told_in_its_words(tmp_path, monkeypatch):
    binary = tmp_path / "service"
    binary.write_text("#!/bin/sh\necho '{\"kind\": \"run\"}'\necho 'damaged at record 7' >&2\nexit 1\n")
    binary.chmod(0o755)
    monkeypatch.setenv("SAPPHIRE_ENGINE_BIN", str(tmp_path))
    rows = journal_rows(tmp_path)
    assert next(rows) == {"kind": "run"}
    with pytest.raises(EngineError, match="could not be read") as error:
        next(rows)
    assert error.value.got == "exit code 1: damaged at record 7"
