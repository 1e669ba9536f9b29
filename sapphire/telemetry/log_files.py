"""Log files: bounded, and read again line by line, whoever wrote them.

A file is rotated by whoever keeps the part: beyond `MAX_BYTES` its content becomes the one file before it (`.1`), and
it begins anew. So the log of a part takes at most twice that, and what grows between two looks. The writer notices
nothing, which suits programs of any kind that append to their stderr.

Known limitation: a line that is written in the microseconds between the last copy and the cut is lost, as with
logrotate's `copytruncate`.
"""

from __future__ import annotations

import json
import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["MAX_BYTES", "LogLine", "follow", "latest", "plain", "rotate"]

MAX_BYTES = 2 * 2**20
"""A log file that is longer is rotated."""

_CHUNK = 2**16
_LOOK_S = 0.2
_HEAD = 256
"""Bytes by which two logs are told apart."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a log.

    Parameters
    ----------
    text : as it stands in the file, without the end of the line.
    facts : its JSON object; None where a program of another kind wrote it.
    """

    text: str
    facts: dict[str, Any] | None

    @classmethod
    def read(cls, data: bytes) -> LogLine:
        """The line that these bytes are."""
        text = data.decode(errors="replace").rstrip("\r\n")
        try:
            facts = json.loads(text) if text.startswith("{") else None
        except ValueError:
            facts = None
        return cls(text, facts if isinstance(facts, dict) and "message" in facts else None)

    def as_dict(self, part: str) -> dict[str, Any]:
        """The object of the line; one of another program has its text as the message, and no time."""
        return self.facts or {"time": None, "level": None, "part": part, "message": self.text}

    @property
    def plain(self) -> str:
        """The line for people, without colours."""
        if self.facts is None:
            return self.text
        words = [str(self.facts.get(key, "")) for key in ("time", "level", "message")]
        error = self.facts.get("error")
        return " ".join(word for word in words if word) + (f"\n{error}" if error else "")


def plain(data: bytes) -> str:
    """What these bytes of a log say, for people."""
    return "\n".join(LogLine.read(line).plain for line in data.splitlines()).strip()


def before(log: Path) -> Path:
    """The file that holds what a log said before it was rotated."""
    return log.with_name(f"{log.name}.1")


def rotate(log: Path, *, max_bytes: int = MAX_BYTES) -> bool:
    """Begin a log anew where it is too long; whether it was."""
    try:
        if log.stat().st_size <= max_bytes:
            return False
        temporary = log.with_name(f".{log.name}.1")
        with log.open("r+b") as full, temporary.open("wb") as kept:
            while chunk := full.read(_CHUNK):
                kept.write(chunk)
            kept.flush()
            temporary.replace(before(log))  # first, so that a kill in between leaves lines twice and loses none
            os.ftruncate(full.fileno(), 0)
    except FileNotFoundError:
        return False
    return True


def latest(log: Path, count: int) -> tuple[list[LogLine], int]:
    """The latest lines, oldest first, and up to which byte of the file they were read."""
    lines: deque[LogLine] = deque(maxlen=count)
    read = 0
    for path in (before(log), log):
        read = 0
        if path.exists():
            with path.open("rb") as file:
                for line in file:
                    if path == log and not line.endswith(b"\n"):
                        break  # it is being written
                    lines.append(LogLine.read(line))
                    read += len(line)
    return list(lines), read


def _identity(path: Path) -> int | None:
    """Which file it is; None where there is none."""
    return path.stat().st_ino if path.exists() else None


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _from(path: Path, position: int) -> bytes:
    """What stands behind a byte of a file."""
    try:
        with path.open("rb") as file:
            file.seek(position)
            return file.read()
    except FileNotFoundError:
        return b""


def follow(log: Path, position: int, *, is_over: Callable[[], bool] = lambda: False) -> Iterator[LogLine]:
    """The lines behind `position`, as they are written, over rotations; until it is over.

    Parameters
    ----------
    is_over : asked where nothing new was there.
    """
    rest, kept = b"", _identity(before(log))
    while True:
        data, now = b"", _identity(before(log))
        if now != kept and _from(log, 0)[:_HEAD] != _from(before(log), 0)[:_HEAD]:  # it was rotated, and is cut by now
            data, position, kept = _from(before(log), position), 0, now
        elif position > _size(log):
            position, rest = 0, b""
        more = _from(log, position)
        position += len(more)
        data += more
        *whole, rest = (rest + data).split(b"\n")
        yield from (LogLine.read(line) for line in whole)
        if not data:
            if is_over():
                return
            time.sleep(_LOOK_S)
