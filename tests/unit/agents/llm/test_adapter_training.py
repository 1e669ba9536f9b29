"""A LoRA adapter learns the questions that it is shown, repeats itself, and leaves its base as it was."""

import json

import pytest

from sapphire.agents.llm import PACKAGED, TransformersBackend, accuracy, packaged_model, train_adapter
from sapphire.agents.llm.requests import ChatMessage, Score
from sapphire.agents.models import Model
from sapphire.domain.errors import ValueRefused

CHOICES = ("negative", "positive")
NAME = {"repository": "desk/tone", "revision": "v1"}
QUICK = {**NAME, "rank": 2, "layers": 2, "batch": 2}


def question(text):
    return Score(messages=(ChatMessage("user", text),), answer_so_far="Tone: ", choices=CHOICES)


EXAMPLES = [(question("It falls."), "negative"), (question("It rises and rises."), "positive")]


@pytest.fixture(scope="module")
def trained(packaged, tmp_path_factory):
    steps = []
    folder = tmp_path_factory.mktemp("adapters") / "tone"
    made = train_adapter(
        packaged,
        PACKAGED,
        EXAMPLES,
        folder,
        seed=7,
        steps=12,
        learning_rate=3e-2,
        progress=lambda *of: steps.append(of),
        **QUICK,
    )
    return made, steps


def test_it_learns_what_it_is_shown(packaged, trained):
    made, steps = trained
    before = packaged.score(PACKAGED, [EXAMPLES[0][0]])[0].answer
    both = TransformersBackend(PACKAGED, packaged_model(), adapters={made.model: made.folder})
    assert sum(made.losses[:2]) > 4 * sum(made.losses[-2:])
    assert [step for step, _, _ in steps] == list(range(1, 13))
    assert [loss for _, _, loss in steps] == list(made.losses)
    assert accuracy(both, made.model, EXAMPLES) == 1.0
    assert accuracy(both, PACKAGED, EXAMPLES) == 0.5
    assert both.score(PACKAGED, [EXAMPLES[0][0]])[0].answer == before
    assert packaged.score(PACKAGED, [EXAMPLES[0][0]])[0].answer == before


def test_an_untrained_adapter_says_what_its_base_says(packaged, trained):
    """The loss of the first step is that of the base: padding, positions and choices are the backend's own."""
    made, _ = trained
    surprise = [
        -reply.answer["log_probabilities"][right]
        for (_, right), reply in zip(EXAMPLES, packaged.score(PACKAGED, [each for each, _ in EXAMPLES]), strict=True)
    ]
    assert made.losses[0] == pytest.approx(sum(surprise) / 2, abs=0.02)  # weights are bfloat16


def test_it_lies_as_peft_and_servers_read_it(trained):
    made, _ = trained
    assert sorted(path.name for path in made.folder.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]
    config = json.loads((made.folder / "adapter_config.json").read_text())
    assert (config["peft_type"], config["r"], config["base_model_name_or_path"]) == ("LORA", 2, PACKAGED.repository)
    assert made.parameters == 2 * 2 * 2 * 576 + 2 * 2 * (576 + 192)
    assert (made.model.repository, made.model.revision) == ("desk/tone", "v1")


def test_the_same_seed_gives_the_same_bytes(packaged, trained, tmp_path):
    def digest(name, seed):
        return train_adapter(packaged, PACKAGED, EXAMPLES, tmp_path / name, seed=seed, steps=2, **QUICK).model.sha256

    assert digest("a", 7) == digest("b", 7) != digest("c", 8)


def test_what_cannot_be_trained_is_refused(packaged, trained, tmp_path):
    made, _ = trained
    for examples, more in (([], {}), ([(EXAMPLES[0][0], "neutral")], {}), (EXAMPLES, {"rank": 0})):
        with pytest.raises(ValueRefused, match="training of an adapter"):
            train_adapter(packaged, PACKAGED, examples, tmp_path / "none", seed=7, **{**QUICK, **more})
    with pytest.raises(ValueRefused, match="folder of an adapter"):
        train_adapter(packaged, PACKAGED, EXAMPLES, made.folder, seed=7, **QUICK)
    with pytest.raises(ValueRefused, match="not here"):
        train_adapter(packaged, Model("desk/none", "v1", "3" * 64), EXAMPLES, tmp_path / "none", seed=7, **QUICK)
    with pytest.raises(ValueRefused, match="examples to judge by"):
        accuracy(packaged, PACKAGED, [])
    assert not (tmp_path / "none").exists()
