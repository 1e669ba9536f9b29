"""Who may do what on the bus: a user with a password for each part, which reads and writes its own streams alone.

Nobody without a password is let in. The server is told hashes of the passwords (`users.acl`); the passwords lie in a
file beside it that only its owner can read, and reach a part in the address of the bus that its settings name.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from sapphire.telemetry.secret_files import read_secret, write_secret
from sapphire.telemetry.streams import (
    ACCOUNT,
    BARS,
    COLLECTOR,
    COORDINATOR,
    DEAD_LETTERS,
    EXECUTIONS,
    HEARTBEATS,
    LOCKSTEP,
    SETTLED,
    SIGNALS,
    VIEWS,
)

__all__ = ["BENTO", "CONDUCTOR", "NOTICES", "SERVICE", "BusUsers"]

CONDUCTOR = "conductor"
"""Who keeps the stack: it advances market time in lock-step and looks at everything."""
BENTO = "bento"
SERVICE = "service"
NOTICES = "notices"

_CACHE = "bars:*"
_ALL = "*"
_LOOKS = ("ping", "hello", "auth", "select", "client|setinfo", "xread", "xrange", "xrevrange", "get", "mget")
_WRITES = ("xadd",)
_PASSWORD_BYTES = 32


@dataclass(frozen=True, slots=True)
class _Rights:
    reads: tuple[str, ...]
    writes: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()


_RIGHTS: Mapping[str, _Rights] = {
    CONDUCTOR: _Rights((_ALL,), (LOCKSTEP, HEARTBEATS), _WRITES),
    COLLECTOR: _Rights(
        (LOCKSTEP, BARS, _CACHE), (BARS, _CACHE, HEARTBEATS, DEAD_LETTERS), (*_WRITES, "set", "setrange")
    ),
    COORDINATOR: _Rights((BARS, ACCOUNT, VIEWS, SIGNALS, _CACHE), (VIEWS, SIGNALS, HEARTBEATS, DEAD_LETTERS), _WRITES),
    # It takes out of `signals` what the coordinator did not sign, and writes the stream anew.
    SERVICE: _Rights(
        (LOCKSTEP, SIGNALS, SETTLED, ACCOUNT, EXECUTIONS),
        (SIGNALS, SETTLED, ACCOUNT, EXECUTIONS, HEARTBEATS, DEAD_LETTERS),
        (*_WRITES, "eval", "del"),
    ),
    BENTO: _Rights((_CACHE,)),
    NOTICES: _Rights((EXECUTIONS,)),
}


_SELECTORS: Mapping[str, tuple[str, ...]] = {CONDUCTOR: ("+info", "(%W~* +xtrim)")}
"""What a user may do besides, to other streams: who keeps the stack trims all of them, and writes to few."""


@dataclass(frozen=True, slots=True)
class BusUsers:
    """The users of one bus.

    Parameters
    ----------
    passwords : by user, 64 hexadecimal digits each.
    """

    passwords: Mapping[str, str] = field(repr=False)

    @classmethod
    def keep(cls, folder: Path) -> Self:
        """The users of the bus of a folder: those that were made before, and new ones for parts that had none.

        Raises
        ------
        Refused : others can read the passwords.
        """
        path = folder / "passwords.json"
        known = json.loads(read_secret(path, absent="this bus has no passwords")) if path.exists() else {}
        made = cls({name: known.get(name) or secrets.token_hex(_PASSWORD_BYTES) for name in _RIGHTS})
        write_secret(path, json.dumps(made.passwords))
        write_secret(made.acl_file(folder), made.acl())
        return made

    @staticmethod
    def acl_file(folder: Path) -> Path:
        """What the server is told."""
        return folder / "users.acl"

    def acl(self) -> str:
        """The users as the server reads them, with hashes in place of passwords."""
        lines = ["user default off resetpass resetkeys resetchannels -@all"]
        for name, rights in _RIGHTS.items():
            keys = [f"%R~{key}" for key in rights.reads] + [f"%W~{key}" for key in rights.writes]
            commands = [f"+{command}" for command in (*_LOOKS, *rights.commands)]
            digest = hashlib.sha256(self.passwords[name].encode()).hexdigest()
            also = _SELECTORS.get(name, ())
            lines.append(" ".join([f"user {name} on", f"#{digest}", *keys, "resetchannels", "-@all", *commands, *also]))
        return "\n".join(lines) + "\n"

    def url(self, user: str, bus_url: str) -> str:
        """The address of the bus for a user, with its password in it."""
        address = urlsplit(bus_url)
        return address._replace(netloc=f"{user}:{self.passwords[user]}@{address.netloc}").geturl()
