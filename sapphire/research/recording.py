"""Recording: the one way from an evaluation to the ledger.

What evaluates asks `admit` first, and `record` before it answers. The ledger is the state folder's own, whatever a
caller would rather have: a study has none to exchange.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from sapphire.agents import code_digest, plain_parameters
from sapphire.domain.errors import StudyError
from sapphire.domain.workspace import home
from sapphire.research.ledger import Evaluation, Ledger
from sapphire.research.performance import active_returns, digest_of_returns, sharpe_of, simple_returns
from sapphire.research.screens import buy_and_hold
from sapphire.research.seals import to_open
from sapphire.research.trial_returns import ReturnSeries

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sapphire.agents import Agent
    from sapphire.research.studies import Study

__all__ = ["admit", "evaluation", "ledger", "market_returns", "record"]


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


def record(study: Study, evaluations: Iterable[Evaluation]) -> None:
    """Write evaluations of a study, with the seal of its hold-out where it is its first.

    Raises
    ------
    HoldoutSealed : another study sealed these bars in the meantime.
    LedgerDamaged : the ledger does not verify. Nothing is written.
    """
    used, *others = (_is_a_study(study).used, study.span, *([] if study.sealed is None else [study.sealed]))
    ledger().record(
        evaluations,
        at_ns=study.clock.now_ns(),
        used=used[0],
        seal=None if study.sealed is None else study.sealed[0],
        opens=study.opens,
        study=study.name,
        sketches=[sketch for _, sketches in (used, *others) for sketch in sketches],
        protocol=study.protocol,
    )


def evaluation(
    study: Study,
    agent: Agent,
    method: str,
    equity: NDArray[np.floating[Any]],
    *,
    sizing: Mapping[str, Any],
    code: str | None = None,
    has_returns: bool = True,
    counted: bool = True,
) -> Evaluation:
    """What the ledger says of an equity curve [T] over the tested bars, or of numbers that are none.

    Parameters
    ----------
    sizing : how positions came of what the agent said.
    code : digest of a release where it is not the agent's.
    has_returns : whether `equity` is the worth of an account.
    """
    series = ReturnSeries(study.tested.close_time_ns[1:], simple_returns(equity)) if has_returns else None
    active = math.nan if series is None else sharpe_of(active_returns(series.values, market_returns(study)))
    return Evaluation(
        agent=agent.name,
        code=code_digest(agent) if code is None else code,
        parameters=plain_parameters(agent),
        sizing=sizing,
        protocol=study.protocol.digest,
        seed=study.seed,
        span=study.span[0],
        method=method,
        returns_digest=digest_of_returns(equity) if series is None else series.digest,
        sharpe=math.nan if series is None else sharpe_of(series.values),
        active=active,
        study=study.name,
        counted=counted,
        series=series,
    )


def market_returns(study: Study) -> NDArray[np.floating[Any]]:
    """Returns of the study's market over its tested bars [T - 1]: its symbols in equal parts, held without costs."""
    return simple_returns(buy_and_hold(study).to_numpy(dtype=np.float64))


def _is_a_study(study: Study) -> Study:
    """Refuse what only looks like one: it could say of its data what it likes."""
    from sapphire.research.studies import Study

    if type(study) is not Study:
        raise StudyError("not a study", expected="what sapphire.study(...) makes", got=type(study).__name__)
    return study
