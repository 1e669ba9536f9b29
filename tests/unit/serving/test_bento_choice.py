"""Which bento serves a release: the smallest whose lock pins what the release's code imports, whatever it is called."""

import shutil
import sys
import tomllib
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from sapphire.agents import Calibrated, Qwen, load_agent_source
from sapphire.agents.llm.default_model import PACKAGED
from sapphire.agents.llm.requests import Scores
from sapphire.agents.model_calls import backed_by
from sapphire.agents.release import read_release
from sapphire.domain import ConfigError
from sapphire.serving import Settings
from sapphire.serving.bentos import bento_for, find_bentos
from sapphire.serving.process import ServerProcess

ROOT = Path(__file__).parents[3]
AGENT = """
from dataclasses import dataclass
from datetime import timedelta
from sapphire import Agent
{above}


@dataclass(frozen=True)
class {name}(Agent):
    horizon: timedelta = timedelta(minutes=15)

    @property
    def warmup(self):
        return 2

    def views(self, window):
        {inside}
        close = window.panel("close")
        return window.views(mean_bps=close.iloc[-1] * 0.0, std_bps=close.iloc[-1], horizon=self.horizon)
"""


@pytest.fixture
def released(home, place, tmp_path):
    """Freezes an agent whose file imports what is said; gives the settings of its server."""

    def make(*, above="", inside="", name="Plain"):
        text = AGENT.format(above=above, inside=inside or "pass", name=name)
        agent = load_agent_source(text, tmp_path / f"{name.lower()}.py")
        return Settings(home, place(Calibrated(agent())))

    return make


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """A workspace elsewhere, which is the current folder."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "sapphire.toml").write_text("")
    monkeypatch.chdir(folder)
    return folder


def bento_in(root, name, *, pins):
    folder = root / "bentos" / name
    folder.mkdir(parents=True)
    (folder / "requirements.lock").write_text("".join(f"{each}==1.0 \\\n    --hash=sha256:00\n" for each in pins))
    made = {"service": f"bentos.{name}.service:Own", "python": {"requirements_txt": f"bentos/{name}/requirements.lock"}}
    (folder / "bentofile.yaml").write_text(yaml.safe_dump(made))
    return folder


def test_what_runs_is_what_the_build_file_says(home, place, cross, llama):
    for agent, name in ((cross, "cpu"), (llama, "cpu_torch")):
        server = ServerProcess(Settings(home, place(agent)))
        service = yaml.safe_load((ROOT / "bentos" / name / "bentofile.yaml").read_text())["service"]
        assert server.command[server.command.index("serve") + 1] == service
        assert server.command[-2:] == ("--working-dir", str(ROOT))


@pytest.mark.parametrize(
    ("how", "bento", "imports"),
    [
        ({"name": "LagLlama"}, "cpu", set()),
        ({"above": "import numpy as np"}, "cpu", {"numpy"}),
        ({"inside": "import torch"}, "cpu_torch", {"torch"}),
        ({"inside": "from torch.nn import functional"}, "cpu_torch", {"torch"}),
        ({"above": "from sapphire.agents.torch_settings import settled_torch"}, "cpu_torch", {"torch"}),
        ({"above": "import sapphire.agents.lag_llama as model"}, "cpu_torch", {"torch"}),
        ({"above": "from sapphire.agents import LagLlama"}, "cpu_torch", {"torch"}),
        ({"inside": "import dateutil, yaml"}, "cpu", {"dateutil", "yaml"}),
    ],
)
def test_a_bento_is_chosen_by_what_the_release_imports(released, how, bento, imports):
    settings = released(**how)
    read = read_release(settings.home / "releases" / settings.release)
    assert bento_for(settings).name == bento
    assert imports <= read.packages
    assert ("torch" in read.packages) == (bento == "cpu_torch")


def test_an_import_in_a_captured_module_counts_and_the_module_itself_is_no_package(
    home, place, workspace, tmp_path, monkeypatch
):
    desk = workspace / "desk_serving"
    desk.mkdir()
    (desk / "__init__.py").write_text("")
    (desk / "nets.py").write_text("def net():\n    import torch\n    return torch\n")
    monkeypatch.syspath_prepend(str(workspace))
    text = AGENT.format(above="from desk_serving.nets import net", inside="pass", name="Modular")
    digest = place(Calibrated(load_agent_source(text, workspace / "modular.py")()))
    assert read_release(home / "releases" / digest).packages == {"torch"}
    assert bento_for(Settings(home, digest)).name == "cpu_torch"
    for name in [each for each in sys.modules if each.startswith("desk_serving")]:
        del sys.modules[name]


def test_a_package_that_no_bento_pins_is_named_and_a_bento_of_the_workspace_may_pin_it(released, workspace):
    settings = released(inside="import polars")
    with pytest.raises(ConfigError, match="no bento fits release trend") as refused:
        ServerProcess(settings)
    assert "polars" in refused.value.expected
    assert refused.value.got == "cpu lacks polars; cpu_torch lacks polars"
    assert "bentos/NAME in the workspace" in refused.value.next
    own = bento_in(workspace, "desk", pins=["numpy", "pandas", "Polars"])
    assert bento_for(settings).folder == own.resolve()
    assert ServerProcess(settings).command[-1] == str(workspace.resolve())
    assert [bento.name for bento in find_bentos()] == ["desk", "cpu", "cpu_torch"]


def test_a_bento_that_does_not_read_is_refused_by_name(released, workspace):
    settings = released()
    for spoil in (
        lambda folder: (folder / "requirements.lock").unlink(),
        lambda folder: (folder / "bentofile.yaml").write_text("service: ["),
        lambda folder: (folder / "bentofile.yaml").write_text("name: desk"),
    ):
        folder = bento_in(workspace, "desk", pins=["numpy", "pandas"])
        assert bento_for(settings).name == "desk"
        spoil(folder)
        with pytest.raises(ConfigError, match="the bento desk does not read"):
            bento_for(settings)
        shutil.rmtree(folder)


def test_an_installed_platform_has_its_bentos_beside_it():
    made = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert "bentos*" in made["packages"]["find"]["include"]
    for bento in find_bentos():
        patterns = made["package-data"][f"bentos.{bento.name}"]
        assert {"bentofile.yaml", "requirements.lock"} <= {
            file.name for pattern in patterns for file in bento.folder.glob(pattern)
        }


def test_who_asks_the_packaged_model_is_served_where_it_can_run(home, place, bars):
    agent = Calibrated(Qwen(horizon=timedelta(minutes=15)))
    with backed_by(Both()):
        digest = place(agent.fit(bars.rows(0, 400), seed=7))
    assert "transformers" in read_release(home / "releases" / digest).packages
    assert bento_for(Settings(home, digest)).name == "cpu_torch"


class Both:
    """Finds up and down as likely, but for what the length of a prompt makes of it."""

    model = PACKAGED

    def replies(self, requests):
        odds = [{"up": len(str(each)) % 7 / 10.0, "down": 0.0} for each in requests]
        return [Scores.among(each, 100).reply("") for each in odds]
