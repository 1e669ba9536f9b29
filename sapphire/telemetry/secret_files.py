"""Files with keys and tokens: only their owner can read them, and they are never there with other rights."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from sapphire.domain.errors import Refused

__all__ = ["read_secret", "write_secret"]

_OWNER_ONLY = 0o600


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
        rights = stat.S_IMODE(path.stat().st_mode)
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        got = "none" if isinstance(error, FileNotFoundError) else type(error).__name__
        raise Refused(absent, expected=f"the file {path}", got=got, next=next) from None
    if rights & 0o077:
        raise Refused(
            f"others can read {path}",
            expected="a file that only its owner can read (0600)",
            got=f"{rights:04o}",
            next=f"chmod 600 {path}",
        )
    return text
