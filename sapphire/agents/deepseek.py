"""DeepSeek: reasons where it is told to, and answers in one token.

In: closed bars.  Out: one view per symbol, the log-odds that its price rises.  Never: sizes, orders, I/O, the clock.

Believes that a model which was trained to reason weighs momentum against reversal better when it may write before it
answers. Writing takes seconds, so it reasons at some bars only, within a budget of tokens and seconds, and answers at
once at the others; every view says which it was. What it wrote is the view's thesis. The score is the log-odds of up
over down, less those of a context without content.

The model is the packaged one unless another is named: DeepSeek-R1-0528-Qwen3-8B by repository, revision and digest. The
packaged one has no skill; it shows that everything works.

Weaknesses: what it writes need not be why it answers as it does; a budget that ends early leaves half a thought; it may
remember the years that it was trained on, so that only bars after its cutoff are evidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar, Literal

from sapphire.agents.agent import Agent
from sapphire.agents.llm.choosing import CONTENT_FREE, UP_OR_DOWN, Choice, log_odds_of
from sapphire.agents.llm.context import contexts_of, horizon_text
from sapphire.agents.llm.default_model import PACKAGED
from sapphire.agents.llm.known_models import artefacts_of, model_kind
from sapphire.agents.llm.prompts import Prompt, without_markup
from sapphire.agents.llm.requests import Generate, Generated, Score
from sapphire.agents.models import Model, ask_models
from sapphire.domain.clocks import to_ns
from sapphire.domain.errors import AgentError, BadModelOutput
from sapphire.domain.views import ViewNote

if TYPE_CHECKING:
    from sapphire.domain.artefacts import Artefact
    from sapphire.domain.views import View
    from sapphire.domain.windows import Window

__all__ = ["DeepSeek"]

_THOUGHT_ENDS = "</think>"


@dataclass(frozen=True)
class DeepSeek(Agent):
    """Asks a reasoning model, which may think at some bars, whether the price will be up or down.

    Parameters
    ----------
    model : that is asked.
    horizon : how far the question looks.
    reason_every : it reasons at each bar whose number since 1970 is a multiple of this; 0 for never, 1 for always.
    max_tokens, seconds : the budget of a thought; what ends first ends it.
    shown_bars : returns that the prompt shows.
    memory : bars that the indicators are made of.
    named : whether the prompt shows symbol and date.

    Raises
    ------
    AgentError : a budget or a prompt that cannot be.
    """

    name: ClassVar[str] = "deepseek"
    prompts: ClassVar[tuple[str, ...]] = ("deepseek-1.md",)
    score_is: ClassVar[Literal["score", "log_odds"]] = "log_odds"

    model: Model = PACKAGED
    horizon: timedelta = timedelta(hours=12)
    reason_every: int = 24
    max_tokens: int = 256
    seconds: float = 20.0
    shown_bars: int = 8
    memory: int = 48
    named: bool = True

    def __post_init__(self) -> None:
        self.require_kinds()
        sound = 1 <= self.shown_bars < self.memory and self.reason_every >= 0
        if not sound or self.max_tokens < 1 or not self.seconds > 0.0:
            raise AgentError(
                "a question that cannot be asked",
                expected="1 <= shown_bars < memory in bars, reason_every >= 0, max_tokens >= 1, seconds > 0",
                got=", ".join(f"{name}={value}" for name, value in self.parameters().items()),
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
        """The same for many windows: first all thoughts, then all answers."""
        prompt = Prompt.parse(self.prompt("deepseek-1.md"), "deepseek-1.md")
        asked = [(window, self._choices(prompt, window)) for window in windows]
        thoughts = self._thoughts(prompt, asked)
        after = [(window, self._after_thoughts(prompt, window, choices, thoughts)) for window, choices in asked]
        odds = log_odds_of(self.model, after, self._question(prompt, CONTENT_FREE))
        return [self._views(window, of, thoughts) for window, of in zip(windows, odds, strict=True)]

    def reasons_at(self, window: Window) -> bool:
        """Whether it reasons at a window's moment."""
        return bool(self.reason_every) and (to_ns(window.as_of) // window.interval.ns) % self.reason_every == 0

    def _choices(self, prompt: Prompt, window: Window) -> list[Choice]:
        shown = contexts_of(window, bars=self.shown_bars, memory=self.memory, named=self.named)
        return [Choice(context.symbol, self._question(prompt, context.text)) for context in shown]

    def _question(self, prompt: Prompt, context: str) -> Score:
        """Answered at once: the thought is empty."""
        messages = prompt.messages(context=context, horizon=horizon_text(self.horizon))
        return Score(messages=messages, answer_so_far=_after(prompt, ""), choices=UP_OR_DOWN)

    def _thoughts(
        self, prompt: Prompt, asked: Sequence[tuple[Window, list[Choice]]]
    ) -> dict[tuple[int, str], Generated]:
        """What the model wrote where it reasons, by window and symbol; without what cannot be used."""
        slow = [(window, choice) for window, choices in asked if self.reasons_at(window) for choice in choices]
        requests = [(None, self._thinking(prompt, choice.question).as_dict()) for _, choice in slow]
        thoughts: dict[tuple[int, str], Generated] = {}
        for (window, choice), answer in zip(slow, ask_models(self.model, requests), strict=True):
            try:
                made = Generated.of(answer)
            except BadModelOutput:
                continue
            thoughts[id(window), choice.symbol] = replace(made, text=without_markup(made.text, _LONGEST))
        return thoughts

    def _after_thoughts(
        self, prompt: Prompt, window: Window, choices: list[Choice], thoughts: dict[tuple[int, str], Generated]
    ) -> list[Choice]:
        """The questions, each after its thought where it reasons; without those whose thought failed."""
        if not self.reasons_at(window):
            return choices
        thought = {
            each.symbol: thoughts[key].text for each in choices if (key := (id(window), each.symbol)) in thoughts
        }
        return [
            replace(each, question=replace(each.question, answer_so_far=_after(prompt, thought[each.symbol])))
            for each in choices
            if each.symbol in thought
        ]

    def _thinking(self, prompt: Prompt, question: Score) -> Generate:
        return Generate(
            messages=question.messages,
            answer_so_far=prompt.answer,
            max_tokens=self.max_tokens,
            seconds=self.seconds,
            until=_THOUGHT_ENDS,
        )

    def _views(self, window: Window, odds: dict[str, float], thoughts: dict[tuple[int, str], Generated]) -> list[View]:
        kind, notes = model_kind(self.model), {}
        for symbol in odds:
            thought = thoughts.get((id(window), symbol))
            way = "one token" if thought is None else f"reasoned, {thought.completion_tokens} tokens, {thought.stopped}"
            notes[symbol] = ViewNote("" if thought is None else thought.text, model_kind=kind, elicitation=way)
        return window.views(score=odds, horizon=self.horizon, notes=notes)


_LONGEST = 1_000
"""Characters of a thought that are kept, which is as much as a view's thesis may have."""


def _after(prompt: Prompt, thought: str) -> str:
    return f"{prompt.answer}{thought}\n{_THOUGHT_ENDS}\n\n"
