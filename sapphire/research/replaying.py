"""Replays: what the compiled engine would have done with an agent's beliefs, bar by bar.

The engine that runs here is the one that trades: its risk gate, its orders, its books to the atom. Sizing is asked at
every close with the state that the engine reports and what was believed last, exactly as a coordinator asks it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from sapphire.domain.engine import load_engine
from sapphire.domain.errors import EngineError, StudyError, ValueRefused
from sapphire.domain.instruments import Instrument, InstrumentKind
from sapphire.domain.money import ATOMS_PER_UNIT, to_atoms, units_of
from sapphire.domain.precision import I64_MAX
from sapphire.domain.stopped_views import LastBelief
from sapphire.portfolio import EqualWeight, PortfolioState, size_at_close
from sapphire.research import recording
from sapphire.research.delisting import Delisting, without
from sapphire.research.performance import HEADER, Performance, simple_returns
from sapphire.research.plots import equity_figure
from sapphire.research.screens import buy_and_hold
from sapphire.research.showing import Shown, described
from sapphire.research.walking import BeliefPanel, Told
from sapphire.statistics import drawdown_series

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go
    from numpy.typing import NDArray

    from sapphire.agents import Agent
    from sapphire.domain.bars import Bars
    from sapphire.research.ledger import Evaluation
    from sapphire.research.studies import Study

__all__ = ["LADDER", "REAL", "Beside", "Model", "Replayed", "replay_beliefs", "replay_beside", "replay_ladder"]

_TOLD_EVERY = 200


class Model(StrEnum):
    """What a replay assumes of the venue; each member makes one more assumption real than the one before."""

    IDEAL = "ideal"
    VENUE_FEES = "venue_fees"
    SPREAD = "spread"
    BOOK = "book"

    @property
    def assumption(self) -> str:
        """What it makes real, in the words of the table."""
        return _ASSUMPTIONS[self]


_ASSUMPTIONS = {
    Model.IDEAL: "next open, fees in quote",
    Model.VENUE_FEES: "fees in what is received",
    Model.SPREAD: "spread of the book",
    Model.BOOK: "latency",
}
LADDER = tuple(Model)
REAL = LADDER[-1]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Replayed(Shown):
    """One run of the engine.

    Parameters
    ----------
    record : everything that happened, as the engine wrote it down: fills, orders, denials, refusals, equity.
    equity : float64 [T], quote, at the closes of the tested bars.
    trials : N in the ledger once this run is in it.
    """

    study: Study
    agent: Agent
    model: Model
    record: dict[str, Any]
    equity: NDArray[np.float64]
    performance: Performance
    trials: int = 0

    @property
    def digest(self) -> str:
        """BLAKE3 of every decision of the engine with its time: two replays that decide alike have one digest."""
        return str(self.record["digest"])

    @property
    def returns(self) -> NDArray[np.floating[Any]]:
        """Return from each tested close to the next, float64 [T - 1]."""
        return simple_returns(self.equity)

    @property
    def fills(self) -> pd.DataFrame:
        """Every fill: time, symbol, side, price and quantity, fee and the asset it was taken in."""
        import pandas as pd

        fills = self.record["fills"]
        rules = {instrument.symbol: instrument for instrument in self.study.data.instruments}
        ticks = np.array([float(rules[symbol].tick) for symbol in fills["symbol"]])
        lots = np.array([float(rules[symbol].lot) for symbol in fills["symbol"]])
        return pd.DataFrame(
            {
                "time": pd.to_datetime(fills["time_ns"], utc=True),
                "symbol": fills["symbol"],
                "side": fills["side"],
                "price": fills["price_ticks"] * ticks,
                "quantity": fills["lots"] * lots,
                "fee": units_of(fills["fee_atoms"]),
                "fee_asset": fills["fee_asset"],
            }
        )

    @property
    def settlements(self) -> pd.DataFrame:
        """What was held of symbols when they were delisted, paid out at their last price."""
        import pandas as pd

        rules = {instrument.symbol: instrument for instrument in self.study.data.instruments}
        rows = [
            (
                pd.Timestamp(paid.close_ns, tz="UTC"),
                paid.symbol,
                paid.price_ticks * float(rules[paid.symbol].tick),
                paid.atoms / ATOMS_PER_UNIT,
                paid.quote_atoms / ATOMS_PER_UNIT,
            )
            for paid in self.record["settlements"]
        ]
        return pd.DataFrame(rows, columns=["time", "symbol", "price", "quantity", "quote"])

    @property
    def caption(self) -> str:
        """One line."""
        settled = ", ".join(dict.fromkeys(paid.symbol for paid in self.record["settlements"]))
        mark = f", DELISTED and settled at the last price: {settled}" if settled else ""
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
        held = Performance.measure(
            self._held().to_numpy(dtype=np.float64), self.study.data.interval, traded_quote=0, fees_quote=0, trades=0
        )
        settled = self.as_dict()["settled"]
        mark = f" (settled at the last price: {', '.join(dict.fromkeys(settled))})" if settled else ""
        return ("account", *HEADER), [
            (self.agent.name + mark, *self.performance.row()),
            ("buy and hold, no costs", *held.row()),
        ]

    @property
    def figure(self) -> go.Figure:
        """Equity against buy-and-hold, drawdown below; dotted lines where a fold's test begins."""
        import pandas as pd

        times = self.study.tested.times
        curves = pd.DataFrame(
            {self.agent.name: self.equity / self.equity[0], "buy and hold": self._held()}, index=times
        )
        drawdown = pd.Series(-drawdown_series(self.equity), index=times)
        starts = [fold.test_start for fold in self.study.folds]
        return equity_figure(f"Replay: {self.agent.name}", self.study.label, curves, drawdown, folds=starts)

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
            **self.performance.as_dict(),
        }

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

    def _held(self) -> pd.Series[float]:
        return buy_and_hold(self.study)


@dataclass(frozen=True, slots=True)
class Beside:
    """A counterfactual run of the platform's own: the evidence with one thing changed, and nothing that a sweep varies.

    Parameters
    ----------
    model : what it assumes of the venue.
    times : by how much the venue's costs are multiplied.
    holds : whether every symbol is held in equal parts, as the baseline does, instead of what the sizing says.

    Raises
    ------
    ValueRefused : costs multiplied by less than 1: that would be a better agent.
    """

    model: Model = REAL
    times: float = 1.0
    holds: bool = False

    def __post_init__(self) -> None:
        if not self.times >= 1.0:
            raise ValueRefused("a counterfactual run", expected="costs multiplied by 1 or more", got=f"{self.times:g}")

    def of(self, study: Study) -> Study:
        """The study that it is a run of."""
        return replace(
            study,
            costs=study.costs if self.times == 1.0 else study.costs.stressed(self.times),
            sizing=EqualWeight() if self.holds else study.sizing,
        )


def replay_beliefs(study: Study, agent: Agent, beliefs: BeliefPanel, model: Model, *, told: Told) -> Replayed:
    """Run the engine over the tested bars, one continuous account: a trial, in the ledger before it is had.

    Raises
    ------
    HoldoutSealed : the study's bars meet a sealed hold-out.
    StudyError : an instrument that the engine does not trade yet.
    EngineError : what else the engine refuses, such as symbols of several quote assets.
    EngineMissing : the engine is not built.
    """
    recording.admit(study)
    run = _replayed(study, agent, beliefs, model, told)
    recording.record(study, [_evaluation(study, run, "replay")])
    return run


def replay_beside(
    study: Study,
    agent: Agent,
    beliefs: BeliefPanel,
    others: Sequence[Beside],
    *,
    told: Told,
    method: str = "replay",
    code: str | None = None,
) -> tuple[Replayed, ...]:
    """The evidence, which is a trial, and counterfactual runs of the same beliefs beside it, which are recorded only.

    Parameters
    ----------
    method, code : what the ledger says of the evidence; `code` is the digest of a release where it is not the agent's.

    Raises
    ------
    HoldoutSealed, StudyError, EngineError, EngineMissing : as `replay_beliefs`.
    """
    recording.admit(study)
    evidence = _replayed(study, agent, beliefs, REAL, told)
    runs = [_replayed(each.of(study), agent, beliefs, each.model, told) for each in others]
    lines = [_evaluation(study, run, "counterfactual", code=code, counted=False) for run in runs]
    recording.record(study, [*lines, _evaluation(study, evidence, method, code=code)])
    return evidence, *runs


def replay_ladder(study: Study, agent: Agent, beliefs: BeliefPanel, *, told: Told) -> tuple[Replayed, ...]:
    """One run per model of the ladder, in its order; the last one is the evidence and the trial."""
    evidence, *runs = replay_beside(study, agent, beliefs, [Beside(model) for model in LADDER[:-1]], told=told)
    return *runs, evidence


def _replayed(study: Study, agent: Agent, beliefs: BeliefPanel, model: Model, told: Told) -> Replayed:
    with _refusals_of_ours():
        record = _run(study, agent, beliefs, model, told)
    equity = units_of(record["equity"]["equity_quote_atoms"])
    traded, fees = _traded_and_fees(study, record)
    performance = Performance.measure(
        equity, study.data.interval, traded_quote=traded, fees_quote=fees, trades=len(record["fills"]["order"])
    )
    return Replayed(study, agent, model, record, equity, performance)


def _evaluation(
    study: Study, run: Replayed, method: str, *, code: str | None = None, counted: bool = True
) -> Evaluation:
    """What the ledger says of a run; one that assumes less of the venue, or costs otherwise, is told apart."""
    own = run.study
    sizing = {"name": own.sizing.name, **own.sizing.parameters, "costs": own.costs.parameters()}
    sizing |= {} if run.model == REAL else {"model": str(run.model)}
    return recording.evaluation(study, run.agent, method, run.equity, sizing=sizing, code=code, counted=counted)


def _run(study: Study, agent: Agent, beliefs: BeliefPanel, model: Model, told: Told) -> dict[str, Any]:
    """Bar by bar: close, state, sizing, signals, end of bar. After the last close nothing is signalled."""
    engine = _engine(study, model)
    bars, evaluation, delisting = study.tested, study.evaluation, Delisting(study.data.bars)
    first = int(np.searchsorted(evaluation.close_time_ns, bars.close_time_ns[0]))
    last = len(bars) - 1
    remembered: tuple[LastBelief, ...] = ()
    for row, close_ns in enumerate(map(int, bars.close_time_ns)):
        state, gone = engine.close_bar(close_ns), delisting.gone(close_ns)
        lots = delisting.settle(engine, close_ns, dict(zip(bars.symbols, state.position_lots, strict=True)))
        if row < last:
            known = PortfolioState.from_bars(
                evaluation.rows(0, first + row + 1),
                equity_quote=state.equity_quote_atoms / ATOMS_PER_UNIT,
                lots=lots,
                instruments=study.data.instruments,
            )
            sized = size_at_close(
                [belief for belief in beliefs.at(row) if belief.symbol not in gone],
                [each for each in remembered if each.symbol not in gone],
                without(known, gone),
                sizing=study.sizing,
                rule=study.when_views_stop,
                interval=bars.interval,
            )
            remembered = sized.remembered
            for target in sized.targets:
                if target.symbol not in gone:
                    engine.signal(target.symbol, target.lots)
        engine.end_of_bar()
        if row % _TOLD_EVERY == 0:
            told(row, len(bars), f"replay {agent.name}, {model}")
    told(len(bars), len(bars), f"replay {agent.name}, {model}")
    record: dict[str, Any] = engine.finish()
    record["settlements"] = delisting.settled
    return record


@contextmanager
def _refusals_of_ours() -> Iterator[None]:
    """What the compiled engine refuses, as an error of the house."""
    try:
        yield
    except load_engine().EngineError as error:
        raise EngineError(
            f"the engine refuses a replay: {error.what}", expected=error.expected, got=str(error.got)
        ) from error


def _engine(study: Study, model: Model) -> Any:
    """The engine on the study's market: the generated path itself, or the recorded candles."""
    for instrument in study.data.instruments:
        if instrument.kind is not InstrumentKind.SPOT:
            raise StudyError(
                f"{instrument.symbol} is not spot",
                expected="spot instruments: the engine's margin and funding are not built",
                got=str(instrument.kind),
                next="import the candles as spot bars (BTCUSDT-5m.csv) to study their path",
            )
    provenance = study.data.provenance
    generated = provenance.source == "embedded"
    bars = study.tested
    quote = study.data.instruments[bars.symbols[0]].quote
    settings: dict[str, Any] = {
        "symbols": list(bars.symbols),
        "start_ns": int(bars.open_time_ns[0]),
        "deposits_atoms": {quote: to_atoms(str(study.starting_cash))},
        "time_to_live_ns": bars.interval.ns,
        "model": str(model),
        "seed": int(provenance.detail["seed"]) if generated else study.seed,
        "maker_fee_e8": study.costs.maker_e8,
        "taker_fee_e8": study.costs.taker_e8,
        "latency_ns": study.costs.latency_ns,
        "limits": study.limits.settings(to_atoms(str(study.starting_cash))),
        "settings": study.execution.as_dict(),
    }
    if generated:
        settings["instruments"] = {symbol: _generated_rules(study, symbol) for symbol in bars.symbols}
    else:
        settings["candles"] = {symbol: _candles(study, bars, symbol) for symbol in bars.symbols}
        settings["candle_interval_ns"] = bars.interval.ns
        settings["instruments"] = {instrument.symbol: _rules(instrument) for instrument in study.data.instruments}
    return load_engine().Replay(**settings)


def _candles(study: Study, bars: Bars, symbol: str) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Recorded bars of one symbol in ticks and lots; a price off the tick grid is refused, a volume is cut to lots."""
    instrument = study.data.instruments[symbol]
    column = bars.symbols.index(symbol)
    if not bars.listed[:, column].any():
        bars = _nearest_bar(study, column)
    listed = bars.listed[:, column]
    prices = np.stack([bars.open, bars.high, bars.low, bars.close], axis=-1)[listed, column]
    ticks = np.rint(prices / float(instrument.tick)).astype(np.int64)
    off = np.abs(ticks * float(instrument.tick) - prices) > 1e-9 * prices
    if off.any():
        raise StudyError(
            f"recorded prices of {symbol} are off its tick grid",
            expected=f"multiples of {instrument.tick}",
            got=f"{prices[off][0]!r} and {int(off.sum()) - 1:,} more",
            next="sapphire data show names the rules that the snapshot was taken with",
        )
    lots = bars.volume[listed, column] / float(instrument.lot)
    whole = np.rint(lots)  # 0.3 is three lots of 0.1, though as floats it is a little less
    if (whole >= I64_MAX).any():
        raise StudyError(
            f"recorded volumes of {symbol} are more than the engine counts",
            expected=f"at most {I64_MAX} lots of {instrument.lot} in a bar",
            got=f"{whole.max():.4g} lots",
            next="take a snapshot of shorter bars, or give the instrument the venue's own lot",
        )
    volume = np.where(np.abs(lots - whole) <= 1e-9 * whole, whole, np.floor(lots)).astype(np.int64)
    return bars.open_time_ns[listed], ticks, volume


def _generated_rules(study: Study, symbol: str) -> dict[str, int]:
    """Rules of the generated market at the end of the snapshot; of bars collected from an exchange, the exchange's."""
    from sapphire.data.generated import engine_rules

    instrument = study.data.instruments[symbol]
    seed = int(study.data.provenance.detail["seed"])
    rules = engine_rules(symbol, seed=seed, at_ns=study.data.end_ns - 1)
    steps = (instrument.tick_atoms, instrument.lot_atoms)
    return rules if steps == (rules["tick_atoms"], rules["lot_atoms"]) else _rules(instrument)


def _nearest_bar(study: Study, column: int) -> Bars:
    """The one bar of a symbol that has none in the tests: its last before them, or its first after; the engine has to
    know a symbol by a candle, and none of the tests comes to see this one.

    Raises
    ------
    StudyError : the snapshot has no bar of it.
    """
    bars = study.data.bars
    rows = np.flatnonzero(bars.listed[:, column])
    if not rows.size:
        raise StudyError(
            f"no bar of {bars.symbols[column]}",
            expected="at least one in the snapshot",
            got=f"none in {len(bars):,} bars",
            next="take the snapshot without it",
        )
    before = rows[bars.open_time_ns[rows] < study.tested.open_time_ns[0]]
    row = int(before[-1] if before.size else rows[0])
    return bars.rows(row, row + 1)


def _rules(instrument: Instrument) -> dict[str, int]:
    return {
        "tick_atoms": instrument.tick_atoms,
        "lot_atoms": instrument.lot_atoms,
        "min_lots": instrument.min_lots,
        "max_lots": instrument.max_lots,
        "min_ticks": 1,
        "max_ticks": np.iinfo(np.int64).max // max(instrument.tick_atoms, 1),
        "min_notional_atoms": to_atoms(instrument.min_notional),
    }


def _traded_and_fees(study: Study, record: dict[str, Any]) -> tuple[float, float]:
    """Value of all fills and all fees in quote; a fee in base counts at its fill's price."""
    fills = record["fills"]
    traded = sum(map(int, fills["quote_atoms"])) / ATOMS_PER_UNIT
    fees = 0.0
    for symbol, asset, atoms, ticks in zip(
        fills["symbol"], fills["fee_asset"], fills["fee_atoms"], fills["price_ticks"], strict=True
    ):
        instrument = study.data.instruments[symbol]
        price = 1.0 if asset == instrument.quote else ticks * float(instrument.tick)
        fees += int(atoms) / ATOMS_PER_UNIT * price
    return traded, fees
