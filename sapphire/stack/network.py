"""Where a stack's servers listen, and by what names they are reached: `[network]` of `sapphire.toml`.

On one machine nothing needs to be said: all listen on 127.0.0.1 and are reached there. Elsewhere `bind` says on which
address they listen (0.0.0.0 or :: for all), `host` by what name the others reach this machine, and `[network.hosts]`
the names of single servers that have their own. An environment variable overrides: `SAPPHIRE_NETWORK_BIND`,
`SAPPHIRE_NETWORK_HOST`, `SAPPHIRE_NETWORK_HOSTS_BUS` and so on.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from sapphire.domain.errors import ConfigError
from sapphire.domain.workspace import settings
from sapphire.domain.workspace_settings import NETWORK_HOSTS
from sapphire.serving.ports import LOCAL, require_own_address

__all__ = ["Network"]

_ANY_OF_OWN = {4: LOCAL, 6: "::1"}
"""An address of this machine for those who are told that it listens on all."""


@dataclass(frozen=True, slots=True)
class Network:
    """Addresses to bind and to reach.

    Parameters
    ----------
    bind : address or name of this machine that servers listen on; "0.0.0.0" or "::" is all of its addresses.
    host : name or address by which others reach them; what is bound unless given.
    hosts : by part (`exchange`, `bus`, `bento`, `service`, `mlflow`, `collector`, `coordinator`, `notices`), where it
        is another one.

    Examples
    --------
    >>> Network("0.0.0.0", "trading", {"exchange": "exchange.lan"}).host_of("exchange")
    'exchange.lan'
    >>> Network("0.0.0.0", "trading").host_of("bus"), Network("::1").host_of("bus")
    ('trading', '[::1]')
    """

    bind: str = LOCAL
    host: str | None = None
    hosts: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # An IPv6 address may stand in brackets, as in a URL.
        object.__setattr__(self, "bind", _bare(self.bind))
        object.__setattr__(self, "host", None if self.host is None else _bare(self.host))
        object.__setattr__(self, "hosts", {name: _bare(host) for name, host in self.hosts.items()})

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Network:
        """What the workspace's `sapphire.toml` says, and the environment over it.

        Raises
        ------
        ConfigError : the file says what nobody reads.
        """
        section, _ = settings("network")
        configured: Mapping[str, str] = section.get("hosts", {})

        def over(name: str, usual: str | None) -> str | None:
            return environment.get(f"SAPPHIRE_NETWORK_{name.upper()}") or usual

        hosts = {name: over(f"hosts_{name}", configured.get(name)) for name in NETWORK_HOSTS}
        return cls(
            bind=over("bind", section.get("bind")) or LOCAL,
            host=over("host", section.get("host")),
            hosts={name: host for name, host in hosts.items() if host is not None},
        )

    def named(self, server: str) -> str | None:
        """The host that a server is told to be reached by; None where it is what it binds."""
        return self.hosts.get(server.removesuffix("_control"), self.host)

    def host_of(self, server: str) -> str:
        """The host of a server as it stands in a URL: an IPv6 address is in brackets."""
        host = self.named(server) or self.bind
        address = _address(host)
        if address is not None and address.is_unspecified:
            host = _ANY_OF_OWN[address.version]
        return f"[{host}]" if ":" in host else host

    def require(self) -> None:
        """Look everything up, before anything starts.

        Raises
        ------
        ConfigError : a name that does not resolve, an address that is not of this machine, or "all" as what to reach.
        """
        require_own_address(self.bind)
        for key, host in {"host": self.host, **{f"hosts.{name}": host for name, host in self.hosts.items()}}.items():
            if host is None:
                continue
            address = _address(host)
            if address is not None and address.is_unspecified:
                raise ConfigError(
                    f"network.{key}",
                    expected="what others reach it by; nobody reaches all addresses",
                    got=host,
                    next="name the machine there; bind is where it listens",
                )
            _require_address(f"network.{key}", host)

    def as_dict(self) -> dict[str, Any]:
        """Stable keys; `from_dict` reads them."""
        return {**asdict(self), "hosts": dict(self.hosts)}

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> Network:
        """What `as_dict` was made of."""
        return cls(facts["bind"], facts["host"], facts["hosts"])


def _require_address(setting: str, host: str) -> None:
    try:
        socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ConfigError(
            f"{setting} has no address",
            expected="an IP address, or a name that this machine can look up",
            got=f"{host!r}: {error}",
            next=f"correct {setting} in sapphire.toml, or see /etc/hosts and the name service",
        ) from None


def _bare(host: str) -> str:
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
