"""The research half of the demo: its notebooks, in two chains side by side.

One chain shows data and agents, the other studies and promotes; within a chain the order counts, because the ledger of
trials does. Each notebook runs in a process of its own.
"""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sapphire.domain.errors import ConfigError
from sapphire.lab.demo.market import DemoMarket
from sapphire.lab.demo.round_trip import RoundTrip, trade_by_ccxt
from sapphire.lab.demo.steps import Steps
from sapphire.lab.demo.tracking import TrackingServer
from sapphire.monitoring.telling.running import results_of, run_notebook

__all__ = ["NOTEBOOKS", "Researched", "research"]

Result = TypeVar("Result")

_SHOWING, _STUDYING = ("10_data.ipynb", "20_agents.ipynb"), "30_backtest.ipynb"
_PROMOTING = {False: "40_promotion.ipynb", True: "41_four_agents.ipynb"}
NOTEBOOKS = (*_SHOWING, _STUDYING, *_PROMOTING.values())
"""Those that the demo runs, the last two in turn: without agents that read, and with them."""


@dataclass(frozen=True, slots=True)
class Researched:
    """What came out.

    Parameters
    ----------
    round_trip : what ccxt did.
    results : plain values of what the studying notebooks showed, in order.
    """

    round_trip: RoundTrip
    results: tuple[dict[str, Any], ...]

    def last(self, method: str) -> dict[str, Any]:
        """The last result of a method."""
        return next(result for result in reversed(self.results) if result["method"] == method)

    @property
    def replays(self) -> tuple[dict[str, Any], ...]:
        """Every replay that was shown."""
        return tuple(result for result in self.results if result["method"] == "replay")


def research(
    market: DemoMarket,
    *,
    workspace: Path,
    folder: Path,
    tracking: TrackingServer,
    steps: Steps,
    reading: bool = False,
) -> Researched:
    """Trade by ccxt and run the notebooks; what was run is kept in `folder`.

    Parameters
    ----------
    tracking : where releases are registered; waited for before anything promotes.
    reading : whether what is promoted is the pool with agents that read.

    Raises
    ------
    ConfigError : the notebooks are not here.
    SapphireError : the first step that failed.
    """
    notebooks = workspace / "notebooks"
    missing = [name for name in NOTEBOOKS if not (notebooks / name).is_file()]
    if missing:
        raise ConfigError(
            "the demo's notebooks are not here",
            expected=f"{', '.join(NOTEBOOKS)} in {notebooks}",
            got=f"no {', '.join(missing)}",
            next="run sapphire demo in a checkout of Sapphire",
        )
    failed = threading.Event()
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=spawn) as processes, ThreadPoolExecutor(2) as chains:

        def result_of(what: str, task: Future[Result]) -> Result:
            try:
                return steps.run(what, task.result)
            except BaseException:
                failed.set()  # the other chain ends with what it is at
                raise

        def run(name: str, parameters: dict[str, Any]) -> None:
            task = processes.submit(run_notebook, notebooks / name, folder / name, parameters, cwd=workspace)
            result_of(f"notebook {name}", task)

        def run_all(names: Sequence[str], parameters: dict[str, Any]) -> None:
            for name in names:
                if not failed.is_set():
                    run(name, parameters)

        def show() -> None:
            run_all(_SHOWING[:1], {"seed": market.seed})
            run_all(_SHOWING[1:], market.universe | market.windows.showing)

        accounts = market.universe | {"cash": float(market.cash)}

        def study() -> None:
            run(_STUDYING, accounts | market.windows.studying)
            tracking.wait()
            promoting = dict(market.windows.promoting)
            if reading:  # its agents have no averages
                promoting = {name: value for name, value in promoting.items() if name not in ("fast", "slow")}
            run_all([_PROMOTING[reading]], accounts | promoting)

        studying = chains.submit(study)
        task = processes.submit(trade_by_ccxt, market)
        round_trip = result_of("exchange: an unmodified ccxt trades", task)
        agree = "explained to the last digit" if round_trip.balances_agree else "NOT explained"
        steps.note(f"{round_trip.orders} orders, {round_trip.fills} fills; balances {agree}")
        showing = chains.submit(show)
        for done in (showing, studying):
            done.result()
    results = tuple(result for name in (_STUDYING, _PROMOTING[reading]) for result in results_of(folder / name))
    return Researched(round_trip, results)
