"""The lines of an evidence record: each names the one before by its digest, so that none can be changed unseen."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sapphire.data.durable import append
from sapphire.domain.canonical import is_sha256, read_canonical, sha256_of
from sapphire.domain.errors import EvidenceRefused, ValueRefused

__all__ = ["ACTS", "FIRST", "SHORT", "Record", "append_line", "read_chain"]

ACTS = ("registered", "report", "promoted", "rolled_back", "revoked")
"""Records of what was done about a release; every other kind is evidence, and makes a gate report old."""

FIRST = "0" * 64
"""What stands before the first line of a record."""
SHORT = 12
_KEYS = ("at_ns", "before", "facts", "files", "kind")


@dataclass(frozen=True, slots=True)
class Record:
    """One line of the record.

    Parameters
    ----------
    kind : "bundle", "parity", and what was done about them; see `ACTS`.
    at_ns : when it was written, UTC nanoseconds.
    facts : plain values.
    files : name of a file beside the record to its sha256.
    before, head : sha256 of the line before, and of its own.
    """

    kind: str
    at_ns: int
    facts: Mapping[str, Any] = field(hash=False)
    files: Mapping[str, str] = field(hash=False)
    before: str = field(repr=False)
    head: str = field(repr=False)

    @property
    def is_evidence(self) -> bool:
        """Whether it says something of the release; otherwise it says what was done about it."""
        return self.kind not in ACTS


def read_chain(path: Path) -> Iterator[Record]:
    """Each record, verified against the one before; a last line without an end was not written yet."""
    data = path.read_bytes()
    head = FIRST
    for number, line in enumerate(data[: data.rfind(b"\n") + 1].splitlines(), start=1):
        entry = _parse(path, number, line)
        before, head = head, sha256_of(line)
        if entry["before"] != before:
            raise _damaged(path, number, f"the digest of the line before, {before[:SHORT]}", entry["before"][:SHORT])
        yield Record(entry["kind"], entry["at_ns"], entry["facts"], entry["files"], before, head)


def _parse(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        entry = read_canonical(line, what=f"line {number} of {path.name}")
    except ValueRefused as error:
        raise _damaged(path, number, error.expected, error.got) from None
    kinds = {"at_ns": int, "before": str, "facts": dict, "files": dict, "kind": str}
    if not isinstance(entry, dict) or sorted(entry) != list(_KEYS):
        raise _damaged(path, number, f"the keys {', '.join(_KEYS)}", f"{entry!s:.60}")
    if not all(isinstance(entry[key], kind) for key, kind in kinds.items()):
        raise _damaged(path, number, "values of a record", f"{entry!s:.60}")
    for name, sha256 in entry["files"].items():
        if not is_sha256(sha256) or Path(name).name != name:
            raise _damaged(path, number, "names of files beside it and their sha256", f"{name}: {sha256!s:.70}")
    return entry


def _damaged(path: Path, number: int, expected: str, got: str) -> EvidenceRefused:
    return EvidenceRefused(
        f"the evidence of release {path.parent.name[:SHORT]} does not verify at line {number} of {path.name}",
        expected=expected,
        got=got,
        next=f"restore {path.parent} from a backup, or submit the study again into an empty folder",
    )


def append_line(path: Path, line: bytes) -> None:
    """Adds a line for good; what a writer that died left of its own is cut before.

    Raises
    ------
    PlaceFull : no room. Nothing is added.
    """
    new = not path.exists()
    with path.open("a+b", buffering=0) as file:
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)
        append(file.fileno(), line + b"\n", path)
    if new:
        descriptor = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
