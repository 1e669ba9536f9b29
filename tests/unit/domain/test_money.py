"""Money is exact: nothing rounds, and products are cut toward zero once."""

from __future__ import annotations

from dataclasses import replace
from decimal import ROUND_DOWN, Decimal, localcontext
from fractions import Fraction
from math import trunc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapphire.domain import (
    Fill,
    Instrument,
    InstrumentKind,
    Position,
    PrecisionError,
    Side,
    ValueRefused,
    fee_atoms,
    from_atoms,
    notional_atoms,
    to_atoms,
    units_of,
)
from sapphire.domain.precision import MAX_ATOMS

I64 = 2**63 - 1
atoms = st.integers(-MAX_ATOMS, MAX_ATOMS)
steps = st.integers(1, 10**12).map(lambda count: from_atoms(count))


@st.composite
def instruments(draw: st.DrawFn) -> Instrument:
    return Instrument("AAA/BBB", "AAA", "BBB", InstrumentKind.SPOT, draw(steps), draw(steps), Decimal(0))


@given(atoms)
def test_atoms_survive_the_way_to_units_and_back(count: int) -> None:
    assert to_atoms(from_atoms(count)) == count
    assert to_atoms(str(from_atoms(count))) == count
    assert Fraction(from_atoms(count)) == Fraction(count, 10**8)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=10, min_value=-(10**9), max_value=10**9))
def test_an_amount_is_exact_or_refused(amount: Decimal) -> None:
    exact = Fraction(amount) * 10**8
    if exact.denominator == 1:
        assert to_atoms(amount) == exact
    else:
        with pytest.raises(PrecisionError, match="finer than its step"):
            to_atoms(amount)


@given(instruments(), st.integers(-(10**12), 10**12), st.integers(-(10**12), 10**12))
def test_notional_is_the_exact_product_cut_toward_zero(instrument: Instrument, ticks: int, lots: int) -> None:
    exact = Fraction(instrument.tick) * ticks * Fraction(instrument.lot) * lots * 10**8
    if abs(trunc(exact)) > MAX_ATOMS:
        with pytest.raises(PrecisionError, match="notional of AAA/BBB is more than an account can hold"):
            notional_atoms(ticks, lots, instrument)
        return
    result = notional_atoms(ticks, lots, instrument)
    assert result == trunc(exact)
    with localcontext(prec=120):
        product = instrument.tick * ticks * instrument.lot * lots
        assert from_atoms(result) == product.quantize(Decimal("1e-8"), rounding=ROUND_DOWN)


@given(atoms, st.integers(-(10**8), 10**8))
def test_a_fee_is_cut_toward_zero_and_a_rebate_mirrors_it(amount: int, rate: int) -> None:
    fee = fee_atoms(amount, rate)
    assert fee == trunc(Fraction(amount * rate, 10**8))
    assert abs(fee) <= abs(amount)
    if amount > -I64:
        assert fee_atoms(-amount, rate) == fee_atoms(amount, -rate) == -fee


def test_a_fee_of_a_tenth_of_a_percent() -> None:
    assert fee_atoms(to_atoms("0.12345678"), 100_000) == 12_345
    assert fee_atoms(999, 100_000) == 0


@pytest.mark.parametrize("amount", [1.5, 0.1, float("nan"), True])
def test_a_float_is_no_money(amount: float) -> None:
    with pytest.raises(ValueRefused, match="not exact"):
        to_atoms(amount)


@pytest.mark.parametrize(
    "amount", ["", "abc", "1,5", "NaN", "Infinity", "0x10", "1_000", " 1", Decimal("sNaN"), Decimal("-inf")]
)
def test_what_is_no_number_is_refused(amount: str | Decimal) -> None:
    with pytest.raises(ValueRefused, match="not a number"):
        to_atoms(amount)


@pytest.mark.parametrize("amount", ["1e400", "1e-400", "9" * 50, Decimal("1e1000000"), Decimal("1e-1000000")])
def test_an_absurd_number_is_refused_quickly(amount: str | Decimal) -> None:
    with pytest.raises(ValueRefused):
        to_atoms(amount)


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        ("0", 0),
        ("-0", 0),
        ("0e50", 0),
        ("1E+2", 10**10),
        ("0.00000001000", 1),
        (7, 7 * 10**8),
        (Decimal("-1.5"), -15 * 10**7),
    ],
)
def test_the_same_amount_in_any_spelling(amount: str | int | Decimal, expected: int) -> None:
    assert to_atoms(amount) == expected


def test_ten_to_the_twenty_units_are_the_end() -> None:
    assert to_atoms("92233720368.54775808") == I64 + 1
    assert to_atoms(-(10**20)) == -MAX_ATOMS
    with pytest.raises(PrecisionError, match="cash is more than an account can hold") as caught:
        to_atoms("100000000000000000000.00000001", what="cash")
    assert caught.value.got == str(MAX_ATOMS + 1)


def test_a_position_of_a_coin_of_many_zeros_is_exact() -> None:
    pepe = Instrument("PEPE/USDT", "PEPE", "USDT", InstrumentKind.SPOT, Decimal("1e-8"), Decimal(1), Decimal(1))
    bought = Fill("1", "a", "PEPE/USDT", Side.BUY, 50, 300 * 10**9, 15 * 10**12, "PEPE", 3 * 10**16, False, 1)
    position = Position("PEPE/USDT").apply(bought)
    assert position.base_atoms(pepe) == 3 * 10**19 - 3 * 10**16 > I64
    assert position.unrealised_atoms(60, pepe) == 3 * 10**12
    for wrong in (Decimal("1e-10"), Decimal("1e-9")):
        with pytest.raises(PrecisionError, match="tick of PEPE/USDT is finer than its step"):
            replace(pepe, tick=wrong)
    with pytest.raises(PrecisionError, match="lot of PEPE/USDT does not fit in 64 bits"):
        replace(pepe, lot=Decimal(10) ** 12)
    with pytest.raises(PrecisionError, match="fees in PEPE is more than an account can hold"):
        position.apply(replace(bought, trade_id="2", fee_atoms=MAX_ATOMS))


def test_units_of_a_column_are_floats_whatever_it_is_made_of() -> None:
    for column in (np.array([150_000_000, -1]), np.array([150_000_000, 2 * 10**19]), np.array([], dtype=np.int64)):
        units = units_of(column)
        assert units.dtype == np.float64
        assert units.tolist() == [float(Decimal(int(atoms)) / 10**8) for atoms in column]
