"""Revocations: releases that were closed for good, as one signed list that only grows.

The list is one file of two lines: canonical JSON, and the signature over it in hexadecimal digits. It lies beside the
trusted key and in the state folder, and a release that either names is revoked, so cutting one of them undoes nothing.
A gate report says how many revocations its signer knew of: a list that is shorter everywhere is found by that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

from sapphire.domain.canonical import canonical_json, is_sha256, read_canonical
from sapphire.domain.errors import EvidenceRefused, PermitClosed, ValueRefused

__all__ = ["REVOCATIONS_FILE", "REVOCATIONS_FORMAT", "Revocation", "Revocations"]

REVOCATIONS_FORMAT = "REVOCATIONS@1"
"""Format of the list."""
REVOCATIONS_FILE: Final = "revocations.signed"
"""Its name, beside the trusted key and in the state folder's `evidence/`."""

_SHORT = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """One release that was closed for good.

    Parameters
    ----------
    manifest_digest : the release.
    name : what it is called.
    why : the reason that was given.
    who : "user@host".
    at_ns : when; UTC nanoseconds.

    Raises
    ------
    ValueRefused : a digest that is none, no reason, or a time that is none.
    """

    manifest_digest: str
    name: str
    why: str
    who: str
    at_ns: int

    def __post_init__(self) -> None:
        words = all(isinstance(each, str) and each.strip() for each in (self.name, self.why, self.who))
        timed = isinstance(self.at_ns, int) and not isinstance(self.at_ns, bool) and self.at_ns >= 0
        if not is_sha256(self.manifest_digest) or not words or not timed:
            raise ValueRefused(
                "a revocation", expected="a release's digest, a name, a reason, who and when", got=repr(self)
            )

    def as_dict(self) -> dict[str, Any]:
        """Stable keys."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


@dataclass(frozen=True, slots=True)
class Revocations:
    """Every revocation by one key, oldest first.

    Parameters
    ----------
    entries : the releases.
    """

    entries: tuple[Revocation, ...] = ()

    @property
    def sequence(self) -> int:
        """How many there are."""
        return len(self.entries)

    @property
    def canonical(self) -> bytes:
        """Canonical JSON: what is signed."""
        return canonical_json({"format": REVOCATIONS_FORMAT, "revoked": [each.as_dict() for each in self.entries]})

    def find(self, manifest_digest: str) -> Revocation | None:
        """The revocation of a release; None where it was not revoked."""
        return next((each for each in self.entries if each.manifest_digest == manifest_digest), None)

    def refuse(self, manifest_digest: str, name: str) -> None:
        """Refuse a release that was revoked.

        Raises
        ------
        PermitClosed : it was; says by whom and why.
        """
        found = self.find(manifest_digest)
        if found is not None:
            raise PermitClosed(
                f"release {name} {manifest_digest[:_SHORT]} was revoked",
                expected="a release that was not",
                got=f"{found.why} ({found.who})",
                next="sapphire rollback goes back to the champion before it; a revocation is for good",
            )

    def signed(self, signature: bytes) -> bytes:
        """The file's content."""
        return self.canonical + b"\n" + signature.hex().encode("ascii") + b"\n"

    @classmethod
    def read(cls, data: bytes) -> tuple[Revocations, bytes, bytes]:
        """The list in a file's content, what was signed, and the signature, which is for the caller to verify.

        Raises
        ------
        EvidenceRefused : not such a file.
        """
        signed, _, rest = data.partition(b"\n")
        try:
            signature = bytes.fromhex(rest.decode("ascii"))
            value = read_canonical(signed, what="list of revocations")
            if not isinstance(value, dict) or sorted(value) != ["format", "revoked"]:
                raise ValueRefused("list of revocations", expected="the keys format, revoked", got=f"{value!s:.60}")
            if value["format"] != REVOCATIONS_FORMAT or not isinstance(value["revoked"], list):
                raise ValueRefused("list of revocations", expected=REVOCATIONS_FORMAT, got=f"{value['format']!s:.60}")
            return cls(tuple(Revocation(**each) for each in value["revoked"])), signed, signature
        except (ValueRefused, ValueError, TypeError) as error:
            raise EvidenceRefused(
                "the list of revocations does not read",
                expected=f"one line of {REVOCATIONS_FORMAT} and one with its signature",
                got=str(error).splitlines()[0],
                next="restore it from a backup",
            ) from None

    @classmethod
    def longest(cls, lists: Sequence[Revocations]) -> Revocations:
        """What several copies of one list say together.

        Raises
        ------
        EvidenceRefused : copies of which none begins with the other.
        """
        most = max(lists, key=lambda each: each.sequence, default=cls())
        if any(most.entries[: each.sequence] != each.entries for each in lists):
            raise EvidenceRefused(
                "two lists of revocations differ",
                expected="one that begins with the other",
                got=" and ".join(f"{each.sequence} revocations" for each in lists),
                next="restore the list beside the trusted key from a backup",
            )
        return most
