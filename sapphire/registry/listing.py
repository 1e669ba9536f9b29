"""What the registry holds, as a table: every release, where it stands, and its marks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from sapphire.domain.display import bundle, stamp
from sapphire.domain.errors import EvidenceRefused
from sapphire.domain.evidence import Target
from sapphire.registry.evidence_store import EvidenceStore
from sapphire.registry.versions import Version

__all__ = ["DAMAGED", "NO_EVIDENCE", "SKILL_NOT_SHOWN", "RegisteredRelease", "ReleaseTable", "Standing", "standing_of"]

SKILL_NOT_SHOWN = "skill not shown"
DAMAGED = "evidence does not verify"
NO_EVIDENCE = "no evidence here"
_SHORT = 12
_NS_PER_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class RegisteredRelease:
    """A release in research.

    Parameters
    ----------
    name : "trend".
    version : 1, 2, ...
    digest : its manifest's sha256.
    run_id : the MLflow run of the submit.
    """

    name: str
    version: int
    digest: str
    run_id: str

    @property
    def label(self) -> str:
        """What it is called, "trend@1"."""
        return f"{self.name}@{self.version}"

    def as_dict(self) -> dict[str, Any]:
        """Stable keys, for `--json`."""
        return {
            "release": self.label,
            "name": self.name,
            "version": self.version,
            "digest": self.digest,
            "run_id": self.run_id,
        }


@dataclass(frozen=True, slots=True)
class Standing:
    """What the evidence says of a release.

    Parameters
    ----------
    permits : the targets that its last gate reports open.
    mark : what has to be said of it wherever it is shown; empty where there is nothing.
    """

    permits: tuple[str, ...]
    mark: str


@dataclass(frozen=True, slots=True)
class ReleaseTable:
    """Every version of every release.

    Parameters
    ----------
    versions : by name, stage and number.
    standings : digest to what the evidence says.
    """

    versions: tuple[Version, ...]
    standings: Mapping[str, Standing] = field(hash=False)

    def __iter__(self) -> Iterator[Version]:
        return iter(self.versions)

    def __len__(self) -> int:
        return len(self.versions)

    def as_dict(self) -> dict[str, Any]:
        """Stable keys, for `--json`."""
        return {"releases": [_entry(version, self.standings[version.digest]) for version in self.versions]}

    def table(self) -> tuple[tuple[str, ...], Sequence[tuple[str, ...]]]:
        """Header and lines."""
        header = ("release", "stands in", "aliases", "gates permit", "mark", "digest", "evidence of", "registered")
        return header, [_line(version, self.standings[version.digest]) for version in self.versions]

    def __str__(self) -> str:
        return self._repr_mimebundle_()["text/plain"]

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return bundle(f"{len(self)} registered version{'' if len(self) == 1 else 's'}", *self.table())


def standing_of(store: EvidenceStore, digest: str, public_key: bytes | None) -> Standing:
    """What the evidence in a state folder says of a release, each report verified."""
    if digest not in store.digests():
        return Standing((), NO_EVIDENCE)
    try:
        signed = [store.report(digest, target) for target in get_args(Target)]
        found = [each.verify(public_key or b"", manifest_digest=digest) for each in signed if each is not None]
    except EvidenceRefused:
        return Standing((), DAMAGED)
    permits = tuple(report.target for report in found if report.permits)
    return Standing(permits, SKILL_NOT_SHOWN if any(report.skill_failed for report in found) else "")


def _line(version: Version, standing: Standing) -> tuple[str, ...]:
    second = version.created_ns // _NS_PER_SECOND * _NS_PER_SECOND
    return (
        version.label,
        version.stage,
        " ".join(version.aliases),
        " ".join(standing.permits) or "nothing yet",
        standing.mark,
        version.digest[:_SHORT],
        version.tags.get("data", ""),
        stamp(second),
    )


def _entry(version: Version, standing: Standing) -> dict[str, Any]:
    return {
        "release": version.label,
        "model": version.model,
        "stage": version.stage,
        "version": version.number,
        "digest": version.digest,
        "aliases": list(version.aliases),
        "permits": list(standing.permits),
        "mark": standing.mark,
        "data": version.tags.get("data", ""),
        "run_id": version.run_id,
        "created_ns": str(version.created_ns),
    }
