"""Symbols that are delisted while a study tests: paid out at their last price, and marked.

A snapshot may hold symbols that begin later or end earlier than it does. One that ends has no bar any more up to the
end of the snapshot: at the first close without it, what is held is settled at its last close, and nothing is believed
or signalled of it from then on. A hole that a symbol comes back from is no end: its position is kept, and cannot be
traded meanwhile.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from sapphire.domain.bars import Bars
    from sapphire.portfolio import PortfolioState

__all__ = ["Delisting", "Settlement", "ends_of", "without"]


@dataclass(frozen=True, slots=True)
class Settlement:
    """A position that was paid out.

    Parameters
    ----------
    close_ns : the close at which it was.
    symbol : of what.
    atoms, price_ticks, quote_atoms : what was held, its last price, and what was paid for it, without a fee.
    """

    close_ns: int
    symbol: str
    atoms: int
    price_ticks: int
    quote_atoms: int


def ends_of(bars: Bars) -> dict[str, int]:
    """Symbol to the first close at which it has ended; one that goes on to the last bar, or has none, is left out."""
    ends = {}
    for column, symbol in enumerate(bars.symbols):
        rows = np.flatnonzero(bars.listed[:, column])
        if rows.size and rows[-1] < len(bars) - 1:
            ends[symbol] = int(bars.close_time_ns[rows[-1] + 1])
    return ends


class Delisting:
    """What one replay does about the symbols that end.

    Parameters
    ----------
    bars : of the whole snapshot, so that a hole at the end of a tested window is no end.

    Attributes
    ----------
    settled : what was paid out so far, in order.
    """

    def __init__(self, bars: Bars) -> None:
        self._ends = ends_of(bars)
        self.settled: list[Settlement] = []

    def gone(self, close_ns: int) -> frozenset[str]:
        """The symbols that have ended by a close."""
        return frozenset(symbol for symbol, end_ns in self._ends.items() if end_ns <= close_ns)

    def settle(self, engine: Any, close_ns: int, lots: Mapping[str, int]) -> dict[str, int]:
        """Pay out what has ended by this close; the lots that are held then.

        An order that is on the way yet, of any symbol, puts it off to the next close.
        """
        left = dict(lots)
        for symbol in sorted(self.gone(close_ns)):
            paid = engine.settle(symbol)
            if paid is not None:
                self.settled.append(Settlement(close_ns, symbol, *paid))
                left[symbol] = 0
        return left


def without(state: PortfolioState, gone: Collection[str]) -> PortfolioState:
    """The state without the symbols that have ended, but for what is held of one that is not paid out yet."""
    if not gone:
        return state
    out = {symbol for symbol in gone if not state.lots.get(symbol, 0)}
    return replace(state, prices={symbol: price for symbol, price in state.prices.items() if symbol not in out})
