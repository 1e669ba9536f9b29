"""Study: one question, one piece of history, and everything that is asked of it.

The hold-out at the end of the data is sealed: what a study hands to an agent, a screen or the engine is cut off before
it. The ledger is told of every evaluation before it is run, and what came of it before its result is shown.

`screen`, `sweep`, `information`, `replay`, `compare` and `paths` ask the notebook's live object: they explore, and they
count. What was asked before in the same words is taken from the state folder (`runs.kept`), and counts all the same.
Evidence is what `submit` measures, in confined processes from the captured source; gates read nothing else.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from sapphire.agents import Agent, ViewPanel
from sapphire.agents.counterfactuals import TOLERANCE, WINDOWS, counterfactuals_of, drawn_windows
from sapphire.agents.remembered import Remembered
from sapphire.domain.clocks import Clock, WallClock, from_ns, parse_duration, to_ns
from sapphire.domain.display import stamp
from sapphire.domain.errors import StudyError, ValueRefused
from sapphire.domain.limits import STANDARD, Execution, Limits
from sapphire.domain.money import to_atoms
from sapphire.domain.progress import Progress
from sapphire.domain.stopped_views import WhenViewsStop
from sapphire.portfolio import Sizing
from sapphire.research.given import opens_of, require_agent, require_settings
from sapphire.research.ledger import recording
from sapphire.research.ledger.book import Ledger
from sapphire.research.ledger.spans import span_of
from sapphire.research.ledger.trials import TrialsTable
from sapphire.research.pages import noted
from sapphire.research.protocol import protocol_of
from sapphire.research.results.comparing import Comparison, ideal_of
from sapphire.research.results.counterfactuals import Counterfactuals
from sapphire.research.results.path_results import Paths
from sapphire.research.results.progress import progress
from sapphire.research.results.replays import REAL, Replayed
from sapphire.research.results.screens import Screen, Sweep
from sapphire.research.results.settings_shown import settings_of
from sapphire.research.results.showing import Shown
from sapphire.research.runs import screening
from sapphire.research.runs.costs import RATE_ONE, Costs
from sapphire.research.runs.informing import InformationReport, inform
from sapphire.research.runs.kept_views import KeptViews
from sapphire.research.runs.model_questions import ModelCost, ask_ahead, model_cost
from sapphire.research.runs.paths import walk_paths
from sapphire.research.runs.replaying import replay_beliefs, replay_ladder, replay_paths
from sapphire.research.runs.splits import Fold, Split, combinatorial_purged
from sapphire.research.runs.sweeping import swept
from sapphire.research.runs.variants import variants
from sapphire.research.runs.walking import BeliefPanel, walk_beliefs, walk_views

if TYPE_CHECKING:
    from sapphire.data import Snapshot
    from sapphire.domain.bars import Bars
    from sapphire.domain.protocols import Protocol
    from sapphire.research.evidence.submitting import Release
    from sapphire.research.ledger.sketches import Sketch
    from sapphire.research.ledger.spans import Span

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
    limits: Limits = STANDARD,
    execution: Execution | None = None,
    when_views_stop: WhenViewsStop | None = None,
    opens: str | Sequence[str] = (),
    clock: Clock | None = None,
) -> Study:
    """Begin a study.

    Its first evaluation seals its hold-out for every study of the state folder; every evaluation is written to the
    ledger there. Bars that are read from files without a study, and studies in another state folder, are out of reach.

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
    limits : of the risk gate; finite ones unless given.
    execution : how the engine works towards a target; its own defaults unless given.
    when_views_stop : what positions do once nothing is believed any more; the default of `WhenViewsStop` unless given.
    opens : sealed hold-outs of other studies that it looks at, by the study's name or the seal's digest. Each opening
        is recorded, counts, and is shown with whatever is submitted on those bars later.
    clock : when a ledger line was written; the machine's unless given.

    Raises
    ------
    StudyError : no room for the hold-out and one fold, a setting of another kind, perpetuals, or a sizing that would go
        short on spot.
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
        limits=limits,
        execution=execution or Execution(),
        when_views_stop=when_views_stop or WhenViewsStop(),
        opens=opens_of(opens),
        clock=clock or WallClock(),
    )
    require_settings(made)
    made.folds  # noqa: B018  (a study without room for a fold is refused here, not at its first question)
    made.protocol  # noqa: B018  (so is one whose settings cannot be written down)
    return made


@dataclass(frozen=True, eq=False, repr=False)
class Study(Shown):
    """See `study`. `len` counts its folds, and a loop goes through them."""

    _not_compared = frozenset({"clock"})

    name: str
    data: Snapshot
    holdout: timedelta
    split: Split
    costs: Costs
    sizing: Sizing
    seed: int
    starting_cash: float
    limits: Limits
    execution: Execution
    when_views_stop: WhenViewsStop
    opens: tuple[str, ...]
    clock: Clock = field(repr=False)

    @property
    def ledger(self) -> Ledger:
        """Where its evaluations are: the ledger of the state folder."""
        return recording.ledger()

    @cached_property
    def protocol(self) -> Protocol:
        """What it measures under."""
        return protocol_of(self)

    @cached_property
    def span(self) -> tuple[Span, tuple[Sketch, ...]]:
        """What its evaluations are of, and the sketches that this names."""
        return span_of(self.tested, self.data.provenance)

    @cached_property
    def used(self) -> tuple[Span, tuple[Sketch, ...]]:
        """Everything that it shows to an agent, and the sketches that this names."""
        return span_of(self.evaluation, self.data.provenance)

    @cached_property
    def sealed(self) -> tuple[Span, tuple[Sketch, ...]] | None:
        """Its hold-out, and the sketches that this names; None where there is none."""
        bars = self.data.bars
        holdout = bars.rows(len(self.evaluation), len(bars))
        return span_of(holdout, self.data.provenance) if len(holdout) else None

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
    def first_tested_row(self) -> int:
        """Place of the first test bar among the bars before the hold-out."""
        return int(np.searchsorted(self.evaluation.close_time_ns, to_ns(self.folds[0].test_start)))

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
        return ("what", "value"), settings_of(self)

    def _parts(self) -> Sequence[Fold]:
        return self.folds

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "method": "study",
            "study": self.name,
            "snapshot": self.data.hash,
            "label": self.label,
            "folds": len(self.folds),
            "protocol": self.protocol.digest,
        }

    def screen(self, agent: Agent) -> Screen:
        """A first look by vectorbt: long or flat on the views of the notebook's live object.

        It explores and proves nothing, and counts as a trial.
        """
        require_agent(agent, self.data)
        recording.admit(self)
        with progress(f"screen {agent.name}") as on_progress:
            views = self._views(agent, on_progress)
        (screened,) = screening.screened(self, [agent], [views])
        return noted(Screen(self, agent, screened.equity, screened.performance, self._count))

    def model_cost(self, agent: Agent) -> tuple[ModelCost, ...]:
        """What a look at `agent` asks of language models, by model: questions, recorded ones, cost of the rest.

        Nothing is asked, and it counts as no trial. Looks and replays ask the rest in one pass before anything else,
        show how far it is, and go on where they were when they were interrupted.
        """
        require_agent(agent, self.data)
        return model_cost(agent, self.evaluation)

    def counterfactuals(self, agent: Agent, *, windows: int = WINDOWS, tolerance: float = TOLERANCE) -> Counterfactuals:
        """What `agent` says when symbols are anonymised or swapped, dates shifted, news flipped, inputs exchanged.

        An agent that reasons about its input keeps its sign where names or dates alone are changed, and moves where all
        but these is; one that remembers does the opposite. The windows are of tested bars, drawn by the study's seed.
        It sees no return that came later and writes nothing into the ledger: it counts as no trial. Models are asked in
        one pass, and what they answer is recorded.

        Parameters
        ----------
        windows : how many are drawn.
        tolerance : how far a view may move and have stayed, in probability or in deviations of its score.

        Raises
        ------
        NotFitted : it learns and has not.
        ValueRefused : no windows, or a tolerance below zero.
        AgentError : it fails on the windows as they are, or nobody answers for its model.
        """
        require_agent(agent, self.data)
        drawn = drawn_windows(agent, self.evaluation, first=self.first_tested_row, count=windows, seed=self.seed)
        return Counterfactuals(self, agent, counterfactuals_of(agent, drawn, tolerance=tolerance))

    def sweep(self, agent: Agent, **grid: Iterable[Any]) -> Sweep:
        """Screens over every combination of parameters; each one is a trial.

        Combinations that the agent refuses are left out and named. Large sweeps take all cores, in processes of their
        own that get the agent as it lives here.

        Raises
        ------
        StudyError : no parameters, ones that the agent does not have, or no combination that it accepts.
        AgentError : what a combination raised, with its parameters.
        """
        require_agent(agent, self.data)
        names = tuple(grid)
        agents, refused = variants(agent, grid)
        recording.admit(self)
        with progress(f"sweep {agent.name}") as on_progress, self._remembered.open():
            performances = swept(self, agents, names, on_progress=on_progress)
        return noted(Sweep(self, agent, names, tuple(agents), performances, refused, self._count))

    def replay(self, agent: Agent) -> Replayed:
        """The notebook's agent by the compiled engine over the folds: one continuous account, book, latency and fees.

        It is what evidence is measured by, and exploration all the same: the live object is asked, in this process, and
        nothing stops it from reading a file. It counts as a trial; no gate reads it. `submit` measures again from the
        captured source.
        """
        beliefs = self._beliefs(agent)
        with progress(f"replay {agent.name}, {REAL}") as on_progress:
            replayed = replay_beliefs(self, agent, beliefs, REAL, on_progress=on_progress, kept=True)
        return noted(dataclasses.replace(replayed, trials=self._count))

    def compare(self, agent: Agent) -> Comparison:
        """Screen against replay: equal to rounding under equal assumptions, and what makes the one into the other.

        Both are of the notebook's live object and explore; both are shown, so both count.

        Raises
        ------
        StudyError : the two differ by more than rounding where they should not.
        """
        beliefs = self._beliefs(agent)
        with progress(f"replay {agent.name}, assumption by assumption") as on_progress:
            runs = replay_ladder(self, agent, beliefs, on_progress=on_progress, kept=True)
        theirs = screening.equity_of_fills(
            self.tested,
            ideal_of(runs).traded_at_opens(),
            fee_rate=self.costs.taker_e8 / RATE_ONE,
            starting_cash=self.starting_cash,
        )
        compared = Comparison.of(self, agent, (), runs, theirs)
        with progress(f"screen {agent.name}") as on_progress:
            views = self._views(agent, on_progress)
        screens = screening.screened_ladder(self, agent, views, beliefs)
        return dataclasses.replace(compared, screens=screens).counted(self._count)

    def information(self, agent: Agent) -> InformationReport:
        """Rank information by horizon, its decay, and returns by quantile, before any money is involved.

        It is of the notebook's live object, explores, and counts as a trial.
        """
        require_agent(agent, self.data)
        recording.admit(self)
        with progress(f"information of {agent.name}") as on_progress:
            views = self._views(agent, on_progress)
        return dataclasses.replace(inform(self, agent, views), trials=self._count)

    def paths(
        self, agent: Agent, *, groups: int = 6, tested: int = 2, embargo: str | timedelta = timedelta(0)
    ) -> Paths:
        """How far the order of history decides, by combinatorial purged cross-validation before the hold-out.

        The bars are cut into blocks, the agent is fitted for every choice of the tested ones on what is left, and the
        fits are put together to paths that each cover the whole time once. It is robustness and no evidence: part of
        each training lies behind its tests. Together the paths are one trial.

        Parameters
        ----------
        groups, tested : number of blocks, and of those that a fold tests: (6, 2) makes 15 fits and 5 paths.
        embargo : time left out of training behind each test, beside the purge of the agent's horizon around it.

        Raises
        ------
        ValueRefused : numbers out of range.
        StudyError : blocks shorter than purge and embargo.
        TooFewReturns : training windows too short to calibrate a score on.
        """
        require_agent(agent, self.data)
        split = combinatorial_purged(groups, tested, purge=agent.horizon, embargo=embargo)
        asked = dataclasses.replace(self, split=split)
        recording.admit(asked)
        with progress(f"paths of {agent.name}") as on_progress:
            with self._remembered.open():
                panels = walk_paths(agent, asked.evaluation, asked.folds, seed=asked.seed, on_progress=on_progress)
            runs = replay_paths(asked, agent, panels, on_progress=on_progress, kept=True)
        return Paths(asked, agent, runs, self._count)

    def trials(self) -> TrialsTable:
        """What the ledger says of the tested window of this market, whatever the study was called.

        With it go PBO, SPA, StepM and MinTRL of the trials taken together (`TrialsTable.selection`).
        """
        return TrialsTable(self, self.ledger.trials(*self.span))

    def submit(self, agent: Agent) -> Release:
        """The evidence: freeze the agent, measure it again from its captured source, and register it.

        No number of the notebook is taken over. The agent's source is captured, fitted per fold and asked in confined
        processes of its own; what it says there is replayed at the costs of the study and at twice the venue's, and on
        the hold-out, which is opened. Every integrity check is measured on the same source. Gates read these numbers
        alone. The same agent, data and environment make the same release, and it gets the result that is stored.

        Raises
        ------
        AgentError : an agent that cannot be frozen; says why.
        StudyError : a hold-out without bars, a split that is no walk forward, or settings with methods of their own.
        Refused : an agent that reads documents, which nothing serves yet.
        """
        from sapphire.research.evidence.submitting import submit

        require_agent(agent, self.data)
        return submit(self, agent)

    @property
    def _count(self) -> int:
        return self.ledger.trials(*self.span).count

    def _beliefs(self, agent: Agent) -> BeliefPanel:
        require_agent(agent, self.data)
        recording.admit(self)
        with progress(f"walk {agent.name} forward") as on_progress, self._remembered.open():
            ask_ahead(agent, self.evaluation, on_progress=on_progress)
            return walk_beliefs(agent, self.evaluation, self.folds, seed=self.seed, on_progress=on_progress)

    def _views(self, agent: Agent, on_progress: Progress) -> ViewPanel:
        with self._remembered.open():
            ask_ahead(agent, self.evaluation, on_progress=on_progress)
            return walk_views(agent, self.evaluation, self.folds, seed=self.seed, on_progress=on_progress)

    @cached_property
    def _remembered(self) -> Remembered:
        """What agents without a twin said of its bars: an idea that is looked at again is not asked again."""
        return Remembered(KeptViews(self.evaluation))
