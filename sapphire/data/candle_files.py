"""Candle files: what a file is, by its name, and its rows, by its columns.

=====================================  ==========================================================================
name                                   what it holds
=====================================  ==========================================================================
`BTC_USDT_USDT-5m-futures.feather`     bars of the perpetual BTC/USDT:USDT
`BTC_USDT_USDT-8h-mark.feather`        its mark prices
`BTC_USDT_USDT-8h-funding_rate.feather`  its funding rates; the rate stands in `open`
`BTC_USDT-5m.feather`                  bars of the spot pair BTC/USDT
`BTCUSDT_1h_2023.feather`              the same; what follows the interval is the author's own
`BTCUSDT-5m.csv`                       the same, with the header open_time_ms,open,high,low,close,volume
=====================================  ==========================================================================

Each may be Feather (Arrow), Parquet or CSV. The time is a column `date` or `timestamp` (a moment; UTC where it names no
zone) or `open_time_ms` (whole milliseconds). Nothing is guessed from the values.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sapphire.data.durable import replace_file
from sapphire.data.rows import Measure, Rows
from sapphire.data.series import Series
from sapphire.domain.clocks import to_ns
from sapphire.domain.errors import BadBars, DataError, ValueRefused
from sapphire.domain.intervals import INTERVALS

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["CSV_HEADER", "SUFFIXES", "CandleFile", "identify", "read_candles", "rewrite_candles", "write_csv"]

SUFFIXES = (".feather", ".arrow", ".parquet", ".csv")
CSV_HEADER = ("open_time_ms", "open", "high", "low", "close", "volume")
"""The header of the CSV files that the embedded exchange reads."""

_INTERVAL = "|".join(sorted(INTERVALS, key=len, reverse=True))
_FUTURES = re.compile(rf"([A-Z0-9]+)_([A-Z0-9]+)_([A-Z0-9]+)-({_INTERVAL})-(futures|mark|funding_rate)", re.ASCII)
_SPOT = re.compile(rf"([A-Z0-9]+)_([A-Z0-9]+)-({_INTERVAL})", re.ASCII)
_VENUE_SPOT = re.compile(rf"([A-Z0-9]+?)[_-]({_INTERVAL})(?:[_-].*)?", re.ASCII)
_QUOTES = ("USDT", "USDC", "FDUSD", "TUSD", "BUSD", "USD", "BTC", "ETH", "BNB", "EUR", "TRY", "BRL", "JPY", "GBP")
"""Quote assets that a venue's joined name may end in (Binance spot, 2025)."""
_MEASURES = {"futures": Measure.BARS, "mark": Measure.MARK, "funding_rate": Measure.FUNDING}
_TIME_COLUMNS = ("date", "timestamp", "open_time_ms")
_NS_PER_MS = 1_000_000
_MAX_MS = (2**63 - 1) // _NS_PER_MS
_MILLISECONDS = "whole milliseconds since the epoch"


@dataclass(frozen=True, slots=True)
class CandleFile:
    """A candle file and the series that its name says it holds."""

    path: Path
    series: Series


def identify(path: Path, *, venue: str) -> CandleFile:
    """Which series a file holds, by its name.

    Raises
    ------
    DataError : a name or suffix that is none of the known forms.
    """
    stem, suffix = path.stem, path.suffix
    if suffix in SUFFIXES:
        if match := _FUTURES.fullmatch(stem):
            base, quote, settle, interval, measure = match.groups()
            if settle == quote:
                return CandleFile(path, Series(venue, f"{base}/{quote}:{settle}", _MEASURES[measure], interval))
        elif match := _SPOT.fullmatch(stem):
            base, quote, interval = match.groups()
            return CandleFile(path, Series(venue, f"{base}/{quote}", Measure.BARS, interval))
        elif (match := _VENUE_SPOT.fullmatch(stem)) and (quote := _quote_of(match[1])):
            symbol = f"{match[1].removesuffix(quote)}/{quote}"
            return CandleFile(path, Series(venue, symbol, Measure.BARS, match[2]))
    raise DataError(
        f"{path.name} does not say what it holds",
        expected="a name such as BTC_USDT_USDT-5m-futures.feather (perpetual), ...-8h-mark, ...-8h-funding_rate,\n"
        f"BTC_USDT-5m or BTCUSDT_1h_2023 (spot); one of {', '.join(SUFFIXES)}; an interval of {', '.join(INTERVALS)}",
        got=path.name,
        next="rename it",
    )


def read_candles(file: CandleFile) -> Rows:
    """The rows of a file, as they stand there, in its order.

    Raises
    ------
    BadBars : unreadable, a column that is missing or of another type, a cell that is no number or moment; names the
        file, the row (counted from 0, as in a DataFrame) and what was expected.
    """
    path = file.path
    table = _read_csv(path) if path.suffix == ".csv" else _read_arrow(path)
    measure = file.series.measure
    wanted = ("open",) if measure is Measure.FUNDING else Rows.empty(measure).columns
    time_column = next((name for name in _TIME_COLUMNS if name in table.column_names), None)
    missing = [name for name in wanted if name not in table.column_names]
    if time_column is None or missing:
        raise BadBars(
            f"{path.name} lacks {', '.join(missing) or 'a column of times'}",
            expected=f"columns {', '.join(wanted)}, and one of {', '.join(_TIME_COLUMNS)}",
            got=", ".join(table.column_names) or "no columns",
            next="get the file again, or rename its columns",
        )
    times = _times(path, table, time_column)
    values = [_numbers(path, table, name) for name in wanted]
    return Rows(measure, times, np.column_stack(values) if len(times) else Rows.empty(measure).values)


def write_csv(path: Path, rows: Rows) -> None:
    """Write bars as the CSV that the embedded exchange reads, in one step; each number as its shortest decimal.

    Raises
    ------
    BadBars : an open time that is not a whole millisecond.
    """
    odd = np.flatnonzero(rows.open_time_ns % _NS_PER_MS)
    if odd.size:
        raise BadBars(
            f"{path.name}: a time finer than a millisecond", expected=CSV_HEADER[0], got=f"row {int(odd[0]):,}"
        )

    def write(temporary: Path) -> None:
        with temporary.open("w", encoding="ascii", newline="\n") as out:
            out.write(",".join(CSV_HEADER) + "\n")
            for time_ns, values in zip(rows.open_time_ns.tolist(), rows.values.tolist(), strict=True):
                out.write(",".join([str(time_ns // _NS_PER_MS), *map(plain, values)]) + "\n")

    replace_file(path, write)


def plain(value: float) -> str:
    """The shortest decimal that means this double, without an exponent.

    Examples
    --------
    >>> plain(0.00000123), plain(95505.4), plain(3.0)
    ('0.00000123', '95505.4', '3')
    """
    return np.format_float_positional(value, unique=True, trim="-")


def rewrite_candles(file: CandleFile, kept: NDArray[np.intp]) -> None:
    """Write a file anew, in one step, with only the rows that `kept` names, in that order; every column stays."""
    import pyarrow.feather as feather
    import pyarrow.parquet as pq

    if file.path.suffix == ".csv":
        header, *lines = [line for line in file.path.read_text(encoding="utf-8").splitlines() if line]
        text = "\n".join([header, *(lines[int(row)] for row in kept)]) + "\n"
        replace_file(file.path, lambda temporary: _write_text(temporary, text))
        return
    table = _read_arrow(file.path).take(kept)
    write = pq.write_table if file.path.suffix == ".parquet" else feather.write_feather
    replace_file(file.path, lambda temporary: write(table, str(temporary)))


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def _quote_of(joined: str) -> str:
    """The quote asset at the end of a venue's joined name; empty if none is known."""
    return next((quote for quote in _QUOTES if joined.endswith(quote) and joined != quote), "")


def _read_arrow(path: Path) -> pa.Table:
    import pyarrow as pa
    import pyarrow.feather as feather
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path).read() if path.suffix == ".parquet" else feather.read_table(path, memory_map=False)
    except (pa.ArrowException, OSError, ValueError) as error:
        form = "Parquet" if path.suffix == ".parquet" else "Feather (Arrow IPC)"
        raise _unreadable(path, f"a whole {form} file", error) from error


def _read_csv(path: Path) -> pa.Table:
    """The cells as text: what they mean is decided column by column, so that a bad one can be named."""
    import pyarrow as pa
    from pyarrow import csv

    try:
        with path.open(encoding="utf-8") as lines:
            header = lines.readline().strip().split(",")
        convert = csv.ConvertOptions(column_types=dict.fromkeys(header, pa.string()), strings_can_be_null=False)
        return csv.read_csv(path, convert_options=convert)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _unreadable(path, f"CSV with the header {','.join(CSV_HEADER)}", error) from error


def _unreadable(path: Path, expected: str, error: Exception) -> BadBars:
    said = (str(error).splitlines() or [type(error).__name__])[0][:200]
    return BadBars(f"{path.name} cannot be read", expected=expected, got=said, next="get the file again")


def _times(path: Path, table: pa.Table, name: str) -> NDArray[np.int64]:
    import pyarrow as pa

    column = table[name]
    _no_nulls(path, column, name, "a moment in every row")
    kind = column.type
    if pa.types.is_timestamp(kind):
        try:
            in_ns = column.cast(pa.timestamp("ns", tz=kind.tz)).cast(pa.int64())
        except pa.ArrowInvalid as error:
            raise _out_of_range(path, name, str(error)) from error
        return np.asarray(in_ns.to_numpy(), np.int64)
    if name == "open_time_ms" and (pa.types.is_integer(kind) or pa.types.is_string(kind)):
        whole = column.to_numpy() if pa.types.is_integer(kind) else _parsed(path, column, name, _MILLISECONDS, _whole)
        times = np.asarray(whole, np.int64)
        beyond = np.flatnonzero(np.abs(times) > _MAX_MS)
        if beyond.size:
            raise _out_of_range(path, name, f"{times[beyond[0]]} at row {int(beyond[0]):,}")
        return times * _NS_PER_MS
    if pa.types.is_string(kind):
        return np.asarray(_parsed(path, column, name, "a moment such as 2024-03-01T05:00Z", _moment), np.int64)
    raise _wrong_type(path, name, "moments" if name != "open_time_ms" else _MILLISECONDS, kind)


def _numbers(path: Path, table: pa.Table, name: str) -> NDArray[np.float64]:
    import pyarrow as pa

    column = table[name]
    _no_nulls(path, column, name, "a number in every row")
    if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
        return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), np.float64)
    if pa.types.is_string(column.type) and path.suffix == ".csv":
        return np.asarray(_parsed(path, column, name, "a number", _number), np.float64)
    raise _wrong_type(path, name, "numbers", column.type)


def _parsed(path: Path, column: pa.ChunkedArray, name: str, expected: str, read: Any) -> list[Any]:
    """Each cell through `read`; the first that it refuses is named."""
    read_cells = []
    for row, cell in enumerate(column.to_pylist()):
        try:
            read_cells.append(read(cell))
        except ValueError:
            raise BadBars(
                f"{path.name} has a bad {name}",
                expected=expected,
                got=f"{cell!r} at row {row:,} (line {row + 2:,})",
                next="get the file again, or correct the line",
            ) from None
    return read_cells


def _whole(cell: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,16}", cell, re.ASCII):
        raise ValueError(cell)
    return int(cell)


def _number(cell: str) -> float:
    if "_" in cell:  # Python would read 1_000
        raise ValueError(cell)
    return float(cell)


def _moment(cell: str) -> int:
    try:
        return to_ns(cell)
    except ValueRefused as error:
        raise ValueError(cell) from error


def _no_nulls(path: Path, column: pa.ChunkedArray, name: str, expected: str) -> None:
    if column.null_count:
        row = column.is_null().to_pylist().index(True)
        raise BadBars(
            f"{path.name} has an empty {name}",
            expected=expected,
            got=f"nothing at row {row:,} ({column.null_count:,} such rows)",
            next="get the file again",
        )


def _out_of_range(path: Path, name: str, got: str) -> BadBars:
    return BadBars(f"{name} of {path.name} is out of range", expected="moments between 1678 and 2262", got=got[:200])


def _wrong_type(path: Path, name: str, expected: str, kind: pa.DataType) -> BadBars:
    return BadBars(
        f"column {name} of {path.name} is of another type",
        expected=expected,
        got=str(kind),
        next="get the file again, or convert the column",
    )
