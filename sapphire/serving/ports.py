"""Ports of this machine: a free one, or who holds the one that was asked for."""

from __future__ import annotations

import socket

from sapphire.domain.errors import PortInUse

__all__ = ["LOCAL", "free_port"]

LOCAL = "127.0.0.1"
"""Where servers listen unless they are in a container."""


def free_port(wanted: int = 0) -> int:
    """`wanted`, or any free port where it is 0.

    Raises
    ------
    PortInUse : another process holds it; names it where the system tells.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOCAL, wanted))
        except OSError as error:
            raise PortInUse(
                f"port {wanted} is taken",
                expected="a free port",
                got=_holder(wanted) or str(error),
                next="--port 0 takes a free one",
            ) from None
        return int(probe.getsockname()[1])


def _holder(port: int) -> str:
    """Name and id of the process that listens on `port`; empty where the system does not tell."""
    import psutil  # type: ignore[import-untyped]

    try:
        for held in psutil.net_connections(kind="tcp"):
            if held.status == psutil.CONN_LISTEN and held.laddr.port == port and held.pid:
                process = psutil.Process(held.pid)
                return f"{process.name()} (process {held.pid}): {' '.join(process.cmdline())[:80]}"
    except psutil.Error:  # another user's process
        return ""
    return ""
