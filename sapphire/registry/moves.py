"""Moves: who was champion of a model when, as a fold of the records; aliases follow it.

A promotion puts a version on top; a rollback takes away what lies above the one that it goes back to. So `champion` is
the top and `previous` the one below, whatever was killed in between: the record is written first, and whoever comes
next lets the aliases follow.
"""

from __future__ import annotations

import getpass
import platform
from dataclasses import dataclass
from typing import Any, Protocol

from sapphire.registry.evidence_store import EvidenceStore
from sapphire.registry.versions import Version, Versions

__all__ = ["History", "Listed", "Move", "who"]

_KINDS = ("promoted", "rolled_back")


def who() -> str:
    """Who acts, "user@host"."""
    return f"{getpass.getuser()}@{platform.node()}"


class Listed(Protocol):
    """Versions, and where aliases point."""

    def of_model(self, model: str) -> list[Version]:
        """Every version of a model."""

    def at(self, model: str, alias: str) -> Version | None:
        """The version that an alias points at."""


@dataclass(frozen=True, slots=True)
class Move:
    """One change of a model's champion.

    Parameters
    ----------
    number : 1, 2, ... among the moves of the model; 0 where an earlier version of the platform made it.
    at_ns : when.
    kind : "promoted" or "rolled_back".
    version : what became champion, "paper.trend@2".
    before : what was.
    """

    number: int
    at_ns: int
    kind: str
    version: str
    before: str | None


@dataclass(frozen=True, slots=True)
class History:
    """The moves of one model, and the versions that it has.

    Parameters
    ----------
    model : "paper.trend".
    moves : oldest first.
    versions : label to version.
    first : the champions that MLflow knows of where no move is recorded here, oldest first.
    """

    model: str
    moves: tuple[Move, ...]
    versions: dict[str, Version]
    first: tuple[str, ...]

    @classmethod
    def of(cls, model: str, versions: Listed, store: EvidenceStore) -> History:
        """The history of a model, from the evidence of each of its versions.

        Raises
        ------
        EvidenceRefused : evidence that does not verify.
        """
        found = {each.label: each for each in versions.of_model(model)}
        here = set(store.digests())
        moves = [
            _move(record.at_ns, record.kind, record.facts)
            for digest in {each.digest for each in found.values()} & here
            for record in store.records(digest)
            if record.kind in _KINDS and record.facts.get("model") == model
        ]
        aliased = [versions.at(model, alias) for alias in ("previous", "champion")]
        first = () if moves else tuple(each.label for each in aliased if each is not None)
        return cls(model, tuple(sorted(moves, key=lambda each: (each.number, each.at_ns))), found, first)

    @property
    def stack(self) -> tuple[str, ...]:
        """The champions that can be gone back to, the one of now last."""
        stack = list(self.first)
        for move in self.moves:
            if move.kind == "rolled_back" and move.version in stack:
                del stack[len(stack) - stack[::-1].index(move.version) :]
            elif not stack or stack[-1] != move.version:
                stack.append(move.version)
        return tuple(label for label in stack if label in self.versions)

    @property
    def champion(self) -> Version | None:
        """The version on top."""
        return self.versions[self.stack[-1]] if self.stack else None

    @property
    def next_number(self) -> int:
        """The number of the next move."""
        return 1 + max((move.number for move in self.moves), default=0)

    def settle(self, versions: Versions) -> None:
        """Let the aliases follow: champion first, so that whoever trades gets it first."""
        stack = self.stack
        wanted = dict(zip(("champion", "previous"), reversed(stack[-2:]), strict=False))
        for alias in ("champion", "previous"):
            at = versions.at(self.model, alias)
            label = wanted.get(alias)
            if label is None and at is not None and stack:
                versions.client.delete_registered_model_alias(self.model, alias)
            elif label is not None and (at is None or at.label != label):
                versions.point(self.model, alias, self.versions[label].number)


def _move(at_ns: int, kind: str, facts: Any) -> Move:
    return Move(int(facts.get("move", 0)), at_ns, kind, str(facts["version"]), facts.get("before"))
