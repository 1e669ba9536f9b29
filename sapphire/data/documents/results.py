"""What came of an import of documents, and of looking for those whose retention is over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sapphire.domain.display import bundle, counted

__all__ = ["Expired", "ImportedDocuments"]


@dataclass(frozen=True, slots=True)
class ImportedDocuments:
    """What one import did.

    Parameters
    ----------
    file : what was imported.
    kind, source, licence : of the documents.
    delay_s : seconds that were added to the time of an item that does not say when it was received.
    items : in the file.
    added : documents that were not there.
    edits : new versions of documents that were.
    repeats : items that say what is there already, under their id or another.
    without_text : added or edited ones whose retention is over; id, hash and times are kept.
    unread : fields that were not read, names of authors among them.
    """

    file: str
    kind: str
    source: str
    licence: str
    delay_s: float
    items: int
    added: int
    edits: int
    repeats: int
    without_text: int
    unread: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Stable keys, for `--json`."""
        return {name: getattr(self, name) for name in self.__slots__} | {"unread": list(self.unread)}

    def __repr__(self) -> str:
        return f"ImportedDocuments({self._caption})"

    @property
    def _caption(self) -> str:
        return f"{self.file}: {counted(self.items, self.kind)} of {self.source}"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        lines = [
            ["new", f"{self.added:,}", ""],
            ["edits", f"{self.edits:,}", "a version more of what was there"],
            ["repeats", f"{self.repeats:,}", "left out: they are there, under this id or another"],
        ]
        if self.without_text:
            lines.append(["without text", f"{self.without_text:,}", "their retention is over"])
        received = f"{self.delay_s:g} s after they were published, where an item does not say when"
        lines += [["received", "", received], ["licence", "", self.licence]]
        if self.unread:
            lines.append(["not read", "", ", ".join(self.unread)])
        return bundle(self._caption, ["what", "count", "how"], lines)


@dataclass(frozen=True, slots=True)
class Expired:
    """Texts that were dropped because their retention is over.

    Parameters
    ----------
    documents : in the store.
    snapshots : in how many snapshots texts were dropped.
    """

    documents: int
    snapshots: int

    def as_dict(self) -> dict[str, Any]:
        """Stable keys, for `--json`."""
        return {"documents": self.documents, "snapshots": self.snapshots}

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        dropped, snapshots = counted(self.documents, "text"), counted(self.snapshots, "snapshot")
        return bundle(f"{dropped} dropped, and those in {snapshots}; ids, hashes and times stay", [], [])
