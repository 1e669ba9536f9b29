"""Study: one question, one piece of history, and everything that is asked of it.

The hold-out at the end of the data is sealed: what a study hands to an agent, a screen or the engine is cut off before
it. Every evaluation is written to the ledger by the study, before its result is shown.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from sapphire.agents import Agent, code_digest, duration_text, plain_parameters
from sapphire.domain.clocks import Clock, WallClock, from_ns, parse_duration, to_ns
from sapphire.domain.display import stamp
from sapphire.domain.errors import AgentError, StudyError, ValueRefused
from sapphire.domain.money import to_atoms
from sapphire.domain.stopped_views import WhenViewsStop
from sapphire.domain.workspace import home
from sapphire.portfolio import Sizing
from sapphire.research import screening
from sapphire.research.comparing import Comparison, compare_models
from sapphire.research.costs import RATE_ONE, Costs
from sapphire.research.delisting import ends_of
from sapphire.research.informing import InformationReport, inform
from sapphire.research.ledger import Evaluation, Ledger, Trials
from sapphire.research.performance import Performance, digest_of_returns, simple_returns
from sapphire.research.progress import progress
from sapphire.research.replaying import REAL, Model, Replayed, replay_beliefs
from sapphire.research.screens import Screen, Sweep
from sapphire.research.showing import Shown
from sapphire.research.splits import Fold, Split
from sapphire.research.trial_returns import ReturnSeries
from sapphire.research.trials import TrialsTable
from sapphire.research.walking import BeliefPanel, walk_beliefs, walk_views

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sapphire.data import Snapshot
    from sapphire.domain.bars import Bars
    from sapphire.research.submitting import Release

__all__ = ["Study", "study"]


def study(
    name: str,
    *,
    data: Snapshot,
    holdout: str | timedelta,
    split: Split,
    costs: Costs,
    sizing: Sizing,
    seed: int = 7,
    starting_cash: float = 100_000.0,
    when_views_stop: WhenViewsStop | None = None,
    ledger: Ledger | None = None,
    clock: Clock | None = None,
) -> Study:
    """Begin a study.

    Parameters
    ----------
    name : what tables call it. The ledger counts by data, not by name.
    data : the snapshot.
    holdout : length of the sealed end of the data.
    split : how what lies before it is split into training and test.
    costs : what trading costs.
    sizing : from beliefs to targets.
    seed : of everything that is random in a fit.
    starting_cash : of the replayed account, in the quote asset.
    when_views_stop : what positions do once nothing is believed any more; the default of `WhenViewsStop` unless given.
    ledger : where evaluations are counted; the state folder's own unless given.
    clock : when a ledger line was written; the machine's unless given.

    Raises
    ------
    StudyError : no room for the hold-out and one fold.
    ValueRefused : a starting cash that is not above zero, or finer than the quote asset allows.
    """
    if to_atoms(str(starting_cash)) <= 0:
        raise ValueRefused("starting cash of a study", expected="above zero", got=f"{starting_cash:g}")
    made = Study(
        name=name,
        data=data,
        holdout=parse_duration(holdout),
        split=split,
        costs=costs,
        sizing=sizing,
        seed=seed,
        starting_cash=starting_cash,
        when_views_stop=when_views_stop or WhenViewsStop(),
        ledger=ledger or Ledger(home() / "ledger"),
        clock=clock or WallClock(),
    )
    made.folds  # noqa: B018  (a study without room for a fold is refused here, not at its first question)
    return made


@dataclass(frozen=True, eq=False, repr=False)
class Study(Shown):
    """See `study`."""

    name: str
    data: Snapshot
    holdout: timedelta
    split: Split
    costs: Costs
    sizing: Sizing
    seed: int
    starting_cash: float
    when_views_stop: WhenViewsStop
    ledger: Ledger = field(repr=False)
    clock: Clock = field(repr=False)

    @property
    def holdout_start(self) -> datetime:
        """No bar that closes after this moment is shown to anything."""
        return from_ns(self.data.end_ns) - self.holdout

    @cached_property
    def evaluation(self) -> Bars:
        """The bars before the hold-out."""
        return self.data.bars.head_until(self.holdout_start)

    @cached_property
    def folds(self) -> tuple[Fold, ...]:
        """Training and test windows; test windows end where the hold-out begins."""
        bars = self.evaluation
        if not len(bars):
            raise StudyError(
                "the hold-out leaves no bars to study",
                expected=f"a snapshot longer than the hold-out of {self.holdout}",
                got=f"{stamp(self.data.start_ns)} to {stamp(self.data.end_ns)}",
                next="take a longer snapshot, or shorten holdout",
            )
        first_close = from_ns(int(bars.close_time_ns[0]))
        return self.split.folds(first_close, from_ns(int(bars.close_time_ns[-1]) + 1_000))

    @cached_property
    def tested(self) -> Bars:
        """The test bars of all folds, one after the other: what evaluations are of."""
        start, stop = np.searchsorted(
            self.evaluation.close_time_ns, [to_ns(self.folds[0].test_start), to_ns(self.folds[-1].test_end)]
        )
        return self.evaluation.rows(int(start), int(stop))

    @property
    def label(self) -> str:
        """Where the data are from."""
        return self.data.provenance.label

    @property
    def caption(self) -> str:
        """One line."""
        return f"study {self.name!r} on snapshot {self.data.hash[:12]}: {self.label}"

    def table(self) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
        """What it is made of."""
        first, last = self.folds[0], self.folds[-1]
        lines = [
            ("symbols", f"{', '.join(self.data.symbols)}, {self.data.interval} bars"),
            (
                "training from",
                f"{first.train_start:%Y-%m-%d %H:%M}Z, {duration_text(first.train_end - first.train_start)} a fold",
            ),
            (
                "tested",
                f"{first.test_start:%Y-%m-%d %H:%M}Z to {last.test_end:%Y-%m-%d %H:%M}Z in {len(self.folds)} folds",
            ),
            ("embargo", duration_text(first.test_start - first.train_end)),
            ("hold-out, sealed", f"from {self.holdout_start:%Y-%m-%d %H:%M}Z, {duration_text(self.holdout)}"),
            ("costs", f"{self.costs.name}: maker {self.costs.maker_bps:g}, taker {self.costs.taker_bps:g} bps"),
            ("sizing", f"{self.sizing.name} {self.sizing.parameters}"),
            ("when views stop", self.when_views_stop.text),
        ]
        return ("what", "value"), lines

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "method": "study",
            "study": self.name,
            "snapshot": self.data.hash,
            "label": self.label,
            "folds": len(self.folds),
        }

    def screen(self, agent: Agent) -> Screen:
        """A first look by vectorbt: long or flat on the agent's own views. It explores and proves nothing."""
        bars = self.tested
        with progress(f"screen {agent.name}") as told:
            views = walk_views(agent, self.evaluation, self.folds, seed=self.seed, told=told)
        account = screening.accounts_of_stances(
            bars, [screening.stance(views)], self.costs, ends=ends_of(self.data.bars)
        )[0]
        equity = account.equity.to_numpy(dtype=np.float64)
        performance = self._measure(equity, account)
        self._record([self._evaluation(agent, "screen", self._screen_sizing, equity, performance)])
        return Screen(self, agent, account.equity, performance, self._trials.count)

    def sweep(self, agent: Agent, **grid: Iterable[Any]) -> Sweep:
        """Screens over every combination of parameters; each one is a trial.

        Combinations that the agent refuses are left out and named.

        Raises
        ------
        StudyError : no parameters, ones that the agent does not have, or no combination that it accepts.
        """
        names = tuple(grid)
        agents, refused = _variants(agent, grid)
        stances = []
        with progress(f"sweep {agent.name}") as told:
            for number, (values, variant) in enumerate(agents.items()):
                told(number, len(agents), f"{agent.name} {dict(zip(names, values, strict=True))}")
                views = walk_views(variant, self.evaluation, self.folds, seed=self.seed, told=lambda *_: None)
                stances.append(screening.stance(views))
            told(len(agents), len(agents), f"{agent.name}: {len(agents)} combinations")
            accounts = screening.accounts_of_stances(self.tested, stances, self.costs, ends=ends_of(self.data.bars))
        curves = [account.equity.to_numpy(dtype=np.float64) for account in accounts]
        rows = [self._measure(equity, account) for equity, account in zip(curves, accounts, strict=True)]
        self._record(
            self._evaluation(variant, "sweep", self._screen_sizing, equity, performance)
            for variant, equity, performance in zip(agents.values(), curves, rows, strict=True)
        )
        return Sweep(self, agent, names, tuple(agents), tuple(rows), refused, self._trials.count)

    def replay(self, agent: Agent) -> Replayed:
        """The evidence: the compiled engine over the folds, one continuous account, with book, latency and fees."""
        beliefs = self._beliefs(agent)
        replayed = self._replay(agent, beliefs, REAL)
        self._record([self._evaluation_of(replayed, "replay")])
        return dataclasses.replace(replayed, trials=self._trials.count)

    def compare(self, agent: Agent) -> Comparison:
        """Screen against replay: equal to rounding under equal assumptions, then what each assumption costs.

        Raises
        ------
        StudyError : the two differ by more than rounding where they should not.
        """
        beliefs = self._beliefs(agent)
        runs = compare_models(lambda model: self._replay(agent, beliefs, model))
        theirs = screening.equity_of_fills(
            self.tested,
            runs[0].traded_at_opens(),
            fee_rate=self.costs.taker_e8 / RATE_ONE,
            starting_cash=self.starting_cash,
        )
        compared = Comparison.of(self, agent, runs, theirs)
        self._record(
            self._evaluation_of(run, "replay" if run.model == REAL else "counterfactual", counted=run.model == REAL)
            for run in runs
        )
        return compared.counted(self._trials.count)

    def information(self, agent: Agent) -> InformationReport:
        """Rank information by horizon, its decay, and returns by quantile, before any money is involved."""
        with progress(f"information of {agent.name}") as told:
            views = walk_views(agent, self.evaluation, self.folds, seed=self.seed, told=told)
        report = inform(self, agent, views)
        self._record([self._evaluation(agent, "information", {}, np.asarray(report.mean_ic), None)])
        return dataclasses.replace(report, trials=self._trials.count)

    def trials(self) -> TrialsTable:
        """What the ledger says of the tested window of this market, whatever the study was called."""
        found = self._trials
        return TrialsTable(self.caption, found, self.ledger.effective_trials(found))

    def submit(self, agent: Agent) -> Release:
        """Fit once on all before the hold-out, freeze, open the hold-out, measure and register.

        The same agent, data and environment make the same release, and it gets the result that is stored.

        Raises
        ------
        AgentError : an agent that cannot be frozen; says why.
        StudyError : a hold-out without bars.
        """
        from sapphire.research.submitting import submit

        return submit(self, agent)

    def record(self, run: Replayed, method: str, *, counted: bool = True, code: str | None = None) -> None:
        """Write a replay of this study to the ledger; `code` is the digest of a release where it is not the agent's."""
        evaluation = self._evaluation_of(run, method, counted=counted)
        self._record([evaluation if code is None else dataclasses.replace(evaluation, code=code)])

    @property
    def lineage(self) -> Mapping[str, Any]:
        """Where the data come from, whatever part of them was used."""
        provenance = self.data.provenance
        return {
            "source": provenance.source,
            "venue": provenance.venue,
            "detail": dict(provenance.detail),
            "symbols": sorted(self.data.symbols),
            "interval": self.data.interval.text,
        }

    @property
    def _trials(self) -> Trials:
        start_ns, end_ns = self._window
        return self.ledger.trials(self.lineage, start_ns=start_ns, end_ns=end_ns)

    @property
    def _window(self) -> tuple[int, int]:
        closes = self.tested.close_time_ns
        return int(closes[0]), int(closes[-1]) + 1

    def _beliefs(self, agent: Agent) -> BeliefPanel:
        with progress(f"walk {agent.name} forward") as told:
            return walk_beliefs(agent, self.evaluation, self.folds, seed=self.seed, told=told)

    def _replay(self, agent: Agent, beliefs: BeliefPanel, model: Model) -> Replayed:
        with progress(f"replay {agent.name}, {model}") as told:
            return replay_beliefs(self, agent, beliefs, model, told=told)

    def _measure(self, equity: NDArray[np.floating[Any]], account: screening.ScreenedAccount) -> Performance:
        return Performance.measure(
            equity,
            self.data.interval,
            traded_quote=account.traded_quote,
            fees_quote=account.fees_quote,
            trades=account.trades,
        )

    @property
    def _screen_sizing(self) -> dict[str, Any]:
        return {"screen": "long or flat, equal weights, next open", "costs": self.costs.parameters()}

    def _evaluation_of(self, run: Replayed, method: str, *, counted: bool = True) -> Evaluation:
        sizing = {
            "name": self.sizing.name,
            **self.sizing.parameters,
            "costs": self.costs.parameters(),
            "when_views_stop": self.when_views_stop.as_dict(),
        }
        return self._evaluation(run.agent, method, sizing, run.equity, run.performance, counted=counted)

    def _evaluation(
        self,
        agent: Agent,
        method: str,
        sizing: Mapping[str, Any],
        equity: NDArray[np.floating[Any]],
        performance: Performance | None,
        *,
        counted: bool = True,
    ) -> Evaluation:
        start_ns, end_ns = self._window
        series = ReturnSeries(self.tested.close_time_ns[1:], simple_returns(equity)) if performance else None
        return Evaluation(
            agent=agent.name,
            code=code_digest(agent),
            parameters=plain_parameters(agent),
            sizing=sizing,
            lineage=self.lineage,
            start_ns=start_ns,
            end_ns=end_ns,
            method=method,
            returns_digest=series.digest if series else digest_of_returns(equity),
            sharpe=performance.sharpe if performance else float("nan"),
            study=self.name,
            counted=counted,
            series=series,
        )

    def _record(self, evaluations: Iterable[Evaluation]) -> None:
        self.ledger.record(evaluations, at_ns=self.clock.now_ns())


def _variants(
    agent: Agent, grid: Mapping[str, Iterable[Any]]
) -> tuple[dict[tuple[Any, ...], Agent], tuple[tuple[Any, ...], ...]]:
    """The agent with every combination of parameters, by their values; and the combinations that it refuses."""
    known = agent.parameters()
    unknown = [name for name in grid if name not in known]
    if unknown or not grid:
        raise StudyError(
            "nothing to sweep",
            expected=f"parameters of {agent.name} with their values: {', '.join(known) or 'it has none'}",
            got=", ".join(unknown) or "no parameters",
            next="study.sweep(agent, fast=range(4, 40, 4), slow=range(40, 200, 20))",
        )
    agents: dict[tuple[Any, ...], Agent] = {}
    refused = []
    for values in product(*(map(_python, values) for values in grid.values())):
        try:
            agents[values] = agent.replace(**dict(zip(grid, values, strict=True)))
        except (AgentError, ValueRefused):
            refused.append(values)
    if not agents:
        raise StudyError(
            "nothing to sweep",
            expected=f"a combination of {', '.join(grid)} that {agent.name} accepts",
            got=f"{len(refused)}, all refused",
            next="see help(type(agent)) for what its parameters may be",
        )
    return agents, tuple(refused)


def _python(value: Any) -> Any:
    """A value as Python has it: a sweep over an array is the sweep over a list."""
    return value.item() if isinstance(value, np.generic) else value
