"""The bentos: thin, pinned by the project's lock, whole when built, and without MLflow."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
import yaml

from sapphire.domain import Refused, Window, decode
from sapphire.domain.clocks import from_ns
from sapphire.domain.view_requests import encode_window
from sapphire.serving import Settings
from sapphire.serving.process import ServerProcess

ROOT = Path(__file__).parents[3]
ALL = sorted(path.parent for path in (ROOT / "bentos").glob("*/bentofile.yaml"))
BENTOS = [folder for folder in ALL if folder.name != "vllm"]
SERVE_ONCE = """
import asyncio, importlib, json, os, sys
from sapphire.domain import WallClock
from sapphire.serving import Runner, Settings, admit
from sapphire.serving.cached_windows import BarCache
for name in sys.argv[2:]:
    importlib.import_module(f"bentos.{name}.service")
runner = Runner(admit(Settings.read(os.environ)), BarCache("valkey://127.0.0.1:1"), WallClock())
runner.stand_up()
answer = asyncio.run(runner.views(open(sys.argv[1], "rb").read()))
rooms = {name.split(".")[1] for name in sys.modules if name.startswith("sapphire.")}
libraries = {name.split(".")[0] for name in sys.modules}
print(json.dumps({"status": answer.status, "rooms": sorted(rooms), "libraries": sorted(libraries)}))
"""


def pins(path):
    return dict(re.findall(r"(?m)^([a-z0-9._-]+)==([^\s;\\]+)", path.read_text()))


def window_of(bars):
    return Window(bars.rows(0, 500), from_ns(int(bars.close_time_ns[499])))


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The smallest bento, built by BentoML."""
    home = tmp_path_factory.mktemp("bentoml")
    words = [sys.executable, "-m", "bentoml", "build", "-f", "bentos/cpu/bentofile.yaml", "--output", "tag", "."]
    environment = os.environ | {"BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True"}
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    tag = done.stdout.strip().removeprefix("__tag__:")
    return home / "bentos" / tag.replace(":", "/")


def test_there_is_one_folder_per_bento():
    assert [folder.name for folder in ALL] == ["cpu", "cpu_torch", "vllm"]


@pytest.mark.parametrize("folder", BENTOS, ids=lambda folder: folder.name)
def test_every_pin_is_the_project_s(folder):
    project, own = pins(ROOT / "requirements.lock"), pins(folder / "requirements.lock")
    assert {"bentoml", "numpy", "pandas", "safetensors", "valkey", "cryptography"} <= set(own)
    assert {name: version for name, version in own.items() if project.get(name) != version} == {}
    assert not {"mlflow", "jupyterlab", "vectorbt"} & set(own)
    assert ("torch" in own) == (folder.name == "cpu_torch")


@pytest.mark.parametrize("folder", ALL, ids=lambda folder: folder.name)
def test_a_build_file_takes_our_lock_and_nothing_else(folder):
    made = yaml.safe_load((folder / "bentofile.yaml").read_text())
    assert made["python"] == {"requirements_txt": f"bentos/{folder.name}/requirements.lock", "lock_packages": False}
    assert made["service"].split(":")[0] == f"bentos.{folder.name}.service"
    assert all((ROOT / path).exists() for path in made["include"] if "*" not in path)


def test_the_built_bento_has_our_pins_and_no_index_address(built):
    requirements = built / "env/python/requirements.txt"
    assert pins(requirements) == pins(ROOT / "bentos/cpu/requirements.lock")
    assert "://" not in requirements.read_text()
    contents = "\n".join(path.read_text() for path in (built / "env" / "python").rglob("*") if path.is_file())
    asked = re.findall(r"(?im)^.*\bsapphire\s*(?:[\[=<>~!@;].*)?$", contents)
    assert asked == []  # on an index the name is a stranger's
    assert not [path for path in (built / "src").rglob("*.py") if "research" in path.parts or "tests" in path.parts]


def test_serving_loads_no_mlflow_and_no_more_rooms_than_the_bento_holds(state, bars, cross, freeze_into, report_on):
    digest = freeze_into(state, cross, bars)
    report_on(state, digest)
    body = state / "window.json"
    body.write_bytes(encode_window(window_of(bars)))
    words = [sys.executable, "-c", SERVE_ONCE, str(body), *(folder.name for folder in BENTOS)]
    environment = os.environ | {"SAPPHIRE_HOME": str(state), "SAPPHIRE_RELEASE": digest}
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    seen = json.loads(done.stdout)
    assert seen["status"] == 200
    assert not {"mlflow", "torch", "vectorbt", "plotly", "IPython"} & set(seen["libraries"])
    assert set(seen["rooms"]) <= {"agents", "data", "domain", "registry", "serving", "statistics", "telemetry"}


def test_the_built_bento_runs_its_own_copy_of_the_code_and_a_skewed_release_never_gets_ready(
    state, bars, cross, built, freeze_into, report_on, skewed
):
    digest = skewed(state, freeze_into(state, cross, bars))
    report_on(state, digest)
    window = encode_window(window_of(bars))
    with ServerProcess(Settings(state, digest), service=str(built)) as server:
        with pytest.raises(Refused, match="does not stand up here") as refused:
            server.wait_until_ready()
        assert "release trend" in refused.value.got
        assert "says something else here than when it was frozen" in refused.value.got
        time.sleep(1.0)
        assert httpx.get(f"{server.url}/readyz", trust_env=False).status_code == 503
        assert httpx.post(f"{server.url}/views", content=window, trust_env=False).status_code == 503
        assert "says something else" in server.log_tail()


def test_the_bento_with_torch_says_what_the_notebook_says_to_the_last_bit(state, bars, llama, freeze_into, report_on):
    digest = freeze_into(state, llama, bars, name="llama")
    report_on(state, digest)
    window = window_of(bars)
    with ServerProcess(Settings(state, digest)) as server:
        server.wait_until_ready()
        answer = httpx.post(f"{server.url}/views", content=encode_window(window), trust_env=False)
        metrics = httpx.get(f"{server.url}/metrics", trust_env=False).text
    assert 'service_name="cpu_torch"' in metrics
    views = [decode(json.dumps(view).encode()).view() for view in answer.json()["views"]]
    wanted = [(view.symbol, view.mean_bps.hex(), view.std_bps.hex()) for view in llama.views(window)]
    assert [(view.symbol, view.mean_bps.hex(), view.std_bps.hex()) for view in views] == wanted
