"""An agent that reaches for what it must not have: the source of its file, and what it may be asked to reach for."""

__all__ = ["NAMES", "REACHING"]

REACHING = '''
"""Tries to reach something from inside its views, and states a forecast of what it got."""

import ctypes, gc, mmap, os, random, secrets, socket, subprocess, sys, threading, time, uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

import sapphire as sp
from sapphire import Agent

SECRET = "{secret}"
PARENT = {parent}
FAR = "{far}"


def in_a_thread(work):
    got = []
    thread = threading.Thread(target=lambda: got.append(work()))
    thread.start()
    thread.join()
    return got[0]


def of_libc(path):
    libc = ctypes.CDLL(None)
    return max(0, libc.open(path.encode(), 0))


def of_parent():
    libc = ctypes.CDLL(None)
    buffer = ctypes.create_string_buffer(8)
    class Piece(ctypes.Structure):
        _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))
    local, remote = Piece(ctypes.addressof(buffer), 8), Piece(0x400000, 8)
    return max(0, libc.process_vm_readv(PARENT, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0))


def of_memory():
    """The largest close that any object of this process holds, above the window's own."""
    found = [each for each in gc.get_referents(*gc.get_objects()) if isinstance(each, np.ndarray)]
    bases = [each.base for each in found if isinstance(each.base, np.ndarray)]
    return sum(1 for each in (*found, *bases) if each.dtype == np.float64 and (each > 1e6).any())


def of_output(number):
    """Where it stands in what it prints, or what it reads of it."""
    try:
        return os.lseek(number, 0, os.SEEK_SET) + 1
    except OSError:
        return len(os.read(number, 8))


REACHES = dict(
    open=lambda w: len(open(SECRET).read()),
    pathlib=lambda w: len(Path(SECRET).read_bytes()),
    listdir=lambda w: len(os.listdir(os.path.dirname(SECRET))),
    stat=lambda w: os.stat(SECRET).st_size,
    exists=lambda w: int(os.path.exists(SECRET)),
    numpy=lambda w: len(np.fromfile(SECRET, dtype=np.uint8)),
    pandas=lambda w: len(pd.read_csv(SECRET, header=None)),
    polars=lambda w: len(__import__("polars").read_csv(SECRET, has_header=False)),
    duckdb=lambda w: len(__import__("duckdb").sql(f"select * from read_csv('{{SECRET}}')").fetchall()),
    arrow=lambda w: len(__import__("pyarrow").memory_map(SECRET).read()),
    libc=lambda w: of_libc(SECRET),
    thread=lambda w: in_a_thread(lambda: len(open(SECRET).read())),
    own_file=lambda w: len(open(__file__).read()),
    python=lambda w: len(open(os.__file__).read()),
    snapshot=lambda w: len(sp.data.list_snapshots()),
    environ=lambda w: len(open("/proc/self/environ").read()),
    variables=lambda w: sum(name.startswith(("SAPPHIRE", "HOME", "SECRET")) for name in os.environ),
    parent_memory=lambda w: of_parent(),
    parent_file=lambda w: len(open(f"/proc/{{PARENT}}/environ", "rb").read()),
    socket=lambda w: socket.socket().fileno(),
    unix=lambda w: len(socket.socketpair()),
    dns=lambda w: len(socket.gethostbyname("localhost")),
    fork=lambda w: os.fork(),
    run=lambda w: len(subprocess.run(["true"]).args),
    kill=lambda w: 1 if os.kill(PARENT, 0) is None else 0,
    urandom=lambda w: len(os.urandom(4)),
    secrets=lambda w: len(secrets.token_bytes(4)),
    uuid=lambda w: len(uuid.uuid4().hex),
    time=lambda w: time.time(),
    time_ns=lambda w: time.time_ns(),
    now=lambda w: max(0, datetime.now().year - 1970),
    localtime=lambda w: max(0, time.localtime().tm_year - 1970),
    pandas_now=lambda w: max(0, pd.Timestamp.now().year - 1970),
    memory=lambda w: of_memory(),
    output=lambda w: of_output(1),
    errors=lambda w: of_output(2),
)


@dataclass(frozen=True)
class Reaching(Agent):
    reach: str = "nothing"
    raising: bool = False
    at: int = 0
    horizon: timedelta = timedelta(minutes=15)

    @property
    def warmup(self):
        return 2

    def views(self, window):
        got = 0.0
        # warm as well as sealed: the first call imports what the later ones use
        try:
            got = float(REACHES[self.reach](window)) if self.reach in REACHES else 0.0
        except BaseException:
            if self.raising and window.bars.open_time_ns[-1] >= self.at:
                raise
        if self.reach == "die" and window.bars.open_time_ns[-1] >= self.at:
            os._exit(3)
        if self.reach == "hang" and window.bars.open_time_ns[-1] >= self.at:
            threading.Event().wait()
        none = window.panel("close").iloc[-1] * 0.0
        return window.views(mean_bps=none + got, std_bps=none + 1.0, horizon=self.horizon)
'''
NAMES = (
    *("open", "pathlib", "listdir", "stat", "exists", "numpy", "pandas", "polars", "arrow", "libc", "thread"),
    *("own_file", "python", "snapshot", "environ", "variables", "parent_memory", "parent_file", "socket", "unix"),
    *("dns", "fork", "run", "kill", "urandom", "secrets", "uuid", "time", "time_ns", "now", "localtime"),
    *("pandas_now", "memory", "output", "errors"),
)
