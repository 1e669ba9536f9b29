"""Progress of long work, as whoever shows it hears it."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Progress"]

Progress = Callable[[int, int, str], None]
"""Called with how much is done, of how much, and what is being done."""
