"""Monitoring: what a run did, whether it is what the evidence says, and reports that say so.

In:    a run's folder (journal, decisions, stamps, the exchange's books), the release that traded, the market's bars.
Out:   the traded day as values, parity lot by lot with causes, latency with its n, an order's life, rendered reports;
       whole days on paper as evidence beside the release.
Never: changes what it reads, trades, or calls a difference explained that it cannot name.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sapphire.monitoring.balances import Balance, Reconciliation, reconcile
    from sapphire.monitoring.daily import DailyReport, daily_report
    from sapphire.monitoring.day_of_run import DayOfRun, days_of
    from sapphire.monitoring.days_on_paper import keep_paper_days, paper_day_witness, paper_days, witnessed_registry
    from sapphire.monitoring.decisions import DecidedBar, read_decisions
    from sapphire.monitoring.evidence import Evidence, EvidencePlan, evidence_of
    from sapphire.monitoring.exchange_books import ExchangeBooks
    from sapphire.monitoring.hops import HopSummary, OrderHops, read_hops, summarise_hops
    from sapphire.monitoring.ladder import Ladder, ladder_of
    from sapphire.monitoring.market import Market
    from sapphire.monitoring.parity import Cause, Difference, Parity, compare
    from sapphire.monitoring.reports import Rendered, list_reports, render_report
    from sapphire.monitoring.run_folder import RunFacts, TradedRun, read_run
    from sapphire.monitoring.running import results_of, run_notebook
    from sapphire.monitoring.tracing import Trace, find_order, trace_order
    from sapphire.monitoring.trading_day import TradedDay

_HOMES = {
    "balances": ("Balance", "Reconciliation", "reconcile"),
    "daily": ("DailyReport", "daily_report"),
    "day_of_run": ("DayOfRun", "days_of"),
    "days_on_paper": ("keep_paper_days", "paper_day_witness", "paper_days", "witnessed_registry"),
    "decisions": ("DecidedBar", "read_decisions"),
    "evidence": ("Evidence", "EvidencePlan", "evidence_of"),
    "exchange_books": ("ExchangeBooks",),
    "hops": ("HopSummary", "OrderHops", "read_hops", "summarise_hops"),
    "ladder": ("Ladder", "ladder_of"),
    "market": ("Market",),
    "parity": ("Cause", "Difference", "Parity", "compare"),
    "reports": ("Rendered", "list_reports", "render_report"),
    "run_folder": ("RunFacts", "TradedRun", "read_run"),
    "running": ("results_of", "run_notebook"),
    "tracing": ("Trace", "find_order", "trace_order"),
    "trading_day": ("TradedDay",),
}
_LAZY = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Balance",
    "Cause",
    "DailyReport",
    "DayOfRun",
    "DecidedBar",
    "Difference",
    "Evidence",
    "EvidencePlan",
    "ExchangeBooks",
    "HopSummary",
    "Ladder",
    "Market",
    "OrderHops",
    "Parity",
    "Reconciliation",
    "Rendered",
    "RunFacts",
    "Trace",
    "TradedDay",
    "TradedRun",
    "compare",
    "daily_report",
    "days_of",
    "evidence_of",
    "find_order",
    "keep_paper_days",
    "ladder_of",
    "list_reports",
    "paper_day_witness",
    "paper_days",
    "read_decisions",
    "read_hops",
    "read_run",
    "reconcile",
    "render_report",
    "results_of",
    "run_notebook",
    "summarise_hops",
    "trace_order",
    "witnessed_registry",
]


def __getattr__(name: str) -> object:
    """Load a name when it is first asked for (PEP 562)."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
