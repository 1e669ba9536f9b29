"""Streams of the bus, and the entry ids that follow from what an entry is about.

::

    stream        who writes    what                                            entry id
    lockstep      conductor     ADVANCED: market time stands here, step n       n-1
    settled       service       SETTLED: the answer to step n                   n-1
    account       service       ACCOUNT_STATE at each bar's close               ms-1
    bars          collector     MARKET_DATA for each symbol k that has a bar    ms-(k+1), then the end marker ms-65535
    views         coordinator   VIEW for each symbol k                          ms-(k+1)
    signals       coordinator   HFT_SIGNAL for each symbol k                    ms-(k+1), then the end marker ms-65535
    executions    service       ORDER_EXECUTION, RISK_UPDATE of journal step s  s-(k+1)
    heartbeats    every part    HEARTBEAT                                       given by the server
    dead-letters  who refuses   the refused bytes, why, and where from          given by the server

`ms` is the bar's close in milliseconds, k the symbol's place in the universe. An end marker is a SETTLED message: all
of the bar is there. The ids of a stream only rise, so a writer that repeats itself is told what is there already.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, Self

from sapphire.domain.errors import ValueRefused

__all__ = [
    "ACCOUNT",
    "BARS",
    "COLLECTOR",
    "COORDINATOR",
    "DEAD_LETTERS",
    "EXECUTIONS",
    "HEARTBEATS",
    "LOCKSTEP",
    "MAX_SYMBOLS",
    "SETTLED",
    "SIGNALS",
    "VIEWS",
    "EntryId",
    "account_entry",
    "bar_entry",
    "bar_of",
    "bar_sequence",
    "bar_trace",
    "end_of_bar",
    "is_end_of_bar",
    "message_id",
    "step_entry",
]

LOCKSTEP = "lockstep"
SETTLED = "settled"
ACCOUNT = "account"
BARS = "bars"
VIEWS = "views"
SIGNALS = "signals"
EXECUTIONS = "executions"
HEARTBEATS = "heartbeats"
DEAD_LETTERS = "dead-letters"

COLLECTOR = "collector"
"""Who writes `bars`, as its messages and heartbeats name it."""
COORDINATOR = "coordinator"
"""Who writes `views` and `signals`."""

MAX_SYMBOLS = 1_023
"""Symbols of a bar; the sequence number of a message about a bar has room for so many and the end marker."""

_NS_PER_MS = 1_000_000
_END = 65_535
_ID = re.compile(r"(0|[1-9][0-9]{0,19})-(0|[1-9][0-9]{0,19})", re.ASCII)
_MAX = 2**64 - 1


@dataclass(frozen=True, slots=True, order=True)
class EntryId:
    """Id of an entry, and so its place in a stream: ids only rise.

    Parameters
    ----------
    ms, seq : the two numbers of the id, each in 64 bits.

    Raises
    ------
    ValueRefused : a number below zero or beyond 64 bits.

    Examples
    --------
    >>> str(EntryId(1709294700000, 1)), EntryId.parse("7-1") < EntryId(7, 2)
    ('1709294700000-1', True)
    """

    BEGIN: ClassVar[EntryId]
    """Before every entry."""

    ms: int
    seq: int

    def __post_init__(self) -> None:
        if not (0 <= self.ms <= _MAX and 0 <= self.seq <= _MAX):
            raise ValueRefused("id of an entry", expected="two numbers in 64 bits", got=f"{self.ms}-{self.seq}")

    def __str__(self) -> str:
        return f"{self.ms}-{self.seq}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The id that `text` spells, "1709294700000-1".

        Raises
        ------
        ValueRefused : other text.
        """
        match = _ID.fullmatch(text)
        if match is None:
            raise ValueRefused("id of an entry", expected="two whole numbers with a dash between", got=repr(text))
        return cls(int(match[1]), int(match[2]))

    @property
    def before(self) -> EntryId:
        """The greatest id that is smaller; that of `BEGIN` is itself."""
        if self.seq:
            return EntryId(self.ms, self.seq - 1)
        return EntryId(self.ms - 1, _MAX) if self.ms else self


EntryId.BEGIN = EntryId(0, 0)


def step_entry(number: int) -> EntryId:
    """Id of step `number` in `lockstep` and `settled`; steps count from 1."""
    if number < 1:
        raise ValueRefused("number of a step", expected="1 or more", got=str(number))
    return EntryId(number, 1)


def account_entry(bar_close_ns: int) -> EntryId:
    """Id of the account's state at a bar's close."""
    return EntryId(_ms(bar_close_ns), 1)


def bar_entry(bar_close_ns: int, index: int) -> EntryId:
    """Id of what is said about the symbol at place `index` of the universe, at a bar's close.

    Examples
    --------
    >>> str(bar_entry(1709294700000000000, 0))
    '1709294700000-1'
    """
    if not 0 <= index < MAX_SYMBOLS:
        raise ValueRefused("place of a symbol", expected=f"0 to {MAX_SYMBOLS - 1}", got=str(index))
    return EntryId(_ms(bar_close_ns), index + 1)


def end_of_bar(bar_close_ns: int) -> EntryId:
    """Id of the marker behind everything that a stream says about a bar."""
    return EntryId(_ms(bar_close_ns), _END)


def is_end_of_bar(entry: EntryId) -> bool:
    """Whether an id is that of an end marker."""
    return entry.seq == _END


def bar_of(entry: EntryId) -> int:
    """Close (UTC ns) of the bar that an entry of `bars`, `views`, `signals` or `account` is about."""
    return entry.ms * _NS_PER_MS


def message_id(producer: str, stream: str, entry: EntryId) -> str:
    """Id of the message that `producer` writes there: the same whenever it is written again."""
    return f"{producer}-{stream}-{entry}"


def bar_trace(bar_close_ns: int) -> str:
    """Trace id of everything that follows from a bar.

    Examples
    --------
    >>> bar_trace(1709294700000000000)
    'bar-1709294700000'
    """
    return f"bar-{_ms(bar_close_ns)}"


def bar_sequence(entry: EntryId) -> int:
    """Sequence number of a message about a bar; it rises with the entry's id and fits in 53 bits."""
    return entry.ms // 1_000 * (MAX_SYMBOLS + 1) + min(entry.seq - 1, MAX_SYMBOLS)


def _ms(bar_close_ns: int) -> int:
    ms, rest = divmod(bar_close_ns, _NS_PER_MS)
    if rest or ms < 0:
        raise ValueRefused("close of a bar", expected="whole milliseconds since the epoch", got=f"{bar_close_ns} ns")
    return ms
