"""Small disks of their own (tmpfs) that a test fills, and that are gone with it. To mount one takes root."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from sapphire.domain.errors import PlaceError, PlaceFull

__all__ = ["fill", "mount_disk", "resize_disk", "small_disk", "unmount_disk", "until_full"]

_FILLER = "filler"
_AT_ONCE = 1 << 16
_MOST = 2_000


@contextlib.contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[Path]:
    """A disk of that size on a new folder; unmounted at the end."""
    folder.mkdir(parents=True)
    mount_disk(folder, kilobytes)
    try:
        yield folder
    finally:
        unmount_disk(folder)


def mount_disk(folder: Path, kilobytes: int) -> None:
    """Put an empty disk of that size onto an empty folder."""
    _run("mount", "-t", "tmpfs", "-o", f"size={kilobytes}k,mode=0755", "tmpfs", str(folder))


def resize_disk(folder: Path, kilobytes: int) -> None:
    """Give a disk another size; what it holds stays."""
    _run("mount", "-o", f"remount,size={kilobytes}k", str(folder))


def unmount_disk(folder: Path) -> None:
    """Take a disk away, and what it holds; at once for new callers where somebody still has it open."""
    _run("umount", "--lazy", str(folder))


@contextlib.contextmanager
def fill(folder: Path, *, leave: int = 0) -> Iterator[None]:
    """A disk without a byte of room but for so many, for as long as this lasts."""
    filler = folder / _FILLER
    descriptor, size = os.open(filler, os.O_WRONLY | os.O_CREAT), _AT_ONCE
    try:
        while size:
            try:
                os.write(descriptor, b"\0" * size)
            except OSError:
                size //= 2
        os.truncate(filler, max(filler.stat().st_size - leave, 0))
        yield
    finally:
        os.close(descriptor)
        filler.unlink()


def until_full(act: Callable[[], object], kind: type[PlaceError] = PlaceFull) -> tuple[int, PlaceError]:
    """Do something again and again until there is no room for it; how often it was done, and the error."""
    for times in range(_MOST):
        try:
            act()
        except kind as full:
            return times, full
    raise AssertionError(f"there was room for {_MOST:,}")


def _run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr.strip()} (the test needs root, to mount a disk)"
