"""FinGPT: the sentiment of news, aged and bounded.

In: news by the moment it was received.  Out: one view per symbol that news are about.  Never: sizes, orders, I/O, the
clock.

Believes that the tone of news moves the price of the coin they are about for some hours. Each headline is read once by
a language model, which chooses negative, neutral or positive; the score of a symbol is the mean of their sentiments
(probability of positive less that of negative), each weighted by one half to the power of its age in half-lives.

The rule bounds every document: it moves a score by no more than `document_bound`, whatever it says and however sure
the model is of it. A single headline is therefore never the whole score.

The model is the packaged one unless another is named: Qwen3-8B with a FinGPT-style LoRA adapter, both by repository,
revision and digest. The packaged one has no skill; it shows that everything works.

Weaknesses: it knows only news that were imported, as of when they were received; it does not know which of two
headlines says the same; a coin without news has no view.

Source: Yang, Liu, Wang (2023), FinGPT: open-source financial large language models, arXiv 2306.06031 (the instruction
that its adapters were trained on); the rule is our own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

from sapphire.agents.agent import Agent
from sapphire.agents.llm.default_model import PACKAGED
from sapphire.agents.llm.known_models import artefacts_of, model_kind
from sapphire.agents.llm.prompts import Prompt, without_markup
from sapphire.agents.llm.requests import Score, Scores
from sapphire.agents.models import Model, ask_models
from sapphire.domain.clocks import to_ns
from sapphire.domain.errors import AgentError, BadModelOutput
from sapphire.domain.views import ViewNote

if TYPE_CHECKING:
    from sapphire.domain.artefacts import Artefact
    from sapphire.domain.documents import Document, DocumentKind
    from sapphire.domain.views import View
    from sapphire.domain.windows import Window

__all__ = ["SENTIMENTS", "FinGpt", "aged_sentiment"]

SENTIMENTS = ("negative", "neutral", "positive")
_SHOWN = 400
"""Characters of a document that the prompt shows."""


def aged_sentiment(
    documents: Iterable[tuple[float, timedelta]], *, half_life: timedelta, document_bound: float
) -> float:
    r"""One score from the sentiments of documents and their ages.

    .. math:: s = \frac{\sum_i w_i s_i}{\max(\sum_i w_i,\; \max_i w_i / b)}, \qquad w_i = 2^{-a_i / h}

    so that no document contributes more than :math:`b` in absolute value.

    Parameters
    ----------
    documents : of each its sentiment, -1 to 1, and its age.
    half_life : after which a document weighs half.
    document_bound : b, above 0 to 1.

    Returns
    -------
    -1 to 1; 0 without documents.

    Examples
    --------
    >>> hour = timedelta(hours=1)
    >>> aged_sentiment([(1.0, 0 * hour)], half_life=4 * hour, document_bound=0.5)
    0.5
    >>> round(aged_sentiment([(1.0, 0 * hour), (-1.0, 4 * hour)], half_life=4 * hour, document_bound=0.5), 4)
    0.25
    """
    weighed = [(sentiment, math.exp2(-(age / half_life))) for sentiment, age in documents]
    if not weighed:
        return 0.0
    total = sum(weight for _, weight in weighed)
    most = max(weight for _, weight in weighed)
    return sum(sentiment * weight for sentiment, weight in weighed) / max(total, most / document_bound)


@dataclass(frozen=True)
class FinGpt(Agent):
    """Reads the sentiment of each headline once, and weighs headlines by their age.

    Parameters
    ----------
    model : that is asked, or the base of the adapter.
    adapter : LoRA weights on the model that are asked instead; None for the model as it is.
    horizon : how far the score is meant to look.
    half_life : after which a headline weighs half.
    reach : how far back headlines count; its warm-up covers it on bars of `bar`.
    bar : length of the bars that it is asked on.
    document_bound : most that one headline moves a score, above 0 to 1.

    Raises
    ------
    AgentError : lengths or a bound that cannot be.
    """

    name: ClassVar[str] = "fingpt"
    documents: ClassVar[tuple[DocumentKind, ...]] = ("news",)
    prompts: ClassVar[tuple[str, ...]] = ("fingpt-1.md",)

    model: Model = PACKAGED
    adapter: Model | None = None
    horizon: timedelta = timedelta(hours=12)
    half_life: timedelta = timedelta(hours=6)
    reach: timedelta = timedelta(hours=48)
    bar: timedelta = timedelta(hours=1)
    document_bound: float = 0.5

    def __post_init__(self) -> None:
        self.require_kinds()
        lengths = (self.half_life, self.reach, self.bar)
        if not (min(lengths) > timedelta(0) and self.reach >= self.bar and 0.0 < self.document_bound <= 1.0):
            raise AgentError(
                "a rule that cannot be",
                expected="half_life, reach and bar above zero, reach of one bar at least, 0 < document_bound <= 1",
                got=", ".join(f"{name}={value}" for name, value in self.parameters().items()),
            )

    @property
    def warmup(self) -> int:
        """Bars that cover the reach."""
        return -(-self.reach // self.bar) + 1

    @property
    def artefacts(self) -> tuple[Artefact, ...]:
        """The model, as a release names it."""
        return artefacts_of(self.model, self.adapter)

    def views(self, window: Window) -> list[View]:
        """The aged sentiment of each symbol that has news."""
        return self.views_batch([window])[0]

    def views_batch(self, windows: Sequence[Window]) -> list[list[View]]:
        """The same for many windows; a headline that several of them show is asked about once."""
        prompt = Prompt.parse(self.prompt("fingpt-1.md"), "fingpt-1.md")
        shown = [window.documents("news", window.as_of - self.reach) for window in windows]
        contents = {each.sha256: each for documents in shown for each in documents if each.symbols}
        sentiments = self._sentiments(prompt, contents)
        return [self._views(window, documents, sentiments) for window, documents in zip(windows, shown, strict=True)]

    def _sentiments(self, prompt: Prompt, contents: dict[str, Document]) -> dict[str, float]:
        """By content, the probability of positive less that of negative; without those that cannot be used."""
        base = None if self.adapter is None else self.model
        requests = []
        for document in contents.values():
            text = f"{document.title}. {document.text}" if document.title and document.text else document.title
            news = without_markup(text or document.text, _SHOWN)
            question = Score(
                messages=prompt.messages(news=news), answer_so_far=prompt.answer, choices=SENTIMENTS, base=base
            )
            requests.append((None, question.as_dict()))
        found = {}
        for digest, answer in zip(contents, ask_models(self.adapter or self.model, requests), strict=True):
            try:
                likely = Scores.of(answer, SENTIMENTS).probabilities
            except BadModelOutput:
                continue
            found[digest] = likely["positive"] - likely["negative"]
        return found

    def _views(self, window: Window, documents: Sequence[Document], sentiments: dict[str, float]) -> list[View]:
        now_ns, kind = to_ns(window.as_of), model_kind(self.model)
        score: dict[str, float] = {}
        notes: dict[str, ViewNote] = {}
        for symbol in window.symbols:
            read = [each for each in documents if symbol in each.symbols and each.sha256 in sentiments]
            if not read:
                continue
            aged = [
                (sentiments[each.sha256], timedelta(microseconds=(now_ns - each.received_ns) // 1_000)) for each in read
            ]
            score[symbol] = aged_sentiment(aged, half_life=self.half_life, document_bound=self.document_bound)
            way = f"sentiment of {len(read):,} headlines"
            ids = tuple(each.id if ViewNote.can_name(each.id) else each.sha256 for each in read[-64:])
            notes[symbol] = ViewNote(read=ids, model_kind=kind, elicitation=way)
        return window.views(score=score, horizon=self.horizon, notes=notes)
