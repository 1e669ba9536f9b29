"""Candle tables: the cells of a file as they stand there, whatever form it has.

Text in columns (`,` `;` tab or `|`, with or without a header, a line of the source's address above it), the same in a
zip or under gzip, JSON (arrays, or objects of one kind), Feather and Parquet.
"""

from __future__ import annotations

import csv
import gzip
import json
import re
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sapphire.data.candle_names import suffix_of
from sapphire.domain.errors import BadBars

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Table", "TextLayout", "read_table", "text_layout"]

_SEPARATORS = ",;\t|"
_MOST_BYTES = 4 * 2**30
"""Of one file when it is unpacked; a year of one-minute bars has 40 MB."""
_LOOK = 65_536
"""Bytes in which the header has to stand."""
_NUMBER = re.compile(r"\s*[+-]?([0-9]+[.,]?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*", re.ASCII)
_NO_COLUMNS = "columns separated by a comma, a semicolon, a tab or |"


@dataclass(frozen=True, slots=True)
class Table:
    """The cells of one file.

    Parameters
    ----------
    cells : its columns, named "0", "1", ...; text where the file is text, else as the file types them.
    names : what the file calls them; empty without a header.
    first_line : the line on which row 0 stands in a text; 0 in other forms.
    yahoo : it has the two extra header lines that yfinance writes.
    typed : the file says of each column what it is.
    """

    cells: pa.Table
    names: tuple[str, ...]
    first_line: int = 0
    yahoo: bool = False
    typed: bool = False

    @property
    def shown(self) -> str:
        """The columns in words."""
        return ", ".join(self.names) or f"{self.cells.num_columns} columns without a header"

    def place(self, row: int) -> str:
        """Where a row stands, in words."""
        return f"row {row:,}" + (f" (line {row + self.first_line:,})" if self.first_line else "")


@dataclass(frozen=True, slots=True)
class TextLayout:
    """Where the rows of a text begin, and what separates their cells.

    Parameters
    ----------
    names : the header's cells; empty without a header.
    separator : of cells.
    begin : the byte at which the rows begin.
    first_line : its line, from 1.
    yahoo : the header is yfinance's of three lines.
    """

    names: tuple[str, ...]
    separator: str
    begin: int
    first_line: int
    yahoo: bool


def read_table(path: Path) -> Table:
    """The cells of a file.

    Raises
    ------
    BadBars : it cannot be read as the form that its name says; names what was expected.
    """
    suffix = suffix_of(path)
    if suffix in (".feather", ".arrow", ".parquet"):
        return _arrow_table(path, read_arrow(path))
    data, inner = _unpacked(path, suffix)
    return _json_table(path, data) if inner.endswith(".json") else _text_table(path, data)


def read_arrow(path: Path) -> pa.Table:
    """A Feather or Parquet file.

    Raises
    ------
    BadBars : it is none.
    """
    import pyarrow as pa
    import pyarrow.feather as feather
    import pyarrow.parquet as pq

    parquet = path.name.endswith(".parquet")
    try:
        return pq.ParquetFile(path).read() if parquet else feather.read_table(path, memory_map=False)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _unreadable(path, f"a whole {'Parquet' if parquet else 'Feather (Arrow IPC)'} file", error) from error


def text_layout(path: Path, data: bytes) -> TextLayout:
    """Where header and rows of a text stand.

    Raises
    ------
    BadBars : no line of columns.
    """
    begin = 3 if data.startswith(b"\xef\xbb\xbf") else 0
    line = 1
    while True:
        text, after = _line(data, begin)
        if text.strip() and not re.match(r"\s*(https?://|#)", text):
            break
        if after >= len(data) or after > _LOOK:
            raise _unreadable(path, _NO_COLUMNS, ValueError("no line of columns"))
        begin, line = after, line + 1
    separator = max(_SEPARATORS, key=text.count)
    cells = _cells(text, separator)
    if len(cells) < 2:
        raise _unreadable(path, _NO_COLUMNS, ValueError(repr(text[:80])))
    if all(_NUMBER.fullmatch(cell) for cell in cells[1:5]):
        return TextLayout((), separator, begin, line, False)
    ticker, behind = _line(data, after)
    if cells[0] == "Price" and ticker.startswith("Ticker"):
        name, rows = _line(data, behind)
        return TextLayout((_cells(name, separator)[0] or "Date", *cells[1:]), separator, rows, line + 3, True)
    return TextLayout(cells, separator, after, line + 1, False)


def _cells(text: str, separator: str) -> tuple[str, ...]:
    return tuple(cell.strip() for cell in next(csv.reader([text], delimiter=separator, skipinitialspace=True), []))


def _line(data: bytes, begin: int) -> tuple[str, int]:
    """The line that begins at a byte, and where the next one does."""
    end = data.find(b"\n", begin)
    after = len(data) if end < 0 else end + 1
    return data[begin : min(after, begin + _LOOK)].decode("utf-8", "replace").rstrip("\r\n"), after


def _text_table(path: Path, data: bytes) -> Table:
    """The cells as text: what they mean is decided column by column, so that a bad one can be named."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    layout = text_layout(path, data)
    width = len(layout.names) or _line(data, layout.begin)[0].count(layout.separator) + 1
    names = [str(place) for place in range(width)]
    text = pa.string()
    if not re.compile(rb"\S").search(data, layout.begin):
        return Table(pa.table({name: pa.array([], text) for name in names}), layout.names, layout.first_line)
    try:
        cells = arrow_csv.read_csv(
            pa.BufferReader(memoryview(data)[layout.begin :]),
            read_options=arrow_csv.ReadOptions(column_names=names),
            parse_options=arrow_csv.ParseOptions(delimiter=layout.separator),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(names, text), strings_can_be_null=False
            ),
        )
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _unreadable(path, f"CSV of {width} columns", error) from error
    return Table(cells, layout.names, layout.first_line, layout.yahoo)


def _arrow_table(path: Path, table: pa.Table) -> Table:
    import pyarrow as pa

    names = tuple(str(name) for name in table.column_names)
    if not names:
        raise _unreadable(path, "columns", ValueError("none"))
    columns = [column.cast(_plain_type(column.type)) for column in table.columns]
    return Table(pa.table(columns, names=[str(place) for place in range(len(names))]), names, typed=True)


def _plain_type(kind: pa.DataType) -> pa.DataType:
    """One type for all the ways in which text is kept."""
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return _plain_type(kind.value_type)
    return pa.string() if pa.types.is_large_string(kind) or pa.types.is_string_view(kind) else kind


def _json_table(path: Path, data: bytes) -> Table:
    """Arrays of one length, or objects with the same keys."""
    import pyarrow as pa

    try:
        rows = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _unreadable(path, "JSON", error) from error
    expected = "a list of rows: arrays [milliseconds, open, high, low, close, volume], or objects"
    if not isinstance(rows, list) or not all(isinstance(row, type(rows[0])) for row in rows):
        raise _unreadable(path, expected, ValueError(f"a {type(rows).__name__} of something else"))
    if not rows:
        return Table(pa.table({str(place): pa.array([], pa.float64()) for place in range(6)}), ())
    names: tuple[str, ...] = ()
    if isinstance(rows[0], dict):
        names = tuple(rows[0])
        uneven = next((at for at, row in enumerate(rows) if set(row) != set(names)), None)
        rows = [[row.get(name) for name in names] for row in rows]
    elif isinstance(rows[0], list):
        uneven = next((at for at, row in enumerate(rows) if len(row) != len(rows[0])), None)
    else:
        uneven = 0
    if uneven is not None or not rows[0]:
        raise _unreadable(path, expected, ValueError(f"{str(rows[uneven or 0])[:80]} at row {uneven or 0:,}"))
    columns = [_json_column(list(column)) for column in zip(*rows, strict=True)]
    return Table(pa.table(columns, names=[str(place) for place in range(len(columns))]), names)


def _json_column(cells: list[Any]) -> pa.Array:
    """Whole numbers, numbers, or text where it is mixed."""
    import pyarrow as pa

    kinds = {type(cell) for cell in cells} - {type(None)}
    if kinds <= {int} and all(cell is None or abs(cell) < 2**63 for cell in cells):
        return pa.array(cells, pa.int64())
    if kinds <= {int, float}:
        return pa.array([None if cell is None else float(cell) for cell in cells], pa.float64())
    return pa.array([None if cell is None else str(cell) for cell in cells], pa.string())


def _unpacked(path: Path, suffix: str) -> tuple[bytes, str]:
    """The bytes of a file, or of the one in a zip or under gzip, and the name that says their form."""
    try:
        if suffix == ".zip":
            return _only_member(path)
        if suffix.endswith(".gz"):
            with gzip.open(path) as packed:
                return _bounded(path, packed), path.name.removesuffix(".gz")
        with path.open("rb") as plain:
            return _bounded(path, plain), path.name
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise _unreadable(path, f"a whole {suffix or 'text'} file", error) from error


def _only_member(path: Path) -> tuple[bytes, str]:
    with zipfile.ZipFile(path) as archive:
        members = [one for one in archive.infolist() if not one.is_dir() and not one.filename.startswith("__MACOSX")]
        if len(members) != 1 or not members[0].filename.endswith((".csv", ".json", ".tsv", ".txt")):
            raise BadBars(
                f"{path.name} does not hold one file of candles",
                expected="one .csv in the zip",
                got=", ".join(one.filename for one in members[:5]) or "nothing",
                next="unpack it, and import the folder",
            )
        with archive.open(members[0]) as packed:
            return _bounded(path, packed), members[0].filename


def _bounded(path: Path, stream: Any) -> bytes:
    data: bytes = stream.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise BadBars(
            f"{path.name} is too large",
            expected=f"at most {_MOST_BYTES // 2**30} GiB when it is unpacked",
            got="more",
            next="cut it into files of a year or a month",
        )
    return data


def _unreadable(path: Path, expected: str, error: Exception) -> BadBars:
    reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
    return BadBars(f"{path.name} cannot be read", expected=expected, got=reason, next="get the file again")
