"""What counts as a sample: finite numbers, enough of them, in the right number of dimensions.

Every statistic of this room passes its input through here, so a NaN is refused where it enters and
named by position, instead of coming out as a NaN that fails every comparison in silence.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sapphire.domain.errors import StatisticsError, TooFewReturns

FloatArray = npt.NDArray[np.float64]

MINIMUM_RETURNS = 30
"""The least number of returns that a statistic with a verdict attached accepts (deflation, calibration)."""


def finite_sample(values: npt.ArrayLike, *, name: str, at_least: int = 1, dimensions: int = 1) -> FloatArray:
    """`values` as float64, refused unless finite and long enough.

    Parameters
    ----------
    values : array, time along the first axis.
    name : what the numbers are, for the error message.
    at_least : the least length of the first axis.
    dimensions : the number of axes expected.

    Raises
    ------
    StatisticsError : a wrong shape, or a value that is not finite (the first one is named).
    TooFewReturns : fewer than `at_least` along the first axis.

    >>> finite_sample([1, 2, 3], name="returns")
    array([1., 2., 3.])
    """
    sample = _as_floats(values, name=name, dimensions=dimensions)
    if len(sample) < at_least:
        raise TooFewReturns(
            f"too few {name}",
            expected=f"at least {at_least}",
            got=str(len(sample)),
            next="use a longer window or a shorter bar interval",
        )
    finite = np.isfinite(sample)
    if not finite.all():
        position = tuple(int(index) for index in np.argwhere(~finite)[0])
        raise StatisticsError(
            f"{name} with a value that is not finite",
            expected="finite numbers",
            got=f"{sample[position]} at position {', '.join(map(str, position))} of {len(sample)}",
            next="drop or explain the missing values before taking a statistic of them",
        )
    return sample


def panel(values: npt.ArrayLike, *, name: str) -> FloatArray:
    """`values` as a float64 panel [T, S], time by symbol; one axis is read as one symbol; NaN means missing.

    Raises
    ------
    StatisticsError : more than two axes, or an infinite value.

    >>> panel([1.0, 2.0], name="forecasts").shape
    (2, 1)
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim == 1:
        array = array[:, np.newaxis]
    array = _as_floats(array, name=name, dimensions=2)
    if np.isinf(array).any():
        raise StatisticsError(
            f"{name} with an infinite value",
            expected="finite numbers, NaN where one is missing",
            got=f"{int(np.isinf(array).sum())} infinite of {array.size}",
            next="look for a division by zero where they are made",
        )
    return array


def same_shape(first: FloatArray, second: FloatArray, *, names: tuple[str, str]) -> None:
    """Refuse two arrays that cannot be paired value by value.

    Raises
    ------
    StatisticsError : the shapes differ; says both.
    """
    if first.shape != second.shape:
        raise StatisticsError(
            f"{names[0]} and {names[1]} do not pair",
            expected=f"one shape, {first.shape} as {names[0]}",
            got=f"{second.shape} as {names[1]}",
            next="align both on the same times and symbols first",
        )


def paired(
    left: npt.ArrayLike, right: npt.ArrayLike, *, names: tuple[str, str]
) -> tuple[FloatArray, FloatArray, npt.NDArray[np.bool_]]:
    """Two arrays as panels [T, S] with 0 where either is missing, and bool [T, S] where neither is.

    Raises
    ------
    StatisticsError : shapes that differ, or an infinite value.

    >>> paired([1.0, np.nan], [2.0, 3.0], names=("scores", "outcomes"))[2].ravel().tolist()
    [True, False]
    """
    first, second = panel(left, name=names[0]), panel(right, name=names[1])
    same_shape(first, second, names=names)
    present = np.isfinite(first) & np.isfinite(second)
    return np.where(present, first, 0.0), np.where(present, second, 0.0), present


def varies(sample: FloatArray) -> bool:
    """Whether a sample has a spread beyond the rounding of its own values.

    The standard deviation of a constant is often 1e-17 and not 0; a ratio to it would be a huge number made of
    rounding. The bound is that of `ffn.calc_deflated_sharpe_ratio`: four units in the last place of the largest value.

    >>> varies(np.full(10, 0.1)), varies(np.array([0.1, 0.2]))
    (False, True)
    """
    spread = float(sample.max() - sample.min())
    return spread > 4 * float(np.finfo(np.float64).eps) * float(np.abs(sample).max())


def _as_floats(values: npt.ArrayLike, *, name: str, dimensions: int) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != dimensions:
        raise StatisticsError(
            f"{name} of a wrong shape",
            expected=f"{dimensions} axes, time first",
            got=f"shape {array.shape}",
            next="pass one value per time (and per symbol, where the statistic says so)",
        )
    return array
