"""From weights to lots: what is too small, what is kept, and when keeping has to yield."""

from dataclasses import replace

import pytest

from sapphire.portfolio import EqualWeight, FixedFraction, Reason, VolatilityTarget


def size_one(believe, state, sharpe=1.0, **parameters):
    (target,) = VolatilityTarget(**parameters).size([believe("BTC/USDT", sharpe)], state)
    return target


@pytest.mark.parametrize("position", [60_000, 66_000, 70_000, 74_000])
def test_lots_within_the_band_are_kept(believe, holding, position):
    target = size_one(believe, holding(BTC=position))  # 66,666 wanted
    assert (target.lots, target.reason) == (position, Reason.KEPT_WITHIN_BAND)
    assert target.weight == pytest.approx(position * 0.00001 * 60_000 / 100_000)


@pytest.mark.parametrize("position", [0, 59_900, 75_000, 200_000])
def test_lots_outside_the_band_are_changed(believe, holding, position):
    target = size_one(believe, holding(BTC=position))
    assert (target.lots, target.reason) == (66_666, Reason.SIZED)


def test_without_a_band_only_what_is_too_small_for_an_order_is_kept(believe, holding):
    near = size_one(believe, holding(BTC=66_660), rebalance_band=0.0)  # six lots are 3.60 USDT, 5 is the least
    assert (near.lots, near.reason) == (66_660, Reason.KEPT_SMALL_CHANGE)
    far = size_one(believe, holding(BTC=66_656), rebalance_band=0.0)  # ten are 6 USDT
    assert (far.lots, far.reason) == (66_666, Reason.SIZED)


def test_closing_is_never_kept(believe, holding):
    for position in (1, 10, 66_666):
        target = size_one(believe, holding(BTC=position), sharpe=-1.0, rebalance_band=0.9)
        assert (target.lots, target.reason) == (0, Reason.ZERO_NOT_POSITIVE)


def test_closing_a_short_too_small_for_an_order_is_still_asked_for(state, perpetuals, believe):
    symbol = "ETH/USDT:USDT"
    short = replace(
        state, instruments=perpetuals, prices={symbol: 3_000.0}, volatility={symbol: 0.6}, lots={symbol: -1}
    )
    (target,) = VolatilityTarget(long_only=False).size([believe(symbol, 0.0)], short)  # one lot is 3 USDT
    assert (target.lots, target.reason) == (0, Reason.ZERO_NOT_POSITIVE)


def test_keeping_yields_where_positions_would_pass_equity(believe, holding):
    """ETH is held 8 % above what is wanted; with what BTC is to buy it would come to more than all equity."""
    calm = replace(holding(ETH=178_200), volatility={"BTC/USDT": 0.1, "ETH/USDT": 0.1})
    beliefs = [believe("BTC/USDT", 3.0), believe("ETH/USDT", 3.0)]
    bitcoin, ether = VolatilityTarget().size(beliefs, calm)
    assert (ether.lots, ether.reason) == (165_000, Reason.LIMITED_BY_GROSS)
    assert bitcoin.weight + ether.weight == pytest.approx(0.99, abs=1e-4)
    fits = replace(calm, lots={"ETH/USDT": 166_000})
    assert VolatilityTarget().size(beliefs, fits)[1].reason == Reason.KEPT_WITHIN_BAND


def test_fewer_lots_than_an_order_may_have_are_none(spot, state, believe):
    bitcoin = replace(spot["BTC/USDT"], min_lots=100_000)
    picky = replace(state, instruments=type(spot)([bitcoin]))
    target = size_one(believe, picky)
    assert (target.lots, target.reason) == (0, Reason.ZERO_TOO_SMALL)


def test_equal_weight_buys_everything_once_and_holds(state, believe):
    first = EqualWeight().size([], state)
    assert [target.symbol for target in first] == ["BTC/USDT", "ETH/USDT", "SOL/USDT"]
    assert [target.weight for target in first] == pytest.approx([0.33] * 3, abs=1e-4)
    bought = {target.symbol: target.lots for target in first}
    later = replace(state, lots=bought, prices={"BTC/USDT": 80_000.0, "ETH/USDT": 2_000.0, "SOL/USDT": 110.0})
    targets = EqualWeight().size([believe("BTC/USDT", -9.0)], later)
    assert {target.symbol: target.lots for target in targets} == bought
    assert {target.reason for target in targets} == {Reason.KEPT_BOUGHT}
    again = EqualWeight(hold=False).size([], later)
    assert [target.weight for target in again] == pytest.approx([0.33] * 3, abs=1e-4)


def test_equal_weight_makes_room_for_a_new_listing(state):
    one = replace(state, prices={"BTC/USDT": 60_000.0}, volatility={})
    first = EqualWeight().size([], one)
    assert [target.reason for target in first] == [Reason.SIZED, Reason.ZERO_NO_PRICE, Reason.ZERO_NO_PRICE]
    assert first[0].weight == pytest.approx(0.99, abs=1e-4)
    two = replace(one, prices={**one.prices, "ETH/USDT": 3_000.0}, lots={"BTC/USDT": first[0].lots})
    assert [round(target.weight, 3) for target in EqualWeight().size([], two)] == [0.495, 0.495, 0.0]


def test_equal_weight_without_equity_holds_nothing(state):
    targets = EqualWeight().size([], replace(state, equity_quote=0.0, lots={"BTC/USDT": 5}))
    assert {(target.lots, target.reason) for target in targets} == {(0, Reason.ZERO_NO_EQUITY)}


def test_fixed_fraction_is_the_same_for_every_belief_above_zero(state, believe):
    beliefs = [believe("BTC/USDT", 0.01), believe("ETH/USDT", 4.0), believe("SOL/USDT", -1.0)]
    targets = FixedFraction(fraction=0.2).size(beliefs, state)
    assert [target.weight for target in targets] == pytest.approx([0.2, 0.2, 0.0], abs=1e-4)
    assert targets[2].reason == Reason.ZERO_NOT_POSITIVE
    crowded = FixedFraction(fraction=0.8).size(beliefs[:2], state)
    assert [target.weight for target in crowded] == pytest.approx([0.495, 0.495], abs=1e-4)
    assert {target.reason for target in crowded} == {Reason.LIMITED_BY_GROSS}


def test_fixed_fraction_shorts_only_what_can_be_short(state, perpetuals, believe):
    prices = {"BTC/USDT:USDT": 60_000.0}
    swaps = replace(state, instruments=perpetuals, prices=prices, volatility={})
    down = [believe("BTC/USDT:USDT", -1.0)]
    assert FixedFraction(long_only=False).size(down, swaps)[0].weight == pytest.approx(-0.1, abs=1e-2)
    assert FixedFraction().size(down, swaps)[0].lots == 0
    assert FixedFraction(long_only=False).size([believe("BTC/USDT", -1.0)], state)[0].lots == 0
