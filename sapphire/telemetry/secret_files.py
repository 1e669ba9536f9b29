"""Files with keys and tokens: only their owner can read them, and they are never there with other rights.

What a cluster mounts into a container belongs to root there, and the container's group reads it. So a file passes that
is the reader's own and nobody else's, or root's with at most its group reading. The engine's twin is
`endpoint/src/secret_files.rs`.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from sapphire.domain.errors import Refused

__all__ = ["PRIVATE", "read_secret", "what_is_open", "write_secret"]

PRIVATE = "a file that only its owner can read (0600), or root's that at most its group reads (0440)"
"""What a file with a secret has to be, in words."""

_OWNER_ONLY = 0o600
_BY_OTHERS, _BUT_GROUP_READS = 0o077, 0o037
_ROOT = 0


def write_secret(path: Path, text: str) -> None:
    """Put a file in place in one step; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def what_is_open(status: os.stat_result, *, reader: int | None = None) -> str | None:
    """Why a file is open to others than its reader, "0644"; None where it is not.

    Parameters
    ----------
    reader : number of the user who reads it; this process's unless given.
    """
    mode, reader = stat.S_IMODE(status.st_mode), os.geteuid() if reader is None else reader
    if status.st_uid == reader:
        return f"{mode:04o}" if mode & _BY_OTHERS else None
    if status.st_uid == _ROOT:
        return f"root's {mode:04o}" if mode & _BUT_GROUP_READS else None
    return f"{mode:04o} of user {status.st_uid}, read by user {reader}"


def read_secret(path: Path, *, absent: str, next: str = "sapphire up writes it") -> str:
    """The text of a file.

    Parameters
    ----------
    absent : what it means that there is none, for the message.
    next : what to do then.

    Raises
    ------
    Refused : no such file, one that is no text, or one that others can read.
    """
    try:
        with path.open("rb") as file:
            is_open = what_is_open(os.fstat(file.fileno()))
            text = file.read().decode()
    except (OSError, UnicodeDecodeError) as error:
        got = "none" if isinstance(error, FileNotFoundError) else type(error).__name__
        raise Refused(absent, expected=f"the file {path}", got=got, next=next) from None
    if is_open is not None:
        raise Refused(f"others can read {path}", expected=PRIVATE, got=is_open, next=f"chmod 600 {path}")
    return text
