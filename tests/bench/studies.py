"""How long a quant waits for a screen, a replay and a sweep, and what memory the sweep takes.

Looks: the README's agent, plain pandas and no twin, on 2 symbols and 13,000 hourly bars of the generated market:
screened and replayed, both again, and both again in a new process. What dominates is the agent's own pandas (each
window once), then the engine's walk with its sizing; the second time, reading what is kept. The first account of a
process waits for vectorbt's import, 3 to 4 s, which is part of the first screen.

Sweep: 200 moving-average crosses on 2 symbols and 26,000 hourly bars, each compared with its views, screened, measured
and written to the ledger; beside it vectorbt itself, in the same process, on the same pairs and bars: its averages, its
signals, its accounts, their total returns, and nothing written down. vectorbt computes on one core. Both are warm; the
first sweep of a process starts its workers. The memory is the peak of this process above what it held before, and what
the workers hold beside it.

Wall time and processor time, this process and its workers together: on a machine that others load too, the processor
time is the fairer one.

    python tests/bench/studies.py [--runs N]
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

import sapphire as sp
from sapphire.agents.agent_files import load_agent_source

if TYPE_CHECKING:
    import pandas as pd

    from sapphire.research.studies import Study

README = Path(__file__).parents[2] / "README.md"
AGAIN = "--again"
SPENT: dict[int, float] = {}
"""Process to the processor time that it had when it was last looked at."""
FAST, SLOW = range(4, 44, 4), range(50, 250, 10)


def plain_agent() -> type[sp.Agent]:
    """The agent of the README, as its file would be."""
    text = README.read_text("utf-8").split("## An agent in twenty lines", 1)[1].split("```python\n", 1)[1]
    return load_agent_source(text.split("```", 1)[0], Path(tempfile.gettempdir()) / "momentum.py")


def study_of(start: str, end: str, *, train: str) -> Study:
    bars = sp.data.snapshot(["BTC/USDT", "ETH/USDT"], interval="1h", start=start, end=end, source="embedded")
    return sp.study(
        "bench",
        data=bars,
        holdout="30d",
        split=sp.walk_forward(train=train, test="30d", embargo="1d"),
        costs=sp.costs.binance_spot(),
        sizing=sp.portfolio.VolatilityTarget(annual=0.20),
    )


def cpu() -> float:
    """Processor time of this process and of all its workers so far, s."""
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            SPENT[child.pid] = sum(child.cpu_times()[:2])
    return time.process_time() + sum(SPENT.values())


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Wall time and processor time."""
    began, spent = time.perf_counter(), cpu()
    work()
    return time.perf_counter() - began, cpu() - spent


def look(label: str) -> None:
    study, agent = study_of("2023-01-01", "2024-06-25", train="90d"), plain_agent()()
    for verb in (study.screen, study.replay):
        wall, spent = seconds(lambda ask=verb: ask(agent))
        print(f"  {label:<18} {verb.__name__:<8} {wall:6.2f} s, {spent:6.2f} s of processor", flush=True)


def looks() -> None:
    print("looks: a plain pandas agent, 2 symbols x 12,984 bars, of which 10,080 are tested")
    look("first")
    look("again, same kernel")
    subprocess.run([sys.executable, __file__, AGAIN], check=True)


def by_vectorbt(close: pd.DataFrame) -> object:
    import vectorbt

    pairs = [(fast, slow) for fast in FAST for slow in SLOW]
    fast, slow = (
        vectorbt.MA.run(close, [pair[place] for pair in pairs], short_name=name)
        for place, name in enumerate(("fast", "slow"))
    )
    portfolio = vectorbt.Portfolio.from_signals(
        close, fast.ma_above(slow), fast.ma_below(slow), fees=0.001, slippage=0.0001, freq="1h"
    )
    return portfolio.total_return()


class Peak:
    """The most that this process and its workers held meanwhile, MiB above what it held before."""

    def __enter__(self) -> Peak:
        self.own = self.workers = 0.0
        self._done, self._before = threading.Event(), psutil.Process().memory_info().rss
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        me = psutil.Process()
        while not self._done.wait(0.02):
            self.own = max(self.own, (me.memory_info().rss - self._before) / 2**20)
            held = 0
            for child in me.children(recursive=True):
                with suppress(psutil.Error):
                    held += child.memory_info().rss
            self.workers = max(self.workers, held / 2**20)


def sweeps(runs: int) -> None:
    study, agent = study_of("2021-01-01", "2024-02-20", train="30d"), sp.agents.MovingAverageCross()
    close, count = study.tested.frame("close"), len(FAST) * len(SLOW)
    print(f"sweep: {count} combinations, 2 symbols x {len(study.tested):,} bars")
    study.screen(agent)
    first = seconds(lambda: study.sweep(agent, fast=FAST, slow=SLOW))
    by_vectorbt(close.iloc[:1_000])
    ours, theirs = [], []
    for _ in range(runs):
        ours.append(seconds(lambda: study.sweep(agent, fast=FAST, slow=SLOW)))
        theirs.append(seconds(lambda: by_vectorbt(close)))
    for name, taken in (("study.sweep", ours), ("vectorbt itself", theirs)):
        wall, spent = (statistics.median(of) for of in zip(*taken, strict=True))
        rate = count * len(study.tested) / wall / 1e6
        print(f"  {name:<15} {wall:6.2f} s, {spent:6.2f} s of processor, {rate:5.2f} M combination-bars/s, n = {runs}")
    print(f"  the first sweep {first[0]:6.2f} s")
    for label, fast, slow in (("100", FAST[:5], SLOW), ("200", FAST, SLOW), ("400", FAST, range(50, 250, 5))):
        with Peak() as peak:
            study.sweep(agent, fast=fast, slow=slow)
        print(
            f"  {label} combinations: {peak.own:4.0f} MiB more here, {peak.workers:4.0f} MiB in the workers", flush=True
        )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--runs", type=int, default=3)
    options.add_argument(AGAIN, action="store_true", help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.again:
        look("again, new kernel")
        return
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"SAPPHIRE_HOME": f"{folder}/home", "SAPPHIRE_CONFIG": f"{folder}/config"}
        load = os.getloadavg()[0]
        print(f"studies on {platform.machine()}, {len(os.sched_getaffinity(0))} cores, load {load:.1f}")
        looks()
        sweeps(given.runs)


if __name__ == "__main__":
    main()
