"""The one interface of a place: immutable bytes by key, and named heads that move by compare-and-set."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Protocol

from sapphire.domain.canonical import is_sha256, sha256_of
from sapphire.domain.errors import PlaceDamaged, ValueRefused

__all__ = ["Blobs", "Head", "Heads", "Place", "check_name"]

_NAME = re.compile(r"[A-Za-z0-9_=.@+-]+(/[A-Za-z0-9_=.@+-]+)*", re.ASCII)
_LONGEST_NAME, _LONGEST_VALUE = 400, 400
_AT_ONCE = 8
"""How many bytes are asked for beside each other."""


@dataclass(frozen=True, slots=True)
class Head:
    """Where a head stands, or stood.

    Parameters
    ----------
    name : "evidence/5f0c...", "ledger/trials".
    before : the sequence that it was moved from; 0 for the first move.
    sequence : how far it is; it only rises.
    value : what it points at.
    """

    name: str
    before: int
    sequence: int
    value: str


class Heads(Protocol):
    """Named heads. Every error is a `PlaceError`."""

    @property
    def where(self) -> str:
        """What errors and pages call it; no credential in it."""

    def newest(self, prefix: str) -> tuple[Head, ...]:
        """Where each head stands whose name is `prefix`, or begins with it and a slash; by name."""

    def since(self, name: str, sequence: int) -> tuple[Head, ...]:
        """The moves of a head that lead beyond a sequence, in order."""

    def move(self, name: str, *, before: int, sequence: int, value: str) -> Head:
        """Move a head, if it stands at `before` (0: if there is none).

        Raises
        ------
        HeadMoved : it stands elsewhere. Nothing is changed.
        """


class Blobs(Protocol):
    """Immutable bytes. Every error is a `PlaceError`."""

    @property
    def where(self) -> str:
        """What errors and pages call it; no credential in it."""

    def put(self, key: str, data: bytes) -> None:
        """Put bytes where there are none under that key; else leave what is there."""

    def get(self, key: str) -> bytes | None:
        """The bytes under a key; None where there are none."""

    def keys(self, prefix: str) -> tuple[str, ...]:
        """Every key in a folder, "evidence/"; sorted."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where shared state lies.

    Parameters
    ----------
    heads, blobs : its two halves.
    """

    heads: Heads
    blobs: Blobs
    _known: set[str] = field(default_factory=set, repr=False, compare=False)
    """Keys that were put or got by this process: bytes never change, so they need not be put again."""

    @property
    def where(self) -> str:
        """What errors and pages call it."""
        return " and ".join(dict.fromkeys((self.heads.where, self.blobs.where)))

    def put(self, room: str, data: bytes) -> str:
        """Keep bytes for good; their sha256, by which they are got.

        Parameters
        ----------
        room : whose they are: "evidence", "ledger", "releases", "snapshots", "recordings".

        Raises
        ------
        PlaceError : they could not be kept. A second try does no harm.
        """
        sha256 = sha256_of(data)
        key = _key(room, sha256)
        if key not in self._known:
            self.blobs.put(key, data)
            self._known.add(key)
        return sha256

    def put_all(self, room: str, files: Mapping[str, bytes]) -> dict[str, str]:
        """Keep several, some at once; the name of each to its sha256. Errors as `put`: some may be kept then."""
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            return dict(zip(files, threads.map(lambda data: self.put(room, data), files.values()), strict=True))

    def get(self, room: str, sha256: str) -> bytes:
        """The bytes of a sha256, checked.

        Raises
        ------
        PlaceDamaged : there are none, or others.
        PlaceError : they could not be had.
        """
        data = self.find(room, sha256)
        if data is None:
            raise self._missing(room, sha256, "none")
        return data

    def find(self, room: str, sha256: str) -> bytes | None:
        """The bytes of a sha256, checked; None where there are none. Errors as `get`."""
        key = _key(room, sha256)
        data = self.blobs.get(key)
        if data is None:
            return None
        if sha256_of(data) != sha256:
            raise self._missing(room, sha256, f"sha256 {sha256_of(data)[:12]}")
        self._known.add(key)
        return data

    def get_all(self, room: str, digests: Sequence[str]) -> tuple[bytes, ...]:
        """Several, some at once, in the same order. Errors as `get`."""
        if len(digests) < 2:
            return tuple(self.get(room, each) for each in digests)
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            return tuple(threads.map(lambda each: self.get(room, each), digests))

    def head(self, name: str) -> Head | None:
        """Where a head stands; None where there is none."""
        return next((each for each in self.heads.newest(check_name(name)) if each.name == name), None)

    def newest(self, prefix: str) -> tuple[Head, ...]:
        """Where each head of a folder stands, by name."""
        return tuple(each for each in self.heads.newest(check_name(prefix)) if each.name != prefix)

    def since(self, name: str, sequence: int) -> tuple[Head, ...]:
        """The moves of a head that lead beyond a sequence, in order.

        Raises
        ------
        PlaceDamaged : they do not follow on each other.
        """
        moves = self.heads.since(check_name(name), sequence)
        for earlier, later in pairwise(moves):
            if later.before != earlier.sequence:
                raise PlaceDamaged(
                    f"moves of {name} are missing in {self.heads.where}",
                    expected=f"one from {earlier.sequence}",
                    got=f"one from {later.before}",
                    next="restore the database or the folder from a backup",
                )
        return moves

    def move(self, name: str, *, before: int, sequence: int, value: str) -> Head:
        """Move a head, if it stands at `before` (0: if there is none). What it points at has to be kept by then.

        Raises
        ------
        HeadMoved : somebody else moved it. Nothing is changed.
        """
        if not 0 <= before < sequence or not 0 < len(value) <= _LONGEST_VALUE:
            raise ValueRefused(
                f"a move of {name}",
                expected=f"a sequence that rises, and a value of up to {_LONGEST_VALUE} characters",
                got=f"{before} to {sequence}, {value!r:.60}",
            )
        return self.heads.move(check_name(name), before=before, sequence=sequence, value=value)

    def _missing(self, room: str, sha256: str, got: str) -> PlaceDamaged:
        return PlaceDamaged(
            f"bytes that were kept in {self.blobs.where} are not there",
            expected=f"{_key(room, sha256)}, with that sha256",
            got=got,
            next="restore the bucket or the folder from a backup; heads name what was put before them",
        )


def check_name(name: str) -> str:
    """The name of a head or a folder of them, if it is one.

    Raises
    ------
    ValueRefused : it is none.
    """
    if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name) or {".", ".."} & set(name.split("/")):
        raise ValueRefused(
            "name of a head",
            expected=f"words of letters and digits with / between, up to {_LONGEST_NAME}",
            got=name[:80],
        )
    return name


def _key(room: str, sha256: str) -> str:
    if not room.isalpha() or not is_sha256(sha256):
        raise ValueRefused("key of bytes", expected="a room and a sha256", got=f"{room}/{sha256}"[:80])
    return f"{room}/{sha256}"
