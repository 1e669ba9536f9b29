"""Ports of this machine: a free one, or who holds the one that was asked for."""

from __future__ import annotations

import socket

from sapphire.domain.errors import ConfigError, PortInUse

__all__ = ["LOCAL", "free_port", "require_own_address"]

LOCAL = "127.0.0.1"
"""Where servers listen unless they are told otherwise: only this machine reaches them."""


def free_port(wanted: int = 0, *, bind: str = LOCAL) -> int:
    """`wanted`, or any free port where it is 0.

    Parameters
    ----------
    bind : address or name of this machine on which it has to be free; "0.0.0.0" and "::" are all of them.

    Raises
    ------
    PortInUse : another process holds it; names it where the system tells.
    ConfigError : `bind` has no address.
    """
    family, address = _resolved(bind)
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, wanted))
        except OSError as error:
            raise PortInUse(
                f"port {wanted} is taken",
                expected="a free port",
                got=_holder(wanted) or str(error),
                next="--port 0 takes a free one",
            ) from None
        return int(probe.getsockname()[1])


def require_own_address(bind: str) -> None:
    """Refuse to listen where this machine is not.

    Raises
    ------
    ConfigError : a name that does not resolve, or an address of another machine.
    """
    family, address = _resolved(bind)
    with socket.socket(family) as probe:
        try:
            probe.bind((address, 0))
        except OSError as error:
            raise ConfigError(
                "the address to bind is not of this machine",
                expected="one of its own (ip addr shows them); 0.0.0.0 or :: for all",
                got=f"{bind}: {error.strerror}",
                next="correct bind; the name by which others reach it is host",
            ) from None


def _resolved(bind: str) -> tuple[socket.AddressFamily, str]:
    """Family and address of what is to be bound; of a name the first one."""
    try:
        family, _, _, _, address = socket.getaddrinfo(bind, None, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise ConfigError(
            "the address to bind has no address",
            expected="an IP address, or a name that this machine can look up",
            got=f"{bind!r}: {error}",
            next="correct bind, or see /etc/hosts and the name service",
        ) from None
    return family, str(address[0])


def _holder(port: int) -> str:
    """Name and id of the process that listens on `port`; empty where the system does not tell."""
    import psutil  # type: ignore[import-untyped]

    try:
        for connection in psutil.net_connections(kind="tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
                process = psutil.Process(connection.pid)
                return f"{process.name()} (process {connection.pid}): {' '.join(process.cmdline())[:80]}"
    except psutil.Error:  # another user's process
        return ""
    return ""
