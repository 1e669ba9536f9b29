"""Other futures: the same bars and documents up to a row, and something else after it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from sapphire.domain.bars import FIELDS, Bars
from sapphire.domain.documents import Document

__all__ = ["FUTURES", "Future", "removed", "replaced", "shuffled"]

Future = Callable[[Bars, int, np.random.Generator], Bars]
"""Bars, the last row to keep, and dice, to bars that are the same up to that row."""


def replaced(bars: Bars, row: int, dice: np.random.Generator) -> Bars:
    """Prices and volumes after `row` are others, about 5 % away from bar to bar, and documents say something else."""
    later = (len(bars) - row - 1, len(bars.symbols))
    price = np.exp(np.cumsum(0.05 * dice.standard_normal(later), axis=0))
    factors = dict.fromkeys(FIELDS, price) | {"volume": np.exp(dice.standard_normal(later))}
    changed: dict[str, Any] = {}
    for name in FIELDS:
        changed[name] = getattr(bars, name).copy()
        changed[name][row + 1 :] *= factors[name]
    documents = _received_later(bars, row)
    return _with_documents(
        replace(bars, **changed), documents, [(each.title[::-1], each.text[::-1]) for each in documents]
    )


def shuffled(bars: Bars, row: int, dice: np.random.Generator) -> Bars:
    """The bars after `row` come in another order, at the same times, and so does what documents say."""
    order = np.concatenate([np.arange(row + 1), row + 1 + dice.permutation(len(bars) - row - 1)])
    documents = _received_later(bars, row)
    contents = [(documents[place].title, documents[place].text) for place in dice.permutation(len(documents))]
    return _with_documents(
        replace(bars, **{name: getattr(bars, name)[order] for name in (*FIELDS, "listed")}), documents, contents
    )


def removed(bars: Bars, row: int, dice: np.random.Generator) -> Bars:
    """Nothing comes after `row`. Copied, so that what is cut off cannot be reached through memory."""
    head = bars.rows(0, row + 1)
    return replace(head, **{name: getattr(head, name).copy() for name in (*FIELDS, "listed")})


def _received_later(bars: Bars, row: int) -> list[Document]:
    """Documents that were received after the close of a row, and can still be read."""
    if bars.documents is None:
        return []
    until_ns = int(bars.close_time_ns[row])
    return [each for each in bars.documents if each.received_ns > until_ns and not each.expired]


def _with_documents(bars: Bars, documents: list[Document], contents: list[tuple[str, str]]) -> Bars:
    """The bars with these documents saying something else."""
    if bars.documents is None or not documents:
        return bars
    others = {
        (each.key, each.version): replace(each, title=title, text=text, sha256="")
        for each, (title, text) in zip(documents, contents, strict=True)
    }
    items = [others.get((each.key, each.version), each) for each in bars.documents]
    return bars.with_documents(bars.documents.with_items(items))


FUTURES: Mapping[str, Future] = {"replaced": replaced, "shuffled": shuffled, "removed": removed}
