"""Files and folders that are there whole or not at all, and the lock of who writes them."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sapphire.domain.errors import PlaceFull, SapphireError

__all__ = ["append", "full_disk", "locked", "replace_file", "replace_folder", "write_text"]

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def full_disk(error: Exception, path: Path) -> PlaceFull | None:
    """The error of a disk without room, or of a quota that is used up; None where something else went wrong.

    Libraries pass on what the system said, as errors of their own and not always with its number.
    """
    number, message = (error.errno, error.strerror) if isinstance(error, OSError) else (None, None)
    message = message or str(error)
    if number not in _FULL and os.strerror(errno.ENOSPC) not in message:
        return None
    return PlaceFull(
        f"no room for {path}",
        expected="room on its disk",
        got=message,
        next="free some, then again: nothing is half kept",
    )


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except SapphireError:
        raise
    except Exception as error:
        full = full_disk(error, path)
        if full is None:
            raise
        raise full from error


def append(descriptor: int, data: bytes, path: Path, *, synced: bool = True) -> None:
    """Add bytes at the end of a file that is open for appending, all or none.

    Parameters
    ----------
    path : of the file, for the message.
    synced : whether they are on the disk for good before it returns.

    Raises
    ------
    PlaceFull : no room. The file is as long as it was.
    """
    end = os.fstat(descriptor).st_size
    with _told(path):
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(descriptor, left) :]
            if synced:
                os.fsync(descriptor)
        except BaseException:
            os.ftruncate(descriptor, end)
            raise


def replace_file(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` make the file under another name, sync it, and put it in place in one step.

    Raises
    ------
    PlaceFull : no room. What was there stays.
    """
    with _told(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".writing-", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            write(temporary)
            temporary.chmod(0o644)
            _sync(temporary)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        _sync(path.parent)


def write_text(path: Path, text: str) -> None:
    """Put `text` in place in one step. Errors as `replace_file`."""
    replace_file(path, lambda temporary: _write(temporary, text))


def replace_folder(folder: Path, fill: Callable[[Path], None]) -> bool:
    """Let `fill` make the folder under another name and put it in place in one step.

    Returns
    -------
    False if another writer put it there first; what stands is left as it is.

    Raises
    ------
    PlaceFull : no room. Nothing of it stays.
    """
    with _told(folder):
        return _replaced(folder, fill)


def _replaced(folder: Path, fill: Callable[[Path], None]) -> bool:
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".writing-", dir=folder.parent))
    try:
        fill(temporary)
        temporary.chmod(0o755)
        for path in (*temporary.iterdir(), temporary):
            _sync(path)
        try:
            temporary.rename(folder)
        except OSError:
            if folder.is_dir():
                return False
            raise
        _sync(folder.parent)
        return True
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path`; a second writer waits. The system frees it when its holder dies.

    Raises
    ------
    PlaceFull : no room for it.
    """
    with _told(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = path.open("a")
    with handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
