"""Importing documents: a file or a feed goes in whole or not at all, each version once.

What an item does not say about when it was received is made up by a delay: it could be read so long after it was
published, or after it was last changed where the item says that. An edit that says neither when it was made nor when it
was received is received when it is imported: what stands there now may not be read in the past.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sapphire.data.documents.feeds import items_of_feed
from sapphire.data.documents.items import MOST_DAYS, Draft, Fault, Item, draft_of, items_of_csv, items_of_lines
from sapphire.data.documents.results import ImportedDocuments
from sapphire.data.documents.store import DocumentStore, Import
from sapphire.domain.canonical import sha256_of
from sapphire.domain.clocks import Clock, WallClock, parse_duration
from sapphire.domain.display import counted
from sapphire.domain.documents import Document, DocumentKind, Documents, content_digest, document_kinds
from sapphire.domain.errors import BadDocuments, MissingData, ValueRefused

__all__ = ["DEFAULT_DELAY", "import_documents"]

DEFAULT_DELAY = "60s"
"""How long after it was published an item could be read, where it does not say when it was received."""
_AGAIN_AFTER_NS = 86_400_000_000_000
"""The same words under another id are a repeat for a day; what is said again later is news again."""
_LONGEST_DELAY, _MICROSECOND = timedelta(days=366), timedelta(microseconds=1)
_SHOWN_FAULTS = 20


def import_documents(
    given: str | Path | bytes,
    *,
    kind: str,
    source: str,
    licence: str,
    delay: str | timedelta = DEFAULT_DELAY,
    retention_days: int | None = None,
    clock: Clock | None = None,
) -> ImportedDocuments:
    """Import a file of documents, or the bytes of one: JSON lines, CSV, RSS 2.0 or Atom 1.0, told by what stands in it.

    Parameters
    ----------
    given : path of a file, or bytes.
    kind : "news", "announcement" or "note".
    source : whose they are, "coindesk".
    licence : under what they may be read; an item may say its own.
    delay : how long after it was published, or last changed, an item could be read; of those alone that do not say when
        they were received. It is kept with them.
    retention_days : how long after it was received a text may be kept; for ever unless given. An item may say its own.
    clock : the machine's unless given.

    Raises
    ------
    BadDocuments : items that are none; names each by its line or its number. Nothing is imported.
    MissingData : no such file, or one without items.
    ValueRefused : no kind of a document, no source or licence, a retention or a delay that is none.
    DataError : what is there is damaged.
    """
    about = _About.of(kind, source, licence, delay, retention_days, (clock or WallClock()).now_ns())
    name, data = _read(given)
    noun, found = _items(data, name)
    items = list(found)
    if not items:
        raise MissingData(f"no documents in {name}", expected="one item or more", got=counted(len(data), "byte"))
    drafts = _drafts(items, name, noun)
    store = DocumentStore()
    with store.adding(about.kind) as add:
        merged = _Merged(about, store.read(about.kind))
        for draft in sorted(drafts, key=lambda each: (about.received_ns(each), each.place)):
            merged.take(draft)
        if merged.new:
            made = Documents(merged.new, kinds=(about.kind,))
            add(tuple(made), about.entry(store.next_file(about.kind), made, name, data))
    return ImportedDocuments(
        file=name,
        kind=about.kind,
        source=about.source,
        licence=about.licence,
        delay_s=about.delay_ns / 1e9,
        items=len(items),
        added=len(merged.new) - merged.edits,
        edits=merged.edits,
        repeats=merged.repeats,
        without_text=sum(each.expired for each in merged.new),
        unread=tuple(sorted(set().union(*(item.unread for item in items)))),
    )


@dataclass(frozen=True, slots=True)
class _About:
    """What is said of all items of an import."""

    kind: DocumentKind
    source: str
    licence: str
    delay_ns: int
    retention_days: int | None
    now_ns: int

    @classmethod
    def of(
        cls, kind: str, source: str, licence: str, delay: str | timedelta, retention_days: int | None, now_ns: int
    ) -> _About:
        """Raises `ValueRefused` for what cannot be said."""
        for name, value in (("source", source), ("licence", licence)):
            if not isinstance(value, str) or not value.strip():
                raise ValueRefused(f"{name} of documents", expected="a text", got=repr(value))
        days = retention_days
        if days is not None and (isinstance(days, bool) or not isinstance(days, int) or not 1 <= days <= MOST_DAYS):
            expected = f"whole days from 1 to {MOST_DAYS:,}, or None for ever"
            raise ValueRefused("retention of documents", expected=expected, got=repr(days))
        (wanted,) = document_kinds((kind,))
        length = parse_duration(delay)
        if length > _LONGEST_DELAY:
            raise ValueRefused("delay of documents", expected=f"at most {_LONGEST_DELAY.days} days", got=str(delay))
        return cls(wanted, source.strip(), licence.strip(), length // _MICROSECOND * 1_000, days, now_ns)

    def entry(self, file: str, made: Documents, origin: str, data: bytes) -> Import:
        """How the store remembers the import."""
        return Import(
            file=file,
            lineage_sha256=made.lineage_sha256(),
            documents=len(made),
            origin=origin,
            origin_sha256=sha256_of(data),
            source=self.source,
            licence=self.licence,
            retention_days=self.retention_days,
            delay_ns=self.delay_ns,
            at_ns=self.now_ns,
        )

    def received_ns(self, draft: Draft) -> int:
        """When an item could be read, as far as it says so itself."""
        return draft.changed_ns + self.delay_ns if draft.received_ns is None else draft.received_ns

    def document(self, draft: Draft, version: int, received_ns: int) -> Document:
        """The document of an item; without its text where its retention is over."""
        made = Document(
            kind=self.kind,
            id=draft.id,
            version=version,
            title=draft.title,
            text=draft.text,
            source=self.source,
            url=draft.url,
            symbols=draft.symbols,
            language=draft.language,
            published_ns=draft.published_ns,
            received_ns=received_ns,
            licence=draft.licence or self.licence,
            retention_days=draft.retention_days or self.retention_days,
        )
        return made.without_text() if made.is_over(self.now_ns) else made


class _Merged:
    """What an import adds to the documents that are there.

    Parameters
    ----------
    about : what is said of its items.
    known : every version that is there.
    """

    def __init__(self, about: _About, known: Documents) -> None:
        self._about = about
        self._versions: dict[tuple[str, str], list[Document]] = {}
        self._by_content: dict[str, list[Document]] = {}
        self.new: list[Document] = []
        self.edits = self.repeats = 0
        for each in known:
            self._note(each)

    def take(self, draft: Draft) -> None:
        """Add an item, unless it says what is there."""
        received_ns = self._about.received_ns(draft)
        digest = content_digest(self._about.kind, draft.title, draft.text)
        versions = self._versions.get((self._about.source, draft.id), [])
        if self._is_repeat(draft, digest, received_ns, versions):
            self.repeats += 1
            return
        if versions:
            self.edits += 1
            if not self._is_known_when(draft, received_ns, versions):
                received_ns = max(received_ns, self._about.now_ns)
        made = self._about.document(draft, 1 + max((each.version for each in versions), default=0), received_ns)
        self.new.append(made)
        self._note(made)

    def _is_repeat(self, draft: Draft, digest: str, received_ns: int, versions: Sequence[Document]) -> bool:
        """Whether an item says what the version before or behind it says, or another document of its day."""

        def same(each: Document) -> bool:
            return each.sha256 == digest and each.symbols == draft.symbols

        if any(same(each) and (each.received_ns == received_ns or not draft.is_dated) for each in versions):
            return True
        earlier = [each for each in versions if each.received_ns <= received_ns]
        later = [each for each in versions if each.received_ns > received_ns]
        if (earlier and same(earlier[-1])) or (later and same(later[0])):
            return True
        return not versions and any(
            abs(each.published_ns - draft.published_ns) <= _AGAIN_AFTER_NS for each in self._by_content.get(digest, ())
        )

    def _is_known_when(self, draft: Draft, received_ns: int, versions: Sequence[Document]) -> bool:
        """Whether an edit says when it was made, or that it was made after all that is there had been received."""
        if draft.received_ns is not None or draft.changed_ns > versions[-1].received_ns:
            return True
        return draft.updated_ns is not None and all(each.received_ns != received_ns for each in versions)

    def _note(self, document: Document) -> None:
        versions = self._versions.setdefault((document.source, document.id), [])
        versions.append(document)
        versions.sort(key=lambda each: each.order)
        self._by_content.setdefault(document.sha256, []).append(document)


def _read(given: str | Path | bytes) -> tuple[str, bytes]:
    if isinstance(given, bytes):
        return "the bytes given", given
    path = Path(given)
    if not path.is_file():
        raise MissingData(
            f"no file {path.name}",
            expected="a file of JSON lines, CSV, RSS 2.0 or Atom 1.0",
            got=f"{'a folder' if path.is_dir() else 'nothing'} at {path}",
        )
    return path.name, path.read_bytes()


def _items(data: bytes, name: str) -> tuple[str, Iterable[Item]]:
    """What places count, and the items of what was given, by what it begins with."""
    data = data.removeprefix(codecs.BOM_UTF8)
    begins = data.lstrip()[:1]
    if begins == b"<":
        return "item", items_of_feed(data.lstrip(), name)
    return "line", items_of_lines(data) if begins in (b"{", b"[") else items_of_csv(data)


def _drafts(items: Iterable[Item], name: str, noun: str) -> list[Draft]:
    """All items, cleaned.

    Raises
    ------
    BadDocuments : some are none; names each.
    """
    drafts, faults = [], []
    for item in items:
        try:
            if item.fault:
                raise Fault("", item.fault)
            drafts.append(draft_of(item))
        except Fault as fault:
            faults.append(f"{noun} {item.place}: {item.fault or fault}")
    if faults:
        more = f"\nand {len(faults) - _SHOWN_FAULTS:,} more" if len(faults) > _SHOWN_FAULTS else ""
        raise BadDocuments(
            f"{counted(len(faults), 'item')} of {len(faults) + len(drafts):,} in {name} cannot be read",
            expected="in each line or item: a title or a text, published with its offset, and what else is known",
            got="\n".join(faults[:_SHOWN_FAULTS]) + more,
            next="mend these and import it again; nothing of it was imported",
        )
    return drafts
