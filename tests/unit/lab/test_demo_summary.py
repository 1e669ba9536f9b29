"""The demo's last words have their form, and say what was measured."""

import copy

import pytest

from sapphire.lab.demo.summary import Summary

FACTS = {
    "market": "generated market, seed 7",
    "symbols": ["BTC/USDT", "ETH/USDT"],
    "seconds": 192.4,
    "ccxt": {"orders": 2, "fills": 2, "balances_agree": True},
    "replays_identical": True,
    "release": {
        "release": "trend@1",
        "paper": True,
        "live": False,
        "deflated_sharpe": 0.22,
        "deflated_sharpe_text": "deflated Sharpe 0.22 < 0.95",
        "trials": 74,
    },
    "traded": {
        "bars": 500,
        "orders": 41,
        "fills": 44,
        "untraded": "",
        "books": {"lost": [], "doubled": [], "changed": [], "balances_equal": True},
        "evidence_return": 0.0132,
        "traded_return": 0.0132,
        "parity": {"unexplained_lots": 0, "lots_by_cause": {}},
        "costless_return": 0.0142,
        "steps_bps": [["risk limits", 0.0], ["fees", -6.0], ["spread of the book", -3.0], ["latency", -1.0]],
        "steps_quote": [["risk limits", 0.0], ["fees", -600.0], ["spread of the book", -300.0], ["latency", -100.0]],
        "quote": "USDT",
        "latency": [{"hop": "signal to wire", "n": 41, "median_us": 24.0, "max_us": 131.0}],
        "replay": {"steps": 12_480, "identical": True},
        "sound": True,
    },
    "look_at": [".sapphire/reports/daily.html", "make lab", "sapphire trace sap-0001-67411b00-1a"],
}


@pytest.fixture
def facts():
    return copy.deepcopy(FACTS)


def test_the_summary_has_its_form(facts):
    assert str(Summary(facts)).strip("\n").split("\n") == [
        " Sapphire demo, 500 bars of BTC/USDT and ETH/USDT, generated market, seed 7          3 min 12 s",
        "",
        " release     trend@1    paper only (deflated Sharpe 0.22 < 0.95, N = 74)",
        " traded      41 orders, 44 fills, 0 lost, 0 doubled; balances equal the exchange's to the last digit",
        " parity      evidence +1.32 %, traded +1.32 %: 0 lots unexplained",
        " costs       fees -6.0, spread of the book -3.0, latency -1.0: -10.0 bps in all, -1,000.00 USDT",
        " latency     signal to wire, n = 41: median 24 us, max 131 us   (percentiles: make bench)",
        " replay      12,480 steps, byte-identical",
        "",
        " look at     .sapphire/reports/daily.html      make lab      sapphire trace sap-0001-67411b00-1a",
    ]
    assert Summary(facts).is_sound


def test_a_long_label_stands_apart_from_the_time(facts):
    facts["market"] = "recorded candles (binanceusdm-as-spot)"
    assert "(binanceusdm-as-spot)    3 min 12 s\n" in str(Summary(facts))


def test_what_is_lost_or_differs_is_said(facts):
    facts["traded"]["books"] |= {"lost": ["fill 3 of BTC/USDT"], "balances_equal": False}
    facts["traded"]["parity"] = {"unexplained_lots": 5, "lots_by_cause": {"signal late": 2, "unexplained": 5}}
    facts["traded"]["replay"]["identical"] = False
    text = str(Summary(facts))
    assert "1 lost, 0 doubled; balances DIFFER" in text
    assert "5 lots unexplained (2 lots signal late, 5 lots unexplained)" in text
    assert "NOT identical" in text


@pytest.mark.parametrize(
    ("where", "key"), [("ccxt", "balances_agree"), (None, "replays_identical"), ("traded", "sound")]
)
def test_one_check_that_does_not_hold_is_enough(facts, where, key):
    (facts if where is None else facts[where])[key] = False
    assert not Summary(facts).is_sound


def test_books_that_were_not_compared_are_no_proof(facts):
    facts["traded"]["books"] = None
    assert not Summary(facts).is_sound
    assert "were not saved" in str(Summary(facts))


def test_a_run_that_sent_nothing_says_so(facts):
    facts["traded"]["latency"] = [{"hop": "signal to wire", "n": 0, "median_us": None, "max_us": None}]
    assert "n = 0: nothing was sent" in str(Summary(facts))


def test_an_account_that_never_traded_is_told_why():
    why = "kept, a change would not earn its cost, mean -0.15 bps in 998 of 998 decisions"
    idle = FACTS | {"traded": FACTS["traded"] | {"orders": 0, "fills": 0, "untraded": why}}
    assert f"0 orders, 0 fills (never traded: {why})" in str(Summary(idle))
    assert "never traded" not in str(Summary(FACTS))
