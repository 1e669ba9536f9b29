"""A file of JSON lines in which each line carries the sha256 of the one before.

A line that was changed, taken out or put in is found when the chain is next read. That lines at its end were cut off
is found by whoever kept an earlier head of it: a count of lines and the digest of the last.

A chain that is shared lies in a place; the file here has its first lines. Whoever reads brings the rest, and whoever
appends moves the place's head first: of two that append at once, the second reads the first's lines and tries again.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sapphire.data.durable import append
from sapphire.domain.errors import HeadMoved, LedgerDamaged

if TYPE_CHECKING:
    from sapphire.data.places import SharedChain

__all__ = ["FIRST", "Chain", "Head", "canonical"]

FIRST = "0" * 64
"""What stands before the first line."""


LinesAfter = Callable[[Sequence[dict[str, Any]], Sequence[str]], Sequence[Mapping[str, Any]]]
"""From the entries of a chain, and the digests of their lines, to what shall follow them."""


@dataclass(frozen=True, slots=True)
class Head:
    """How far a chain reached.

    Parameters
    ----------
    lines : how many it had.
    digest : of the last of them; zeros where there was none.
    """

    lines: int
    digest: str

    @classmethod
    def of(cls, digests: Sequence[str]) -> Head:
        """The head of a chain, from the digest of each line."""
        return cls(len(digests), digests[-1] if digests else FIRST)


@dataclass(frozen=True, slots=True)
class Chain:
    """The chain in a file; made with the first line.

    Parameters
    ----------
    shared : the same chain in a place, where there is one.
    """

    path: Path
    shared: SharedChain | None = None

    def read(self) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
        """Every entry in order and the digest of each line, verified.

        Raises
        ------
        LedgerDamaged : a line does not verify; names it.
        PlaceError : the place does not answer.
        """
        if self.shared is None:
            return self._verified(self.path.read_bytes() if self.path.exists() else b"")
        with self._locked() as file:
            return self._brought(file)

    def append(
        self,
        lines_after: LinesAfter,
        *,
        written: Callable[[Head], None],
        files: Mapping[str, Path] | None = None,
    ) -> tuple[str, ...]:
        """Append what `lines_after` makes of the entries that stand there and their digests, all or none, under a lock.

        Parameters
        ----------
        lines_after : asked again where somebody else appended meanwhile.
        written : called with the new head once the lines are on the disk, under the same lock.
        files : what the lines name, by its path from the chain's folder.

        Returns
        -------
        The digest of every line that stands there now.

        Raises
        ------
        LedgerDamaged : what stands there does not verify. Nothing is appended.
        PlaceError : the place does not take it. Likewise.
        PlaceFull : the disk has no room. Likewise; a shared place may have it, and the next call brings it.
        """
        with self._locked() as file:
            while True:
                entries, digests = self._brought(file)
                made, now = [], [*digests]
                for entry in lines_after(entries, digests):
                    made.append(canonical({**entry, "before": Head.of(now).digest}))
                    now.append(hashlib.sha256(made[-1]).hexdigest())
                if made and self.shared is not None:
                    named = {name: path.read_bytes() for name, path in (files or {}).items()}
                    try:
                        self.shared.append(digests, made, named, whole=self._whole)
                    except HeadMoved:
                        continue
                break
            self._add(file, made)
            if made:
                written(Head.of(now))
        return tuple(now)

    def begin(self) -> bool:
        """Put a chain that was kept here alone into its place, if that has nothing of it; whether it was put.

        Raises
        ------
        LedgerDamaged, PlaceError : as `read`.
        """
        if self.shared is None or not self.path.exists():
            return False
        with self._locked() as file:
            _, digests = self._brought(file)
            if not digests or self.shared.place.head(self.shared.name) is not None:
                return False
            self.shared.begin(*self._whole())
        return True

    def holds(self, head: Head, *, kept_by: str) -> None:
        """Refuse a chain that an earlier head of it is no longer in.

        Parameters
        ----------
        kept_by : who kept that head, for the message: "release trend@1".

        Raises
        ------
        LedgerDamaged : it is shorter than that, or another line stands there.
        """
        _, digests = self.read()
        found = FIRST if head.lines == 0 else digests[head.lines - 1] if len(digests) >= head.lines else None
        if found != head.digest:
            raise LedgerDamaged(
                f"the trial ledger is not the one that {kept_by} was counted on",
                expected=f"{head.lines:,} lines or more, the last of those with digest {head.digest[:12]}",
                got=f"{len(digests):,} lines" + ("" if found is None else f", digest {found[:12]} there"),
                next=f"restore {self.path} from a backup: lines were cut off or replaced, and no gate counts without",
            )

    def damaged(self, number: int, expected: str, got: str) -> LedgerDamaged:
        """The error that names a line."""
        return LedgerDamaged(
            f"the trial ledger does not verify at line {number:,} of {self.path.name}",
            expected=expected,
            got=got,
            next=f"restore {self.path} from a backup: a gate counts no trials on a ledger that does not verify",
        )

    def _brought(self, file: Any) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
        """What the locked file has, with what the place has behind it written to it first; verified."""
        file.seek(0)
        entries, digests = self._verified(file.read())
        if self.shared is None:
            return entries, digests
        lines = [line for batch in self.shared.news(digests) for line in batch.lines]
        if not lines:
            return entries, digests
        self._add(file, lines)
        file.seek(0)
        return self._verified(file.read())

    def _add(self, file: Any, lines: Sequence[bytes]) -> None:
        append(file.fileno(), b"".join(line + b"\n" for line in lines), self.path)

    def _whole(self) -> tuple[list[bytes], dict[str, bytes]]:
        """Every line, and every file beside the chain."""
        folder = self.path.parent
        beside = [path for path in sorted(folder.rglob("*")) if path.is_file() and path != self.path]
        files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in beside if path.name[0] != "."}
        return self.path.read_bytes().splitlines(), files

    def _verified(self, data: bytes) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
        entries: list[dict[str, Any]] = []
        digests: list[str] = []
        lines = data.split(b"\n")
        for number, line in enumerate(lines[:-1], start=1):
            entry = self._parsed(line, number)
            before = digests[-1] if digests else FIRST
            if entry.pop("before", None) != before:
                raise self.damaged(number, f"the digest of line {number - 1}: {before[:12]}...", "another digest")
            digests.append(hashlib.sha256(line).hexdigest())
            entries.append(entry)
        if lines[-1]:
            raise self.damaged(len(lines), "a whole line", "one without an end")
        return entries, tuple(digests)

    def _parsed(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            entry = json.loads(line)
        except ValueError:
            raise self.damaged(number, "one JSON object", "something else") from None
        if not isinstance(entry, dict):
            raise self.damaged(number, "one JSON object", type(entry).__name__)
        return entry

    @contextmanager
    def _locked(self) -> Iterator[Any]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+b", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file


def canonical(value: Any) -> bytes:
    """JSON with sorted keys and no spaces; times, lengths of time and numpy numbers as JSON has them."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain).encode()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "item"):
        return value.item()
    return str(value)
