"""The spawner: a process that has imported what agents need, and makes workers of itself.

Importing numpy and pandas takes a second, a copy of a process that has them takes milliseconds. The spawner never runs
an agent and never sees a bar. It starts with an environment of its own: no variable of who started it, one thread for
numerical libraries (so that it may be copied, and sums come in one order), and a hash seed that is given.
"""

from __future__ import annotations

import atexit
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO

from sapphire.domain.errors import AgentError

__all__ = ["Spawner", "spawner_of"]

_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS", "RAYON_NUM_THREADS")
_PROGRAM = "from sapphire.agents.worker.spawner import attend; attend()"
_STARTS_WITHIN_S = 120.0


class Spawner:
    """One spawner process.

    Parameters
    ----------
    hash_seed : of Python's hashes in all its workers; what hangs on the order of a set differs with another.
    """

    def __init__(self, hash_seed: int) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  (lives as long as the process)
        root = Path(__file__).parents[3]
        self._scratch = tempfile.TemporaryDirectory(prefix="sapphire-workers-", ignore_cleanup_errors=True)
        variables = {
            "TMPDIR": self._scratch.name,
            "PYTHONPATH": str(root),
            "PYTHONHASHSEED": str(hash_seed),
            "PATH": "/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            **dict.fromkeys(_ONE_THREAD, "1"),
        }
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-s", "-c", _PROGRAM],
                stdin=theirs.fileno(),
                stdout=self.errors,
                stderr=self.errors,
                cwd="/",
                env=variables,
                start_new_session=True,
            )
        self._control = ours
        self._lock = threading.Lock()

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def spawn(self) -> tuple[socket.socket, int]:
        """A new worker: the socket it is spoken to by, and its process id.

        Raises
        ------
        AgentError : the spawner does not answer.
        """
        ours, theirs = socket.socketpair()
        with theirs, self._lock:
            try:
                self._control.settimeout(_STARTS_WITHIN_S)
                socket.send_fds(self._control, [b"w"], [theirs.fileno()])
                answer = self._control.recv(16)
            except OSError:
                answer = b""
        if not answer:
            ours.close()
            raise AgentError(
                "no worker could be started",
                expected="a process that imports sapphire.agents",
                got=self.said() or "no answer",
                next=f"{sys.executable} -c 'import sapphire.agents.worker.spawner' shows what is wrong",
            )
        return ours, int(answer)

    def said(self) -> str:
        """The end of what the spawner and its workers printed."""
        self.errors.flush()
        size = os.fstat(self.errors.fileno()).st_size
        return os.pread(self.errors.fileno(), 2_000, max(0, size - 2_000)).decode(errors="replace").strip()

    def close(self) -> None:
        """End it; its workers end with it."""
        self._control.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self.errors.close()
        self._scratch.cleanup()


_running: dict[tuple[int, int], Spawner] = {}
_starting = threading.Lock()


def spawner_of(hash_seed: int) -> Spawner:
    """The spawner of this process with that seed, started when it is first asked for."""
    with _starting:
        key = (os.getpid(), hash_seed)
        found = _running.get(key)
        if found is None or not found.alive:
            found = _running[key] = Spawner(hash_seed)
        return found


@atexit.register
def _close_all() -> None:
    for (process, _), each in list(_running.items()):
        if process == os.getpid():
            each.close()


def attend() -> None:
    """What the spawner process does: import, and make a worker for every socket that comes in, until nobody asks."""
    import pandas  # noqa: F401
    import safetensors.numpy  # noqa: F401

    import sapphire.data.features  # noqa: F401
    from sapphire.agents.worker.attending import attend_to

    sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1) for number in (1, 2))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system buries them
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupted notebook ends its workers by closing their sockets
    control = socket.socket(fileno=os.dup(0))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    while True:
        asked, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not asked:
            return
        child = os.fork()
        if child == 0:
            control.close()
            own = Path(os.environ["TMPDIR"], str(os.getpid()))
            own.mkdir(mode=0o700)
            tempfile.tempdir = str(own)
            attend_to(descriptors[0], own)
            os._exit(0)
        os.close(descriptors[0])
        control.send(str(child).encode())
