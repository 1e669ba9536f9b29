"""What a worker prints: the end of it, kept by whoever started the worker.

Every worker writes into a pipe of its own. A pipe has no place to go back to, its end for writing cannot be read, and
nothing about it (flags, owner, size) is shared with another worker: one that was fitted cannot tell one that is sealed
what comes next.
"""

from __future__ import annotations

import os
import threading

__all__ = ["Printed"]

_KEPT = 2_000
_CHUNK = 1 << 16
_ENDS_WITHIN_S = 1.0


class Printed:
    """Reads a pipe to its end in a thread, however much comes, and keeps the last 2,000 bytes."""

    def __init__(self) -> None:
        self._tail = b""
        reading, self._writing = os.pipe()
        self._thread = threading.Thread(target=self._read, args=(reading,), name="what a worker prints", daemon=True)
        self._thread.start()

    @property
    def writing(self) -> int:
        """Descriptor to hand to the process that prints."""
        return self._writing

    def handed_over(self) -> None:
        """The process has the descriptor: it alone can write from now on, and its end is the end of what is read."""
        os.close(self._writing)

    def end(self) -> str:
        """The end of what was printed; of a process that has ended, the very last of it."""
        self._thread.join(_ENDS_WITHIN_S)
        return self._tail.decode(errors="replace").strip()

    def _read(self, reading: int) -> None:
        try:
            while part := os.read(reading, _CHUNK):
                self._tail = (self._tail + part)[-_KEPT:]
        finally:
            os.close(reading)
