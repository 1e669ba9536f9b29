"""Admission: the door of serving. A release comes in whole and with a signed gate report, or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sapphire.domain.errors import EvidenceRefused
from sapphire.registry import EvidenceStore, trusted_key

if TYPE_CHECKING:
    from sapphire.domain.evidence import GateReport, Target
    from sapphire.domain.releases import Manifest
    from sapphire.serving.settings import Settings

__all__ = ["Admitted", "admit"]

_SHORT = 12


@dataclass(frozen=True, slots=True)
class Admitted:
    """A release that may be served.

    Parameters
    ----------
    folder : its bytes, verified.
    manifest : what it is.
    report : the gate report that it stands on, verified.
    """

    folder: Path
    manifest: Manifest
    report: GateReport


def admit(settings: Settings) -> Admitted:
    """The release that `settings` name, if its files and a gate report for the stage verify. None of its code runs.

    A report that permits live admits to paper as well; one that permits paper does not admit to live.

    Raises
    ------
    EvidenceRefused : a file that is missing, changed or foreign; no evidence, no report, or one that does not verify
        or does not permit the stage.
    """
    from sapphire.agents.release.files import read_release_files

    folder = settings.home / "releases" / settings.release
    manifest, _ = read_release_files(folder, settings.release)
    store = EvidenceStore(settings.home / "evidence")
    enough: tuple[Target, ...] = ("live",) if settings.stage == "live" else ("paper", "live")
    refusals: list[EvidenceRefused] = []
    for target in enough:
        signed = store.report(settings.release, target)
        if signed is None:
            continue
        try:
            report = signed.verify(trusted_key(settings.home), manifest_digest=settings.release, permits=target)
        except EvidenceRefused as refusal:
            refusals.append(refusal)
        else:
            return Admitted(folder, manifest, report)
    if refusals:
        raise refusals[0]
    raise EvidenceRefused(
        f"release {manifest.name} {settings.release[:_SHORT]} has no gate report for {settings.stage}",
        expected=f"a signed report in {store.folder(settings.release)}",
        got="none",
        next=f"sapphire gates {settings.release[:_SHORT]} --to {settings.stage}",
    )
