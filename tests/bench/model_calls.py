"""How fast recorded calls of models are, and how long the study of an agent that asks one takes from recordings.

Calls: 1,000 that were recorded are answered again, each verified by the digest of all that went in.

Study: Qwen's agent on 4,440 hourly bars and 2 symbols of the generated market, walked forward and replayed by the
engine, from recordings alone. The recordings are made first by the packaged model's tokenizer-free stand-in, a rule
that reads the last return off the prompt: what is timed afterwards asks no model at all, so which one made them does
not matter. What dominates is making prompts and digests of windows, then the engine.

    python tests/bench/model_calls.py [--runs N]
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import sapphire as sp
from sapphire.agents import Qwen, Reply, recording
from sapphire.agents.llm.default_model import PACKAGED
from sapphire.agents.llm.requests import Scores
from sapphire.agents.recorder import Recorder

CALLS = 1_000
BARS = 4_440


class LastReturn:
    """Up by as much as the last return is above zero."""

    model = PACKAGED

    def answer(self, request: Mapping[str, Any]) -> Any:
        """The log-probabilities of the two choices."""
        found = re.search(r"oldest first: ([-0-9 ]+)\.", request["messages"][-1][1])
        last = 0.0 if found is None else int(found.group(1).split()[-1]) / 100.0
        return Scores.among({"up": last, "down": 0.0}, 100).reply("").answer

    def replies(self, requests: Sequence[Mapping[str, Any]]) -> list[Reply]:
        """One for each."""
        return [Reply(self.answer(request)) for request in requests]


def seconds(work: Callable[[], object], runs: int) -> list[float]:
    spent = []
    for _ in range(runs):
        began = time.perf_counter()
        work()
        spent.append(time.perf_counter() - began)
    return spent


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--runs", type=int, default=3)
    runs = words.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SAPPHIRE_HOME"] = folder
        os.environ["XDG_CONFIG_HOME"] = folder
        calls = Path(folder) / "calls"
        questions = [("w" * 64, {"messages": [["user", f"{place} " + "x" * 600]]}) for place in range(CALLS)]
        with Recorder(calls, LastReturn()) as recorder:
            recorder.ask(str(PACKAGED), questions)
        with Recorder(calls, mode="replay") as replay:
            spent = seconds(lambda: replay.ask(str(PACKAGED), questions), runs)
        print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, n = {runs}, medians")
        print(f"replayed calls                {CALLS / statistics.median(spent):>10,.0f} a second")
        bars = sp.data.snapshot(
            ["BTC/USDT", "ETH/USDT"], interval="1h", start="2024-06-29", end="2025-01-01", source="embedded"
        )
        study = sp.study(
            "words",
            data=bars,
            holdout="1d",
            split=sp.walk_forward(train="60d", test="20d", embargo="12h"),
            costs=sp.costs.binance_spot(),
            sizing=sp.portfolio.VolatilityTarget(annual=0.2),
        )
        shown = len(study.evaluation)
        recordings = Path(folder) / "study"
        with recording(recordings, LastReturn()):
            first = seconds(lambda: study.replay(Qwen()), 1)
        again = []
        for _ in range(runs):
            fresh = sp.study(
                "words",
                data=bars,
                holdout="1d",
                split=study.split,
                costs=study.costs,
                sizing=study.sizing,
            )
            with recording(recordings, mode="replay"):
                again += seconds(lambda one=fresh: one.replay(Qwen()), 1)
        print(f"study, {shown:,} bars x 2, recorded first {first[0]:>8.1f} s")
        print(f"study, {shown:,} bars x 2, from recordings {statistics.median(again):>6.1f} s")


if __name__ == "__main__":
    main()
