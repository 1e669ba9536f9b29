"""A release's files: verified to the last byte, and copied so. No code of a release runs here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sapphire.data.durable import replace_folder

if TYPE_CHECKING:
    from sapphire.domain.releases import Manifest

__all__ = ["keep_release", "read_manifest"]


def read_manifest(folder: Path, *, digest: str | None = None) -> Manifest:
    """The manifest of a release's folder, every file verified against it.

    Parameters
    ----------
    digest : refuse another release than this one.

    Raises
    ------
    EvidenceRefused : no release, another one, or a file that is missing, changed or in no manifest.
    """
    from sapphire.agents.release.files import read_release_files

    return read_release_files(folder, digest)[0]


def keep_release(folder: Path, target: Path, *, digest: str | None = None) -> Manifest:
    """Copy a release to `target`, unless it is there, and verify what stands there then.

    Raises
    ------
    EvidenceRefused : either folder does not verify; what stands at `target` is left as it is.
    """
    from sapphire.agents.release.files import read_release_files, write_release_files

    manifest, files = read_release_files(folder, digest)
    if not target.exists():
        replace_folder(target, lambda temporary: write_release_files(temporary, manifest, files))
    return read_manifest(target, digest=manifest.digest)
