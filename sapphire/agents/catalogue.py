"""Catalogue: which agents there are, and an agent by its name.

Built-in ones and the files of a workspace's `agents/` folder. A name stands for one agent; two of a name are an error,
because what is released must not depend on which was found first.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from sapphire.agents.agent import Agent
from sapphire.agents.agent_files import load_agent_file, plain_name
from sapphire.agents.parameters import plain_parameters
from sapphire.domain.errors import AgentError

__all__ = ["BUILT_IN", "Entry", "agent_class", "list_agents", "resolve"]

BUILT_IN: Mapping[str, str] = {
    "buy-and-hold": "sapphire.agents.baselines:BuyAndHold",
    "cash": "sapphire.agents.baselines:Cash",
    "deepseek": "sapphire.agents.deepseek:DeepSeek",
    "fingpt": "sapphire.agents.fingpt:FinGpt",
    "lag-llama": "sapphire.agents.lag_llama:LagLlama",
    "moving-average-cross": "sapphire.agents.moving_average:MovingAverageCross",
    "qwen": "sapphire.agents.qwen:Qwen",
    "random-walk": "sapphire.agents.baselines:RandomWalk",
}
"""Agents that can be had by name alone, and where they are. `Pool` and `Calibrated` are made of others."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One agent of the catalogue.

    Parameters
    ----------
    cls : its class.
    origin : "built-in" or "workspace".
    path : its file.
    """

    cls: type[Agent]
    origin: str
    path: Path

    @property
    def summary(self) -> str:
        """First line of the class's docstring, or of its file's where the class has none."""
        own = self.cls.__dict__.get("__doc__") or ""
        written = not own.startswith(f"{self.cls.__name__}(")  # a dataclass without one writes its signature there
        text = own if own and written else sys.modules[self.cls.__module__].__doc__ or ""
        return text.strip().split("\n", 1)[0]

    def as_dict(self) -> dict[str, Any]:
        """The entry as JSON can hold it, with the parameters' defaults."""
        agent = self.cls()
        return {
            "name": self.cls.name,
            "summary": self.summary,
            "origin": self.origin,
            "path": str(self.path),
            "parameters": plain_parameters(agent),
            "warmup": agent.warmup,
            "learns": agent.learns,
            "twin": agent.has_twin,
        }


def list_agents(agents_folder: Path | None = None) -> tuple[list[Entry], list[AgentError]]:
    """Every agent, by name, and what is wrong with the files that hold none.

    Parameters
    ----------
    agents_folder : of a workspace; it need not exist.

    Raises
    ------
    AgentError : two agents of one name.
    """
    entries, broken = [], []
    for place in _places(agents_folder).values():
        try:
            entries.append(_entry(place))
        except AgentError as error:
            broken.append(error)
    return sorted(entries, key=lambda entry: entry.cls.name), broken


def agent_class(name: str, *, agents_folder: Path | None = None) -> type[Agent]:
    """The class of an agent, by its name in kebab case, snake case or as the class writes it.

    Raises
    ------
    AgentError : no agent of that name, two of one name, or a file that does not hold it.
    """
    places = _places(agents_folder)
    if plain_name(name) not in places:
        here = f"{agents_folder}" if agents_folder is not None else "no workspace"
        raise AgentError(
            f"no agent {name!r}",
            expected="one of " + ", ".join(sorted(map(_name_of, places.values()))),
            got=f"{name}, looked for among the built-in ones and in {here}",
            next="sapphire agent list; %%agent NAME on top of a notebook's cell makes one",
        )
    return _entry(places[plain_name(name)]).cls


def resolve(name: str, *, agents_folder: Path | None = None, **parameters: Any) -> Agent:
    """An agent by its name, with its defaults but for `parameters`.

    Raises
    ------
    AgentError : no agent of that name, or no such parameter.

    Examples
    --------
    >>> resolve("moving-average-cross", fast=5)
    MovingAverageCross(fast=5, slow=48, horizon=datetime.timedelta(seconds=43200))
    """
    return agent_class(name, agents_folder=agents_folder)().replace(**parameters)


def _places(agents_folder: Path | None) -> dict[str, str | Path]:
    """Plain name to where the agent is: "module:Class", or a file."""
    places: dict[str, str | Path] = {plain_name(name): place for name, place in BUILT_IN.items()}
    files = sorted(agents_folder.glob("*.py")) if agents_folder is not None else []
    for file in files:
        if file.name.startswith(("_", ".")):
            continue
        name = plain_name(file.stem)
        if name in places:
            raise AgentError(
                f"two agents of the name {_name_of(file)}",
                expected="one agent of a name",
                got=f"{file} and {_shown(places[name])}",
                next=f"rename {file.name} and its class",
            )
        places[name] = file
    return places


def _entry(place: str | Path) -> Entry:
    if isinstance(place, Path):
        return Entry(load_agent_file(place), "workspace", place)
    module, _, name = place.partition(":")
    loaded = import_module(module)
    return Entry(getattr(loaded, name), "built-in", Path(str(loaded.__file__)))


def _name_of(place: str | Path) -> str:
    if isinstance(place, Path):
        return place.stem.replace("_", "-")
    return next(name for name, at in BUILT_IN.items() if at == place)


def _shown(place: str | Path) -> str:
    return str(place) if isinstance(place, Path) else f"the built-in {_name_of(place)}"
