"""Keys and accounts of the exchange from files and arguments: they hold over kills, and are told to nobody."""

import json
import subprocess
import time

import ccxt
import pytest

from sapphire.domain.errors import ExchangeError
from sapphire.execution import ccxt_config, engine_binary
from sapphire.execution.control import Control
from sapphire.execution.exchange import exchange_arguments
from sapphire.telemetry.secret_files import write_secret

FUNDS = {"paper": {"USDT": "1000"}, "second": {"BTC": "2", "USDT": "500"}}


def pair(letter):
    return {"api_key": letter * 64, "api_secret": letter.upper() * 64}


def given(**accounts):
    return {
        "control_token": "acts", "control_read_token": "looks",
        "development": pair("d"), "accounts": {name: pair(letter) for name, letter in accounts.items()},
    }  # fmt: skip


class Running:
    """An exchange on a journal, started with a file of keys."""

    def __init__(self, folder, keys, accounts):
        path = folder / "exchange-keys.json"
        write_secret(path, json.dumps(keys))
        words = exchange_arguments(
            symbols=["BTC/USDT"], seed=7, speed=60.0, start="2025-03-07", journal=folder / "journal",
            funds=FUNDS["paper"], accounts=accounts, keys=path,
        )  # fmt: skip
        command = [str(engine_binary("exchange")), *words]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.line = self.process.stdout.readline()
        self.told = json.loads(self.line) if self.line else None

    def free(self, letter):
        """What an account has, asked with its key as its owner does."""
        told = self.told
        venue = ccxt.binance(ccxt_config(told["url"], told["ws_url"], **pair(letter)))
        balance = venue.fetch_balance()
        return {asset: balance[asset]["free"] for asset in ("BTC", "USDT") if asset in balance}

    def kill(self):
        self.process.kill()
        self.process.communicate()

    def refusal(self):
        _, said = self.process.communicate(timeout=20)
        assert self.process.returncode == 1
        return said.decode()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()


def test_accounts_open_with_the_keys_that_were_given_and_a_kill_changes_nothing(tmp_path):
    others = {"second": FUNDS["second"]}
    with Running(tmp_path, given(second="e"), others) as exchange:
        assert exchange.told.keys() == {"url", "ws_url", "control_url"}
        assert exchange.free("d") == {"BTC": 0.0, "USDT": 1000.0} or exchange.free("d") == {"USDT": 1000.0}
        assert exchange.free("e") == {"BTC": 2.0, "USDT": 500.0}
        state = Control(exchange.told["control_url"], "looks").state()
        assert [account.get("name") for account in state["accounts"]] == [None, "second"]
        time.sleep(0.1)
        exchange.kill()
    kept = "".join(path.read_text(errors="replace") for path in (tmp_path / "journal").rglob("*") if path.is_file())
    assert not any(letter * 64 in kept for letter in "deDE")
    # An account comes, another gets a new key, and what each has stays.
    with Running(tmp_path, given(second="f", third="t"), others | {"third": {"USDT": "7"}}) as exchange:
        assert exchange.free("f") == {"BTC": 2.0, "USDT": 500.0}
        assert exchange.free("t")["USDT"] == 7.0
        assert exchange.free("d")["USDT"] == 1000.0
        with pytest.raises(ccxt.AuthenticationError):
            exchange.free("e")
        control = Control(exchange.told["control_url"], "acts")
        assert [account["orders"] for account in control.state()["accounts"]] == [0, 0, 0]
        with pytest.raises(ExchangeError):
            Control(exchange.told["control_url"], "looks").deposit(1, "USDT", "1")


@pytest.mark.parametrize(
    ("accounts", "said"),
    [
        ({"fourth": {"USDT": "1"}}, "none for fourth"),
        ({"second": {"XRP": "1"}}, "--account second cannot be opened"),
        ({"se cond": {"USDT": "1"}}, "none for se cond"),
    ],
)
def test_an_account_without_a_key_or_that_cannot_be_is_refused(tmp_path, accounts, said):
    exchange = Running(tmp_path, given(second="e"), accounts)
    assert exchange.told is None
    assert said in exchange.refusal()
