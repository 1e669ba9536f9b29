"""What an agent asks of models over a study's bars: counted before it is asked, and asked in one pass.

An agent that answers many windows at once is asked about all of its bars before the folds are walked: what is recorded
comes from there, the rest is asked and recorded as it comes, so that a pass that was interrupted goes on where it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sapphire.agents.answers import batch_by
from sapphire.agents.models import Model, asking, call_digest, handing_in
from sapphire.agents.panels import views_at_each, window_at
from sapphire.agents.recorder import Recorder
from sapphire.research.results.showing import Shown, described

if TYPE_CHECKING:
    from sapphire.agents import Agent
    from sapphire.agents.models import Asking, Question
    from sapphire.domain.bars import Bars
    from sapphire.domain.progress import Progress

__all__ = ["ModelCost", "ask_ahead", "model_cost"]

_CHUNK = 64
_SAMPLED = 6
"""Chunks that are looked at before a pass, to say what it comes to."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ModelCost(Shown):
    """What a pass over some bars asks of one model.

    Parameters
    ----------
    agent : that asks, or whose part does.
    model : its name.
    questions : different ones, over all bars.
    recorded : of these, that are answered without the model.
    seconds, cost_usd : of the rest, at the pace of the latest recorded calls; None where there are none.
    at_least : whether there may be more: what a model writes may be part of the next question.
    """

    agent: Agent
    model: str
    questions: int
    recorded: int
    seconds: float | None
    cost_usd: float | None
    at_least: bool

    @property
    def new(self) -> int:
        """Questions that the model has to answer."""
        return self.questions - self.recorded

    @property
    def caption(self) -> str:
        """One line."""
        more = "at least " if self.at_least else ""
        return f"{described(self.agent)} asks {_short(self.model)} {more}{self.questions:,} questions: {self._rest}"

    @property
    def _rest(self) -> str:
        if not self.new:
            return "all recorded"
        text = f"{self.recorded:,} recorded, {self.new:,} new"
        if self.seconds is not None:
            text += f", about {_duration(self.seconds)}"
        return text if self.cost_usd is None else f"{text}, {self.cost_usd:.2f} USD"

    def table(self) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
        """The numbers."""
        known = self.seconds is not None
        return ("what", "value"), [
            ("model", self.model.partition("#")[0]),
            ("questions", f"{'at least ' if self.at_least else ''}{self.questions:,}"),
            ("recorded", f"{self.recorded:,}"),
            ("new", f"{self.new:,}"),
            ("time of the new ones", _duration(self.seconds or 0.0) if known else "not known yet"),
            ("cost of the new ones", "not known yet" if self.cost_usd is None else f"{self.cost_usd:.2f} USD"),
        ]

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "method": "model_cost",
            "agent": self.agent.name,
            "model": self.model,
            "questions": self.questions,
            "recorded": self.recorded,
            "new": self.new,
            "seconds": self.seconds,
            "cost_usd": self.cost_usd,
            "at_least": self.at_least,
        }


def model_cost(agent: Agent, bars: Bars, *, sampled: bool = False) -> tuple[ModelCost, ...]:
    """What a pass of `agent` over `bars` asks, by model; nothing is asked of any.

    Parameters
    ----------
    sampled : looks at some of the bars alone, spread over all of them, and says what all of them come to.

    Raises
    ------
    ConfigError : the settings of models cannot be meant.
    """
    source = asking()
    found = []
    for part in _asking_parts(agent):
        counted = _Counting(source)
        with handing_in(counted):
            chunks = list(_chunks(part, bars))
            looked = chunks[:: max(1, len(chunks) // _SAMPLED)] if sampled else chunks
            for rows in looked:
                try:
                    batch_by(part, [window_at(part, bars, row) for row in rows])
                except _Unanswered:
                    continue
        times = sum(map(len, chunks)) / max(1, sum(map(len, looked)))
        for model, questions in counted.questions.items():
            asked = list(questions.values())
            pace = source.pace(model) if isinstance(source, Recorder) else None
            new = round(times * (len(asked) - counted.known(model, asked)))
            whole = round(times * len(asked))
            found.append(
                ModelCost(
                    agent=part,
                    model=model,
                    questions=whole,
                    recorded=whole - new,
                    seconds=None if pace is None else pace[0] * new,
                    cost_usd=None if pace is None else pace[1] * new,
                    at_least=new > 0 and any(request.get("ask") == "generate" for _, request in asked),
                )
            )
    return tuple(found)


def ask_ahead(agent: Agent, bars: Bars, *, on_progress: Progress) -> None:
    """Ask the parts of an agent that answer many windows at once about all bars; see the module.

    It is called while answers are remembered (`Remembered.open`), so that the walk finds them there.

    Raises
    ------
    AgentError : as `batch_by`; what was answered before stays recorded.
    """
    for part in _asking_parts(agent):
        costs = model_cost(part, bars, sampled=True)
        title = "; ".join(cost.caption for cost in costs)
        rows = range(part.warmup - 1, len(bars))
        on_progress(0, len(rows), title)
        for done, _ in enumerate(views_at_each(part, bars, rows), start=1):
            if done % _CHUNK == 0 or done == len(rows):
                on_progress(done, len(rows), title)


class _Unanswered(BaseException):
    """A question whose answer is not recorded: what would be asked next cannot be known."""


class _Counting:
    """Answers what is recorded, and notes every question.

    Parameters
    ----------
    source : what would be asked.
    """

    def __init__(self, source: Asking) -> None:
        self._source = source
        self.questions: dict[str, dict[str, Question]] = {}

    def ask(self, model: str, questions: Sequence[Question]) -> list[Any]:
        """See `Asking`; raises `_Unanswered` where one of them is new."""
        of_model = self.questions.setdefault(model, {})
        of_model |= {call_digest(model, *question): question for question in questions}
        if self.known(model, questions) < len(questions):
            raise _Unanswered
        return self._source.ask(model, questions)

    def known(self, model: str, questions: Sequence[Question]) -> int:
        """How many of the questions would be answered without the model."""
        return self._source.known(model, questions) if isinstance(self._source, Recorder) else 0


def _asking_parts(agent: Agent) -> Iterator[Agent]:
    """The agent, or its parts, that ask a model about many windows at once and learn nothing."""
    if agent.has_batch and not agent.learns and any(isinstance(each, Model) for each in agent.parameters().values()):
        yield agent
    for part in agent.parts():
        yield from _asking_parts(part)


def _chunks(agent: Agent, bars: Bars) -> Iterator[range]:
    for first in range(agent.warmup - 1, len(bars), _CHUNK):
        yield range(first, min(first + _CHUNK, len(bars)))


def _short(model: str) -> str:
    return model.partition("#")[0].rpartition("/")[2]


def _duration(seconds: float) -> str:
    if seconds < 90.0:
        return f"{seconds:.0f} s"
    return f"{seconds / 60.0:.0f} min" if seconds < 5_400.0 else f"{seconds / 3_600.0:.1f} h"
