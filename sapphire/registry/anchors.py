"""Anchors: how far the record of each release had come, kept outside of the state folder.

A chain of records cannot tell that its newest lines were cut off. So whoever signs notes, beside the key, the number of
lines and the last line's digest; a record that is shorter than its anchor, or another, is refused. One file for each
state folder, named by the digest of its path: a copy of a state folder is another one, and begins without anchors.

The trial ledger of a state folder has a file of its own there, moved with every line that is written: a state folder
that was copied before a search and put back behind it lacks the lines of the search.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from sapphire.data.durable import locked, replace_file
from sapphire.domain.canonical import canonical_json, is_sha256, read_canonical, sha256_of
from sapphire.domain.errors import ConfigError, EvidenceRefused, LedgerDamaged, PlaceFull, ValueRefused
from sapphire.registry.versions import STAGES, Version, Versions, model_name

__all__ = ["ANCHORS", "TAG", "Anchors", "LedgerMark", "anchored", "check_tags", "note_tag"]

ANCHORS = "anchors"
"""Folder of the anchors beside the key."""
TAG = "evidence.anchor"
"""Tag of a version in MLflow: number of lines and head of the release's record, "12:5f0c..."."""
_DIGITS = 16
_SHORT = 12


@dataclass(frozen=True, slots=True)
class Anchors:
    """The anchors of one state folder.

    Parameters
    ----------
    keys : folder of the key.
    home : the state folder.
    """

    keys: Path
    home: Path

    @property
    def path(self) -> Path:
        """The file."""
        named = sha256_of(str(self.home.resolve()).encode())[:_DIGITS]
        return self.keys / ANCHORS / f"{named}.json"

    def note(self, digest: str, heads: Sequence[str]) -> None:
        """Remember how far the record of a release has come.

        Parameters
        ----------
        heads : the digest of each of its lines.
        """
        with locked(self.keys / ".lock"):
            entries = self._read() | {digest: [len(heads), heads[-1]]}
            data = canonical_json(entries)
            replace_file(self.path, lambda temporary: _write(temporary, data))

    def check(self, digest: str, heads: Sequence[str]) -> None:
        """Refuse a record that does not go on from where it was.

        Raises
        ------
        EvidenceRefused : it is shorter, or another; or the anchors do not read.
        """
        entry = self._read().get(digest)
        if entry is not None:
            anchored(digest, heads, lines=entry[0], head=entry[1], where=str(self.path))

    def _read(self) -> dict[str, Any]:
        if not self.path.exists():
            return {}
        try:
            entries: object = read_canonical(self.path.read_bytes(), what="anchors")
            if isinstance(entries, dict) and all(
                type(lines) is int and lines > 0 and is_sha256(head) for lines, head in entries.values()
            ):
                return entries
        except (ValueRefused, ValueError, TypeError):
            pass
        raise EvidenceRefused(
            "the anchors of this state folder do not read",
            expected="release to number of lines and digest",
            got=f"{self.path} with something else",
            next="restore it from a backup",
        )


@dataclass(frozen=True, slots=True)
class LedgerMark:
    """How far the trial ledger of a state folder had come.

    The ledger's line is written first and the mark moved behind it, under the ledger's lock: a mark may lag behind by
    what one append wrote, and never leads.

    Parameters
    ----------
    keys : folder of the key.
    ledger : folder of the ledger.
    """

    keys: Path
    ledger: Path

    @property
    def path(self) -> Path:
        """The file."""
        named = sha256_of(str(self.ledger.resolve()).encode())[:_DIGITS]
        return self.keys / ANCHORS / f"{named}.ledger.json"

    def ready(self) -> None:
        """Refuse to go on where the mark could not be moved: asked before a line is written, so that none is in vain.

        Raises
        ------
        ConfigError : the configuration folder cannot be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with NamedTemporaryFile(dir=self.path.parent):
                pass
        except OSError as error:
            raise self._unwritable(error) from None

    def note(self, lines: int, head: str) -> None:
        """Remember how far it has come: number of lines, and digest of the last.

        Raises
        ------
        ConfigError : the configuration folder cannot be written. The line stands; nothing may be run on it.
        """
        data = canonical_json([lines, head])
        try:
            replace_file(self.path, lambda temporary: _write(temporary, data))
        except (OSError, PlaceFull) as error:
            raise self._unwritable(error) from None

    def read(self) -> tuple[int, str] | None:
        """What was remembered; None where nothing was.

        Raises
        ------
        LedgerDamaged : the mark does not read.
        """
        try:
            entry: object = read_canonical(self.path.read_bytes(), what="the mark of a ledger")
        except FileNotFoundError:
            return None
        except (ValueRefused, ValueError):
            entry = None
        if isinstance(entry, list) and len(entry) == 2 and type(entry[0]) is int and is_sha256(entry[1]):
            lines, head = entry
            if lines > 0:
                return lines, head
        raise LedgerDamaged(
            "the mark of the trial ledger does not read",
            expected="number of lines and digest",
            got=f"{self.path} with something else",
            next="restore it from a backup",
        )

    def check(self, marked: tuple[int, str] | None, heads: Sequence[str]) -> None:
        """Refuse a ledger that does not go on from where it was.

        Parameters
        ----------
        marked : what `read` gave before the ledger was read: a mark that is read later may lead.
        heads : the digest of each line of the ledger.

        Raises
        ------
        LedgerDamaged : it does not; says how many lines are missing.
        """
        if marked is None or tuple(heads[marked[0] - 1 : marked[0]]) == (marked[1],):
            return
        lines, head = marked
        missing = f": {lines - len(heads):,} missing" if len(heads) < lines else f", digest {heads[lines - 1][:_SHORT]}"
        raise LedgerDamaged(
            "the trial ledger is not the one that was last written here",
            expected=f"{lines:,} lines or more, line {lines:,} with digest {head[:_SHORT]}, as {self.path} says",
            got=f"{len(heads):,} lines{missing}",
            next=f"restore the newer ledger to {self.ledger}; where a backup was restored on purpose, go on in a fresh "
            "state folder, named by SAPPHIRE_HOME: a fresh state folder begins a fresh ledger, and evidence shows how "
            "few lines it was counted on",
        )

    def _unwritable(self, error: OSError | PlaceFull) -> ConfigError:
        return ConfigError(
            "the trial ledger cannot be marked in the configuration folder",
            expected=f"a folder that may be written: {self.path.parent}",
            got=str(error),
            next="make it writable, or name another one by XDG_CONFIG_HOME",
        )


def anchored(digest: str, heads: Sequence[str], *, lines: int, head: str, where: str) -> None:
    """Refuse a record whose line of that number is not the one that was anchored.

    Raises
    ------
    EvidenceRefused : it is not.
    """
    if len(heads) < lines or heads[lines - 1] != head:
        raise EvidenceRefused(
            f"the evidence of release {digest[:_SHORT]} was cut back",
            expected=f"line {lines} with digest {head[:_SHORT]}, as {where} says",
            got=f"{len(heads)} lines" if len(heads) < lines else f"digest {heads[lines - 1][:_SHORT]} there",
            next="restore the evidence from a backup",
        )


def note_tag(versions: Versions, version: Version, heads: Sequence[str]) -> None:
    """Note on a version how far the record of its release has come."""
    versions.note(version, TAG, f"{len(heads)}:{heads[-1]}")


def check_tags(versions: Versions, name: str, digest: str, heads: Sequence[str]) -> None:
    """Refuse a record that is shorter than what MLflow knows of it.

    Raises
    ------
    EvidenceRefused : it is.
    """
    for stage in STAGES:
        version = versions.with_digest(model_name(stage, name), digest)
        lines, _, head = (version.tags.get(TAG, "") if version is not None else "").partition(":")
        if version is not None and lines.isdecimal():
            anchored(digest, heads, lines=int(lines), head=head, where=f"MLflow's {version.label}")


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)
