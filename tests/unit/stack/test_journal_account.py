"""The account as a journal's rows have it: what passes, since when and why, what is held and worth."""

import pytest

from sapphire.domain.errors import MissingData
from sapphire.stack.account.from_journal import JournalAccount

ONE = 10**8
LISTED = [{"symbol": "BTC/USDT", "lot_atoms": "1000"}, {"symbol": "ETH/USDT", "lot_atoms": "10000"}]
RUN = {"kind": "run", "config": {"account": "paper", "quote": "USDT", "instruments": LISTED}}


def adjusted(asset, atoms):
    return {"kind": "adjusted", "market_ns": "1", "asset": asset, "atoms": str(atoms)}


def fill(side, lots, quote, *, fee="BTC", at=5):
    row = {"symbol": "BTC/USDT", "side": side, "lots": str(lots), "quote_atoms": str(quote), "fee_asset": fee}
    return {"kind": "fill", "market_ns": str(at), **row, "fee_atoms": "10"}


def word(command, state, by, at, symbol=None):
    fields = {"cause": "COMMAND" if command else "LOSS", "command": command, "by": by, "symbol": symbol}
    return {"kind": "trading", "market_ns": str(at), "state": state, **fields}


def test_what_is_held_follows_from_balances_and_fills():
    rows = [
        RUN,
        adjusted("USDT", 1_000 * ONE),
        adjusted("BNB", 7),
        fill("BUY", 300, 20 * ONE),
        fill("SELL", 100, 9 * ONE),
    ]
    rows += [{"kind": "end_of_bar", "bar_close_ns": "9"}, fill("SELL", 50, ONE, fee="BNB", at=12), {"kind": "end"}]
    account = JournalAccount(rows)
    positions = account.positions({"BTC/USDT": 64_000 * ONE})
    btc, eth = positions["positions"]
    assert (btc["atoms"], btc["lots"]) == (str(150_000 - 20), "149")
    assert btc["value_atoms"] == str((150_000 - 20) * 64_000)
    assert (eth["atoms"], eth["value_atoms"]) == ("0", None)
    assert positions["cash_quote_atoms"] == str(990 * ONE)
    assert positions["equity_quote_atoms"] == str(990 * ONE + (150_000 - 20) * 64_000)
    assert positions["others"] == [{"asset": "BNB", "atoms": "-3"}]
    assert positions["fees"] == [{"asset": "BTC", "atoms": "20", "quote_atoms": None},
                            {"asset": "BNB", "atoms": "10", "quote_atoms": None}]  # fmt: skip
    assert (account.market_ns, account.last_bar_close_ns) == (12, 9)
    assert account.positions({})["equity_quote_atoms"] is None, "without a price nobody knows it"


def test_a_word_said_again_keeps_its_time_and_a_resume_clears_what_was_closed():
    rows = [RUN, adjusted("BTC", 5_000)]
    halted = [word("halt", "HALTED", "ann: a test", 3), word("halt", "HALTED", "bob: again", 4)]
    trading = JournalAccount([*rows, *halted]).trading()
    assert trading["trading"] == "HALTED"
    assert trading["trading_set"] == {"word": "halt", "market_ns": "3", "by": "ann", "why": "a test"}
    assert trading["closed"] == []
    closed = [
        word("close", "ACTIVE", "ann: delisting", 5, "BTC/USDT"),
        word("close", "ACTIVE", "ann: x", 6, "BTC/USDT"),
    ]
    (row,) = JournalAccount([*rows, *closed]).trading()["closed"]
    assert (row["symbol"], row["set"]["market_ns"], row["standing"], row["lots"]) == ("BTC/USDT", "5", "selling", "5")
    flat = JournalAccount([*rows, *closed, word("flatten", "REDUCING", "bob: all", 7)]).trading()
    assert [(row["symbol"], row["set"]["why"], row["standing"]) for row in flat["closed"]] == [
        ("BTC/USDT", "delisting", "selling"),
        ("ETH/USDT", "all", "flat"),
    ]
    stopped = JournalAccount([*rows, *closed, *halted]).trading()
    assert [row["standing"] for row in stopped["closed"]] == ["halted"]
    again = JournalAccount([*rows, *closed, *halted, word("resume", "ACTIVE", "ann: good", 9)]).trading()
    assert (again["trading"], again["trading_set"]["why"], again["closed"]) == ("ACTIVE", "good", [])


def test_what_the_service_said_itself_has_no_person_and_the_last_run_counts():
    trading = JournalAccount([RUN, adjusted("BTC", 5_000), word("halt", "HALTED", "the disk is full", 3)]).trading()
    assert (trading["trading_set"]["by"], trading["trading_set"]["why"]) == ("service", "the disk is full")
    trading = JournalAccount([RUN, word(None, "HALTED", None, 3)]).trading()
    assert (trading["trading_set"]["word"], trading["trading_set"]["by"]) == ("loss", "service")
    later = JournalAccount([RUN, adjusted("BTC", 5_000), word("halt", "HALTED", "a: b", 3), RUN])
    assert (later.trading()["trading"], later.positions({})["positions"][0]["atoms"]) == ("ACTIVE", "0")


def test_a_journal_without_a_run_is_missing():
    with pytest.raises(MissingData, match="holds no run"):
        JournalAccount([])
