"""Bars made by code: GARCH(1,1) returns with Student-t shocks, so that volatility can be learned and direction not."""

import math

import numpy as np
import pytest

from sapphire.domain.bars import Bars
from sapphire.domain.intervals import Interval

START_NS = 1_735_689_600_000_000_000  # 2025-01-01T00:00Z
SYMBOLS = ("BTC/USDT", "ETH/USDT", "SOL/USDT")


def garch_returns(length, symbols, seed):
    """Log returns per bar [T, S]: omega 2e-8, alpha 0.1, beta 0.88, shocks of 5 degrees of freedom."""
    dice = np.random.default_rng(seed)
    shocks = dice.standard_t(5, (length, symbols)) * math.sqrt(3 / 5)
    variance = np.full(symbols, 1e-6)
    returns = np.empty((length, symbols))
    for row in range(length):
        returns[row] = np.sqrt(variance) * shocks[row]
        variance = 2e-8 + 0.1 * returns[row] ** 2 + 0.88 * variance
    return returns


def bars_of_returns(returns, interval="5m", seed=0):
    dice = np.random.default_rng([seed, 1])
    length, symbols = returns.shape
    close = 100.0 * np.exp(np.cumsum(returns, axis=0))
    opens = np.vstack([np.full((1, symbols), 100.0), close[:-1]])
    span = Interval(interval)
    return Bars(
        symbols=SYMBOLS[:symbols],
        interval=span,
        open_time_ns=START_NS + np.arange(length, dtype=np.int64) * span.ns,
        open=opens,
        high=np.maximum(opens, close) * (1 + 1e-4 * dice.random((length, symbols))),
        low=np.minimum(opens, close) * (1 - 1e-4 * dice.random((length, symbols))),
        close=close,
        volume=dice.gamma(2.0, 5.0, (length, symbols)),
        listed=np.ones((length, symbols), dtype=np.bool_),
    )


def made_bars(length=400, symbols=2, seed=0, interval="5m"):
    return bars_of_returns(garch_returns(length, symbols, seed), interval, seed).validate()


def with_hole(bars, symbol, rows):
    """The same bars, with `symbol` not listed in `rows`."""
    column = bars.symbols.index(symbol)
    arrays = {name: getattr(bars, name).copy() for name in ("open", "high", "low", "close", "volume", "listed")}
    for name, array in arrays.items():
        array[rows, column] = False if name == "listed" else np.nan
    return Bars(symbols=bars.symbols, interval=bars.interval, open_time_ns=bars.open_time_ns, **arrays)


@pytest.fixture(scope="session", name="make_bars")
def make_bars_fixture():
    """length, symbols, seed, interval to bars."""
    return made_bars


@pytest.fixture(scope="session")
def make_hole():
    """bars, symbol, rows to the same bars with the symbol not listed there."""
    return with_hole


@pytest.fixture(scope="session")
def bars():
    """400 bars of two symbols."""
    return made_bars(400)
