"""Addresses of a stack: ports, the same ones at each start in the same folder unless somebody else has taken
them meanwhile, and the hosts by which its servers are reached.

Ports lie below the range from which the system gives ports to outgoing connections: there a part's port could be lost
to a stranger's connection in the moment between its death and its restart.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sapphire.domain.errors import ConfigError, PortInUse
from sapphire.domain.workspace import settings
from sapphire.domain.workspace_settings import LAST_PORT, PORTS
from sapphire.serving.ports import free_port
from sapphire.stack.network import Network
from sapphire.telemetry.part_settings import PartSettings

__all__ = ["Ports", "ports_of_the_workspace"]

_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
LOWEST, _USUAL_END = 20_000, 32_768
_STRIDE = 16


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of a stack's servers, and where they are bound and reached: on 127.0.0.1 unless `network` says more."""

    exchange: int
    exchange_control: int
    bus: int
    bento: int
    service: int
    mlflow: int
    collector: int
    coordinator: int
    notices: int
    keeper: int
    reports: int
    members: Mapping[str, int] = field(default_factory=dict)
    """Of a pool, the port of each member's bento."""
    network: Network = field(default_factory=Network)

    @classmethod
    def choose(
        cls,
        folder: Path,
        wanted: Mapping[str, int] | None = None,
        *,
        network: Network | None = None,
        members: Sequence[str] = (),
    ) -> Ports:
        """Ports for a run folder.

        Parameters
        ----------
        wanted : those that are given, by name; 0 asks for a free one, as no word does.
        network : where they are bound and reached.
        members : of a pool, each of which is served by itself.

        Raises
        ------
        PortInUse : one that is given is taken; names the holder.
        ConfigError : a name that no server has, or no port left; an address that cannot be bound or reached.
        """
        network = network or Network()
        network.require()
        ports = dict(wanted or {})
        given = {name: port for name, port in ports.items() if port}
        names = PORTS
        if unknown := sorted(set(ports) - set(names)):
            raise ConfigError("a port of nobody", expected="one of " + ", ".join(names), got=", ".join(unknown))
        chosen = {name: _free_port(name, port, network.bind) for name, port in given.items()}
        places = (end() - LOWEST) // _STRIDE
        start = zlib.crc32(str(folder).encode()) % places
        candidates = (
            LOWEST + (start + step) % places * _STRIDE + offset for step in range(places) for offset in range(_STRIDE)
        )
        for name in (*names, *map(_member, members)):
            while name not in chosen:
                port = next(candidates, None)
                if port is None:
                    raise ConfigError(
                        "no port left for the stack", expected=f"a free one from {LOWEST} to {end()}", got="none"
                    )
                if port not in chosen.values() and _is_free(port, network.bind):
                    chosen[name] = port
        of_members = {name: chosen.pop(_member(name)) for name in members}
        return cls(**chosen, members=of_members, network=network)

    def url(self, name: str, *, scheme: str = "http") -> str:
        """Address at which a server is reached."""
        return f"{scheme}://{self.network.host_of(name)}:{getattr(self, name)}"

    def member_url(self, name: str) -> str:
        """Address at which a member of a pool is reached."""
        return f"http://{self.network.host_of('bento')}:{self.members[name]}"

    def probes_url(self, part: str, settings: PartSettings, environment: Mapping[str, str]) -> str:
        """Address at which a Python part answers probes, with what the environment sets over its settings."""
        read = settings.overridden(part, environment)
        is_unchanged = (read.host, read.port) == (settings.host, settings.port)
        return self.url(part) if is_unchanged else read.probes_url

    @property
    def numbers(self) -> tuple[int, ...]:
        """All ports."""
        return tuple(getattr(self, name) for name in PORTS)

    @property
    def by_name(self) -> dict[str, int]:
        """All ports, by their servers."""
        return {name: getattr(self, name) for name in PORTS}

    @property
    def bus_url(self) -> str:
        """Address of the bus."""
        return f"{self.url('bus', scheme='valkey')}/0"


def ports_of_the_workspace(environment: Mapping[str, str]) -> dict[str, int]:
    """Ports that `[ports]` of `sapphire.toml` gives, and over them the environment: `SAPPHIRE_PORTS_BUS` and so on.

    Raises
    ------
    ConfigError : the file says what nobody reads, or a variable holds no port.
    """
    section, _ = settings("ports")
    found: dict[str, int] = dict(section)
    for name in PORTS:
        variable = f"SAPPHIRE_PORTS_{name.upper()}"
        text = environment.get(variable, "")
        if not text:
            continue
        if not text.isdecimal() or int(text) > LAST_PORT:
            raise ConfigError(variable, expected=f"a port, from 0 to {LAST_PORT}; 0 takes a free one", got=repr(text))
        found[name] = int(text)
    return found


def _member(name: str) -> str:
    """What its port is called while ports are chosen."""
    return f"member {name}"


def _free_port(name: str, port: int, bind: str) -> int:
    """A port that was asked for by the name of its server."""
    try:
        return free_port(port, bind=bind)
    except PortInUse as taken:
        raise PortInUse(
            taken.what, expected=taken.expected, got=taken.got, next=f"--port {name}=0 takes a free one, and shows it"
        ) from None


def _is_free(port: int, bind: str) -> bool:
    try:
        return free_port(port, bind=bind) == port
    except PortInUse:
        return False


def end() -> int:
    """Where the ports of outgoing connections begin."""
    try:
        begin = int(_RANGE.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        begin = _USUAL_END
    return begin if begin - LOWEST >= 1_000 else _USUAL_END
