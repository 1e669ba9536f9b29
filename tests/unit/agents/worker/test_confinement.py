"""An agent in a worker reaches its window and nothing else: no file, no socket, no process, no clock, no entropy."""

from __future__ import annotations

import os
import textwrap
import time

import numpy as np
import pytest
from reaching import NAMES, REACHING

from sapphire.agents import load_agent_source
from sapphire.agents.release import ReleaseCode
from sapphire.agents.worker import Worker
from sapphire.domain import Window
from sapphire.domain.clocks import from_ns
from sapphire.domain.errors import AgentError, ValueRefused


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
