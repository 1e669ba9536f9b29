"""Launching a process so that it does not outlive the thread that launched it.

The system sends it a signal when that thread ends, however that ends (Linux), so a process is launched from a thread
that outlives it, as a program's main thread does.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

__all__ = ["launch"]

_PR_SET_PDEATHSIG = 1


def launch(
    command: Sequence[str],
    *,
    log: Path,
    environment: Mapping[str, str],
    folder: Path | None = None,
    end_signal: signal.Signals = signal.SIGTERM,
    is_piped: bool = False,
    is_anew: bool = False,
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own.

    Parameters
    ----------
    command : its words.
    log : takes its stderr, and its stdout unless that is piped; its folder is made.
    environment : over this process's.
    folder : where it works; here unless given.
    end_signal : what it gets when the calling thread ends.
    is_piped : stdout is the caller's to read.
    is_anew : the log begins anew.

    Raises
    ------
    OSError : the program cannot be run.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb" if is_anew else "ab") as output:
        return subprocess.Popen(
            command,
            cwd=folder,
            env=os.environ | dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if is_piped else output,
            stderr=output,
            start_new_session=True,
            preexec_fn=_bound(end_signal),
        )


def _bound(end_signal: signal.Signals) -> Callable[[], None] | None:
    """What binds a child to the thread that starts it. All is looked up here: in the child there is no time for it."""
    if sys.platform != "linux":
        return None
    prctl, parent, number = ctypes.CDLL(None).prctl, os.getpid(), int(end_signal)

    def bind() -> None:
        prctl(_PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:  # it died before it could be bound to
            os.kill(os.getpid(), signal.SIGKILL)

    return bind
