"""What a language model is asked, and what it answers: plain values in recordings, typed on both sides of them.

Two questions are enough. `Score` asks which of a few words comes next, and how surely: one forward pass, an answer that
is never malformed. `Generate` asks for a text, free or after a JSON schema. What does not parse is a `BadOutput`: it is
recorded, counted, and nobody guesses what was meant.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sapphire.agents.models import Model, Reply
from sapphire.domain.errors import BadModelOutput, ValueRefused

__all__ = ["ChatMessage", "Generate", "Generated", "Score", "Scores", "request_of"]

_MAX_CHARACTERS = 200_000
_MAX_TOKENS = 32_768
_ROLES = ("system", "user")
Stopped = Literal["end", "length", "time"]


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of a conversation.

    Parameters
    ----------
    role : "system" or "user"; what the model says itself is `answer_so_far`.
    content : its text.
    """

    role: Literal["system", "user"]
    content: str

    def __post_init__(self) -> None:
        if self.role not in _ROLES:
            raise ValueRefused("role of a message to a model", expected=" or ".join(_ROLES), got=repr(self.role))
        if not isinstance(self.content, str) or not self.content or len(self.content) > _MAX_CHARACTERS:
            raise ValueRefused(
                "message to a model", expected=f"1 to {_MAX_CHARACTERS:,} characters", got=repr(self.content)[:60]
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What both questions have.

    Parameters
    ----------
    messages : the conversation, the constant part first: servers keep what prompts begin with.
    answer_so_far : how the model's answer begins.
    base : the model under the adapter that is asked; None where the model itself is.
    """

    messages: tuple[ChatMessage, ...]
    answer_so_far: str = ""
    base: Model | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "messages", tuple(self.messages))
        if not self.messages:
            raise ValueRefused("question to a model", expected="one message or more", got="none")

    def _plain(self) -> dict[str, Any]:
        return {
            "messages": [[message.role, message.content] for message in self.messages],
            "answer_so_far": self.answer_so_far,
            "base": None if self.base is None else str(self.base),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Score(_Asked):
    """Which of these words comes next, and how surely.

    Parameters
    ----------
    choices : two or more, each one token of the model.
    """

    choices: tuple[str, ...]

    def __post_init__(self) -> None:
        _Asked.__post_init__(self)
        object.__setattr__(self, "choices", tuple(self.choices))
        if len(self.choices) < 2 or len(set(self.choices)) < len(self.choices) or not all(self.choices):
            raise ValueRefused("choices of a model", expected="two words or more, each once", got=repr(self.choices))

    def as_dict(self) -> dict[str, Any]:
        """The request as plain values."""
        return {"ask": "score", "choices": list(self.choices), **self._plain()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Generate(_Asked):
    """A text.

    Parameters
    ----------
    max_tokens : after so many it ends.
    seconds : after so long it ends.
    grammar : JSON schema that the text follows; None for a free text.
    until : a text that ends it, and is not part of it.
    """

    max_tokens: int
    seconds: float
    grammar: Mapping[str, Any] | None = field(default=None, hash=False)
    until: str = ""

    def __post_init__(self) -> None:
        _Asked.__post_init__(self)
        if not 1 <= self.max_tokens <= _MAX_TOKENS or not (math.isfinite(self.seconds) and self.seconds > 0.0):
            raise ValueRefused(
                "budget of a model",
                expected=f"1 to {_MAX_TOKENS:,} tokens and more than 0 seconds",
                got=f"{self.max_tokens} tokens, {self.seconds} seconds",
            )

    def as_dict(self) -> dict[str, Any]:
        """The request as plain values."""
        return {
            "ask": "generate",
            "max_tokens": self.max_tokens,
            "seconds": float(self.seconds),
            "grammar": None if self.grammar is None else dict(self.grammar),
            "until": self.until,
            **self._plain(),
        }


def request_of(plain: Mapping[str, Any]) -> Score | Generate:
    """The question that plain values hold.

    Raises
    ------
    ValueRefused : none of the two, or a bad value.
    """
    try:
        asked: dict[str, Any] = {
            "messages": tuple(ChatMessage(role, content) for role, content in plain["messages"]),
            "answer_so_far": plain["answer_so_far"],
            "base": None if plain["base"] is None else Model.parse(plain["base"]),
        }
        if plain["ask"] == "score":
            return Score(choices=tuple(plain["choices"]), **asked)
        if plain["ask"] == "generate":
            own = {name: plain[name] for name in ("max_tokens", "seconds", "grammar", "until")}
            return Generate(**own, **asked)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueRefused(
            "question to a language model", expected="score or generate", got=repr(error)[:200]
        ) from None
    raise ValueRefused("question to a language model", expected="score or generate", got=repr(plain["ask"])[:60])


@dataclass(frozen=True, slots=True)
class Scores:
    """How surely each choice comes next.

    Parameters
    ----------
    log_probabilities : choice to the logarithm of its probability among the choices; they sum to one.
    prompt_tokens : that the question had.
    """

    log_probabilities: Mapping[str, float] = field(hash=False)
    prompt_tokens: int

    @property
    def probabilities(self) -> dict[str, float]:
        """Choice to its probability."""
        return {choice: math.exp(value) for choice, value in self.log_probabilities.items()}

    @classmethod
    def among(cls, raw: Mapping[str, float], prompt_tokens: int) -> Scores:
        """From log-probabilities among all tokens, or from logits."""
        highest = max(raw.values())
        total = highest + math.log(sum(math.exp(value - highest) for value in raw.values()))
        return cls({choice: value - total for choice, value in raw.items()}, prompt_tokens)

    def reply(self, raw: str, **about: Any) -> Reply:
        """As a backend replies it."""
        answer = {"log_probabilities": dict(self.log_probabilities), "prompt_tokens": self.prompt_tokens}
        return Reply(answer, raw, {"prompt_tokens": self.prompt_tokens, "completion_tokens": 1, **about})

    @classmethod
    def of(cls, answer: Any, choices: Sequence[str]) -> Scores:
        """The scores that an answer holds.

        Raises
        ------
        BadModelOutput : none, or of other choices; or numbers that are no log-probabilities.
        """
        try:
            found = {choice: float(answer["log_probabilities"][choice]) for choice in choices}
            tokens = int(answer["prompt_tokens"])
        except (KeyError, TypeError, ValueError) as error:
            raise _bad(f"a log-probability of each of {', '.join(choices)}", answer) from error
        total = sum(map(math.exp, found.values())) if all(map(math.isfinite, found.values())) else math.nan
        if not abs(total - 1.0) < 1e-3:
            raise _bad("log-probabilities whose exponentials sum to one", answer)
        return cls(found, tokens)


@dataclass(frozen=True, slots=True)
class Generated:
    """What a model wrote.

    Parameters
    ----------
    text : without what it was told to begin with.
    stopped : why it ended: by itself, at `max_tokens`, after `seconds`.
    prompt_tokens, completion_tokens : counts.
    """

    text: str
    stopped: Stopped
    prompt_tokens: int
    completion_tokens: int

    def reply(self, raw: str, **about: Any) -> Reply:
        """As a backend replies it."""
        counts = {"prompt_tokens": self.prompt_tokens, "completion_tokens": self.completion_tokens}
        return Reply({"text": self.text, "stopped": self.stopped, **counts}, raw, {**counts, **about})

    @classmethod
    def of(cls, answer: Any) -> Generated:
        """The text that an answer holds.

        Raises
        ------
        BadModelOutput : none.
        """
        try:
            made = cls(
                answer["text"], answer["stopped"], int(answer["prompt_tokens"]), int(answer["completion_tokens"])
            )
        except (KeyError, TypeError, ValueError) as error:
            raise _bad("text, stopped, prompt_tokens, completion_tokens", answer) from error
        if not isinstance(made.text, str) or made.stopped not in ("end", "length", "time"):
            raise _bad("a text and why it ended", answer)
        return made

    def value(self) -> Any:
        """The JSON that the text is.

        Raises
        ------
        BadModelOutput : none, or one that was cut off.
        """
        try:
            return json.loads(self.text, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise _bad(f"JSON that ended by itself, not by {self.stopped}", self.text) from error


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def _bad(expected: str, got: Any) -> BadModelOutput:
    return BadModelOutput(
        "a model's output cannot be used",
        expected=expected,
        got=repr(got)[:200],
        next="the agent abstains; sapphire models calls shows what was asked and what came",
    )
