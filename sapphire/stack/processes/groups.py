"""Processes of a supervisor, found again by a mark.

Everything that a part starts in turn carries its mark in the environment, so that what a killed part leaves behind is
found and ended: a server's workers would go on holding its port.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from sapphire.domain.workspace import PART_VARIABLE
from sapphire.telemetry.log_files import plain

__all__ = ["end_marked", "has_ended", "is_stopped", "tail_of"]

_TAIL = 4_000
_GONE_WITHIN_S = 5.0


def has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether it is over. Its exit code stays to be collected, so its id is not given to another process yet."""
    if process.returncode is not None:
        return True
    try:
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:  # collected by somebody else
        return True


def is_stopped(pid: int) -> bool:
    """Whether a process is stopped: it is there, and nothing of it runs until somebody lets it go on."""
    import psutil  # type: ignore[import-untyped]

    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    except psutil.Error:
        return False


def end_marked(mark: str) -> int:
    """End every process whose mark is `mark` or, where that ends with a colon, begins with it.

    Returns
    -------
    How many there were; they are gone then.
    """
    import psutil

    ended = []
    for process in psutil.process_iter():
        try:
            carried = process.environ().get(PART_VARIABLE, "")
            if carried == mark or (mark.endswith(":") and carried.startswith(mark)):
                process.kill()
                ended.append(process)
        except (psutil.Error, OSError):  # it ended meanwhile, or is another user's
            continue
    psutil.wait_procs(ended, timeout=_GONE_WITHIN_S)
    return len(ended)


def tail_of(log: Path, start: int = 0) -> str:
    """The last of what was said after the first `start` bytes, for people."""
    if not log.exists():
        return ""
    data = log.read_bytes()
    return plain(data[start if start <= len(data) else 0 :])[-_TAIL:].strip()
