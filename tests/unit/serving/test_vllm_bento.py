"""The runner of large models, as far as a machine without vLLM can tell: its lock, its command, and its refusals.

`make test-vllm` runs the real server with these words.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sapphire.domain import ConfigError, EvidenceRefused, MissingData, NotReady, Refused
from sapphire.serving import vllm_server
from sapphire.serving.devices import device_memory
from sapphire.serving.memory_plan import GIB
from sapphire.serving.vllm_server import VllmServer
from sapphire.serving.weights import digest_of

ROOT = Path(__file__).parents[3]
REVISION = "0123456789abcdef0123456789abcdef01234567"
CONFIG = {
    "model_type": "qwen3", "num_hidden_layers": 2, "hidden_size": 64, "intermediate_size": 128,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 1000,
}  # fmt: skip
IMPORT = """
import json, sys
import bentos.vllm.service
import httpx, psutil, pynvml
import sapphire.serving.weights
from importlib.metadata import packages_distributions
known = packages_distributions()
used = {each for name in sys.modules for each in known.get(name.split(".")[0], ())}
print(json.dumps(sorted(used)))
"""


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(path):
    return dict(re.findall(r"(?m)^([a-z0-9._-]+)==([^\s;\\]+)", path.read_text()))


def put(root, repository, files):
    """Files in the shared folder, and their digest."""
    folder = root / repository.replace("/", "--") / REVISION
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return digest_of(folder)


@pytest.fixture
def variables(tmp_path):
    """The environment of a server whose weights lie in the shared folder."""
    digest = put(tmp_path, "desk/tiny", {"config.json": CONFIG, "model.safetensors": b"weights"})
    return {
        "SAPPHIRE_MODEL": "desk/tiny",
        "SAPPHIRE_MODEL_REVISION": REVISION,
        "SAPPHIRE_MODEL_SHA256": digest,
        "SAPPHIRE_WEIGHTS": str(tmp_path),
    }


@pytest.fixture
def adapter(tmp_path):
    """An adapter in the shared folder, as SAPPHIRE_ADAPTERS names it."""

    def made(repository="desk/headlines", config=None, weights="adapter_model.safetensors"):
        about = {"peft_type": "LORA", "r": 8} | (config or {})
        digest = put(tmp_path, repository, {"adapter_config.json": about, weights: b"matrices"})
        return f"{repository}@{REVISION}:{digest}"

    return made


@pytest.fixture
def gpu(monkeypatch):
    """As if the machine had an L4."""
    monkeypatch.setattr(vllm_server, "device_memory", lambda _: 22 * GIB)


def flags(words):
    """Each flag of a command with what follows it."""
    found = {}
    for word in words:
        if word.startswith("--"):
            found[word] = []
        elif found:
            found[list(found)[-1]].append(word)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def test_the_command_serves_the_verified_folder_on_this_machine_alone(variables, gpu, tmp_path):
    limits = {"SAPPHIRE_GPU_SHARE": "0.4", "SAPPHIRE_MODEL_LENGTH": "4096", "SAPPHIRE_MODEL_SEQUENCES": "2"}
    server = VllmServer.read(variables | limits)
    words = server.command()
    assert words[:3] == ["vllm", "serve", str(tmp_path / "desk--tiny" / REVISION)]
    assert flags(words[3:]) == {
        "--served-model-name": "desk/tiny",
        "--host": "127.0.0.1",
        "--port": "8000",
        "--load-format": "safetensors",
        "--dtype": "bfloat16",
        "--generation-config": "vllm",
        "--seed": "0",
        "--gpu-memory-utilization": "0.4",
        "--max-model-len": "4096",
        "--max-num-seqs": "2",
        "--max-num-batched-tokens": "2048",
        "--kv-cache-memory-bytes": str((2 * 4096 + 128) * 2 * 2 * 2 * 16 * 2),
        "--enable-prefix-caching": [],
        "--structured-outputs-config": '{"backend":"xgrammar","disable_any_whitespace":true}',
    }
    assert server.url == "http://127.0.0.1:8000"


def test_fp8_is_made_of_files_in_bfloat16_and_taken_from_files_that_hold_it(variables, tmp_path):
    fp8 = {"SAPPHIRE_MODEL_QUANTIZATION": "fp8"}
    assert flags(VllmServer.read(variables | fp8).words())["--quantization"] == "fp8_per_channel"
    assert "--quantization" not in VllmServer.read(variables).words()
    stored = CONFIG | {"quantization_config": {"quant_method": "fp8"}}
    put(tmp_path, "desk/stored", {"config.json": stored, "model.safetensors": b"weights"})
    server = VllmServer.read(variables | fp8 | {"SAPPHIRE_MODEL": "desk/stored"})
    assert "--quantization" not in server.words()
    made = VllmServer.read(variables | fp8)
    assert server.memory(server.shape()).weights == made.memory(made.shape()).weights


def test_adapters_are_served_under_their_own_names_from_their_verified_folders(variables, adapter, gpu, tmp_path):
    named = {"SAPPHIRE_ADAPTERS": f"{adapter()} {adapter('desk/filings')}", "SAPPHIRE_ADAPTER_RANK": "32"}
    server = VllmServer.read(variables | named)
    found = flags(server.command())
    assert found["--enable-lora"] == []
    assert (found["--max-loras"], found["--max-lora-rank"]) == ("2", "32")
    places = {name: str(tmp_path / name.replace("/", "--") / REVISION) for name in ("desk/headlines", "desk/filings")}
    assert found["--lora-modules"] == [f"{name}={place}" for name, place in places.items()]
    assert server.names == ("desk/tiny", "desk/headlines", "desk/filings")


def test_an_adapter_that_is_another_one_or_cannot_be_read_is_refused(variables, adapter, gpu, tmp_path):
    def refusal(text, error):
        with pytest.raises(error) as refused:
            VllmServer.read(variables | {"SAPPHIRE_ADAPTERS": text}).command()
        return str(refused.value)

    named = adapter()
    (tmp_path / "desk--headlines" / REVISION / "adapter_model.safetensors").write_bytes(b"tampered")
    assert "not the ones that are named" in refusal(named, EvidenceRefused)
    assert "is not there" in refusal(named.replace("headlines", "nowhere"), MissingData)
    pickle = adapter("desk/pickle", weights="adapter_model.bin")
    assert "without running code" in refusal(pickle, EvidenceRefused)
    assert "rank 64" in refusal(adapter("desk/wide", {"r": 64}), ConfigError)
    assert "rank 32" in refusal(adapter("desk/wide-layer", {"rank_pattern": {"q_proj": 32}}), ConfigError)
    assert "is no LoRA adapter" in refusal(adapter("desk/prompt", {"peft_type": "PROMPT_TUNING"}), ConfigError)


def test_no_server_starts_on_other_weights_or_without_them(variables, gpu):
    with pytest.raises(EvidenceRefused, match="not the ones that are named"):
        VllmServer.read(variables | {"SAPPHIRE_MODEL_SHA256": "0" * 64}).command()
    with pytest.raises(MissingData, match="is not there"):
        VllmServer.read(variables | {"SAPPHIRE_MODEL_REVISION": REVISION[::-1]}).command()
    with pytest.raises(ConfigError, match="without a digest"):
        VllmServer.read({name: value for name, value in variables.items() if "SHA256" not in name}).command()


def test_a_server_that_its_share_does_not_hold_is_refused_with_the_table(variables, gpu):
    wide = {"SAPPHIRE_GPU_SHARE": "0.03", "SAPPHIRE_MODEL_LENGTH": "8192", "SAPPHIRE_MODEL_SEQUENCES": "256"}
    with pytest.raises(Refused, match="desk/tiny does not fit in its share") as refused:
        VllmServer.read(variables | wide).command()
    assert "embeddings" in refused.value.got
    VllmServer.read(variables | wide | {"SAPPHIRE_MODEL_SEQUENCES": "1"}).command()


@pytest.mark.parametrize(
    "wrong",
    [
        {"SAPPHIRE_WEIGHTS": ""},
        {"SAPPHIRE_WEIGHTS": "weights"},
        {"SAPPHIRE_MODEL": ""},
        {"SAPPHIRE_MODEL_REVISION": "main"},
        {"SAPPHIRE_GPU_SHARE": "1.5"},
        {"SAPPHIRE_GPU_SHARE": "most"},
        {"SAPPHIRE_MODEL_LENGTH": "0"},
        {"SAPPHIRE_MODEL_LENGTH": "4k"},
        {"SAPPHIRE_MODEL_SEQUENCES": "0"},
        {"SAPPHIRE_MODEL_SEQUENCES": "257"},
        {"SAPPHIRE_MODEL_QUANTIZATION": "fp4"},
        {"SAPPHIRE_MODEL_DEVICE": "tpu"},
        {"SAPPHIRE_MODEL_PORT": "65536"},
        {"SAPPHIRE_ADAPTER_RANK": "12"},
        {"SAPPHIRE_ADAPTERS": "desk/headlines"},
        {"SAPPHIRE_ADAPTERS": f"desk/headlines@main:{'0' * 64}"},
        {"SAPPHIRE_ADAPTERS": f"desk/headlines@{REVISION}:0123"},
        {"SAPPHIRE_ADAPTERS": " ".join(2 * [f"desk/headlines@{REVISION}:{'0' * 64}"])},
        {"SAPPHIRE_ADAPTERS": f"desk/tiny@{REVISION}:{'0' * 64}"},
    ],
)
def test_settings_that_cannot_be_meant_are_refused(variables, wrong):
    VllmServer.read(variables)
    with pytest.raises(ConfigError):
        VllmServer.read(variables | wrong)


def test_on_a_processor_a_server_has_a_share_of_the_machine_s_memory():
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert device_memory("cpu") == pytest.approx(pages, rel=0.01)


def test_a_machine_without_a_gpu_is_refused_by_the_bento_before_anything_starts(variables, tmp_path):
    if list(Path("/dev").glob("nvidia[0-9]")):
        pytest.fail("this test wants a machine without a GPU")
    with pytest.raises(NotReady, match="no GPU") as refused:
        VllmServer.read(variables).command()
    assert "nvidia-smi" in refused.value.expected
    environment = os.environ | variables | {"BENTOML_HOME": str(tmp_path / "bentoml")}
    words = [sys.executable, "-m", "bentoml", "serve", "bentos.vllm.service:Vllm", "--port", "0"]
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode != 0
    assert "this machine has no GPU" in done.stdout + done.stderr


def test_its_lock_has_vllm_all_that_its_code_imports_and_the_project_s_bentoml():
    own = pins(ROOT / "bentos" / "vllm" / "requirements.lock")
    assert own["bentoml"] == pins(ROOT / "requirements.lock")["bentoml"]
    assert tuple(int(part) for part in own["vllm"].split(".")[:2]) >= (0, 33)
    done = subprocess.run([sys.executable, "-c", IMPORT], cwd=ROOT, capture_output=True, text=True, check=True)
    used = {normal(name) for name in json.loads(done.stdout)}
    assert {"bentoml", "httpx", "psutil", "nvidia-ml-py"} <= used
    assert used - set(own) <= {"sapphire"}
