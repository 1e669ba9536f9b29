"""How far below its best an equity curve fell, and for how long.

A drawdown is written as a depth, 0 at a peak and 0.25 a quarter below it, so that a policy can say `max: 0.25`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sapphire.domain.errors import StatisticsError
from sapphire.statistics.samples import FloatArray, finite_sample


@dataclass(frozen=True, slots=True)
class Drawdown:
    """The deepest fall of an equity curve; positions are indices into it.

    Attributes
    ----------
    depth : share of the peak that was lost, 0 where the curve never fell.
    peak : where it began, the last time at the old high.
    trough : where it was deepest.
    recovered : the first time at or above the old high again; None if it has not been seen.
    last : the last position of the curve.
    """

    depth: float
    peak: int
    trough: int
    recovered: int | None
    last: int

    @property
    def duration(self) -> int:
        """Bars from the peak to the recovery, or to the end of the curve where there was none yet."""
        return (self.last if self.recovered is None else self.recovered) - self.peak


def drawdown_series(equity: npt.ArrayLike) -> FloatArray:
    r"""Depth below the running peak at each point of an equity curve [T].

    .. math:: d_t = 1 - e_t / \max_{s \le t} e_s

    Raises
    ------
    TooFewReturns : an empty curve.
    StatisticsError : a value is not finite, or the curve does not begin above zero.

    References
    ----------
    Magdon-Ismail and Atiya (2004), Maximum drawdown, Risk 17(10).

    >>> drawdown_series([100.0, 120.0, 90.0, 120.0]).tolist()
    [0.0, 0.0, 0.25, 0.0]
    """
    curve = finite_sample(equity, name="points of an equity curve")
    if curve[0] <= 0.0:
        raise StatisticsError(
            "an equity curve that does not begin above zero",
            expected="equity, not returns or profit",
            got=f"{curve[0]:g} at its start",
            next="compound the returns first: numpy.cumprod(1 + returns)",
        )
    return np.asarray(1.0 - curve / np.maximum.accumulate(curve), dtype=np.float64)


def maximum_drawdown(equity: npt.ArrayLike) -> Drawdown:
    r"""The deepest drawdown of an equity curve [T], the first of equal ones.

    .. math:: \mathrm{MDD} = \max_t d_t

    Raises
    ------
    TooFewReturns : an empty curve.
    StatisticsError : a value is not finite, or the curve does not begin above zero.

    References
    ----------
    Magdon-Ismail and Atiya (2004), Maximum drawdown, Risk 17(10).

    >>> fall = maximum_drawdown([100.0, 120.0, 90.0, 110.0, 125.0, 124.0])
    >>> fall.depth, fall.peak, fall.trough, fall.recovered, fall.duration
    (0.25, 1, 2, 4, 3)
    """
    curve = finite_sample(equity, name="points of an equity curve")
    depths = drawdown_series(curve)
    trough = int(np.argmax(depths))
    high = float(curve[: trough + 1].max())
    peak = int(np.flatnonzero(curve[: trough + 1] == high)[-1])
    after = np.flatnonzero(curve[trough:] >= high)
    return Drawdown(
        depth=float(depths[trough]),
        peak=peak,
        trough=trough,
        recovered=trough + int(after[0]) if after.size else None,
        last=len(curve) - 1,
    )
