"""The trading half of the demo: the promoted release on paper, in lock-step, on bars that no study has seen."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from sapphire.lab.demo.market import DemoMarket
from sapphire.lab.demo.steps import Steps
from sapphire.stack.account.limits import account_limits
from sapphire.stack.plan import Market, Plan
from sapphire.stack.releases import choose_release
from sapphire.stack.stack import Stack, run_bars

if TYPE_CHECKING:
    from sapphire.execution.conductor import Driven

__all__ = ["trade_on_paper"]

_REST = timedelta(minutes=1)
"""How far market time goes on behind the last close, so that the last bar's orders arrive and are answered."""

_PROGRESS_EVERY = 100


def trade_on_paper(release: str, market: DemoMarket, *, home: Path, run: Path, steps: Steps) -> Driven:
    """Start the whole stack afresh where the study ends, drive it over the bars behind it, and end it.

    Parameters
    ----------
    release : "pool@1".
    run : the run's folder; what an earlier run left in it is forgotten.

    Raises
    ------
    SapphireError : a part that does not come up or does not answer, a release that is refused.
    """
    chosen, manifest = choose_release(home, release)
    plan = Plan(
        run=run,
        home=home,
        release=chosen,
        symbols=manifest.universe,
        interval=manifest.interval,
        market=Market(market.seed, market.candles, market.windows.end),
        funds={market.quote: market.cash},
        execution=manifest.execution,
    )
    plan = replace(plan, limits=account_limits(home, chosen.digest, plan.equity_atoms))

    def progress(done: int, wanted: int, _close_ns: int) -> None:
        if done % _PROGRESS_EVERY == 0:
            steps.note(f"{done:,} of {wanted:,} bars")

    bars = market.windows.paper
    stack = Stack(plan, fresh=True)
    steps.run("stack: bus, exchange, bento, collector, coordinator, service", stack.start)
    try:
        return steps.run(
            f"paper: {bars:,} bars of {' and '.join(plan.symbols)}",
            lambda: run_bars(stack, bars, rest=_REST, progress=progress),
        )
    finally:
        stack.stop()
