"""Sweeps: an agent with every combination of parameters, by all cores and in the memory of a few accounts.

Every combination is asked for its views first; then the ledger is told of all of them; then their accounts are kept,
recorded as they come. What a screen needs of views is where they are above zero: a bit for each bar and symbol.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sapphire.agents.panels import TwinCheck
from sapphire.domain.errors import AgentError
from sapphire.domain.progress import Progress
from sapphire.research.ledger import recording
from sapphire.research.results.performance import Performance, simple_returns
from sapphire.research.runs.accounts import ScreenMarket
from sapphire.research.runs.delisting import ends_of
from sapphire.research.runs.screening import position, screen_sizing
from sapphire.research.runs.walking import walk_views
from sapphire.research.runs.workers import asked_in_order, chunks_of, computed_in_order

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sapphire.agents import Agent
    from sapphire.domain.bars import Bars
    from sapphire.research.ledger.begun import Begun
    from sapphire.research.ledger.book import Evaluation
    from sapphire.research.runs.splits import Fold
    from sapphire.research.studies import Study

    Bits = NDArray[np.uint8]

__all__ = ["swept"]

_SAMPLED = 8
"""Windows by which a variant's twin is compared among many; where one of them differs, all are compared on more."""
_MANY = 4
_RECORDED_AT_ONCE = 32
_WORTH_WORKERS = 1_000_000
"""Combinations times bars from which the cores are worth their start: a second of work or more."""
_WINDOW_COSTS = 100
"""How many bars of a twin take as long as one window of an agent without."""


@dataclass(frozen=True, slots=True, eq=False)
class _Question:
    """What the variants are asked about, whole enough to be asked in another process."""

    bars: Bars
    folds: tuple[Fold, ...]
    seed: int
    sampled: int


@dataclass(frozen=True, slots=True)
class _Answer:
    """Where a variant is long, as bits, and whether its twin differs from its views; or what it raised."""

    bits: Bits | None
    differs: bool = False
    raised: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class _Account:
    """What came of one variant: returns [T - 1], their performance, and the Sharpe ratio beside the market."""

    returns: NDArray[np.floating[Any]]
    performance: Performance
    active: float


def swept(
    study: Study, agents: Mapping[tuple[Any, ...], Agent], names: Sequence[str], *, on_progress: Progress
) -> tuple[Performance, ...]:
    """The screen of every variant, each in the ledger before it is run.

    Parameters
    ----------
    agents : by their values of the parameters `names`.

    Raises
    ------
    AgentError : what a variant raised, named with its parameters; nothing was run, and the ledger knows of nothing.
    StudyError : a worker ended before its work did.
    HoldoutSealed : the study's bars meet a sealed hold-out.
    LedgerDamaged : the ledger does not verify, or lines are missing.
    """
    variants = list(agents.values())
    labels = [", ".join(f"{name}={value}" for name, value in zip(names, values, strict=True)) for values in agents]
    positions = _positions(study, variants, labels, on_progress)
    begun = recording.begin(
        study, [recording.about(study, each, "sweep", sizing=screen_sizing(study)) for each in variants]
    )
    performances: list[Performance] = []
    waiting: list[Evaluation] = []
    for run, account in zip(begun, _accounts(study, positions), strict=True):
        on_progress(len(performances), len(variants), f"accounts of {run.agent}")
        performances.append(account.performance)
        waiting.append(_evaluation(study, run, account))
        if len(waiting) == _RECORDED_AT_ONCE:
            recording.record(study, waiting)
            waiting = []
    if waiting:
        recording.record(study, waiting)
    on_progress(len(variants), len(variants), f"{len(variants)} combinations")
    return tuple(performances)


def _positions(study: Study, variants: Sequence[Agent], labels: Sequence[str], on_progress: Progress) -> list[Bits]:
    """Where each variant is long, as bits; those with a twin are compared with their views."""
    many = len(variants) >= _MANY
    answers = _answers(study, variants, labels, on_progress, _SAMPLED if many else TwinCheck().rows)
    if many and any(each.differs for each in answers):  # none of them is trusted by a glance
        again = [number for number, each in enumerate(answers) if not each.differs]
        more = _answers(study, [variants[n] for n in again], [labels[n] for n in again], on_progress, TwinCheck().rows)
        for number, answer in zip(again, more, strict=True):
            answers[number] = answer
    return [each.bits for each in answers if each.bits is not None]


def _answers(
    study: Study, variants: Sequence[Agent], labels: Sequence[str], on_progress: Progress, sampled: int
) -> list[_Answer]:
    question = _Question(study.evaluation, study.folds, study.seed, sampled)
    answers: list[_Answer] = []
    tasks = [(question, chunk) for chunk in chunks_of(variants)]
    with closing(asked_in_order(_ask, tasks, agents=variants[:1], apart=_is_worth_workers(study, variants))) as found:
        for chunk in found:
            for answer in chunk:
                number = len(answers)
                if answer.raised:
                    raise _named(question, variants[number], labels[number], answer.raised)
                on_progress(number, len(variants), f"{variants[number].name} {labels[number]}")
                answers.append(answer)
    return answers


def _ask(question: _Question, variants: Sequence[Agent]) -> list[_Answer]:
    """The answers of some variants, up to the first that raises."""
    bars, answers = question.bars.rows(0, len(question.bars)), list[_Answer]()  # read-only, in a worker too
    for variant in variants:
        check = TwinCheck(question.sampled)
        try:
            views = walk_views(variant, bars, question.folds, seed=question.seed, on_progress=_quiet, check=check)
        except Exception as error:  # noqa: BLE001  (whatever an agent raises, it is named with its parameters)
            return [*answers, _Answer(None, raised=f"{type(error).__name__}: {error}")]
        answers.append(_Answer(np.packbits(position(views).to_numpy(dtype=np.bool_)), check.differs))
    return answers


def _named(question: _Question, agent: Agent, label: str, raised: str) -> AgentError:
    """What a combination raised, with its parameters; it is asked here again, so that its own lines are shown."""
    error = AgentError(
        f"{agent.name} fails with {label}",
        expected="views of every combination of the sweep",
        got=raised,
        next=f"agent.replace({label}) and study.screen show where; mend it, or leave it out of the grid",
    )
    try:
        walk_views(agent, question.bars, question.folds, seed=question.seed, on_progress=_quiet)
    except Exception as cause:  # noqa: BLE001  (it becomes the cause)
        error.__cause__ = cause
    return error


def _accounts(study: Study, positions: Sequence[Bits]) -> Iterator[_Account]:
    """The account of each, in threads: what computes them is compiled and holds no lock."""
    market = ScreenMarket.of(study.tested, study.costs, ends=ends_of(study.data.bars))
    market_returns = recording.market_returns(study)

    def kept(bits: Bits) -> _Account:
        long = np.unpackbits(bits, count=market.listed.size).reshape(market.listed.shape).astype(np.bool_)
        account = market.account(long)
        returns = simple_returns(account.equity)
        return _Account(returns, account.performance(market.interval), recording.active_ratio(returns, market_returns))

    with closing(computed_in_order(kept, positions)) as accounts:
        yield from accounts


def _evaluation(study: Study, run: Begun, account: _Account) -> Evaluation:
    return recording.evaluation_of_returns(
        study, run, account.returns, sharpe=account.performance.sharpe, active=account.active
    )


def _is_worth_workers(study: Study, variants: Sequence[Agent]) -> bool:
    cost = 1 if variants[0].has_twin else _WINDOW_COSTS
    return len(variants) > 1 and cost * len(variants) * len(study.tested) >= _WORTH_WORKERS


def _quiet(done: int, of: int, what: str) -> None:
    """Nobody looks at the progress of one combination."""
