"""Position: what is held, what it cost, and what closing it has made so far.

Invariants, for any sequence of fills:

* cash: quote received for sales less quote paid for purchases equals `realised_atoms - cost_atoms`, to the atom;
* splitting: a fill taken in parts at its price gives the same position as taken whole, because cost is always read from
  the last position that was added to (`basis`) and never from a cost that was itself cut;
* flat costs nothing.

Limitation: fees stand beside cost and profit in their own assets and are valued by whoever knows prices.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from sapphire.domain.errors import ValueRefused
from sapphire.domain.instruments import Instrument, InstrumentKind
from sapphire.domain.money import notional_atoms
from sapphire.domain.orders import Fill
from sapphire.domain.precision import cut, fits_amount, fits_i64

__all__ = ["Position"]


@dataclass(frozen=True, slots=True)
class Position:
    """A position in one symbol.

    Parameters
    ----------
    symbol : "BTC/USDT".
    lots : traded quantity held; negative is short.
    cost_atoms : quote paid for `lots`; negative for a short, which was paid for.
    realised_atoms : profit of what was closed, in quote atoms, before fees.
    fees : (asset, atoms) taken so far, by asset.
    basis : (lots, cost) when the position was last added to; by default the position as given.

    Raises
    ------
    ValueRefused : cost without lots, or a cost whose sign is not that of the lots.
    """

    symbol: str
    lots: int = 0
    cost_atoms: int = 0
    realised_atoms: int = 0
    fees: tuple[tuple[str, int], ...] = ()
    basis: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.lots * self.cost_atoms < 0 or (self.lots == 0 and self.cost_atoms != 0):
            raise ValueRefused(
                f"cost of the position in {self.symbol}",
                expected="the sign of the lots, and zero when flat",
                got=f"{self.cost_atoms} atoms for {self.lots} lots",
            )
        if self.basis is None:
            object.__setattr__(self, "basis", (self.lots, self.cost_atoms))

    def apply(self, fill: Fill) -> Position:
        """The position after `fill`; one that crosses zero closes first and opens with the rest.

        Raises
        ------
        ValueRefused : a fill of another symbol.
        PrecisionError : a sum that is more than an account can hold, or lots that do not fit in 64 bits.
        """
        if fill.symbol != self.symbol:
            raise ValueRefused("fill of another symbol", expected=self.symbol, got=fill.symbol)
        closing = min(fill.lots, abs(self.lots)) if self.lots * fill.side.sign < 0 else 0
        closing_quote = fill.quote_atoms * closing // fill.lots
        after = self._close(closing, closing_quote, fill.side.sign)._open(
            fill.lots - closing, fill.quote_atoms - closing_quote, fill.side.sign
        )
        fees = dict(self.fees)
        paid = fees.get(fill.fee_asset, 0) + fill.fee_atoms
        fees[fill.fee_asset] = fits_amount(paid, what=f"fees in {fill.fee_asset}")
        return replace(after, fees=tuple(sorted((asset, atoms) for asset, atoms in fees.items() if atoms)))

    def _close(self, lots: int, quote: int, sign: int) -> Position:
        if lots == 0:
            return self
        left = self.lots + sign * lots
        basis_lots, basis_cost = self._basis
        cost = cut(basis_cost * abs(left), abs(basis_lots))
        realised = self.realised_atoms - sign * quote - (self.cost_atoms - cost)
        return replace(
            self,
            lots=left,
            cost_atoms=cost,
            realised_atoms=fits_amount(realised, what=f"realised profit in {self.symbol}"),
            basis=(basis_lots, basis_cost) if left else (0, 0),
        )

    def _open(self, lots: int, quote: int, sign: int) -> Position:
        if lots == 0:
            return self
        total = fits_i64(self.lots + sign * lots, what=f"position in {self.symbol}")
        cost = fits_amount(self.cost_atoms + sign * quote, what=f"cost of {self.symbol}")
        return replace(self, lots=total, cost_atoms=cost, basis=(total, cost))

    @property
    def _basis(self) -> tuple[int, int]:
        assert self.basis is not None  # set on construction
        return self.basis

    @property
    def is_flat(self) -> bool:
        """Whether nothing is held."""
        return self.lots == 0

    def fee_atoms(self, asset: str) -> int:
        """Fees taken in `asset` so far."""
        return dict(self.fees).get(asset, 0)

    def average_price(self, instrument: Instrument) -> Decimal | None:
        """Quote paid per base for what is held, to 28 digits; None when flat."""
        if self.is_flat:
            return None
        basis_lots, basis_cost = self._basis
        return Decimal(basis_cost) / Decimal(basis_lots * instrument.lot_atoms)

    def unrealised_atoms(self, reference_ticks: int, instrument: Instrument) -> int:
        """Profit if everything held were closed at `reference_ticks`, before fees."""
        return notional_atoms(reference_ticks, self.lots, instrument) - self.cost_atoms

    def base_atoms(self, instrument: Instrument) -> int:
        """Base in hand: on spot a fee taken in the bought asset never arrived, so it is less than the lots say."""
        fee = self.fee_atoms(instrument.base) if instrument.kind is InstrumentKind.SPOT else 0
        return self.lots * instrument.lot_atoms - fee
