"""The rings of the shared cache of bars, as their one writer keeps them: whole, up to the last closed bar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from sapphire.data.venue import Candle
from sapphire.domain.bar_cache import CAPACITY, ring_key, ring_of, slots_of, window_of_rings
from sapphire.domain.bars import FIELDS, Bars
from sapphire.domain.clocks import from_ns
from sapphire.domain.display import stamp
from sapphire.domain.errors import BadBars, DataError
from sapphire.domain.intervals import Interval
from sapphire.telemetry.bus import Bus

__all__ = ["BarRings", "panel_of"]

_SPARE = 256
"""Bars beyond the history: a reader that is behind the writer still finds its window."""


class BarRings:
    """One ring for each symbol.

    Parameters
    ----------
    bus : where they are.
    venue, symbols, interval : whose bars.
    history_bars : intervals that a reader may look back.
    """

    def __init__(self, bus: Bus, venue: str, symbols: Sequence[str], interval: Interval, history_bars: int) -> None:
        self._bus, self._venue, self._interval = bus, venue, interval
        self._keys = {symbol: ring_key(venue, symbol, interval) for symbol in symbols}
        self._history = history_bars
        self._capacity = max(CAPACITY, history_bars + _SPARE)
        nothing = panel_of(symbols, interval, {}, 0, 0)
        self._size = len(ring_of(nothing, symbols[0], capacity=self._capacity))

    def whole_until(self, close_ns: int) -> bool:
        """Whether every ring is there, with the whole history of bars up to `close_ns`, all of it undamaged."""
        values = self._bus.values(list(self._keys.values()))
        if any(len(value or b"") != self._size for value in values):
            return False
        try:
            for symbol, value in zip(self._keys, values, strict=True):
                window_of_rings(
                    {symbol: value},
                    interval=self._interval,
                    as_of=from_ns(close_ns),
                    rows=self._history,
                    venue=self._venue,
                )
        except DataError:
            return False
        return True

    def replace(self, bars: Bars) -> None:
        """Write every ring anew."""
        for symbol, key in self._keys.items():
            self._bus.put(key, ring_of(bars, symbol, capacity=self._capacity))

    def write(self, bars: Bars) -> None:
        """Write these bars into the rings, in one round trip."""
        self._bus.patch(
            (key, offset, record)
            for symbol, key in self._keys.items()
            for offset, record in slots_of(bars, symbol, after_ns=-1, capacity=self._capacity)
        )


def panel_of(
    symbols: Sequence[str], interval: Interval, candles: Mapping[str, Sequence[Candle]], start_ns: int, end_ns: int
) -> Bars:
    """Every interval that opens in `[start_ns, end_ns)` as a row; not listed where the venue had no candle.

    Raises
    ------
    BadBars : a candle off the grid, or one that is none.
    """
    times = np.arange(start_ns, end_ns, interval.ns, dtype=np.int64)
    values = np.full((len(FIELDS), times.size, len(symbols)), np.nan)
    for column, symbol in enumerate(symbols):
        inside = [candle for candle in candles.get(symbol, ()) if start_ns <= candle[0] < end_ns]
        rows = [(candle[0] - start_ns) // interval.ns for candle in inside]
        off = [candle[0] for candle, row in zip(inside, rows, strict=True) if times[row] != candle[0]]
        if off:
            what = f"a candle of {symbol} is off the {interval} grid"
            raise BadBars(what, expected=f"open times that are multiples of {interval}", got=stamp(off[0]))
        if inside:
            values[:, rows, column] = np.array([candle[1:] for candle in inside]).T
    fields = dict(zip(FIELDS, values, strict=True))
    listed = np.isfinite(values[3])
    return Bars(symbols=tuple(symbols), interval=interval, open_time_ns=times, listed=listed, **fields).validate()
