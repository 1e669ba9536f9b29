"""Replays as results: what one run of the engine did, in tables, in figures and part by part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from sapphire.registry.calibrations import CalibrationEvidence
from sapphire.research.results.breakdowns import Breakdown, by_fold, by_regime, by_symbol
from sapphire.research.results.calibrations import CalibrationReport, calibration_of, reliability_points
from sapphire.research.results.performance import HEADER, Performance, simple_returns
from sapphire.research.results.plots import equity_figure
from sapphire.research.results.replay_frames import (
    denials_frame,
    fills_frame,
    orders_frame,
    positions_frame,
    refusals_frame,
    settlements_frame,
)
from sapphire.research.results.round_trips import round_trips
from sapphire.research.results.screens import account_frame, buy_and_hold
from sapphire.research.results.showing import Shown, described
from sapphire.research.results.summaries import statistics_of
from sapphire.research.results.tear_sheet import TearSheet, tear_sheet
from sapphire.research.results.trades import trades_figure
from sapphire.research.runs.decided import why_untraded
from sapphire.statistics import drawdown_series

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go
    from numpy.typing import NDArray

    from sapphire.agents import Agent
    from sapphire.domain.clocks import Instant
    from sapphire.research.runs.walking import BeliefPanel
    from sapphire.research.studies import Study

__all__ = ["LADDER", "REAL", "Model", "Replayed"]


class Model(StrEnum):
    """What a replay assumes of the venue; each member makes one more assumption real than the one before.

    The first has no cost and no limit: fills at the next open, nothing paid, nothing denied but what the account cannot
    pay. Where two members differ in one thing alone, their runs differ by what that thing costs.
    """

    COSTLESS = "costless"
    LIMITED = "limits"
    IDEAL = "ideal"
    VENUE_FEES = "venue_fees"
    SPREAD = "spread"
    BOOK = "book"

    @property
    def assumption(self) -> str:
        """What it makes real, in the words of every table, figure and summary."""
        return _ASSUMPTIONS[self]

    @property
    def venue(self) -> str:
        """How orders meet prices, by the engine's name."""
        return str(self if self.has_fees else Model.IDEAL)

    @property
    def has_limits(self) -> bool:
        """Whether the risk gate's limits are in force."""
        return self is not Model.COSTLESS

    @property
    def has_fees(self) -> bool:
        """Whether the venue takes fees."""
        return self not in (Model.COSTLESS, Model.LIMITED)


_ASSUMPTIONS = {
    Model.COSTLESS: "no costs, no limits",
    Model.LIMITED: "risk limits",
    Model.IDEAL: "fees",
    Model.VENUE_FEES: "fees in what is received",
    Model.SPREAD: "spread of the book",
    Model.BOOK: "latency",
}
LADDER = tuple(Model)
REAL = LADDER[-1]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Replayed(Shown):
    """One run of the engine. `len` counts its tested closes, and a loop goes through `(time, equity)`.

    Parameters
    ----------
    record : everything that happened, as the engine wrote it down: fills, orders, denials, refusals, equity.
    worth : float64 [T], quote, at the closes of the tested bars.
    believed : what was replayed.
    trials : N in the ledger once this run is in it.
    """

    study: Study
    agent: Agent
    model: Model
    record: dict[str, Any]
    worth: NDArray[np.float64]
    performance: Performance
    believed: BeliefPanel
    trials: int = 0

    @property
    def digest(self) -> str:
        """BLAKE3 of every decision of the engine with its time: two replays that decide alike have one digest."""
        return str(self.record["digest"])

    @property
    def equity(self) -> pd.Series[float]:
        """What the account was worth at each tested close, quote."""
        import pandas as pd

        return pd.Series(self.worth, index=self.study.tested.times, name="equity")

    @property
    def returns(self) -> pd.Series[float]:
        """Return from each tested close to the next, at the time of the later one."""
        import pandas as pd

        return pd.Series(simple_returns(self.worth), index=self.study.tested.times[1:], name="return")

    @property
    def untraded(self) -> str:
        """Why it never traded; empty where it did."""
        return why_untraded(self.record, self.believed.slopes, self.believed.probabilities)

    @property
    def calibration(self) -> CalibrationReport:
        """Fold by fold: what each score was worth in training, and what came of what was believed in the test."""
        found = calibration_of(self.study, self.believed)
        points = reliability_points(self.study, self.believed)
        return CalibrationReport(self.study, self.agent, found, self.trials, points)

    @property
    def marks(self) -> tuple[str, ...]:
        """What has to be said wherever it is shown: scores that are traded reversed, and why it never traded."""
        scores = CalibrationEvidence(slopes=self.believed.slopes).marks
        return (*scores, *([f"never traded: {self.untraded}"] if self.untraded else []))

    @property
    def positions(self) -> pd.DataFrame:
        """Base quantity held at each tested close, close time by symbol."""
        return positions_frame(self.study, self.record)

    @property
    def beliefs(self) -> pd.DataFrame:
        """What was believed at each tested close, by symbol: mean and deviation in basis points; NaN for nothing."""
        return self.believed.frame()

    @property
    def fills(self) -> pd.DataFrame:
        """Every fill: time, order, symbol, side, price and quantity, fee and the asset it was taken in."""
        return fills_frame(self.study, self.record)

    @property
    def orders(self) -> pd.DataFrame:
        """Every order: of which bar, limit, quantity, times, state, what was filled at which mean price."""
        return orders_frame(self.study, self.record)

    @property
    def denials(self) -> pd.DataFrame:
        """Orders that the risk gate refused: when, why, the limit and the value that met it."""
        return denials_frame(self.record)

    @property
    def refusals(self) -> pd.DataFrame:
        """Signals that were not taken, and why."""
        return refusals_frame(self.record)

    @property
    def settlements(self) -> pd.DataFrame:
        """What was held of symbols when they were delisted, paid out at their last price."""
        return settlements_frame(self.study, self.record)

    @property
    def round_trips(self) -> pd.DataFrame:
        """From flat to flat, symbol by symbol; what is still open counts at the last close."""
        closes = self.study.tested.frame("close").ffill().iloc[-1]
        marks = {str(symbol): float(price) for symbol, price in closes.items()}
        return round_trips(self.fills, self.settlements, self.study.data.instruments, marks)

    @property
    def statistics(self) -> pd.Series[float]:
        """Numbers of the account and of its round trips, for reading: no gate asks them.

        Shares and returns are fractions; ratios are per year, on returns from close to close.
        """
        return statistics_of(self)

    @property
    def caption(self) -> str:
        """One line."""
        settled = ", ".join(dict.fromkeys(paid.symbol for paid in self.record["settlements"]))
        mark = f", DELISTED and settled at the last price: {settled}" if settled else ""
        mark += "".join(f"; MARKED: {each}" for each in self.marks)
        evidence = "evidence" if self.model == REAL else f"counterfactual ({self.model.assumption})"
        orders, denied = len(self.record["orders"]["order"]), len(self.record["denials"]["order"])
        refused = len(self.record["refusals"]["symbol"])
        return (
            f"{evidence} of {described(self.agent)} by the engine: {orders:,} orders, {denied:,} denied, "
            f"{refused:,} signals refused, decisions {self.digest[:12]}{mark}; {self.study.label}; "
            f"N = {self.trials} trials in the ledger"
        )

    def table(self) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
        """The account, and buy-and-hold beside it."""
        benchmark = Performance.measure(
            self._benchmark().to_numpy(dtype=np.float64),
            self.study.data.interval,
            traded_quote=0,
            fees_quote=0,
            fills=0,
        )
        settled = self.as_dict()["settled"]
        mark = f" (settled at the last price: {', '.join(dict.fromkeys(settled))})" if settled else ""
        mark += " NEVER TRADED" if self.untraded else ""
        return ("account", *HEADER), [
            (self.agent.name + mark, *self.performance.row()),
            ("buy and hold, no costs", *benchmark.row()),
        ]

    @property
    def figure(self) -> go.Figure:
        """Equity against buy-and-hold, drawdown below; dotted lines where a fold's test begins."""
        import pandas as pd

        drawdown = pd.Series(-drawdown_series(self.worth), index=self.study.tested.times)
        starts = [fold.test_start for fold in self.study.folds]
        return equity_figure(f"Replay: {self.agent.name}", self.study.label, self._curves(), drawdown, folds=starts)

    @property
    def frame(self) -> pd.DataFrame:
        """Equity and drawdown (a fraction, at or below zero) at each tested close."""
        return account_frame(self.equity)

    def plot(self, symbol: str | None = None, *, start: Instant | None = None, end: Instant | None = None) -> go.Figure:
        """The market as candles with what was bought and sold, what was believed, and what was held.

        Parameters
        ----------
        symbol : one of the study's; its first unless given.
        start, end : bars that open in `[start, end)`; all tested ones unless given. A shorter time has finer candles.

        Raises
        ------
        UnknownInstrument : a symbol that the study does not have.
        MissingData : no tested bar in that time.
        """
        return trades_figure(self, symbol or self.study.tested.symbols[0], start, end)

    def _parts(self) -> Sequence[tuple[Any, ...]]:
        return list(self.equity.items())

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "method": "replay",
            "model": str(self.model),
            "agent": self.agent.name,
            "digest": self.digest,
            "orders": len(self.record["orders"]["order"]),
            "fills": len(self.record["fills"]["order"]),
            "denials": len(self.record["denials"]["order"]),
            "denied_for": dict(Counter(self.record["denials"]["code"])),
            "refusals": len(self.record["refusals"]["symbol"]),
            "refused_for": dict(Counter(self.record["refusals"]["reason"])),
            "settled": [paid.symbol for paid in self.record["settlements"]],
            "trials": self.trials,
            "marks": list(self.marks),
            "untraded": self.untraded,
            "decided_for": self.record["decided_for"],
            **self.performance.as_dict(),
        }

    @property
    def by_fold(self) -> Breakdown:
        """The same numbers for each test window."""
        return by_fold(self)

    @property
    def by_symbol(self) -> Breakdown:
        """What each symbol earned, over the whole account's equity."""
        return by_symbol(self)

    @property
    def by_regime(self) -> Breakdown:
        """The same numbers by what the market was like at the close before."""
        return by_regime(self)

    def tear_sheet(self) -> TearSheet:
        """What people expect to see of a track record, by ffn: for reading, and no evidence.

        Raises
        ------
        StudyError : fewer than two days.
        """
        return tear_sheet(described(self.agent), self.study.label, self._curves())

    def traded_at_opens(self) -> NDArray[np.float64]:
        """Signed base quantity by the bar that a fill opened, float64 [T, S]: what vectorbt is given to agree on."""
        bars = self.study.tested
        traded = np.zeros((len(bars), len(bars.symbols)))
        fills = self.record["fills"]
        for time_ns, symbol, side, lots in zip(
            fills["time_ns"], fills["symbol"], fills["side"], fills["lots"], strict=True
        ):
            row = int(np.searchsorted(bars.open_time_ns, time_ns))
            column = bars.symbols.index(symbol)
            lot = float(self.study.data.instruments[symbol].lot)
            traded[row, column] += lots * lot * (1 if side == "BUY" else -1)
        return traded

    def _benchmark(self) -> pd.Series[float]:
        return buy_and_hold(self.study)

    def _curves(self) -> pd.DataFrame:
        """Growth of one unit, and the benchmark's, at the tested closes."""
        import pandas as pd

        curves = {self.agent.name: self.worth / self.worth[0], "buy and hold": self._benchmark()}
        return pd.DataFrame(curves, index=self.study.tested.times)
