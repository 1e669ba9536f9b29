"""The version of a place's tables: forward only, and each step only adds, so that the release before still reads.

`places.facts` says which version the tables have, and the oldest known version that can still read and write them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sapphire.domain.errors import Refused

if TYPE_CHECKING:
    import psycopg

__all__ = ["KNOWN", "bring_forward", "migrate", "version_of"]

KNOWN: Final = 2
"""The newest version that this release knows: the number of the last step in `migrations/versions`."""
SCHEMA: Final = "places"
_MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK: Final = 0x5A99417
"""Of PostgreSQL's advisory locks: one migrates, the others wait."""


def version_of(connection: psycopg.Connection[Any]) -> tuple[int, int] | None:
    """The version of the tables, and the oldest that can use them; None where there are none."""
    there = connection.execute("SELECT to_regclass('places.facts')").fetchone()
    if there is None or there[0] is None:
        return None
    row = connection.execute("SELECT version, usable_by FROM places.facts").fetchone()
    return None if row is None else (int(row[0]), int(row[1]))


def bring_forward(connection: psycopg.Connection[Any], dsn: str, where: str) -> None:
    """Make the tables, or bring them forward, where that is needed; leave newer ones that can be used as they are.

    Raises
    ------
    Refused : they are newer, and say that this release cannot use them.
    psycopg.Error : the user may not make them.
    """
    found = version_of(connection)
    if found is None or found[0] < KNOWN:
        connection.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        try:
            found = version_of(connection)
            if found is None or found[0] < KNOWN:
                migrate(dsn)
                found = version_of(connection)
        finally:
            connection.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])
    if found is not None and found[1] > KNOWN:
        raise Refused(
            f"the tables of {where} are of a later release",
            expected=f"version {KNOWN}, or a later one that version {KNOWN} can use",
            got=f"version {found[0]}, which version {found[1]} or later can use",
            next="bring this machine to the later release; the tables do not go back",
        )


def migrate(dsn: str, *, to: str = "head") -> None:
    """Bring the tables forward, in one transaction.

    Parameters
    ----------
    to : the last step to take; all of them unless given.

    Raises
    ------
    psycopg.Error : it could not be done; nothing is changed.
    """
    import psycopg
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.pool import NullPool

    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(dsn), poolclass=NullPool)
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.set_main_option("path_separator", "os")
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, to)
    except DBAPIError as error:
        if isinstance(error.orig, psycopg.Error):
            raise error.orig from None
        raise
