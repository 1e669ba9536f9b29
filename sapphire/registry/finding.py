"""Finding: a release by the name that people give it, its label or the first digits of its digest."""

from __future__ import annotations

import re

from sapphire.domain.canonical import is_sha256
from sapphire.domain.errors import EvidenceRefused, Refused
from sapphire.registry.evidence_store import EvidenceStore

__all__ = ["find_release", "is_unregistered", "label_of"]

_LABEL = re.compile(r"(?:research\.)?(?P<name>[a-z0-9][a-z0-9_-]*)@(?P<version>[1-9][0-9]*)", re.ASCII)
_PREFIX = re.compile(r"[0-9a-f]{8,64}", re.ASCII)
_SHORT = 12


def find_release(store: EvidenceStore, release: str) -> str:
    """Digest of a release named "trend@1", by its digest, or by the first eight or more digits of it.

    Raises
    ------
    Refused : no such release here, or several.
    """
    if is_sha256(release) and release in store.digests():
        return release
    damaged: list[str] = []
    label = _LABEL.fullmatch(release)
    if label:
        found, damaged = _registered_as(store, label["name"], int(label["version"]))
    else:
        prefix = release if _PREFIX.fullmatch(release) else "none"
        found = [digest for digest in store.digests() if digest.startswith(prefix)]
    if len(found) != 1:
        got = [digest[:_SHORT] for digest in found] or ["none of that name"]
        got += [f"and evidence of {digest[:_SHORT]} that does not verify" for digest in damaged]
        raise Refused(
            f"no release {release} here" if not found else f"{release} names {len(found)} releases",
            expected="NAME@VERSION of a submitted release, or its digest",
            got=", ".join(got),
            next="sapphire releases lists them",
        )
    return found[0]


def label_of(store: EvidenceStore, digest: str) -> str:
    """What a registered release is called, "trend@1"; the start of its digest where it is not registered."""
    record = store.last(digest, "registered")
    return f"{record.facts['name']}@{record.facts['version']}" if record is not None else digest[:_SHORT]


def is_unregistered(store: EvidenceStore, digest: str) -> bool:
    """Whether something was measured of a release since it was registered last."""
    kinds = [record.kind for record in store.records(digest) if record.kind in ("bundle", "registered")]
    return kinds[-1] == "bundle"


def _registered_as(store: EvidenceStore, name: str, number: int) -> tuple[list[str], list[str]]:
    """The releases of a label, and those whose evidence does not verify: they might have been it."""
    found, damaged = [], []
    for digest in store.digests():
        try:
            record = store.last(digest, "registered", {"name": name, "version": number})
        except EvidenceRefused:
            damaged.append(digest)
        else:
            found += [digest] if record is not None else []
    return found, damaged
