"""LLMBackend: what every way to run a language model can do, and how agents' questions get there and back.

In:    questions as recordings hold them.  Out: replies as recordings hold them, parsed once, here.
Never: raises where a model writes nonsense: that is an answer too, and says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from sapphire.agents.llm.quantiles import QUANTILE_SCHEMA, Quantiles
from sapphire.agents.llm.requests import Generate, Generated, Score, Scores, request_of
from sapphire.agents.models import Model, Reply
from sapphire.domain.errors import BadModelOutput

__all__ = ["LLMBackend", "LanguageModel", "language_models"]


class LLMBackend(Protocol):
    """Runs one base model and the adapters on it."""

    @property
    def models(self) -> tuple[Model, ...]:
        """The base model, and the adapters that it can be asked with."""
        ...

    def score(self, model: Model, questions: Sequence[Score]) -> list[Reply]:
        """How surely each choice comes next, by question; each reply is `Scores.reply`."""
        ...

    def generate(self, model: Model, questions: Sequence[Generate]) -> list[Reply]:
        """What the model writes, by question; each reply is `Generated.reply`."""
        ...


class LanguageModel:
    """One model of a backend, as recorders and agents ask it; see `sapphire.agents.models.Backend`.

    Parameters
    ----------
    backend : that runs it.
    model : the base, or an adapter on it.
    """

    def __init__(self, backend: LLMBackend, model: Model) -> None:
        self._backend, self.model = backend, model

    def answer(self, request: Mapping[str, Any]) -> Any:
        """The answer to one request."""
        return self.replies([request])[0].answer

    def replies(self, requests: Sequence[Mapping[str, Any]]) -> list[Reply]:
        """The replies to requests, in their order; each kind of question goes to the backend in one piece.

        Raises
        ------
        ValueRefused : a request that is no question to a language model.
        NotReady : the backend does not answer.
        """
        questions = [request_of(request) for request in requests]
        made: dict[int, Reply] = {}
        scores = {place: each for place, each in enumerate(questions) if isinstance(each, Score)}
        texts = {place: each for place, each in enumerate(questions) if isinstance(each, Generate)}
        if scores:
            made |= zip(scores, self._backend.score(self.model, list(scores.values())), strict=True)
        if texts:
            made |= zip(texts, self._backend.generate(self.model, list(texts.values())), strict=True)
        return [_parsed(questions[place], made[place]) for place in range(len(questions))]


def language_models(backend: LLMBackend) -> tuple[LanguageModel, ...]:
    """Every model of a backend."""
    return tuple(LanguageModel(backend, model) for model in backend.models)


def _parsed(question: Score | Generate, reply: Reply) -> Reply:
    """The reply, with what is wrong with it, if anything is, in what is known about the call."""
    try:
        if isinstance(question, Score):
            Scores.of(reply.answer, question.choices)
        else:
            generated = Generated.of(reply.answer)
            if question.grammar is not None:
                _require_schema(generated.value(), question.grammar)
            if question.grammar == QUANTILE_SCHEMA:
                Quantiles.of(generated.value())
    except BadModelOutput as error:
        return Reply(reply.answer, reply.raw, {**reply.about, "bad": f"expected {error.expected}, got {error.got}"})
    return reply


def _require_schema(value: Any, grammar: Mapping[str, Any]) -> None:
    import jsonschema

    try:
        jsonschema.validate(value, dict(grammar))
    except jsonschema.ValidationError as error:
        raise BadModelOutput("a model's output", expected="JSON of its schema", got=error.message[:200]) from None
