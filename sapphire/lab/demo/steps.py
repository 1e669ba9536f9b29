"""Progress of the demo on stderr: a line when a step begins and one when it is done, with how long it took."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import TypeVar

__all__ = ["Steps"]

Result = TypeVar("Result")


class Steps:
    """So many steps, some of them side by side.

    Parameters
    ----------
    total : how many there are.
    """

    def __init__(self, *, total: int) -> None:
        self._total = total
        self._begun = 0
        self._lock = threading.Lock()

    def run(self, what: str, step: Callable[[], Result]) -> Result:
        """Run a step and say so."""
        began = time.monotonic()
        with self._lock:
            self._begun += 1
            sys.stderr.write(f" {self._begun}/{self._total}  {what} ...\n")
        result = step()
        self.note(f"{what}: {time.monotonic() - began:.0f} s")
        return result

    def note(self, text: str) -> None:
        """A line within a step."""
        with self._lock:
            sys.stderr.write(f"      {text}\n")
            sys.stderr.flush()
