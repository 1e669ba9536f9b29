"""Documents: what could be read, each with the moment it was published and the moment it was received.

A document is known from the moment it was received, as a bar is from its close. An edit is another version of the same
id: whoever looks back sees the newest version that had been received by then. A text whose retention is over is gone;
its id, its hash and its times stay, so that what was made of it can still be named.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self, get_args
from urllib.parse import urlsplit

from sapphire.domain.canonical import canonical_json, is_sha256, sha256_of
from sapphire.domain.clocks import Instant, to_ns
from sapphire.domain.display import stamp
from sapphire.domain.errors import BadDocuments, MissingData, TextExpired, ValueRefused

__all__ = [
    "DOCUMENT_KINDS",
    "Document",
    "DocumentKind",
    "Documents",
    "content_digest",
    "document_kinds",
    "no_documents",
]

DocumentKind = Literal["news", "announcement", "note"]
"""What a document is: news of a publisher, an announcement of a venue or an issuer, a note of one's own."""
DOCUMENT_KINDS: tuple[DocumentKind, ...] = get_args(DocumentKind)

_DAY_NS = 86_400_000_000_000
_ID_LENGTH = 500
_SYMBOL = re.compile(r"\S+")
_WORDS: Mapping[str, str] = {"id": "not empty", "source": "whose it is", "licence": "under what it may be read"}
_GET_THEM = 'sp.data.snapshot([...], documents=("news",)), and documents = ("news",) on the class of the agent'


def content_digest(kind: str, title: str, text: str) -> str:
    """sha256 of what a document says; its id, its source and its times are no part of it.

    Examples
    --------
    >>> content_digest("news", "Listing", "X is listed.")[:12]
    '81a1ea8f19b5'
    """
    return sha256_of(canonical_json([kind, title, text]))


def document_kinds(kinds: Iterable[str]) -> tuple[DocumentKind, ...]:
    """Kinds of documents, each once, in the order of `DOCUMENT_KINDS`; one may be given as a text.

    Raises
    ------
    ValueRefused : a kind that documents do not have.
    """
    given = (kinds,) if isinstance(kinds, str) else tuple(kinds) if isinstance(kinds, Iterable) else (kinds,)
    unknown = [kind for kind in given if kind not in DOCUMENT_KINDS]
    if unknown:
        raise ValueRefused(
            "kind of a document", expected="one of " + ", ".join(DOCUMENT_KINDS), got=", ".join(map(repr, unknown))
        )
    return tuple(kind for kind in DOCUMENT_KINDS if kind in given)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One version of one document.

    Parameters
    ----------
    kind : "news", "announcement" or "note".
    id : what its source calls it; the same in every version.
    version : 1 for the first that was received, one more for each edit.
    title, text : plain text, at least one of them; both empty where the text has expired.
    source : whose it is, "coindesk".
    url : where it stands, without query and credentials; empty where that is not known.
    symbols : what it is about, "BTC/USDT"; empty where that is not known.
    language : "en"; empty where that is not known.
    published_ns : when it was published, UTC nanoseconds.
    received_ns : when it could be read here; not before it was published.
    licence : under what it may be read.
    retention_days : how long after it was received its text may be kept; None for ever.
    sha256 : of its content (`content_digest`); made where it is not given.
    expired : its retention is over, and its text is gone.

    Raises
    ------
    BadDocuments : one of these is not what it should be, or the hash is of another content; names the id.
    """

    kind: DocumentKind
    id: str
    version: int = 1
    title: str = field(default="", repr=False)
    text: str = field(default="", repr=False)
    source: str
    url: str = ""
    symbols: tuple[str, ...] = ()
    language: str = ""
    published_ns: int
    received_ns: int
    licence: str
    retention_days: int | None = None
    sha256: str = ""
    expired: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "symbols", tuple(self.symbols))
        if fault := self._fault():
            expected, got = fault
            raise BadDocuments(f"document {str(self.id)[:80]!r}", expected=expected, got=got)
        digest = self.sha256 if self.expired else content_digest(self.kind, self.title, self.text)
        if self.sha256 not in ("", digest):
            raise BadDocuments(
                f"document {self.id!r} is not what its hash says",
                expected=f"content {self.sha256[:16]}",
                got=digest[:16],
                next="import it again: an edit is another version, with a hash of its own",
            )
        object.__setattr__(self, "sha256", digest)

    @property
    def key(self) -> tuple[str, str, str]:
        """Kind, source and id, the same for all its versions."""
        return self.kind, self.source, self.id

    @property
    def order(self) -> tuple[int, str, str, str, int]:
        """By when it was received; of two versions that came at once the later is the newer."""
        return self.received_ns, *self.key, self.version

    def is_over(self, now_ns: int) -> bool:
        """Whether its text may not be kept any longer."""
        return self.retention_days is not None and self.received_ns + self.retention_days * _DAY_NS <= now_ns

    def without_text(self) -> Document:
        """The same once its retention is over."""
        return replace(self, title="", text="", expired=True)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, its times in nanoseconds."""
        return {**self.lineage(), "title": self.title, "text": self.text, "expired": self.expired}

    def lineage(self) -> dict[str, Any]:
        """What stays of it when its text has expired."""
        names = ("kind", "id", "version", "source", "url", "language", "published_ns", "received_ns", "licence")
        plain = {name: getattr(self, name) for name in names}
        return {**plain, "symbols": list(self.symbols), "retention_days": self.retention_days, "sha256": self.sha256}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Document:
        """What `as_dict` gave. Raises `BadDocuments` where it is something else."""
        try:
            return cls(**{**plain, "symbols": tuple(plain["symbols"])})
        except (KeyError, TypeError) as error:
            raise BadDocuments("a document", expected="the fields of a document", got=str(error)) from None

    def _fault(self) -> tuple[str, str] | None:
        """What was expected and what came; None where nothing is wrong."""
        if self.kind not in DOCUMENT_KINDS:
            return "kind: one of " + ", ".join(DOCUMENT_KINDS), repr(self.kind)
        for name in ("id", "title", "text", "source", "url", "language", "licence", "sha256"):
            value = getattr(self, name)
            if not isinstance(value, str) or (name in _WORDS and not value.strip()):
                return f"{name}: a text, {_WORDS.get(name, 'empty where there is none')}", f"{value!r:.60}"
        if len(self.id) > _ID_LENGTH:
            return f"id: at most {_ID_LENGTH} characters", f"{len(self.id):,}"
        if not all(isinstance(each, str) and _SYMBOL.fullmatch(each) for each in self.symbols):
            return "symbols: texts without spaces, BTC/USDT", f"{self.symbols!r:.60}"
        return self._fault_of_numbers() or self._fault_of_text()

    def _fault_of_numbers(self) -> tuple[str, str] | None:
        for name, least in (("version", 1), ("published_ns", 0), ("received_ns", 0), ("retention_days", 1)):
            value = getattr(self, name)
            if name == "retention_days" and value is None:
                continue
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                return f"{name}: a whole number of at least {least}", repr(value)
        if self.received_ns < self.published_ns:
            return f"received at {stamp(self.published_ns)} or later, when it was published", stamp(self.received_ns)
        return None

    def _fault_of_text(self) -> tuple[str, str] | None:
        if self.expired and (self.title or self.text or not is_sha256(self.sha256)):
            return "no text and the hash of what it was: its retention is over", f"{self.title or self.text!r:.40}"
        if not self.expired and not (self.title.strip() or self.text.strip()):
            return "a title or a text", "neither"
        try:
            parts = urlsplit(self.url)
        except ValueError:
            return "url: an address", f"{self.url!r:.60}"
        if parts.query or parts.fragment or parts.username is not None or parts.password is not None:
            return "url: without query, fragment and credentials", "one with them"
        return None


class Documents:
    """Documents in the order in which they were received, versions included.

    Parameters
    ----------
    items : in any order.
    kinds : those that these are all of; the kinds of the items unless given. What is asked for one of these and not
        there was not received; of another kind nobody looked.

    Raises
    ------
    BadDocuments : a version that comes twice, a document of a kind that is not among `kinds`, or no document at all.
    """

    __slots__ = ("_items", "_kinds")

    def __init__(self, items: Iterable[Document] = (), *, kinds: Iterable[str] | None = None) -> None:
        given = list(items)
        wrong = [each for each in given if not isinstance(each, Document)]
        if wrong:
            raise BadDocuments("documents", expected="each a Document", got=f"{wrong[0]!r:.60}")
        made = document_kinds({each.kind for each in given} if kinds is None else kinds)
        other = [each for each in given if each.kind not in made]
        if other:
            raise BadDocuments(
                f"document {other[0].id!r}", expected="one of " + (", ".join(made) or "no kind"), got=other[0].kind
            )
        self._set(tuple(sorted(given, key=lambda each: each.order)), made)
        seen: set[tuple[str, str, str, int]] = set()
        for each in self._items:
            version = (*each.key, each.version)
            if version in seen:
                raise BadDocuments(
                    f"document {each.id!r} comes twice",
                    expected="each version once; an edit is the next version",
                    got=f"version {each.version} again, received at {stamp(each.received_ns)}",
                )
            seen.add(version)

    def _set(self, items: tuple[Document, ...], kinds: tuple[DocumentKind, ...]) -> Self:
        self._items: tuple[Document, ...] = items
        self._kinds: tuple[DocumentKind, ...] = kinds
        return self

    def _some(self, items: tuple[Document, ...]) -> Documents:
        """Some of these, which have been looked at."""
        return self if len(items) == len(self._items) else Documents.__new__(Documents)._set(items, self._kinds)

    @property
    def kinds(self) -> tuple[DocumentKind, ...]:
        """The kinds that these are all of."""
        return self._kinds

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Document]:
        """Every version, those without their text too."""
        return iter(self._items)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Documents):
            return NotImplemented
        return (self._kinds, self._items) == (other._kinds, other._items)

    def __hash__(self) -> int:
        return hash((self._kinds, len(self._items)))

    def __repr__(self) -> str:
        kinds = ", ".join(self._kinds) or "no kind"
        if not self._items:
            return f"Documents({kinds}; none)"
        first, last = stamp(self._items[0].received_ns), stamp(self._items[-1].received_ns)
        return f"Documents({kinds}; {len(self):,} received from {first} to {last})"

    @property
    def latest_ns(self) -> int | None:
        """When the last of them was received; None where there is none."""
        return self._items[-1].received_ns if self._items else None

    def until(self, as_of_ns: Instant) -> Documents:
        """What had been received by a moment, that moment included."""
        return self._some(self._items[: bisect_right(self._items, to_ns(as_of_ns), key=_received_ns)])

    def between(self, start_ns: int, end_ns: int) -> Documents:
        """What was received from one moment to another, both included."""
        first = bisect_left(self._items, start_ns, key=_received_ns)
        return self._some(self._items[first : bisect_right(self._items, end_ns, key=_received_ns)])

    def during(self, spans: Iterable[tuple[int, int]]) -> Documents:
        """What was received in any of several stretches, each as in `between`."""
        ends = tuple(spans)
        inside = (each for each in self._items if any(start <= each.received_ns <= end for start, end in ends))
        return self._some(tuple(inside))

    def only(self, kinds: Iterable[DocumentKind]) -> Documents | None:
        """Those of some kinds, as far as these are looked for here; None where none is."""
        wanted = tuple(kind for kind in self._kinds if kind in kinds)
        if wanted == self._kinds:
            return self
        items = tuple(each for each in self._items if each.kind in wanted)
        return Documents.__new__(Documents)._set(items, wanted) if wanted else None

    def with_items(self, items: Iterable[Document]) -> Documents:
        """Others of the same kinds."""
        return Documents(items, kinds=self._kinds)

    def of(self, kind: str | None = None, since: Instant | None = None) -> tuple[Document, ...]:
        """The newest version of each document, in the order in which these were received: the last is the newest.

        Parameters
        ----------
        kind : one kind; all that are here unless given.
        since : those that were received at this moment or later.

        Raises
        ------
        ValueRefused : no kind of a document, or no moment.
        MissingData : a kind that nobody looked for here.
        TextExpired : the text of one of them is gone.
        """
        wanted = self._kinds if kind is None else document_kinds((kind,))
        if not wanted or not set(wanted) <= set(self._kinds):
            raise no_documents(kind, self._kinds)
        first_ns = None if since is None else to_ns(since)
        newest = {each.key: each for each in self._items if each.kind in wanted}
        known = sorted(newest.values(), key=lambda each: each.order)
        found = tuple(each for each in known if first_ns is None or each.received_ns >= first_ns)
        gone = [each for each in found if each.expired]
        if gone:
            raise TextExpired(
                f"the text of {gone[0].kind} {gone[0].id!r} is gone",
                expected="texts whose retention is not over",
                got=f"{len(gone):,} of {len(found):,} without one; the first was received at "
                f"{stamp(gone[0].received_ns)} and kept for {gone[0].retention_days} days",
                next="since=... looks at what was received later; its id and hash still say what it was",
            )
        return found

    def lineage_sha256(self) -> str:
        """sha256 of what these are: kinds, ids, versions, sources, licences, times and the hash of each content.

        It is the same before and after a text has expired.
        """
        plain = {"kinds": list(self._kinds), "documents": [each.lineage() for each in self._items]}
        return sha256_of(canonical_json(plain))


def _received_ns(document: Document) -> int:
    return document.received_ns


def no_documents(kind: str | None, kinds: tuple[DocumentKind, ...] = ()) -> MissingData:
    """The error where documents of a kind, or of any, were not looked for."""
    return MissingData(
        f"no {kind or 'documents'} in this window",
        expected="one of " + ", ".join(kinds) if kinds else "documents: it was made without any",
        got=kind or "a question for all of them",
        next=_GET_THEM,
    )
