"""Exact decimal numbers: read, counted in steps, written back. Nothing here rounds.

Decimal arithmetic of the standard library rounds silently to the context's 28 digits, so the work is done in integers.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

from sapphire.domain.errors import PrecisionError, ValueRefused

__all__ = [
    "I64_MAX",
    "I64_MIN",
    "MAX_ATOMS",
    "Exact",
    "count_steps",
    "cut",
    "fits_amount",
    "fits_i64",
    "read_decimal",
    "steps_to_decimal",
    "truncated_ratio",
]


Exact = Decimal | str | int
"""What an exact number may be given as. A float is not exact and is refused."""

I64_MAX = 2**63 - 1
I64_MIN = -(2**63)

MAX_ATOMS = 10**28
"""The most of one asset that an account holds, in atoms of 1e-8: 10^20 units, as in the engine's `core::amounts`."""

_MAX_DIGITS = 40
_PLAIN = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def read_decimal(value: Exact, *, what: str = "number") -> Decimal:
    """Read an exact, finite decimal number of at most 40 digits on either side of the point.

    Raises
    ------
    ValueRefused : a float or bool, text that is not a number, NaN, infinity, or a number out of that range.
    """
    if isinstance(value, bool) or not isinstance(value, Decimal | str | int):
        raise ValueRefused(
            f"{what} is not exact",
            expected="a Decimal, a decimal string or an int",
            got=f"{type(value).__name__} {value!r}",
            next="pass the number as text, or floor_lots(...) for a quantity that was computed in floats",
        )
    if isinstance(value, str) and not _PLAIN.fullmatch(value):
        raise _not_a_number(what, value)
    try:
        number = Decimal(value)
    except InvalidOperation as error:
        raise _not_a_number(what, value) from error
    if not number.is_finite():
        raise _not_a_number(what, value)
    digits, exponent = _parts(number)
    if digits and (len(str(abs(digits))) + exponent > _MAX_DIGITS or -exponent > _MAX_DIGITS):
        raise ValueRefused(
            f"{what} is out of range",
            expected=f"at most {_MAX_DIGITS} digits before and after the decimal point",
            got=str(value)[:80],
        )
    return number


def count_steps(value: Exact, step: Decimal, *, what: str = "number") -> int:
    """How many times `step` goes into `value`, exactly; the caller says how large a count may be.

    Raises
    ------
    PrecisionError : `value` is not a whole number of steps.
    ValueRefused : `value` is not an exact number.

    Examples
    --------
    >>> count_steps("64250.10", Decimal("0.01"))
    6425010
    """
    number = read_decimal(value, what=what)
    numerator, denominator = _ratio(number, step)
    count, rest = divmod(numerator, denominator)
    if rest:
        raise PrecisionError(
            f"{what} is finer than its step",
            expected=f"a whole multiple of {step:f}",
            got=f"{number:f}",
            next="choose a multiple; a value is never rounded on the way to the venue",
        )
    return count


def truncated_ratio(value: Decimal, step: Decimal) -> int:
    """Whole steps in `value`, cut toward zero."""
    numerator, denominator = _ratio(value, step)
    return cut(numerator, denominator)


def cut(numerator: int, denominator: int) -> int:
    """Integer division toward zero, for a positive denominator; Python's `//` goes down instead."""
    whole = abs(numerator) // denominator
    return whole if numerator >= 0 else -whole


def steps_to_decimal(count: int, step: Decimal) -> Decimal:
    """`count * step` exactly, with the decimals of `step`.

    Examples
    --------
    >>> steps_to_decimal(6425010, Decimal("0.01"))
    Decimal('64250.10')
    """
    sign, digits, exponent = step.as_tuple()
    assert isinstance(exponent, int)  # a step is finite
    product = count * int("".join(map(str, digits))) * (-1 if sign else 1)
    if exponent > 0:
        product, exponent = product * 10**exponent, 0
    return Decimal((int(product < 0), tuple(map(int, str(abs(product)))), exponent))


def fits_i64(number: int, *, what: str = "number") -> int:
    """`number` unchanged, if the engine's 64-bit integers can hold it.

    Raises
    ------
    PrecisionError : it does not fit.
    """
    if not I64_MIN <= number <= I64_MAX:
        raise PrecisionError(f"{what} does not fit in 64 bits", expected=f"{I64_MIN} to {I64_MAX}", got=str(number))
    return number


def fits_amount(atoms: int, *, what: str = "amount") -> int:
    """`atoms` unchanged, if an account can hold, or owe, that much of an asset.

    Raises
    ------
    PrecisionError : more than 10^20 units either way.
    """
    if not -MAX_ATOMS <= atoms <= MAX_ATOMS:
        raise PrecisionError(
            f"{what} is more than an account can hold",
            expected=f"at most {MAX_ATOMS} atoms of 1e-8, 10^20 units of an asset",
            got=str(atoms),
        )
    return atoms


def _parts(number: Decimal) -> tuple[int, int]:
    """Signed digits without trailing zeros, and the power of ten they stand at."""
    sign, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)  # the caller refused NaN and infinity
    text = "".join(map(str, digits))
    stripped = text.rstrip("0")
    if not stripped:
        return 0, 0
    return int(stripped) * (-1 if sign else 1), exponent + len(text) - len(stripped)


def _ratio(value: Decimal, step: Decimal) -> tuple[int, int]:
    """`value / step` as numerator and positive denominator."""
    upper, upper_exponent = _parts(value)
    lower, lower_exponent = _parts(step)
    shift = upper_exponent - lower_exponent
    numerator, denominator = (upper * 10**shift, lower) if shift >= 0 else (upper, lower * 10**-shift)
    return (-numerator, -denominator) if denominator < 0 else (numerator, denominator)


def _not_a_number(what: str, value: object) -> ValueRefused:
    return ValueRefused(f"{what} is not a number", expected="a finite decimal number", got=repr(value))
