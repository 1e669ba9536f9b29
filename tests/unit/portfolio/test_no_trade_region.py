"""With a cost per trade, a position moves only as far as the move pays."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapphire.domain.errors import ValueRefused
from sapphire.domain.instruments import Instrument, InstrumentKind, Universe
from sapphire.domain.views import Belief
from sapphire.portfolio import PortfolioState, Reason, VolatilityTarget

BTC = Instrument(
    "BTC/USDT",
    "BTC",
    "USDT",
    kind=InstrumentKind.SPOT,
    tick=Decimal("0.01"),
    lot=Decimal("0.00001"),
    min_notional=Decimal(5),
)
AS_OF = datetime(2024, 6, 1, tzinfo=UTC)
PRICE, EQUITY = 50_000.0, 100_000.0


def sized(mean_bps, position, *, cost_bps, band=0.0):
    state = PortfolioState(
        equity_quote=EQUITY,
        prices={"BTC/USDT": PRICE},
        lots={"BTC/USDT": position},
        volatility={"BTC/USDT": 0.6},
        instruments=Universe([BTC]),
        as_of=AS_OF,
    )
    belief = Belief("BTC/USDT", AS_OF, timedelta(hours=12), mean_bps, 150.0)
    sizing = VolatilityTarget(annual=0.2, full_conviction=3.0, cost_bps=cost_bps, rebalance_band=band)
    return sizing.size([belief], state)[0]


means = st.floats(-60.0, 60.0)
lots = st.just(0) | st.integers(100, 150_000)  # a holding below the smallest order cannot be kept


@given(mean=means, position=lots, cost=st.floats(0.01, 40.0))
def test_the_target_lies_between_buying_and_selling_costs(mean, position, cost):
    target = sized(mean, position, cost_bps=cost)
    low, high = sized(mean - cost, position, cost_bps=0.0).lots, sized(mean + cost, position, cost_bps=0.0).lots
    if position < low:
        assert target.lots == low
    elif position > high:
        assert target.lots == high
    else:
        assert abs(target.lots - position) <= 1
        assert (
            target.reason in (Reason.KEPT_WITHIN_COSTS, Reason.KEPT_SMALL_CHANGE, Reason.ZERO_TOO_SMALL)
            or position == 0
        )


@given(mean=means, position=lots)
def test_without_a_cost_what_is_held_does_not_matter(mean, position):
    assert abs(sized(mean, position, cost_bps=0.0).lots - sized(mean, 0, cost_bps=0.0).lots) <= 10


@given(mean=st.floats(0.0, 60.0), position=lots, costs=st.tuples(st.floats(0.01, 20), st.floats(0.01, 20)).map(sorted))
def test_a_dearer_trade_is_never_a_larger_one(mean, position, costs):
    cheap, expensive = (abs(sized(mean, position, cost_bps=cost).lots - position) for cost in costs)
    assert expensive <= cheap + 1


def test_a_negative_cost_is_refused():
    with pytest.raises(ValueRefused, match="out of range"):
        VolatilityTarget(cost_bps=-1.0)
