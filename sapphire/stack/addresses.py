"""Ports of a stack: the same ones at each start in the same folder, unless somebody else has taken them meanwhile.

They lie below the range from which the system gives ports to outgoing connections: there a part's port could be lost to
a stranger's connection in the moment between its death and its restart.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from sapphire.domain.errors import ConfigError, PortInUse
from sapphire.serving.ports import LOCAL, free_port

__all__ = ["Ports"]

_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
LOWEST, _USUAL_END = 20_000, 32_768
_STRIDE = 16


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of a stack's servers, all on 127.0.0.1."""

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

    @classmethod
    def choose(cls, folder: Path, wanted: Mapping[str, int] | None = None) -> Ports:
        """Ports for a run folder.

        Parameters
        ----------
        wanted : those that are given, by name; 0 asks for a free one, as no word does.

        Raises
        ------
        PortInUse : one that is given is taken; names the holder.
        ConfigError : a name that no server has, or no port left.
        """
        told = dict(wanted or {})
        given = {name: port for name, port in told.items() if port}
        names = [field.name for field in fields(cls)]
        if unknown := sorted(set(told) - set(names)):
            raise ConfigError("a port of nobody", expected="one of " + ", ".join(names), got=", ".join(unknown))
        chosen = {name: _free_port(name, port) for name, port in given.items()}
        places = (end() - LOWEST) // _STRIDE
        start = zlib.crc32(str(folder).encode()) % places
        candidates = (
            LOWEST + (start + step) % places * _STRIDE + offset for step in range(places) for offset in range(_STRIDE)
        )
        for name in names:
            while name not in chosen:
                port = next(candidates, None)
                if port is None:
                    raise ConfigError(
                        "no port left for the stack", expected=f"a free one from {LOWEST} to {end()}", got="none"
                    )
                if port not in chosen.values() and _is_free(port):
                    chosen[name] = port
        return cls(**chosen)

    def url(self, name: str, *, scheme: str = "http") -> str:
        """Address of a server."""
        return f"{scheme}://{LOCAL}:{asdict(self)[name]}"

    @property
    def bus_url(self) -> str:
        """Address of the bus."""
        return f"{self.url('bus', scheme='valkey')}/0"


def _free_port(name: str, port: int) -> int:
    """A port that was asked for by the name of its server."""
    try:
        return free_port(port)
    except PortInUse as taken:
        raise PortInUse(
            taken.what, expected=taken.expected, got=taken.got, next=f"--port {name}=0 takes a free one, and shows it"
        ) from None


def _is_free(port: int) -> bool:
    try:
        return free_port(port) == port
    except PortInUse:
        return False


def end() -> int:
    """Where the ports of outgoing connections begin."""
    try:
        begin = int(_RANGE.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        begin = _USUAL_END
    return begin if begin - LOWEST >= 1_000 else _USUAL_END
