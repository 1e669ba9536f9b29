"""Streams of the bus: their names, and the entry ids that follow from what an entry is about.

::

    stream                              who writes    what                                          entry id
    lockstep:VENUE                      conductor     ADVANCED: market time stands here, step n     n-1
    lockstep:VENUE:ACCOUNT              conductor     ADVANCED: the same step, with the account's   n-1
                                                      own number of events
    settled:VENUE:ACCOUNT               service       SETTLED: the answer to step n                 n-1
    account:VENUE:ACCOUNT               service       ACCOUNT_STATE at each bar's close             ms-1
    bars:VENUE:INTERVAL:UNIVERSE        collector     MARKET_DATA for each symbol k that has a bar  ms-(k+1), then the
                                                                                                    end marker ms-65535
    bars:VENUE:ACCOUNT:INTERVAL:UNI...  its collector the same, of an account that has its own      the same
    views:VENUE:ACCOUNT:RELEASE:AGENT   coordinator   VIEW for each symbol k                        ms-(k+1)
    signals:VENUE:ACCOUNT:RELEASE       coordinator   HFT_SIGNAL for each symbol k                  ms-(k+1), then the
                                                                                                    end marker ms-65535
    executions:VENUE:ACCOUNT            service       ORDER_EXECUTION, RISK_UPDATE of step s        s-(k+1)
    heartbeats:VENUE                    every part    HEARTBEAT                                     given by the server
    dead-letters:VENUE[:ACCOUNT]        who refuses   the refused bytes, why, and where from        given by the server

`ms` is the bar's close in milliseconds, k the symbol's place in the universe. An end marker is a SETTLED message: all
of the bar is there. The ids of a stream only rise, so a writer that repeats itself is told what is there already.

RELEASE is the first 16 digits of the release's digest, UNIVERSE a digest of the symbols in their order. Names are
letters, digits, - and _, so a colon only ever stands between them. The service's twin of the names is
`service/src/streams.rs`; both are held to one set of vectors.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from sapphire.domain.canonical import is_sha256
from sapphire.domain.errors import ValueRefused

__all__ = [
    "COLLECTOR",
    "COORDINATOR",
    "MAX_SYMBOLS",
    "AccountStreams",
    "EntryId",
    "VenueStreams",
    "account_entry",
    "bar_entry",
    "bar_of",
    "bar_sequence",
    "bars_stream",
    "end_of_bar",
    "is_end_of_bar",
    "message_id",
    "require_name",
    "step_entry",
]

COLLECTOR = "collector"
"""Who writes bars, as its messages name it."""
COORDINATOR = "coordinator"
"""Who writes views and signals."""

MAX_SYMBOLS = 1_023
"""Symbols of a bar; the sequence number of a message about a bar has room for so many and the end marker."""

_NS_PER_MS = 1_000_000
_END = 65_535
_ID = re.compile(r"(0|[1-9][0-9]{0,19})-(0|[1-9][0-9]{0,19})", re.ASCII)
_MAX = 2**64 - 1
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*", re.ASCII)
_LONGEST_NAME = 20
"""Of a venue or an account: with it, the id of a view's message fits into the 128 characters of a name."""
_LONGEST_AGENT = 24
_SHORT = 16
"""Digits of a digest in a stream's name."""


def require_name(name: str, what: str) -> str:
    """The name of a venue or an account, as it stands in the names of streams, users of the bus and folders.

    Raises
    ------
    ValueRefused : other characters than letters, digits, - and _, or more than 20 of them.

    Examples
    --------
    >>> require_name("second", "name of an account")
    'second'
    """
    if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
        raise ValueRefused(
            what,
            expected=f"1 to {_LONGEST_NAME} letters, digits, - and _, with a letter or a digit first",
            got=repr(name),
            next="a colon parts the names in a stream's name, so none may stand in one" if ":" in name else "",
        )
    return name


@dataclass(frozen=True, slots=True)
class VenueStreams:
    """Names of the streams that the accounts of a venue share.

    Parameters
    ----------
    venue : "embedded".

    Raises
    ------
    ValueRefused : not a name.

    Examples
    --------
    >>> VenueStreams("embedded").bars("5m", ["BTC/USDT", "ETH/USDT"])
    'bars:embedded:5m:e22d794814a998ad'
    """

    venue: str

    def __post_init__(self) -> None:
        require_name(self.venue, "name of a venue")

    @property
    def lockstep(self) -> str:
        """Steps, as the collectors follow them."""
        return f"lockstep:{self.venue}"

    @property
    def heartbeats(self) -> str:
        """That parts are alive."""
        return f"heartbeats:{self.venue}"

    @property
    def dead_letters(self) -> str:
        """What a part of no account refused."""
        return f"dead-letters:{self.venue}"

    def bars(self, interval: str, symbols: Sequence[str]) -> str:
        """Closed bars of these symbols, in this order."""
        return bars_stream(self.venue, interval, symbols)

    def trace(self, bar_close_ns: int) -> str:
        """Trace id of what is said about a bar for every account."""
        return f"bar:{self.venue}:{_ms(bar_close_ns)}"


@dataclass(frozen=True, slots=True)
class AccountStreams:
    """Names of the streams of one account.

    Parameters
    ----------
    venue, account : "embedded", "paper".

    Raises
    ------
    ValueRefused : not a name.

    Examples
    --------
    >>> AccountStreams("embedded", "paper").signals("ab" * 32)
    'signals:embedded:paper:abababababababab'
    """

    venue: str
    account: str

    def __post_init__(self) -> None:
        require_name(self.venue, "name of a venue")
        require_name(self.account, "name of an account")

    @property
    def shared(self) -> VenueStreams:
        """Those of every account of the venue."""
        return VenueStreams(self.venue)

    @property
    def lockstep(self) -> str:
        """Steps, with the account's number of events."""
        return f"lockstep:{self._own}"

    @property
    def settled(self) -> str:
        """Answers to steps."""
        return f"settled:{self._own}"

    @property
    def states(self) -> str:
        """The account at each bar's close."""
        return f"account:{self._own}"

    @property
    def executions(self) -> str:
        """What became of orders, and what stopped trading."""
        return f"executions:{self._own}"

    @property
    def dead_letters(self) -> str:
        """What a part of the account refused."""
        return f"dead-letters:{self._own}"

    def signals(self, release: str) -> str:
        """What a release wants; `release` is its digest."""
        return f"signals:{self._own}:{_short(release)}"

    def views(self, release: str, agent: str) -> str:
        """What an agent of a release believes. A long name ends in digits of its digest, so no two are one."""
        if len(agent) > _LONGEST_AGENT:
            agent = f"{agent[: _LONGEST_AGENT - 9]}-{hashlib.sha256(agent.encode()).hexdigest()[:8]}"
        if not _NAME.fullmatch(agent):
            raise ValueRefused("name of an agent", expected="letters, digits, - and _", got=repr(agent))
        return f"views:{self._own}:{_short(release)}:{agent}"

    def trace(self, bar_close_ns: int) -> str:
        """Trace id of everything that follows from a bar for the account.

        Examples
        --------
        >>> AccountStreams("embedded", "paper").trace(1709294700000000000)
        'bar:embedded:paper:1709294700000'
        """
        return f"bar:{self._own}:{_ms(bar_close_ns)}"

    @property
    def _own(self) -> str:
        return f"{self.venue}:{self.account}"


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


def bars_stream(cache: str, interval: str, symbols: Sequence[str]) -> str:
    """Closed bars of these symbols, in this order, by the collector that fills a cache.

    Whoever reads of a bar here finds it in that cache, so no two collectors write one stream.

    Parameters
    ----------
    cache : "embedded", or "embedded:second" where an account has a collector of its own.

    Examples
    --------
    >>> bars_stream("embedded:second", "5m", ["BTC/USDT", "ETH/USDT"])
    'bars:embedded:second:5m:e22d794814a998ad'
    """
    venue, _, account = cache.partition(":")
    of = AccountStreams(venue, account)._own if account else VenueStreams(venue).venue
    universe = hashlib.sha256("\n".join(symbols).encode()).hexdigest()[:_SHORT]
    return f"bars:{of}:{require_name(interval, 'interval of bars')}:{universe}"


def step_entry(number: int) -> EntryId:
    """Id of step `number` in the streams of steps and of their answers; steps count from 1."""
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
    """Close (UTC ns) of the bar that an entry of bars, views, signals or states is about."""
    return entry.ms * _NS_PER_MS


def message_id(producer: str, stream: str, entry: EntryId) -> str:
    """Id of the message that `producer` writes there: the same whenever it is written again."""
    return f"{producer}-{stream}-{entry}"


def bar_sequence(entry: EntryId) -> int:
    """Sequence number of a message about a bar; it rises with the entry's id and fits in 53 bits."""
    return entry.ms // 1_000 * (MAX_SYMBOLS + 1) + min(entry.seq - 1, MAX_SYMBOLS)


def _short(release: str) -> str:
    if not is_sha256(release):
        raise ValueRefused("digest of a release", expected="64 hexadecimal digits", got=repr(release))
    return release[:_SHORT]


def _ms(bar_close_ns: int) -> int:
    ms, rest = divmod(bar_close_ns, _NS_PER_MS)
    if rest or ms < 0:
        raise ValueRefused("close of a bar", expected="whole milliseconds since the epoch", got=f"{bar_close_ns} ns")
    return ms
