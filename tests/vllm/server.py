"""The real vLLM, in its build for processors, with the words that our server gives it: `make test-vllm` runs this.

Two servers are started, one after the other: the bento with the packaged model in bfloat16 and two adapters, and vLLM
alone with the matrices made FP8. What differs from a GPU is SAPPHIRE_MODEL_DEVICE=cpu, that is whose memory the share
is of. Numbers are printed.
"""

import json
import re
import subprocess
import time

import httpx
import pytest
from vllm_on_cpu import MODEL, NEUTRAL, PROGRAMS, RANDOM, REVISION, ROOT, Library, environment, start_alone, start_bento

from sapphire.agents.llm.in_process import TransformersBackend
from sapphire.agents.llm.requests import ChatMessage, Generate, Generated, Score, Scores
from sapphire.agents.llm.vllm_backend import VllmBackend
from sapphire.agents.models import Model
from sapphire.domain import NotReady
from sapphire.serving.warm_up import warm_up

pytestmark = pytest.mark.timeout(900)

NAMES = (MODEL, NEUTRAL, RANDOM)
CHOICES = ("up", "down")
BARS = "\n".join(f"bar {number}: open {100 + number % 7}, close {101 + number % 5}" for number in range(24))
QUESTION = Score(
    messages=(ChatMessage("user", f"{BARS}\nWhere does the price go next, up or down? One word."),), choices=CHOICES
)
SCHEMA = {
    "type": "object",
    "properties": {"side": {"enum": ["buy", "sell"]}, "bps": {"type": "integer", "minimum": -50, "maximum": 50}},
    "required": ["side", "bps"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def models(library):
    return {name: Model(name, REVISION, library.weights[name].sha256) for name in NAMES}


@pytest.fixture(scope="module")
def bento(library, tmp_path_factory):
    served = start_bento(tmp_path_factory.mktemp("bento"), library.variables(NEUTRAL, RANDOM))
    try:
        served.wait()
        print(f"\nthe bento: alive after {served.alive_s:.0f} s, ready after {served.ready_s:.0f} s")
        yield served
    finally:
        served.end()


@pytest.fixture(scope="module")
def backend(bento, models):
    made = VllmBackend(models[MODEL], bento.url, adapters=(models[NEUTRAL], models[RANDOM]), within_s=120.0)
    yield made
    made.close()


def probabilities(backend, model, question=QUESTION):
    (reply,) = backend.score(model, [question])
    scores = Scores.of(reply.answer, question.choices)
    return {choice: 2.718281828459045**value for choice, value in scores.log_probabilities.items()}


def test_it_was_ready_only_after_each_model_had_answered(bento):
    assert bento.metric("vllm:request_success_total") >= len(NAMES)
    asked = re.findall(r'"(GET|POST) (/\S+) HTTP', bento.log.read_text())
    before = asked[: len(asked) - asked[::-1].index(("POST", "/v1/completions"))]
    assert before.count(("POST", "/v1/completions")) == len(NAMES)
    assert bento.alive_s < bento.ready_s
    served = bento.client.get(f"{bento.url}/v1/models").json()["data"]
    assert {each["id"] for each in served} == set(NAMES)


def test_its_metrics_hold_vllm_s_and_each_of_them_once(bento):
    lines = bento.client.get(f"{bento.url}/metrics").text.splitlines()
    series = [line.rsplit(" ", 1)[0] for line in lines if line and not line.startswith("#")]
    assert len(series) == len(set(series))
    assert {"vllm:num_requests_running", "bentoml_service_request_total"} <= {each.split("{")[0] for each in series}


def test_a_choice_is_one_token_with_its_log_probabilities(bento, backend, models):
    probabilities(backend, models[MODEL])
    fresh = Score(messages=(ChatMessage("user", f"A market that nobody asked about.\n{BARS}"),), choices=CHOICES)
    begun = time.monotonic()
    (reply,) = backend.score(models[MODEL], [fresh])
    seconds = time.monotonic() - begun
    scores = Scores.of(reply.answer, CHOICES)
    content = json.loads(reply.raw)["choices"][0]["logprobs"]["content"]
    assert len(content) == 1
    assert reply.about["completion_tokens"] == 1
    print(f"\n{seconds:.2f} s for a prompt of {scores.prompt_tokens} tokens; {bento.memory() / 1e9:.1f} GB of memory")
    assert probabilities(backend, models[MODEL]) == probabilities(backend, models[MODEL])


def test_scores_are_those_of_transformers_in_this_process(backend, models, library):
    folders = {name: library.weights[name].folder(library.root) for name in NAMES}
    here = TransformersBackend(
        models[MODEL], folders[MODEL], adapters={models[RANDOM]: folders[RANDOM]}, dtype="bfloat16"
    )
    for name in (MODEL, RANDOM):
        there = probabilities(backend, models[name])
        assert there["up"] == pytest.approx(probabilities(here, models[name])["up"], abs=0.03), name


def test_an_adapter_speaks_for_itself_and_one_that_changes_nothing_as_the_base(backend, models):
    base, neutral, random = (probabilities(backend, models[name])["up"] for name in NAMES)
    assert neutral == pytest.approx(base, abs=1e-3)
    assert abs(random - base) > 0.02


def test_a_text_follows_its_schema(backend, models):
    question = Generate(
        messages=(ChatMessage("user", "Name a side and basis points, as JSON."),),
        max_tokens=80,
        seconds=60.0,
        grammar=SCHEMA,
    )
    for name in (MODEL, RANDOM):
        (reply,) = backend.generate(models[name], [question])
        made = Generated.of(reply.answer)
        assert made.stopped == "end"
        value = json.loads(made.text)
        assert value.keys() == {"side", "bps"}
        assert value["side"] in ("buy", "sell")
        assert -50 <= value["bps"] <= 50


def test_what_prompts_begin_with_is_computed_once(bento, backend, models):
    fresh = Score(messages=(ChatMessage("user", f"Another market.\n{BARS}\nUp or down?"),), choices=CHOICES)
    before = bento.metric("vllm:prefix_cache_hits_total")
    first = probabilities(backend, models[MODEL], fresh)
    between = bento.metric("vllm:prefix_cache_hits_total")
    again = probabilities(backend, models[MODEL], fresh)
    assert between - before < 128
    assert bento.metric("vllm:prefix_cache_hits_total") - between >= 128
    assert again["up"] == pytest.approx(first["up"], abs=0.02)


def test_two_questions_are_worked_on_at_once(bento, backend, models):
    numbers = {"type": "array", "items": {"type": "integer", "maximum": 99}, "minItems": 25, "maxItems": 25}
    questions = [
        Generate(messages=(ChatMessage("user", f"Count {way}."),), max_tokens=200, seconds=90.0, grammar=numbers)
        for way in ("up", "down")
    ]
    counters = ("vllm:generation_tokens_total", "vllm:iteration_tokens_total_count")
    before = [bento.metric(name) for name in counters]
    replies = backend.generate(models[MODEL], questions)
    tokens, steps = (bento.metric(name) - value for name, value in zip(counters, before, strict=True))
    assert tokens > 1.3 * steps, "one after the other, each token is a step"
    assert [len(json.loads(Generated.of(reply.answer).text)) for reply in replies] == [25, 25]


def test_a_model_that_is_not_served_is_never_warm(bento):
    with pytest.raises(NotReady, match="desk/nobody has not answered its warm-up") as refused:
        warm_up(bento.server.url, [MODEL, "desk/nobody"], within_s=2.0)
    assert "404" in refused.value.got


def test_a_tampered_adapter_starts_nothing(library, tmp_path):
    other = Library(tmp_path / "weights", dict(library.weights))
    for name in (MODEL, RANDOM):
        other.add(name, library.weights[name].folder(library.root))
    other.weights[RANDOM] = library.weights[RANDOM]
    file = other.weights[RANDOM].folder(other.root) / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\x01")
    words = [str(PROGRAMS / "python"), "-m", "bentoml", "serve", "bentos.vllm.service:Vllm", "--port", "0"]
    done = subprocess.run(
        words, cwd=ROOT, env=environment(tmp_path, other.variables(RANDOM)), capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert f"the weights of {RANDOM} are not the ones that are named" in done.stdout + done.stderr
    assert "Running service with command" not in done.stdout + done.stderr


def test_a_bento_whose_engine_has_ended_is_neither_ready_nor_alive(bento):
    bento.engine().kill()
    until = time.monotonic() + 30.0
    while bento.get("/livez") == httpx.codes.OK and time.monotonic() < until:
        time.sleep(0.2)
    assert bento.get("/livez") == httpx.codes.SERVICE_UNAVAILABLE
    assert bento.get("/readyz") == httpx.codes.SERVICE_UNAVAILABLE


def test_in_fp8_matrices_are_small_and_answers_near(library, models, tmp_path):
    variables = library.variables(NEUTRAL, RANDOM, SAPPHIRE_MODEL_QUANTIZATION="fp8")
    begun = time.monotonic()
    served = start_alone(tmp_path, variables)
    try:
        warm_up(served.url, served.server.names, within_s=600.0)
        print(f"\nvLLM alone in FP8: warm after {time.monotonic() - begun:.0f} s, {served.memory() / 1e9:.1f} GB")
        backend = VllmBackend(models[MODEL], served.url, adapters=(models[NEUTRAL], models[RANDOM]), within_s=120.0)
        there = {name: probabilities(backend, models[name])["up"] for name in NAMES}
        backend.close()
    finally:
        served.end()
    log = served.log.read_text()
    (quantized,) = re.findall(r"Quantizing (\d+) layers of types: (.*)", log)
    assert int(quantized[0]) == 4 * 30
    assert "embed" not in quantized[1]
    assert "lm_head" not in quantized[1]
    here = TransformersBackend(models[MODEL], library.weights[MODEL].folder(library.root), dtype="bfloat16")
    assert there[MODEL] == pytest.approx(probabilities(here, models[MODEL])["up"], abs=0.15)
    assert there[NEUTRAL] == pytest.approx(there[MODEL], abs=1e-3)
    assert there[RANDOM] != there[MODEL]
