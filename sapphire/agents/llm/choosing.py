"""Choosing: from the odds of one token to a score, less what the model says of nothing.

A small model prefers a word before it has read anything. What it says of a context without content is asked once and
taken off, so that a score of zero means that the context changed nothing (Zhao et al. 2021, Calibrate before use,
arXiv 2102.09690, contextual calibration; here on log-odds).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sapphire.agents.llm.requests import Score, Scores
from sapphire.agents.models import Model, ask_models
from sapphire.domain.errors import BadModelOutput

if TYPE_CHECKING:
    from sapphire.domain.windows import Window

__all__ = ["CONTENT_FREE", "UP_OR_DOWN", "Choice", "log_odds_of"]

UP_OR_DOWN = ("up", "down")
"""One token each of every model that is named here."""
CONTENT_FREE = "N/A"
"""What stands in place of a context that says nothing."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One question about a symbol.

    Parameters
    ----------
    symbol : of the view that the answer becomes.
    question : whose choices are (for, against), or any words where `log_odds_of` is not asked.
    """

    symbol: str
    question: Score


def log_odds_of(
    model: Model, asked: Sequence[tuple[Window, Sequence[Choice]]], content_free: Score
) -> list[dict[str, float]]:
    r"""Log-odds of the first choice over the second, less those of the content-free question.

    .. math:: \log\frac{p(a \mid x)}{p(b \mid x)} - \log\frac{p(a \mid \text{N/A})}{p(b \mid \text{N/A})}

    Parameters
    ----------
    model : that is asked.
    asked : windows with their questions; all of them are asked at once.
    content_free : the same question about nothing.

    Returns
    -------
    By window, symbol to log-odds. A symbol is left out where the model's output cannot be used: the agent abstains.
    """
    questions: list[tuple[Window | None, Mapping[str, object]]] = [(None, content_free.as_dict())]
    questions += [(None, choice.question.as_dict()) for _, choices in asked for choice in choices]
    answers = iter(ask_models(model, questions))
    try:
        nothing = _log_odds(Scores.of(next(answers), content_free.choices), content_free.choices)
    except BadModelOutput:
        return [{} for _ in asked]
    found: list[dict[str, float]] = []
    for _, choices in asked:
        of_window: dict[str, float] = {}
        for choice in choices:
            try:
                scores = Scores.of(next(answers), choice.question.choices)
            except BadModelOutput:
                continue
            of_window[choice.symbol] = _log_odds(scores, choice.question.choices) - nothing
        found.append(of_window)
    return found


def _log_odds(scores: Scores, choices: Sequence[str]) -> float:
    return scores.log_probabilities[choices[0]] - scores.log_probabilities[choices[1]]
