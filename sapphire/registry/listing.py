"""What the registry holds, as a table: every release, where it stands, and its marks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from sapphire.domain.display import bundle, stamp
from sapphire.domain.errors import EvidenceRefused
from sapphire.domain.evidence import SKILL_NOT_SHOWN, GateReport, Target
from sapphire.domain.permits import verify
from sapphire.registry.admission import Admission
from sapphire.registry.evidence_store import EvidenceStore
from sapphire.registry.false_discoveries import Discovered, discovered
from sapphire.registry.versions import Version

__all__ = [
    "DAMAGED",
    "ENDED",
    "NO_EVIDENCE",
    "REVOKED",
    "RegisteredRelease",
    "ReleaseTable",
    "Standing",
    "standing_of",
]

DAMAGED = "evidence does not verify"
NO_EVIDENCE = "no evidence here"
REVOKED = "revoked"
ENDED = "permit ended"
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
    permits : the stages whose doors are open to it.
    mark : what has to be said of it wherever it is shown; empty where there is nothing.
    reports : its last gate report for each stage, verified.
    """

    permits: tuple[str, ...]
    mark: str
    reports: tuple[GateReport, ...] = ()


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

    @property
    def discovered(self) -> tuple[Discovered, ...]:
        """For each stage, how many of the releases measured for it show skill, and how many of those by luck."""
        return discovered(report for standing in self.standings.values() for report in standing.reports)

    def as_dict(self) -> dict[str, Any]:
        """Stable keys, for `--json`."""
        return {
            "releases": [_entry(version, self.standings[version.digest]) for version in self.versions],
            "discovered": [each.as_dict() for each in self.discovered],
        }

    def table(self) -> tuple[tuple[str, ...], Sequence[tuple[str, ...]]]:
        """Header and lines."""
        header = ("release", "stands in", "aliases", "gates permit", "mark", "digest", "evidence of", "registered")
        return header, [_line(version, self.standings[version.digest]) for version in self.versions]

    def __str__(self) -> str:
        return self._repr_mimebundle_()["text/plain"]

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        caption = f"{len(self)} registered version{'' if len(self) == 1 else 's'}"
        return bundle("\n".join([caption, *map(str, self.discovered)]), *self.table())


def standing_of(admission: Admission, digest: str, name: str, at_ns: int) -> Standing:
    """What the evidence in a state folder says of a release now, each report verified."""
    store = EvidenceStore(admission.home / "evidence")
    if digest not in store.digests():
        return Standing((), NO_EVIDENCE)
    try:
        bundle_marks = store.bundle(digest).marks if store.last(digest, "bundle") is not None else ()
        reports = store.reports(digest)
        if not reports:
            return Standing((), ", ".join(bundle_marks))
        trust = admission.deployment.trust(admission.home)
        last = [each for each in (store.report(digest, target) for target in get_args(Target)) if each is not None]
        found = [verify(each, trust, manifest_digest=digest) for each in last]
        revoked = admission.deployment.revocations(admission.home, trust).find(digest) is not None
    except EvidenceRefused:
        return Standing((), DAMAGED)
    permits = tuple(target for target in get_args(Target) if _opens(admission, digest, name, target, at_ns))
    ended = any(each.permits and at_ns >= each.valid_until_ns for each in found) and not permits
    marks = [
        (revoked, REVOKED),
        (ended and not revoked, ENDED),
        (any(each.skill_failed for each in found), SKILL_NOT_SHOWN),
        *((True, mark) for mark in bundle_marks),
    ]
    return Standing(permits, ", ".join(mark for is_so, mark in marks if is_so), tuple(found))


def _opens(admission: Admission, digest: str, name: str, target: Target, at_ns: int) -> bool:
    try:
        return admission.permit(digest, stage=target, at_ns=at_ns, name=name).permits is not None
    except EvidenceRefused:
        return False


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
