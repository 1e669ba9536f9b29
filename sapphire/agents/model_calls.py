"""Calls of models, each made once: in memory, for as long as a study or a piece of evidence is made."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from sapphire.agents.models import LaterAsked, call_digest, handing_in, nobody_answers, replies_of
from sapphire.domain.canonical import canonical_json, read_canonical
from sapphire.domain.errors import EvidenceRefused, ValueRefused

if TYPE_CHECKING:
    from sapphire.agents.models import Asking, Backend, Question

__all__ = ["ModelCalls", "backed_by", "recorded_calls"]


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
    def parse(cls, data: bytes, *backends: Backend, further: Asking | None = None) -> Self:
        """The calls that `canonical` gave, and what answers those that are not among them.

        Raises
        ------
        EvidenceRefused : something that is no recorded call.
        """
        made = cls(*backends, further=further)
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

    def ask(self, model: str, questions: Sequence[Question]) -> list[Any]:
        """The answers to questions; see `Asking`.

        Raises
        ------
        AgentError : a call that was never recorded, and no backend for its model; or a model that fails.
        ValueRefused : a request or an answer that JSON cannot hold.
        """
        keys = [call_digest(model, *question) for question in questions]
        new = {key: question for key, question in zip(keys, questions, strict=True) if key not in self._calls}
        if new:
            asked = list(new.values())
            for (window, request), answer in zip(asked, self._new(model, asked), strict=True):
                self._keep(model, window, request, answer)
        return [json.loads(self._calls[key])["answer"] for key in keys]

    def _keep(self, model: str, window: str, request: Mapping[str, Any], answer: Any) -> None:
        line = canonical_json({"answer": answer, "model": model, "request": request, "window": window})
        self._calls.setdefault(call_digest(model, window, request), line)

    def _new(self, model: str, questions: Sequence[Question]) -> list[Any]:
        if self._further is not None:
            return self._further.ask(model, questions)
        backend = self._backends.get(model)
        if backend is None:
            raise nobody_answers(
                model, f"none of {len(self):,} recorded calls is this one, and no backend has the model"
            )
        return [reply.answer for reply in replies_of(backend, [request for _, request in questions])]


@contextmanager
def backed_by(*backends: Backend, recorded: bytes = b"", further: Asking | None = None) -> Iterator[ModelCalls]:
    """Hand in backends, and calls that were recorded, for everything that is asked inside; gives the calls.

    Parameters
    ----------
    backends : that answer new calls.
    recorded : calls, as `ModelCalls.canonical`.
    further : asked for what is not recorded, before a backend is.

    Examples
    --------
    >>> with backed_by() as calls:
    ...     len(calls)
    0
    """
    with handing_in(ModelCalls.parse(recorded, *backends, further=further)) as calls:
        yield calls


@contextmanager
def recorded_calls() -> Iterator[ModelCalls]:
    """The calls that are made inside, answered by what is handed in outside."""
    with handing_in(ModelCalls(further=LaterAsked())) as calls:
        yield calls
