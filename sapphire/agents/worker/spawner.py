"""The spawner: a process that has imported what agents need, and makes workers of itself.

Importing numpy and pandas takes a second, a copy of a process that has them takes milliseconds. The spawner never runs
an agent and never sees a bar. It starts with an environment of its own: no variable of who started it, one thread for
numerical libraries (so that it may be copied, and sums come in one order), and a hash seed that is given.

Its folder for scratch files is locked while it lives, and is removed by it when whoever started it is gone, killed or
not. What a killed spawner leaves is removed by the next one that starts.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from sapphire.domain.errors import AgentError

__all__ = ["Spawner", "spawner_of"]

_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS", "RAYON_NUM_THREADS")
_PROGRAM = "from sapphire.agents.worker.spawner import attend; attend()"
_STARTS_WITHIN_S = 120.0
_SCRATCH = "sapphire-workers-"
_LOCKED_WITHIN_S = 600.0
"""A folder of this age that nobody has locked belongs to nobody: a spawner locks its own as the first thing it does."""


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
        self._scratch = tempfile.mkdtemp(prefix=_SCRATCH)
        _sweep(beside=Path(self._scratch))
        variables = {
            "TMPDIR": self._scratch,
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
    def process(self) -> int:
        """Id of its process."""
        return self._process.pid

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
        shutil.rmtree(self._scratch, ignore_errors=True)  # where it was killed before it could do so itself


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
    sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1) for number in (1, 2))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system buries them
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # it ends when its socket closes, and not before
        signal.signal(number, signal.SIG_IGN)
    control = socket.socket(fileno=os.dup(0))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    with _held(Path(os.environ["TMPDIR"])) as lock:
        _import()
        while True:
            asked, descriptors, _, _ = socket.recv_fds(control, 1, 1)
            if not asked:
                return
            child = os.fork()
            if child == 0:
                os.close(lock)
                control.close()
                _work(descriptors[0])
            os.close(descriptors[0])
            with suppress(BrokenPipeError):  # who asked is gone: the next receipt says so
                control.send(str(child).encode())


def _import() -> None:
    """What agents need, so that every worker has it."""
    import pandas  # noqa: F401
    import safetensors.numpy  # noqa: F401

    import sapphire.agents.worker.attending
    import sapphire.data.features  # noqa: F401


def _work(descriptor: int) -> None:
    """What a copy of the spawner does: it is a worker, and ends as one."""
    from sapphire.agents.worker.attending import attend_to

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    own = tempfile.mkdtemp()
    tempfile.tempdir = own
    try:
        attend_to(descriptor, Path(own))
    except BaseException:  # noqa: BLE001  (it must not go on as the spawner, which would remove everybody's folder)
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


@contextmanager
def _held(folder: Path) -> Iterator[int]:
    """Lock a folder, which nobody else removes meanwhile, and remove it in the end; gives the lock's descriptor."""
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield lock
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(*, beside: Path) -> None:
    """Remove the folders of spawners that were killed, by the side of a new one: nobody holds their locks any more."""
    now = beside.stat().st_mtime
    for folder in beside.parent.glob(f"{_SCRATCH}*"):
        with suppress(OSError):  # another user's, held by its owner, or just swept by somebody else
            if now - folder.stat().st_mtime < _LOCKED_WITHIN_S:
                continue
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)
