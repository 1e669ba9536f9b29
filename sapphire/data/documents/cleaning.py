"""Cleaning: markup becomes text, and what identifies a person is left out.

E-mail addresses go by their form. Phone numbers go by theirs as well: international ones, those of North America,
national ones that begin with a zero, and any number behind a word such as "call". A price or a date has another form.
Names of people are known where the source names its authors, and go from the text too. What only reads as a name stays.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from email.utils import parseaddr
from html import unescape
from itertools import islice
from urllib.parse import urlsplit

from sapphire.domain.canonical import sha256_of

__all__ = ["clean_id", "clean_text", "clean_url", "names_of"]

_BLOCKS = frozenset(
    {"address", "article", "aside", "blockquote", "br", "dd", "div", "dl", "dt", "figcaption", "figure", "footer"}
    | {"h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol", "p", "pre", "section", "table"}
    | {"td", "th", "tr", "ul"}
)
_SILENT = frozenset({"script", "style", "template", "noscript"})
_LONGEST_ID, _MOST_NAMES = 500, 50

_TAG = re.compile(
    r"""<(?:!--|[!?][^<>]*>|(?P<closes>/?)(?P<name>[a-zA-Z][\w:.-]*)(?:(?:[^<>"']|"[^"<]*"|'[^'<]*')*>|[^<>]*>))"""
)
_EMAIL = re.compile(
    r"(?:mailto:)?(?<![\w.+%'-])[\w.+%'-]+(?:@|\s*[\[(]\s*at\s*[\])]\s*)[\w-]+(?:\.[\w-]+)+", re.IGNORECASE
)
_DATE = re.compile(r"\d{1,2}[-/. ]\d{1,2}[-/. ]\d{4}")
_DECIMAL = re.compile(r"\+\d+\.\d+")
_INTERNATIONAL = re.compile(r"(?<![\w.,])(?:\+[1-9]|00[1-9])[\d ().\-/]{6,20}\d(?!\w)")
_NORTH_AMERICAN = re.compile(
    r"(?<![\w.,])(?:1[ .-])?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[ .-])[2-9]\d{2}[ .-]\d{4}(?![\w.,]*\d)"
)
_NATIONAL = re.compile(r"(?<![\w.,:/-])\(?0[1-9]\d{0,3}\)?[ /-]\d{2,4}(?:[ /-]?\d{2,4}){1,3}(?![\w:])")
_BEHIND_A_WORD = re.compile(
    r"(?i)(\b(?:tel|telephone|phone|mobile|cell|fax|call|whatsapp|hotline)\b[.:]?(?: (?:us|me|at|on))*[.:]? *)"
    r"\(?\d[\d ().\-/]{4,18}\d(?!\w)"
)
_UNPRINTED = {"Cc": " ", "Cs": " ", "Cf": ""}
_LEAST_DIGITS, _MOST_DIGITS = 8, 15


def clean_text(text: str, *, names: Iterable[str] = ()) -> str:
    r"""Plain text without markup, addresses, phone numbers and these names; one space, and a line for each block.

    Examples
    --------
    >>> clean_text("<p>BTC &gt; 60,000</p><p>Write to ann@desk.example or call +1 212 555 0100</p>")
    'BTC > 60,000\nWrite to or call'
    """
    plain = _EMAIL.sub("", unescape("".join(_shown(text))))
    for name in islice(names, _MOST_NAMES):
        plain = re.sub(rf"(?:\bby\s+)?(?<!\w){re.escape(name)}(?!\w)", "", plain, flags=re.IGNORECASE)
    for pattern in (_INTERNATIONAL, _NORTH_AMERICAN, _NATIONAL):
        plain = pattern.sub(_unless_a_number, plain)
    plain = _BEHIND_A_WORD.sub(r"\1", plain)
    lines = (" ".join(_printed(line).split()) for line in plain.splitlines())
    return "\n".join(line for line in lines if line)


def clean_url(url: str) -> str:
    """An address without credentials, query and fragment; empty where it is none.

    Examples
    --------
    >>> clean_url("https://ann:secret@desk.example:8443/a/b?token=1#c")
    'https://desk.example:8443/a/b'
    """
    try:
        parts = urlsplit(url.strip())
        port = f":{parts.port}" if parts.port is not None else ""
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}{port}{_EMAIL.sub('', parts.path)}"


def clean_id(given: str) -> str:
    """An id that names nobody and opens nothing: one with an e-mail address, a query or credentials becomes its hash.

    Examples
    --------
    >>> clean_id("item-17"), clean_id("https://desk.example/a")
    ('item-17', 'https://desk.example/a')
    >>> clean_id("https://desk.example/?p=17")[:15]
    'sha256:7502c523'
    """
    stripped = given.strip()
    try:
        parts = urlsplit(stripped)
        opens = bool(parts.netloc) and (bool(parts.query) or "@" in parts.netloc)
    except ValueError:
        opens = True
    if opens or _EMAIL.search(stripped) or len(stripped) > _LONGEST_ID:
        return f"sha256:{sha256_of(stripped.encode('utf-8', 'surrogatepass'))[:32]}"
    return stripped


def names_of(people: Iterable[str]) -> list[str]:
    """Names of people as sources write them, "Ann Lee", "ann@desk.example (Ann Lee)"; single words are left.

    The longest come first.

    Examples
    --------
    >>> names_of(["ann@desk.example (Ann Lee)", "Bo Ek and Cy Day", "Desk"])
    ['Ann Lee', 'Cy Day', 'Bo Ek']
    """
    found = []
    for entry in people:
        inside = re.search(r"\(([^)]+)\)", entry)
        name = inside.group(1) if inside else parseaddr(entry)[0] or entry
        found += [part.strip() for part in re.split(r"[,;&]| and ", name) if "@" not in part and " " in part.strip()]
    return sorted(found, key=lambda name: (-len(name), name))


def _shown(text: str) -> Iterator[str]:
    """What a page shows of a text with markup, in one pass over it whatever stands there.

    What is no tag, "BTC < 60k", is shown as it is. `html.parser` goes over a text of half tags once for each of them.
    """
    place, comments_end = 0, True
    while found := _TAG.search(text, place):
        yield text[place : found.start()]
        place, name = found.end(), (found["name"] or "").rpartition(":")[2].lower()
        if found.group() == "<!--":
            end = text.find("-->", place) if comments_end else -1
            comments_end = end >= 0
            place = end + 3 if comments_end else place
        elif name in _SILENT and not found["closes"]:
            closed = re.compile(rf"</{name}\b", re.IGNORECASE).search(text, place)
            place = len(text) if closed is None else closed.start()
        elif name in _BLOCKS:
            yield "\n"
    yield text[place:]


def _unless_a_number(found: re.Match[str]) -> str:
    """Nothing in place of a phone number; what has the form of a decimal number or of a date stays."""
    given = found.group()
    digits = sum(char.isdigit() for char in given)
    keep = _DECIMAL.fullmatch(given) or _DATE.match(given) or not _LEAST_DIGITS <= digits <= _MOST_DIGITS
    return given if keep else ""


def _printed(line: str) -> str:
    """Without what is not printed: a control character or half of another is a space, a format character nothing."""
    plain = unicodedata.normalize("NFC", line)
    return "".join(_UNPRINTED.get(unicodedata.category(char), char) for char in plain)
