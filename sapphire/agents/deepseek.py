"""DeepSeek: reasons where it is told to, and answers in one token, or in three quantiles.

In: closed bars and features.  Out: one view per symbol, the log-odds that its price rises, or mean and deviation.
Never: sizes, orders, I/O, the clock.

Believes that a model which was trained to reason weighs momentum against reversal better when it may write before it
answers. Writing takes seconds, so it reasons at some bars only, within a budget of tokens and seconds, and answers at
once at the others; every view says which it was. What it wrote is the view's thesis. The score is the log-odds of up
over down, less those of a context without content. Where `elicitation` is "quantiles" it answers with the 10 %, 50 %
and 90 % quantile of the return instead, and the view is the normal distribution nearest to them.

The model is the packaged one unless another is named: DeepSeek-R1-0528-Qwen3-8B by repository, revision and digest. The
packaged one has no skill; it shows that everything works.

Weaknesses: what it writes need not be why it answers as it does; a budget that ends early leaves half a thought; it may
remember the years that it was trained on, so that only bars after its cutoff are evidence; what it states in quantiles
nobody calibrates.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar, Literal

from sapphire.agents.agent import Agent
from sapphire.agents.llm.choosing import CONTENT_FREE, UP_OR_DOWN, Choice, log_odds_of
from sapphire.agents.llm.context import horizon_text
from sapphire.agents.llm.context_agent import ContextAgent, Elicitation
from sapphire.agents.llm.default_model import PACKAGED
from sapphire.agents.llm.known_models import model_kind
from sapphire.agents.llm.prompts import Prompt, without_markup
from sapphire.agents.llm.quantiles import normal_views, quantiles_of
from sapphire.agents.llm.requests import Generate, Generated, Score
from sapphire.agents.models import Model, ask_models
from sapphire.domain.clocks import to_ns
from sapphire.domain.errors import AgentError, BadModelOutput
from sapphire.domain.views import ViewNote

if TYPE_CHECKING:
    from sapphire.domain.views import View
    from sapphire.domain.windows import Window

__all__ = ["DeepSeek"]

_THOUGHT_ENDS = "</think>"


@dataclass(frozen=True)
class DeepSeek(ContextAgent, Agent):
    """Asks a reasoning model, which may think at some bars, whether the price will be up or down, or how far it goes.

    Parameters
    ----------
    model : that is asked.
    horizon : how far the question looks.
    reason_every : it reasons at each bar whose number since 1970 is a multiple of this; 0 for never, 1 for always.
    max_tokens, seconds : the budget of a thought; what ends first ends it.
    shown_bars : returns that the prompt shows.
    memory : bars that the indicators are made of.
    named : whether the prompt shows symbol and date.
    shown_features : names of features that the prompt shows, each at the latest bar where the window has it.
    elicitation : "choice", and the view is a score, log-odds that are calibrated, or "quantiles", and it is a forecast.

    Raises
    ------
    AgentError : a budget or a prompt that cannot be, no elicitation, no names of features.
    """

    name: ClassVar[str] = "deepseek"
    prompts: ClassVar[tuple[str, ...]] = ("deepseek-1.md", "deepseek-quantiles-1.md")
    score_is: ClassVar[Literal["score", "log_odds"]] = "log_odds"

    model: Model = PACKAGED
    horizon: timedelta = timedelta(hours=12)
    reason_every: int = 24
    max_tokens: int = 256
    seconds: float = 20.0
    shown_bars: int = 8
    memory: int = 48
    named: bool = True
    shown_features: tuple[str, ...] = ()
    elicitation: Elicitation = "choice"

    def __post_init__(self) -> None:
        self.require_kinds()
        self.require_question(self.name)
        sound = 1 <= self.shown_bars < self.memory and self.reason_every >= 0
        if not sound or self.max_tokens < 1 or not self.seconds > 0.0:
            raise AgentError(
                "a question that cannot be asked",
                expected="1 <= shown_bars < memory in bars, reason_every >= 0, max_tokens >= 1, seconds > 0",
                got=", ".join(f"{name}={value}" for name, value in self.parameters().items()),
            )

    def views(self, window: Window) -> list[View]:
        """What the model answers of each symbol; nothing where its output cannot be used."""
        return self.views_batch([window])[0]

    def views_batch(self, windows: Sequence[Window]) -> list[list[View]]:
        """The same for many windows: first all thoughts, then all answers."""
        name = "deepseek-quantiles-1.md" if self.elicitation == "quantiles" else "deepseek-1.md"
        prompt = Prompt.parse(self.prompt(name), name)
        asked = [(window, self._choices(prompt, window)) for window in windows]
        thoughts = self._thoughts(prompt, asked)
        after = [(window, self._after_thoughts(prompt, window, choices, thoughts)) for window, choices in asked]
        if self.elicitation == "quantiles":
            stated = quantiles_of(self.model, after)
            return [
                normal_views(window, of, horizon=self.horizon, notes=self._notes(window, of, thoughts))
                for window, of in zip(windows, stated, strict=True)
            ]
        odds = log_odds_of(self.model, after, self._question(prompt, CONTENT_FREE))
        return [
            window.views(score=of, horizon=self.horizon, notes=self._notes(window, of, thoughts))
            for window, of in zip(windows, odds, strict=True)
        ]

    def reasons_at(self, window: Window) -> bool:
        """Whether it reasons at a window's moment."""
        return bool(self.reason_every) and (to_ns(window.as_of) // window.interval.ns) % self.reason_every == 0

    def _choices(self, prompt: Prompt, window: Window) -> list[Choice]:
        return [Choice(context.symbol, self._question(prompt, context.text)) for context in self.contexts(window)]

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

    def _notes(
        self, window: Window, symbols: Iterable[str], thoughts: dict[tuple[int, str], Generated]
    ) -> dict[str, ViewNote]:
        kind, notes = model_kind(self.model), {}
        for symbol in symbols:
            thought, quantiles = thoughts.get((id(window), symbol)), self.elicitation == "quantiles"
            way = "quantiles" if quantiles else "one token"
            if thought is not None:
                reasoned = f"reasoned, {thought.completion_tokens} tokens, {thought.stopped}"
                way = f"{reasoned}, quantiles" if quantiles else reasoned
            notes[symbol] = ViewNote("" if thought is None else thought.text, model_kind=kind, elicitation=way)
        return notes


_LONGEST = 1_000
"""Characters of a thought that are kept, which is as much as a view's thesis may have."""


def _after(prompt: Prompt, thought: str) -> str:
    return f"{prompt.answer}{thought}\n{_THOUGHT_ENDS}\n\n"
