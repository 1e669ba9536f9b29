"""How fast two plain jobs are beside the engines that people use for them: the answers first, then the speed.

Quotes: 1,000,000 quotes of one symbol, 100 ms apart, a random walk of the bid by -1, 0 or 1 tick and a spread of one
tick; a position of +1 or -1 by the cross of exponential averages of the middle over 100 and 200 quotes, from the 200th
quote on, by orders that take, with a fee of 4 bps. Spot is not held below zero, so the account begins with the one coin
that it may be short of, and holds 2 or 0. `strategy` asks a Python strategy at every quote; `targets` takes the same
decisions from pandas, which is part of the time.

Sweep: 1,000 pairs of simple averages over 50,000 closes, long or flat, at the close of the cross, with a fee of 10 bps.

The peers' numbers were measured with the same seeds, sizes and answers on 2 shared virtual cores of an AMD EPYC (Zen 4,
2.6 GHz), one run each, wall time and processor time: NautilusTrader 1.221.0 (the newest for Python 3.11) with the same
strategy in Python, its time to build ticks left out; vectorbt 1.2.0 with Numba, compiled before. Both sides use one
core. `--vectorbt` runs the second here, which takes 4 GB and a minute. On a machine that others load too, the processor
time is the fairer one.

    python tests/bench/peers.py [--runs N] [--vectorbt]
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sapphire_engine import NO_SIGNAL, QuoteReplay, sweep_crosses

if TYPE_CHECKING:
    from sapphire_engine import InstrumentRules, ReplayRecord

QUOTES, ORDERS = 1_000_000, 4_521
FAST, SLOW = 100, 200
BARS, PAIRS, SWEPT_ORDERS, MEAN_RETURN = 50_000, 1_000, 373_594, -0.359928


@dataclass(frozen=True)
class Speed:
    """Seconds of one run."""

    wall: float
    cpu: float


NAUTILUS = Speed(wall=QUOTES / 97_000, cpu=QUOTES / 115_000)
VECTORBT = Speed(wall=14.9, cpu=14.6)

UNIT = 10**8
LOT_ATOMS = 1_000
COIN = UNIT // LOT_ATOMS
RULES: InstrumentRules = {
    "tick_atoms": UNIT // 10,
    "lot_atoms": LOT_ATOMS,
    "min_lots": 1,
    "max_lots": 1_000 * COIN,
    "min_ticks": 1,
    "max_ticks": 10**8,
    "min_notional_atoms": 0,
}


class AverageCross:
    """Two coins while the fast average of the middle is above the slow one, none otherwise."""

    __slots__ = ("fast", "held", "seen", "slow")

    def __init__(self) -> None:
        self.fast = self.slow = 0.0
        self.seen = 0
        self.held = -1

    def __call__(self, time_ns: int, bid_ticks: int, ask_ticks: int, held_lots: int) -> int | None:
        middle = (bid_ticks + ask_ticks) * 0.5
        if self.seen == 0:
            self.fast = self.slow = middle
        else:
            self.fast += 2 / (FAST + 1) * (middle - self.fast)
            self.slow += 2 / (SLOW + 1) * (middle - self.slow)
        self.seen += 1
        if self.seen < SLOW:
            return None
        wanted = 2 * COIN if self.fast > self.slow else 0
        if wanted == self.held:
            return None
        self.held = wanted
        return wanted


def quotes() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    steps = np.random.default_rng(7).integers(-1, 2, QUOTES)
    bid = 500_000 + np.cumsum(steps)
    return 1_700_000_000_000_000_000 + 100_000_000 * np.arange(QUOTES), bid, bid + 1


def replay() -> QuoteReplay:
    return QuoteReplay(
        symbol="BTC/USDT",
        deposits_atoms={"USDT": 100_000_000 * UNIT, "BTC": UNIT},
        time_to_live_ns=1_000_000_000,
        taker_fee_e8=40_000,
        instrument=RULES,
    )


def by_strategy(columns: tuple[np.ndarray, np.ndarray, np.ndarray]) -> QuoteReplay:
    made = replay()
    made.run(AverageCross(), *columns)
    return made


def by_targets(columns: tuple[np.ndarray, np.ndarray, np.ndarray]) -> QuoteReplay:
    _, bid, ask = columns
    middle = pd.Series((bid + ask) * 0.5)
    fast, slow = (middle.ewm(span=span, adjust=False).mean().to_numpy() for span in (FAST, SLOW))
    wanted = np.where(fast > slow, 2 * COIN, 0)
    changes = np.flatnonzero(np.diff(wanted[SLOW - 1 :], prepend=-1)) + SLOW - 1
    targets = np.full(QUOTES, NO_SIGNAL)
    targets[changes] = wanted[changes]
    made = replay()
    made.run_targets(targets, *columns)
    return made


def expected_fills(columns: tuple[np.ndarray, np.ndarray, np.ndarray]) -> list[tuple[int, str, int]]:
    """Time, side and price of every order, by the strategy alone."""
    strategy, held, fills = AverageCross(), COIN, []
    for time_ns, bid, ask in zip(*(column.tolist() for column in columns), strict=True):
        wanted = strategy(time_ns, bid, ask, 0)
        if wanted is not None:
            fills.append((time_ns, "BUY", ask) if wanted > held else (time_ns, "SELL", bid))
            held = wanted
    return fills


def check_quotes(record: ReplayRecord, fills: list[tuple[int, str, int]]) -> None:
    """Every order once, whole, at its quote, and the position within a lot of its target."""
    fills = record["fills"]
    got = list(zip(fills["time_ns"].tolist(), fills["side"], fills["price_ticks"].tolist(), strict=True))
    states, counts = set(record["orders"]["state"]), len(record["orders"]["state"])
    refused = len(record["refusals"]["reason"]) + len(record["denials"]["code"])
    if counts != ORDERS or states != {"FILLED"} or refused or got != fills:
        raise SystemExit(f"wrong answer: expected {ORDERS:,} orders filled at their quotes, got {counts:,}, {states}")
    held = UNIT
    for side, lots, fee in zip(fills["side"], fills["lots"].tolist(), fills["fee_atoms"].tolist(), strict=True):
        held += lots * LOT_ATOMS - fee if side == "BUY" else -lots * LOT_ATOMS
        over = held - (2 * UNIT if side == "BUY" else 0)
        if not 0 <= over < LOT_ATOMS:
            raise SystemExit(f"wrong answer: {held} atoms held after a {side}, {over} beyond the target")
    if held != record["equity"]["position_atoms"][-1, 0]:
        raise SystemExit("wrong answer: the fills do not add up to the position")


def closes() -> np.ndarray:
    return 50_000.0 * np.exp(np.cumsum(np.random.default_rng(11).normal(0, 0.002, BARS)))


def lengths() -> tuple[np.ndarray, np.ndarray]:
    pairs = [(fast, fast + more) for fast in range(5, 205, 5) for more in range(10, 260, 10)][:PAIRS]
    return np.array([fast for fast, _ in pairs]), np.array([slow for _, slow in pairs])


def check_sweep(orders: int, mean_return: float) -> None:
    if orders != SWEPT_ORDERS or round(mean_return, 6) != MEAN_RETURN:
        raise SystemExit(
            f"wrong answer: expected {SWEPT_ORDERS:,} orders and a mean return of {MEAN_RETURN}, "
            f"got {orders:,} and {mean_return:.6f}"
        )


def vectorbt_here(close: np.ndarray, fast: np.ndarray, slow: np.ndarray) -> Speed:
    """The peer on the same work here, after a small run that compiles."""
    import vectorbt

    vectorbt.settings["engine"] = "numba"

    def run(bars: int, pairs: int) -> tuple[int, float]:
        index = pd.date_range("2024-01-01", periods=bars, freq="1min")
        price = pd.Series(close[:bars], index=index, name="close")
        one = vectorbt.MA.run(price, window=fast[:pairs].tolist(), short_name="fast")
        other = vectorbt.MA.run(price, window=slow[:pairs].tolist(), short_name="slow")
        portfolio = vectorbt.Portfolio.from_signals(
            price, one.ma_crossed_above(other), one.ma_crossed_below(other), fees=0.001, freq="1min"
        )
        return int(portfolio.orders.count().sum()), float(portfolio.total_return().mean())

    answers = [run(1_000, 4)]
    taken = timed(lambda: answers.append(run(BARS, PAIRS)))
    check_sweep(*answers[-1])
    return taken


def timed(work: Callable[[], object]) -> Speed:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Speed(time.perf_counter() - wall, time.process_time() - cpu)


def median(runs: int, work: Callable[[], object]) -> Speed:
    taken = [timed(work) for _ in range(runs)]
    return Speed(statistics.median(run.wall for run in taken), statistics.median(run.cpu for run in taken))


def report(name: str, count: int, unit: str, ours: Speed, peer: str, theirs: Speed) -> None:
    print(
        f"  {name:<9} {1e3 * ours.wall:7.1f} ms, {count / ours.wall / 1e6:7.2f} M {unit}/s: "
        f"{theirs.wall / ours.wall:5.1f} x {peer} ({count / theirs.wall:,.0f}/s); "
        f"by processor time {theirs.cpu / ours.cpu:5.1f} x"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--vectorbt", action="store_true", help="run vectorbt here too")
    asked = parser.parse_args()
    load = os.getloadavg()[0]
    print(f"peers on {platform.machine()}, {os.cpu_count()} cores, load {load:.1f}, medians of n = {asked.runs} runs")
    columns, close, (fast, slow) = quotes(), closes(), lengths()

    fills = expected_fills(columns)
    for way in (by_strategy, by_targets):
        check_quotes(way(columns).finish(), fills)
    print(f"quotes: {QUOTES:,} quotes, {ORDERS:,} orders, each at its quote: as expected")
    for name, way in (("strategy", by_strategy), ("targets", by_targets)):
        report(name, QUOTES, "quotes", median(asked.runs, partial(way, columns)), "NautilusTrader", NAUTILUS)

    swept = sweep_crosses(close, fast, slow, taker_fee_e8=100_000)
    check_sweep(int(swept["orders"].sum()), float(swept["total_return"].mean()))
    print(f"sweep: {PAIRS:,} pairs x {BARS:,} bars, {SWEPT_ORDERS:,} orders, mean return {MEAN_RETURN}: as expected")
    ours = median(asked.runs, lambda: sweep_crosses(close, fast, slow, taker_fee_e8=100_000))
    report("sweep", PAIRS * BARS, "pair-bars", ours, "vectorbt", VECTORBT)
    if asked.vectorbt:
        theirs = vectorbt_here(close, fast, slow)
        report("sweep", PAIRS * BARS, "pair-bars", ours, "vectorbt here, n = 1", theirs)


if __name__ == "__main__":
    main()
