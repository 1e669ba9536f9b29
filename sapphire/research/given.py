"""What a study is given, looked at before any work: another kind of thing is refused in words, and at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sapphire.agents import Agent
from sapphire.data import Snapshot
from sapphire.domain.errors import AgentError, StudyError
from sapphire.domain.instruments import InstrumentKind
from sapphire.portfolio import Sizing
from sapphire.research.runs.costs import Costs
from sapphire.research.runs.splits import Split

if TYPE_CHECKING:
    from sapphire.research.studies import Study

__all__ = ["require_agent", "require_settings"]

_WANTED = {
    "data": (Snapshot, "a snapshot", "sp.data.snapshot([...], interval=..., start=..., end=...)"),
    "split": (Split, "a split", 'sp.walk_forward(train="365d", test="30d")'),
    "costs": (Costs, "costs", "sp.costs.binance_spot()"),
    "sizing": (Sizing, "a sizing", "sp.portfolio.VolatilityTarget(annual=0.20)"),
}


def require_agent(agent: object) -> None:
    """Refuse what is no agent: a class, a name, anything else.

    Raises
    ------
    AgentError : says how to make one.
    """
    if isinstance(agent, Agent):
        return
    if isinstance(agent, type) and issubclass(agent, Agent):
        got, step = f"the class {agent.__name__}", f"{agent.__name__}() makes one with its default parameters"
    else:
        got = f"{agent!r:.60}" if isinstance(agent, str) else type(agent).__name__
        step = "sapphire agent list names them; sp.agents.MovingAverageCross(fast=12, slow=48) makes one"
    raise AgentError("not an agent", expected="an agent with its parameters", got=got, next=step)


def require_settings(study: Study) -> None:
    """Refuse settings of another kind, and a parameter that would change nothing.

    Raises
    ------
    StudyError : names the setting and what makes one.
    """
    for name, (kind, text, example) in _WANTED.items():
        given = getattr(study, name)
        if isinstance(given, type) or not isinstance(given, kind):
            got = f"the class {given.__name__}" if isinstance(given, type) else f"{type(given).__name__} {given!r:.40}"
            raise StudyError(f"{name} of a study", expected=text, got=got, next=f"{name}={example}")
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
