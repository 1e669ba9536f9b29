"""Metrics of model calls: what a bento tells Prometheus of the models that its agents ask.

::

    sapphire_model_calls_total            calls, by model and by what came of it: answered, recorded, bad, failed
    sapphire_model_call_seconds           how long a call took that the model answered
    sapphire_model_tokens_total           tokens of prompts and of answers
    sapphire_model_cost_usd_total         what calls cost, where their server has a price
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from sapphire.domain.errors import SapphireError

if TYPE_CHECKING:
    from prometheus_client import Counter, Histogram

    from sapphire.agents.models import Question
    from sapphire.agents.recorder import RecordedCall, Recorder

__all__ = ["CountedModels"]

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class CountedModels:
    """A recorder whose calls are counted; see `sapphire.agents.models.Asking`.

    Parameters
    ----------
    recorder : what answers.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        recorder.on_call = self._count

    def ask(self, model: str, questions: Sequence[Question]) -> list[Any]:
        """The answers; see `Recorder.ask`."""
        name = model.partition("#")[0]
        known = self._recorder.known(model, questions)
        try:
            answers = self._recorder.ask(model, questions)
        except SapphireError:
            _calls().labels(name, "failed").inc()
            raise
        _calls().labels(name, "recorded").inc(known)
        return answers

    def _count(self, call: RecordedCall) -> None:
        name, about = call.model.partition("#")[0], call.about
        _calls().labels(name, "bad" if about.get("bad") else "answered").inc()
        _seconds().labels(name).observe(float(about.get("seconds", 0.0)))
        for kind in ("prompt", "completion"):
            _tokens().labels(name, kind).inc(int(about.get(f"{kind}_tokens", 0)))
        _cost().labels(name).inc(float(about.get("cost_usd", 0.0)))


@cache
def _calls() -> Counter:
    from prometheus_client import Counter

    return Counter("sapphire_model_calls", "Calls of models.", ("model", "came"))


@cache
def _seconds() -> Histogram:
    from prometheus_client import Histogram

    return Histogram("sapphire_model_call_seconds", "How long a model took.", ("model",), buckets=_SECONDS)


@cache
def _tokens() -> Counter:
    from prometheus_client import Counter

    return Counter("sapphire_model_tokens", "Tokens of prompts and answers.", ("model", "kind"))


@cache
def _cost() -> Counter:
    from prometheus_client import Counter

    return Counter("sapphire_model_cost_usd", "What calls of models cost.", ("model",))
