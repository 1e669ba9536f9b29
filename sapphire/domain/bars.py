"""Bars: one panel of closed candles, time by symbol.

Rows are bars, columns symbols. A cell that is not listed holds NaN in every field, never a filled-in price. Arrays are
read-only. Frames are indexed by the time a bar CLOSES, because that is when it becomes known.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from sapphire.domain.clocks import Instant, from_ns, to_ns
from sapphire.domain.errors import BadBars, UnknownInstrument, ValueRefused
from sapphire.domain.intervals import Interval
from sapphire.domain.sameness import same_fields

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    import plotly.graph_objects as go

    from sapphire.domain.documents import Documents

__all__ = ["FIELDS", "Bars", "Field"]

Field = Literal["open", "high", "low", "close", "volume"]
FIELDS: tuple[Field, ...] = get_args(Field)
"""The fields of a bar: prices in quote, volume in base."""


@dataclass(frozen=True, slots=True, eq=False)
class Bars:
    """A panel of closed bars.

    Parameters
    ----------
    symbols : one per column.
    interval : length of each bar.
    open_time_ns : int64 [T], UTC nanoseconds, on the interval's grid, each after the one before; gaps are allowed.
    open, high, low, close : float64 [T, S], quote per base.
    volume : float64 [T, S], base.
    listed : bool [T, S], False where the symbol had no bar; all fields are NaN there.
    documents : what could be read in their time; some bars of these have what was received from the open of their first
        to the close of their last. None where nobody looked for any.

    Raises
    ------
    BadBars : arrays whose shapes or types do not fit each other. `validate` looks at the values.
    """

    symbols: tuple[str, ...]
    interval: Interval
    open_time_ns: NDArray[np.int64]
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.float64]
    listed: NDArray[np.bool_]
    documents: Documents | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "symbols", tuple(self.symbols))
        if len(set(self.symbols)) != len(self.symbols):
            raise BadBars("symbols repeat", expected="each symbol once", got=", ".join(self.symbols))
        times = np.asarray(self.open_time_ns)
        if times.ndim != 1 or (times.dtype != np.int64 and times.size):
            raise BadBars("open_time_ns", expected="int64 [T]", got=f"{times.dtype} {list(times.shape)}")
        self._seal("open_time_ns", times.astype(np.int64, copy=False))
        shape = (times.size, len(self.symbols))
        for name in (*FIELDS, "listed"):
            dtype = np.dtype(np.bool_ if name == "listed" else np.float64)
            array = np.asarray(getattr(self, name))
            if array.shape != shape or array.dtype != dtype:
                raise BadBars(
                    f"array {name!r} does not fit the panel",
                    expected=f"{dtype} {list(shape)}, time by symbol",
                    got=f"{array.dtype} {list(array.shape)}",
                )
            self._seal(name, array)

    def _seal(self, name: str, array: NDArray[Any]) -> None:
        """Keep a read-only view; the caller's own array stays as it was."""
        view = array.view()
        view.setflags(write=False)
        object.__setattr__(self, name, view)

    def __setstate__(self, state: Sequence[Any]) -> None:
        """Read-only again: pickling does not keep that."""
        for each, value in zip(fields(self), state, strict=True):
            object.__setattr__(self, each.name, value)
        self.__post_init__()

    def __len__(self) -> int:
        return int(self.open_time_ns.size)

    def __eq__(self, other: object) -> bool:
        return same_fields(self, other) if isinstance(other, Bars) else NotImplemented

    def __hash__(self) -> int:
        return hash((self.symbols, self.interval, len(self)))

    def __repr__(self) -> str:
        if not len(self):
            return f"Bars({len(self.symbols)} symbols, {self.interval}, no bars)"
        first, last = from_ns(int(self.open_time_ns[0])), from_ns(int(self.close_time_ns[-1]))
        span = f"{first:%Y-%m-%dT%H:%MZ} to {last:%Y-%m-%dT%H:%MZ}"
        return f"Bars({', '.join(self.symbols)}; {self.interval}; {len(self)} bars, {span})"

    @property
    def close_time_ns(self) -> NDArray[np.int64]:
        """Close time of each bar, int64 [T]: the open time plus the interval."""
        return self.open_time_ns + np.int64(self.interval.ns)

    @property
    def times(self) -> pd.DatetimeIndex:
        """Close times, UTC: the index of every frame."""
        return _utc_index(self.close_time_ns, "close_time")

    @property
    def open_times(self) -> pd.DatetimeIndex:
        """Open times, UTC."""
        return _utc_index(self.open_time_ns, "open_time")

    def frame(self, field: Field) -> pd.DataFrame:
        """One field as a DataFrame, close time by symbol; NaN where not listed. The frame is a copy.

        Raises
        ------
        ValueRefused : not a field of a bar.
        """
        import pandas as pd

        if field not in FIELDS:
            raise ValueRefused("not a field of a bar", expected="one of " + ", ".join(FIELDS), got=repr(field))
        # a view each: whoever names the columns anew names those of his own frame
        return pd.DataFrame(getattr(self, field), index=self.times, columns=_columns(self.symbols).view(), copy=True)

    def slice(self, start: Instant, end: Instant) -> Bars:
        """Bars that open in `[start, end)`."""
        first, last = np.searchsorted(self.open_time_ns, [to_ns(start), to_ns(end)], side="left")
        return self.rows(int(first), max(int(first), int(last)))

    def head_until(self, close_time: Instant) -> Bars:
        """Bars that have closed by `close_time`, that moment included."""
        moment = to_ns(close_time)
        known = np.searchsorted(self.open_time_ns, moment - self.interval.ns, side="right")
        head = self.rows(0, int(known))
        return head if self.documents is None else head.with_documents(self.documents.until(moment))

    def tail(self, count: int) -> Bars:
        """The latest `count` bars, or all where there are fewer, without copying."""
        return self.rows(max(0, len(self) - count), len(self))

    def rows(self, start: int, stop: int) -> Bars:
        """Rows `start` up to `stop` (not included), without copying."""
        cut = slice(start, stop)
        arrays = {name: getattr(self, name)[cut] for name in ("open_time_ns", *FIELDS, "listed")}
        documents = self.documents
        if documents is not None:
            opens = arrays["open_time_ns"]
            ends = (int(opens[0]), int(opens[-1]) + self.interval.ns) if opens.size else (0, 0)
            documents = documents.between(*ends)
        return Bars(symbols=self.symbols, interval=self.interval, documents=documents, **arrays)

    def with_documents(self, documents: Documents | None) -> Bars:
        """The same bars with other documents, or without any."""
        return self if documents is self.documents else replace(self, documents=documents)

    def symbols_only(self, symbols: Iterable[str]) -> Bars:
        """The same rows for these symbols, in this order.

        Raises
        ------
        UnknownInstrument : a symbol that the panel does not have.
        """
        wanted = tuple(symbols)
        unknown = [symbol for symbol in wanted if symbol not in self.symbols]
        if unknown:
            raise UnknownInstrument(
                "symbol is not in these bars", expected="some of " + ", ".join(self.symbols), got=", ".join(unknown)
            )
        columns = [self.symbols.index(symbol) for symbol in wanted]
        arrays = {name: getattr(self, name)[:, columns] for name in (*FIELDS, "listed")}
        own = {"open_time_ns": self.open_time_ns, "documents": self.documents, **arrays}
        return Bars(symbols=wanted, interval=self.interval, **own)

    def plot(self, symbols: Sequence[str] | None = None) -> go.Figure:
        """Candles, one panel per symbol, and the value that was traded below.

        Parameters
        ----------
        symbols : which; all of them unless given, and of many the first six.

        Raises
        ------
        UnknownInstrument : a symbol that the panel does not have.
        MissingData : no bars.
        """
        from sapphire.domain.candles import candle_figure

        return candle_figure(self, "these bars do not know where they are from", symbols)

    def validate(self) -> Bars:
        """Check every value, and hand the bars back.

        Raises
        ------
        BadBars : times off the grid or out of order; a listed cell with a price that is not finite and positive, a high
            or low that does not enclose open and close, a negative volume; an unlisted cell that is not NaN. It names
            symbol and row.
        """
        self._check_times()
        listed = self.listed
        prices = np.stack([self.open, self.high, self.low, self.close])
        with np.errstate(invalid="ignore"):
            self._refuse(listed & ~(np.isfinite(prices) & (prices > 0)).all(axis=0), "prices finite and above zero")
            self._refuse(listed & (self.high < prices.max(axis=0)), "a high that no price is above")
            self._refuse(listed & (self.low > prices.min(axis=0)), "a low that no price is below")
            self._refuse(listed & ~(np.isfinite(self.volume) & (self.volume >= 0)), "a volume of zero or more")
        filled = ~np.isnan(prices).all(axis=0) | ~np.isnan(self.volume)
        self._refuse(~listed & filled, "NaN in every field where the symbol is not listed")
        return self

    def _check_times(self) -> None:
        off = np.flatnonzero(self.open_time_ns % self.interval.ns)
        if off.size:
            row = int(off[0])
            raise BadBars(
                f"bar off the {self.interval} grid",
                expected=f"open times that are multiples of {self.interval} from the epoch",
                got=f"{from_ns(int(self.open_time_ns[row])).isoformat()} at row {row:,}",
            )
        back = np.flatnonzero(np.diff(self.open_time_ns) <= 0)
        if back.size:
            row = int(back[0]) + 1
            before, here = (from_ns(int(self.open_time_ns[i])).isoformat() for i in (row - 1, row))
            raise BadBars(
                "bars out of order",
                expected="each open time after the one before",
                got=f"{here} after {before} at row {row:,}",
            )

    def _refuse(self, bad: NDArray[np.bool_], expected: str) -> None:
        """Raise for the first bad cell, in time order."""
        if not bad.any():
            return
        row, column = (int(i) for i in np.argwhere(bad)[0])
        cell = ", ".join(f"{name} {getattr(self, name)[row, column]:g}" for name in FIELDS)
        opened = from_ns(int(self.open_time_ns[row])).isoformat()
        raise BadBars(
            f"bad bar of {self.symbols[column]} at row {row:,}, opened {opened}",
            expected=expected,
            got=f"{cell}; {int(bad.sum()):,} such cells",
            next="sapphire data check",
        )


@lru_cache(maxsize=64)
def _columns(symbols: tuple[str, ...]) -> pd.Index[str]:
    """The columns of a frame; an agent is asked about thousands of windows of the same symbols."""
    import pandas as pd

    return pd.Index(symbols, name="symbol")


def _utc_index(ns: NDArray[np.int64], name: str) -> pd.DatetimeIndex:
    import pandas as pd

    return pd.DatetimeIndex(ns.view("datetime64[ns]"), tz="UTC", name=name)
