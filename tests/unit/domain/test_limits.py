"""Limits are finite, and come as the engine has them."""

import pytest

from sapphire.domain.errors import ValueRefused
from sapphire.domain.limits import STANDARD, Execution, Limits


def test_none_of_the_standard_ones_is_open():
    tree = STANDARD.settings(100_000 * 10**8)
    numbers = [tree["max_daily_loss_bps"], tree["collar_bps"], *tree["symbol"].values()]
    numbers += [*tree["strategy"].values(), *tree["account"].values()]
    assert len(numbers) == 14
    assert all(isinstance(number, int) and number > 0 for number in numbers)
    assert tree["account"]["max_order_atoms"] == 1_000_000 * 10**8


def test_what_the_engine_cannot_hold_is_cut_to_what_it_can():
    assert STANDARD.own(2**62)["max_order_atoms"] == 2**64 - 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"order": 0.0},
        {"gross": float("inf")},
        {"position": float("nan")},
        {"on_the_way": -1.0},
        {"orders_per_second": 0},
        {"orders_per_minute": 100_001},
        {"daily_loss_bps": 0},
        {"collar_bps": 10_001},
        {"reference_age_ns": 0},
        {"name": ""},
    ],
)
def test_limits_that_are_none_are_refused(wrong):
    with pytest.raises(ValueRefused, match="limits"):
        Limits(**wrong)


@pytest.mark.parametrize("wrong", [{"retry_ns": 0}, {"max_slippage_bps": -1}, {"query_ns": 1.5}])
def test_execution_that_is_none_is_refused(wrong):
    with pytest.raises(ValueRefused, match="execution settings"):
        Execution(**wrong)
