"""Days of decisions that are over: `decisions/DAY.jsonl.gz` beside `decisions.jsonl`, which keeps the two newest days.

A day's file is read back and compared before its lines leave the plain file, and takes its place in one step; a kill
between the two leaves lines in both, which are read once and moved again. The day of a decision is that in which its
bar ends, where midnight is the end of the day before.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

from sapphire.domain.clocks import from_ns
from sapphire.domain.errors import DataError

__all__ = ["KEPT_DAYS", "archive_folder", "archived_days", "day_of", "decision_lines", "move_old_days"]

KEPT_DAYS = 2
"""Days that stay in the plain file, the present one among them."""

_NS_PER_US = 1_000


def archive_folder(path: Path) -> Path:
    """Where the days of a file of decisions are."""
    return path.with_suffix("")


def day_of(bar_close_ns: int) -> date:
    """The UTC day that a bar with this close belongs to.

    Examples
    --------
    >>> day_of(1_704_153_600_000_000_000), day_of(1_704_153_900_000_000_000)
    (datetime.date(2024, 1, 1), datetime.date(2024, 1, 2))
    """
    return (from_ns(bar_close_ns) - timedelta(microseconds=1)).date()


def archived_days(path: Path) -> dict[date, Path]:
    """The archived days, rising."""
    found = {}
    for file in sorted(archive_folder(path).glob("????-??-??.jsonl.gz")):
        found[date.fromisoformat(file.name[:10])] = file
    return found


def decision_lines(path: Path, *, first: date | None = None, last: date | None = None) -> Iterator[bytes]:
    """Whole lines of the decisions of these days, oldest first, archived or not; a torn last one is left out.

    Parameters
    ----------
    first, last : days, both in it; all of them unless given.

    Raises
    ------
    DataError : an archived day that is damaged, or a line without a close.
    """
    live = path.read_bytes() if path.exists() else b""  # first: what is moved meanwhile stands in both
    days = archived_days(path)
    for day, file in days.items():
        if (first is None or first <= day) and (last is None or day <= last):
            yield from _read(file).splitlines(keepends=True)
    for line in live[: live.rfind(b"\n") + 1].splitlines(keepends=True):
        if first is None and last is None and not days:
            yield line
            continue
        day = _day_of_line(path, line)
        if day not in days and (first is None or first <= day) and (last is None or day <= last):
            yield line


def move_old_days(path: Path, *, kept: int = KEPT_DAYS) -> int:
    """Archive the lines of all but the newest days, and take them out of the plain file; how many days went.

    The plain file is replaced: whoever appends to it opens it anew. Only its writer may call this.

    Raises
    ------
    DataError : an archive that does not read back; then the plain file is as it was.
    """
    days: dict[date, list[bytes]] = {}
    for line in path.read_bytes().splitlines(keepends=True):
        days.setdefault(_day_of_line(path, line), []).append(line)
    old = sorted(days)[:-kept]
    for day in old:
        file = archive_folder(path) / f"{day.isoformat()}.jsonl.gz"
        whole = _merged(file, days[day])
        _replace(file, gzip.compress(whole, mtime=0))
        if hashlib.sha256(_read(file)).digest() != hashlib.sha256(whole).digest():
            raise DataError(f"the archive {file} does not read back", expected="the lines that it was made of")
    if old:
        rest = b"".join(line for day in sorted(days)[-kept:] for line in days[day])
        _replace(path, rest)
    return len(old)


def _replace(path: Path, data: bytes) -> None:
    """Put these bytes in a file's place in one step."""
    from sapphire.data.durable import replace_file

    def write(temporary: Path) -> None:
        temporary.write_bytes(data)

    replace_file(path, write)


def _merged(file: Path, lines: list[bytes]) -> bytes:
    """The lines of a day; those that a move which was cut off had archived already stand once."""
    if not file.exists():
        return b"".join(lines)
    there = _read(file).splitlines(keepends=True)
    return b"".join([*there, *(line for line in lines if line not in set(there))])


def _read(file: Path) -> bytes:
    try:
        return gzip.decompress(file.read_bytes())
    except (OSError, EOFError) as error:
        raise DataError(
            f"the archived decisions {file} cannot be read",
            expected="what the coordinator wrote",
            got=f"{type(error).__name__}: {error}",
            next="restore the file from a copy",
        ) from error


def _day_of_line(path: Path, line: bytes) -> date:
    """The day of a line, from its close alone: reading the whole line takes a hundred times as long."""
    _, found, rest = line.partition(b'"bar_close_ns":"')
    digits = rest.partition(b'"')[0]
    if not found or not digits.isdigit():
        raise DataError(f"a line of {path} is no decision", expected="the close of its bar", got=repr(line[:80]))
    return day_of(int(digits))
