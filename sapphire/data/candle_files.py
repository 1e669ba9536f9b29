"""Candle files: their rows, whatever form they have, and the one form that the embedded exchange reads.

`sapphire.data.candle_names` says which names are known, `sapphire.data.candle_columns` which columns.

Files of Binance Vision's older USD-M futures have neither a header nor another name than those of spot. Their folder
tells them apart, else their digits: spot's numbers have eight decimals. What neither tells is refused, and the user
says it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sapphire.data.candle_cells import Cells
from sapphire.data.candle_columns import KLINE_WIDTH, columns_of, is_vision_futures
from sapphire.data.candle_names import SUFFIXES, CandleFile, identify, suffix_of
from sapphire.data.candle_paths import PERPETUAL, SPOT
from sapphire.data.candle_tables import Table, read_arrow, read_table, text_layout
from sapphire.data.decimals import as_decimals
from sapphire.data.durable import replace_file
from sapphire.data.quality import Finding, noise
from sapphire.data.rows import Rows
from sapphire.data.series import Series, pair_of
from sapphire.data.trades import read_trades
from sapphire.domain.errors import BadBars
from sapphire.domain.instruments import InstrumentKind

__all__ = [
    "CSV_HEADER",
    "SUFFIXES",
    "CandleFile",
    "Reading",
    "identify",
    "read_candles",
    "read_file",
    "rewrite_candles",
    "write_csv",
]

CSV_HEADER = ("open_time_ms", "open", "high", "low", "close", "volume")
"""The header of the CSV files that the embedded exchange reads."""

_NS_PER_MS = 1_000_000
_LOOKED_AT = 1_000
"""Rows whose digits are looked at."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a file says.

    Parameters
    ----------
    file : the file; its series is the perpetual where the header says so.
    rows : as they stand there, in its order, each number as the decimal that it stands for.
    notes : what was done on the way.
    """

    file: CandleFile
    rows: Rows
    notes: tuple[Finding, ...]


def read_candles(file: CandleFile) -> Rows:
    """The rows of a file, as they stand there, in its order; see `read_file`."""
    return read_file(file).rows


def read_file(file: CandleFile, *, repair: bool = False) -> Reading:
    """The rows of a file, as they stand there, in its order.

    Parameters
    ----------
    repair : of a file of trades, put them in order and drop exact repeats first; bars are made of ordered ones.

    Raises
    ------
    BadBars : unreadable, a column that is missing, doubled or of another type, a cell that is no number or moment;
        names the file, the row (counted from 0, as in a DataFrame) and what was expected.
    """
    table = read_table(file.path)
    _refuse_several_symbols(file, table)
    if file.trades:
        return Reading(file, *read_trades(file, table, repair=repair))
    if file.series.kind is InstrumentKind.SPOT and not file.settled:
        _refuse_either_market(file, table)
    if is_vision_futures(table) and not file.settled and file.series.kind is InstrumentKind.SPOT:
        series = file.series
        perpetual = f"{series.symbol}:{series.symbol.partition('/')[2]}"
        file = replace(file, series=Series(series.venue, perpetual, series.measure, series.interval))
    columns = columns_of(file, table)
    cells = Cells(file, table, columns)
    times, raw = cells.times(), cells.numbers()
    notes: list[Finding] = []
    if columns.by_quote:
        raw[:, -1] = _base_volume(raw)
        notes.append(Finding("volume", False, len(raw), 0, "base", "quote volume over the mean price of each bar"))
    values = as_decimals(raw)
    notes += noise(raw, values)
    measure = file.series.measure
    return Reading(file, Rows(measure, times, values) if len(times) else Rows.empty(measure), tuple(notes))


def write_csv(path: Path, rows: Rows) -> None:
    """Write bars as the CSV that the embedded exchange reads, in one step; each number as its shortest decimal.

    Raises
    ------
    BadBars : an open time that is not a whole millisecond.
    """
    finer = np.flatnonzero(rows.open_time_ns % _NS_PER_MS)
    if finer.size:
        raise BadBars(
            f"{path.name}: a time finer than a millisecond", expected=CSV_HEADER[0], got=f"row {int(finer[0]):,}"
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
    """Write a file anew, in one step, with only the rows that `kept` names, in that order; every column stays.

    The file is of a form that is `rewritable`.
    """
    import pyarrow.feather as feather
    import pyarrow.parquet as pq

    if suffix_of(file.path) not in (".feather", ".arrow", ".parquet"):
        data = file.path.read_bytes()
        begin = text_layout(file.path, data).begin
        lines = [line for line in data[begin:].splitlines() if line.strip()]
        body = b"\n".join(lines[int(row)] for row in kept) + b"\n"
        replace_file(file.path, lambda temporary: _write_bytes(temporary, data[:begin] + body))
        return
    table = read_arrow(file.path).take(kept)
    write = pq.write_table if file.path.suffix == ".parquet" else feather.write_feather
    replace_file(file.path, lambda temporary: write(table, str(temporary)))


def _write_bytes(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _base_volume(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Volumes in base of volumes in quote, at the mean of the bar's four prices."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.round(values[:, -1] / values[:, :4].mean(axis=1), 8), np.float64)


def _refuse_either_market(file: CandleFile, table: Table) -> None:
    """Refuse klines that may be of spot or of the perpetual: no header, a name of neither, digits of either."""
    base, quote = pair_of(file.series.symbol)
    ours = f"{base}_{quote}" in file.path.name or f"{base}-{quote}" in file.path.name
    if ours or table.names or not table.first_line or table.cells.num_columns != KLINE_WIDTH:
        return
    digits = re.compile(r"[0-9]+\.[0-9]{8}", re.ASCII)
    looked = table.cells.slice(0, _LOOKED_AT).to_pydict()
    if all(digits.fullmatch(cell.strip()) for place in range(1, 5) for cell in looked[str(place)]):
        return
    raise BadBars(
        f"{file.path.name} may be of spot or of the perpetual",
        expected="a folder that says it, such as data/spot or data/futures/um; or prices with eight decimals, as\n"
        "Binance writes spot's",
        got=f"no header, and an open of {looked['1'][0].strip()}" if looked["1"] else "no header",
        next=f"say it: {file.command()} --market {SPOT}\nor {file.command()} --market {PERPETUAL}",
    )


def _refuse_several_symbols(file: CandleFile, table: Table) -> None:
    for place, name in enumerate(table.names):
        if name.strip().casefold() not in ("symbol", "ticker", "pair", "tic"):
            continue
        symbols = table.cells.column(place).unique().to_pylist()
        if len(symbols) > 1:
            raise BadBars(
                f"{file.path.name} holds several symbols",
                expected="one symbol in a file",
                got=f"column {name}: {', '.join(str(symbol) for symbol in symbols[:5])}",
                next="write each symbol into a file of its own",
            )
