"""Decimals: which decimal a double stands for, where arithmetic or a narrow column left noise on it.

A venue tells prices as decimals. `5.29e-05 + 1e-20` is still 5.29e-05: noise below 1e-12 of the value is the decimal
that it stands for. Of a float32 column that is the shortest decimal that means the float32. What is further away than
noise stays as it is; whether it can be traded is for `sapphire.data.quality` to say. A decimal that an account can
count, of up to eight decimals and 15 digits, is no noise, however near it is to a shorter one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["FINEST_DECIMALS", "as_decimals", "decimals_of", "is_narrow", "narrow_decimals", "summed"]

FINEST_DECIMALS = 8
"""An account is kept in atoms of 1e-8 (the engine's, as Binance's), so no price or quantity is finer."""

_NOISE = 1e-12
_ROUNDING = 1e-14
"""What a few operations on doubles leave behind. Of long decimals no more is taken for noise, because most numbers are
within 1e-12 of one."""
_EXACT = 2.0**53
_CERTAIN = 1e15
"""A decimal of up to 15 digits is the shortest that means its double."""
_SHORT, _LONG = 10, 13
"""Digits of the decimals that are looked for."""
_LARGE = 1e7
"""From here on a double has no room for eight decimals and for noise that can be told from them; no long ones there."""
_POWERS = np.array([float(f"1e{power}") for power in range(23)])
"""The powers of ten that doubles hold exactly."""


def as_decimals(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same values, each with noise as the decimal that it stands for.

    Parameters
    ----------
    values : float64 of any shape; NaN and infinity stay.

    Examples
    --------
    >>> as_decimals(np.array([5.2900000000000005e-05, 537249.6070000001, 0.1])).tolist()
    [5.29e-05, 537249.607, 0.1]
    >>> as_decimals(np.array([12345678.12345678, 1 / 3])).tolist()
    [12345678.12345678, 0.3333333333333333]
    """
    flat = np.array(values, np.float64).ravel()
    places = np.flatnonzero(~_is_short(flat))
    if places.size:
        flat[places] = _shortened(flat[places])
    return np.asarray(flat.reshape(values.shape), np.float64)


def narrow_decimals(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """The shortest decimals that mean these float32 or float16.

    Examples
    --------
    >>> narrow_decimals(np.array([0.1, 95505.4], np.float32)).tolist()
    [0.1, 95505.4]
    """
    return np.asarray(values.astype(np.str_).astype(np.float64), np.float64)


def is_narrow(values: NDArray[np.float64]) -> bool:
    """Whether doubles are float32 that were widened: each one is a float32, and has fewer decimals as one.

    Examples
    --------
    >>> is_narrow(np.array([0.1, 95505.4], np.float32).astype(np.float64)), is_narrow(np.array([0.5, 3.0]))
    (True, False)
    """
    finite = values[np.isfinite(values)]
    with np.errstate(over="ignore"):
        narrow = finite.astype(np.float32)
    if not bool((narrow == finite).all()):
        return False
    return int(decimals_of(finite).max(initial=0)) > int(decimals_of(narrow_decimals(narrow)).max(initial=0))


def decimals_of(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Decimals of the shortest decimal that means each double; 9 where that is finer than 1e-8.

    Examples
    --------
    >>> decimals_of(np.array([3.0, 95505.4, 1.23e-6, 1e-9])).tolist()
    [0, 1, 8, 9]
    """
    flat = np.asarray(values, np.float64).ravel()
    found = np.full(flat.size, FINEST_DECIMALS + 1, np.int64)
    left = np.arange(flat.size)
    for decimals in range(FINEST_DECIMALS + 1):
        fits = _has(flat[left], decimals, _EXACT)
        found[left[fits]] = decimals
        left = left[~fits]
        if not left.size:
            break
    return found.reshape(np.shape(values))


def summed(parts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums over the first axis, as the decimals that they are where every part is one.

    Examples
    --------
    >>> summed(np.array([[0.1], [0.2]])).tolist()
    [0.3]
    """
    total = np.add.reduce(parts, axis=0)
    decimals = int(decimals_of(parts).max(initial=0))
    return as_decimals(total) if decimals > FINEST_DECIMALS else np.asarray(np.round(total, decimals), np.float64)


def _has(values: NDArray[np.float64], decimals: int, below: float) -> NDArray[np.bool_]:
    """Whether each value is the double nearest to a decimal of so many decimals, that has less than `below` units."""
    with np.errstate(invalid="ignore", over="ignore"):
        counts = np.rint(values * _POWERS[decimals])
        return np.asarray((np.abs(counts) < below) & (counts / _POWERS[decimals] == values), np.bool_)


def _is_short(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether each value is a decimal of at most 15 digits and eight decimals, or no number at all."""
    short = _has(values, FINEST_DECIMALS, _CERTAIN) | ~np.isfinite(values)
    left = np.flatnonzero(~short & (np.abs(values) >= _LARGE))  # below, eight decimals are at most 15 digits
    for decimals in range(FINEST_DECIMALS):
        short[left] = _has(values[left], decimals, _CERTAIN)
        left = left[~short[left]]
    return short


def _shortened(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The shortest decimal within the noise of each value; the value where there is none."""
    result = values.copy()
    exponent = np.zeros(values.size, np.int64)
    known = values != 0.0
    exponent[known] = np.floor(np.log10(np.abs(values[known]))).astype(np.int64)
    left = np.flatnonzero(known)
    for digits, noise in ((_SHORT, _NOISE), (_LONG, _ROUNDING)):  # so rounded, a shorter decimal is itself
        here = left if digits == _SHORT else left[np.abs(values[left]) < _LARGE]
        near = _rounded(values[here], digits - 1 - exponent[here])
        good = np.abs(near - values[here]) <= noise * np.abs(values[here])
        result[here[good]] = near[good]
        left = here[~good]
    return result


def _rounded(values: NDArray[np.float64], decimals: NDArray[np.int64]) -> NDArray[np.float64]:
    """Each value with so many decimals, negative ones being tens; NaN where doubles have no such power of ten."""
    reachable = np.abs(decimals) < _POWERS.size
    power = _POWERS[np.where(reachable, np.abs(decimals), 0)]
    fine = decimals >= 0
    counts = np.rint(np.where(fine, values * power, values / power))
    return np.where(reachable, np.where(fine, counts / power, counts * power), np.nan)
