"""Qwen: one token, or three quantiles.

In: closed bars and features.  Out: one view per symbol, the log-odds that its price rises, or mean and deviation.
Never: sizes, orders, I/O, the clock.

Believes that a language model which has read about markets says something of the next hours when it is shown the last
ones in words. It is asked for one token, up or down, without thinking first, and the score is the log-odds of that
token less those of a context without content. Where `elicitation` is "quantiles" it is asked for the 10 %, 50 % and
90 % quantile of the return instead, and the view is the normal distribution nearest to them.

The model is the packaged one unless another is named: Qwen3-8B, or Qwen3-4B-Instruct-2507 where a GPU is smaller, by
repository, revision and digest. The packaged one has no skill; it shows that everything works.

Weaknesses: it may remember the years that it was trained on, so that only bars after its cutoff are evidence, and names
and dates can be left out (`named=False`); one token says nothing of how far; a number is a few tokens to it, not a
number; what it states in quantiles nobody calibrates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar, Literal

from sapphire.agents.agent import Agent
from sapphire.agents.llm.choosing import CONTENT_FREE, UP_OR_DOWN, Choice, log_odds_of
from sapphire.agents.llm.context import horizon_text
from sapphire.agents.llm.context_agent import ContextAgent, Elicitation
from sapphire.agents.llm.default_model import PACKAGED
from sapphire.agents.llm.known_models import model_kind
from sapphire.agents.llm.prompts import Prompt
from sapphire.agents.llm.quantiles import Quantiles, normal_views, quantiles_of
from sapphire.agents.llm.requests import Score
from sapphire.agents.models import Model
from sapphire.domain.errors import AgentError
from sapphire.domain.views import ViewNote

if TYPE_CHECKING:
    from sapphire.domain.views import View
    from sapphire.domain.windows import Window

__all__ = ["Qwen"]


@dataclass(frozen=True)
class Qwen(ContextAgent, Agent):
    """Asks a language model for one token, up or down, or for quantiles of the return.

    Parameters
    ----------
    model : that is asked.
    horizon : how far the question looks.
    shown_bars : returns that the prompt shows.
    memory : bars that the indicators are made of.
    named : whether the prompt shows symbol and date.
    shown_features : names of features that the prompt shows, each at the latest bar where the window has it.
    elicitation : "choice", and the view is a score, log-odds that are calibrated, or "quantiles", and it is a forecast.

    Raises
    ------
    AgentError : fewer than one return shown, a memory that does not hold them, no elicitation, no names of features.
    """

    prompts: ClassVar[tuple[str, ...]] = ("qwen-1.md", "qwen-quantiles-1.md")
    score_is: ClassVar[Literal["score", "log_odds"]] = "log_odds"

    model: Model = PACKAGED
    horizon: timedelta = timedelta(hours=12)
    shown_bars: int = 8
    memory: int = 48
    named: bool = True
    shown_features: tuple[str, ...] = ()
    elicitation: Elicitation = "choice"

    def __post_init__(self) -> None:
        self.require_kinds()
        self.require_question(self.name)
        if not 1 <= self.shown_bars < self.memory:
            raise AgentError(
                "a prompt that cannot be filled",
                expected="1 <= shown_bars < memory, both in bars",
                got=f"shown_bars {self.shown_bars}, memory {self.memory}",
            )

    def views(self, window: Window) -> list[View]:
        """What the model answers of each symbol; nothing where its output cannot be used."""
        return self.views_batch([window])[0]

    def views_batch(self, windows: Sequence[Window]) -> list[list[View]]:
        """The same for many windows, asked at once."""
        asked = [(window, self._choices(window)) for window in windows]
        if self.elicitation == "quantiles":
            stated = quantiles_of(self.model, asked)
            return [self._forecasts(window, of) for window, of in zip(windows, stated, strict=True)]
        odds = log_odds_of(self.model, asked, self._question(CONTENT_FREE))
        return [self._scores(window, of) for window, of in zip(windows, odds, strict=True)]

    def _choices(self, window: Window) -> list[Choice]:
        return [Choice(context.symbol, self._question(context.text)) for context in self.contexts(window)]

    def _question(self, context: str) -> Score:
        name = "qwen-quantiles-1.md" if self.elicitation == "quantiles" else "qwen-1.md"
        prompt = Prompt.parse(self.prompt(name), name)
        messages = prompt.messages(context=context, horizon=horizon_text(self.horizon))
        return Score(messages=messages, answer_so_far=prompt.answer, choices=UP_OR_DOWN)

    def _scores(self, window: Window, odds: dict[str, float]) -> list[View]:
        note = ViewNote(model_kind=model_kind(self.model), elicitation="one token")
        return window.views(score=odds, horizon=self.horizon, notes=dict.fromkeys(odds, note))

    def _forecasts(self, window: Window, stated: dict[str, Quantiles]) -> list[View]:
        note = ViewNote(model_kind=model_kind(self.model), elicitation="quantiles")
        return normal_views(window, stated, horizon=self.horizon, notes=dict.fromkeys(stated, note))
