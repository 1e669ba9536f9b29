"""Chains of lines in a place: each append is one batch of lines and the files that they name, and one move of a head.

The head's sequence is the number of lines, so a copy that has some of them asks for the rest alone. Its value is the
digest of the last line and the sha256 of the batch. Files and batch are put before the head is moved: what a writer
that died had put is named by no head, so nobody sees it, and the same again goes through. Two writers cannot both move
the head from one line on: the second reads what the first wrote and appends behind it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sapphire.data.durable import replace_file
from sapphire.data.places.place import Head, Place
from sapphire.domain.canonical import canonical_json, is_sha256, sha256_of
from sapphire.domain.errors import PlaceDamaged

__all__ = ["Batch", "SharedChain", "put_files"]

FIRST = "0" * 64
"""What stands before the first line of a chain."""
_FORMAT = "BATCH@1"
_FILE = re.compile(r"[A-Za-z0-9_=@+-][A-Za-z0-9_=.@+-]*(/[A-Za-z0-9_=@+-][A-Za-z0-9_=.@+-]*){0,8}", re.ASCII)
_CHAINS = ("records.jsonl", "trials.jsonl")
"""Files of lines, which no batch may put in place of what was brought line by line."""
_AT_ONCE = 64
"""How many appends are brought together."""
_SHORT = 12


@dataclass(frozen=True, slots=True)
class Batch:
    """What one append added.

    Parameters
    ----------
    lines : without their ends.
    files : name of each file that they name, from the chain's folder, to its sha256.
    """

    lines: tuple[bytes, ...]
    files: Mapping[str, str] = field(hash=False)

    @property
    def canonical(self) -> bytes:
        """Canonical JSON."""
        lines = [line.decode() for line in self.lines]
        return canonical_json({"format": _FORMAT, "lines": lines, "files": dict(self.files)})

    @classmethod
    def read(cls, data: bytes, what: str) -> Batch:
        """The batch in these bytes.

        Raises
        ------
        PlaceDamaged : they are none.
        """
        try:
            value = json.loads(data)
            lines, files = value["lines"], value["files"]
            sound = all(
                _FILE.fullmatch(name) and name not in _CHAINS and is_sha256(sha256) for name, sha256 in files.items()
            )
            if value["format"] == _FORMAT and sound and not any("\n" in line for line in lines):
                return cls(tuple(line.encode() for line in lines), files)
        except (ValueError, KeyError, TypeError, AttributeError):
            pass
        raise PlaceDamaged(
            f"what was appended to {what} does not read",
            expected=f"lines and names of files, {_FORMAT}",
            got=f"{data[:60]!r}",
            next="bring this machine to the release that wrote it",
        )


@dataclass(frozen=True, slots=True)
class SharedChain:
    """A chain of lines in a place, of which a folder here has the first ones.

    Parameters
    ----------
    place : where.
    name : of its head, "ledger/trials".
    room : of its bytes, "ledger".
    folder : here; what its lines name lies in it.
    """

    place: Place
    name: str
    room: str
    folder: Path

    def news(self, digests: Sequence[str]) -> tuple[Batch, ...]:
        """What was appended behind the lines that are here, with its files put into the folder.

        Parameters
        ----------
        digests : of the lines that are here.

        Raises
        ------
        PlaceDamaged : the lines that are here are no beginning of those in the place, or bytes of it are missing.
        PlaceError : the place does not answer. Nothing is changed.
        """
        have = len(digests)
        moves = self.place.since(self.name, max(have - 1, 0))
        if not moves:
            if have and self.place.head(self.name) is not None:
                raise self._other(digests, f"{have:,} lines or more", "fewer")
            return ()
        first, new = moves[0], [each for each in moves if each.sequence > have]
        if first.before > have:
            raise self._other(digests, f"a move from {have:,} lines or fewer", f"one from {first.before:,}")
        if first.sequence == have and self._last_of(first) != digests[-1]:
            raise self._other(
                digests, f"line {have:,} with digest {self._last_of(first)[:_SHORT]}", digests[-1][:_SHORT]
            )
        batches, last = list[Batch](), digests[-1] if have else FIRST
        for start in range(0, len(new), _AT_ONCE):
            found = self._batches(new[start : start + _AT_ONCE])
            if start == 0 and new[0].before < have:
                found[0] = self._behind(found[0], digests[new[0].before :], digests)
            last = self._followed(found, last, digests)
            self._have_files(found)
            batches += found
        return tuple(batches)

    def append(
        self,
        digests: Sequence[str],
        lines: Sequence[bytes],
        files: Mapping[str, bytes],
        *,
        whole: Callable[[], tuple[Sequence[bytes], Mapping[str, bytes]]],
    ) -> None:
        """Append lines behind those that are here, all or none.

        Parameters
        ----------
        digests : of the lines that are here; `news` was asked before.
        files : what the lines name.
        whole : every line that is here and every file that they name: a place that has nothing of the chain yet gets
            them first.

        Raises
        ------
        HeadMoved : somebody else appended; ask `news`, then again. Nothing is changed.
        PlaceError : it could not be kept. Nobody sees anything of it, and the same again may be tried.
        """
        have = len(digests)
        if have and self.place.head(self.name) is None:
            self.begin(*whole())
        last = sha256_of(lines[-1])
        batch = Batch(tuple(lines), self.place.put_all(self.room, files)).canonical
        value = f"{last} {self.place.put(self.room, batch)}"
        self.place.move(self.name, before=have, sequence=have + len(lines), value=value)

    def begin(self, lines: Sequence[bytes], files: Mapping[str, bytes]) -> None:
        """Put a chain that was kept here alone into a place that has nothing of it.

        Raises
        ------
        HeadMoved : it has something by now.
        """
        batch = Batch(tuple(lines), self.place.put_all(self.room, files)).canonical
        value = f"{sha256_of(lines[-1])} {self.place.put(self.room, batch)}"
        self.place.move(self.name, before=0, sequence=len(lines), value=value)

    def _batches(self, moves: Sequence[Head]) -> list[Batch]:
        data = self.place.get_all(self.room, [move.value.partition(" ")[2] for move in moves])
        return [self._batch(move, each) for move, each in zip(moves, data, strict=True)]

    def _followed(self, batches: Sequence[Batch], last: str, digests: Sequence[str]) -> str:
        """The digest of the last line, if each names the one before."""
        for line in (line for batch in batches for line in batch.lines):
            if json.loads(line).get("before") != last:
                raise self._other(digests, f"a line behind {last[:_SHORT]}", "another")
            last = sha256_of(line)
        return last

    def _batch(self, move: Head, data: bytes) -> Batch:
        last = self._last_of(move)
        batch = Batch.read(data, self.name)
        if len(batch.lines) != move.sequence - move.before or sha256_of(batch.lines[-1]) != last:
            raise PlaceDamaged(
                f"what was appended to {self.name} is not what its head says",
                expected=f"{move.sequence - move.before} lines, the last with digest {last[:_SHORT]}",
                got=f"{len(batch.lines)} lines",
                next=f"restore {self.place.where} from a backup",
            )
        return batch

    def _behind(self, batch: Batch, there: Sequence[str], digests: Sequence[str]) -> Batch:
        """What of a batch is not here, where some of its lines are."""
        found = [sha256_of(line) for line in batch.lines[: len(there)]]
        if found != list(there):
            raise self._other(digests, f"line {len(digests):,} with digest {found[-1][:_SHORT]}", there[-1][:_SHORT])
        return Batch(batch.lines[len(there) :], batch.files)

    def _have_files(self, batches: Sequence[Batch]) -> None:
        named = {name: sha256 for batch in batches for name, sha256 in batch.files.items()}
        missing = {name: sha256 for name, sha256 in named.items() if not (self.folder / name).exists()}
        put_files(self.folder, dict(zip(missing, self.place.get_all(self.room, list(missing.values())), strict=True)))

    def _last_of(self, move: Head) -> str:
        return move.value.partition(" ")[0]

    def _other(self, digests: Sequence[str], expected: str, got: str) -> PlaceDamaged:
        return PlaceDamaged(
            f"{self.name} here is not the beginning of what {self.place.where} has",
            expected=expected,
            got=f"{got}; {len(digests):,} lines in {self.folder}",
            next="a place that was put back: restore its newer state; a state folder that began on its own: go on in a "
            "fresh one, named by SAPPHIRE_HOME",
        )


def put_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Put files into a folder, each in one step."""
    for name, data in files.items():
        replace_file(folder / name, lambda temporary, data=data: _write(temporary, data))  # type: ignore[misc]


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)
