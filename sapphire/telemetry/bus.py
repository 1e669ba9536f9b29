"""The bus: streams of messages, and the values of the shared cache of bars, on one Valkey server.

Writing is idempotent: an entry has an explicit id made of its message's identity, so whoever does not know whether a
write arrived writes it again. The server refuses the second one, and the bus looks at what is there: the same message
(but for the time it was said at) is success, any other is an error.

A lost connection is made anew with back-off, 50 ms doubling to 1 s, for ever or for as long as `patience_s` says. All
calls block; a `Bus` is used by one thread.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import quote, unquote, urlsplit

from valkey import Valkey
from valkey.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ConnectionError,
    NoPermissionError,
    ResponseError,
    TimeoutError,
)

from sapphire.domain.errors import ConfigError, MessageError, MissingData, NotReady, Refused, SapphireError
from sapphire.domain.messages import Message, decode, encode
from sapphire.telemetry.secret_files import read_secret
from sapphire.telemetry.signal_keys import TAG_FIELD, SignalKey
from sapphire.telemetry.streams import EntryId

__all__ = ["Bus", "BusWatch", "Entry", "same_message", "with_password", "without_password"]

_FIELD = b"m"
_FIRST_PAUSE_S = 0.05
_LAST_PAUSE_S = 1.0
_ANSWER_WITHIN_S = 5.0
_SHOWN = 120
_DEAD_LETTERS_KEPT = 10_000
_LOST = (ConnectionError, TimeoutError, BusyLoadingError, OSError)

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a stream.

    Parameters
    ----------
    stream : its name.
    id : its place.
    data : the bytes of its message, as they came.
    """

    stream: str
    id: EntryId
    data: bytes

    @property
    def message(self) -> Message:
        """The message it holds; read anew at each call.

        Raises
        ------
        MessageError : it holds none.
        """
        return decode(self.data)


class BusWatch(Protocol):
    """Who wants to know how a connection does; called on the thread that uses it."""

    def waits(self) -> None:
        """The server does not answer; it is asked again after a moment."""
        ...

    def reconnected(self) -> None:
        """The connection was lost, and made anew."""
        ...

    def refused(self) -> None:
        """An entry went to the dead letters."""
        ...


class Bus:
    """A connection to the bus.

    Parameters
    ----------
    url : "valkey://127.0.0.1:6379/0".
    patience_s : how long a call tries to reach the server before it raises NotReady; None tries for ever.
    watch : who is told how the connection does.

    Raises
    ------
    ConfigError : not the address of a server.
    """

    def __init__(self, url: str, *, patience_s: float | None = None, watch: BusWatch | None = None) -> None:
        try:
            self._client: Any = Valkey.from_url(
                url,
                socket_connect_timeout=_ANSWER_WITHIN_S,
                socket_timeout=_ANSWER_WITHIN_S,
                valkey_connect_func=self._connected,
            )
        except ValueError as error:
            raise ConfigError(
                "not the address of a bus",
                expected="valkey://USER:PASSWORD@HOST:PORT/DATABASE",
                got=f"{without_password(url)!r}: {type(error).__name__}",
            ) from None
        self._patience_s, self._watch = patience_s, watch
        self._was_connected = False

    def publish(self, stream: str, entry: EntryId, message: Message) -> bool:
        """Write a message under its id.

        Returns
        -------
        True if it was written now, False if the same message was there already.

        Raises
        ------
        MessageError : another message has this id, or the stream is past it without having it.
        NotReady : the bus was not reached in time.
        """
        return self.publish_all(stream, [(entry, message)]) == 1

    def publish_all(
        self, stream: str, messages: Iterable[tuple[EntryId, Message]], *, key: SignalKey | None = None
    ) -> int:
        """Write messages in this order, in one round trip; how many were written now. Raises what `publish` raises.

        Parameters
        ----------
        key : signs each of them.
        """
        wanted = [(entry, encode(message)) for entry, message in messages]
        if not wanted:
            return 0

        def write() -> list[Any]:
            pipeline = self._client.pipeline(transaction=False)
            for entry, data in wanted:
                fields: dict[Any, Any] = {_FIELD: data}
                if key is not None:
                    fields[TAG_FIELD] = key.tag(entry, data)
                pipeline.xadd(stream, fields, id=str(entry))
            return list(pipeline.execute(raise_on_error=False))

        written = 0
        for (entry, data), answer in zip(wanted, self._reach(write), strict=True):
            if not isinstance(answer, Exception):
                written += 1
            elif isinstance(answer, ResponseError) and "equal or smaller" in str(answer):
                self._require_same(stream, entry, data)
            else:
                raise self._no(answer) if isinstance(answer, NoPermissionError) else answer
        return written

    def append(self, stream: str, message: Message, *, max_length: int | None = None) -> EntryId:
        """Write a message under an id that the server gives; after a lost connection it may be there twice.

        Parameters
        ----------
        max_length : about how many entries the stream keeps; the oldest go.
        """
        return self._add(stream, {_FIELD: encode(message)}, max_length=max_length)

    def refuse(self, entry: Entry, error: SapphireError, *, to: str) -> EntryId:
        """Keep an entry that cannot be used in a stream of dead letters, with the reason and where it is from.

        Of about ten thousand the oldest go, as the service has it: who floods the bus does not fill it.
        """
        fields = {_FIELD: entry.data, b"why": str(error).encode(), b"from": f"{entry.stream} {entry.id}".encode()}
        kept = self._add(to, fields, max_length=_DEAD_LETTERS_KEPT)
        if self._watch is not None:
            self._watch.refused()
        return kept

    def read(self, stream: str, after: EntryId, *, block_ms: int = 0, count: int = 1_000) -> list[Entry]:
        """The entries behind `after`, oldest first.

        Parameters
        ----------
        block_ms : how long to wait for the first one; 0 does not wait.
        count : at most so many.
        """
        block = min(block_ms, int(_ANSWER_WITHIN_S * 500)) or None
        answer = self._reach(lambda: self._client.xread({stream: str(after)}, count=count, block=block))
        return [made for _, rows in answer or [] for made in _entries(stream, rows)]

    def last(self, stream: str) -> Entry | None:
        """The newest entry."""
        rows = self._reach(lambda: self._client.xrevrange(stream, count=1))
        return next(iter(_entries(stream, rows)), None)

    def entry(self, stream: str, entry: EntryId) -> Entry | None:
        """The entry with this id."""
        rows = self._reach(lambda: self._client.xrange(stream, min=str(entry), max=str(entry), count=1))
        return next(iter(_entries(stream, rows)), None)

    def wait_for(self, stream: str, entry: EntryId, *, timeout_s: float) -> Entry | None:
        """The entry with this id, once it is there; None if it is not by then.

        Raises
        ------
        MissingData : the stream has a later entry and not this one: it will never come.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            left_ms = int((deadline - time.monotonic()) * 1_000)
            for found in self.read(stream, entry.before, block_ms=max(left_ms, 0), count=1):
                if found.id == entry:
                    return found
                raise MissingData(
                    f"{stream} has no entry {entry}, and will not have it",
                    expected=f"entry {entry}",
                    got=f"{found.id} as the next one",
                    next="see the log of the part that writes this stream",
                )
            if left_ms <= 0:
                return None

    def trim(self, stream: str, first: EntryId) -> int:
        """Take the entries before `first` out, but for some that lie beside it; how many went."""
        return int(self._reach(lambda: self._client.xtrim(stream, minid=str(first), approximate=True)))

    def memory_bytes(self) -> int:
        """What the server's data takes in memory; for users that may ask."""
        return int(self._reach(lambda: self._client.info("memory"))["used_memory"])

    def values(self, keys: Sequence[str]) -> list[bytes | None]:
        """The values of keys, in their order."""
        return list(self._reach(lambda: self._client.mget(list(keys)))) if keys else []

    def put(self, key: str, value: bytes) -> None:
        """Set the value of a key."""
        self._reach(lambda: self._client.set(key, value))

    def patch(self, changes: Iterable[tuple[str, int, bytes]]) -> None:
        """Overwrite parts of values, each a key, an offset and bytes, in one round trip."""
        wanted = list(changes)

        def write() -> list[Any]:
            pipeline = self._client.pipeline(transaction=False)
            for key, offset, data in wanted:
                pipeline.setrange(key, offset, data)
            return list(pipeline.execute())

        if wanted:
            self._reach(write)

    def answers(self) -> bool:
        """Whether the server is there and knows this user; while it reads its file it does not answer yet."""
        try:
            return bool(self._client.ping())
        except AuthenticationError as error:
            raise self._no(error) from None
        except _LOST:
            return False

    def read_users(self) -> None:
        """Let the server read its file of users again; whose rights did not change keeps its connections."""
        self._reach(lambda: self._client.acl_load())

    def close(self) -> None:
        """Let the connection go."""
        self._client.close()

    def _add(self, stream: str, fields: dict[bytes, bytes], *, max_length: int | None = None) -> EntryId:
        answer = self._reach(lambda: self._client.xadd(stream, fields, maxlen=max_length))
        return EntryId.parse(bytes(answer).decode())

    def _require_same(self, stream: str, entry: EntryId, data: bytes) -> None:
        there = self.entry(stream, entry)
        if there is not None and same_message(there.data, data):
            return
        last = self.last(stream)
        raise MessageError(
            f"entry {entry} of {stream} cannot be written",
            expected="no such entry, or the same message: " + data.decode()[:_SHOWN],
            got=f"another message: {there.data.decode(errors='replace')[:_SHOWN]}"
            if there is not None
            else f"a stream that is at {last.id if last is not None else 'its end'} and does not have it",
            next="two writers, or a run folder of another run: see who writes this stream",
        )

    def _reach(self, ask: Callable[[], _T]) -> _T:
        """What the server answers; a lost connection is made anew."""
        pause_s, began = _FIRST_PAUSE_S, time.monotonic()
        while True:
            try:
                return ask()
            except (AuthenticationError, NoPermissionError) as error:
                raise self._no(error) from None
            except _LOST as error:
                waited_s = time.monotonic() - began
                if self._patience_s is not None and waited_s + pause_s > self._patience_s:
                    raise NotReady(
                        "the bus does not answer",
                        expected=f"a Valkey server at {self._address()} within {self._patience_s:g} s",
                        got=f"{type(error).__name__}: {error}",
                        next="see whether it runs, and its log",
                    ) from error
            if self._watch is not None:
                self._watch.waits()
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _LAST_PAUSE_S)

    def _connected(self, connection: Any) -> None:
        """Greet the server on a new connection; the client makes one whenever it needs to."""
        connection.on_connect()
        if self._was_connected and self._watch is not None:
            self._watch.reconnected()
        self._was_connected = True

    def _no(self, error: Exception) -> Refused:
        user = self._client.connection_pool.connection_kwargs.get("username") or "default"
        return Refused(
            f"the bus at {self._address()} refuses {user}",
            expected="a user whose password is right, and who may do this",
            got=str(error),
            next="see the users that the bus was started with (users.acl beside its file)",
        )

    def _address(self) -> str:
        known = self._client.connection_pool.connection_kwargs
        return str(known.get("path") or f"{known.get('host')}:{known.get('port')}")


def with_password(url: str, password: Path | None) -> str:
    """The address of a bus with its user's password, where that is in a file of its own.

    Parameters
    ----------
    url : "valkey://USER@HOST:PORT/DATABASE"; without a file it is taken as it is.
    password : the file, with nothing but the password.

    Raises
    ------
    ConfigError : an address without a user, or with a password of its own.
    Refused : no such file, one that others can read, or an empty one.
    """
    if password is None:
        return url
    address = urlsplit(url)
    if not address.username or address.password is not None:
        raise ConfigError(
            "the address of the bus whose password is in a file",
            expected="valkey://USER@HOST:PORT/DATABASE",
            got=repr(without_password(url)) if address.username is None else "a password in the address too",
        )
    text = read_secret(password, absent="the bus's user has no password", next="sapphire secrets make draws it").strip()
    if not text:
        raise Refused("the bus's user has no password", expected=f"one in {password}", got="an empty file")
    host = address.netloc.rpartition("@")[2]
    return address._replace(
        netloc=f"{quote(unquote(address.username), safe='')}:{quote(text, safe='')}@{host}"
    ).geturl()


def without_password(url: str) -> str:
    """An address as it may be shown."""
    head, at, rest = url.rpartition("@")
    return f"{head.partition('://')[0]}://{rest}" if at else url


def same_message(one: bytes, other: bytes) -> bool:
    """Whether two messages are the same but for the time that they were published at."""
    return one == other or _without_publish_time(one) == _without_publish_time(other)


def _without_publish_time(data: bytes) -> Any:
    try:
        value = json.loads(data)
        value["envelope"].pop("publish_time_ns", None)
    except (ValueError, TypeError, KeyError, AttributeError):
        return data
    return value


def _entries(stream: str, rows: Any) -> list[Entry]:
    """Entries as the server tells them; one without a message has no bytes, which are no message."""
    return [Entry(stream, EntryId.parse(place.decode()), fields.get(_FIELD, b"")) for place, fields in rows]
