"""The closed bars that sizing looks at: read from the cache once, and a bar longer at each close.

In memory it is what the cache holds: the same doubles. Wherever the two could differ (a start, a bar that was not
seen), it is read anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapphire.domain.bar_cache import ring_key, window_of_rings
from sapphire.domain.bars import FIELDS, Bars
from sapphire.domain.clocks import from_ns
from sapphire.domain.intervals import Interval
from sapphire.domain.messages import MarketDataMessage
from sapphire.telemetry.bus import Bus

__all__ = ["History"]

_HEADER_SIZE = 32
_RECORD = np.dtype([("open_time_ns", "<i8"), ("numbers", "V40"), ("state", "<u4"), ("crc", "<u4")])
"""A record of the cache, as `sapphire.domain.bar_cache` lays it out; only times and states are looked at here."""
_BAR = 1


class History:
    """The latest bars of a universe.

    Parameters
    ----------
    bus : where the cache is.
    venue, symbols, interval : whose bars.
    rows : so many, or as many as there are.
    """

    def __init__(self, bus: Bus, venue: str, symbols: Sequence[str], interval: Interval, rows: int) -> None:
        self._bus, self._venue, self._symbols = bus, venue, tuple(symbols)
        self._interval, self._rows = interval, rows
        self._bars: Bars | None = None
        self._until_ns = 0

    def at(self, close_ns: int, closed: Iterable[MarketDataMessage]) -> Bars:
        """The bars up to the close at `close_ns`.

        Parameters
        ----------
        closed : the bars that closed then, as the bus says them.

        Raises
        ------
        MissingData : the cache does not have them.
        DataError : what it has is no bars.
        """
        known = self._bars
        if known is not None and self._until_ns == close_ns - self._interval.ns:
            self._bars = _longer(known, close_ns, {bar.symbol: bar for bar in closed}, self._rows)
        else:
            self._bars = None
            self._bars = self._read(close_ns)
        self._until_ns = close_ns
        return self._bars

    def forget(self) -> None:
        """Read the cache anew at the next close."""
        self._bars = None

    def _read(self, close_ns: int) -> Bars:
        values = self._bus.values([ring_key(self._venue, symbol, self._interval) for symbol in self._symbols])
        rings = dict(zip(self._symbols, values, strict=True))
        newest_ns = close_ns - self._interval.ns
        there = [_open_times(value, newest_ns) for value in values if value is not None]
        known = int(np.unique(np.concatenate(there)).size) if there else 0
        window = window_of_rings(
            rings,
            interval=self._interval,
            as_of=from_ns(close_ns),
            rows=max(1, min(self._rows, known)),
            venue=self._venue,
        )
        return window.bars


def _open_times(ring: bytes, newest_ns: int) -> NDArray[np.int64]:
    """Open times of the bars in a ring, up to `newest_ns`."""
    whole = (len(ring) - _HEADER_SIZE) // _RECORD.itemsize
    records = np.frombuffer(ring, _RECORD, count=max(whole, 0), offset=_HEADER_SIZE if whole > 0 else 0)
    times = records["open_time_ns"].astype(np.int64)
    return np.asarray(times[(records["state"] == _BAR) & (times <= newest_ns)])


def _longer(bars: Bars, close_ns: int, closed: dict[str, MarketDataMessage], rows: int) -> Bars:
    """The bars with one more, the latest `rows` of them; a close without any bar adds none."""
    if not closed:
        return bars
    start = max(0, len(bars) + 1 - rows)
    fields: dict[str, Any] = {}
    for name in FIELDS:
        wire = "volume_base" if name == "volume" else name
        row = [float(getattr(closed[symbol], wire)) if symbol in closed else np.nan for symbol in bars.symbols]
        fields[name] = np.concatenate([getattr(bars, name)[start:], np.array([row])])
    times = np.append(bars.open_time_ns[start:], np.int64(close_ns - bars.interval.ns))
    listed = np.concatenate([bars.listed[start:], [[symbol in closed for symbol in bars.symbols]]])
    return Bars(symbols=bars.symbols, interval=bars.interval, open_time_ns=times, listed=listed, **fields)
