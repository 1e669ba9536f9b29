"""Instruments, beliefs and states that the tests of this room share."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from sapphire.domain import Belief, Instrument, InstrumentKind, Universe
from sapphire.portfolio import PortfolioState

AT = datetime(2024, 3, 1, 12, tzinfo=UTC)


def make_instrument(symbol, lot, kind=InstrumentKind.SPOT):
    base, quote = symbol.split(":")[0].split("/")
    return Instrument(symbol, base, quote, kind, Decimal("0.01"), Decimal(lot), Decimal(5))


@pytest.fixture(scope="session")
def spot():
    lots = {"BTC/USDT": "0.00001", "ETH/USDT": "0.0001", "SOL/USDT": "0.001"}
    return Universe(make_instrument(symbol, lot) for symbol, lot in lots.items())


@pytest.fixture(scope="session")
def perpetuals():
    lots = {"BTC/USDT:USDT": "0.001", "ETH/USDT:USDT": "0.001"}
    return Universe(make_instrument(symbol, lot, InstrumentKind.LINEAR_PERPETUAL) for symbol, lot in lots.items())


@pytest.fixture(scope="session")
def state(spot):
    """100,000 USDT, nothing held, three symbols at 50, 60 and 80 % a year, no correlations."""
    return PortfolioState(
        equity_quote=100_000.0,
        prices={"BTC/USDT": 60_000.0, "ETH/USDT": 3_000.0, "SOL/USDT": 150.0},
        lots={},
        volatility={"BTC/USDT": 0.5, "ETH/USDT": 0.6, "SOL/USDT": 0.8},
        instruments=spot,
        as_of=AT,
    )


@pytest.fixture(scope="session")
def believe():
    """A belief over a horizon of 365 days is its own annual Sharpe ratio: mean over deviation."""

    def belief(symbol, sharpe, *, horizon=timedelta(days=365), as_of=AT):
        return Belief(symbol, as_of, horizon, mean_bps=sharpe * 1000.0, std_bps=1000.0)

    return belief


@pytest.fixture(scope="session")
def holding(state):
    def with_lots(**lots):
        return replace(state, lots={f"{base}/USDT": count for base, count in lots.items()})

    return with_lots
