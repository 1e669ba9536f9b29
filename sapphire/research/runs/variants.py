"""Variants: an agent with every combination of some parameters, as a sweep asks for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from sapphire.domain.errors import AgentError, StudyError, ValueRefused

if TYPE_CHECKING:
    from sapphire.agents import Agent

__all__ = ["variants"]


def variants(
    agent: Agent, grid: Mapping[str, Iterable[Any]]
) -> tuple[dict[tuple[Any, ...], Agent], tuple[tuple[Any, ...], ...]]:
    """The agent with every combination of parameters, by their values; and the combinations that it refuses.

    Raises
    ------
    StudyError : no parameters, ones that the agent does not have, a single value, or no combination that it accepts.
    """
    known = agent.parameters()
    unknown = [name for name in grid if name not in known]
    if unknown or not grid:
        raise StudyError(
            "nothing to sweep",
            expected=f"parameters of {agent.name} with their values: {', '.join(known) or 'it has none'}",
            got=", ".join(unknown) or "no parameters",
            next="study.sweep(agent, fast=range(4, 40, 4), slow=range(40, 200, 20))",
        )
    single = [f"{name}={values!r:.40}" for name, values in grid.items() if isinstance(values, str) or not _many(values)]
    if single:
        raise StudyError(
            "values of a sweep",
            expected="several of each parameter: a list, a range, an array",
            got=", ".join(single),
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


def _many(values: object) -> bool:
    return isinstance(values, Iterable) and getattr(values, "ndim", 1) > 0


def _python(value: Any) -> Any:
    """A value as Python has it: a sweep over an array is the sweep over a list."""
    return value.item() if isinstance(value, np.generic) else value
