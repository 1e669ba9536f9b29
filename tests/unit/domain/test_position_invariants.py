"""Position: cash is conserved to the atom, and it does not matter in how many parts a fill came."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapphire.domain import Fill, Instrument, InstrumentKind, Position, Side, ValueRefused, notional_atoms

BTC = Instrument("BTC/USDT", "BTC", "USDT", InstrumentKind.SPOT, Decimal("0.01"), Decimal("0.000001"), Decimal(5))


def fill_of(side: Side, ticks: int, lots: int, quote: int | None = None, fee: int = 0, asset: str = "USDT") -> Fill:
    return Fill(
        trade_id="1",
        order_id="o",
        symbol="BTC/USDT",
        side=side,
        price_ticks=ticks,
        lots=lots,
        quote_atoms=notional_atoms(ticks, lots, BTC) if quote is None else quote,
        fee_asset=asset,
        fee_atoms=fee,
        is_maker=False,
        time_ns=0,
    )


sides = st.sampled_from(Side)
priced = st.builds(fill_of, sides, st.integers(1, 10**7), st.integers(1, 10**6), fee=st.integers(-9, 9))
booked = st.builds(fill_of, sides, st.just(1), st.integers(1, 50), quote=st.integers(0, 10**6), fee=st.integers(-9, 9))


def after(fills: list[Fill], start: Position | None = None) -> Position:
    position = start or Position("BTC/USDT")
    for fill in fills:
        position = position.apply(fill)
    return position


@given(st.lists(st.one_of(priced, booked), max_size=30))
def test_cash_is_conserved_to_the_atom(fills: list[Fill]) -> None:
    position = after(fills)
    received = -sum(fill.side.sign * fill.quote_atoms for fill in fills)
    assert received == position.realised_atoms - position.cost_atoms
    assert position.lots == sum(fill.side.sign * fill.lots for fill in fills)
    assert position.fee_atoms("USDT") == sum(fill.fee_atoms for fill in fills)


@given(st.lists(st.one_of(priced, booked), max_size=30))
def test_cost_has_the_sign_of_the_position_and_flat_costs_nothing(fills: list[Fill]) -> None:
    position = after(fills)
    assert position.cost_atoms * position.lots >= 0
    if position.is_flat:
        assert (position.cost_atoms, position.average_price(BTC)) == (0, None)
        assert position.realised_atoms == -sum(fill.side.sign * fill.quote_atoms for fill in fills)


@given(st.lists(priced, min_size=1, max_size=15), st.data())
def test_a_fill_in_parts_is_the_fill_as_a_whole(fills: list[Fill], data: st.DataObject) -> None:
    parts: list[Fill] = []
    for fill in fills:
        cuts = sorted(data.draw(st.sets(st.integers(1, fill.lots), max_size=4)) | {fill.lots})
        fees = [0] * (len(cuts) - 1) + [fill.fee_atoms]
        for start, end, fee in zip([0, *cuts], cuts, fees, strict=False):
            parts.append(fill_of(fill.side, fill.price_ticks, end - start, fee=fee))
    assert after(parts) == after(fills)


@given(st.lists(st.one_of(priced, booked), max_size=20), st.integers(0, 20))
def test_a_position_that_was_written_down_and_read_back_goes_on_the_same(fills: list[Fill], cut: int) -> None:
    half = after(fills[:cut])
    read_back = Position(half.symbol, half.lots, half.cost_atoms, half.realised_atoms, half.fees, half.basis)
    assert after(fills[cut:], read_back) == after(fills)


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.integers(1, 10**6), st.integers(1, 10**6))
def test_closing_keeps_the_average_price(ticks: int, bought: int, more: int, sold: int) -> None:
    position = after([fill_of(Side.BUY, ticks, bought), fill_of(Side.BUY, ticks + 100, more)])
    smaller = position.apply(fill_of(Side.SELL, ticks, min(sold, bought + more - 1)))
    if not smaller.is_flat:
        assert smaller.average_price(BTC) == position.average_price(BTC)
    exact = Fraction(ticks * bought + (ticks + 100) * more, bought + more) * Fraction(BTC.tick)
    average = position.average_price(BTC)
    assert average is not None
    assert abs(Fraction(average) - exact) <= exact / 10**26


def test_crossing_zero_closes_first_and_opens_with_the_rest() -> None:
    position = after([fill_of(Side.BUY, 100, 10, quote=1_000), fill_of(Side.SELL, 120, 15, quote=1_800)])
    assert (position.lots, position.cost_atoms, position.realised_atoms) == (-5, -600, 200)
    flat = position.apply(fill_of(Side.BUY, 110, 5, quote=550))
    assert (flat.lots, flat.cost_atoms, flat.realised_atoms) == (0, 0, 250)


def test_unrealised_profit_is_what_closing_would_make() -> None:
    position = after([fill_of(Side.SELL, 5_000, 200_000)])
    closed = position.apply(fill_of(Side.BUY, 4_000, 200_000))
    assert position.unrealised_atoms(4_000, BTC) == closed.realised_atoms > 0


def test_a_fee_in_the_bought_asset_never_arrives() -> None:
    position = after(
        [fill_of(Side.BUY, 5_000, 1_000, fee=100, asset="BTC"), fill_of(Side.BUY, 5_000, 1, fee=7, asset="BNB")]
    )
    assert position.base_atoms(BTC) == 1_001 * BTC.lot_atoms - 100
    assert position.fees == (("BNB", 7), ("BTC", 100))


def test_another_symbol_is_refused_and_so_is_a_cost_out_of_nowhere() -> None:
    with pytest.raises(ValueRefused, match="another symbol"):
        Position("ETH/USDT").apply(fill_of(Side.BUY, 1, 1))
    with pytest.raises(ValueRefused, match="cost of the position"):
        Position("BTC/USDT", 0, 1)
    with pytest.raises(ValueRefused, match="cost of the position"):
        replace(Position("BTC/USDT", 1, 5), lots=-1)
