"""Documents as a Parquet file, one row for each version."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sapphire.data.durable import replace_file
from sapphire.domain.documents import Document, Documents
from sapphire.domain.errors import BadDocuments, DataError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow as pa

__all__ = ["read_documents", "write_documents"]

_TIMES = ("published", "received")


def write_documents(path: Path, documents: Iterable[Document]) -> None:
    """Write documents in one step; whoever reads sees the old file or the new one."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [each.as_dict() for each in documents]
    for row in rows:
        row.update({name: row.pop(f"{name}_ns") for name in _TIMES})
    table = pa.Table.from_pylist(rows, schema=_schema())
    replace_file(path, lambda temporary: pq.write_table(table, temporary, compression="zstd"))


def read_documents(path: Path, *, kinds: tuple[str, ...], lineage: str, next: str) -> Documents:
    """Read what `write_documents` wrote, each text against its hash.

    Parameters
    ----------
    kinds : that these are all of.
    lineage : `Documents.lineage_sha256`, as somebody else remembers it.
    next : what to do when it is damaged; the error says it.

    Raises
    ------
    DataError : it is missing, not one of ours, or not what was written; names the file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        raise DataError(f"{path.name} is missing", expected=f"the file {path}", got="nothing there", next=next)
    try:
        table = pq.ParquetFile(path).read()
        rows = _with_times(table).to_pylist()
        documents = Documents(map(Document.from_dict, rows), kinds=kinds)
    except (pa.ArrowException, OSError, ValueError, KeyError, BadDocuments) as error:
        why = f"{error.what}: {error.got}" if isinstance(error, BadDocuments) else str(error)
        raise DataError(f"{path.name} cannot be read", expected=f"documents in {path}", got=why, next=next) from error
    found = documents.lineage_sha256()
    if found != lineage:
        raise DataError(f"{path.name} is damaged", expected=f"documents {lineage[:16]}", got=found[:16], next=next)
    return documents


def _with_times(table: pa.Table) -> pa.Table:
    import pyarrow as pa

    for name in _TIMES:
        place = table.schema.get_field_index(name)
        table = table.set_column(place, f"{name}_ns", table[name].cast(pa.timestamp("ns", tz="UTC")).cast(pa.int64()))
    return table


def _schema() -> pa.Schema:
    import pyarrow as pa

    texts = ("kind", "id", "source", "url", "language", "licence", "sha256", "title", "text")
    fields: dict[str, Any] = dict.fromkeys(texts, pa.string())
    fields |= dict.fromkeys(_TIMES, pa.timestamp("ns", tz="UTC"))
    fields |= {"version": pa.int32(), "retention_days": pa.int32(), "symbols": pa.list_(pa.string())}
    fields["expired"] = pa.bool_()
    return pa.schema([pa.field(name, of, nullable=name == "retention_days") for name, of in fields.items()])
