"""Qwen: one token.

In: closed bars.  Out: one view per symbol, the log-odds that its price rises.  Never: sizes, orders, I/O, the clock.

Believes that a language model which has read about markets says something of the next hours when it is shown the last
ones in words. It is asked for one token, up or down, without thinking first, and the score is the log-odds of that
token less those of a context without content.

The model is the packaged one unless another is named: Qwen3-8B, or Qwen3-4B-Instruct-2507 where a GPU is smaller, by
repository, revision and digest. The packaged one has no skill; it shows that everything works.

Weaknesses: it may remember the years that it was trained on, so that only bars after its cutoff are evidence, and names
and dates can be left out (`named=False`); one token says nothing of how far; a number is a few tokens to it, not a
number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar, Literal

from sapphire.agents.agent import Agent
from sapphire.agents.llm.choosing import CONTENT_FREE, UP_OR_DOWN, Choice, log_odds_of
from sapphire.agents.llm.context import contexts_of, horizon_text
from sapphire.agents.llm.default_model import PACKAGED
from sapphire.agents.llm.known_models import artefacts_of, model_kind
from sapphire.agents.llm.prompts import Prompt
from sapphire.agents.llm.requests import Score
from sapphire.agents.models import Model
from sapphire.domain.errors import AgentError
from sapphire.domain.views import ViewNote

if TYPE_CHECKING:
    from sapphire.domain.artefacts import Artefact
    from sapphire.domain.views import View
    from sapphire.domain.windows import Window

__all__ = ["Qwen"]


@dataclass(frozen=True)
class Qwen(Agent):
    """Asks a language model for one token, up or down.

    Parameters
    ----------
    model : that is asked.
    horizon : how far the question looks.
    shown_bars : returns that the prompt shows.
    memory : bars that the indicators are made of.
    named : whether the prompt shows symbol and date.

    Raises
    ------
    AgentError : fewer than one return shown, or a memory that does not hold them.
    """

    prompts: ClassVar[tuple[str, ...]] = ("qwen-1.md",)
    score_is: ClassVar[Literal["score", "log_odds"]] = "log_odds"

    model: Model = PACKAGED
    horizon: timedelta = timedelta(hours=12)
    shown_bars: int = 8
    memory: int = 48
    named: bool = True

    def __post_init__(self) -> None:
        self.require_kinds()
        if not 1 <= self.shown_bars < self.memory:
            raise AgentError(
                "a prompt that cannot be filled",
                expected="1 <= shown_bars < memory, both in bars",
                got=f"shown_bars {self.shown_bars}, memory {self.memory}",
            )

    @property
    def warmup(self) -> int:
        """The memory."""
        return self.memory

    @property
    def artefacts(self) -> tuple[Artefact, ...]:
        """The model, as a release names it."""
        return artefacts_of(self.model)

    def views(self, window: Window) -> list[View]:
        """The log-odds of each symbol; none where the model's output cannot be used."""
        return self.views_batch([window])[0]

    def views_batch(self, windows: Sequence[Window]) -> list[list[View]]:
        """The same for many windows, asked at once."""
        asked = [(window, self._choices(window)) for window in windows]
        odds = log_odds_of(self.model, asked, self._question(CONTENT_FREE))
        return [self._views(window, of) for window, of in zip(windows, odds, strict=True)]

    def _choices(self, window: Window) -> list[Choice]:
        shown = contexts_of(window, bars=self.shown_bars, memory=self.memory, named=self.named)
        return [Choice(context.symbol, self._question(context.text)) for context in shown]

    def _question(self, context: str) -> Score:
        prompt = Prompt.parse(self.prompt("qwen-1.md"), "qwen-1.md")
        messages = prompt.messages(context=context, horizon=horizon_text(self.horizon))
        return Score(messages=messages, answer_so_far=prompt.answer, choices=UP_OR_DOWN)

    def _views(self, window: Window, odds: dict[str, float]) -> list[View]:
        note = ViewNote(model_kind=model_kind(self.model), elicitation="one token")
        return window.views(score=odds, horizon=self.horizon, notes=dict.fromkeys(odds, note))
