"""A place in a folder: one that several machines see, or several state folders of one.

Layout::

    bytes/<room>/<sha256>       put in place in one step, and only where there is none
    heads/<name>.moves          one line per move, under a lock: before, sequence, value
"""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sapphire.data.durable import append, full_disk, locked
from sapphire.data.places.place import Head
from sapphire.domain.errors import HeadMoved, PlaceDamaged, PlaceDenied, PlaceError, PlaceUnreachable

__all__ = ["FolderBlobs", "FolderHeads"]

_MOVES = ".moves"
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}


class FolderBlobs:
    """Bytes in a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def where(self) -> str:
        """The folder."""
        return f"folder {self._root}"

    def put(self, key: str, data: bytes) -> None:
        """Put bytes where there are none."""
        path = self._root / "bytes" / key
        with _as_place_errors(self._root):
            _check_there(self._root)
            if path.exists():
                return
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=".writing-", dir=path.parent)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fchmod(file.fileno(), 0o644)
                    os.fsync(file.fileno())
                Path(name).replace(path)
            finally:
                Path(name).unlink(missing_ok=True)
            _sync(path.parent)

    def get(self, key: str) -> bytes | None:
        """The bytes under a key."""
        with _as_place_errors(self._root):
            try:
                return (self._root / "bytes" / key).read_bytes()
            except FileNotFoundError:
                _check_there(self._root)
                return None

    def keys(self, prefix: str) -> tuple[str, ...]:
        """Every key in a folder."""
        with _as_place_errors(self._root):
            _check_there(self._root)
            folder = self._root / "bytes" / prefix
            found = folder.iterdir() if folder.is_dir() else ()
            return tuple(sorted(f"{prefix}{each.name}" for each in found if not each.name.startswith(".")))


class FolderHeads:
    """Heads in a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def where(self) -> str:
        """The folder."""
        return f"folder {self._root}"

    def newest(self, prefix: str) -> tuple[Head, ...]:
        """Where each head stands."""
        with _as_place_errors(self._root):
            _check_there(self._root)
            folder = self._root / "heads" / prefix
            paths = [self._path(prefix), *(folder.rglob(f"*{_MOVES}") if folder.is_dir() else ())]
            found = [self._moves(path) for path in paths if path.is_file()]
        return tuple(sorted((moves[-1] for moves in found if moves), key=lambda each: each.name))

    def since(self, name: str, sequence: int) -> tuple[Head, ...]:
        """The moves beyond a sequence."""
        with _as_place_errors(self._root):
            _check_there(self._root)
            path = self._path(name)
            moves = self._moves(path) if path.is_file() else ()
        return tuple(each for each in moves if each.sequence > sequence)

    def move(self, name: str, *, before: int, sequence: int, value: str) -> Head:
        """Move a head, if it stands at `before`."""
        path = self._path(name)
        with _as_place_errors(self._root):
            _check_there(self._root)
            path.parent.mkdir(parents=True, exist_ok=True)
            with locked(path.with_name(f".{path.name}.lock")):
                moves = self._moves(path) if path.is_file() else ()
                stands = moves[-1].sequence if moves else 0
                if stands != before:
                    raise HeadMoved(f"{name} was moved meanwhile", expected=f"{before}", got=f"{stands}")
                _append(path, json.dumps([before, sequence, value]).encode())
        return Head(name, before, sequence, value)

    def _path(self, name: str) -> Path:
        path = self._root / "heads" / name
        return path.with_name(path.name + _MOVES)

    def _moves(self, path: Path) -> tuple[Head, ...]:
        """Every move; a last line without an end was not written yet."""
        name = path.relative_to(self._root / "heads").as_posix().removesuffix(_MOVES)
        data = path.read_bytes()
        try:
            lines = [json.loads(line) for line in data[: data.rfind(b"\n") + 1].splitlines()]
            return tuple(Head(name, int(before), int(after), str(value)) for before, after, value in lines)
        except (ValueError, TypeError):
            raise PlaceDamaged(
                f"the moves of {name} do not read",
                expected="one line per move: before, sequence, value",
                got=f"{path} with something else",
                next="restore it from a backup",
            ) from None


def _append(path: Path, line: bytes) -> None:
    """Add a line for good; what a writer that died left of its own is cut before, and of this one nothing on error."""
    with path.open("a+b", buffering=0) as file:
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)
        append(file.fileno(), line + b"\n", path)
    _sync(path.parent)


def _check_there(root: Path) -> None:
    """Tell an empty place from one that is not there: a share that is not mounted."""
    if not root.is_dir():
        raise PlaceUnreachable(
            f"the folder {root} of [places] is not there",
            expected="a folder that this machine sees",
            got="none",
            next="mount it, make it, or name another as [places] folder in sapphire.toml",
        )


@contextmanager
def _as_place_errors(root: Path) -> Iterator[None]:
    """What the system says, as errors of a place."""
    try:
        yield
    except OSError as error:
        raise _place_error(root, error) from error


def _place_error(root: Path, error: OSError) -> PlaceError:
    full = full_disk(error, root)
    if full is not None:
        return full
    cause = f"{error.strerror or error} ({error.filename or root})"
    if error.errno in _DENIED:
        rights = "a folder that may be read and written"
        return PlaceDenied(f"the folder {root} refuses", expected=rights, got=cause, next="change its rights")
    return PlaceUnreachable(f"the folder {root} does not answer", expected="a folder", got=cause, next="see its mount")


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
