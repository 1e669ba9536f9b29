"""Document store: what was imported, on disk, and how each import came about.

Layout, under `$SAPPHIRE_HOME/data/documents/`::

    kind=news/000001.parquet    what one import added, one row for each version
              documents.json    the imports in their order: file, source, licence, delay, retention, when

A file is never added to: an edit is another version in a later one. `documents.json` is written last, so what an import
that was killed left is not seen, and the next one takes its place. Once the retention of a text is over its file is
written anew without it (`retention`); ids, hashes and times stay, and so does the digest of the file in the list.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sapphire.data.documents.files import read_documents, write_documents
from sapphire.data.durable import locked, write_text
from sapphire.domain.documents import DOCUMENT_KINDS, Document, DocumentKind, Documents, document_kinds
from sapphire.domain.errors import DataError
from sapphire.domain.workspace import home

__all__ = ["DocumentStore", "Import"]

_FORMAT = "sapphire-documents-1"
_LIST = "documents.json"


@dataclass(frozen=True, slots=True)
class Import:
    """One import, as the store remembers it.

    Parameters
    ----------
    file : what it added, in the folder of its kind.
    lineage_sha256 : of these documents (`Documents.lineage_sha256`).
    documents : how many versions they are.
    origin, origin_sha256 : name and digest of what was imported.
    source, licence, retention_days : stated for all of it; an item may say another licence and retention.
    delay_ns : added to the time of an item that does not say when it was received.
    at_ns : when it was imported.
    """

    file: str
    lineage_sha256: str
    documents: int
    origin: str
    origin_sha256: str
    source: str
    licence: str
    retention_days: int | None
    delay_ns: int
    at_ns: int


class DocumentStore:
    """The documents of one home.

    Parameters
    ----------
    root : its folder; `data/documents` in `$SAPPHIRE_HOME` unless given.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or home() / "data" / "documents"

    @property
    def kinds(self) -> tuple[DocumentKind, ...]:
        """Kinds of which something was imported."""
        return tuple(kind for kind in DOCUMENT_KINDS if self.list_of(kind).is_file())

    def folder(self, kind: DocumentKind) -> Path:
        """Where the documents of a kind are kept."""
        return self.root / f"kind={kind}"

    def list_of(self, kind: DocumentKind) -> Path:
        """The file that lists the imports of a kind."""
        return self.folder(kind) / _LIST

    def imports(self, kind: DocumentKind) -> tuple[Import, ...]:
        """The imports of a kind, in their order.

        Raises
        ------
        DataError : their list cannot be read.
        """
        path = self.list_of(kind)
        if not path.is_file():
            return ()
        try:
            content = json.loads(path.read_bytes())
            if content["format"] != _FORMAT:
                raise ValueError(f"format {content['format']}")
            return tuple(Import(**entry) for entry in content["imports"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{path.name} of {path.parent.name} cannot be read",
                expected=f"a list of the form {_FORMAT}",
                got=str(error),
                next=_again(path.parent),
            ) from error

    def read(self, kinds: str | Sequence[str] = DOCUMENT_KINDS) -> Documents:
        """Every version of every document of some kinds, those without their text too.

        Raises
        ------
        ValueRefused : a kind that documents do not have.
        DataError : a file is missing or damaged; names it.
        """
        wanted = document_kinds(kinds)
        return Documents((each for kind in wanted for _, part in self.parts(kind) for each in part), kinds=wanted)

    def parts(self, kind: DocumentKind) -> Iterator[tuple[Import, Documents]]:
        """Every import of a kind with what it added. Raises as `read`."""
        for entry in self.imports(kind):
            yield entry, self._of(kind, entry)

    @contextmanager
    def adding(self, kind: DocumentKind) -> Iterator[Callable[[Sequence[Document], Import], None]]:
        """Nobody else adds documents of a kind meanwhile; gives what puts some there, in one step.

        The file of the import that is given is named here.
        """
        folder = self.folder(kind)
        with locked(folder / ".lock"):
            for torn in folder.glob(".writing-*"):  # a writer that was killed; the lock is ours now
                torn.unlink()

            def add(documents: Sequence[Document], about: Import) -> None:
                before = self.imports(kind)
                write_documents(folder / about.file, documents)
                self._save(kind, (*before, about))

            yield add

    def next_file(self, kind: DocumentKind) -> str:
        """The name of the next import's file."""
        return f"{len(self.imports(kind)) + 1:06d}.parquet"

    def rewrite(self, kind: DocumentKind, change: Callable[[Document], Document]) -> int:
        """Write the files anew in which `change` makes another document; how many documents it changed.

        What it changes must leave their lineage as it is.
        """
        changed = 0
        with self.adding(kind):
            for entry in self.imports(kind):
                before = self._of(kind, entry)
                after = [change(each) for each in before]
                differ = sum(one is not other for one, other in zip(before, after, strict=True))
                if differ:
                    write_documents(self.folder(kind) / entry.file, after)
                    changed += differ
        return changed

    def _of(self, kind: DocumentKind, entry: Import) -> Documents:
        folder = self.folder(kind)
        return read_documents(folder / entry.file, kinds=(kind,), lineage=entry.lineage_sha256, next=_again(folder))

    def _save(self, kind: DocumentKind, imports: Sequence[Import]) -> None:
        content: dict[str, Any] = {"format": _FORMAT, "imports": [asdict(entry) for entry in imports]}
        write_text(self.list_of(kind), json.dumps(content, indent=1, sort_keys=True) + "\n")


def _again(folder: Path) -> str:
    return f"delete {folder} and import its files again"
