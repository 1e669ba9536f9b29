"""Closed bars in the shared cache: one key per series, its value a ring of fixed size.

::

    key     bars:v1:{venue}:{symbol}:{interval}
    value   header, 32 bytes: magic "SBARS1", capacity u32, record size u32, interval ns i64, crc32 u32, 4 bytes unused
            then `capacity` records of 56 bytes, little-endian:
            open time ns i64, open, high, low, close, volume f64, state u32 (1 a bar, 2 the venue had none), crc32 u32

The bar that opens at t stands in slot (t / interval) mod capacity, so a new bar is one SETRANGE at a known offset, no
pointer moves, and a reader that takes the value in one GET sees each record whole. A record names its own open time:
one that is left over from the round before is not taken for a newer bar. A bar is written once, when it has closed.

A record says that the venue had no bar where there was none, so a missing record is always a hole in the cache. A hole,
like a ring that ends before the latest closed bar, is an error and never filled by a guess.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapphire.domain.bars import FIELDS, Bars
from sapphire.domain.clocks import to_ns
from sapphire.domain.display import stamp
from sapphire.domain.errors import DataError, MissingData, ValueRefused
from sapphire.domain.intervals import Interval
from sapphire.domain.windows import Window

__all__ = ["CAPACITY", "ring_key", "ring_of", "slots_of", "window_of_rings"]

CAPACITY = 2_048
"""Bars that a ring holds unless its writer says otherwise."""

_MAGIC = b"SBARS1\0\0"
_HEADER = np.dtype([("magic", "S8"), ("capacity", "<u4"), ("record", "<u4"), ("interval_ns", "<i8"),
                    ("crc", "<u4"), ("unused", "<u4")])  # fmt: skip
_RECORD = np.dtype([("open_time_ns", "<i8"), ("numbers", "<f8", len(FIELDS)), ("state", "<u4"), ("crc", "<u4")])
_BAR, _NONE = 1, 2
_CHECKED = _RECORD.itemsize - 4
_MAX_CAPACITY = 1_000_000


@dataclass(frozen=True, slots=True)
class _Ring:
    """The records of one series, oldest first.

    Parameters
    ----------
    key : of the series.
    data : the value of the key.
    open_time_ns : int64 [N], rising.
    numbers : float64 [N, 5], in the order of `FIELDS`; NaN where the venue had no bar.
    offsets : int64 [N], where each record begins in `data`.
    """

    key: str
    data: bytes
    open_time_ns: NDArray[np.int64]
    numbers: NDArray[np.float64]
    offsets: NDArray[np.int64]

    def head(self, count: int) -> _Ring:
        """The first `count` records."""
        parts = (self.open_time_ns[:count], self.numbers[:count], self.offsets[:count])
        return _Ring(self.key, self.data, *parts)

    def require_sound(self, places: NDArray[np.int64]) -> None:
        """Refuse records at `places` whose checksum is not that of their bytes."""
        for offset in self.offsets[places].tolist():
            end = offset + _CHECKED
            if zlib.crc32(self.data[offset:end]) != int.from_bytes(self.data[end : end + 4], "little"):
                opened = int.from_bytes(self.data[offset : offset + 8], "little", signed=True)
                raise DataError(
                    f"a record of {self.key} is damaged",
                    expected="the checksum of its bytes",
                    got=f"another one in the bar that opened at {stamp(opened)}",
                    next="start the collector again: it writes the ring anew",
                )


def ring_key(venue: str, symbol: str, interval: Interval) -> str:
    """Key of a series.

    Raises
    ------
    ValueRefused : a part that is empty or has a space in it.

    Examples
    --------
    >>> ring_key("binance-spot", "BTC/USDT", Interval("1h"))
    'bars:v1:binance-spot:BTC/USDT:1h'
    """
    for name, part in (("venue", venue), ("symbol", symbol)):
        if not part or not part.isascii() or not part.isprintable() or " " in part:
            raise ValueRefused(f"{name} of a cached series", expected="printable ASCII without spaces", got=repr(part))
    return f"bars:v1:{venue}:{symbol}:{interval.text}"


def ring_of(bars: Bars, symbol: str, *, capacity: int = CAPACITY) -> bytes:
    """The whole ring of a series that ends with the last of `bars`: what a writer SETs when it starts.

    Parameters
    ----------
    bars : closed bars; a row or a cell that is not there says that the venue had no bar.

    Raises
    ------
    UnknownInstrument : a symbol that `bars` does not have.
    ValueRefused : a capacity out of range.
    """
    if not 1 <= capacity <= _MAX_CAPACITY:
        raise ValueRefused("capacity of a ring", expected=f"1 to {_MAX_CAPACITY:,}", got=str(capacity))
    header = np.zeros(1, _HEADER)
    header["magic"], header["capacity"], header["record"] = _MAGIC, capacity, _RECORD.itemsize
    header["interval_ns"] = bars.interval.ns
    header["crc"] = zlib.crc32(header.tobytes()[:24])
    records = np.zeros(capacity, _RECORD)
    made = _records(bars, symbol)[-capacity:]
    records[_slots(made["open_time_ns"], bars.interval, capacity)] = made
    return header.tobytes() + records.tobytes()


def slots_of(bars: Bars, symbol: str, *, after_ns: int, capacity: int = CAPACITY) -> Iterator[tuple[int, bytes]]:
    """Offset and bytes of every bar that opens after `after_ns`: each is one SETRANGE into a ring that is there.

    Raises
    ------
    UnknownInstrument : a symbol that `bars` does not have.
    """
    made = _records(bars, symbol)
    made = made[made["open_time_ns"] > after_ns]
    for slot, record in zip(_slots(made["open_time_ns"], bars.interval, capacity), made, strict=True):
        yield _HEADER.itemsize + int(slot) * _RECORD.itemsize, record.tobytes()


def window_of_rings(
    rings: Mapping[str, bytes | None], *, interval: Interval, as_of: datetime, rows: int, venue: str
) -> Window:
    """The window at `as_of` of the latest `rows` bars that any symbol has.

    Parameters
    ----------
    rings : symbol to the value of its key, None where there is none; in the order of the universe.
    rows : bars that the window must hold.
    venue : for messages.

    Raises
    ------
    MissingData : a ring that is not there, ends before the latest bar that has closed by `as_of`, does not reach back
        far enough, or has a hole.
    DataError : a value that is no ring of these bars.
    """
    newest = interval.floor(to_ns(as_of)) - interval.ns
    read = {}
    for symbol, data in rings.items():
        key = ring_key(venue, symbol, interval)
        if data is None:
            raise _missing(key, expected=f"bars up to the one that opened at {stamp(newest)}", got="no such key")
        read[symbol] = _until(_read(data, key, interval), newest)
    times = np.arange(newest - (rows - 1) * interval.ns, newest + 1, interval.ns)
    panels = _whole(read, times)
    if panels is None:
        times = _latest_times(read, rows, newest, interval, venue)
        grid = np.arange(times[0], newest + 1, interval.ns)
        panels = np.stack([_on_grid(ring, grid) for ring in read.values()], axis=1)
        panels = panels[np.isin(grid, times)]
    fields: dict[str, Any] = {name: np.ascontiguousarray(panels[..., place]) for place, name in enumerate(FIELDS)}
    listed = np.isfinite(panels[..., 0])
    bars = Bars(symbols=tuple(rings), interval=interval, open_time_ns=times, listed=listed, **fields)
    return Window(bars.validate(), as_of)


def _records(bars: Bars, symbol: str) -> NDArray[Any]:
    """One record for every place on the grid from the first to the last of `bars`."""
    column = bars.symbols.index(bars.symbols_only([symbol]).symbols[0])
    opens = bars.open_time_ns
    grid = np.arange(opens[0], opens[-1] + 1, bars.interval.ns) if len(bars) else opens
    records = np.zeros(grid.size, _RECORD)
    records["open_time_ns"], records["state"] = grid, _NONE
    rows = np.searchsorted(grid, opens)[bars.listed[:, column]]
    numbers = np.stack([getattr(bars, name)[bars.listed[:, column], column] for name in FIELDS], axis=-1)
    records["numbers"][rows], records["state"][rows] = numbers, _BAR
    for place in range(len(records)):
        records["crc"][place] = zlib.crc32(records[place].tobytes()[:_CHECKED])
    return records


def _slots(open_time_ns: NDArray[np.int64], interval: Interval, capacity: int) -> NDArray[np.int64]:
    return np.asarray((open_time_ns // interval.ns) % capacity)


def _read(data: bytes, key: str, interval: Interval) -> _Ring:
    """Every record, oldest first."""
    header = np.frombuffer(data, _HEADER, count=1) if len(data) >= _HEADER.itemsize else np.zeros(1, _HEADER)
    capacity = int(header["capacity"][0])
    sound = zlib.crc32(data[:24]) == int(header["crc"][0]) and header["magic"][0] == _MAGIC.rstrip(b"\0")
    whole = len(data) == _HEADER.itemsize + capacity * _RECORD.itemsize
    same = int(header["record"][0]) == _RECORD.itemsize and int(header["interval_ns"][0]) == interval.ns
    if not (sound and whole and same):
        raise DataError(
            f"{key} holds no ring of {interval} bars",
            expected=f"a header and {_RECORD.itemsize} bytes for each of its bars (format v1)",
            got=f"{len(data):,} bytes that start with {data[:8]!r}",
            next="start the collector again: it writes the ring anew",
        )
    records = np.frombuffer(data, _RECORD, offset=_HEADER.itemsize)
    written = np.flatnonzero(records["state"])
    written = written[np.argsort(records["open_time_ns"][written])]
    records = records[written]
    numbers = np.where((records["state"] == _BAR)[:, np.newaxis], records["numbers"], np.nan)
    offsets = _HEADER.itemsize + written * _RECORD.itemsize
    return _Ring(key, data, records["open_time_ns"].astype(np.int64), numbers, offsets)


def _until(ring: _Ring, newest: int) -> _Ring:
    """The ring up to the bar that opened at `newest`, which must be in it."""
    known = int(np.searchsorted(ring.open_time_ns, newest, side="right"))
    if not known or int(ring.open_time_ns[known - 1]) != newest:
        last = f"the last one before opened at {stamp(int(ring.open_time_ns[known - 1]))}" if known else "none so old"
        expected = f"the bar that opened at {stamp(newest)}, the latest that has closed"
        raise _missing(ring.key, expected=expected, got=last)
    return ring.head(known)


def _whole(rings: Mapping[str, _Ring], times: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """The numbers [T, S, 5] where every ring ends with a record for each of `times`, and some symbol has a bar at each:
    the usual case, which needs no search; None in any other.
    """
    rows = len(times)
    if not rows or not all(np.array_equal(ring.open_time_ns[-rows:], times) for ring in rings.values()):
        return None
    panels = np.stack([ring.numbers[-rows:] for ring in rings.values()], axis=1)
    if not np.isfinite(panels[..., 0]).any(axis=1).all():
        return None
    for ring in rings.values():
        ring.require_sound(np.arange(len(ring.open_time_ns) - rows, len(ring.open_time_ns)))
    return np.asarray(panels)


def _latest_times(
    rings: Mapping[str, _Ring], rows: int, newest: int, interval: Interval, venue: str
) -> NDArray[np.int64]:
    """Open times of the latest `rows` bars that any symbol has."""
    there = [ring.open_time_ns[np.isfinite(ring.numbers[:, 0])] for ring in rings.values()]
    times = np.unique(np.concatenate(there)) if there else np.empty(0, dtype=np.int64)
    if times.size < rows or not rows:
        raise MissingData(
            f"the cached bars of {', '.join(rings) or 'no symbol'} at {venue} do not reach back far enough",
            expected=f"{rows:,} bars of {interval} up to the one that opened at {stamp(newest)}",
            got=f"{times.size:,}",
            next="let the collector keep a larger ring",
        )
    return times[-rows:]


def _on_grid(ring: _Ring, grid: NDArray[np.int64]) -> NDArray[np.float64]:
    """The ring's numbers at every time of the grid, [G, 5]."""
    places = np.searchsorted(ring.open_time_ns, grid)
    there = (places < ring.open_time_ns.size) & (ring.open_time_ns[np.minimum(places, len(ring.numbers) - 1)] == grid)
    if not there.all():
        hole = stamp(int(grid[np.argmin(there)]))
        raise _missing(
            ring.key,
            expected=f"every bar from {stamp(int(grid[0]))} on, or the word that the venue had none",
            got=f"{int((~there).sum()):,} holes, the first at {hole}",
        )
    ring.require_sound(places)
    return ring.numbers[places]


def _missing(key: str, *, expected: str, got: str) -> MissingData:
    return MissingData(
        f"{key} is not up to date",
        expected=expected,
        got=got,
        next="see whether the collector runs; a release does not decide on old bars",
    )
