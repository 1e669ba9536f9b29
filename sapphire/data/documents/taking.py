"""Taking documents into a snapshot: those that were received in its span, and what its manifest says of them.

The manifest has the digest of their lineage, so it stays what it is when a text expires, and so does the snapshot.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sapphire.data.documents.files import read_documents
from sapphire.data.documents.store import DocumentStore
from sapphire.domain.display import stamp
from sapphire.domain.documents import Document, DocumentKind, Documents
from sapphire.domain.errors import MissingData

__all__ = ["DOCUMENTS_FILE", "documents_kept", "documents_received"]

DOCUMENTS_FILE = "documents.parquet"


def documents_received(
    kinds: tuple[DocumentKind, ...], span: tuple[int, int], *, now_ns: int
) -> tuple[Documents, dict[str, Any]]:
    """Every version that was received from the start of a span to its end, and what a manifest says of them.

    Parameters
    ----------
    now_ns : a text whose retention is over by then is left out; its id, hash and times are there.

    Raises
    ------
    MissingData : none of a kind was.
    DataError : a file is damaged.
    """
    store = DocumentStore()
    found: list[Document] = []
    delays: dict[str, set[int]] = {}
    for kind in kinds:
        parts = list(store.parts(kind))
        inside = [(entry, part.between(*span)) for entry, part in parts]
        if not any(len(part) for _, part in inside):
            raise _none_of(kind, span, Documents((each for _, part in parts for each in part), kinds=(kind,)))
        for entry, part in inside:
            found += [each.without_text() if each.is_over(now_ns) and not each.expired else each for each in part]
            if len(part):
                delays.setdefault(entry.source, set()).add(entry.delay_ns)
    documents = Documents(found, kinds=kinds)
    return documents, _entry_of(documents, delays)


def _none_of(kind: DocumentKind, span: tuple[int, int], known: Documents) -> MissingData:
    times = [each.received_ns for each in known]
    return MissingData(
        f"no {kind} in the range of the snapshot",
        expected=f"{kind} that was received from {stamp(span[0])} to {stamp(span[1])}",
        got=f"received from {stamp(times[0])} to {stamp(times[-1])}" if times else "none imported",
        next=f"sapphire data documents import FILE --kind {kind} --source NAME --licence TEXT",
    )


def _entry_of(documents: Documents, delays: Mapping[str, set[int]]) -> dict[str, Any]:
    """Kinds, count and digest of documents, and whose they are under what licence and delay."""
    licences: dict[str, set[str]] = {}
    for each in documents:
        licences.setdefault(each.source, set()).add(each.licence)
    return {
        "file": DOCUMENTS_FILE,
        "kinds": list(documents.kinds),
        "documents": len(documents),
        "sha256": documents.lineage_sha256(),
        "sources": [
            {"source": source, "licences": sorted(of), "delays_ns": [str(ns) for ns in sorted(delays[source])]}
            for source, of in sorted(licences.items())
        ],
    }


def documents_kept(folder: Path, manifest: Mapping[str, Any], *, next: str) -> Documents | None:
    """The documents of a snapshot, verified; None where it was taken without.

    Raises
    ------
    DataError : their file is missing or damaged.
    """
    entry = manifest.get("documents")
    if entry is None:
        return None
    return read_documents(folder / entry["file"], kinds=tuple(entry["kinds"]), lineage=entry["sha256"], next=next)
