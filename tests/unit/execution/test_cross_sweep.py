"""The sweep over moving-average crosses, against the definition bar by bar."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sapphire_engine import EngineError, sweep_crosses

FEE_E8 = 100_000


def slowly(close: np.ndarray, fast: int, slow: int, fee: float) -> dict[str, float]:
    """One pair, one bar after the other."""
    above = pd.Series(close).rolling(fast).mean() > pd.Series(close).rolling(slow).mean()
    cash, coins, fees, orders, bars_in_position = 1.0, 0.0, 0.0, 0, 0
    equity = []
    for bar, price in enumerate(close):
        bars_in_position += coins > 0
        if bar >= slow and above[bar] and not above[bar - 1]:
            coins = cash / (price * (1 + fee))
            cash, fees, orders = 0.0, fees + coins * price * fee, orders + 1
        elif bar >= slow and coins and not above[bar]:
            cash, fees, orders = coins * price * (1 - fee), fees + coins * price * fee, orders + 1
            coins = 0.0
        equity.append(cash + coins * price)
    returns = np.diff(equity) / np.array(equity[:-1])
    sharpe = returns.mean() / returns.std(ddof=1) if orders else np.nan
    return {
        "total_return": equity[-1] - 1,
        "sharpe": sharpe,
        "fees": fees,
        "orders": orders,
        "held_bars": bars_in_position,
    }


@given(st.integers(0, 2**32), st.integers(3, 300), st.lists(st.tuples(st.integers(1, 30), st.integers(1, 60))))
def test_every_pair_is_the_definition(seed: int, bars: int, pairs: list[tuple[int, int]]) -> None:
    close = 50_000 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.01, bars)))
    fast = np.array([length for length, _ in pairs], dtype=np.int64)
    slow = np.array([length + more for length, more in pairs], dtype=np.int64)
    swept: dict[str, Any] = dict(sweep_crosses(close, fast, slow, taker_fee_e8=FEE_E8))
    for place in range(len(pairs)):
        expected = slowly(close, int(fast[place]), int(slow[place]), FEE_E8 / 1e8)
        got = {name: column[place] for name, column in swept.items()}
        assert got == pytest.approx(expected, rel=1e-7, abs=1e-12, nan_ok=True)


def test_by_hand() -> None:
    close = np.array([3.0, 2.0, 1.0, 2.0, 4.0, 3.0, 1.0])
    swept = sweep_crosses(close, np.array([1, 2, 3]), np.array([2, 3, 9]))
    # In at 2 and out at 3; in at 4 and out at 1; nine bars there are not.
    assert swept["total_return"].tolist() == [0.5, -0.75, 0.0]
    assert (swept["orders"].tolist(), swept["held_bars"].tolist()) == ([2, 2, 0], [2, 2, 0])
    assert np.isnan(swept["sharpe"]).tolist() == [False, False, True]
    columns: dict[str, Any] = dict(swept)
    assert {name: column.dtype for name, column in columns.items()} == {
        "total_return": np.float64,
        "sharpe": np.float64,
        "fees": np.float64,
        "orders": np.int64,
        "held_bars": np.int64,
    }


def test_a_view_with_steps_is_read_as_it_looks() -> None:
    close = np.repeat(np.array([3.0, 2.0, 1.0, 2.0, 4.0, 3.0, 1.0]), 2)[::2]
    assert sweep_crosses(close, np.array([1]), np.array([2]))["total_return"].tolist() == [0.5]


@pytest.mark.parametrize(
    ("changes", "what", "got"),
    [
        ({"close": np.array([1.0, 2.0])}, "closes of a sweep", "2"),
        ({"close": np.array([1.0, np.nan, 2.0])}, "closes of a sweep", "NaN at row 1"),
        ({"close": np.array([1.0, 2.0, -2.0])}, "closes of a sweep", "-2 at row 2"),
        ({"fast": np.array([1, 2])}, "lengths of a sweep", "1"),
        ({"fast": np.array([2])}, "lengths of a sweep", "fast 2 and slow 2 in pair 0"),
        ({"fast": np.array([-1])}, "lengths of a sweep", "fast -1 and slow 2 in pair 0"),
        ({"taker_fee_e8": 10**8}, "taker_fee_e8", "100000000"),
        ({"taker_fee_e8": -1}, "taker_fee_e8", "-1"),
    ],
)
def test_what_cannot_be_swept_is_refused_by_row(changes: dict[str, Any], what: str, got: str) -> None:
    arguments: dict[str, Any] = {"close": np.array([1.0, 2.0, 3.0]), "fast": np.array([1]), "slow": np.array([2])}
    with pytest.raises(EngineError) as caught:
        sweep_crosses(**(arguments | changes))
    assert (caught.value.what, caught.value.got) == (what, got)
