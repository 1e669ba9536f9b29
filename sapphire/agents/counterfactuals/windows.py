"""Windows with one thing changed: names, dates, news, or everything but names and dates.

What is changed is all that a window shows of it, in bars and documents alike; the rest stays to the last bit. Windows
come back in the order of the symbols that they had, so that the view of column 0 is about what column 0 was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from sapphire.agents.counterfactuals.words import flipped_text, moved_years, renamed_text
from sapphire.domain.bars import FIELDS, Bars
from sapphire.domain.documents import Document
from sapphire.domain.errors import ValueRefused
from sapphire.domain.windows import Window

__all__ = [
    "SHIFT",
    "SHIFT_YEARS",
    "anonymised",
    "exchanged",
    "flippable",
    "flipped_news",
    "require_alike",
    "shifted_dates",
    "swapped_names",
]

SHIFT: Final = timedelta(weeks=-156)
"""Three years back, in whole weeks: the hour, the day of the week and the grid of every bar length stay."""
SHIFT_YEARS: Final = -3
"""What the years that texts name move by."""
_NS = 1_000


def anonymised(window: Window) -> Window:
    """The window with its coins called COIN1, COIN2 and so on, in documents too; addresses and ids of these go.

    Quotes keep their names. Documents lose address and id because both are made of headlines more often than not.
    """
    names = {base: f"COIN{place}" for place, base in enumerate(_bases(window), start=1)}
    return _renamed(window, names, hidden=True)


def swapped_names(window: Window) -> Window | None:
    """The window with each coin called by the name of the next one; None of one coin. Numbers stay where they are."""
    bases = _bases(window)
    if len(bases) < 2:
        return None
    return _renamed(window, dict(zip(bases, (*bases[1:], bases[0]), strict=True)), hidden=False)


def shifted_dates(window: Window) -> Window:
    """The window three years earlier: moment, bars, documents, and the years that their texts name."""
    return _moved(window, SHIFT, years=SHIFT_YEARS)


def flipped_news(window: Window) -> Window:
    """The window with the tone of its documents turned round, as far as they have words of `words.OPPOSITES`."""
    return _with_texts(window, (_said(each, *map(flipped_text, (each.title, each.text))) for each in _of(window)))


def flippable(document: Document) -> bool:
    """Whether a document has a word that can be turned round."""
    return flipped_text(document.title) != document.title or flipped_text(document.text) != document.text


def exchanged(windows: Sequence[Window]) -> list[Window]:
    """Each window with the numbers and the news of another, half of all windows further on; names and dates stay.

    Parameters
    ----------
    windows : two or more that are alike (`require_alike`).
    """
    half = len(windows) // 2
    return [_filled(window, windows[(place + half) % len(windows)]) for place, window in enumerate(windows)]


def require_alike(windows: Sequence[Window]) -> None:
    """Refuse windows that cannot be exchanged.

    Raises
    ------
    ValueRefused : no windows, or windows of different symbols, intervals or lengths.
    """
    kinds = {(window.symbols, window.interval.text, len(window.bars)) for window in windows}
    if len(kinds) != 1:
        shown = sorted(f"{length:,} bars of {interval} of {', '.join(symbols)}" for symbols, interval, length in kinds)
        raise ValueRefused(
            "windows for counterfactuals",
            expected="at least one window, all of the same symbols, interval and length",
            got="; ".join(shown[:3]) or "none",
            next="window_at(agent, bars, row) for some rows",
        )


def _renamed(window: Window, names: Mapping[str, str], *, hidden: bool) -> Window:
    numbers = {key: f"document-{place}" for place, key in enumerate(sorted({each.key for each in _of(window)}))}
    changed = []
    for each in _of(window):
        title, text = renamed_text(each.title, names), renamed_text(each.text, names)
        about = tuple(_symbol(symbol, names) for symbol in each.symbols)
        made = replace(_said(each, title, text), symbols=about)
        changed.append(replace(made, id=numbers[each.key], url="") if hidden else made)
    bars = replace(window.bars, symbols=tuple(_symbol(symbol, names) for symbol in window.symbols))
    return _with_texts(Window(bars, window.as_of, window.features), changed)


def _moved(window: Window, by: timedelta, *, years: int = 0) -> Window:
    shift_ns = by // timedelta(microseconds=1) * _NS
    bars = replace(window.bars, open_time_ns=window.bars.open_time_ns + shift_ns, documents=None)
    changed = (
        replace(
            _said(each, moved_years(each.title, years), moved_years(each.text, years)) if years else each,
            published_ns=each.published_ns + shift_ns,
            received_ns=each.received_ns + shift_ns,
        )
        for each in _of(window)
    )
    documents = None if window.bars.documents is None else window.bars.documents.with_items(changed)
    return Window(bars.with_documents(documents), window.as_of + by, window.features)


def _filled(window: Window, other: Window) -> Window:
    """A window with what another shows, at its own times and under its own names."""
    moved = _moved(other, window.as_of - other.as_of)
    arrays = {name: getattr(other.bars, name) for name in (*FIELDS, "listed")}
    bars = Bars(
        symbols=window.symbols,
        interval=window.interval,
        open_time_ns=window.bars.open_time_ns,
        documents=moved.bars.documents,
        **arrays,
    )
    return Window(bars, window.as_of, window.features)


def _said(document: Document, title: str, text: str) -> Document:
    """A document with other words; one whose text has expired has none to change."""
    return document if document.expired else replace(document, title=title, text=text, sha256="")


def _with_texts(window: Window, documents: Iterable[Document]) -> Window:
    kept = window.bars.documents
    return window if kept is None else Window(window.bars, window.as_of, window.features, kept.with_items(documents))


def _of(window: Window) -> tuple[Document, ...]:
    """Every version of every document that a window has."""
    return () if window.bars.documents is None else tuple(window.bars.documents)


def _bases(window: Window) -> tuple[str, ...]:
    """The coins of a window, each once, in the order of its symbols."""
    return tuple(dict.fromkeys(symbol.partition("/")[0] for symbol in window.symbols))


def _symbol(symbol: str, names: Mapping[str, str]) -> str:
    return "/".join(names.get(part, part) for part in symbol.split("/"))
