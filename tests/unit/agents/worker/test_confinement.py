"""An agent in a worker reaches its window and nothing else: no file, no socket, no process, no clock, no entropy."""

from __future__ import annotations

import os
import textwrap
import time

import numpy as np
import pytest

from sapphire.agents import load_agent_source
from sapphire.agents.release import ReleaseCode
from sapphire.agents.worker import Worker
from sapphire.domain import Window
from sapphire.domain.clocks import from_ns
from sapphire.domain.errors import AgentError, ValueRefused

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


@pytest.fixture(scope="module")
def reaching(tmp_path_factory):
    """Name and parameters to an agent that reaches for that."""
    folder = tmp_path_factory.mktemp("reaching")
    (folder / "secret.csv").write_text("1,2\n3,4\n")
    text = REACHING.format(secret=folder / "secret.csv", parent=os.getpid(), far=folder)
    return lambda name, **more: load_agent_source(text, folder / "reaching.py")(reach=name, **more)


@pytest.fixture
def worker(bars):
    """Starts workers that end with the test."""
    running = []

    def start(agent, **settings):
        running.append(Worker(ReleaseCode.of(agent), bars.symbols, bars.interval, label=agent.name, **settings))
        running[-1].learn({})
        return running[-1]

    yield start
    for each in running:
        each.close()


def window_at(bars, row):
    return Window(bars.rows(row - 1, row + 1), from_ns(int(bars.close_time_ns[row])))


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_reached_from_inside_views(reaching, worker, bars, name):
    asked = worker(reaching(name))
    assert asked.isolation == "enforced"
    views = asked.views(window_at(bars, 10))
    assert [view.mean_bps for view in views] == [0.0, 0.0]


def test_an_agent_does_not_learn_whether_a_supervisor_keeps_it(reaching, worker, bars, monkeypatch):
    """One that knew whether it trades could do something else in a study."""
    monkeypatch.setenv("SAPPHIRE_PART", "run:bento")
    views = worker(reaching("variables"), hash_seed=77).views(window_at(bars, 10))
    assert [view.mean_bps for view in views] == [0.0, 0.0]


def test_a_library_that_cannot_bear_it_ends_the_worker_and_reads_nothing(reaching, worker, bars):
    with pytest.raises(AgentError, match="the process of reaching ended at"):
        worker(reaching("duckdb")).views(window_at(bars, 10))


def test_the_same_is_reached_outside_a_worker(reaching, bars):
    """What the test above looks for is there to be found."""
    found = {name: reaching(name).views(window_at(bars, 10)) for name in ("open", "polars", "libc", "time", "socket")}
    assert all(views[0].mean_bps > 0 for views in found.values())


def test_code_cannot_reach_data_while_it_is_imported(tmp_path, worker):
    (tmp_path / "secret.csv").write_text("1")
    text = REACHING.format(secret="", parent=0, far="") + f"\nFOUND = open({str(tmp_path / 'secret.csv')!r}).read()\n"
    agent = load_agent_source(text, tmp_path / "reaching.py")()
    with pytest.raises(AgentError, match="reaches out of its window") as refused:
        worker(agent)
    assert "PermissionError" in refused.value.got


IN_WORKER = """
import fcntl, tempfile
if "sapphire-workers" in os.environ.get("TMPDIR", ""):
"""
SCRATCH = """
FOUND = Path(tempfile.gettempdir()) / "prices.csv"
FOUND.write_text("1")
with tempfile.TemporaryDirectory() as folder, tempfile.NamedTemporaryFile("w", dir=folder) as written:
    written.write("1")
"""


def in_worker(lines, path):
    """An agent whose module does this while it is imported in a worker."""
    text = REACHING.format(secret="", parent=0, far="") + IN_WORKER + textwrap.indent(lines, "    ")
    return load_agent_source(text, path)()


def test_a_folder_for_scratch_is_written_and_not_read(tmp_path, worker, bars):
    """Whoever else writes there, while the code is imported, tells it nothing."""
    assert worker(in_worker(SCRATCH, tmp_path / "reaching.py")).views(window_at(bars, 10))
    reading = in_worker(SCRATCH + "FOUND.read_text()", tmp_path / "reaching.py")
    with pytest.raises(AgentError, match="reaches out of its window") as refused:
        worker(reading)
    assert "PermissionError" in refused.value.got


@pytest.mark.parametrize("library", ["torch", "sklearn.linear_model", "scipy.stats", "polars", "pyarrow.parquet"])
def test_libraries_are_imported_without_reading_scratch(tmp_path, worker, bars, library):
    asked = worker(in_worker(f"import {library}", tmp_path / "reaching.py"))
    assert asked.isolation == "enforced"
    assert asked.views(window_at(bars, 10))


def test_a_worker_shares_no_open_file_with_another(tmp_path, worker, bars):
    """What one sets on its standard files or leaves in them, another does not find."""
    telling = """
for number in range(3):
    fcntl.fcntl(number, fcntl.F_SETFL, os.O_NONBLOCK)
print("prices", flush=True)
"""
    worker(in_worker(telling, tmp_path / "reaching.py"))
    source = """
FLAGS = [fcntl.fcntl(number, fcntl.F_GETFL) & os.O_NONBLOCK for number in range(3)]
OPEN = []
for number in range(64):
    try:
        OPEN.append((number, fcntl.fcntl(number, fcntl.F_GETFD)))
    except OSError:
        pass
if any(FLAGS) or len(OPEN) != 4:
    raise RuntimeError(f"{FLAGS} {OPEN}")
"""
    worker(in_worker(source, tmp_path / "reaching.py"))


def test_a_flood_of_output_ends_and_its_end_is_told(tmp_path, worker, bars):
    text = REACHING.format(secret="", parent=0, far="").replace(
        "            os._exit(3)\n",
        """            for _ in range(200):
                os.write(1, b"x" * 100_000)
            os.write(2, b"the very end")
            os._exit(3)
""",
    )
    agent = load_agent_source(text, tmp_path / "reaching.py")(reach="die", at=int(bars.open_time_ns[12]))
    with pytest.raises(AgentError, match="ended at") as ended:
        worker(agent).views(window_at(bars, 12))
    assert ended.value.got.endswith("xthe very end")
    assert len(ended.value.got) <= 300


@pytest.mark.parametrize("name", ["open", "socket", "time", "urandom"])
def test_an_agent_that_reaches_out_is_told_so_with_the_bar(reaching, worker, bars, name):
    asked = worker(reaching(name, raising=True, at=int(bars.open_time_ns[12])))
    asked.views(window_at(bars, 10))
    with pytest.raises(AgentError, match="reaches out of its window at 2025-01-01T01:05") as refused:
        asked.views(window_at(bars, 12))
    assert "no file, no socket, no clock" in refused.value.expected
    assert asked.views(window_at(bars, 11))


def test_the_window_before_is_all_that_was_ever_there(worker, bars, reaching):
    """A worker that is asked bar by bar never holds a later one: the marked closes are found when they come."""
    close = bars.close.copy()
    close[20:] = 2e6
    marked = type(bars)(
        bars.symbols, bars.interval, bars.open_time_ns, close, np.maximum(bars.high, close), close, close, bars.volume,
        bars.listed,
    )  # fmt: skip
    asked = worker(reaching("memory"))
    for row in range(10, 20):
        assert asked.views(window_at(marked, row))[0].mean_bps == 0.0
    assert asked.views(window_at(marked, 20))[0].mean_bps > 0.0


def test_a_worker_that_dies_is_an_error_that_names_the_bar(reaching, worker, bars):
    asked = worker(reaching("die", at=int(bars.open_time_ns[12])))
    asked.views(window_at(bars, 10))
    with pytest.raises(AgentError, match="ended at 2025-01-01T01:05") as died:
        asked.views(window_at(bars, 12))
    assert died.value.next
    assert not asked.alive
    with pytest.raises(AgentError, match="is not there any more"):
        asked.views(window_at(bars, 13))


def test_a_worker_that_hangs_is_ended_in_time(reaching, worker, bars):
    asked = worker(reaching("hang", at=int(bars.open_time_ns[12])), views_within_s=2.0)
    asked.views(window_at(bars, 10))
    began = time.monotonic()
    with pytest.raises(AgentError, match="does not answer at 2025-01-01T01:05"):
        asked.views(window_at(bars, 12))
    assert time.monotonic() - began < 30


def test_an_error_of_ours_comes_back_as_it_was(worker, bars, tmp_path):
    text = REACHING.format(secret="", parent=0, far="").replace("got = 0.0\n", "return window.views(horizon=1)\n", 1)
    asked = worker(load_agent_source(text, tmp_path / "reaching.py")())
    with pytest.raises(ValueRefused, match="views must state one thing") as refused:
        asked.views(window_at(bars, 10))
    assert "2025-01-01T00:55" in refused.value.what


HOOKED = ("open", "pathlib", "listdir", "numpy", "thread", "own_file", "snapshot", "environ", "parent_file", "socket",
          "unix", "dns", "fork", "run")  # fmt: skip


def test_where_the_system_has_no_filter_a_hook_refuses_what_python_opens(reaching, worker, bars, other_machine):
    asked = {name: worker(reaching(name)) for name in HOOKED}
    assert {each.isolation for each in asked.values()} == {"observed"}
    for row in (10, 11):
        got = {name: each.views(window_at(bars, row))[0].mean_bps for name, each in asked.items()}
        assert got == dict.fromkeys(HOOKED, 0.0)


def test_a_hook_does_not_see_the_clock_so_it_is_no_isolation(reaching, worker, bars, other_machine):
    """Why `observed` is not `enforced`, and why live refuses it."""
    asked = worker(reaching("time"))
    assert asked.isolation == "observed"
    assert asked.views(window_at(bars, 10))[0].mean_bps > 0.0
