"""Heads in PostgreSQL: every move is a row, so that a move from where somebody else already moved is no second one.

The tables stand in a schema of their own, `places`, beside whatever else the database holds. They have a version
(`schema`): an older one is brought forward when it is first met, a newer one is used where it says that this release
can, and is refused where it says not.
"""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from sapphire.data.places.place import Head
from sapphire.domain.errors import ConfigError, HeadMoved, PlaceDenied, PlaceError, PlaceFull, PlaceUnreachable

if TYPE_CHECKING:
    import psycopg

__all__ = ["PostgresHeads", "database_error", "described"]

_CONNECT_S, _STATEMENT_S = 5, 10
_T = TypeVar("_T")

_NEWEST = """
SELECT DISTINCT ON (name) name, before, sequence, value FROM places.moves
WHERE name = %(name)s OR (name > %(name)s || '/' AND name < %(name)s || '0') ORDER BY name, sequence DESC
"""
# names compare by their bytes, in which 0 follows on the slash: the index answers
_SINCE = """
SELECT name, before, sequence, value FROM places.moves WHERE name = %(name)s AND sequence > %(sequence)s
ORDER BY sequence
"""
_MOVE = """
INSERT INTO places.moves (name, before, sequence, value, token)
SELECT %(name)s, %(before)s, %(sequence)s, %(value)s, %(token)s
WHERE %(before)s = (SELECT coalesce(max(sequence), 0) FROM places.moves WHERE name = %(name)s)
"""
_MINE = "SELECT 1 FROM places.moves WHERE name = %(name)s AND sequence = %(sequence)s AND token = %(token)s"
_STANDS = "SELECT coalesce(max(sequence), 0) FROM places.moves WHERE name = %(name)s"

_UNKNOWN_DATABASE = "3D000"
_DENIED_WORDS = ("authentication failed", "no password supplied", "no pg_hba.conf entry", "is not permitted to log in")


class PostgresHeads:
    """Heads in a database.

    Parameters
    ----------
    dsn : how to reach it, "postgresql://USER:PASSWORD@HOST:PORT/DATABASE"; no error repeats it.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn, self.where = dsn, described(dsn)
        self._lock = threading.Lock()
        self._connection: psycopg.Connection[Any] | None = None
        self._owner = os.getpid()

    def newest(self, prefix: str) -> tuple[Head, ...]:
        """Where each head stands."""
        rows = self._ask(lambda connection: connection.execute(_NEWEST, {"name": prefix}).fetchall())
        return tuple(sorted((Head(*row) for row in rows), key=lambda each: each.name))

    def since(self, name: str, sequence: int) -> tuple[Head, ...]:
        """The moves beyond a sequence."""
        asked = {"name": name, "sequence": sequence}
        return tuple(Head(*row) for row in self._ask(lambda connection: connection.execute(_SINCE, asked).fetchall()))

    def move(self, name: str, *, before: int, sequence: int, value: str) -> Head:
        """Move a head, if it stands at `before`.

        Where the connection breaks before the answer, it is looked up whether the move was made.
        """
        # a token of the move tells it from the same move by another
        move = {"name": name, "before": before, "sequence": sequence, "value": value, "token": uuid.uuid4().hex}
        stands = self._ask(lambda connection: _moved(connection, move))
        if stands is not None:
            raise HeadMoved(
                f"{name} was moved meanwhile in {self.where}",
                expected=f"sequence {before}",
                got=f"{stands}",
                next="read what is there now, and try again",
            )
        return Head(name, before, sequence, value)

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        with self._lock:
            self._hang_up()

    def _ask(self, question: Callable[[psycopg.Connection[Any]], _T]) -> _T:
        """What a question is answered; asked once more where a connection that was idle turns out to be broken."""
        import psycopg

        with self._lock:
            try:
                fresh = self._connection is None or self._connection.closed or self._owner != os.getpid()
                try:
                    return question(self._open())
                except (psycopg.OperationalError, psycopg.InterfaceError):
                    if fresh or (self._connection is not None and not self._connection.closed):
                        raise
                    return question(self._open())
            except psycopg.Error as error:
                self._hang_up()
                raise database_error(error, self.where) from None

    def _open(self) -> psycopg.Connection[Any]:
        from sapphire.data.places.schema import bring_forward

        if self._owner != os.getpid():  # a fork shares the socket with its parent
            self._connection, self._owner = None, os.getpid()
        if self._connection is None or self._connection.closed:
            self._connection = connect(self._dsn)
            bring_forward(self._connection, self._dsn, self.where)
        return self._connection

    def _hang_up(self) -> None:
        if self._connection is not None and self._owner == os.getpid():
            self._connection.close()
        self._connection = None


def connect(dsn: str) -> psycopg.Connection[Any]:
    """An open connection on which every statement is a transaction of its own.

    Raises
    ------
    psycopg.Error : it does not open.
    """
    import psycopg

    options = f"-c statement_timeout={_STATEMENT_S}s -c lock_timeout={_STATEMENT_S}s"
    return psycopg.connect(
        dsn,
        autocommit=True,
        connect_timeout=_CONNECT_S,
        options=options,
        application_name="sapphire",
        keepalives_idle=10,
        keepalives_interval=5,
        keepalives_count=3,
        tcp_user_timeout=1000 * _STATEMENT_S,
    )


def described(dsn: str) -> str:
    """A database as errors and pages call it, without user and password.

    Raises
    ------
    ConfigError : not the address of a database.
    """
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    try:
        parts: Mapping[str, Any] = conninfo_to_dict(dsn)
        # a password with an @ or a / that is not escaped ends up in other fields, which errors would show
        apart = [str(parts.get(key) or "") for key in ("host", "port", "dbname")]
        if "@" in "".join(apart) or dsn.count("@") > 1 or (not apart[1].replace(",", "").isdigit() and apart[1]):
            raise ProgrammingError
    except ProgrammingError:
        raise ConfigError(
            "[places] database is no address of a PostgreSQL",
            expected="postgresql://USER@HOST:PORT/DATABASE, with @ and / in a password as %40 and %2F",
            got="something else, not shown: it may hold a password",
            next="change it in sapphire.toml or SAPPHIRE_PLACES_DATABASE",
        ) from None
    host, port = parts.get("host") or parts.get("hostaddr") or "this machine", parts.get("port") or 5432
    return f"PostgreSQL at {host}:{port}, database {parts.get('dbname') or 'of the user'}"


def _moved(connection: psycopg.Connection[Any], move: Mapping[str, Any]) -> int | None:
    """None where the move was made, now or before the connection broke; else where the head stands."""
    import psycopg

    try:
        if connection.execute(_MOVE, move).rowcount == 1:
            return None
    except psycopg.errors.UniqueViolation:
        pass
    if connection.execute(_MINE, move).fetchone():
        return None
    found = connection.execute(_STANDS, move).fetchone()
    return int(found[0]) if found is not None else 0


def database_error(error: psycopg.Error, where: str) -> PlaceError | ConfigError:
    """What a database says, as an error of ours, without what it was told to log in with."""
    import psycopg

    # what a server says has a hint behind it; what a connection fails of, the last address tried
    reason = error.diag.message_primary or (str(error).strip().splitlines() or [type(error).__name__])[-1]
    code, reason = error.sqlstate or "", reason[:300]
    if code.startswith("28") or isinstance(error, psycopg.errors.InsufficientPrivilege) or _has(reason, _DENIED_WORDS):
        return PlaceDenied(
            f"{where} refuses",
            expected="a user and a password that it knows, with the rights to read and write schema places",
            got=reason,
            next="set SAPPHIRE_PLACES_DATABASE_PASSWORD, or the file that [places] credentials names",
        )
    if code == _UNKNOWN_DATABASE or (_has(reason, ("database",)) and _has(reason, ("does not exist",))):
        return ConfigError(
            f"no such database: {where}",
            expected="a database that is there",
            got=reason,
            next="create it (createdb NAME), or name another as [places] database",
        )
    if code.startswith("53") and code != "53300":  # out of disk, memory or another resource; 53300 is too many clients
        return PlaceFull(f"{where} has no room", expected="room for a row", got=reason, next="free some, then again")
    if isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
        return PlaceDenied(
            f"{where} takes no writes", expected="the primary", got=reason, next="name the primary, not a replica of it"
        )
    return PlaceUnreachable(
        f"{where} does not answer",
        expected=f"an answer within {_CONNECT_S + _STATEMENT_S} s",
        got=reason,
        next="see whether it runs and can be reached from here; what was not kept can be done again",
    )


def _has(text: str, words: tuple[str, ...]) -> bool:
    return any(word in text for word in words)
