"""Where the market of a stack begins: where it began before, where it is told to, or where its kind begins."""

from __future__ import annotations

from sapphire.domain.clocks import WallClock, to_ns
from sapphire.execution.candle_folder import first_common_ns
from sapphire.stack.folders import RunFolder
from sapphire.stack.plan import Plan

__all__ = ["market_start_ns"]

_LOCKSTEP_START = "2024-01-01T00:00:00Z"
"""Where the embedded exchange's market begins in lock-step when nobody says (`LOCKSTEP_START_NS` in its settings)."""


def market_start_ns(plan: Plan, folder: RunFolder) -> int:
    """Where the exchange's market begins or began, UTC ns; the first start in this folder is kept in its journal.

    Parameters
    ----------
    plan : of the stack; an account that joins has the market of the stack that it joins.
    folder : its run folder.

    Raises
    ------
    DataError : the candles that drive it cannot be read.
    """
    if plan.joins is not None:
        return int(RunFolder(plan.joins).read()["market"]["start_ns"])
    kept = folder.read()["market"].get("start_ns") if folder.facts.is_file() and folder.exchange.is_dir() else None
    if kept is not None:
        return int(kept)
    if plan.market.start is not None:
        return to_ns(plan.market.start)
    if plan.market.candles is not None:
        return first_common_ns(plan.market.candles, plan.symbols)
    return to_ns(_LOCKSTEP_START) if plan.is_lockstep else WallClock().now_ns()
