"""Parameters: from the plain values of a manifest back to the values an agent was made with.

The type of a parameter is that of its default, as on the command line. Freezing restores what it wrote down and
compares, so an agent that cannot be restored is refused before there is a release of it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import timedelta
from numbers import Integral, Real
from typing import Any

from sapphire.agents.agent import Agent
from sapphire.agents.models import Model
from sapphire.agents.parameters import plain_parameters
from sapphire.domain.clocks import parse_duration
from sapphire.domain.errors import AgentError

__all__ = ["require_restorable", "restored_agent"]


def restored_agent(cls: type[Agent], plain: Mapping[str, Any]) -> Agent:
    """The agent whose `plain_parameters` are `plain`; what it learned is not in them.

    Raises
    ------
    AgentError : parameters of another agent.

    Examples
    --------
    >>> from sapphire.agents.moving_average import MovingAverageCross
    >>> restored_agent(MovingAverageCross, {"fast": 3, "slow": 9, "horizon": "1d12h"})
    MovingAverageCross(fast=3, slow=9, horizon=datetime.timedelta(days=1, seconds=43200))
    """
    defaults = {field.name: _default(field) for field in cls.parameter_fields()}
    if set(plain) != set(defaults):
        raise AgentError(
            f"parameters that are not those of {cls.name}",
            expected=", ".join(defaults) or "none",
            got=", ".join(plain) or "none",
            next="freeze the agent again",
        )
    return cls(**{name: _typed(plain[name], like) for name, like in defaults.items()})


def require_restorable(agent: Agent) -> dict[str, Any]:
    """The plain parameters of `agent`, from which the same agent can be made again.

    Raises
    ------
    AgentError : a parameter that does not come back as it was; names it.
    """
    plain = plain_parameters(agent)
    back = restored_agent(type(agent), plain)
    for name, value in agent.parameters().items():
        again = getattr(back, name)
        if not _same(value, again):
            raise AgentError(
                f"parameter {name} of {agent.name} would not come back from a release",
                expected=f"{value!r}, as it is",
                got=f"{again!r}, read as the type of its default",
                next=f"give {name} a default of its own type",
            )
    return plain


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return None if field.default is dataclasses.MISSING else field.default


def _typed(value: Any, like: Any) -> Any:
    if isinstance(value, str) and isinstance(like, timedelta):
        return parse_duration(value)
    if isinstance(value, str) and isinstance(like, Model):
        return Model.parse(value)
    if isinstance(value, list):
        if isinstance(like, list | tuple) and like:
            return type(like)(_typed(each, like[0]) for each in value)
        made = [_typed(each, None) for each in value]
        return made if isinstance(like, list) else tuple(made)
    if isinstance(value, dict):
        known = like if isinstance(like, Mapping) else {}
        return {key: _typed(each, known.get(key)) for key, each in value.items()}
    return value


def _same(first: Any, second: Any) -> bool:
    """Whether two values are equal and of one type; numpy's numbers count as Python's."""
    if isinstance(first, bool) or isinstance(second, bool):
        return first is second
    if isinstance(first, Real) and isinstance(second, Real):
        return isinstance(first, Integral) == isinstance(second, Integral) and first == second
    if type(first) is not type(second):
        return False
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(_same, first, second))
    if isinstance(first, Mapping):
        return set(first) == set(second) and all(_same(first[key], second[key]) for key in first)
    return bool(first == second)
