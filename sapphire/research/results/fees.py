"""Fees in the quote asset: what was taken in whatever asset, summed once and shown per asset beside."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from sapphire.domain.instruments import Universe
from sapphire.domain.money import ATOMS_PER_UNIT, from_atoms
from sapphire.domain.precision import cut

__all__ = ["Fee", "FeesPaid", "fees_paid"]

PriceAt = Callable[[str, int], int | None]
"""Quote atoms of one unit of an asset at a market time, nanoseconds; None where nobody knows."""


class Fee(NamedTuple):
    """What a fill was charged: atoms of an asset, at the fill's price in ticks and its market time."""

    symbol: str
    asset: str
    atoms: int
    ticks: int
    time_ns: int


@dataclass(frozen=True, slots=True)
class FeesPaid:
    """Fees of many fills.

    Parameters
    ----------
    quote : the asset that they are summed in.
    atoms : what was taken, by asset.
    worth : what that was worth when it was taken, by asset, in atoms of atoms of the quote asset (1e-16), so that
        nothing is rounded; an asset that had no price then is not there.
    """

    quote: str
    atoms: dict[str, int]
    worth: dict[str, int]

    @property
    def total_quote(self) -> float:
        """All that has a price, in the quote asset."""
        return sum(self.worth.values()) / ATOMS_PER_UNIT**2

    @property
    def total_quote_atoms(self) -> int:
        """The same in whole atoms, cut."""
        return cut(sum(self.worth.values()), ATOMS_PER_UNIT)

    @property
    def unpriced(self) -> tuple[str, ...]:
        """Assets that are in no sum, because a fill's price does not say what they are worth."""
        return tuple(sorted(self.atoms.keys() - self.worth.keys()))

    def __str__(self) -> str:
        if not self.atoms:
            return "none"
        each = [f"{from_atoms(atoms):f} {asset}" for asset, atoms in sorted(self.atoms.items())]
        text = f"{from_atoms(self.total_quote_atoms):,.2f} {self.quote}"
        text += f" ({', '.join(each)}, at the price of each fill)" if set(self.atoms) != {self.quote} else ""
        return text + (f"; without a price, in no sum: {', '.join(self.unpriced)}" if self.unpriced else "")


def fees_paid(fees: Iterable[Fee], instruments: Universe, *, price_at: PriceAt = lambda *_: None) -> FeesPaid:
    """Fees in the quote asset.

    One in the base asset counts at its fill's price, one in the quote asset as it is, one in a third asset (such as
    BNB) at that asset's price at the time of the fill.

    Parameters
    ----------
    instruments : of the fills; all in one quote asset.
    price_at : what a third asset is worth.
    """
    quote = next(iter(instruments)).quote
    atoms: dict[str, int] = {}
    worth: dict[str, int] = {}
    unknown: set[str] = set()
    for fee in fees:
        rules = instruments[fee.symbol]
        if fee.asset == rules.quote:
            price: int | None = ATOMS_PER_UNIT
        elif fee.asset == rules.base:
            price = fee.ticks * rules.tick_atoms
        else:
            price = price_at(fee.asset, fee.time_ns)
        atoms[fee.asset] = atoms.get(fee.asset, 0) + fee.atoms
        if price is None:
            unknown.add(fee.asset)
        else:
            worth[fee.asset] = worth.get(fee.asset, 0) + fee.atoms * price
    known = {asset: value for asset, value in worth.items() if asset not in unknown}
    return FeesPaid(quote, atoms, known)
