"""Revoking: the signed list of releases that were closed for good, written beside the key and in the state folder."""

from __future__ import annotations

from pathlib import Path

from sapphire.data.durable import locked, replace_file
from sapphire.domain.errors import EvidenceRefused
from sapphire.domain.permits import Trust
from sapphire.domain.revocations import Revocation, Revocations
from sapphire.registry.admission import Admission
from sapphire.registry.sharing import send_revocations
from sapphire.registry.signing import SigningKey
from sapphire.registry.trust import revocation_files

__all__ = ["add_revocation", "check_signer"]


def add_revocation(
    admission: Admission, trust: Trust, key: SigningKey, revocation: Revocation
) -> tuple[Revocation, bool]:
    """Add a release to the list, unless it is there; the entry, and whether it is new.

    Raises
    ------
    EvidenceRefused : the list that is there does not verify, or the key is not the one that is trusted.
    PlaceError : the place does not take it; nothing is revoked.
    """
    check_signer(key, trust)
    keys = admission.deployment.key.parent

    def grow(known: Revocations) -> tuple[Revocations, bytes]:
        is_there = known.find(revocation.manifest_digest) is not None
        grown = known if is_there else Revocations((*known.entries, revocation))
        return grown, grown.signed(key.sign(grown.canonical))

    with locked(keys / ".lock"):
        send_revocations(admission.home, admission.deployment, trust, grow)
        known = admission.deployment.revocations(admission.home, trust)
        found = known.find(revocation.manifest_digest)
        _, data = grow(known)
        for path in revocation_files(keys, admission.home):
            _put(path, data)
    return found or revocation, found is None


def check_signer(key: SigningKey, trust: Trust) -> None:
    """Refuse to sign by a key that no door here trusts: what it signed would stand in every door's way.

    Raises
    ------
    EvidenceRefused : it is another.
    """
    if (key.public, key.authority) != (trust.public_key, trust.authority):
        raise EvidenceRefused(
            "the key that would sign is not the one that is trusted here",
            expected=f"the key of the deployment, {trust.authority}",
            got=f"key {key.id[:12]}, {key.authority}",
            next="sign where the promoter's key is, or take [trust] out of sapphire.toml",
        )


def _put(path: Path, data: bytes) -> None:
    replace_file(path, lambda temporary: _write(temporary, data))


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)
