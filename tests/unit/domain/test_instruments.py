"""Ticks and lots: whole numbers inside, exact decimals outside, and no rounding between."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from math import inf, isfinite, nextafter, trunc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapphire.domain import Instrument, InstrumentKind, PrecisionError, Universe, UnknownInstrument, ValueRefused

SPOT = InstrumentKind.SPOT
BTC = Instrument("BTC/USDT", "BTC", "USDT", SPOT, Decimal("0.01"), Decimal("0.00001"), Decimal("5"))
ETH = Instrument("ETH/USDT", "ETH", "USDT", SPOT, Decimal("0.01"), Decimal("0.0001"), Decimal("5"))
I64 = 2**63 - 1
counts = st.integers(-I64 - 1, I64)
step_sizes = st.sampled_from(["0.00000001", "0.00000025", "0.00001", "0.5", "1", "10", "1000", "1E+2", "0.010"])


def of_steps(tick: str, lot: str) -> Instrument:
    return Instrument("AAA/BBB", "AAA", "BBB", SPOT, Decimal(tick), Decimal(lot), Decimal(0))


@given(step_sizes, step_sizes, counts)
def test_ticks_and_lots_survive_the_way_out_and_back(tick: str, lot: str, count: int) -> None:
    instrument = of_steps(tick, lot)
    assert instrument.to_ticks(instrument.price(count)) == count
    assert instrument.to_lots(str(instrument.quantity(count))) == count
    assert Fraction(instrument.price(count)) == count * Fraction(tick)


parts_of_a_step = st.integers(1, 10**6 - 1).map(lambda millionths: Fraction(millionths, 10**6))


@given(step_sizes, counts, parts_of_a_step)
def test_a_finer_value_is_refused_and_never_rounded(step: str, count: int, part: Fraction) -> None:
    instrument = of_steps(step, step)
    digits = (count + part) * Fraction(step) * 10**30
    assert digits.denominator == 1
    value = Decimal((int(digits < 0), tuple(map(int, str(abs(int(digits))))), -30))
    for read in (instrument.to_ticks, instrument.to_lots):
        with pytest.raises(PrecisionError, match="finer than its step") as caught:
            read(value)
        assert f"{value:f}" == caught.value.got


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e9, max_value=1e9), step_sizes)
def test_a_float_becomes_lots_toward_zero(quantity: float, lot: str) -> None:
    lots = of_steps("1", lot).floor_lots(quantity)
    assert lots == trunc(Fraction(Decimal(repr(quantity))) / Fraction(lot))
    assert abs(lots * Fraction(lot)) <= abs(Fraction(Decimal(repr(quantity))))


@given(st.integers(-(2**52), 2**52), st.integers(-4, 4), step_sizes)
def test_a_float_next_to_a_whole_lot_becomes_the_lots_of_its_decimal(lots: int, away: int, lot: str) -> None:
    """Where the count in floats cannot tell, and around there."""
    quantity = float(lots * Decimal(lot))
    for _ in range(abs(away)):
        quantity = nextafter(quantity, inf if away > 0 else -inf)
    assert of_steps("1", lot).floor_lots(quantity) == trunc(Fraction(Decimal(repr(quantity))) / Fraction(lot))


@given(st.integers(-(10**14), 10**14))
def test_lots_that_went_through_a_float_come_back(lots: int) -> None:
    assert BTC.floor_lots(float(BTC.quantity(lots))) == lots
    assert BTC.floor_lots(np.float64(BTC.quantity(lots))) == lots
    assert BTC.floor_lots(BTC.quantity(lots)) == lots


def test_a_float_means_its_shortest_decimal() -> None:
    assert of_steps("1", "0.1").floor_lots(0.3) == 3
    assert of_steps("1", "0.1").floor_lots(0.1 + 0.2) == 3
    assert of_steps("1", "0.1").floor_lots(-0.39) == -3


@pytest.mark.parametrize("quantity", [float("nan"), float("inf"), float("-inf"), Decimal("NaN"), 1e300])
def test_lots_of_no_number_are_refused(quantity: float | Decimal) -> None:
    assert not isfinite(quantity) or quantity > I64
    with pytest.raises(ValueRefused):
        BTC.floor_lots(quantity)


def test_a_float_price_is_refused() -> None:
    with pytest.raises(ValueRefused, match="not exact"):
        BTC.to_ticks(64250.1)


def test_prices_carry_the_decimals_of_their_step() -> None:
    assert str(BTC.price(6_425_010)) == "64250.10"
    assert str(BTC.quantity(-1)) == "-0.00001"
    assert str(of_steps("1E+2", "1").price(3)) == "300"
    assert (BTC.tick_atoms, BTC.lot_atoms, BTC.venue_symbol) == (1_000_000, 1_000, "BTCUSDT")


def test_a_perpetual_may_name_its_settlement() -> None:
    kind = InstrumentKind("linear_perpetual")
    perpetual = Instrument("BTC/USDT:USDT", "BTC", "USDT", kind, Decimal("0.1"), Decimal("0.001"), Decimal("100"))
    assert perpetual.kind is InstrumentKind.LINEAR_PERPETUAL
    assert perpetual.venue_symbol == "BTCUSDT"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"symbol": "BTCUSDT"}, "symbol does not name its assets"),
        ({"base": ""}, "symbol does not name its assets"),
        ({"tick": Decimal(0)}, "steps of"),
        ({"lot": Decimal("-1")}, "steps of"),
        ({"tick": Decimal("0.000000001")}, "finer than its step"),
        ({"tick": 0.01}, "not exact"),
        ({"min_lots": 0}, "order bounds"),
        ({"min_lots": 5, "max_lots": 4}, "order bounds"),
    ],
)
def test_an_instrument_that_makes_no_sense_is_refused(change: dict[str, object], message: str) -> None:
    given_fields = {
        "symbol": "BTC/USDT", "base": "BTC", "quote": "USDT", "kind": SPOT,
        "tick": Decimal("0.01"), "lot": Decimal("0.00001"), "min_notional": Decimal(5),
    }  # fmt: skip
    with pytest.raises(ValueRefused, match=message):
        Instrument(**{**given_fields, **change})


def test_a_universe_finds_by_symbol_and_keeps_its_order() -> None:
    universe = Universe([ETH, BTC])
    assert universe["BTC/USDT"] is BTC
    assert universe.symbols == ("ETH/USDT", "BTC/USDT")
    assert [universe.index(each.symbol) for each in universe] == [0, 1]
    assert len(universe) == 2
    assert "ETH/USDT" in universe
    assert "ETHUSDT" not in universe
    assert universe == Universe((ETH, BTC))


def test_an_unknown_symbol_is_refused_by_name() -> None:
    with pytest.raises(UnknownInstrument, match="not in the universe") as caught:
        Universe([ETH, BTC])["SOL/USDT"]
    assert (caught.value.got, caught.value.expected) == ("SOL/USDT", "one of ETH/USDT, BTC/USDT")


def test_a_universe_holds_each_symbol_once() -> None:
    with pytest.raises(ValueRefused, match="repeats a symbol"):
        Universe([BTC, ETH, BTC])
