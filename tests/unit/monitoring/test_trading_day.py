"""The journal's rows become values, exactly, and nothing in them is passed over."""

import pytest

from sapphire.domain.errors import DataError
from sapphire.monitoring import TradedDay

AT = {"step": "5", "market_ns": "1000"}
CONFIG = {"quote": "USDT", "account": "paper", "fee_rate": "100000",
          "instruments": [{"symbol": "BTC/USDT", "tick_atoms": "1000000", "lot_atoms": "1000"}]}  # fmt: skip
ORDER = {"kind": "order", **AT, "order": "sap-0001-00000007-1", "release": "ab", "symbol": "BTC/USDT", "side": "BUY",
         "ticks": "6425010", "lots": "50000", "time_in_force": "IOC", "bar_close_ns": "900"}  # fmt: skip
FILL = {"kind": "fill", **AT, "order": "sap-0001-00000007-1", "symbol": "BTC/USDT", "side": "BUY", "trade": "9",
        "ticks": "6425010", "lots": "50000", "quote_atoms": "3212505000000", "fee_asset": "BTC",
        "fee_atoms": "50000"}  # fmt: skip
END = {"kind": "end", "steps": "9", "digest": "d"}


def deposit(step, asset, atoms):
    return {"kind": "adjusted", "step": str(step), "market_ns": "0", "asset": asset, "atoms": str(atoms)}


def day(*rows):
    return TradedDay.of([{"kind": "run", "config": CONFIG, "wall_ns": "0"}, *rows, END])


def test_holdings_are_the_deposits_and_every_fill_and_fee_to_the_atom():
    made = day(deposit(2, "USDT", 10_000_000_000_000), ORDER, FILL)
    # 50,000 lots of 1,000 atoms less the fee of 0.1 %; the fill's value from the cash
    assert made.final_holdings() == {"USDT": 10_000_000_000_000 - 3_212_505_000_000, "BTC": 50_000_000 - 50_000}


def test_what_comes_in_before_the_first_order_is_what_the_account_began_with():
    made = day(deposit(2, "USDT", 100), deposit(3, "USDT", 5), ORDER, deposit(8, "BTC", -7))
    assert made.began_with == {"USDT": 105}
    assert [(each.asset, each.atoms) for each in made.adjusted_later] == [("BTC", -7)]


def test_refusals_and_denials_are_counted_by_their_reasons():
    signal = {"kind": "signal", **AT, "entry": "1-1", "release": "ab", "symbol": "BTC/USDT", "target_lots": "1",
              "bar_close_ns": "900", "time_to_live_ns": "100", "refused": None}  # fmt: skip
    denied = {**ORDER, "kind": "denied", "code": "COLLAR", "level": "order", "value": "1200", "limit": "1000"}
    made = day(signal, {**signal, "refused": "LATE"}, {**signal, "refused": "LATE"}, denied)
    assert (made.refused_for, made.denied_for) == ({"LATE": 2}, {"COLLAR": 1})
    assert (made.denials[0].value, made.denials[0].limit, made.denials[0].level) == (1_200, 1_000, "order")


def test_of_several_runs_in_a_journal_the_last_is_the_day():
    again = {"kind": "run", "config": {**CONFIG, "account": "second"}, "wall_ns": "1"}
    made = day(ORDER, FILL, END, again, deposit(1, "USDT", 3))
    assert (made.config["account"], made.orders, made.fills) == ("second", (), ())
    assert made.began_with == {"USDT": 3}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"kind": "news", **AT}, "unknown kind 'news'"),
        ({**FILL, "lots": "many"}, "invalid literal"),
        ({key: value for key, value in FILL.items() if key != "fee_asset"}, "KeyError"),
    ],
)
def test_a_row_that_cannot_be_read_is_refused_and_named(row, message):
    with pytest.raises(DataError, match="row 2 of the journal's export") as refused:
        day(row)
    assert message in refused.value.got


def test_a_journal_without_a_run_is_refused():
    with pytest.raises(DataError, match="holds no run"):
        TradedDay.of([])


def start(release, epoch, market_ns):
    """A start of the service: what it begins with, and its first event."""
    wall_ns = str(10 * market_ns)
    return (
        {"kind": "start", "epoch": epoch, "release": release, "wall_ns": wall_ns},
        {"kind": "epoch", "epoch": epoch, "step": str(epoch), "market_ns": str(market_ns)},
    )


def test_what_was_traded_when_is_said_once_for_each_release_in_turn():
    one, two = "ab" * 32, "cd" * 32
    made = day(*start(one, 1, 100), *start(one, 2, 200), *start(two, 3, 300), *start(one, 4, 400))
    assert [(each.release, each.market_ns, each.wall_ns) for each in made.traded] == [
        (one, 100, 1_000),
        (two, 300, 3_000),
        (one, 400, 4_000),
    ]
    assert made.epochs == (1, 2, 3, 4)
    assert day(*start(None, 1, 100)).traded == (), "a journal of before it was written does not say"
