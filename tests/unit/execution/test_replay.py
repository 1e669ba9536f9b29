"""The compiled replay through its Python face: by hand to the atom, on generated and on recorded candles."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
import sapphire_engine
from hypothesis import given, settings
from hypothesis import strategies as st
from sapphire_engine import MODELS, NO_SIGNAL, EngineError, Replay

MINUTE = 60_000_000_000
HOUR = 60 * MINUTE
START = 1_704_067_200_000_000_000  # 2024-01-01T00:00Z
UNIT = 10**8
TEN_BPS = 100_000
SYMBOLS = ["BTC/USDT", "ETH/USDT"]


def hours(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hours of BTC that open at 50,000.00, 51,000.00 and so on and close 100.00 above."""
    hour = np.arange(count, dtype=np.int64)
    ohlc = np.array([5_000_000, 5_050_000, 4_990_000, 5_010_000]) + 100_000 * hour[:, None]
    return START + hour * HOUR, ohlc, np.full(count, 60_000_000)


def recorded(**changes: Any) -> Replay:
    arguments: dict[str, Any] = {
        "symbols": ["BTC/USDT"],
        "start_ns": START,
        "deposits_atoms": {"USDT": 10_000 * UNIT},
        "time_to_live_ns": HOUR,
        "candles": {"BTC/USDT": hours(5)},
        "candle_interval_ns": HOUR,
        "taker_fee_e8": TEN_BPS,
        "seed": 7,
    }
    return Replay(**(arguments | changes))


def generated(**changes: Any) -> Replay:
    arguments: dict[str, Any] = {
        "symbols": SYMBOLS,
        "start_ns": START,
        "deposits_atoms": {"USDT": 10_000 * UNIT},
        "time_to_live_ns": HOUR,
        "taker_fee_e8": TEN_BPS,
        "latency_ns": (20_000_000, 80_000_000),
        "seed": 7,
    }
    return Replay(**(arguments | changes))


def closes(bars: int) -> np.ndarray:
    return START + HOUR * np.arange(1, bars + 1, dtype=np.int64)


def hold(replay: Replay, lots: int, bars: int) -> Any:
    """Buys at the first close and holds."""
    targets = np.full((bars, 1), NO_SIGNAL)
    targets[0, 0] = lots
    replay.run_targets(closes(bars), targets)
    return replay.finish()


def test_buy_and_hold_under_ideal_by_hand() -> None:
    record = hold(recorded(model="ideal"), 10_000, 3)
    fills = record["fills"]
    # 0.1 BTC at the second hour's open of 51,000.00: 5,100 USDT and 5.10 of fee in USDT.
    assert fills["time_ns"].tolist() == [START + HOUR]
    assert (fills["price_ticks"][0], fills["lots"][0], fills["quote_atoms"][0]) == (5_100_000, 10_000, 5_100 * UNIT)
    assert (fills["fee_asset"], fills["fee_atoms"].tolist()) == (["USDT"], [510_000_000])
    # 4,894.90 USDT, and 0.1 BTC at 51,100.00 and 52,100.00.
    assert record["equity"]["equity_quote_atoms"].tolist() == [10_000 * UNIT, 1_000_490_000_000, 1_010_490_000_000]
    assert record["equity"]["position_atoms"].tolist() == [[0], [10_000_000], [10_000_000]]
    assert record["fees_atoms"] == {"USDT": 510_000_000, "BTC": 0}
    assert record["orders"]["state"] == ["FILLED"]
    assert record["targets"]["end"] == ["REACHED"]


def test_buy_and_hold_under_book_by_hand() -> None:
    record = hold(recorded(model="book", latency_ns=(20_000_000, 80_000_000)), 10_000, 3)
    fills, orders, equity = record["fills"], record["orders"], record["equity"]
    # 10,011 lots, so that 10,000 arrive after 0.1 % in BTC; each fee is cut to whole atoms.
    lots = [int(lots) for lots in fills["lots"]]
    assert sum(lots) == 10_011
    fees = [lot * 1_000 * TEN_BPS // UNIT for lot in lots]
    assert fills["fee_atoms"].tolist() == fees
    assert set(fills["fee_asset"]) == {"BTC"}
    # A tick is 0.01 USDT a BTC, a lot 0.00001 BTC: tick times lot is 10 atoms of USDT.
    quotes = [int(ticks) * lot * 10 for ticks, lot in zip(fills["price_ticks"], lots, strict=True)]
    assert fills["quote_atoms"].tolist() == quotes
    assert min(fills["price_ticks"]) > 5_100_000
    position = 10_011_000 - sum(fees)
    cash = 10_000 * UNIT - sum(quotes)
    assert equity["position_atoms"][:, 0].tolist() == [0, position, position]
    assert equity["cash_quote_atoms"].tolist() == [10_000 * UNIT, cash, cash]
    assert equity["equity_quote_atoms"].tolist()[1:] == [cash + position * 51_100, cash + position * 52_100]
    assert 20_000_000 <= orders["arrives_ns"][0] - orders["sent_ns"][0] <= 80_000_000
    assert set(fills["time_ns"].tolist()) == {int(orders["arrives_ns"][0])}


def test_the_loop_by_hand_is_the_batch() -> None:
    targets = np.array([[10_000, 20_000], [NO_SIGNAL, 0], [0, NO_SIGNAL], [4_000, 4_000]])
    batch = generated()
    batch.run_targets(closes(4), targets)
    loop = generated()
    for close, row in zip(closes(4), targets, strict=True):
        state = loop.close_bar(int(close))
        assert state.close_ns == loop.now_ns == close
        for symbol, lots in zip(SYMBOLS, row, strict=True):
            if lots != NO_SIGNAL:
                loop.signal(symbol, int(lots))
        loop.end_of_bar()
    one, other = batch.finish(), loop.finish()
    assert one["digest"] == other["digest"]
    assert one["fills"]["quote_atoms"].tolist() == other["fills"]["quote_atoms"].tolist()


@pytest.mark.parametrize("model", MODELS)
@settings(max_examples=15, deadline=None)
@given(rows=st.lists(st.tuples(st.integers(0, 20_000), st.integers(0, 20_000)), min_size=1, max_size=20))
def test_every_atom_is_accounted_for_and_twice_is_once(model: str, rows: list[tuple[int, int]]) -> None:
    def run() -> Any:
        replay = generated(model=model)
        replay.run_targets(closes(len(rows)), np.array(rows, dtype=np.int64))
        state = replay.close_bar(START + (len(rows) + 1) * HOUR)
        return replay.finish(), state

    (record, state), (again, _) = run(), run()
    assert record["digest"] == again["digest"]
    fills = record["fills"]
    balances = {"USDT": 10_000 * UNIT, "BTC": 0, "ETH": 0}
    lot_atoms = {"BTC": 1_000, "ETH": 10_000}
    for index, symbol in enumerate(fills["symbol"]):
        base, sign = symbol.split("/")[0], 1 if fills["side"][index] == "BUY" else -1
        balances[base] += sign * int(fills["lots"][index]) * lot_atoms[base]
        balances["USDT"] -= sign * int(fills["quote_atoms"][index])
        balances[fills["fee_asset"][index]] -= int(fills["fee_atoms"][index])
        assert min(balances.values()) >= 0
    assert [state.cash_quote_atoms, *state.position_atoms] == list(balances.values())
    assert state.position_lots == [balances["BTC"] // 1_000, balances["ETH"] // 10_000]


def in_integers(rules: Mapping[str, Any]) -> dict[str, int]:
    return {name: value for name, value in rules.items() if isinstance(value, int)}


def test_rules_given_to_the_generated_market_hold_its_own() -> None:
    rules = in_integers(sapphire_engine.generated_rules("BTC/USDT", seed=7, at_ns=START))
    finer = {**rules, "tick_atoms": rules["tick_atoms"] // 10}
    one = {"symbols": ["BTC/USDT"], "model": "ideal"}
    assert generated(**one, instruments={"BTC/USDT": finer}).close_bar(START + HOUR).equity_quote_atoms == 10_000 * UNIT
    with pytest.raises(EngineError, match="divide its own"):
        generated(**one, instruments={"BTC/USDT": {**rules, "tick_atoms": 3 * rules["tick_atoms"]}})


def test_the_recorded_generated_market_trades_like_the_generated_one() -> None:
    """Minutes of the generated market, recorded and given back, are the same market under `ideal`."""
    candles = {
        symbol: sapphire_engine.generated_candles_ticks(7, symbol, MINUTE, START, START + 4 * HOUR)
        for symbol in SYMBOLS
    }
    rules = {symbol: in_integers(sapphire_engine.generated_rules(symbol, seed=7, at_ns=START)) for symbol in SYMBOLS}
    targets = np.array([[10_000, 20_000], [0, 0], [5_000, NO_SIGNAL]])
    digests = set()
    for market in ({}, {"candles": candles, "candle_interval_ns": MINUTE, "instruments": rules}):
        replay = generated(model="ideal", **market)
        replay.run_targets(closes(3), targets)
        digests.add(replay.finish()["digest"])
    assert len(digests) == 1


def test_limits_and_refusals_are_told() -> None:
    replay = recorded(model="ideal", limits={"symbol": {"max_exposure_atoms": 1_000 * UNIT}})
    replay.close_bar(START + HOUR)
    replay.signal("BTC/USDT", 10_000)
    replay.signal("BTC/USDT", 10_000)
    replay.end_of_bar()
    replay.command("halt")
    replay.close_bar(START + 2 * HOUR)
    replay.signal("BTC/USDT", 1_000)
    record = replay.finish()
    denials = record["denials"]
    assert (denials["code"], denials["level"]) == (["EXPOSURE"], ["symbol"])
    assert (denials["value"][0], denials["limit"][0]) == (5_100 * UNIT, 1_000 * UNIT)
    assert record["orders"]["state"] == ["DENIED"]
    assert record["refusals"]["reason"] == ["REPEATED", "HALTED"]
    assert (record["trading"]["state"], record["trading"]["cause"]) == (["HALTED"], ["COMMAND"])


def test_settings_reach_the_engine() -> None:
    limit = [
        int(hold(recorded(model="spread", settings={"max_slippage_bps": bps}), 10_000, 2)["orders"]["limit_ticks"][0])
        for bps in (0, 100)
    ]
    assert limit[1] == limit[0] * 10_100 // 10_000


def test_other_instruments_need_their_rules() -> None:
    rules = {
        "tick_atoms": 1_000_000, "lot_atoms": 1_000, "min_lots": 1, "max_lots": 10**9,
        "min_ticks": 1, "max_ticks": 10**9, "min_notional_atoms": 5 * UNIT,
    }  # fmt: skip
    changes: dict[str, Any] = {"symbols": ["XYZ/USDT"], "candles": {"XYZ/USDT": hours(5)}, "model": "ideal"}
    assert len(hold(recorded(**changes, instruments={"XYZ/USDT": rules}), 10_000, 2)["fills"]["lots"]) == 1
    with pytest.raises(EngineError, match="instrument of XYZ/USDT"):
        recorded(**changes)
    with pytest.raises(EngineError, match="max_ticks"):
        recorded(
            **changes, instruments={"XYZ/USDT": {key: value for key, value in rules.items() if key != "max_ticks"}}
        )


Call = Callable[[], Any]


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda: recorded(symbols=["BTCUSDT"]), "symbols"),
        (lambda: recorded(symbols=["BTC/USDT", "BTC/USDT"]), "symbols"),
        (lambda: recorded(symbols=[]), "symbols"),
        (lambda: recorded(model="perfect"), "model"),
        (lambda: recorded(latency_ns=(5, 4)), "latency_ns"),
        (lambda: recorded(deposits_atoms={"EUR": 1}), "deposit"),
        (lambda: recorded(deposits_atoms={"USDT": -1}), "deposit of USDT"),
        (lambda: recorded(start_ns=-1), "start_ns"),
        (lambda: recorded(time_to_live_ns=0), "time_to_live_ns"),
        (lambda: recorded(maker_fee_e8=-1), "fees"),
        (lambda: recorded(taker_fee_e8=10**8), "configuration of a replay"),
        (lambda: recorded(limits={"max_order": 1}), "limits"),
        (lambda: recorded(limits={"account": {"max_open_atoms": "much"}}), "limits: account: max_open_atoms"),
        (lambda: recorded(limits={"symbols": {"ETH/USDT": {}}}), "symbol"),
        (lambda: recorded(limits={"collar_bps": 0}), "configuration of a replay"),
        (lambda: recorded(settings={"slippage": 1}), "settings"),
        (lambda: recorded(candles={}), "recorded candles"),
        (lambda: recorded(candles={"ETH/USDT": hours(2)}), "symbol"),
        (
            lambda: recorded(candles={"BTC/USDT": (hours(2)[0], hours(3)[1], hours(2)[2])}),
            "recorded candles of BTC/USDT",
        ),
        (lambda: recorded(candle_interval_ns=MINUTE * 7), "recorded candles of BTC/USDT"),
        (lambda: recorded().end_of_bar(), "steps of a bar"),
        (lambda: recorded().close_bar(START + 1), "close of a bar"),
        (lambda: recorded().close_bar(START), "close of a bar"),
        (lambda: recorded().command("stop"), "command"),
        (lambda: recorded().run_targets(closes(2), np.zeros((2, 2), dtype=np.int64)), "table of targets"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(call: Call, what: str) -> None:
    with pytest.raises(EngineError) as refusal:
        call()
    assert refusal.value.what == what
    assert refusal.value.expected
    assert refusal.value.got is not None
    assert str(refusal.value) == f"{what}\n  expected: {refusal.value.expected}\n  got:      {refusal.value.got}"


def test_a_finished_replay_is_over() -> None:
    replay = recorded()
    replay.finish()
    with pytest.raises(EngineError, match="finished"):
        replay.close_bar(START + HOUR)


def test_the_stub_names_what_the_module_has() -> None:
    assert set(sapphire_engine.__all__) <= set(dir(sapphire_engine))
    parameters = inspect.signature(Replay).parameters
    assert {"symbols", "start_ns", "deposits_atoms", "limits", "settings"} <= set(parameters)


SMALL_COIN = {
    "tick_atoms": 1,
    "lot_atoms": UNIT,
    "min_lots": 1,
    "max_lots": 2**63 - 1,
    "min_ticks": 1,
    "max_ticks": 2**63 - 1,
    "min_notional_atoms": UNIT,
}
"""A coin at half a millionth of a dollar: a tick is one atom, and 100,000 dollars buy 2e19 atoms of it."""


def small_coin(**changes: Any) -> Replay:
    hour = np.arange(6, dtype=np.int64)
    ohlc = np.array([50, 55, 48, 52]) + 2 * hour[:, None]
    arguments: dict[str, Any] = {
        "symbols": ["PEPE/USDT"],
        "deposits_atoms": {"USDT": 100_000 * UNIT},
        "candles": {"PEPE/USDT": (START + hour * HOUR, ohlc, np.full(6, 10**15))},
        "instruments": {"PEPE/USDT": SMALL_COIN},
    }
    return recorded(**(arguments | changes))


@pytest.mark.parametrize("model", MODELS)
def test_a_coin_of_many_zeros_is_held_and_valued_as_plain_decimal_arithmetic_says(model: str) -> None:
    replay = small_coin(model=model)
    replay.run_targets(closes(6), np.array([[0], [150 * 10**9], [120 * 10**9], [120 * 10**9], [0], [0]]))
    record = replay.finish()
    fills, equity = record["fills"], record["equity"]
    assert record["denials"]["code"] == []
    assert len(fills["lots"]) >= 3
    rows = list(
        zip(
            *(fills[name] for name in ("time_ns", "side", "price_ticks", "lots", "fee_asset", "fee_atoms")), strict=True
        )
    )
    atom = Decimal("1e-8")
    for bar, close_ns in enumerate(closes(6)):
        cash, coins = Decimal(100_000), Decimal(0)
        for time_ns, side, ticks, lots, fee_asset, fee_atoms in rows:
            if time_ns >= close_ns:
                continue  # in answer to this close
            sign = 1 if side == "BUY" else -1
            coins += sign * int(lots) - (int(fee_atoms) * atom if fee_asset == "PEPE" else 0)
            cash -= sign * int(lots) * int(ticks) * atom + (int(fee_atoms) * atom if fee_asset == "USDT" else 0)
        assert int(equity["cash_quote_atoms"][bar]) == cash / atom
        assert int(equity["position_atoms"][bar][0]) == coins / atom >= 0
        worth = coins * (52 + 2 * bar) * atom
        assert int(equity["equity_quote_atoms"][bar]) == int((cash + worth) / atom)
    assert max(equity["position_atoms"][:, 0]) > 2**63
    fee = sum(int(row[5]) for row in rows if row[4] == "PEPE") if model != "ideal" else 0
    assert record["fees_atoms"]["PEPE"] == fee


def test_amounts_are_64_bit_columns_where_they_fit_and_exact_integers_where_they_do_not() -> None:
    targets = np.array([[0], [150 * 10**9]])
    small, wide = small_coin(model="ideal"), small_coin(model="ideal")
    small.run_targets(closes(2), targets // 10**6)
    wide.run_targets(closes(3), np.vstack([targets, targets[1:]]))
    assert small.finish()["equity"]["position_atoms"].dtype == np.int64
    position = wide.finish()["equity"]["position_atoms"]
    assert (position.dtype, position.shape, position[2, 0]) == (np.dtype(object), (3, 1), 150 * 10**17)
    assert all(type(atoms) is int for atoms in position[:, 0])


def test_what_no_account_can_hold_is_refused_by_name() -> None:
    def refusal(**changes: Any) -> EngineError:
        with pytest.raises(EngineError) as caught:
            small_coin(**changes).close_bar(START + HOUR)
        return caught.value

    for atoms in (10**28 + 1, 2**200, -1):
        assert refusal(deposits_atoms={"USDT": atoms}).what == "deposit of USDT"
    assert "10000000000000000000000000000 atoms" in refusal(deposits_atoms={"USDT": 2**200}).expected
    # 1e20 coins at a million each cost more than an account can hold.
    hour = np.arange(3, dtype=np.int64)
    expensive = {"PEPE/USDT": (START + hour * HOUR, np.full((3, 4), 10**14), np.full(3, 10**9))}
    rich = refusal(deposits_atoms={"PEPE": 10**28}, candles=expensive, model="ideal")
    assert rich.what.startswith(("holding of asset", "value of PEPE"))
    assert str(10**28) in rich.expected
    assert (
        refusal(instruments={"PEPE/USDT": SMALL_COIN | {"tick_atoms": 0}}).what == "instruments: PEPE/USDT: tick_atoms"
    )
    limits = {"account": {"max_order_atoms": 2**100}}
    assert refusal(limits=limits).what == "limits: account: max_order_atoms"
    loud = {"PEPE/USDT": (START + hour * HOUR, np.full((3, 4), 50), np.full(3, 2**62))}
    assert refusal(candles=loud).what == "recorded volumes of PEPE/USDT"


def test_limits_wider_than_64_bits_are_limits() -> None:
    replay = small_coin(model="ideal", deposits_atoms={"USDT": 10**20}, limits={"account": {"max_order_atoms": 10**19}})
    replay.run_targets(closes(2), np.array([[0], [3 * 10**17]]))
    denials = replay.finish()["denials"]
    assert denials["code"] == ["ORDER_NOTIONAL"]
    assert (denials["value"][0], denials["limit"][0]) == (3 * 10**17 * 54, 10**19)
