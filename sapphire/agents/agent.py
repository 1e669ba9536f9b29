"""Agent: what states views of a window, and what everything else in Sapphire relies on.

An agent is a frozen dataclass. Its fields are its parameters: what a sweep varies, what is logged, what a release
freezes. What it learned stands in fields made by `fitted()` and travels as arrays.
"""

from __future__ import annotations

import dataclasses
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, get_args

from sapphire.agents.arrays import Arrays
from sapphire.agents.sources import Source, code_of, digest_of, prompt_text, remember_source
from sapphire.domain.documents import DOCUMENT_KINDS, document_kinds
from sapphire.domain.errors import AgentError, NotFitted
from sapphire.domain.given_kinds import wrong_kinds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sapphire.agents.view_panels import ViewPanel
    from sapphire.domain.artefacts import Artefact
    from sapphire.domain.bars import Bars
    from sapphire.domain.documents import DocumentKind
    from sapphire.domain.views import View
    from sapphire.domain.windows import Window

__all__ = ["Agent", "ScoreKind", "agent_name", "code_digest", "documents_of", "fitted", "own_sources"]

ScoreKind = Literal["score", "log_odds"]
"""What a score is: any number, larger is more bullish; or the log-odds that the price rises over the horizon."""

_FITTED = "sapphire.fitted"
_PROMPT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_WORD_ENDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def agent_name(class_name: str) -> str:
    """The name of an agent from that of its class.

    Examples
    --------
    >>> agent_name("MovingAverageCross"), agent_name("MACDCross"), agent_name("RSI2")
    ('moving-average-cross', 'macd-cross', 'rsi2')
    """
    return _WORD_ENDS.sub("-", class_name).replace("_", "-").lower()


def fitted(**default: Any) -> Any:
    """A dataclass field for what `fit` learns, which is no parameter: an `Arrays`, empty until then.

    An agent that keeps another type there says `fitted(default=None)` and gives its own `arrays` and `with_arrays`.
    """
    return dataclasses.field(**(default or {"default_factory": Arrays}), repr=False, metadata={_FITTED: True})


class Agent(ABC):
    """States views. Subclass it as a frozen dataclass whose parameters all have defaults.

    A subclass gives `warmup`, `horizon` (each a parameter or a property) and `views`. One that learns gives `fit` as
    well; one that is fast on whole panels gives `views_panel`.

    Raises
    ------
    AgentError : when made, if the class is not a frozen dataclass or lacks one of the three.
    """

    name: ClassVar[str]
    """Kebab case of the class's name."""
    twin_tolerance: ClassVar[float] = 1e-9
    """How far views and twin may differ, relative; looser only for arithmetic in float32. The checks show it."""
    golden_tolerance: ClassVar[float] = math.inf
    """How far its golden views may be apart elsewhere, relative, where that is closer than the type of its numbers."""
    score_is: ClassVar[ScoreKind] = "score"
    """What its score is, where it states one. Log-odds, ln(p / (1 - p)), are calibrated as a probability is."""
    documents: ClassVar[tuple[DocumentKind, ...]] = ()
    """Kinds of documents that it reads, ("news",); its windows have these and no others, of the time of their bars."""
    prompts: ClassVar[tuple[str, ...]] = ()
    """Names of its prompts, files in the folder `prompts` beside its own: ("qwen-1.md",)."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "name" not in cls.__dict__:
            cls.name = agent_name(cls.__name__)
        bare = [name for name in ("warmup", "horizon") if name in cls.__annotations__ and name not in cls.__dict__]
        if bare:
            raise AgentError(
                f"{cls.__name__} leaves {' and '.join(bare)} open",
                expected="a default for every parameter, so that the agent can be had by its name",
                got=f"{bare[0]}: {cls.__annotations__[bare[0]]}",
                next=f"give {bare[0]} a default, or make it a property",
            )
        _require_kinds_of_documents(cls)
        _require_names_of_prompts(cls)
        _require_kind_of_score(cls)
        remember_source(cls)

    def __new__(cls, *_: Any, **__: Any) -> Self:
        """Refuse a class that is not a whole agent before its fields are set."""
        parameters = cls.__dict__.get("__dataclass_params__")
        if parameters is None or not parameters.frozen:
            raise AgentError(
                f"{cls.__name__} is not a frozen dataclass",
                expected="an agent whose fields are its parameters and never change",
                got=f"class {cls.__name__}({', '.join(base.__name__ for base in cls.__bases__)}) without the decorator",
                next=f"write @dataclass(frozen=True) above class {cls.__name__}",
            )
        missing = sorted(cls.__abstractmethods__)
        if missing:
            raise AgentError(
                f"{cls.__name__} is not a whole agent",
                expected="warmup (bars), horizon (timedelta) and views(window)",
                got=f"no {', no '.join(missing)}",
                next="the file sapphire/agents/moving_average.py shows a small one",
            )
        return super().__new__(cls)

    @property
    @abstractmethod
    def warmup(self) -> int:
        """Closed bars that `views` needs; nobody asks it with fewer."""

    @property
    @abstractmethod
    def horizon(self) -> timedelta:
        """How far ahead the views look."""

    @abstractmethod
    def views(self, window: Window) -> list[View]:
        """What it believes at `window.as_of`, at most one view per symbol; no view is an answer too."""

    def views_batch(self, windows: Sequence[Window]) -> list[list[View]]:
        """The views of many windows, in their order: what `views` says of each.

        An agent that asks a model gives its own, so that a study's questions go out together and not one by one.
        """
        return [self.views(window) for window in windows]

    def views_panel(self, bars: Bars) -> ViewPanel | None:
        """The vectorised twin of `views`: the same numbers for every bar at once; None where there is no twin."""
        return None

    def fit(self, train: Bars, seed: int) -> Self:
        """A copy that has learned from `train` and nothing else; the agent itself where there is nothing to learn."""
        return self

    def parts(self) -> tuple[Agent, ...]:
        """The agents this one is made of."""
        return ()

    def card(self) -> dict[str, Any]:
        """What a reader should know of it, as plain values: its name, what it is, what it learned from."""
        return {"agent": self.name, "summary": (type(self).__doc__ or "").strip().split("\n", 1)[0]}

    @property
    def artefacts(self) -> tuple[Artefact, ...]:
        """Models that it asks, with what a release must say of them; those of its parts unless it has its own."""
        return tuple(dict.fromkeys(each for part in self.parts() for each in part.artefacts))

    def prompt(self, name: str) -> str:
        """The text of one of its prompts, as it was when the class was made.

        Raises
        ------
        AgentError : its class names no such prompt.
        """
        return prompt_text(type(self), name)

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features that its windows must have, "log_return_24"; `warmup` covers what they need."""
        return ()

    @property
    def learns(self) -> bool:
        """Whether it has anything to fit."""
        return type(self).fit is not Agent.fit

    @property
    def has_twin(self) -> bool:
        """Whether it has a vectorised twin."""
        return type(self).views_panel is not Agent.views_panel

    @property
    def has_batch(self) -> bool:
        """Whether it answers many windows at once."""
        return type(self).views_batch is not Agent.views_batch

    @property
    def is_fitted(self) -> bool:
        """Whether `views` can be asked: it has learned, or has nothing to learn."""
        return not self.learns or bool(self.arrays())

    def parameters(self) -> dict[str, Any]:
        """Parameter to value, in the order of the fields."""
        return {field.name: getattr(self, field.name) for field in self.parameter_fields()}

    @classmethod
    def parameter_fields(cls) -> tuple[dataclasses.Field[Any], ...]:
        """The fields that are parameters, in their order."""
        return tuple(field for field in _fields(cls) if not _is_fitted(field))

    def require_kinds(self) -> None:
        """Refuse a parameter of another kind than it is declared as, such as a text for a number.

        Raises
        ------
        AgentError : names each.
        """
        learned = {field.name for field in _fields(self) if _is_fitted(field)}
        if wrong := wrong_kinds(self, but=learned):
            raise AgentError(
                f"parameters of {self.name}", expected="each of the kind that it is declared as", got="; ".join(wrong)
            )

    def replace(self, **parameters: Any) -> Self:
        """A copy with other parameters. A parameter that changes takes what was learned with it.

        Raises
        ------
        AgentError : no such parameter.
        """
        now = self.parameters()
        unknown = [name for name in parameters if name not in now]
        if unknown:
            raise AgentError(
                f"{self.name} has no parameter {', '.join(map(repr, unknown))}",
                expected="one of " + (", ".join(now) or "none: it has no parameters"),
                got=", ".join(unknown),
                next=f"sapphire agent list shows the parameters of {self.name}",
            )
        if all(value == now[name] for name, value in parameters.items()):
            return self
        return type(self)(**{**now, **parameters})

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What it learned, as "field.name" to array; empty before `fit`. Goes into a release as safetensors."""
        learned: dict[str, NDArray[Any]] = {}
        for field in _fields(self):
            if _is_fitted(field):
                learned |= getattr(self, field.name).named(field.name)
        return learned

    def with_arrays(self, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """A copy that has learned exactly `arrays`, as `arrays()` gave them.

        Raises
        ------
        AgentError : an array that this agent does not have a place for.
        """
        places = [field.name for field in _fields(self) if _is_fitted(field)]
        unknown = [name for name in arrays if name.split(".", 1)[0] not in places or "." not in name]
        if unknown:
            raise AgentError(
                f"{self.name} has no place for these arrays",
                expected="names that start with "
                + (" or ".join(f"{place}." for place in places) or "nothing: it has none"),
                got=", ".join(unknown[:5]),
                next="load the arrays of a release into the agent that the same release names",
            )
        given = Arrays(arrays)
        return dataclasses.replace(self, **{place: Arrays(given.under(place)) for place in places})  # type: ignore[type-var]

    def require_fitted(self) -> None:
        """Refuse to go on before `fit`.

        Raises
        ------
        NotFitted : it learns and has not.
        """
        if not self.is_fitted:
            raise NotFitted(
                f"{self.name} has not learned yet",
                expected="an agent that was fitted, or loaded with its arrays",
                got="no arrays",
                next="agent = agent.fit(train, seed=7); a study does it inside each split",
            )


def own_sources(agent: Agent | type[Agent]) -> tuple[Source, ...]:
    """The files that decide what `agent` says: its class's, those of the agents it derives from, those of its parts.

    Each with the modules of the workspace that it imports.

    Raises
    ------
    AgentError : a class whose source cannot be had.
    """
    cls = agent if isinstance(agent, type) else type(agent)
    classes = [each for each in cls.__mro__ if issubclass(each, Agent) and each is not Agent]
    found = dict.fromkeys(source for each in classes for source in code_of(each).sources)
    for part in () if isinstance(agent, type) else agent.parts():
        found |= dict.fromkeys(own_sources(part))
    return tuple(sorted(found, key=lambda source: (source.name, source.digest)))


def documents_of(agent: Agent) -> tuple[DocumentKind, ...]:
    """Kinds of documents that an agent reads, or a part of it."""
    named = [*agent.documents, *(kind for part in agent.parts() for kind in documents_of(part))]
    return document_kinds(named) if named else ()


def code_digest(agent: Agent | type[Agent]) -> str:
    """sha256 over the agent's own source, modules of the workspace included: of a lone file its bytes' own.

    Raises
    ------
    AgentError : a class whose source cannot be had; says how to give it one.
    """
    return digest_of(own_sources(agent))


def _require_kinds_of_documents(cls: type[Agent]) -> None:
    named: Any = cls.documents
    if isinstance(named, tuple) and all(kind in DOCUMENT_KINDS for kind in named):
        return
    raise AgentError(
        f"documents of {cls.__name__}",
        expected=f"a tuple of some of {', '.join(DOCUMENT_KINDS)}",
        got=f"{named!r:.60}",
        next='documents = ("news",)',
    )


def _require_names_of_prompts(cls: type[Agent]) -> None:
    named: Any = cls.prompts
    if isinstance(named, tuple) and all(isinstance(name, str) and _PROMPT.fullmatch(name) for name in named):
        return
    raise AgentError(
        f"prompts of {cls.__name__}",
        expected="a tuple of file names, without folders",
        got=f"{named!r:.60}",
        next='prompts = ("trend-1.md",), and the file prompts/trend-1.md beside the agent\'s own',
    )


def _require_kind_of_score(cls: type[Agent]) -> None:
    named: Any = cls.score_is
    if named in get_args(ScoreKind):
        return
    raise AgentError(
        f"score of {cls.__name__}",
        expected=f"one of {', '.join(get_args(ScoreKind))}",
        got=f"{named!r:.60}",
        next='score_is = "log_odds" where the score is ln(p / (1 - p)) of a rise',
    )


def _fields(agent: Any) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(agent)


def _is_fitted(field: dataclasses.Field[Any]) -> bool:
    return bool(field.metadata.get(_FITTED))
