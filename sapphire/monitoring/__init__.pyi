from .judging.balances import Balance as Balance, Reconciliation as Reconciliation, reconcile as reconcile
from .judging.daily import DailyReport as DailyReport, daily_report as daily_report
from .judging.days_on_paper import (
    keep_paper_days as keep_paper_days,
    paper_day_witness as paper_day_witness,
    paper_days as paper_days,
    witnessed_registry as witnessed_registry,
)
from .judging.evidence import Evidence as Evidence, evidence_of as evidence_of
from .judging.ladder import Ladder as Ladder, ladder_of as ladder_of
from .judging.parity import Cause as Cause, Difference as Difference, Parity as Parity, compare as compare
from .reading.day_of_run import DayOfRun as DayOfRun, days_of as days_of
from .reading.decisions import DecidedBar as DecidedBar, read_decisions as read_decisions
from .reading.evidence_plan import EvidencePlan as EvidencePlan
from .reading.exchange_books import ExchangeBooks as ExchangeBooks
from .reading.latency_traces import (
    LatencySummary as LatencySummary,
    LatencyTrace as LatencyTrace,
    read_latency_traces as read_latency_traces,
    summarise_latency as summarise_latency,
)
from .reading.market import Market as Market
from .reading.run_folder import RunFacts as RunFacts, TradedRun as TradedRun, read_run as read_run
from .reading.tracing import Trace as Trace, find_order as find_order, trace_order as trace_order
from .reading.trading_day import TradedDay as TradedDay
from .telling.reports import Rendered as Rendered, list_reports as list_reports, render_report as render_report
from .telling.running import results_of as results_of, run_notebook as run_notebook
