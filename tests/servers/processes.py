"""Processes of the machine, as tests ask about them."""

from __future__ import annotations

import psutil

__all__ = ["is_running"]


def is_running(pid: int) -> bool:
    """Whether a process runs; one that has ended and that nobody has buried does not."""
    try:
        return psutil.Process(pid).status() not in {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}
    except psutil.NoSuchProcess:
        return False
