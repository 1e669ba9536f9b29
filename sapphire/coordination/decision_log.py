"""decisions.jsonl: one line for each bar, written before anything of the decision is published.

A line is written by one `write` to the end of the file, so after `kill -9` it is there whole, or its torn rest is cut
off at the next start and the bar is decided again. Days that are over are archived (`decision_archive`).
"""

from __future__ import annotations

import os
from collections import deque
from datetime import date
from pathlib import Path

from sapphire.coordination.decision_archive import archived_days, day_of, decision_lines, move_old_days
from sapphire.coordination.decisions import Decision
from sapphire.data.durable import append
from sapphire.domain.decisions import DecisionLine
from sapphire.domain.errors import DataError, ValueRefused

__all__ = ["DecisionLog", "last_decision", "latest_decisions", "may_hold"]

_TAIL = 1 << 20
"""More than a line can have: a decision's views and signals fit in messages of 64 KiB."""


class DecisionLog:
    """The file, open for one writer.

    Parameters
    ----------
    path : the file; it is made if it is not there.

    Raises
    ------
    DataError : its last line is no decision.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._archived_on: date | None = None
        self._path = path
        self._file = self._open()
        self.last = self._cut_and_read()
        """The newest decision."""
        self.archive()

    def append(self, decision: Decision) -> None:
        """Write a decision at the end.

        Raises
        ------
        PlaceFull : the disk has no room for it; nothing is written.
        ValueRefused : not what a line says; nothing is written.
        """
        DecisionLine.read(decision.line)
        append(self._file, decision.line, self._path, synced=False)
        self.last = decision

    def find(self, bar_close_ns: int) -> Decision | None:
        """The decision on a bar, if there is one."""
        if self.last is None or bar_close_ns > self.last.bar_close_ns:
            return None
        if bar_close_ns == self.last.bar_close_ns:
            return self.last
        day = day_of(bar_close_ns)
        decisions = (_read(self._path, line) for line in decision_lines(self._path, first=day, last=day))
        return next((made for made in decisions if made.bar_close_ns == bar_close_ns), None)

    def latest(self, limit: int) -> list[Decision]:
        """The newest decisions, oldest first.

        Raises
        ------
        DataError : one of these lines is no decision.
        """
        return latest_decisions(self._path, limit) if limit else []

    def archive(self) -> None:
        """Move days that are long over out of the file, where the newest decision has begun another day.

        Raises
        ------
        DataError : a day's archive does not read back; its lines stay where they are.
        """
        if self.last is None or self._archived_on == day_of(self.last.bar_close_ns):
            return
        if move_old_days(self._path):
            os.close(self._file)
            self._file = self._open()
        self._archived_on = day_of(self.last.bar_close_ns)

    def close(self) -> None:
        """Let the file go."""
        os.close(self._file)

    def _open(self) -> int:
        return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)

    def _cut_and_read(self) -> Decision | None:
        """Cut a torn line off, and read the last whole one."""
        last, torn = _last(self._path, self._file)
        if torn:
            os.ftruncate(self._file, os.fstat(self._file).st_size - torn)
        return last


def last_decision(path: Path) -> Decision | None:
    """The newest decision in a file that another process may be writing; None where there is none yet.

    Raises
    ------
    DataError : its last line is no decision.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        return _last(path, file)[0]
    finally:
        os.close(file)


def latest_decisions(path: Path, limit: int) -> list[Decision]:
    """The newest decisions in a file that another process may be writing, oldest first; none where there is no file.

    Raises
    ------
    DataError : one of these lines is no decision.
    """
    try:
        with path.open("rb") as file:
            lines = deque((line for line in file if line.endswith(b"\n")), maxlen=limit)
    except FileNotFoundError:
        return []
    if len(lines) < limit and archived_days(path):
        lines = deque(decision_lines(path), maxlen=limit)
    return [_read(path, line) for line in lines]


def may_hold(path: Path, release: str) -> bool:
    """Whether what a release traded may still be held: it decided the newest bar, and is not known to be flat since.

    It is flat where the newest account state that it decided on holds no lot of anything, and nothing was aimed at
    since. Where the latest lines tell of no account state at all it counts as holding.

    Parameters
    ----------
    path : the file of the decisions of a run.
    release : digest.

    Raises
    ------
    DataError : a line is no decision.
    """
    last = last_decision(path)
    if last is None or last.facts["release"] != release:
        return False
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL))
        tail = file.read()
    begun = tail.find(b"\n") + 1 if len(tail) == _TAIL else 0
    for line in reversed(tail[begun : tail.rfind(b"\n") + 1].splitlines()):
        facts = _read(path, line).facts
        if facts["release"] != release or any(int(signal["target_lots"]) for signal in facts["signals"]):
            return True
        if facts["account"] is not None:
            return any(int(position["lots"]) for position in facts["account"]["positions"])
    return True


def _last(path: Path, file: int) -> tuple[Decision | None, int]:
    """The last whole line, and how many bytes of a torn one come after it."""
    size = os.fstat(file).st_size
    start = max(0, size - _TAIL)
    tail = os.pread(file, size - start, start)
    whole = tail[: tail.rfind(b"\n") + 1]
    line = whole[whole.rfind(b"\n", 0, -1) + 1 :]
    return (_read(path, line) if line else None), len(tail) - len(whole)


def _read(path: Path, line: bytes) -> Decision:
    try:
        return Decision.read(line.removesuffix(b"\n"))
    except ValueRefused as error:
        raise DataError(
            f"a line of {path} is no decision", expected=error.expected, got=error.got or error.what
        ) from error
