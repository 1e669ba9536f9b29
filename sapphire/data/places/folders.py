"""Folders in a place: the files of a snapshot or of a recorded series, each under its sha256, named by one index.

A head's value is the sha256 of the index, which is put behind the files and before the head is moved: whoever reads
sees all of a folder or nothing of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from sapphire.data.places.place import Head, Place
from sapphire.domain.canonical import canonical_json, is_sha256, sha256_of
from sapphire.domain.errors import PlaceDamaged

__all__ = ["files_of", "read_index", "send_folder"]

_FORMAT = "FOLDER@1"
_FILE = re.compile(r"[A-Za-z0-9_=@+-][A-Za-z0-9_=.@+-]*", re.ASCII)


def read_index(place: Place, room: str, head: Head) -> dict[str, str]:
    """The name of each file of a folder, to its sha256.

    Raises
    ------
    PlaceDamaged : the index is not there, or is none.
    PlaceError : the place does not answer.
    """
    data = place.get(room, head.value)
    try:
        value = json.loads(data)
        files: dict[str, str] = value["files"]
        if value["format"] == _FORMAT and all(_FILE.fullmatch(each) and is_sha256(of) for each, of in files.items()):
            return files
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    raise PlaceDamaged(
        f"the index of {head.name} does not read",
        expected=f"names of files, {_FORMAT}",
        got=f"{data[:60]!r}",
        next="bring this machine to the release that wrote it",
    )


def files_of(place: Place, room: str, index: Mapping[str, str], beside: Path | None = None) -> dict[str, bytes]:
    """The files of an index by name, without those that lie in `beside` just so already. Errors as `Place.get`."""
    wanted = {name: of for name, of in index.items() if beside is None or not _has(beside / name, of)}
    return dict(zip(wanted, place.get_all(room, list(wanted.values())), strict=True))


def send_folder(place: Place, room: str, name: str, files: Mapping[str, bytes], *, before: int, now: str = "") -> int:
    """Put files into a place and let a head point at them; how far the head is then.

    Parameters
    ----------
    name : of the head.
    before : where it stands; 0 where there is none.
    now : what it points at. Where that is the same files, nothing is moved.

    Raises
    ------
    HeadMoved : it stands elsewhere.
    PlaceError : the place does not take them. Nobody sees anything of it.
    """
    index = canonical_json({"format": _FORMAT, "files": {each: sha256_of(data) for each, data in files.items()}})
    if sha256_of(index) == now:
        return before
    place.put_all(room, files)
    return place.move(name, before=before, sequence=before + 1, value=place.put(room, index)).sequence


def _has(path: Path, sha256: str) -> bool:
    return path.is_file() and sha256_of(path.read_bytes()) == sha256
