"""Bars in the steps that they are traded in: prices in whole ticks, volumes cut to whole lots.

A price between two ticks is somebody's mistake and is for the caller to refuse. Volume is data: what lies between two
lots is cut. The embedded exchange counts the candles that it reads in the same way.
"""

from __future__ import annotations

from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

__all__ = ["cut_lots", "nearest_steps"]

_NEAR = 1e-9
"""How near doubles are to the whole number of steps that they stand for, as a part of it."""


def nearest_steps(values: NDArray[np.float64], step: Decimal) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The whole number of steps nearest to each value, and which values lie between two.

    Examples
    --------
    >>> steps, off = nearest_steps(np.array([64250.1, 64250.105]), Decimal("0.01"))
    >>> steps.tolist(), off.tolist()
    ([6425010, 6425010], [False, True])
    """
    size = float(step)
    counts = np.rint(values / size)
    off = np.abs(counts * size - values) > _NEAR * np.maximum(np.abs(values), size)
    return counts.astype(np.int64), np.asarray(off, np.bool_)


def cut_lots(volume: NDArray[np.float64], lot: Decimal) -> NDArray[np.float64]:
    """Whole lots in each volume, as doubles; 0.3 is three lots of 0.1, though as doubles it is a little less.

    Examples
    --------
    >>> cut_lots(np.array([0.3, 0.39999, 537249.6070000001]), Decimal("0.1")).tolist()
    [3.0, 3.0, 5372496.0]
    """
    lots = volume / float(lot)
    whole = np.rint(lots)
    return np.asarray(np.where(np.abs(lots - whole) <= _NEAR * whole, whole, np.floor(lots)), np.float64)
