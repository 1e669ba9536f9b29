"""Items: what a file or a feed says of each document, as it says it, and the form that all of them have.

Fields of lines and columns: `id`, `title`, `text`, `url`, `symbols` (a list, or a text with commas), `language`,
`published`, and where it is known `updated`, `received`, `licence`, `retention_days`. Times are ISO 8601 or RFC 2822
with an offset, or `published_ns`, `updated_ns`, `received_ns`. Who wrote it is taken out of the text and not kept.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from sapphire.data.documents.cleaning import clean_id, clean_text, clean_url, names_of
from sapphire.domain.canonical import sha256_of
from sapphire.domain.clocks import to_ns

__all__ = ["MOST_DAYS", "Draft", "Fault", "Item", "draft_of", "items_of_csv", "items_of_lines"]

_NAMES: Mapping[str, tuple[str, ...]] = {
    "id": ("id", "guid"),
    "title": ("title", "headline"),
    "text": ("text", "content", "body", "summary", "description"),
    "url": ("url", "link"),
    "symbols": ("symbols",),
    "language": ("language", "lang"),
    "licence": ("licence", "license"),
    "retention_days": ("retention_days",),
    "people": ("author", "authors", "creator", "byline", "editor", "contributor", "contributors"),
    **{name: (name, f"{name}_at", f"{name}_ns") for name in ("published", "updated", "received")},
}
"""What is read, and the names that it goes by; of several the first that is there."""
_KNOWN = {name: field for field, names in _NAMES.items() for name in names}
_FINER = re.compile(r"(?<=\.\d{6})(\d{1,3})\d*")
MOST_DAYS = 100_000
"""The longest retention that can be said."""
_END_NS, _DIGITS = 2**63 - 10**18, 20
_ZONED = "ISO 8601 or RFC 2822 with an offset, 2024-03-01T05:00:00Z, or nanoseconds in {name}_ns"


class Fault(Exception):  # noqa: N818  (what is wrong with one item; the file is refused with all of them)
    """One item that is not one.

    Parameters
    ----------
    expected, got : in words.
    """

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(f"expected {expected}, got {got}")


@dataclass(frozen=True, slots=True)
class Item:
    """One item as it came.

    Parameters
    ----------
    place : its line, or its number in a feed.
    fields : by the names of lines and columns.
    fault : why it cannot be read; empty where it can.
    """

    place: int
    fields: Mapping[str, Any]
    fault: str = ""

    @property
    def unread(self) -> set[str]:
        """Fields that nothing reads, and those that are left out on purpose."""
        return {name for name in self.fields if _KNOWN.get(name.lower(), "people") == "people"}


@dataclass(frozen=True, slots=True)
class Draft:
    """One item, cleaned.

    Parameters
    ----------
    place : as in the item.
    id, title, text, url, symbols, language, licence, retention_days : as in `Document`; licence empty and retention
        None where the item says neither.
    published_ns : when it was published.
    updated_ns : when it was last changed; None where the item does not say it.
    received_ns : None where the item does not say it.
    """

    place: int
    id: str
    title: str
    text: str
    url: str
    symbols: tuple[str, ...]
    language: str
    licence: str
    retention_days: int | None
    published_ns: int
    updated_ns: int | None
    received_ns: int | None

    @property
    def changed_ns(self) -> int:
        """When it came to say what it says."""
        return self.published_ns if self.updated_ns is None else max(self.published_ns, self.updated_ns)

    @property
    def is_dated(self) -> bool:
        """Whether it says more than when it was first published."""
        return self.updated_ns is not None or self.received_ns is not None


def items_of_lines(data: bytes) -> Iterator[Item]:
    """One item of each line that is not empty; each is a JSON object."""
    for place, line in enumerate(data.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            value = str(error)
        if isinstance(value, dict):
            yield Item(place, value)
        else:
            yield Item(place, {}, f"expected a JSON object, got {value!r:.80}")


def items_of_csv(data: bytes) -> Iterator[Item]:
    """One item of each row under a header; a place is the line on which its row ends."""
    try:
        rows = csv.reader(io.StringIO(data.decode("utf-8"), newline=""), strict=True)
        header = [name.strip() for name in next(rows, [])]
    except (UnicodeDecodeError, csv.Error) as error:
        yield Item(1, {}, f"expected a header and rows in UTF-8, got {error}")
        return
    if len(set(header)) != len(header) or not any(_KNOWN.get(name.lower()) == "published" for name in header):
        yield Item(1, {}, f"expected a header with published, each name once, got {', '.join(header)[:80]!r}")
        return
    while True:
        try:
            row = next(rows, None)
        except csv.Error as error:
            yield Item(rows.line_num, {}, f"expected a row of CSV, got {error}")
            return
        if row is None:
            return
        if not row:
            continue
        whole = len(row) == len(header)
        fault = "" if whole else f"expected {len(header)} cells, got {len(row)}"
        yield Item(rows.line_num, dict(zip(header, row, strict=True)) if whole else {}, fault)


def draft_of(item: Item) -> Draft:
    """An item without markup and personal data.

    Raises
    ------
    Fault : a field that is missing or is not what it should be.
    """
    found = {field: _first(item.fields, field) for field in _NAMES}
    names = names_of(_texts(found["people"]))
    title, text = (clean_text(_text(found, field), names=names) for field in ("title", "text"))
    if not title and not text:
        raise Fault("a title or a text", "neither")
    title = " ".join(title.split())
    published_ns = _moment(item.fields, "published")
    if published_ns is None:
        raise Fault("published: " + _ZONED.format(name="published"), "none")
    updated_ns, received_ns = _moment(item.fields, "updated"), _moment(item.fields, "received")
    if received_ns is not None and received_ns < max(published_ns, updated_ns or 0):
        raise Fault("received when it was published and last changed, or later", _text_of_time(item.fields, "received"))
    url = clean_url(_text(found, "url"))
    given = clean_id(_text(found, "id")) or url or f"sha256:{sha256_of(f'{published_ns} {title} {text}'.encode())[:32]}"
    return Draft(
        place=item.place,
        id=given,
        title=title,
        text=text,
        url=url,
        symbols=_symbols(found["symbols"]),
        language=_text(found, "language").strip().lower(),
        licence=_text(found, "licence").strip(),
        retention_days=_days(found["retention_days"]),
        published_ns=published_ns,
        updated_ns=updated_ns,
        received_ns=received_ns,
    )


def _first(fields: Mapping[str, Any], field: str) -> Any:
    """The first value of a field that is not empty; None where there is none."""
    named = {name.lower(): value for name, value in fields.items()}
    values = (named.get(name) for name in _NAMES[field])
    return next((value for value in values if value not in (None, "", [])), None)


def _text(found: Mapping[str, Any], field: str) -> str:
    value = found[field]
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool) and field == "id":
        return str(value)
    if not isinstance(value, str):
        raise Fault(f"{field}: a text", f"{value!r:.60}")
    return value


def _texts(value: Any) -> list[str]:
    """Every text in a value, however deep."""
    if isinstance(value, str):
        return [value]
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for each in inside for text in _texts(each)]


def _symbols(value: Any) -> tuple[str, ...]:
    several = re.split(r"[,;\s]+", value.strip()) if isinstance(value, str) else value or []
    if not isinstance(several, list) or not all(isinstance(each, str) and each.split() == [each] for each in several):
        raise Fault("symbols: a list of texts, BTC/USDT", f"{value!r:.60}")
    return tuple(dict.fromkeys(several))


def _days(value: Any) -> int | None:
    if value is None:
        return None
    whole = _whole(value)
    if whole is not None and 1 <= whole <= MOST_DAYS:
        return whole
    raise Fault(f"retention_days: a whole number from 1 to {MOST_DAYS:,}", f"{value!r:.60}")


def _whole(value: Any) -> int | None:
    """A whole number, or the text of one with digits alone; None for anything else."""
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdecimal() and len(value) <= _DIGITS else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _moment(fields: Mapping[str, Any], name: str) -> int | None:
    """UTC nanoseconds of a time with an offset; None where there is none."""
    named = {key.lower(): value for key, value in fields.items()}
    exact = named.get(f"{name}_ns")
    if exact not in (None, ""):
        whole = _whole(exact)
        if whole is None:
            raise Fault(f"{name}_ns: UTC nanoseconds, a whole number", f"{exact!r:.60}")
        return _possible(whole, f"{name}_ns")
    value = _first({key: of for key, of in named.items() if not key.endswith("_ns")}, name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise Fault(f"{name}: " + _ZONED.format(name=name), f"{value!r:.60}")
    moment = _read(value.strip())
    if moment is None:
        raise Fault(f"{name}: " + _ZONED.format(name=name), f"{value!r:.60}")
    if moment.utcoffset() is None:
        raise Fault(f"{name}: a time with its offset, such as Z or +01:00", f"{value!r:.60}, without one")
    finer = _FINER.search(value)
    return _possible(to_ns(moment) + (int(finer.group(1).ljust(3, "0")) if finer else 0), name)


def _possible(ns: int, name: str) -> int:
    if not 0 <= ns < _END_NS:
        raise Fault(f"{name}: a time from 1970 on, before 2262", f"{ns:,} ns")
    return ns


def _read(text: str) -> datetime | None:
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            return read(text)
        except (ValueError, TypeError, IndexError):
            continue
    return None


def _text_of_time(fields: Mapping[str, Any], name: str) -> str:
    named = {key.lower(): value for key, value in fields.items()}
    return f"{next((named[key] for key in _NAMES[name] if named.get(key) not in (None, '')), ''):.60}"
