"""Recording: the one way from an evaluation to the ledger.

What evaluates says so by `begin` before it runs anything, and by `record` what came of it before it answers. The ledger
is the state folder's own, whatever a caller would rather have: a study has none to exchange.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sapphire.agents import code_digest, plain_parameters
from sapphire.domain.errors import StudyError
from sapphire.domain.workspace import home
from sapphire.research.ledger.begun import Begun
from sapphire.research.ledger.book import Evaluation, Ledger
from sapphire.research.ledger.seals import Views, to_open
from sapphire.research.ledger.trial_returns import ReturnSeries
from sapphire.research.results.performance import active_returns, digest_of_returns, sharpe_of, simple_returns
from sapphire.research.results.screens import buy_and_hold

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sapphire.agents import Agent
    from sapphire.research.studies import Study

__all__ = [
    "about",
    "active_ratio",
    "admit",
    "begin",
    "evaluation",
    "evaluation_of_returns",
    "ledger",
    "market_returns",
    "record",
]


def ledger() -> Ledger:
    """The ledger of the state folder."""
    return Ledger(home() / "ledger")


def admit(study: Study) -> None:
    """Let a study evaluate: its bars meet no sealed hold-out that it does not open.

    Raises
    ------
    HoldoutSealed : they do; says which seal, and the three ways out.
    LedgerDamaged : the ledger does not verify.
    """
    kept, (used, sketches) = ledger(), _is_a_study(study).used
    to_open(kept.seals(), used, study.opens, kept.sketches(sketches), study=study.name)


def about(study: Study, agent: Agent, method: str, *, sizing: Mapping[str, Any], code: str | None = None) -> Begun:
    """What is about to be run, before the ledger knows of it.

    Parameters
    ----------
    sizing : how positions come of what the agent says.
    code : digest of a release where it is not the agent's.
    """
    return Begun(
        agent=agent.name,
        code=code_digest(agent) if code is None else code,
        parameters=plain_parameters(agent),
        sizing=sizing,
        protocol=study.protocol.digest,
        seed=study.seed,
        span=study.span[0],
        method=method,
        study=study.name,
    )


def begin(study: Study, runs: Sequence[Begun]) -> tuple[Begun, ...]:
    """Write what a study is about to run, with the seal of its hold-out where it is its first, and what it opens.

    Raises
    ------
    HoldoutSealed : the study's bars meet a sealed hold-out.
    LedgerDamaged : the ledger does not verify, or lines are missing. Nothing is written.
    """
    views = _views(study)
    return ledger().begin(runs, at_ns=study.clock.now_ns(), views=views)


def record(study: Study, evaluations: Iterable[Evaluation]) -> None:
    """Write evaluations of a study.

    Raises
    ------
    HoldoutSealed : another study sealed these bars in the meantime.
    LedgerDamaged : the ledger does not verify, or lines are missing. Nothing is written.
    """
    views = _views(study)
    ledger().record(evaluations, at_ns=study.clock.now_ns(), views=views)


def evaluation(
    study: Study, run: Begun, equity: NDArray[np.floating[Any]], *, has_returns: bool = True, counted: bool = True
) -> Evaluation:
    """What the ledger says of a run that came to an equity curve [T] over the tested bars, or to numbers that are none.

    Parameters
    ----------
    has_returns : whether `equity` is the worth of an account.
    """
    series = ReturnSeries(study.tested.close_time_ns[1:], simple_returns(equity)) if has_returns else None
    if series is None:
        return run.evaluated(digest_of_returns(equity), math.nan, counted=counted)
    active = active_ratio(series.values, market_returns(study))
    return run.evaluated(series.digest, sharpe_of(series.values), active=active, counted=counted, series=series)


def evaluation_of_returns(
    study: Study, run: Begun, returns: NDArray[np.floating[Any]], *, sharpe: float, active: float
) -> Evaluation:
    """The same of returns [T - 1] whose Sharpe ratios, their own and beside the market, are known."""
    series = ReturnSeries(study.tested.close_time_ns[1:], returns)
    return run.evaluated(series.digest, sharpe, active=active, counted=True, series=series)


def active_ratio(returns: NDArray[np.floating[Any]], market: NDArray[np.floating[Any]]) -> float:
    """Sharpe ratio per bar of returns [T - 1] less the part that the market's explain."""
    return sharpe_of(active_returns(returns, market))


def market_returns(study: Study) -> NDArray[np.floating[Any]]:
    """Returns of the study's market over its tested bars [T - 1]: its symbols in equal parts, held without costs."""
    return simple_returns(buy_and_hold(study).to_numpy(dtype=np.float64))


def _views(study: Study) -> Views:
    used, *others = (_is_a_study(study).used, study.span, *([] if study.sealed is None else [study.sealed]))
    return Views(
        study=study.name,
        used=used[0],
        seal=None if study.sealed is None else study.sealed[0],
        opens=study.opens,
        sketches=tuple(sketch for _, sketches in (used, *others) for sketch in sketches),
        protocol=study.protocol,
    )


def _is_a_study(study: Study) -> Study:
    """Refuse what only looks like one: it could say of its data what it likes."""
    from sapphire.research.studies import Study

    if type(study) is not Study:
        raise StudyError("not a study", expected="what sapphire.study(...) makes", got=type(study).__name__)
    return study
