"""The lock of a run folder: one stack per folder, held as long as its supervisor lives."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from sapphire.domain.errors import Refused

__all__ = ["RunLock"]

_LOOKS = 10
_LOOK_EVERY_S = 0.02


class RunLock:
    """The file `lock` of a run folder, with the holder's process id in it. The system frees it when the holder dies.

    Parameters
    ----------
    folder : the run folder; made when the lock is taken.

    Raises
    ------
    Refused : on taking it, where a stack runs in that folder already.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / "lock"
        self._descriptor: int | None = None

    @property
    def is_held(self) -> bool:
        """Whether this object holds it."""
        return self._descriptor is not None

    def take(self) -> Self:
        """Hold the lock; one that is held by this object stays held."""
        if self._descriptor is not None:
            return self
        self.folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        if not _locked(descriptor):
            holder = os.read(descriptor, 32).decode().strip()
            os.close(descriptor)
            raise Refused(
                f"a stack already runs in {self.folder}",
                expected="a folder of its own for each stack",
                got=f"process {holder} holds it",
                next="sapphire up RELEASE --account NAME trades beside it; sapphire down ends it",
            )
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor
        return self

    def free(self) -> None:
        """Let it go."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def holder(self) -> int | None:
        """Process id of whoever holds it; None where nobody does."""
        try:
            descriptor = os.open(self._path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            for _ in range(_LOOKS):
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    text = os.pread(descriptor, 32, 0).decode().strip()
                    if text.isdigit():
                        return int(text)
                    time.sleep(_LOOK_EVERY_S)  # it was taken this moment
                else:
                    return None
            return None
        finally:
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self.take()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.free()


def _locked(descriptor: int) -> bool:
    """Whether the lock could be had. Somebody who only looks holds it for a moment, so it is tried again."""
    for _ in range(_LOOKS):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_LOOK_EVERY_S)
        else:
            return True
    return False
