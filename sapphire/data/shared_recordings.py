"""Recorded series in a place: what other machines recorded is joined with what is here before anything is added.

A series' head points at its month files and its `series.json`. What a machine has seen of the head is noted beside the
files, so that a series that nobody else wrote is not read again.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sapphire.data.durable import write_text
from sapphire.data.places import Place, shared_place
from sapphire.data.places.chains import put_files
from sapphire.data.places.folders import files_of, read_index, send_folder
from sapphire.data.places.place import Head

__all__ = ["SERIES_FILE", "SharedSeries", "shared_series"]

SERIES_FILE = "series.json"
"""What is covered, and where it is from."""
_ROOM = "recordings"
_SEEN = ".place.json"


@dataclass(frozen=True, slots=True)
class SharedSeries:
    """One series in a place.

    Parameters
    ----------
    place : where.
    name : of its head.
    folder : the series here.
    """

    place: Place
    name: str
    folder: Path

    @classmethod
    def of(cls, root: Path, folder: Path) -> SharedSeries | None:
        """The series of a folder here; None where the state folder is all there is.

        Parameters
        ----------
        root : of the recordings.
        """
        place = shared_place()
        return None if place is None else cls(place, f"{_ROOM}/{folder.relative_to(root).as_posix()}", folder)

    def head(self) -> Head | None:
        """Where it stands in the place. Raises `PlaceError` where that does not answer."""
        return self.place.head(self.name)

    def is_seen(self, head: Head | None) -> bool:
        """Whether what the place has was joined with what is here."""
        return head is None or ((self.folder / SERIES_FILE).is_file() and self._seen() == [head.sequence, head.value])

    @contextmanager
    def fetched(self, head: Head) -> Iterator[Path]:
        """A folder of recordings with the place's files of this series, for as long as the block lasts.

        Raises
        ------
        PlaceError : the place does not answer, or lacks a file.
        """
        index = read_index(self.place, _ROOM, head)
        new = files_of(self.place, _ROOM, index, beside=self.folder)
        same = {name: (self.folder / name).read_bytes() for name in index if name not in new}
        with tempfile.TemporaryDirectory() as temporary:
            put_files(Path(temporary, self.name.removeprefix(f"{_ROOM}/")), {**same, **new})
            yield Path(temporary)

    def send(self, head: Head | None) -> bool:
        """Put what is here into the place, behind what it has; whether it had not the same.

        Raises
        ------
        HeadMoved : somebody else put something; join that, then again.
        PlaceError : the place does not take it. It stays here, and the next one sends it.
        """
        paths = [path for path in sorted(self.folder.iterdir()) if path.name[0] != "."]
        files = {path.name: path.read_bytes() for path in paths}
        before, now = (0, "") if head is None else (head.sequence, head.value)
        after = send_folder(self.place, _ROOM, self.name, files, before=before, now=now)
        self.note(self.head())
        return after != before

    def note(self, head: Head | None) -> None:
        """Note that what the place has is here."""
        if head is not None:
            write_text(self.folder / _SEEN, json.dumps([head.sequence, head.value]))

    def _seen(self) -> object:
        try:
            return json.loads((self.folder / _SEEN).read_text())
        except (OSError, ValueError):
            return None


def shared_series() -> dict[str, bytes]:
    """Path of every series in the place, from the recordings' folder, to its `series.json`.

    Raises
    ------
    PlaceError : the place does not answer.
    """
    place = shared_place()
    found = {}
    for head in () if place is None else place.newest(_ROOM):
        index = read_index(place, _ROOM, head) if place is not None else {}
        if place is not None and SERIES_FILE in index:
            found[head.name.removeprefix(f"{_ROOM}/")] = place.get(_ROOM, index[SERIES_FILE])
    return found
