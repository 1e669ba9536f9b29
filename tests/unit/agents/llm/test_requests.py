"""Questions to language models and their answers: what is malformed is said, never guessed."""

import math

import pytest

from sapphire.agents import Model, Reply
from sapphire.agents.llm.backends import LanguageModel, language_models
from sapphire.agents.llm.requests import ChatMessage, Generate, Generated, Score, Scores, request_of
from sapphire.domain.errors import BadModelOutput, ValueRefused

MODEL = Model("desk/words", "v1", "0" * 64)
MESSAGES = (ChatMessage("system", "Be brief."), ChatMessage("user", "Up or down?"))
SCHEMA = {"type": "object", "properties": {"q": {"type": "integer", "maximum": 9}}, "required": ["q"]}
SCORE = Score(messages=MESSAGES, choices=("up", "down"), answer_so_far="<think>", base=MODEL)
TEXT = Generate(messages=MESSAGES, max_tokens=8, seconds=2.0, grammar=SCHEMA, until=".")


class Words:
    """Says what it was given, and remembers what it was asked."""

    models = (MODEL,)

    def __init__(self, *texts):
        self.texts, self.seen = list(texts), []

    def score(self, model, questions):
        self.seen.append(("score", len(questions)))
        return [Scores.among({"up": 1.0, "down": 0.0}, 7).reply("raw") for _ in questions]

    def generate(self, model, questions):
        self.seen.append(("generate", len(questions)))
        return [Generated(self.texts.pop(0), "end", 7, 3).reply("raw") for _ in questions]


@pytest.mark.parametrize("question", [SCORE, TEXT])
def test_a_question_comes_back_as_it_was(question):
    assert request_of(question.as_dict()) == question


@pytest.mark.parametrize(
    "made",
    [
        lambda: Score(messages=(), choices=("up", "down")),
        lambda: Score(messages=MESSAGES, choices=("up",)),
        lambda: Score(messages=MESSAGES, choices=("up", "up")),
        lambda: ChatMessage("assistant", "I said"),
        lambda: ChatMessage("user", ""),
        lambda: Generate(messages=MESSAGES, max_tokens=0, seconds=1.0),
        lambda: Generate(messages=MESSAGES, max_tokens=1, seconds=math.nan),
        lambda: request_of({"ask": "sing"}),
        lambda: request_of({**SCORE.as_dict(), "ask": "sing"}),
        lambda: request_of({**SCORE.as_dict(), "messages": [["user"]]}),
    ],
)
def test_a_question_that_cannot_be_meant_is_refused(made):
    with pytest.raises(ValueRefused):
        made()


def test_scores_are_probabilities_among_the_choices():
    scores = Scores.among({"up": 1000.0, "down": 999.0}, 3)
    assert sum(scores.probabilities.values()) == pytest.approx(1.0)
    assert scores.log_probabilities["up"] - scores.log_probabilities["down"] == pytest.approx(1.0)
    assert Scores.of(scores.reply("").answer, ("up", "down")) == scores


@pytest.mark.parametrize(
    "answer",
    [
        None,
        {"log_probabilities": {"up": 0.0}, "prompt_tokens": 1},
        {"log_probabilities": {"up": 0.0, "down": 0.0}, "prompt_tokens": 1},
        {"log_probabilities": {"up": "surely", "down": 0.0}, "prompt_tokens": 1},
        {"log_probabilities": {"up": math.nan, "down": math.nan}, "prompt_tokens": 1},
        {"log_probabilities": {"up": math.inf, "down": 0.0}, "prompt_tokens": 1},
    ],
)
def test_scores_that_are_none_are_a_bad_output(answer):
    with pytest.raises(BadModelOutput):
        Scores.of(answer, ("up", "down"))


@pytest.mark.parametrize("text", ["", "up", '{"q": ', '{"q": NaN}', "[" * 100_000])
def test_a_text_that_is_no_json_is_a_bad_output(text):
    with pytest.raises(BadModelOutput):
        Generated(text, "length", 1, 1).value()


def test_kinds_of_questions_go_out_together_and_come_back_in_order():
    words = Words('{"q": 1}', '{"q": 2}')
    (model,) = language_models(words)
    replies = model.replies([SCORE.as_dict(), TEXT.as_dict(), SCORE.as_dict(), TEXT.as_dict()])
    assert words.seen == [("score", 2), ("generate", 2)]
    assert [list(reply.answer) for reply in replies] == [
        ["log_probabilities", "prompt_tokens"],
        ["text", "stopped", "prompt_tokens", "completion_tokens"],
    ] * 2
    assert [reply.answer["text"] for reply in replies[1::2]] == ['{"q": 1}', '{"q": 2}']


@pytest.mark.parametrize(("text", "why"), [("{}", "'q' is a required property"), ('{"q": 10}', "10"), ("up", "JSON")])
def test_what_does_not_follow_its_schema_is_recorded_as_bad(text, why):
    reply = LanguageModel(Words(text), MODEL).replies([TEXT.as_dict()])[0]
    assert isinstance(reply, Reply)
    assert why in reply.about["bad"]
    assert reply.answer["text"] == text
    assert "bad" not in LanguageModel(Words('{"q": 9}'), MODEL).replies([TEXT.as_dict()])[0].about
