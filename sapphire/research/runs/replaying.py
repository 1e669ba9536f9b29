"""Replays: what the compiled engine would have done with an agent's beliefs, bar by bar.

The engine that runs here is the one that trades: its risk gate, its orders, its books to the atom. Sizing is asked at
every close with the state that the engine reports and what was believed last, exactly as a coordinator asks it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from sapphire.domain.engine import load_engine
from sapphire.domain.errors import EngineError, ValueRefused
from sapphire.domain.money import ATOMS_PER_UNIT, units_of
from sapphire.domain.progress import Progress
from sapphire.domain.stopped_views import LastBelief
from sapphire.portfolio import EqualWeight, PortfolioState, size_at_close
from sapphire.research.ledger import recording
from sapphire.research.results.fees import Fee, fees_paid
from sapphire.research.results.performance import Performance
from sapphire.research.results.replays import LADDER, REAL, Model, Replayed
from sapphire.research.runs.decided import Decisions
from sapphire.research.runs.delisting import Delisting, without
from sapphire.research.runs.kept_replays import keep_record, kept_record
from sapphire.research.runs.replay_market import engine_on
from sapphire.research.runs.walking import BeliefPanel

if TYPE_CHECKING:
    from sapphire.agents import Agent
    from sapphire.research.ledger.begun import Begun
    from sapphire.research.studies import Study

__all__ = ["Beside", "replay_beliefs", "replay_beside", "replay_ladder", "replay_paths"]

_PROGRESS_EVERY = 200


@dataclass(frozen=True, slots=True)
class _Known:
    """What a run begins with: an engine, or the record of an earlier run."""

    engine: Any
    record: dict[str, Any] | None


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


def replay_beliefs(
    study: Study, agent: Agent, beliefs: BeliefPanel, model: Model, *, on_progress: Progress, kept: bool = False
) -> Replayed:
    """Run the engine over the tested bars, one continuous account: a trial, in the ledger before it is run.

    Parameters
    ----------
    kept : whether the record of an earlier run of the same may stand for this one. Evidence never says so.

    Raises
    ------
    HoldoutSealed : the study's bars meet a sealed hold-out.
    LedgerDamaged : the ledger does not verify, or lines are missing.
    StudyError : recorded prices off the tick grid, volumes that the engine cannot count, a symbol without any bar.
    EngineError : what else the engine refuses, such as symbols of several quote assets.
    EngineMissing : the engine is not built.
    """
    known = _known(study, beliefs, model, kept=kept)
    (begun,) = recording.begin(study, [_about(study, study, agent, "replay", model)])
    run = _replayed(known, study, agent, beliefs, model, on_progress, kept=kept)
    recording.record(study, [recording.evaluation(study, begun, run.worth)])
    return run


def replay_beside(
    study: Study,
    agent: Agent,
    beliefs: BeliefPanel,
    others: Sequence[Beside],
    *,
    on_progress: Progress,
    method: str = "replay",
    code: str | None = None,
    kept: bool = False,
) -> tuple[Replayed, ...]:
    """The evidence, which is a trial, and counterfactual runs of the same beliefs beside it, which are recorded only.

    Parameters
    ----------
    method, code : what the ledger says of the evidence; `code` is the digest of a release where it is not the agent's.
    kept : as `replay_beliefs`.

    Raises
    ------
    HoldoutSealed, LedgerDamaged, StudyError, EngineError, EngineMissing : as `replay_beliefs`.
    """
    known = _known(study, beliefs, REAL, kept=kept)
    (begun,) = recording.begin(study, [_about(study, study, agent, method, REAL, code=code)])
    evidence = _replayed(known, study, agent, beliefs, REAL, on_progress, kept=kept)
    changed = [(each.of(study), each.model) for each in others]
    runs: list[Replayed] = []
    for of, model in changed:
        limited = next((run for run in runs if run.model is Model.LIMITED and _is_alike(run.study, of)), None)
        if model is Model.COSTLESS and limited is not None and not len(limited.record["denials"]["order"]):
            runs.append(replace(limited, model=model))  # no limit was met: without any it is the same run
        else:
            here = _known(of, beliefs, model, kept=kept)
            runs.append(_replayed(here, of, agent, beliefs, model, on_progress, kept=kept))
    beside = [_about(study, run.study, agent, "counterfactual", run.model, code=code) for run in runs]
    lines = [recording.evaluation(study, of, run.worth, counted=False) for of, run in zip(beside, runs, strict=True)]
    recording.record(study, [*lines, recording.evaluation(study, begun, evidence.worth)])
    return evidence, *runs


def replay_ladder(
    study: Study, agent: Agent, beliefs: BeliefPanel, *, on_progress: Progress, kept: bool = False
) -> tuple[Replayed, ...]:
    """One run per model of the ladder, in its order; the last one is the evidence and the trial."""
    others = [Beside(model) for model in reversed(LADDER[:-1])]
    evidence, *runs = replay_beside(study, agent, beliefs, others, on_progress=on_progress, kept=kept)
    return *reversed(runs), evidence


def replay_paths(
    study: Study, agent: Agent, paths: Sequence[BeliefPanel], *, on_progress: Progress, kept: bool = False
) -> tuple[Replayed, ...]:
    """One run per path, together one trial, in the ledger before it is run.

    It keeps no returns there: part of what a path was trained on lies behind its tests, so its ratio says nothing of
    how the ratios of what could be traded vary.

    Raises
    ------
    HoldoutSealed, LedgerDamaged, StudyError, EngineError, EngineMissing : as `replay_beliefs`.
    """
    known = [_known(study, path, REAL, kept=kept) for path in paths]
    (begun,) = recording.begin(study, [recording.about(study, agent, "paths", sizing=_sizing(study))])
    runs = tuple(
        _replayed(each, study, agent, path, REAL, on_progress, kept=kept)
        for each, path in zip(known, paths, strict=True)
    )
    worth = np.concatenate([run.worth for run in runs])
    recording.record(study, [recording.evaluation(study, begun, worth, has_returns=False)])
    return runs


def _is_alike(one: Study, other: Study) -> bool:
    """Whether two counterfactual forms of a study differ in nothing that a run without costs depends on."""
    return one.sizing == other.sizing and one.costs == other.costs


def _known(study: Study, beliefs: BeliefPanel, model: Model, *, kept: bool) -> _Known:
    """The record of an earlier run, or the engine before its first bar.

    What it refuses then, nobody has seen a result of.
    """
    record = kept_record(study, beliefs, model) if kept else None
    if record is not None:
        return _Known(None, record)
    with _refusals_of_ours():
        return _Known(engine_on(study, model), None)


def _replayed(
    known: _Known, study: Study, agent: Agent, beliefs: BeliefPanel, model: Model, on_progress: Progress, *, kept: bool
) -> Replayed:
    record = known.record
    if record is None:
        with _refusals_of_ours():
            record = _run(known.engine, study, agent, beliefs, model, on_progress)
        if kept:
            keep_record(study, beliefs, model, record)
    equity = units_of(record["equity"]["equity_quote_atoms"])
    traded, fees = _traded_and_fees(study, record)
    performance = Performance.measure(
        equity, study.data.interval, traded_quote=traded, fees_quote=fees, fills=len(record["fills"]["order"])
    )
    return Replayed(study, agent, model, record, equity, performance, beliefs)


def _about(study: Study, of: Study, agent: Agent, method: str, model: Model, *, code: str | None = None) -> Begun:
    """What the ledger says of a run; one that assumes less of the venue, or costs otherwise, is told apart."""
    sizing = _sizing(of) | ({} if model == REAL else {"model": str(model)})
    return recording.about(study, agent, method, sizing=sizing, code=code)


def _sizing(study: Study) -> dict[str, Any]:
    return {"name": study.sizing.name, **study.sizing.parameters, "costs": study.costs.parameters()}


def _run(
    engine: Any, study: Study, agent: Agent, beliefs: BeliefPanel, model: Model, on_progress: Progress
) -> dict[str, Any]:
    """Bar by bar: close, state, sizing, signals, end of bar. After the last close nothing is signalled."""
    bars, evaluation, delisting = study.tested, study.evaluation, Delisting(study.data.bars)
    first = int(np.searchsorted(evaluation.close_time_ns, bars.close_time_ns[0]))
    last = len(bars) - 1
    remembered: tuple[LastBelief, ...] = ()
    decisions = Decisions()
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
            believed = {each.symbol: each.belief.mean_bps for each in sized.remembered}
            decisions.add(bars.symbols, sized.targets, believed)
            for target in sized.targets:
                if target.symbol not in gone:
                    engine.signal(target.symbol, target.lots)
        engine.end_of_bar()
        if row % _PROGRESS_EVERY == 0:
            on_progress(row, len(bars), f"replay {agent.name}, {model}")
    on_progress(len(bars), len(bars), f"replay {agent.name}, {model}")
    record: dict[str, Any] = engine.finish()
    record["settlements"] = delisting.settled
    record["decided_for"] = decisions.counted()
    return record


@contextmanager
def _refusals_of_ours() -> Iterator[None]:
    """What the compiled engine refuses, as one of Sapphire's errors."""
    try:
        yield
    except load_engine().EngineError as error:
        raise EngineError(
            f"the engine refuses a replay: {error.what}", expected=error.expected, got=str(error.got)
        ) from error


def _traded_and_fees(study: Study, record: dict[str, Any]) -> tuple[float, float]:
    """Value of all fills and all fees in quote; a fee in base counts at its fill's price."""
    fills = record["fills"]
    traded = sum(map(int, fills["quote_atoms"])) / ATOMS_PER_UNIT
    names = ("symbol", "fee_asset", "fee_atoms", "price_ticks", "time_ns")
    paid = fees_paid(
        (
            Fee(symbol, asset, int(atoms), int(ticks), int(time_ns))
            for symbol, asset, atoms, ticks, time_ns in zip(*(fills[name] for name in names), strict=True)
        ),
        study.data.instruments,
    )
    return traded, paid.total_quote
