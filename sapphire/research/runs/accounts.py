"""Accounts that vectorbt keeps, one at a time: long or flat, in the memory of one account however many are kept.

vectorbt's public interface keeps all accounts in arrays side by side, some twelve of them at once: gigabytes for a
sweep. Its compiled functions are called here account by account instead, as that interface calls them, and come to the
same numbers to the last digit. They hold no lock of the interpreter, so threads keep several at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sapphire.research.results.performance import Performance

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sapphire.domain.bars import Bars
    from sapphire.domain.intervals import Interval
    from sapphire.research.runs.costs import Costs

__all__ = ["STARTING_CASH", "Account", "ScreenMarket"]

STARTING_CASH = 100_000.0

_TARGET_PERCENT, _BOTH_WAYS = 5, 2
"""vectorbt's numbers for a size that is a share of the account, and for orders that buy or sell."""
_SMALLEST_SIZE = 1e-8


@dataclass(frozen=True, slots=True, eq=False)
class ScreenMarket:
    """What a screened account trades on, all arrays [T, S].

    Parameters
    ----------
    listed : where a symbol has a bar.
    prices : what is traded at: the opens, and the last close where a symbol has ended.
    closing : where that is; nothing is held from there on.
    valued : closes to value an account at: the last known one; before the first, where nothing is held, the first.
    interval : length of the bars.
    fee, slippage : fractions of the traded value and of the price.
    """

    listed: NDArray[np.bool_]
    prices: NDArray[np.float64]
    closing: NDArray[np.bool_]
    valued: NDArray[np.float64]
    interval: Interval
    fee: float
    slippage: float

    @classmethod
    def of(cls, bars: Bars, costs: Costs, *, ends: Mapping[str, int]) -> ScreenMarket:
        """The market of a study's bars.

        Parameters
        ----------
        ends : symbol to the first close at which it has ended (`ends_of` the snapshot).
        """
        close_ns = bars.close_time_ns
        closing = np.stack([close_ns == ends.get(symbol, -1) for symbol in bars.symbols], axis=1)
        known = bars.frame("close").ffill()
        return cls(
            listed=bars.listed,
            prices=np.where(closing, known.to_numpy(), bars.open),
            closing=closing,
            valued=known.bfill().to_numpy(),
            interval=bars.interval,
            fee=costs.taker_bps / 10_000,
            slippage=costs.slippage_bps / 10_000,
        )

    def account(self, position: NDArray[np.bool_]) -> Account:
        """The account that holds an equal share in each symbol where `position` [T, S] is true."""
        orders, equity = _simulated(self, _targets(self, position))
        return Account(equity, _summed(orders["size"] * orders["price"]), _summed(orders["fees"]), len(orders))


@dataclass(frozen=True, slots=True, eq=False)
class Account:
    """What vectorbt kept.

    Parameters
    ----------
    equity : value at each close [T], quote asset.
    traded, fees : value of all fills, and all fees, quote asset.
    fills : how many.
    """

    equity: NDArray[np.float64]
    traded: float
    fees: float
    fills: int

    def performance(self, interval: Interval) -> Performance:
        """What it amounts to."""
        return Performance.measure(
            self.equity, interval, traded_quote=self.traded, fees_quote=self.fees, fills=self.fills
        )


def _targets(market: ScreenMarket, position: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Shares of the account where they change, one bar later, of each symbol among its own bars; NaN elsewhere.

    What is known at a close is traded at the next open; where there is none, at the first one that there is.
    """
    symbols = position.shape[1]
    targets = np.full(position.shape, np.nan)
    for column in range(symbols):
        rows = np.flatnonzero(market.listed[1:, column]) + 1
        due = position[rows - 1, column]
        new = np.ones(len(rows), dtype=np.bool_)
        new[1:] = due[1:] != due[:-1]
        targets[rows[new], column] = due[new] / symbols
    targets[market.closing] = 0.0
    return targets


def _simulated(market: ScreenMarket, targets: NDArray[np.float64]) -> tuple[Any, NDArray[np.float64]]:
    """The orders that vectorbt makes of targets, and the value at each close."""
    from vectorbt_rust import portfolio as vectorbt

    shape = targets.shape
    group, cash = np.array([shape[1]], dtype=np.int64), np.array([STARTING_CASH])
    orders, _ = vectorbt.simulate_from_orders_rs(
        shape,
        group,
        cash,
        vectorbt.build_call_seq_rs(shape, group, 0),
        size=targets,
        price=market.prices,
        size_type=_one_count(_TARGET_PERCENT),
        direction=_one_count(_BOTH_WAYS),
        fees=_one_number(market.fee),
        fixed_fees=_one_number(0.0),
        slippage=_one_number(market.slippage),
        min_size=_one_number(_SMALLEST_SIZE),
        max_size=_one_number(np.inf),
        size_granularity=_one_number(np.nan),
        reject_prob=_one_number(0.0),
        lock_cash=_one_truth(False),
        allow_partial=_one_truth(True),
        raise_reject=_one_truth(False),
        log=_one_truth(False),
        val_price=_one_number(np.inf),
        close=market.valued,
        auto_call_seq=True,
        max_orders=int(np.isfinite(targets).sum()),
        max_logs=1,
    )
    places, counts = np.argsort(orders["col"], kind="stable"), np.bincount(orders["col"], minlength=shape[1])
    of_columns = (orders, places.astype(np.int64), counts.astype(np.int64), shape)
    assets = vectorbt.assets_rs(vectorbt.asset_flow_rs(*of_columns, _BOTH_WAYS))
    worth = vectorbt.asset_value_rs(np.where(assets == 0, 0.0, market.valued), assets)
    flow = vectorbt.cash_flow_grouped_rs(vectorbt.cash_flow_rs(*of_columns, False), group)
    value = vectorbt.value_rs(
        vectorbt.cash_grouped_rs(shape, flow, group, cash), vectorbt.asset_value_grouped_rs(worth, group)
    )
    return orders, np.ascontiguousarray(value[:, 0])


def _one_number(value: float) -> NDArray[np.float64]:
    """A number that holds for every bar and symbol, as vectorbt broadcasts it."""
    return np.asarray(value, dtype=np.float64)


def _one_count(value: int) -> NDArray[np.int64]:
    return np.asarray(value, dtype=np.int64)


def _one_truth(value: object) -> NDArray[np.bool_]:
    return np.asarray(value, dtype=np.bool_)


def _summed(values: NDArray[np.float64]) -> float:
    """Added in the order of the orders."""
    return float(np.bincount(np.zeros(len(values), dtype=np.int64), weights=values, minlength=1)[0])
