"""Who may do what on the bus: a user with a password for each part, which reads and writes its own streams alone.

A part that works for one account is a user of that account, "coordinator:second", and has nothing of another's. Users
of an account that comes later are added to the same two files, and the running server reads them again.

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
from urllib.parse import quote, urlsplit

from sapphire.telemetry.secret_files import read_secret, write_secret
from sapphire.telemetry.streams import COLLECTOR, COORDINATOR, AccountStreams, VenueStreams

__all__ = ["AGENT", "BENTO", "CONDUCTOR", "NOTICES", "PROBE", "SERVICE", "TRIMMER", "BusUsers", "user_of"]

CONDUCTOR = "conductor"
"""Who keeps the stack: it advances market time in lock-step and looks at everything."""
BENTO = "bento"
SERVICE = "service"
NOTICES = "notices"
TRIMMER = "trimmer"
"""Who trims an account's streams where nobody keeps the whole stack: in a cluster."""
AGENT = "agent"
"""A server of a release that is no account's own, "agent:trend": in a cluster several accounts may ask it."""
PROBE = "probe"
"""Who asks whether the server answers, and may do nothing else."""

_BARS = "bars:*"
"""Closed bars: the streams, and the cache."""
_LOOKS = ("ping", "hello", "auth", "select", "client|setinfo", "xread", "xrange", "xrevrange", "get", "mget")
_WRITES = ("xadd",)
_PASSWORD_BYTES = 32


@dataclass(frozen=True, slots=True)
class _Rights:
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    trims: tuple[str, ...] = ()
    """Streams of which it takes what is old; it writes nothing to them for that."""
    looks: tuple[str, ...] = _LOOKS


_OF_ACCOUNT = (COORDINATOR, SERVICE, BENTO, NOTICES)
"""Users that an account of a stack has, which is kept and trimmed by the conductor."""


def user_of(part: str, account: str) -> str:
    """The user that a part of an account is.

    Examples
    --------
    >>> user_of("coordinator", "second")
    'coordinator:second'
    """
    return f"{part}:{account}"


def _shared_rights(venue: VenueStreams) -> dict[str, _Rights]:
    lockstep = (venue.lockstep, f"{venue.lockstep}:*")
    return {
        # It adds the users of an account that comes later: the server reads its file, which only its owner can write.
        # It keeps the stack: it trims every stream, and writes to few.
        CONDUCTOR: _Rights(("*",), (*lockstep, venue.heartbeats), (*_WRITES, "acl|load", "info"), trims=("*",)),
        COLLECTOR: _Rights(
            (venue.lockstep, _BARS), (_BARS, venue.heartbeats, venue.dead_letters), (*_WRITES, "set", "setrange")
        ),
        PROBE: _Rights(looks=("ping",)),
    }


def _account_rights(account: AccountStreams) -> dict[str, _Rights]:
    of = f"{account.venue}:{account.account}"
    signals, views, common = f"signals:{of}:*", f"views:{of}:*", (account.shared.heartbeats, account.dead_letters)
    own = (account.settled, account.states, account.executions)
    return {
        COORDINATOR: _Rights((_BARS, account.states, views, signals), (views, signals, *common), _WRITES),
        # It takes out of its signals what the coordinator did not sign, and writes the stream anew.
        SERVICE: _Rights((account.lockstep, signals, *own), (signals, *own, *common), (*_WRITES, "eval", "del")),
        BENTO: _Rights((_BARS,)),
        NOTICES: _Rights((account.executions,)),
        TRIMMER: _Rights(
            (account.lockstep, account.settled, account.executions),
            trims=(_BARS, account.lockstep, *own, views, signals),
        ),
    }


@dataclass(frozen=True, slots=True)
class BusUsers:
    """The users of one bus.

    Parameters
    ----------
    venue : whose streams they are.
    passwords : by user, 64 hexadecimal digits each.
    """

    venue: str
    passwords: Mapping[str, str] = field(repr=False)

    @classmethod
    def keep(cls, folder: Path, venue: str, account: str) -> Self:
        """The users of the bus of a folder: those that were made before, and new ones where an account's parts or the
        shared ones have none.

        Raises
        ------
        Refused : others can read the passwords.
        ValueRefused : not the name of a venue or an account.
        """
        from sapphire.data.durable import locked

        wanted = (CONDUCTOR, COLLECTOR, *(user_of(part, account) for part in _OF_ACCOUNT))
        path = folder / "passwords.json"
        with locked(folder / "users.lock"):
            known = json.loads(read_secret(path, absent="this bus has no passwords")) if path.exists() else {}
            # Users without an account are those of a version before, which had one account.
            kept = {name: password for name, password in known.items() if ":" in name or name in wanted}
            made = cls(venue, kept | {name: secrets.token_hex(_PASSWORD_BYTES) for name in wanted if name not in kept})
            acl = made.acl()
            write_secret(path, json.dumps(made.passwords))
            write_secret(made.acl_file(folder), acl)
        return made

    @staticmethod
    def acl_file(folder: Path) -> Path:
        """What the server is told."""
        return folder / "users.acl"

    def acl(self) -> str:
        """The users as the server reads them, with hashes in place of passwords."""
        lines = ["user default off resetpass resetkeys resetchannels -@all"]
        for name, rights in self._rights().items():
            keys = [f"%R~{key}" for key in rights.reads] + [f"%W~{key}" for key in rights.writes]
            commands = [f"+{command}" for command in (*rights.looks, *rights.commands)]
            digest = hashlib.sha256(self.passwords[name].encode()).hexdigest()
            also = [f"({' '.join(f'%W~{key}' for key in rights.trims)} +xtrim)"] if rights.trims else []
            lines.append(" ".join([f"user {name} on", f"#{digest}", *keys, "resetchannels", "-@all", *commands, *also]))
        return "\n".join(lines) + "\n"

    def url(self, user: str, bus_url: str) -> str:
        """The address of the bus for a user, with its password in it."""
        address = urlsplit(bus_url)
        return address._replace(netloc=f"{quote(user, safe='')}:{self.passwords[user]}@{address.netloc}").geturl()

    def _rights(self) -> dict[str, _Rights]:
        rights = {
            name: each for name, each in _shared_rights(VenueStreams(self.venue)).items() if name in self.passwords
        }
        for name in sorted(self.passwords):
            part, _, of = name.partition(":")
            if part == AGENT and of:
                rights[name] = _Rights((_BARS,))
            elif of:
                rights[name] = _account_rights(AccountStreams(self.venue, of))[part]
        return rights
