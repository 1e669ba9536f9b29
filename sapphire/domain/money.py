"""Money: whole atoms of 1e-8 of an asset, exactly as the venue books it.

Balances, fees and profit are `int` atoms, at most 10^28 of them (10^20 units), which the engine holds in 128 bits.
Products are exact and cut toward zero once, at the end, as the venue does (Binance keeps eight decimals of an asset and
drops the rest).
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sapphire.domain.precision import Exact, count_steps, cut, fits_amount, steps_to_decimal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sapphire.domain.instruments import Instrument

__all__ = ["ATOMS_PER_UNIT", "fee_atoms", "from_atoms", "notional_atoms", "to_atoms", "units_of"]

ATOMS_PER_UNIT = 10**8
"""Atoms in one unit of any asset: Binance's `baseAssetPrecision` and `quotePrecision` are 8."""

_ATOM = Decimal("0.00000001")


def to_atoms(amount: Exact, *, what: str = "amount") -> int:
    """Atoms in `amount` units of an asset.

    Raises
    ------
    PrecisionError : finer than 1e-8, or more than an account can hold.
    ValueRefused : a float, or not a number.

    Examples
    --------
    >>> to_atoms("1.5")
    150000000
    """
    return fits_amount(count_steps(amount, _ATOM, what=what), what=what)


def from_atoms(atoms: int) -> Decimal:
    """Units of an asset, with all eight decimals.

    Examples
    --------
    >>> from_atoms(150000000)
    Decimal('1.50000000')
    """
    return steps_to_decimal(atoms, _ATOM)


def units_of(atoms: NDArray[Any]) -> NDArray[np.float64]:
    """Units of an asset as floats, for display and statistics.

    Parameters
    ----------
    atoms : a column of the engine: int64, or exact Python integers (dtype object) where 64 bits do not hold them all.

    Examples
    --------
    >>> import numpy as np
    >>> units_of(np.array([150000000, 2 * 10**19])).tolist()
    [1.5, 200000000000.0]
    """
    return atoms.astype("float64") / ATOMS_PER_UNIT


def notional_atoms(ticks: int, lots: int, instrument: Instrument) -> int:
    """Quote atoms of `lots` at the price `ticks`, cut toward zero; it has the sign of `lots`.

    Raises
    ------
    PrecisionError : the result is more than an account can hold.
    """
    product = ticks * instrument.tick_atoms * lots * instrument.lot_atoms
    return fits_amount(cut(product, ATOMS_PER_UNIT), what=f"notional of {instrument.symbol}")


def fee_atoms(amount_atoms: int, rate_e8: int) -> int:
    """Fee on an amount, in atoms of the same asset, cut toward zero.

    Parameters
    ----------
    amount_atoms : what the fee is taken from: quote atoms of a sale, base atoms of a purchase on spot.
    rate_e8 : the rate in units of 1e-8, so 0.1 % is 100_000; negative for a rebate.

    Raises
    ------
    PrecisionError : the result is more than an account can hold.

    Examples
    --------
    >>> fee_atoms(to_atoms("64.25"), 100_000)
    6425000
    """
    return fits_amount(cut(amount_atoms * rate_e8, ATOMS_PER_UNIT), what="fee")
