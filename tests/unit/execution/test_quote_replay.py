"""The engine on recorded quotes through its Python face: by hand, and against a plain account."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sapphire_engine import NO_SIGNAL, EngineError, QuoteReplay

MS = 1_000_000
SECOND = 1_000 * MS
UNIT = 10**8
TICK, LOT = UNIT // 10, 1_000
"""0.1 USDT a coin, 0.00001 coins."""
RULES = {
    "tick_atoms": TICK,
    "lot_atoms": LOT,
    "min_lots": 1,
    "max_lots": 10**9,
    "min_ticks": 1,
    "max_ticks": 10**9,
    "min_notional_atoms": 0,
}
Columns = tuple[np.ndarray, np.ndarray, np.ndarray]


def replay(**changes: Any) -> QuoteReplay:
    arguments: dict[str, Any] = {
        "symbol": "BTC/USDT",
        "deposits_atoms": {"USDT": 1_000_000 * UNIT, "BTC": UNIT},
        "time_to_live_ns": 60 * SECOND,
        "instrument": RULES,
    }
    return QuoteReplay(**(arguments | changes))


def quotes(bids: list[int], *, every_ns: int = 100 * MS, spread: int = 1) -> Columns:
    bid = np.array(bids, dtype=np.int64)
    return every_ns * np.arange(1, len(bids) + 1, dtype=np.int64), bid, bid + spread


def saying(targets: dict[int, int]) -> Callable[[int, int, int, int], int | None]:
    """A strategy that states targets at given times, in milliseconds."""
    return lambda time_ns, bid, ask, lots: targets.get(time_ns // MS)


class PlainAccount:
    """Cash and coins in whole atoms; every target is traded at once at the quote, the fee taken in what arrives."""

    def __init__(self, fee_e8: int) -> None:
        self.fee_e8, self.cash, self.coins = fee_e8, 1_000_000 * UNIT, UNIT
        self.fills: list[tuple[int, str, int, int]] = []

    def arrives(self, lots: int) -> int:
        return lots * LOT - lots * LOT * self.fee_e8 // UNIT

    def hold(self, lots: int, time_ns: int, bid: int, ask: int) -> None:
        missing = lots * LOT - self.coins
        if missing > 0:
            size = missing // LOT
            while self.arrives(size) < missing:
                size += 1
            self.cash -= ask * TICK * size * LOT // UNIT
            self.coins += self.arrives(size)
            self.fills.append((time_ns, "BUY", ask, size))
        elif size := min(-missing // LOT, self.coins // LOT):
            value = bid * TICK * size * LOT // UNIT
            self.cash += value - value * self.fee_e8 // UNIT
            self.coins -= size * LOT
            self.fills.append((time_ns, "SELL", bid, size))


steps = st.lists(st.tuples(st.integers(-5, 5), st.none() | st.integers(0, 300_000)), min_size=1, max_size=40)


@given(steps, st.integers(0, 3), st.sampled_from([0, 40_000, 100_000, 1_234_567]))
def test_a_replay_is_a_plain_account_at_the_quotes(
    steps: list[tuple[int, int | None]], spread: int, fee_e8: int
) -> None:
    time_ns, bid, ask = quotes(list(500_000 + np.cumsum([step for step, _ in steps])), spread=spread)
    account = PlainAccount(fee_e8)
    for row, (_, target) in enumerate(steps):
        if target is not None:
            account.hold(target, int(time_ns[row]), int(bid[row]), int(ask[row]))
    made = replay(taker_fee_e8=fee_e8)
    answers = iter([target for _, target in steps])
    made.run(lambda *_: next(answers), time_ns, bid, ask)
    assert made.held_lots == account.coins // LOT
    record = made.finish()
    fills = record["fills"]
    got = zip(
        fills["time_ns"].tolist(), fills["side"], fills["price_ticks"].tolist(), fills["lots"].tolist(), strict=True
    )
    assert list(got) == account.fills
    assert record["equity"]["cash_quote_atoms"][-1] == account.cash
    assert record["equity"]["position_atoms"][-1].tolist() == [account.coins]
    middle = (int(bid[-1]) + int(ask[-1])) * TICK // 2
    assert record["equity"]["equity_quote_atoms"][-1] == account.cash + account.coins * middle // UNIT


@given(steps, st.data())
def test_strategy_targets_and_pieces_decide_alike(steps: list[tuple[int, int | None]], data: st.DataObject) -> None:
    columns = quotes(list(500_000 + np.cumsum([step for step, _ in steps])))
    cut = data.draw(st.integers(0, len(steps)))
    latency = {"latency_ns": (20 * MS, 250 * MS), "seed": 7, "taker_fee_e8": 40_000}
    asked, stated, pieces = (replay(**latency) for _ in range(3))
    answers = iter([target for _, target in steps])
    asked.run(lambda *_: next(answers), *columns)
    targets = np.array([NO_SIGNAL if target is None else target for _, target in steps])
    stated.run_targets(targets, *columns)
    for rows in (slice(None, cut), slice(cut, None)):
        pieces.run_targets(targets[rows], *(column[rows] for column in columns))
    records = [made.finish() for made in (asked, stated, pieces)]
    assert len({record["digest"] for record in records}) == 1
    assert len({str(record["fills"]) for record in records}) == 1


def test_a_strategy_is_told_the_quote_and_what_it_holds() -> None:
    heard: list[tuple[int, ...]] = []

    def strategy(*quote: int) -> int | None:
        heard.append(quote)
        return 150_000 if len(heard) == 1 else None

    replay().run(strategy, *quotes([500_000, 500_007]))
    assert heard == [(100 * MS, 500_000, 500_001, 100_000), (200 * MS, 500_007, 500_008, 150_000)]


@pytest.mark.parametrize(("delay_ms", "price", "at_ms"), [(50, 500_001, 150), (100, 500_101, 200), (250, 500_201, 350)])
def test_an_order_meets_the_quote_that_stands_when_it_arrives(delay_ms: int, price: int, at_ms: int) -> None:
    made = replay(latency_ns=(delay_ms * MS, delay_ms * MS))
    made.run(saying({100: 110_000}), *quotes([500_000, 500_100, 500_200, 500_300]))
    record = made.finish()
    assert record["fills"]["price_ticks"].tolist() == [price]
    assert record["fills"]["time_ns"].tolist() == record["orders"]["arrives_ns"].tolist() == [at_ms * MS]


def test_what_travels_at_the_end_is_left_travelling() -> None:
    made = replay(latency_ns=(SECOND, SECOND))
    made.run(saying({100: 110_000}), *quotes([500_000, 500_100]))
    record = made.finish()
    assert (record["orders"]["state"], record["fills"]["lots"].tolist()) == (["SUBMITTED"], [])


def test_a_size_is_traded_once_and_the_rest_waits_for_the_next_quote() -> None:
    columns = quotes([500_000] * 4)
    made = replay(settings={"retry_ns": 30 * MS})
    made.run(saying({100: 100_250}), *columns, ask_lots=np.array([100, 0, 100, 1_000]))
    record = made.finish()
    fills = record["fills"]
    # Tried again at 130, 160 and so on, when nothing is left of the 100 lots, and after the quote of 300 and of 400 ms.
    assert (fills["lots"].tolist(), fills["time_ns"].tolist()) == ([100, 100, 50], [100 * MS, 310 * MS, 400 * MS])
    assert set(record["orders"]["state"]) == {"EXPIRED", "FILLED"}
    assert record["targets"]["end"] == ["REACHED"]


def test_a_target_ends_with_its_time_to_live() -> None:
    made = replay(time_to_live_ns=150 * MS, settings={"retry_ns": 10 * MS})
    made.run(saying({100: 100_250}), *quotes([500_000] * 4), ask_lots=np.zeros(4, dtype=np.int64))
    record = made.finish()
    targets = record["targets"]
    assert (targets["end"], targets["lots"].tolist(), targets["time_ns"].tolist()) == (
        ["TIME_TO_LIVE"],
        [250],
        [250 * MS],
    )
    assert record["fills"]["lots"].size == 0


def test_the_account_is_noted_at_multiples_and_at_the_end() -> None:
    made = replay(equity_every_ns=200 * MS)
    time_ns = np.array([100, 250, 450, 1_250, 1_300]) * MS
    bid = np.array([500_000, 500_010, 500_020, 500_030, 500_040])
    made.run(saying({250: 0}), time_ns, bid, bid + 2)
    equity = made.finish()["equity"]
    # At 200 by the quote of 100, at 400 by that of 250 after its sale, then at 1,200: nothing passed 600 to 1,000.
    assert equity["close_ns"].tolist() == [200 * MS, 400 * MS, 1_200 * MS, 1_300 * MS]
    cash = 1_000_000 * UNIT
    sold = cash + 500_010 * TICK
    assert equity["cash_quote_atoms"].tolist() == [cash, sold, sold, sold]
    assert equity["equity_quote_atoms"].tolist() == [cash + 500_001 * TICK, sold, sold, sold]
    assert equity["position_atoms"].tolist() == [[UNIT], [0], [0], [0]]


def test_what_the_engine_refuses_is_in_the_record() -> None:
    made = replay(limits={"account": {"max_orders_per_second": 1}}, settings={"retry_ns": 20 * SECOND})
    time_ns, bid, ask = quotes([500_000] * 4)
    answers = iter([-1, 100_100, 100_200, 0])
    time_ns[2] = time_ns[1]
    made.run(lambda *_: next(answers), time_ns, bid, ask)
    record = made.finish()
    assert record["refusals"]["reason"] == ["BELOW_ZERO", "REPEATED"]
    assert record["denials"]["code"] == ["RATE_SECOND"]
    assert record["orders"]["state"] == ["FILLED", "DENIED"]


def test_a_halt_stops_what_follows() -> None:
    made = replay()
    columns = quotes([500_000] * 2)
    made.run(saying({}), *columns)
    made.command("halt")
    later = columns[0] + SECOND
    made.run(saying({1_100: 0}), later, *columns[1:])
    record = made.finish()
    assert (record["trading"]["state"], record["refusals"]["reason"]) == (["HALTED"], ["HALTED"])


def test_what_a_strategy_raises_stops_the_replay_there() -> None:
    made = replay()

    def strategy(time_ns: int, bid: int, ask: int, lots: int) -> int | None:
        if time_ns == 300 * MS:
            raise ArithmeticError("no idea")
        return 0 if time_ns == 200 * MS else None

    with pytest.raises(ArithmeticError, match="no idea"):
        made.run(strategy, *quotes([500_000] * 4))
    assert (made.now_ns, made.held_lots) == (300 * MS, 0)
    assert made.finish()["fills"]["lots"].tolist() == [100_000]


def run(made: QuoteReplay, changes: dict[str, Any]) -> None:
    time_ns, bid, ask = quotes([500_000] * 3)
    columns: dict[str, Any] = {"time_ns": time_ns, "bid_ticks": bid, "ask_ticks": ask} | changes
    made.run(saying({100: 0}), **columns)


@pytest.mark.parametrize(
    ("changes", "what", "got"),
    [
        ({"time_ns": np.array([1, 3, 2])}, "quote in row 2", "2"),
        ({"time_ns": np.array([-1, 3, 4])}, "quote in row 0", "-1"),
        ({"bid_ticks": np.array([1, 0, 1])}, "quote in row 1", "bid 0 (any size), ask 500001 (any size)"),
        ({"ask_ticks": np.array([1, 1, 1])}, "quote in row 0", "bid 500000 (any size), ask 1 (any size)"),
        ({"bid_lots": np.array([1, 1, -1])}, "quote in row 2", "bid 500000 (-1 lots), ask 500001 (any size)"),
        ({"ask_ticks": np.array([500_001])}, "column ask_ticks", "1"),
        ({"ask_lots": np.array([], dtype=np.int64)}, "column ask_lots", "0"),
    ],
)
def test_a_bad_table_is_refused_by_row_and_changes_nothing(changes: dict[str, Any], what: str, got: str) -> None:
    made = replay()
    with pytest.raises(EngineError) as caught:
        run(made, changes)
    assert (caught.value.what, caught.value.got) == (what, got)
    assert made.now_ns is None
    run(made, {})
    assert made.finish()["fills"]["lots"].tolist() == [100_000]


def test_what_cannot_be_meant_is_refused_by_name() -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"symbol": "BTCUSDT"}, "symbols"),
        ({"symbol": "NEW/USDT", "deposits_atoms": {}, "instrument": None}, "instrument of NEW/USDT"),
        ({"deposits_atoms": {"ETH": 1}}, "deposit"),
        ({"time_to_live_ns": 0}, "time_to_live_ns"),
        ({"equity_every_ns": 0}, "equity_every_ns"),
        ({"taker_fee_e8": -1}, "fees"),
        ({"latency_ns": (2, 1)}, "latency_ns"),
        ({"limits": {"symbols": {"ETH/USDT": {}}}}, "symbol"),
        ({"settings": {"retries": 1}}, "settings"),
    ]
    for changes, what in wrong:
        with pytest.raises(EngineError) as caught:
            replay(**changes)
        assert caught.value.what == what
    made = replay()
    with pytest.raises(EngineError, match="target or command"):
        made.command("halt")
    with pytest.raises(EngineError, match="answer of the strategy in row 0"):
        made.run(lambda *_: 1.5, *quotes([500_000]))  # type: ignore[arg-type]
    made.finish()
    with pytest.raises(EngineError, match="finished"):
        run(made, {})
