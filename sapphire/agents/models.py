"""Models outside an agent: it asks a backend that was handed in, and every call is recorded.

An agent that asks a model names it by a parameter of type `Model`, so that trials, releases and evidence name it too,
and asks by `ask_model`. It opens nothing: in a worker the question goes back over the worker's own pipe. A call is
known by its model, the digest of the window and the request, and is made once. Asked again, here, in another process or
in a year, it is answered from the recording.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

from sapphire.domain.bars import FIELDS
from sapphire.domain.canonical import canonical_json, is_sha256, plain, read_canonical, sha256_of
from sapphire.domain.clocks import to_ns
from sapphire.domain.errors import AgentError, EvidenceRefused, SapphireError, ValueRefused

if TYPE_CHECKING:
    from sapphire.domain.windows import Window

__all__ = [
    "Asking",
    "Backend",
    "InProcess",
    "Model",
    "ModelCalls",
    "ask_model",
    "backed_by",
    "hand_in",
    "handed_in",
    "names_model",
    "no_backend",
    "recorded_calls",
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
    """Answers for one model. Whoever loads an agent hands it in; the agent never sees it."""

    @property
    def model(self) -> Model:
        """The model."""
        ...

    def answer(self, request: Mapping[str, Any]) -> Any:
        """The model's answer to a request, both as plain values that JSON can hold."""
        ...


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


class Asking(Protocol):
    """What `ask_model` asks: recorded calls, or a worker's way back to them."""

    def ask(self, model: str, window: str, request: Mapping[str, Any]) -> Any:
        """The answer to a request that was made at a window of this digest."""
        ...


class ModelCalls:
    """Calls of models: each made once, and answered from here ever after.

    Parameters
    ----------
    backends : that answer new calls; without one for its model, a new call is refused.
    further : asked for what is not here, before a backend is.
    """

    def __init__(self, *backends: Backend, further: Asking | None = None) -> None:
        self._backends = {str(backend.model): backend for backend in backends}
        self._further = further
        self._calls: dict[str, bytes] = {}

    @classmethod
    def parse(cls, data: bytes, *backends: Backend) -> Self:
        """The calls that `canonical` gave.

        Raises
        ------
        EvidenceRefused : something that is no recorded call.
        """
        made = cls(*backends)
        for line in data.splitlines():
            try:
                call = read_canonical(line, what="a recorded call of a model")
                made._keep(call["model"], call["window"], call["request"], call["answer"])
            except (ValueRefused, KeyError, TypeError) as error:
                raise EvidenceRefused(
                    "recorded calls that cannot be read", expected="model, window, request and answer", got=str(error)
                ) from None
        return made

    @property
    def canonical(self) -> bytes:
        """One line of canonical JSON per call, sorted; empty where there was none."""
        return b"".join(line + b"\n" for line in sorted(self._calls.values()))

    def __len__(self) -> int:
        return len(self._calls)

    def ask(self, model: str, window: str, request: Mapping[str, Any]) -> Any:
        """The answer to a request; see `Asking`.

        Raises
        ------
        AgentError : a call that was never recorded, and no backend for its model; or a model that fails.
        ValueRefused : a request or an answer that JSON cannot hold.
        """
        line = self._calls.get(_key(model, window, request))
        if line is None:
            line = self._keep(model, window, request, self._new(model, window, request))
        return json.loads(line)["answer"]

    def _keep(self, model: str, window: str, request: Mapping[str, Any], answer: Any) -> bytes:
        line = canonical_json({"answer": answer, "model": model, "request": request, "window": window})
        return self._calls.setdefault(_key(model, window, request), line)

    def _new(self, model: str, window: str, request: Mapping[str, Any]) -> Any:
        if self._further is not None:
            return self._further.ask(model, window, request)
        backend = self._backends.get(model)
        if backend is None:
            raise _nobody(model, f"none of {len(self):,} recorded calls is this one, and no backend has the model")
        try:
            return backend.answer(plain(request))
        except SapphireError:
            raise
        except Exception as error:
            raise AgentError(
                f"the model {model.partition('#')[0]} fails",
                expected="an answer",
                got=f"{type(error).__name__}: {error}",
                next="ask the backend itself: backend.answer(request)",
            ) from error


_handed: ContextVar[Asking | None] = ContextVar("sapphire_models", default=None)


def ask_model(model: Model, window: Window, request: Mapping[str, Any]) -> Any:
    """Ask a model from inside an agent.

    Parameters
    ----------
    model : a parameter of the agent.
    window : that the agent is asked about.
    request : plain values; what they mean is between the agent and the model.

    Raises
    ------
    AgentError : nobody handed in a backend for it, or the call was never recorded.
    ValueRefused : a request or an answer that JSON cannot hold.
    """
    asking = _handed.get()
    if asking is None:
        raise no_backend(str(model))
    return asking.ask(str(model), window_digest(window), request)


@contextmanager
def backed_by(*backends: Backend, recorded: bytes = b"") -> Iterator[ModelCalls]:
    """Hand in backends, and calls that were recorded, for everything that is asked inside; gives the calls.

    Examples
    --------
    >>> with backed_by() as calls:
    ...     len(calls)
    0
    """
    with _handed_in(ModelCalls.parse(recorded, *backends)) as calls:
        yield calls


@contextmanager
def recorded_calls() -> Iterator[ModelCalls]:
    """The calls that are made inside, answered by what is handed in outside."""
    with _handed_in(ModelCalls(further=_handed.get())) as calls:
        yield calls


def handed_in() -> Asking | None:
    """What was handed in here."""
    return _handed.get()


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


@contextmanager
def _handed_in(calls: ModelCalls) -> Iterator[ModelCalls]:
    token = _handed.set(calls)
    try:
        yield calls
    finally:
        _handed.reset(token)


def _key(model: str, window: str, request: Mapping[str, Any]) -> str:
    return sha256_of(canonical_json([model, window, sha256_of(canonical_json(request))]))


def no_backend(model: str) -> AgentError:
    """The error where nothing was handed in at all."""
    return _nobody(model, "no backend was handed in")


def _nobody(model: str, got: str) -> AgentError:
    return AgentError(
        f"nobody answers for the model {model.partition('#')[0]}",
        expected="a backend of this model, or a recording of the call",
        got=got,
        next="with sp.agents.backed_by(backend): ... around what asks the agent",
    )
