"""Snapshots in a place: sent when they are kept, and brought when somebody asks for their hash."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sapphire.data.durable import replace_folder
from sapphire.data.places import shared_place
from sapphire.data.places.chains import put_files
from sapphire.data.places.folders import files_of, read_index, send_folder
from sapphire.domain.canonical import is_sha256
from sapphire.domain.errors import HeadMoved

__all__ = ["bring_snapshot", "send_snapshot", "shared_hashes", "shared_manifest"]

_ROOM = "snapshots"


def send_snapshot(folder: Path) -> bool:
    """Put a snapshot into the place, unless it is there; whether it was put.

    Raises
    ------
    PlaceError : the place does not take it. It is kept here; the same request sends it again.
    """
    place = shared_place()
    name = f"{_ROOM}/{folder.name}"
    if place is None or place.head(name) is not None:
        return False
    files = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name[0] != "."}
    try:
        send_folder(place, _ROOM, name, files, before=0)
    except HeadMoved:  # another machine took the same
        return False
    return True


def shared_hashes() -> tuple[str, ...]:
    """The hash of every snapshot in the place. Raises `PlaceError` where it does not answer."""
    place = shared_place()
    heads = () if place is None else place.newest(_ROOM)
    return tuple(name for name in (head.name.rpartition("/")[2] for head in heads) if is_sha256(name))


def shared_manifest(digest: str) -> dict[str, Any]:
    """The manifest of a snapshot in the place, whose bars are not read; whoever loads it verifies it.

    Raises
    ------
    PlaceError : the place does not answer, or has it no more.
    """
    place = shared_place()
    head = None if place is None else place.head(f"{_ROOM}/{digest}")
    if place is None or head is None:
        return {}
    found: dict[str, Any] = json.loads(place.get(_ROOM, read_index(place, _ROOM, head)["manifest.json"]))
    return found


def bring_snapshot(root: Path, digest: str) -> None:
    """Have a snapshot of the place here. Errors as `shared_manifest`."""
    place = shared_place()
    head = None if place is None else place.head(f"{_ROOM}/{digest}")
    if place is None or head is None or (root / digest).exists():
        return
    files = files_of(place, _ROOM, read_index(place, _ROOM, head))
    replace_folder(root / digest, lambda temporary: put_files(temporary, files))
