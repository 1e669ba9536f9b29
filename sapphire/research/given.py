"""What a study is given, looked at before any work: another kind of thing is refused in words, and at once."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral
from typing import TYPE_CHECKING

from sapphire.agents import Agent, code_digest, plain_parameters
from sapphire.agents.agent import documents_of
from sapphire.agents.answers import require_answerable
from sapphire.data import Snapshot
from sapphire.domain.clocks import Clock, to_ns
from sapphire.domain.display import stamp
from sapphire.domain.errors import AgentError, MissingData, StudyError
from sapphire.domain.instruments import InstrumentKind
from sapphire.domain.limits import Execution, Limits
from sapphire.domain.stopped_views import WhenViewsStop
from sapphire.portfolio import Sizing
from sapphire.research.runs.costs import Costs
from sapphire.research.runs.splits import Split

if TYPE_CHECKING:
    from sapphire.research.studies import Study

__all__ = ["opens_of", "require_agent", "require_settings"]

_WANTED: dict[str, tuple[type, str, str]] = {
    "name": (str, "a text", '"trend"'),
    "data": (Snapshot, "a snapshot", "sp.data.snapshot([...], interval=..., start=..., end=...)"),
    "split": (Split, "a split", 'sp.walk_forward(train="365d", test="30d")'),
    "costs": (Costs, "costs", "sp.costs.binance_spot()"),
    "sizing": (Sizing, "a sizing", "sp.portfolio.VolatilityTarget(annual=0.20)"),
    "seed": (Integral, "a whole number", "7"),
    "limits": (Limits, "limits", "Limits(order=2.0), of sapphire.domain.limits"),
    "execution": (Execution, "execution settings", "Execution(max_slippage_bps=20), of sapphire.domain.limits"),
    "when_views_stop": (WhenViewsStop, "a rule", "WhenViewsStop(), of sapphire.domain.stopped_views"),
    "clock": (Clock, "a clock", "WallClock()"),
}


def opens_of(given: object) -> tuple[str, ...]:
    """Studies whose hold-outs are opened, by name or digest.

    Raises
    ------
    StudyError : something else than one or several texts.
    """
    several = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, Iterable) else (given,)
    if not all(isinstance(each, str) for each in several):
        raise StudyError(
            "opens of a study", expected="names of studies", got=f"{given!r:.60}", next='opens="trend", or a list'
        )
    return several


def require_agent(agent: object, data: Snapshot) -> None:
    """Refuse what is no agent (a class, a name, a function, anything else), and one that the ledger could not name.

    Parameters
    ----------
    data : what it would be shown.

    Raises
    ------
    MissingData : it reads documents that the snapshot was taken without.
    AgentError : says how to make one, or which parameter is of another kind: no source of its own, a parameter that
        cannot be written down, no warm-up.
    """
    if isinstance(agent, Agent):
        agent.require_kinds()
        code_digest(agent)
        plain_parameters(agent)
        require_answerable(agent)
        _require_documents(agent, data)
        return
    if isinstance(agent, type) and issubclass(agent, Agent):
        got, step = f"the class {agent.__name__}", f"{agent.__name__}() makes one with its default parameters"
    elif callable(agent):
        got = f"the {'class' if isinstance(agent, type) else 'function'} {getattr(agent, '__name__', agent)!s:.60}"
        step = (
            "%%agent NAME on top of a cell with class NAME(Agent), whose method views(self, window) does what it does"
        )
    else:
        got = f"{agent!r:.60}" if isinstance(agent, str) else type(agent).__name__
        step = "sapphire agent list names them; sp.agents.MovingAverageCross(fast=12, slow=48) makes one"
    raise AgentError("not an agent", expected="an agent with its parameters", got=got, next=step)


def _require_documents(agent: Agent, data: Snapshot) -> None:
    named, held = documents_of(agent), () if data.bars.documents is None else data.bars.documents.kinds
    if set(named) <= set(held):
        return
    raise MissingData(
        f"{agent.name} reads {', '.join(named)}, and the snapshot has {'no documents' if not held else 'others'}",
        expected=f"a snapshot with {', '.join(named)}",
        got=", ".join(held) or "bars alone",
        next=f"sp.data.snapshot([...], documents={named!r}), of what sapphire data documents list shows",
    )


def _require_past(study: Study) -> None:
    """Refuse generated bars from after the moment at which they were taken."""
    provenance, end_ns = study.data.provenance, study.data.end_ns
    if provenance.source == "embedded" and end_ns > to_ns(provenance.as_of):
        raise StudyError(
            "a study of bars from the future",
            expected=f"an end by the time the snapshot was taken, {stamp(to_ns(provenance.as_of))}",
            got=stamp(end_ns),
            next="take a snapshot that ends by now",
        )


def require_settings(study: Study) -> None:
    """Refuse settings of another kind, and a parameter that would change nothing.

    Raises
    ------
    StudyError : names the setting and what makes one.
    """
    for name, (kind, text, example) in _WANTED.items():
        given = getattr(study, name)
        if isinstance(given, type | bool) or not isinstance(given, kind) or given == "":
            got = f"the class {given.__name__}" if isinstance(given, type) else f"{type(given).__name__} {given!r:.40}"
            raise StudyError(f"{name} of a study", expected=text, got=got, next=f"{name}={example}")
    _require_past(study)
    swaps = [each.symbol for each in study.data.instruments if each.kind is not InstrumentKind.SPOT]
    if swaps:
        raise StudyError(
            "a study of perpetuals",
            expected="spot: margin, funding and short positions are not built, so no number of theirs would be right",
            got=", ".join(swaps),
            next="take the spot candles of the same pairs",
        )
    if study.sizing.parameters.get("long_only") is False:
        raise StudyError(
            "a sizing that would go short",
            expected="long_only=True: spot is never held below zero, so that the parameter would change nothing",
            got=f"long_only=False on {', '.join(study.data.symbols)}",
            next="leave long_only out",
        )
