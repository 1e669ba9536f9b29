"""A release that trades, and stacks of it that are driven in lock-step for as long as a test says, with their sizes."""

import importlib.util
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from sapphire.agents import Calibrated, MovingAverageCross
from sapphire.domain import Interval
from sapphire.domain.clocks import to_ns
from sapphire.execution.conductor import Moment
from sapphire.stack.plan import Market, Plan
from sapphire.stack.releases import described
from sapphire.stack.stack import Stack, run_bars

SEED = 7
START = "2025-03-07T00:00:00Z"
REST = timedelta(seconds=60)


@dataclass
class Traded:
    """What a run left behind.

    Parameters
    ----------
    home, run : its folders.
    bars : how many were driven.
    seconds : wall time of driving them.
    bus_bytes : the largest that the bus's folder was at any look.
    bus_memory : bytes of the bus's server when the run ended.
    largest : the largest that the whole run folder was at any look.
    """

    home: Path
    run: Path
    bars: int
    seconds: float
    bus_bytes: int
    bus_memory: int
    largest: int

    def bytes_by_part(self):
        """What lies in the run folder now, by the first part of its name."""
        return {path.name: size_of(path) for path in sorted(self.run.iterdir())}


def size_of(path):
    """Bytes of a file or of all files of a folder; one that goes meanwhile has none."""
    total = 0
    for file in path.rglob("*") if path.is_dir() else (path,):
        try:
            total += file.stat().st_size if file.is_file() else 0
        except FileNotFoundError:
            continue
    return total


@pytest.fixture(scope="session", name="size_of")
def size_of_fixture():
    """The function above."""
    return size_of


@pytest.fixture(scope="session")
def admitted(tmp_path_factory, sign_permit, with_mlflow):
    """A state folder with a release on bars of 5m that is admitted to paper, and its digest."""
    home = with_mlflow(tmp_path_factory.mktemp("home"))
    digest = _release(home, Interval("5m"))
    sign_permit(home, digest)
    return home, digest


@pytest.fixture(scope="session")
def traded(tmp_path_factory, sign_permit, with_mlflow):
    """Drives a stack in lock-step on bars of an interval."""

    def drive(interval: str, bars: int, *, start: str = START, every: int = 200) -> Traded:
        home = with_mlflow(tmp_path_factory.mktemp("home"))
        digest = _release(home, Interval(interval))
        sign_permit(home, digest)
        release, manifest = described(home, digest)
        plan = Plan(
            run=home / "stack",
            home=home,
            release=release,
            symbols=manifest.universe,
            interval=manifest.interval,
            market=Market(SEED, None, start),
            latency_ms=(5, 25),
        )
        looks = [(0, 0)]

        def watch(moment: Moment) -> None:
            nonlocal seen
            seen += moment.is_close
            if moment.is_close and seen % every == 0:
                looks.append((size_of(stack.folder.bus), size_of(stack.folder.path)))

        seen, began = 0, time.monotonic()
        with Stack(plan) as stack:
            run_bars(stack, bars, rest=REST, watch=watch)
            memory = stack.bus().memory_bytes()
        seconds = time.monotonic() - began
        return Traded(home, plan.run, bars, seconds, *(_largest(looks, 0), memory, _largest(looks, 1)))

    return drive


def _largest(looks, place):
    return max(look[place] for look in looks)


def _release(home, interval):
    serving = _fixtures_of("serving")
    bars = serving.random_bars(600)
    times = to_ns("2025-01-01") + np.arange(600, dtype=np.int64) * interval.ns
    bars = replace(bars, interval=interval, open_time_ns=times).validate()
    agent = MovingAverageCross(fast=3, slow=9, horizon=3 * interval.timedelta)
    return serving.freeze_into(home, Calibrated(agent).fit(bars.rows(0, 400), seed=7), bars)


def _fixtures_of(room):
    """The functions of another room's fixtures."""
    path = Path(__file__).parents[1] / "unit" / room / "conftest.py"
    spec = importlib.util.spec_from_file_location(f"fixtures_of_{room}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
