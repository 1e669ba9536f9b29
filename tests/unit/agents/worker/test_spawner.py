"""A spawner leaves nothing behind: not after a normal end, not after an error, not when who started it is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from processes import is_running

ASKING = """
import os, signal, sys
from sapphire.agents.worker.spawner import spawner_of
running = spawner_of(0)
ours, worker, printed = running.spawn()
print(running.process, worker, flush=True)
sys.stdin.readline()
"""
ENDS = {
    "normal": "",
    "error": "raise ValueError",
    "terminated": "os.kill(os.getpid(), signal.SIGTERM); signal.pause()",
    "killed": "os.kill(os.getpid(), signal.SIGKILL)",
    "without ending itself": "os._exit(0)",
}
WITHIN_S = 60.0


@pytest.fixture
def asking(tmp_path):
    """Starts a process that starts a spawner and a worker, and ends as it is told; gives it and the spawner's id."""
    started = []

    def start(end):
        running = subprocess.Popen(
            [sys.executable, "-c", ASKING + end],
            env=os.environ | {"TMPDIR": str(tmp_path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        started.append(running)
        spawner, worker = map(int, running.stdout.readline().split())
        return running, spawner, worker

    yield start
    for each in started:
        each.kill()
        each.communicate()


def left_in(folder):
    return sorted(each.name for each in folder.iterdir())


def wait_until(true):
    deadline = time.monotonic() + WITHIN_S
    while not true() and time.monotonic() < deadline:
        time.sleep(0.02)
    return true()


@pytest.mark.parametrize("end", ENDS)
def test_nothing_stays_behind(asking, tmp_path, end):
    running, spawner, worker = asking(ENDS[end])
    (folder,) = left_in(tmp_path)
    assert folder.startswith("sapphire-workers-")
    assert is_running(spawner)
    assert is_running(worker)
    running.communicate("\n")
    assert wait_until(lambda: not is_running(spawner) and not is_running(worker))
    assert left_in(tmp_path) == []


def test_a_spawner_outlives_a_signal_to_everybody(asking, tmp_path):
    """A service that is stopped by a signal to its whole group still cleans up."""
    running, spawner, _ = asking("")
    os.kill(spawner, signal.SIGTERM)
    running.communicate("\n")
    assert running.returncode == 0
    assert wait_until(lambda: not is_running(spawner))
    assert left_in(tmp_path) == []


def test_the_next_start_sweeps_what_a_killed_spawner_left(asking, tmp_path):
    lost, spawner, _ = asking("os._exit(0)")
    os.kill(spawner, signal.SIGKILL)
    lost.communicate("\n")
    assert wait_until(lambda: not is_running(spawner))
    (dead,) = left_in(tmp_path)
    young, *_ = asking("")
    assert dead in left_in(tmp_path)  # it might be of a spawner that is just starting
    living = next(each for each in left_in(tmp_path) if each != dead)
    for name in (dead, living):
        os.utime(tmp_path / name, (0, 0))
    asking("")
    assert dead not in left_in(tmp_path)
    assert living in left_in(tmp_path)  # its spawner lives
    young.communicate("\n")
