"""Rows: the columns of one series of one symbol, by open time, and the hash of what they say.

Rows as read may be in any order; `sapphire.data.quality` says what is wrong with them. Rows in the store and in a
snapshot are in order, without repeats.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sapphire.data.decimals import as_decimals
from sapphire.domain.errors import ValueRefused

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["COLUMNS", "TIME_COLUMN", "Measure", "Rows"]


class Measure(StrEnum):
    """What a series measures."""

    BARS = "bars"
    MARK = "mark"
    FUNDING = "funding"


COLUMNS: dict[Measure, tuple[str, ...]] = {
    Measure.BARS: ("open", "high", "low", "close", "volume"),
    Measure.MARK: ("open", "high", "low", "close"),
    Measure.FUNDING: ("rate",),
}
"""Columns of each measure. Prices are quote per base, volume is base, a funding rate is a fraction per settlement."""
TIME_COLUMN = "open_time_ns"
"""Open time of a bar, or the moment a funding rate was settled; UTC nanoseconds."""

_FORMAT = b"sapphire-rows-1"


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Columns of one series.

    Parameters
    ----------
    measure : which columns these are.
    open_time_ns : int64 [T], UTC nanoseconds.
    values : float64 [T, C], one column for each of `COLUMNS[measure]`.

    Raises
    ------
    ValueRefused : arrays whose shapes do not fit each other.
    """

    measure: Measure
    open_time_ns: NDArray[np.int64]
    values: NDArray[np.float64]

    def __post_init__(self) -> None:
        times = np.ascontiguousarray(self.open_time_ns, dtype=np.int64)
        values = np.ascontiguousarray(self.values, dtype=np.float64)
        shape = (times.size, len(COLUMNS[self.measure]))
        if times.ndim != 1 or values.shape != shape:
            raise ValueRefused(
                f"columns of {self.measure} do not fit each other",
                expected=f"times [T] and values {list(shape)}",
                got=f"times {list(times.shape)}, values {list(values.shape)}",
            )
        for name, array in (("open_time_ns", times), ("values", values)):
            view = array.view()
            view.setflags(write=False)
            object.__setattr__(self, name, view)

    @classmethod
    def empty(cls, measure: Measure) -> Rows:
        """No rows."""
        return cls(measure, np.empty(0, np.int64), np.empty((0, len(COLUMNS[measure]))))

    @classmethod
    def joined(cls, measure: Measure, parts: Sequence[Rows]) -> Rows:
        """All rows of `parts`, one part after the other."""
        if not parts:
            return cls.empty(measure)
        times = np.concatenate([part.open_time_ns for part in parts])
        return cls(measure, times, np.concatenate([part.values for part in parts]))

    def __len__(self) -> int:
        return int(self.open_time_ns.size)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the value columns."""
        return COLUMNS[self.measure]

    def column(self, name: str) -> NDArray[np.float64]:
        """One column, float64 [T]."""
        return self.values[:, self.columns.index(name)]

    def take(self, which: NDArray[Any] | slice) -> Rows:
        """The rows that `which` picks: a mask, positions or a slice."""
        return Rows(self.measure, self.open_time_ns[which], self.values[which])

    def between(self, start_ns: int, end_ns: int) -> Rows:
        """Rows that open in `[start_ns, end_ns)`."""
        return self.take((self.open_time_ns >= start_ns) & (self.open_time_ns < end_ns))

    def order(self) -> NDArray[np.intp]:
        """Positions by open time; rows of one time go by their values, so there is one answer for any permutation."""
        keys = [self.values[:, index] for index in reversed(range(self.values.shape[1]))]
        return np.lexsort([*keys, self.open_time_ns])

    def in_order(self) -> Rows:
        """The same rows in `order`."""
        return self if bool((np.diff(self.open_time_ns) > 0).all()) else self.take(self.order())

    def exact_repeats(self) -> NDArray[np.bool_]:
        """Marks each row that equals the row before it in every bit of meaning, bool [T]; rows must be in order."""
        repeats = np.zeros(len(self), np.bool_)
        if len(self) > 1:
            before, here = self.values[:-1], self.values[1:]
            equal = (before == here) | (np.isnan(before) & np.isnan(here))
            repeats[1:] = (np.diff(self.open_time_ns) == 0) & equal.all(axis=1)
        return repeats

    def as_decimals(self) -> Rows:
        """The same rows, each number with rounding noise as the decimal that it stands for."""
        return Rows(self.measure, self.open_time_ns, as_decimals(self.values))

    def content_sha256(self) -> str:
        """SHA-256 of what the rows say: measure, row count, then each column's little-endian values.

        It does not depend on how a file writes them. Minus zero counts as zero.
        """
        digest = hashlib.sha256(b"\n".join([_FORMAT, self.measure.encode(), str(len(self)).encode(), b""]))
        digest.update(np.ascontiguousarray(self.open_time_ns, dtype="<i8").tobytes())
        for index in range(self.values.shape[1]):
            digest.update(np.ascontiguousarray(self.values[:, index] + 0.0, dtype="<f8").tobytes())
        return digest.hexdigest()

    def frame(self) -> pd.DataFrame:
        """The rows as a DataFrame indexed by open time, UTC."""
        import pandas as pd

        index = pd.DatetimeIndex(self.open_time_ns.view("datetime64[ns]"), name="open_time").tz_localize("UTC")
        return pd.DataFrame(self.values, index=index, columns=list(self.columns), copy=True)
