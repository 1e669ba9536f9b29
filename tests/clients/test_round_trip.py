"""`sapphire round-trip`, which `helm test` runs: against a real exchange, and against what is wrong."""

import json
from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sapphire.cli import app
from sapphire.domain.errors import ConfigError, ExchangeError, Refused, UnknownInstrument
from sapphire.execution import Credentials, Exchange
from sapphire.execution.round_trip import round_trip


def keys_file(folder: Path, account: Credentials) -> Path:
    path = folder / "venue-keys.json"
    path.write_text(json.dumps({"api_key": account.api_key, "api_secret": account.api_secret}))
    path.chmod(0o600)
    return path


@pytest.fixture
def words(venue: Exchange, account: Credentials, tmp_path: Path) -> list[str]:
    return ["round-trip", venue.address.url, "--keys", str(keys_file(tmp_path, account)), "--json"]


def test_an_order_goes_there_and_back_and_the_balances_add_up(venue: Exchange, words: list[str]) -> None:
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert done.exit_code == 0
    outcome = json.loads(done.stdout)
    assert outcome["symbol"] == "BTC/USDT"
    assert len({outcome["rested"], outcome["bought"], outcome["sold"]}) == 3
    assert outcome["fills"] >= 2
    # a smallest order twice over: fees of both ways and the spread, and the rest of a lot that is not sold
    assert Decimal(0) < Decimal(outcome["cost"]) < Decimal(20)


def test_again_is_as_well(venue: Exchange, words: list[str]) -> None:
    for _ in range(2):
        assert CliRunner().invoke(app, [*words, "--symbol", "ETH/USDT"], catch_exceptions=False).exit_code == 0


def test_without_money_the_exchange_refuses_and_is_quoted(venue: Exchange) -> None:
    poor = venue.control.add_account("poor", {"USDT": "1"})
    with pytest.raises(ExchangeError, match="InsufficientFunds"):
        round_trip(venue.address.url, "BTC/USDT", api_key=poor.api_key, api_secret=poor.api_secret)


def test_keys_that_are_none_are_refused_by_the_exchange(venue: Exchange) -> None:
    with pytest.raises(ExchangeError, match=r"Auth|key"):
        round_trip(venue.address.url, "BTC/USDT", api_key="a" * 64, api_secret="b" * 64)


def test_what_is_not_traded_is_named(venue: Exchange, account: Credentials) -> None:
    with pytest.raises(UnknownInstrument, match="BTC/USDT, ETH/USDT"):
        round_trip(venue.address.url, "SOL/USDT", api_key=account.api_key, api_secret=account.api_secret)


def test_nobody_there_is_an_exchange_that_is_not_reached(account: Credentials) -> None:
    with pytest.raises(ExchangeError, match=r"http://127\.0\.0\.1:1"):
        round_trip("http://127.0.0.1:1", "BTC/USDT", api_key=account.api_key, api_secret=account.api_secret)


def test_keys_that_others_can_read_and_files_without_keys_are_refused(words: list[str], tmp_path: Path) -> None:
    keys = tmp_path / "venue-keys.json"
    keys.chmod(0o644)
    with pytest.raises(Refused, match="others can read"):
        CliRunner().invoke(app, words, catch_exceptions=False)
    keys.chmod(0o600)
    keys.write_text("{}")
    with pytest.raises(ConfigError, match="holds no keys"):
        CliRunner().invoke(app, words, catch_exceptions=False)


def test_balances_that_fills_do_not_explain_are_an_error(
    venue: Exchange, account: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody pays in meanwhile: the account is not the round trip's alone."""
    import ccxt

    fetch = ccxt.binance.fetch_my_trades

    def paid_in(client: ccxt.binance, symbol: str) -> list[object]:
        venue.control.deposit(account.account, "USDT", "5")
        return fetch(client, symbol)

    monkeypatch.setattr(ccxt.binance, "fetch_my_trades", paid_in)
    with pytest.raises(ExchangeError, match="fills and fees explain the balances"):
        round_trip(venue.address.url, "BTC/USDT", api_key=account.api_key, api_secret=account.api_secret)
