"""Retention: texts that may not be kept any longer are dropped, from what was imported and from every snapshot here.

Ids, hashes and times stay, so a snapshot keeps its hash; whoever asks a window for such a text is told that it is gone.
"""

from __future__ import annotations

from sapphire.data.documents.files import write_documents
from sapphire.data.documents.results import Expired
from sapphire.data.documents.store import DocumentStore
from sapphire.domain.clocks import Instant, to_ns
from sapphire.domain.documents import Document

__all__ = ["expire"]


def expire(now: Instant) -> Expired:
    """Drop every text whose retention is over at a moment.

    Raises
    ------
    DataError : a file is damaged; those before it have been looked at.
    """
    from sapphire.data.catalog import snapshots_with_documents

    now_ns = to_ns(now)

    def kept(document: Document) -> Document:
        return document.without_text() if document.is_over(now_ns) and not document.expired else document

    store = DocumentStore()
    dropped = sum(store.rewrite(kind, kept) for kind in store.kinds)
    snapshots = 0
    for path, documents in snapshots_with_documents():
        after = [kept(each) for each in documents]
        if any(one is not other for one, other in zip(documents, after, strict=True)):
            write_documents(path, after)
            snapshots += 1
    return Expired(dropped, snapshots)
