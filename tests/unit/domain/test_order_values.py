"""Orders and fills say what they are, and refuse what cannot be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sapphire.domain import Fill, Order, OrderState, OrderType, Side, TimeInForce, ValueRefused

LIMIT = Order("o-1", "BTC/USDT", Side.BUY, OrderType.LIMIT, TimeInForce.GTC, 5, 100, 0)
FILL = Fill("t-1", "o-1", "BTC/USDT", Side.SELL, 100, 5, 500, "USDT", 1, False, 0)


def test_final_states_are_those_after_which_the_venue_does_nothing() -> None:
    final = {state for state in OrderState if state.is_final}
    assert final == {
        OrderState.DENIED,
        OrderState.FILLED,
        OrderState.CANCELED,
        OrderState.EXPIRED,
        OrderState.REJECTED,
    }
    assert not LIMIT.is_final
    assert replace(LIMIT, state=OrderState.REJECTED).is_final


def test_what_remains() -> None:
    assert replace(LIMIT, filled_lots=2).remaining_lots == 3
    assert (Side.BUY.sign, Side.SELL.sign) == (1, -1)


@pytest.mark.parametrize(
    "change",
    [
        {"lots": 0},
        {"filled_lots": 6},
        {"filled_lots": -1},
        {"limit_ticks": None},
        {"limit_ticks": 0},
        {"order_type": OrderType.MARKET},
    ],
)
def test_an_order_that_cannot_be_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueRefused, match="of order o-1"):
        replace(LIMIT, **change)


@pytest.mark.parametrize("change", [{"price_ticks": 0}, {"lots": 0}, {"lots": -1}, {"quote_atoms": -1}])
def test_a_fill_that_cannot_be_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueRefused, match="fill t-1 of order o-1"):
        replace(FILL, **change)
