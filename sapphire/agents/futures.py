"""Other futures: the same bars up to a row, and something else after it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from sapphire.domain.bars import FIELDS, Bars

__all__ = ["FUTURES", "Future", "removed", "replaced", "shuffled"]

Future = Callable[[Bars, int, np.random.Generator], Bars]
"""Bars, the last row to keep, and dice, to bars that are the same up to that row."""


def replaced(bars: Bars, row: int, dice: np.random.Generator) -> Bars:
    """Prices and volumes after `row` are others, about 5 % away from bar to bar."""
    later = (len(bars) - row - 1, len(bars.symbols))
    price = np.exp(np.cumsum(0.05 * dice.standard_normal(later), axis=0))
    factors = dict.fromkeys(FIELDS, price) | {"volume": np.exp(dice.standard_normal(later))}
    changed: dict[str, Any] = {}
    for name in FIELDS:
        changed[name] = getattr(bars, name).copy()
        changed[name][row + 1 :] *= factors[name]
    return replace(bars, **changed)


def shuffled(bars: Bars, row: int, dice: np.random.Generator) -> Bars:
    """The bars after `row` come in another order, at the same times."""
    order = np.concatenate([np.arange(row + 1), row + 1 + dice.permutation(len(bars) - row - 1)])
    return replace(bars, **{name: getattr(bars, name)[order] for name in (*FIELDS, "listed")})


def removed(bars: Bars, row: int, dice: np.random.Generator) -> Bars:
    """Nothing comes after `row`. Copied, so that what is cut off cannot be reached through memory."""
    head = bars.rows(0, row + 1)
    return replace(head, **{name: getattr(head, name).copy() for name in (*FIELDS, "listed")})


FUTURES: Mapping[str, Future] = {"replaced": replaced, "shuffled": shuffled, "removed": removed}
