"""Instruments: what is traded, in which steps, and the universe that holds them.

Inside, prices are whole ticks and quantities whole lots. A value that does not fit is refused, never rounded; the one
door for a number computed in floats is `Instrument.floor_lots`, which cuts toward zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from sapphire.domain.errors import UnknownInstrument, ValueRefused
from sapphire.domain.money import ATOMS_PER_UNIT, to_atoms
from sapphire.domain.precision import (
    I64_MAX,
    Exact,
    count_steps,
    fits_i64,
    read_decimal,
    steps_to_decimal,
    truncated_ratio,
)

__all__ = ["Instrument", "InstrumentKind", "Universe"]

_DOUBT = 1e-15
"""Relative error, with room, of a count of lots in floats: three roundings of at most 2**-53 each."""


class InstrumentKind(StrEnum):
    """How an instrument settles."""

    SPOT = "spot"
    LINEAR_PERPETUAL = "linear_perpetual"


@dataclass(frozen=True, slots=True)
class Instrument:
    """One market.

    Parameters
    ----------
    symbol : ccxt's name, "BTC/USDT"; a perpetual may carry its settlement asset, "BTC/USDT:USDT".
    base, quote : assets; prices are quote per base, quantities are base.
    tick : smallest price step (quote); a multiple of 1e-8.
    lot : smallest quantity step (base); a multiple of 1e-8.
    min_notional : smallest order value (quote).
    min_lots, max_lots : bounds of one order; without a maximum it is what 64 bits hold.

    Raises
    ------
    ValueRefused : a symbol that does not name base and quote, a step that is not positive, bounds out of order.
    PrecisionError : a step or a min_notional finer than 1e-8, or larger than the engine holds.

    Examples
    --------
    >>> tick, lot, least = Decimal("0.01"), Decimal("0.00001"), Decimal("5")
    >>> btc = Instrument("BTC/USDT", "BTC", "USDT", InstrumentKind.SPOT, tick, lot, least)
    >>> btc.venue_symbol, btc.to_ticks("64250.10"), btc.to_lots("0.5")
    ('BTCUSDT', 6425010, 50000)
    >>> btc.floor_lots(-0.123456789)
    -12345
    """

    symbol: str
    base: str
    quote: str
    kind: InstrumentKind
    tick: Decimal
    lot: Decimal
    min_notional: Decimal
    min_lots: int = 1
    max_lots: int = I64_MAX
    tick_atoms: int = field(init=False, repr=False, compare=False)
    """One tick in quote atoms."""
    lot_atoms: int = field(init=False, repr=False, compare=False)
    """One lot in base atoms."""

    def __post_init__(self) -> None:
        pair = f"{self.base}/{self.quote}"
        if not (self.base and self.quote) or self.symbol not in (pair, f"{pair}:{self.quote}"):
            raise ValueRefused("symbol does not name its assets", expected=pair, got=self.symbol)
        object.__setattr__(self, "kind", InstrumentKind(self.kind))
        for name in ("tick", "lot", "min_notional"):
            object.__setattr__(self, name, read_decimal(getattr(self, name), what=f"{name} of {self.symbol}"))
        if self.tick <= 0 or self.lot <= 0 or self.min_notional < 0:
            raise ValueRefused(
                f"steps of {self.symbol}",
                expected="tick and lot above zero, min_notional not below it",
                got=f"tick {self.tick}, lot {self.lot}, min_notional {self.min_notional}",
            )
        if not 1 <= self.min_lots <= self.max_lots <= I64_MAX:
            raise ValueRefused(
                f"order bounds of {self.symbol}",
                expected="1 <= min_lots <= max_lots, in 64 bits",
                got=f"min_lots {self.min_lots}, max_lots {self.max_lots}",
            )
        for name, step in (("tick", self.tick), ("lot", self.lot)):
            what = f"{name} of {self.symbol}"
            object.__setattr__(self, f"{name}_atoms", fits_i64(to_atoms(step, what=what), what=what))
        to_atoms(self.min_notional, what=f"min_notional of {self.symbol}")

    @property
    def venue_symbol(self) -> str:
        """The venue's own name, "BTCUSDT"."""
        return self.base + self.quote

    def to_ticks(self, price: Exact) -> int:
        """Whole ticks in `price` (quote per base).

        Raises
        ------
        PrecisionError : not a multiple of the tick, or a count that does not fit in 64 bits.
        """
        what = f"price of {self.symbol}"
        return fits_i64(count_steps(price, self.tick, what=what), what=what)

    def to_lots(self, quantity: Exact) -> int:
        """Whole lots in `quantity` (base).

        Raises
        ------
        PrecisionError : not a multiple of the lot, or a count that does not fit in 64 bits.
        """
        what = f"quantity of {self.symbol}"
        return fits_i64(count_steps(quantity, self.lot, what=what), what=what)

    def floor_lots(self, quantity: float | Decimal) -> int:
        """Whole lots in a computed `quantity` (base), cut toward zero.

        A float is read as the shortest decimal that means it, so 0.3 is three lots of 0.1, not two.

        Raises
        ------
        ValueRefused : NaN or infinity.
        PrecisionError : the count does not fit in 64 bits.
        """
        exact = quantity
        if not isinstance(exact, Decimal):
            number = float(exact)
            count = number / (self.lot_atoms / ATOMS_PER_UNIT)
            doubt = abs(count) * _DOUBT
            if doubt < abs(count) % 1.0 < 1.0 - doubt:  # far enough from a whole lot to be sure without decimals
                return int(count)
            exact = Decimal(repr(number))
        what = f"quantity of {self.symbol}"
        if not exact.is_finite():
            raise ValueRefused(f"{what} is not a number", expected="a finite quantity", got=str(quantity))
        if abs(exact) < self.lot:
            return 0
        return fits_i64(truncated_ratio(read_decimal(exact, what=what), self.lot), what=what)

    def price(self, ticks: int) -> Decimal:
        """Price (quote per base) of `ticks`, with the tick's decimals."""
        return steps_to_decimal(ticks, self.tick)

    def quantity(self, lots: int) -> Decimal:
        """Quantity (base) of `lots`, with the lot's decimals."""
        return steps_to_decimal(lots, self.lot)


@dataclass(frozen=True, slots=True, init=False)
class Universe:
    """The instruments that a run knows, in a fixed order, found by symbol.

    Raises
    ------
    ValueRefused : two instruments with one symbol.
    """

    instruments: tuple[Instrument, ...]
    _index: dict[str, int] = field(repr=False, compare=False)

    def __init__(self, instruments: Iterable[Instrument]) -> None:
        listed = tuple(instruments)
        index = {instrument.symbol: position for position, instrument in enumerate(listed)}
        if len(index) != len(listed):
            symbols = [instrument.symbol for instrument in listed]
            twice = sorted({symbol for symbol in symbols if symbols.count(symbol) > 1})
            raise ValueRefused("universe repeats a symbol", expected="each symbol once", got=", ".join(twice))
        object.__setattr__(self, "instruments", listed)
        object.__setattr__(self, "_index", index)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols in the universe's order."""
        return tuple(instrument.symbol for instrument in self.instruments)

    def index(self, symbol: str) -> int:
        """Dense index of `symbol`, which is what the engine counts by.

        Raises
        ------
        UnknownInstrument : not in the universe.
        """
        try:
            return self._index[symbol]
        except KeyError:
            raise UnknownInstrument(
                "symbol is not in the universe",
                expected="one of " + ", ".join(self.symbols),
                got=str(symbol),
                next="declare it where the universe is made",
            ) from None

    def __getitem__(self, symbol: str) -> Instrument:
        return self.instruments[self.index(symbol)]

    def __contains__(self, symbol: object) -> bool:
        return symbol in self._index

    def __iter__(self) -> Iterator[Instrument]:
        return iter(self.instruments)

    def __len__(self) -> int:
        return len(self.instruments)
