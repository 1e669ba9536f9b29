"""The account's limits: those that the release's evidence was made under, scaled to what the account begins with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sapphire.domain.errors import EvidenceRefused
from sapphire.domain.limits import STANDARD, Limits

__all__ = ["account_limits"]


def account_limits(home: Path, release: str, equity_atoms: int) -> dict[str, Any]:
    """The whole tree by the engine's names; the standard limits where there is no evidence that says others.

    The release's own limits stand in its manifest, and the service tightens these by them.

    Parameters
    ----------
    home : the state folder.
    release : digest of its manifest.
    equity_atoms : what the account begins with, atoms of the quote asset.
    """
    return _limits_of(home, release).settings(equity_atoms)


def _limits_of(home: Path, release: str) -> Limits:
    from sapphire.registry import EvidenceStore

    try:
        declared = EvidenceStore(home / "evidence").bundle(release).protocol.limits
    except EvidenceRefused:  # whether it may trade without is for the door to say
        return STANDARD
    return Limits(**declared)
