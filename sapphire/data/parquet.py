"""Rows as a Parquet file that knows its own content hash, so that damage is found when it is read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sapphire.data.durable import replace_file
from sapphire.data.rows import Measure, Rows
from sapphire.domain.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["read_rows", "write_rows"]

_TIME = "open_time"
_HASH_KEY = b"sapphire.content_sha256"
_MEASURE_KEY = b"sapphire.measure"


def write_rows(path: Path, rows: Rows) -> None:
    """Write `rows` in one step; whoever reads sees the old file or the new one."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    times = pa.array(rows.open_time_ns, pa.int64()).cast(pa.timestamp("ns", tz="UTC"))
    columns = [pa.array(rows.column(name)) for name in rows.columns]
    table = pa.table([times, *columns], names=[_TIME, *rows.columns])
    metadata = {_HASH_KEY: rows.content_sha256().encode(), _MEASURE_KEY: str(rows.measure).encode()}
    stamped = table.replace_schema_metadata(metadata)
    replace_file(path, lambda temporary: pq.write_table(stamped, temporary, compression="zstd"))


def read_rows(path: Path, *, next: str, sha256: str | None = None) -> Rows:
    """Read what `write_rows` wrote.

    Parameters
    ----------
    path : the file.
    next : what to do when it is damaged; the error says it.
    sha256 : the content hash that somebody else remembers; the file's own is checked in any case.

    Raises
    ------
    DataError : it is missing, not one of ours, or its content is not what was written; names the file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        raise DataError(f"{path.name} is missing", expected=f"the file {path}", got="nothing there", next=next)
    try:
        table = pq.ParquetFile(path).read()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(
            f"{path.name} cannot be read", expected=f"a whole Parquet file at {path}", got=_line(error), next=next
        ) from error
    rows, stamped = _rows_of(table, path, next)
    content = rows.content_sha256()
    for wanted in (stamped, sha256):
        if wanted is not None and content != wanted:
            raise DataError(
                f"{path.name} is damaged", expected=f"content {wanted[:16]} in {path}", got=content[:16], next=next
            )
    return rows


def _rows_of(table: pa.Table, path: Path, next: str) -> tuple[Rows, str]:
    import pyarrow as pa

    metadata = table.schema.metadata or {}
    try:
        measure = Measure(metadata[_MEASURE_KEY].decode())
        stamped = metadata[_HASH_KEY].decode()
        times = table[_TIME].cast(pa.timestamp("ns", tz="UTC")).cast(pa.int64()).to_numpy()
        empty = Rows.empty(measure)
        columns = [table[name].to_numpy() for name in empty.columns]
        return Rows(measure, times, np.column_stack(columns) if len(times) else empty.values), stamped
    except (KeyError, ValueError, TypeError, pa.ArrowException) as error:
        raise DataError(
            f"{path.name} is not one of Sapphire's recordings",
            expected=f"measure, content hash and columns in {path}",
            got=_line(error),
            next=next,
        ) from error


def _line(error: Exception) -> str:
    """First line of a library's message."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
