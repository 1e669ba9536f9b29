"""Models outside an agent: it asks a backend that was handed in, and every call is recorded.

An agent that asks a model names it by a parameter of type `Model`, so that trials, releases and evidence name it too,
and asks by `ask_model` or, many questions at once, by `ask_models`. It opens nothing: in a worker the questions go back
over the worker's own pipe. A call is known by its model, the digest of the window and the request, and is made once.
Asked again, here, in another process or in a year, it is answered from the recording.

What is asked without a window, such as what a headline says, is known by the request alone, and is one call for all
windows that show it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from sapphire.domain.bars import FIELDS
from sapphire.domain.canonical import canonical_json, is_sha256, plain, sha256_of
from sapphire.domain.clocks import to_ns
from sapphire.domain.errors import AgentError, EvidenceRefused, SapphireError, ValueRefused

if TYPE_CHECKING:
    from sapphire.domain.windows import Window

__all__ = [
    "Asking",
    "Backend",
    "InProcess",
    "LaterAsked",
    "Model",
    "Question",
    "Reply",
    "ask_model",
    "ask_models",
    "asking",
    "call_digest",
    "hand_in",
    "handed_in",
    "handing_in",
    "names_model",
    "nobody_answers",
    "replies_of",
    "window_digest",
]


@dataclass(frozen=True, slots=True)
class Model:
    """The name of a model, to the last byte.

    Parameters
    ----------
    repository : where it is from, "desk/direction".
    revision : a commit or a tag of it.
    sha256 : of its weights.

    Raises
    ------
    ValueRefused : a name that is none, or no sha256.

    Examples
    --------
    >>> model = Model("desk/direction", "v1", "0" * 64)
    >>> Model.parse(str(model)) == model, str(model)[:20]
    (True, 'desk/direction@v1#00')
    """

    repository: str
    revision: str
    sha256: str

    def __post_init__(self) -> None:
        named = all(part and not set(part) & set("@# \n") for part in (self.repository, self.revision))
        if not named or not is_sha256(self.sha256):
            raise ValueRefused(
                "name of a model", expected="repository, revision and the sha256 of its weights", got=str(self)
            )

    def __str__(self) -> str:
        return f"{self.repository}@{self.revision}#{self.sha256}"

    @classmethod
    def parse(cls, text: str) -> Model:
        """The model that `str` names so.

        Raises
        ------
        ValueRefused : it names none.
        """
        repository, _, rest = text.partition("@")
        revision, _, sha256 = rest.partition("#")
        return cls(repository, revision, sha256)


def names_model(text: str) -> bool:
    """Whether a text is the name of a model, as `str` gives it."""
    try:
        return str(Model.parse(text)) == text
    except ValueRefused:
        return False


class Backend(Protocol):
    """Answers for one model. Whoever loads an agent hands it in; the agent never sees it.

    One that answers many requests faster than one after the other, or that knows more than the answer, has a method
    `replies(requests: Sequence[Mapping]) -> Sequence[Reply]` as well, which is called instead of `answer`.
    """

    @property
    def model(self) -> Model:
        """The model."""
        ...

    def answer(self, request: Mapping[str, Any]) -> Any:
        """The model's answer to a request, both as plain values that JSON can hold."""
        ...


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of one request.

    Parameters
    ----------
    answer : what the agent gets, plain values.
    raw : what the model or its server wrote, as it came.
    about : what else is known of the call, plain values: tokens, seconds, versions. No agent sees it.
    """

    answer: Any
    raw: str = ""
    about: Mapping[str, Any] = field(default_factory=dict)


def replies_of(backend: Backend, requests: Sequence[Mapping[str, Any]]) -> list[Reply]:
    """What a backend replies to requests, in their order.

    Raises
    ------
    AgentError : the model fails, or replies to more or fewer than it was asked.
    """
    many: Callable[[Sequence[Mapping[str, Any]]], Sequence[Reply]] | None = getattr(backend, "replies", None)
    try:
        if many is None:
            return [Reply(backend.answer(plain(request))) for request in requests]
        replies = list(many([plain(request) for request in requests]))
        if len(replies) != len(requests):
            raise ValueError(f"{len(replies):,} replies to {len(requests):,} requests")
    except SapphireError:
        raise
    except Exception as error:
        raise AgentError(
            f"the model {str(backend.model).partition('#')[0]} fails",
            expected="an answer",
            got=f"{type(error).__name__}: {error}",
            next="ask the backend itself: backend.answer(request)",
        ) from error
    return replies


class InProcess:
    """A model that runs in this process, from weights that are verified before they are loaded.

    Parameters
    ----------
    model : its name.
    weights : the file.
    load : makes of the file's bytes what answers a request.

    Raises
    ------
    EvidenceRefused : the file is not the model's.
    """

    def __init__(
        self, model: Model, weights: Path, load: Callable[[bytes], Callable[[Mapping[str, Any]], Any]]
    ) -> None:
        data = weights.read_bytes()
        if sha256_of(data) != model.sha256:
            raise EvidenceRefused(
                f"the weights in {weights.name} are not those of {model.repository}",
                expected=f"sha256 {model.sha256}",
                got=sha256_of(data),
                next=f"take revision {model.revision} again, or name the model that this is",
            )
        self._model, self._answer = model, load(data)

    @property
    def model(self) -> Model:
        """Its name."""
        return self._model

    def answer(self, request: Mapping[str, Any]) -> Any:
        """What it says."""
        return self._answer(request)


Question = tuple[str, Mapping[str, Any]]
"""The digest of a window, empty where none is asked about, and a request."""


class Asking(Protocol):
    """What agents' questions go to: recorded calls, or a worker's way back to them."""

    def ask(self, model: str, questions: Sequence[Question]) -> list[Any]:
        """The answers to questions of one model, in their order."""
        ...


_Asking = TypeVar("_Asking", bound=Asking)
_handed: ContextVar[Asking | None] = ContextVar("sapphire_models", default=None)


def ask_model(model: Model, window: Window | None, request: Mapping[str, Any]) -> Any:
    """Ask a model from inside an agent.

    Parameters
    ----------
    model : a parameter of the agent.
    window : that the agent is asked about; None where the request says all that the answer hangs on.
    request : plain values; what they mean is between the agent and the model.

    Raises
    ------
    AgentError : nobody handed in a backend for it, or the call was never recorded.
    ValueRefused : a request or an answer that JSON cannot hold.
    """
    return ask_models(model, [(window, request)])[0]


def ask_models(model: Model, questions: Sequence[tuple[Window | None, Mapping[str, Any]]]) -> list[Any]:
    """Ask a model many questions at once: the answers, in their order; see `ask_model`."""
    digests: dict[int, str] = {}
    asked: list[Question] = []
    for window, request in questions:
        if window is not None and id(window) not in digests:
            digests[id(window)] = window_digest(window)
        asked.append(("" if window is None else digests[id(window)], request))
    return asking().ask(str(model), asked) if asked else []


def handed_in() -> Asking | None:
    """What was handed in here."""
    return _handed.get()


class LaterAsked:
    """What is handed in here now, or else, once a question comes, what the workspace's settings say of models."""

    def __init__(self) -> None:
        self._handed = handed_in()

    def ask(self, model: str, questions: Sequence[Question]) -> list[Any]:
        """See `Asking`; raises what `asking` raises too."""
        source = _of_the_workspace() if self._handed is None else self._handed
        return source.ask(model, questions)


def asking() -> Asking:
    """What was handed in here, else what the workspace's settings say of models: recordings, servers, the packaged one.

    Raises
    ------
    ConfigError : the settings cannot be meant.
    """
    found = _handed.get()
    return _of_the_workspace() if found is None else found  # one without calls is false


def _of_the_workspace() -> Asking:
    from sapphire.agents.llm.workspace_models import workspace_recorder

    return workspace_recorder()


@contextmanager
def handing_in(asking: _Asking) -> Iterator[_Asking]:
    """Hand in what answers for everything that is asked inside; gives it."""
    token = _handed.set(asking)
    try:
        yield asking
    finally:
        _handed.reset(token)


def hand_in(asking: Asking) -> None:
    """Hand in what answers for the rest of this process."""
    _handed.set(asking)


def window_digest(window: Window) -> str:
    """sha256 of all that a window shows: its moment, symbols, interval, bars and documents."""
    bars = window.bars
    head = {"as_of_ns": to_ns(window.as_of), "interval": window.interval.text, "symbols": window.symbols}
    digest = hashlib.sha256(canonical_json(head))
    for name in ("open_time_ns", *FIELDS, "listed"):
        digest.update(getattr(bars, name).tobytes())
    if bars.documents is not None:
        digest.update(bars.documents.lineage_sha256().encode())
    return digest.hexdigest()


def call_digest(model: str, window: str, request: Mapping[str, Any]) -> str:
    """sha256 of all that a call hangs on: by it a recording is found."""
    return sha256_of(canonical_json([model, window, sha256_of(canonical_json(request))]))


def nobody_answers(model: str, got: str) -> AgentError:
    """The error where a call was never recorded and nobody can make it."""
    return AgentError(
        f"nobody answers for the model {model.partition('#')[0]}",
        expected="a backend of this model, or a recording of the call",
        got=got,
        next="with sp.agents.backed_by(backend): ... around what asks the agent",
    )
