"""Heads of the trial ledger, as evidence and registered versions keep them: any of them finds a shortened ledger."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sapphire.domain.canonical import sha256_of
from sapphire.domain.errors import EvidenceRefused

if TYPE_CHECKING:
    from sapphire.registry.evidence_store import EvidenceStore
    from sapphire.registry.measurements import EvidenceBundle
    from sapphire.registry.versions import Versions

__all__ = ["LedgerAnchor", "anchors_in", "anchors_of", "ledger_tags"]

HEAD_TAG, LINES_TAG, PLACE_TAG = "ledger.head", "ledger.lines", "ledger.place"
_SHORT = 12


@dataclass(frozen=True, slots=True)
class LedgerAnchor:
    """How far the ledger reached when something was counted on it.

    Parameters
    ----------
    kept_by : who keeps it, for messages.
    lines, head : number of lines, and digest of the last.
    """

    kept_by: str
    lines: int
    head: str


def ledger_tags(bundle: EvidenceBundle, home: Path) -> dict[str, str]:
    """The head that a bundle was counted on, whose ledger it was, and its protocol, as tags of a run and a version."""
    walk = bundle.walk_forward
    return {
        HEAD_TAG: walk.ledger_head,
        LINES_TAG: str(walk.ledger_lines),
        PLACE_TAG: _place(home),
        "protocol.sha256": bundle.protocol_digest,
    }


def anchors_in(store: EvidenceStore) -> Iterator[LedgerAnchor]:
    """The heads that the evidence of a state folder keeps; evidence that does not verify has none to show."""
    for digest in store.digests():
        try:
            records = store.records(digest)
        except EvidenceRefused:
            continue
        for record in records:
            if record.kind == "bundle" and "ledger_head" in record.facts:
                facts = record.facts
                yield LedgerAnchor(f"release {digest[:_SHORT]}", int(facts["ledger_lines"]), str(facts["ledger_head"]))


def anchors_of(versions: Versions, home: Path) -> Iterator[LedgerAnchor]:
    """The heads of a state folder's ledger that registered versions keep; another's ledger is another's matter."""
    for version in versions.all():
        if version.tags.get(PLACE_TAG) == _place(home):
            yield LedgerAnchor(version.label, int(version.tags[LINES_TAG]), version.tags[HEAD_TAG])


def _place(home: Path) -> str:
    """A name for a state folder of a machine."""
    return sha256_of(f"{platform.node()} {home.resolve()}".encode())[:_SHORT]
