"""Seals: hold-outs that nobody looks at by accident, across all studies of a state folder.

A seal is written with the first evaluation of a study. From then on any study whose bars meet the sealed ones keeps
clear of them, adopts them (its own hold-out begins no later), or opens them by name, which is recorded.

Out of reach: bars that are read from files without a study, and studies in another state folder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sapphire.domain.display import stamp
from sapphire.domain.errors import HoldoutSealed, StudyError
from sapphire.domain.protocols import Protocol
from sapphire.research.ledger.sketches import Sketch, Sketches
from sapphire.research.ledger.spans import Span

__all__ = ["OPENING", "SEAL", "Opening", "Seal", "Views", "seals_in", "to_open"]

SEAL, OPENING = "seal", "opening"
"""Kinds of lines in the ledger."""
_SHORT = 12
_FEWEST_DIGITS = 8


@dataclass(frozen=True, slots=True)
class Seal:
    """A hold-out that is closed.

    Parameters
    ----------
    study : which study sealed it.
    span : its bars.
    digest : of its line in the ledger: its name.
    """

    study: str
    span: Span
    digest: str

    def is_meant_by(self, name: str) -> bool:
        """Whether `name` is its study's, or the start of its digest."""
        return name == self.study or (len(name) >= _FEWEST_DIGITS and self.digest.startswith(name))

    @property
    def text(self) -> str:
        """One line."""
        return (
            f"{self.digest[:_SHORT]} of study {self.study!r}: {', '.join(self.span.assets)} from "
            f"{stamp(self.span.start_ns)} to {stamp(self.span.end_ns)}, {self.span.market} market"
        )


@dataclass(frozen=True, slots=True)
class Opening:
    """Somebody opened a seal.

    Parameters
    ----------
    study : which study opened it.
    seal : its digest.
    code : digest of the release that it was opened for; empty where a study went on behind it.
    """

    study: str
    seal: str
    code: str

    def as_dict(self) -> dict[str, Any]:
        """The keys of its line."""
        return {"kind": OPENING, "study": self.study, "seal": self.seal, "code": self.code}

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> Opening:
        """The opening of a line."""
        return cls(str(entry["study"]), str(entry["seal"]), str(entry["code"]))


@dataclass(frozen=True, slots=True)
class Views:
    """What a study looks at, and keeps others from looking at.

    Parameters
    ----------
    study : its name.
    used : every bar that it shows to an agent; checked against the seals under the lock.
    seal : its own hold-out, sealed unless the very same is.
    opens : names of seals that it opens.
    sketches : of the prices that the spans name; kept before the lines that name them.
    protocol : kept by its digest.
    """

    study: str = ""
    used: Span | None = None
    seal: Span | None = None
    opens: Sequence[str] = ()
    sketches: Sequence[Sketch] = ()
    protocol: Protocol | None = None


def seals_in(entries: Sequence[Mapping[str, Any]], digests: Sequence[str]) -> tuple[Seal, ...]:
    """Every seal among the entries of a ledger, whose lines have these digests."""
    return tuple(
        Seal(str(entry["study"]), Span.from_dict(entry), digest)
        for entry, digest in zip(entries, digests, strict=True)
        if entry.get("kind") == SEAL
    )


def to_open(
    seals: Sequence[Seal], used: Span, opens: Sequence[str], sketches: Sketches, *, study: str
) -> tuple[Seal, ...]:
    """The seals that a study with these bars opens by name.

    Parameters
    ----------
    used : every bar that the study shows to an agent or measures it on.
    opens : names of studies, or digests of seals, that it opens.

    Raises
    ------
    HoldoutSealed : it meets one that it does not open; says which, and the three ways out.
    StudyError : a name that no seal has.
    """
    unknown = [name for name in opens if not any(seal.is_meant_by(name) for seal in seals)]
    if unknown:
        raise StudyError(
            f"study {study!r} opens a hold-out that nobody sealed",
            expected="; ".join(seal.text for seal in seals) or "none is sealed here",
            got=", ".join(unknown),
            next="leave opens= out: nothing is in the way",
        )
    met = [seal for seal in seals if used.shares_data_with(seal.span, sketches)]
    closed = [seal for seal in met if not any(seal.is_meant_by(name) for name in opens)]
    if closed:
        first = closed[0]
        raise HoldoutSealed(
            f"study {study!r} would look at a sealed hold-out",
            expected=f"bars that keep clear of {stamp(first.span.start_ns)} to {stamp(first.span.end_ns)}",
            got=f"bars from {stamp(used.start_ns)} to {stamp(used.end_ns)}, which meet seal "
            + "\n".join(seal.text for seal in closed),
            next=f"end the study's own bars before {stamp(first.span.start_ns)}: by a shorter snapshot, to keep clear, "
            f"or by a longer holdout=, to adopt it; or open it, which is recorded and counts: opens={first.study!r}",
        )
    return tuple(met)
