"""The files of a release: read and checked to the last byte before anything in them is used.

What is checked is what is used: a file is read once, and everything afterwards works on those bytes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from sapphire.domain.canonical import sha256_of
from sapphire.domain.errors import EvidenceRefused
from sapphire.domain.releases import MANIFEST_FILE, Manifest

__all__ = ["read_release_files", "write_release_files"]

_SHORT = 12


def read_release_files(folder: Path, expected_digest: str | None) -> tuple[Manifest, dict[str, bytes]]:
    """The manifest in `folder`, and its other files by their path, every digest verified.

    Raises
    ------
    EvidenceRefused : no release there, another one than expected, or a file that is missing, changed or foreign.
    """
    data = _manifest_bytes(folder)
    digest = sha256_of(data)
    if expected_digest is not None and digest != expected_digest:
        raise EvidenceRefused(
            f"another release than the one that was asked for is in {folder.name}",
            expected=f"{MANIFEST_FILE} with sha256 {expected_digest}",
            got=digest,
            next="take the release again from the registry",
        )
    manifest = Manifest.parse(data)
    there = dict(_entries(folder))
    wanted = manifest.files
    files = {path: (folder / path).read_bytes() for path in wanted if there.get(path) == "file"}
    found = {path: sha256_of(content) for path, content in files.items()}
    foreign = {f"{path} ({kind})": "" for path, kind in there.items() if path not in found and path != MANIFEST_FILE}
    manifest.verify_files(found | foreign)
    return manifest, files


def write_release_files(folder: Path, manifest: Manifest, files: Mapping[str, bytes]) -> None:
    """Write a release into an empty folder, every file down to the disk."""
    for path, content in {MANIFEST_FILE: manifest.canonical, **files}.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
    for here in sorted({(folder / path).parent for path in files}):
        descriptor = os.open(here, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _manifest_bytes(folder: Path) -> bytes:
    path = folder / MANIFEST_FILE
    if path.is_symlink() or not path.is_file():
        raise EvidenceRefused(
            "no release here",
            expected=f"a folder with a {MANIFEST_FILE}",
            got=f"{folder}, {'without one' if folder.is_dir() else 'which is no folder'}",
            next="sapphire releases lists what there is",
        )
    return path.read_bytes()


def _entries(folder: Path) -> Iterator[tuple[str, str]]:
    """Path and kind of everything in the folder but plain folders; links are not followed."""
    for here, folders, names in os.walk(folder):
        links = [name for name in folders if Path(here, name).is_symlink()]
        for name in (*links, *names):
            path = Path(here, name)
            kind = "link" if path.is_symlink() else "file" if path.is_file() else "neither file nor folder"
            yield path.relative_to(folder).as_posix(), kind
