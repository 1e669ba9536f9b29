"""Documents as a service has them: what was imported here and had been received by a moment.

A window of a service gets from here what a window of a study gets from its snapshot. The files of an import are read
once, and again when something was imported since.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sapphire.data.documents.store import DocumentStore
from sapphire.domain.documents import DocumentKind, Documents
from sapphire.domain.errors import MissingData
from sapphire.domain.windows import Window

__all__ = ["CurrentDocuments"]


class CurrentDocuments:
    """The documents of a store, as they are now.

    Parameters
    ----------
    store : where they are imported to.
    """

    def __init__(self, store: DocumentStore) -> None:
        self._store = store
        self._read: dict[DocumentKind, tuple[object, Documents]] = {}

    def shown(self, window: Window, kinds: Sequence[DocumentKind]) -> Window:
        """The window with the documents of some kinds that had been received in its time; as it is without kinds.

        Raises
        ------
        MissingData : nothing of a kind was ever imported here.
        DataError : a file is missing or damaged; names it.
        """
        if not kinds:
            return window
        items = [each for kind in kinds for each in self._of(kind).until(window.as_of)]
        bars = window.bars.with_documents(Documents(items, kinds=kinds))
        return Window(bars.rows(0, len(bars)), window.as_of, window.features)

    def _of(self, kind: DocumentKind) -> Documents:
        """Every version of a kind, read anew where the list of imports is another one."""
        path = self._store.list_of(kind)
        seen = _state(path)
        if seen is None:
            raise MissingData(
                f"nobody looked for {kind} here",
                expected=f"documents of kind {kind} that were imported into this state folder",
                got="no import",
                next=f"sapphire documents import FILE --kind {kind} --source NAME --licence NAME",
            )
        known = self._read.get(kind)
        if known is None or known[0] != seen:
            known = self._read[kind] = (seen, self._store.read(kind))
        return known[1]


def _state(path: Path) -> object | None:
    """What tells one state of a file from the next; None where it is not there."""
    try:
        about = path.stat()
    except FileNotFoundError:
        return None
    return about.st_mtime_ns, about.st_ino, about.st_size
