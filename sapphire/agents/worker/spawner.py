"""The spawner: a process that has imported what agents need, and makes workers of itself.

Importing numpy and pandas takes a second, a copy of a process that has them takes milliseconds. The spawner never runs
an agent and never sees a bar. It starts with an environment of its own: no variable of who started it, one thread for
numerical libraries (so that it may be copied, and sums come in one order), and a hash seed that is given. Where a
supervisor keeps who started it, the supervisor's mark is there until it has started, for a part that was killed while
its spawner was stopped: what is stopped does not see that nobody asks any more.

Its folder for scratch files is locked while it lives, and is removed by it when whoever started it is gone, killed or
not. What a killed spawner leaves is removed by the next one that starts.

Workers share no open file with each other or with it: what one leaves in a file, or sets on it, another could read.
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

from sapphire.agents.worker.printed import Printed
from sapphire.domain.errors import AgentError
from sapphire.domain.workspace import PART_VARIABLE

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
        self._printed = Printed()
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
        if PART_VARIABLE in os.environ:
            variables[PART_VARIABLE] = os.environ[PART_VARIABLE]
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-s", "-c", _PROGRAM],
                stdin=theirs.fileno(),
                stdout=self._printed.writing,
                stderr=self._printed.writing,
                cwd="/",
                env=variables,
                start_new_session=True,
            )
        self._printed.handed_over()
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

    def spawn(self) -> tuple[socket.socket, int, Printed]:
        """A new worker: the socket it is spoken to by, its process id, and what it prints.

        Raises
        ------
        AgentError : the spawner does not answer.
        """
        ours, theirs = socket.socketpair()
        printed = Printed()
        with theirs, self._lock:
            try:
                self._control.settimeout(_STARTS_WITHIN_S)
                socket.send_fds(self._control, [b"w"], [theirs.fileno(), printed.writing])
                answer = self._control.recv(16)
            except OSError:
                answer = b""
        printed.handed_over()
        if not answer:
            ours.close()
            raise AgentError(
                "no worker could be started",
                expected="a process that imports sapphire.agents",
                got=self._printed.end() or "no answer",
                next=f"{sys.executable} -c 'import sapphire.agents.worker.spawner' shows what is wrong",
            )
        return ours, int(answer), printed

    def close(self) -> None:
        """End it; its workers end with it."""
        self._control.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
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
    os.environ.pop(PART_VARIABLE, None)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1) for number in (1, 2))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system buries them
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # it ends when its socket closes, and not before
        signal.signal(number, signal.SIG_IGN)
    control = socket.socket(fileno=os.dup(0))
    _close_input()
    with _locked(Path(os.environ["TMPDIR"])):
        _import()
        while True:
            asked, descriptors, _, _ = socket.recv_fds(control, 1, 2)
            if not asked:
                return
            child = os.fork()
            if child == 0:
                _work(*descriptors)
            for descriptor in descriptors:
                os.close(descriptor)
            with suppress(BrokenPipeError):  # who asked is gone: the next receipt says so
                control.send(str(child).encode())


def _import() -> None:
    """What agents need, so that every worker has it."""
    import pandas  # noqa: F401
    import safetensors.numpy  # noqa: F401

    import sapphire.agents.worker.attending
    import sapphire.data.features  # noqa: F401


def _work(asked_on: int, prints_on: int) -> None:
    """What a copy of the spawner does: it is a worker, and ends as one.

    Whatever happens, it must not go on as the spawner, which would remove everybody's folder.
    """
    status = 1
    try:
        from sapphire.agents.worker.attending import attend_to

        for ending in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(ending, signal.SIG_DFL)
        for number in (1, 2):
            os.dup2(prints_on, number)
        _close_input()
        os.closerange(3, asked_on)
        os.closerange(asked_on + 1, os.sysconf("SC_OPEN_MAX"))
        attend_to(asked_on, _own_scratch())
        status = 0
    except BaseException:  # noqa: BLE001  (it ends here)
        traceback.print_exc()
    finally:
        os._exit(status)


def _own_scratch() -> Path:
    """An empty folder. Temporary files are opened for writing alone there: a confined worker may read none of them."""
    tempfile.tempdir = tempfile.mkdtemp()
    for name in ("_text_openflags", "_bin_openflags"):
        setattr(tempfile, name, getattr(tempfile, name) & ~os.O_ACCMODE | os.O_WRONLY)
    return Path(tempfile.tempdir)


def _close_input() -> None:
    """Read nothing from the standard input, by a file that nobody else has open."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock a folder, which nobody else removes meanwhile, and remove it in the end."""
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield
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
