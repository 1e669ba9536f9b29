"""Trimming: a stream of the bus keeps what is recent, and everything that a consumer has not read and put on record.

A consumer's record is its own file or journal, never the bus: what lies behind it and is older than what is kept serves
nobody. Writers that repeat themselves after a start repeat the newest entries alone, which are kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sapphire.telemetry.bus import Bus
from sapphire.telemetry.streams import EntryId

__all__ = ["Consumed", "first_kept", "trim"]


@dataclass(frozen=True, slots=True)
class Consumed:
    """How far the consumers of a stream are, and how much of what they are done with stays.

    Parameters
    ----------
    stream : its name.
    read : for each consumer the entry up to which it has everything on record; None where it has nothing yet.
    kept : how far before the slowest of them the stream is kept, in the first number of its entries' ids:
        milliseconds where an entry is about a bar, else steps.
    """

    stream: str
    read: tuple[EntryId | None, ...]
    kept: int


def first_kept(consumed: Consumed) -> EntryId | None:
    """The smallest id that stays; None where nothing may go.

    Examples
    --------
    >>> str(first_kept(Consumed("bars", (EntryId(900_000, 65_535), EntryId(600_000, 1)), 300_000)))
    '300000-0'
    >>> first_kept(Consumed("bars", (EntryId(900_000, 65_535), None), 300_000)) is None
    True
    """
    if not consumed.read or None in consumed.read:
        return None
    slowest = min(read for read in consumed.read if read is not None)
    return EntryId(max(slowest.ms - consumed.kept, 0), 0)


def trim(bus: Bus, streams: Iterable[Consumed]) -> dict[str, int]:
    """Take from each stream what nobody needs any more; how many entries went, by stream.

    Raises
    ------
    NotReady : the bus was not reached in time.
    Refused : the connection's user may not trim.
    """
    gone = {}
    for consumed in streams:
        first = first_kept(consumed)
        if first is not None and first > EntryId.BEGIN:
            gone[consumed.stream] = bus.trim(consumed.stream, first)
    return gone
