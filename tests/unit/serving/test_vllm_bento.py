"""The runner of large models, as far as a machine without a GPU can tell: its lock, its command, and its refusals."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sapphire.domain import ConfigError, EvidenceRefused, MissingData, NotReady
from sapphire.serving import vllm_server
from sapphire.serving.vllm_server import VllmServer
from sapphire.serving.weights import digest_of

ROOT = Path(__file__).parents[3]
REVISION = "0123456789abcdef0123456789abcdef01234567"
IMPORT = """
import json, sys
import bentos.vllm.service
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


@pytest.fixture
def told(tmp_path):
    """The environment of a server whose weights lie in the shared folder."""
    folder = tmp_path / "desk--tiny" / REVISION
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    return {
        "SAPPHIRE_MODEL": "desk/tiny",
        "SAPPHIRE_MODEL_REVISION": REVISION,
        "SAPPHIRE_MODEL_SHA256": digest_of(folder),
        "SAPPHIRE_WEIGHTS": str(tmp_path),
    }


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.setattr(vllm_server, "_require_gpu", lambda: None)


def test_the_command_serves_the_verified_folder_on_this_machine_alone(told, gpu, tmp_path):
    words = VllmServer.read(told | {"SAPPHIRE_GPU_SHARE": "0.4", "SAPPHIRE_MODEL_LENGTH": "4096"}).command()
    assert words[:3] == ["vllm", "serve", str(tmp_path / "desk--tiny" / REVISION)]
    said = dict(zip(words[3:-1:2], words[4:-1:2], strict=True))
    assert said == {
        "--served-model-name": "desk/tiny",
        "--host": "127.0.0.1",
        "--port": "8000",
        "--load-format": "safetensors",
        "--gpu-memory-utilization": "0.4",
        "--max-model-len": "4096",
    }
    assert words[-1] == "--enable-prefix-caching"
    assert "--trust-remote-code" not in words


def test_no_server_starts_on_other_weights_or_without_them(told, gpu):
    with pytest.raises(EvidenceRefused, match="not the ones that are named"):
        VllmServer.read(told | {"SAPPHIRE_MODEL_SHA256": "0" * 64}).command()
    with pytest.raises(MissingData, match="is not there"):
        VllmServer.read(told | {"SAPPHIRE_MODEL_REVISION": REVISION[::-1]}).command()
    with pytest.raises(ConfigError, match="without a digest"):
        VllmServer.read({name: value for name, value in told.items() if "SHA256" not in name}).command()


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
    ],
)
def test_settings_that_cannot_be_meant_are_refused(told, wrong):
    with pytest.raises(ConfigError):
        VllmServer.read(told | wrong)


def test_a_machine_without_a_gpu_is_refused_by_the_bento_before_anything_starts(told, tmp_path):
    if list(Path("/dev").glob("nvidia[0-9]")):
        pytest.fail("this test wants a machine without a GPU")
    with pytest.raises(NotReady, match="no GPU") as refused:
        VllmServer.read(told).command()
    assert "nvidia-smi" in refused.value.expected
    environment = os.environ | told | {"BENTOML_HOME": str(tmp_path / "bentoml")}
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
    assert "bentoml" in used
    assert used - set(own) <= {"sapphire"}
