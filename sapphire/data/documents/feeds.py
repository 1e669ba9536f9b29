"""Feeds: RSS 2.0 and Atom 1.0 as items.

A feed is a document of strangers: a document type, an entity or anything outside it is refused before it is read, and
nothing is fetched. Of an Atom entry the time of its last change counts too, since what stands there is what it became.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from sapphire.data.documents.items import Item
from sapphire.domain.errors import BadDocuments

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

__all__ = ["items_of_feed"]

_ATOM = "{http://www.w3.org/2005/Atom}"
_DUBLIN_CORE = "{http://purl.org/dc/elements/1.1/}"
_CONTENT = "{http://purl.org/rss/1.0/modules/content/}encoded"
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"


def items_of_feed(data: bytes, name: str) -> Iterator[Item]:
    """The items of a feed; a place is an item's number, from 1 on.

    Parameters
    ----------
    name : of the file, for the message.

    Raises
    ------
    BadDocuments : not XML, XML with a document type or entities, or another feed than RSS 2.0 and Atom 1.0.
    """
    root = _parsed(data, name)
    if root.tag == f"{_ATOM}feed":
        language = root.get(_LANGUAGE, "")
        for place, entry in enumerate(root.iter(f"{_ATOM}entry"), start=1):
            yield Item(place, _of_atom(entry, language))
        return
    channel = root.find("channel")
    if root.tag != "rss" or channel is None or not root.get("version", "").startswith("2."):
        raise BadDocuments(
            f"{name} is no feed that is read here",
            expected="RSS 2.0 (<rss version='2.0'>) or Atom 1.0 (<feed xmlns='http://www.w3.org/2005/Atom'>)",
            got=f"<{root.tag.rpartition('}')[2]} version={root.get('version', '')!r}>",
            next="write it as JSON lines: one object a line with id, title, text, url and published",
        )
    language = (channel.findtext("language") or "").strip()
    for place, entry in enumerate(channel.iter("item"), start=1):
        yield Item(place, _of_rss(entry, language))


def _parsed(data: bytes, name: str) -> Element:
    from xml.etree.ElementTree import ParseError

    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    try:
        root: Element = fromstring(data, forbid_dtd=True, forbid_entities=True, forbid_external=True)
    except DefusedXmlException as error:
        raise BadDocuments(
            f"{name} has a document type or entities",
            expected="a feed whose text is its own: no DOCTYPE, no entity, nothing outside it",
            got=type(error).__name__,
            next="take it from its publisher again; a feed needs neither",
        ) from None
    except (ParseError, ValueError, LookupError) as error:
        raise BadDocuments(f"{name} is not XML", expected="a whole feed", got=str(error)) from None
    return root


def _of_rss(entry: Element, language: str) -> dict[str, Any]:
    guid, link = _plain(entry, "guid"), _plain(entry, "link")
    return {
        "id": guid or link,
        "title": _plain(entry, "title"),
        "text": _plain(entry, _CONTENT) or _plain(entry, "description"),
        "url": link or (guid if entry.find("guid[@isPermaLink='true']") is not None else ""),
        "language": _plain(entry, f"{_DUBLIN_CORE}language") or language,
        "published": _plain(entry, "pubDate") or _plain(entry, f"{_DUBLIN_CORE}date"),
        "author": [of.text or "" for tag in ("author", f"{_DUBLIN_CORE}creator") for of in entry.iter(tag)],
    }


def _of_atom(entry: Element, language: str) -> dict[str, Any]:
    links = [of for of in entry.iter(f"{_ATOM}link") if of.get("rel", "alternate") == "alternate"]
    updated = _plain(entry, f"{_ATOM}updated")
    people = (of for tag in ("author", "contributor") for of in entry.iter(f"{_ATOM}{tag}"))
    return {
        "id": _plain(entry, f"{_ATOM}id"),
        "title": _shown(entry.find(f"{_ATOM}title")),
        "text": _shown(entry.find(f"{_ATOM}content")) or _shown(entry.find(f"{_ATOM}summary")),
        "url": links[0].get("href", "") if links else "",
        "language": entry.get(_LANGUAGE, language),
        "published": _plain(entry, f"{_ATOM}published") or updated,
        "updated": updated,
        "author": [_plain(of, f"{_ATOM}name") for of in people],
    }


def _plain(entry: Element, tag: str) -> str:
    return (entry.findtext(tag) or "").strip()


def _shown(element: Element | None) -> str:
    """The content of a text construct, as markup where it has any; plain text so that it stays what it is."""
    from html import escape
    from xml.etree.ElementTree import tostring

    if element is None:
        return ""
    if element.get("type", "text") == "xhtml":
        try:
            return "".join(tostring(child, encoding="unicode") for child in element)
        except RecursionError:  # deeper than any page
            return escape(" ".join(element.itertext()))
    text = element.text or ""
    return escape(text) if element.get("type", "text") == "text" else text
