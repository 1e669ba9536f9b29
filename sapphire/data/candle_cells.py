"""Candle cells: moments and numbers, read from the columns of a file; a cell that is neither is named by its row."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sapphire.data.candle_columns import Columns
from sapphire.data.candle_names import CandleFile
from sapphire.data.candle_tables import Table
from sapphire.data.decimals import is_narrow, narrow_decimals
from sapphire.domain.clocks import to_ns
from sapphire.domain.errors import BadBars, ValueRefused

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Cells"]

_SECONDS = (1_230_768_000, 4_102_444_800)
"""2009, before the first block of bitcoin, to 2100: in that range no unit can be taken for another."""
_UNITS_NS = (1_000_000_000, 1_000_000, 1_000, 1)
_UNIT_WORDS = {1_000_000_000: "seconds", 1_000_000: "milliseconds", 1_000: "microseconds", 1: "nanoseconds"}
_I64_MAX = 2**63 - 1
_BLANKS = frozenset({"", "nan", "null", "none", "n/a", "na", "-"})
_WHOLE = re.compile(r"\s*-?[0-9]{1,19}(\.0*)?\s*", re.ASCII)
_DAY = re.compile(r"[0-9]{4}[-/.]?[0-9]{2}[-/.]?[0-9]{2}", re.ASCII)
_HALF_DAY = re.compile(r"([0-9-]{10}) ([0-9]{1,2})-([AP]M)", re.ASCII)
_DECIMAL_COMMA = re.compile(r"\s*-?[0-9.]*[0-9],[0-9]+\s*", re.ASCII)
_DAY_FIRST = re.compile(r"[0-9]{1,2}[-/.][0-9]{1,2}[-/.][0-9]{4}\b.*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Cells:
    """The columns of one file as moments and numbers.

    Parameters
    ----------
    file : the file.
    table : its cells.
    columns : which is what.
    """

    file: CandleFile
    table: Table
    columns: Columns

    def times(self) -> NDArray[np.int64]:
        """Open times, UTC nanoseconds.

        Raises
        ------
        BadBars : a cell that is no moment, or whose unit its range does not tell.
        """
        import pyarrow as pa

        column = self._time_column()
        name = self._name(self.columns.times[0], "open_time")
        self._no_nulls(column, name, "a moment in every row")
        kind = column.type
        if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
            try:
                in_ns = column.cast(pa.timestamp("ns", tz=getattr(kind, "tz", None))).cast(pa.int64())
            except pa.ArrowInvalid as error:
                raise self._out_of_range(name, str(error)) from error
            return np.asarray(in_ns.to_numpy(), np.int64)
        if pa.types.is_integer(kind) or pa.types.is_floating(kind):
            return self._in_ns(self._whole_numbers(column, name), name)
        if pa.types.is_string(kind):
            if not len(column):
                return np.empty(0, np.int64)
            if self.columns.unit_ns or _WHOLE.fullmatch(column[0].as_py()):
                return self._in_ns(self._whole_numbers(column, name), name)
            moments = self._each(column, name, "a moment such as 2024-03-01T05:00Z, the year first", _moment)
            return np.asarray(moments, np.int64)
        raise self._wrong_type(name, "moments" if not self.columns.unit_ns else self._unit_words(), kind)

    def numbers(self) -> NDArray[np.float64]:
        """The value columns, float64 [T, C]; a row whose prices are all blank is NaN.

        Raises
        ------
        BadBars : a cell that is no number.
        """
        read = [self._number_column(place) for place in self.columns.values]
        values = np.column_stack([numbers for numbers, _ in read])
        blank = np.column_stack([blank for _, blank in read])
        prices = slice(0, min(4, values.shape[1]))
        empty = np.isnan(values[:, prices]).all(axis=1)
        for index, place in enumerate(self.columns.values):
            rows = np.flatnonzero(blank[:, index] & ~empty) if values.shape[1] > 1 else np.flatnonzero(blank[:, index])
            if rows.size:
                raise self._blank(place, int(rows[0]), int(rows.size))
        return values

    def _time_column(self) -> pa.ChunkedArray:
        """The column of times; date and time of day, where they stand apart, as one text."""
        import pyarrow as pa
        import pyarrow.compute as pc

        first = self.table.cells.column(self.columns.times[0])
        if len(self.columns.times) == 1 or not len(first):
            return first
        second = self.table.cells.column(self.columns.times[1])
        days = first.cast(pa.string()) if pa.types.is_date(first.type) else first
        if not pa.types.is_string(days.type) or not _DAY.fullmatch(str(days[0].as_py()).strip()):
            return first
        joined: pa.ChunkedArray = pc.binary_join_element_wise(days, second.cast(pa.string()), " ")
        return joined

    def _whole_numbers(self, column: pa.ChunkedArray, name: str) -> NDArray[np.int64]:
        import pyarrow as pa

        if pa.types.is_integer(column.type):
            try:
                return np.asarray(column.cast(pa.int64()).to_numpy(), np.int64)
            except pa.ArrowInvalid as error:
                raise self._out_of_range(name, str(error)) from error
        if pa.types.is_floating(column.type):
            values = np.asarray(column.cast(pa.float64()).to_numpy(), np.float64)
            unexact = np.flatnonzero(~(np.abs(values) < 2.0**53) | (np.rint(values) != values))
            if unexact.size:
                row = int(unexact[0])
                raise self._wrong_type(name, self._unit_words(), f"{float(values[row])!r} at {self.table.place(row)}")
            return values.astype(np.int64)
        try:
            fast = np.asarray(column.cast(pa.int64()).to_numpy(), np.int64)
            if self.columns.unit_ns != _UNITS_NS[1] or not (np.abs(fast) >= 10**16).any():
                return fast
        except pa.ArrowInvalid:
            pass
        most = 16 if self.columns.unit_ns == _UNITS_NS[1] else 19

        def whole(cell: str) -> int:
            if not _WHOLE.fullmatch(cell) or len(cell.strip().lstrip("-").partition(".")[0]) > most:
                raise ValueError(cell)
            return int(cell.strip().partition(".")[0])

        return np.asarray(self._each(column, name, self._unit_words(), whole), np.int64)

    def _in_ns(self, times: NDArray[np.int64], name: str) -> NDArray[np.int64]:
        """Times in their unit: the one that is stated, or the one whose range each lies in."""
        if self.columns.unit_ns:
            beyond = np.flatnonzero(np.abs(times) > _I64_MAX // self.columns.unit_ns)
            if beyond.size:
                raise self._out_of_range(name, f"{times[beyond[0]]} at {self.table.place(int(beyond[0]))}")
            return times * self.columns.unit_ns
        scale = np.zeros(times.size, np.int64)
        for unit_ns in _UNITS_NS:
            per_second = _UNITS_NS[0] // unit_ns
            inside = (times >= _SECONDS[0] * per_second) & (times < _SECONDS[1] * per_second)
            scale[inside] = unit_ns
        unknown = np.flatnonzero(scale == 0)
        if unknown.size:
            row = int(unknown[0])
            raise BadBars(
                f"the unit of {name} in {self.file.path.name} cannot be told",
                expected="seconds, milliseconds, microseconds or nanoseconds of a moment from 2009 to 2100",
                got=f"{times[row]} at {self.table.place(row)}",
                next=f"say it: --columns open_time_s={name}, or open_time_ms, open_time_us, open_time_ns",
            )
        return times * scale

    def _number_column(self, place: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Numbers of a column, and which cells are blank."""
        import pyarrow as pa

        column = self.table.cells.column(place)
        name = self._name(place)
        blank = np.asarray(column.is_null().to_numpy(), np.bool_)
        kind = column.type
        if pa.types.is_floating(kind) and kind.bit_width < 64:
            filled = column.to_numpy(zero_copy_only=False) if not blank.any() else column.fill_null(np.nan).to_numpy()
            return narrow_decimals(np.asarray(filled)), blank
        if pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind):
            values = np.asarray(column.cast(pa.float64(), safe=False).fill_null(np.nan).to_numpy(), np.float64)
            return narrow_decimals(values.astype(np.float32)) if is_narrow(values) else values, blank
        if pa.types.is_string(kind):
            if self.table.typed and not self.file.columns:
                field = ("open", "high", "low", "close", "volume")[self.columns.values.index(place)]
                step = f"where the text is meant: {self.file.command(f'{field}={name}')}"
                raise self._wrong_type(name, "numbers", str(kind), step)
            return self._number_cells(column, name)
        if pa.types.is_null(kind):
            return np.full(len(column), np.nan), blank
        raise self._wrong_type(name, "numbers", kind)

    def _number_cells(self, column: pa.ChunkedArray, name: str) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        import pyarrow as pa

        try:
            values = np.asarray(column.cast(pa.float64()).fill_null(np.nan).to_numpy(), np.float64)
            blank = np.asarray(column.is_null().to_numpy(), np.bool_)
        except pa.ArrowInvalid:
            cells = ["" if cell is None else cell for cell in column.to_pylist()]
            blank = np.array([cell.strip().casefold() in _BLANKS for cell in cells], np.bool_)
            expected = "a number such as 42000.5, with a decimal point and nothing between thousands"
            filled = pa.chunked_array([["nan" if empty else cell for cell, empty in zip(cells, blank, strict=True)]])
            values = np.asarray(self._each(filled, name, expected, _number), np.float64)
        return narrow_decimals(values.astype(np.float32)) if is_narrow(values) else values, blank

    def _each(self, column: pa.ChunkedArray, name: str, expected: str, read: Callable[[str], Any]) -> list[Any]:
        """Each cell through `read`; the first that it refuses is named."""
        read_cells = []
        for row, cell in enumerate(column.to_pylist()):
            try:
                read_cells.append(read(cell))
            except ValueError:
                raise self._bad(name, expected, repr(cell), row) from None
        return read_cells

    def _name(self, place: int, field: str = "") -> str:
        return self.table.names[place] if self.table.names else field or f"column {place + 1}"

    def _unit_words(self) -> str:
        unit = _UNIT_WORDS.get(self.columns.unit_ns, "seconds, milliseconds, microseconds or nanoseconds")
        return f"whole {unit} since the epoch"

    def _bad(self, name: str, expected: str, got: str, row: int) -> BadBars:
        text = got.strip("'\"")
        step = "get the file again, or correct the line"
        if _DECIMAL_COMMA.fullmatch(text):
            got, step = (
                f"{got}, with a comma,",
                "write the numbers with a decimal point: a comma may also stand for thousands",
            )
        elif _DAY_FIRST.fullmatch(text):
            got, step = f"{got}, day or month first,", "write the moments with the year first"
        return BadBars(
            f"{self.file.path.name} has a bad {name}",
            expected=expected,
            got=f"{got} at {self.table.place(row)}",
            next=step,
        )

    def _blank(self, place: int, row: int, count: int) -> BadBars:
        name = self._name(place)
        cell = self.table.cells.column(place)[row].as_py()
        if cell is not None:
            return self._bad(name, "a number, or a row without any", repr(cell), row)
        return BadBars(
            f"{self.file.path.name} has an empty {name}",
            expected="a number in every row",
            got=f"nothing at {self.table.place(row)} ({count:,} such rows)",
            next="get the file again",
        )

    def _no_nulls(self, column: pa.ChunkedArray, name: str, expected: str) -> None:
        if column.null_count:
            row = column.is_null().to_pylist().index(True)
            raise BadBars(
                f"{self.file.path.name} has an empty {name}",
                expected=expected,
                got=f"nothing at {self.table.place(row)} ({column.null_count:,} such rows)",
                next="get the file again",
            )

    def _out_of_range(self, name: str, got: str) -> BadBars:
        return BadBars(
            f"{name} of {self.file.path.name} is out of range", expected="moments between 1678 and 2262", got=got[:200]
        )

    def _wrong_type(self, name: str, expected: str, kind: object, step: str = "") -> BadBars:
        return BadBars(
            f"column {name} of {self.file.path.name} is of another type",
            expected=expected,
            got=str(kind),
            next=step or "get the file again, or convert the column",
        )


def _number(cell: str) -> float:
    if "_" in cell:  # Python would read 1_000
        raise ValueError(cell)
    return float(cell)


def _moment(cell: str) -> int:
    text = cell.strip().removesuffix(" UTC").removesuffix(" GMT")
    if match := _HALF_DAY.fullmatch(text):
        hour = int(match[2]) % 12 + (12 if match[3] == "PM" else 0)
        text = f"{match[1]} {hour:02d}:00"
    elif re.match(r"[0-9]{4}[/.]", text):
        text = text[:10].replace("/", "-").replace(".", "-") + text[10:]
    try:
        return to_ns(text)
    except ValueRefused as error:
        raise ValueError(cell) from error
