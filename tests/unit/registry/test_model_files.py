"""A release as MLflow's model: what stands beside its bytes, and that nothing asks an index for Sapphire."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sapphire.domain.errors import ConfigError, EvidenceRefused
from sapphire.registry.mlflow_folder import fill_card, mlflow_file
from sapphire.registry.tracking.model_files import release_within, write_model

ROOT = Path(__file__).parents[3]
NAMES_SAPPHIRE = re.compile(r"(?im)^[\s\"'-]*sapphire(?![\w./-])\s*(?:\[[^]]*\])?\s*(?:[=<>~!;,@\"']|$)")
LOCAL = re.compile(r"(?i)sapphire\s*@\s*file:\S+\s+--hash=sha256:[0-9a-f]{64}")
"""A wheel that was built from this tree, by its hash: the one way in which a requirement may name it."""


def asked_of_an_index(text: str) -> list[str]:
    """Requirements that name Sapphire, but for a local file by its hash."""
    lines = [line for line in text.splitlines() if NAMES_SAPPHIRE.search(line)]
    return [line.strip() for line in lines if not LOCAL.search(line)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, small: Any) -> Path:
    """The files of a model of a small release."""
    folder = tmp_path_factory.mktemp("made")
    release = small.write_release(folder / "trend")
    write_model(folder / "model", release, stage="paper", run_id="run", model_id="m-1")
    return folder / "model"


def texts(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix in {"", ".txt", ".yaml", ".yml", ".toml", ".json", ".in", ".lock", ".py"}:
            yield path


@pytest.mark.parametrize(
    ("line", "asks"),
    [
        ("sapphire", True),
        ("sapphire==0.1.0", True),
        ("  - sapphire>=0.1", True),
        ('    "sapphire[all]>=1",', True),
        ("Sapphire @ https://files.example/sapphire.whl", True),
        ("sapphire @ file:sapphire-0.1.0-py3-none-any.whl", True),
        (f"sapphire @ file:sapphire-0.1.0-py3-none-any.whl --hash=sha256:{'a' * 64}", False),
        ("sapphire-other==1", False),
        ("numpy==2.4.6", False),
    ],
)
def test_what_asks_an_index_for_sapphire_is_known(*, line: str, asks: bool) -> None:
    assert bool(asked_of_an_index(line)) == asks


def test_no_requirement_of_the_model_names_sapphire(model: Path) -> None:
    environment = yaml.safe_load((model / "conda.yaml").read_text())
    (pip,) = [each["pip"] for each in environment["dependencies"] if isinstance(each, dict)]
    written = (model / "requirements.txt").read_text().split()
    assert sorted(pip) == sorted(written)
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][0-9.]*", each) for each in written), written
    assert {each.partition("==")[0] for each in written} >= {"mlflow", "numpy", "pandas", "cryptography", "safetensors"}
    for path in (model / "requirements.txt", model / "conda.yaml", model / "python_env.yaml"):
        assert asked_of_an_index(path.read_text()) == []


def test_no_requirement_of_a_bento_or_of_the_project_names_sapphire() -> None:
    files = [*ROOT.glob("*.lock"), *ROOT.glob("bentos/*/requirements.*"), *ROOT.glob("bentos/*/bentofile.yaml")]
    files += [*ROOT.glob("requirements*.txt"), *ROOT.glob("bentos/*/*.toml")]
    assert len(files) >= 3 + 3 * 2
    assert {str(path): found for path in files if (found := asked_of_an_index(path.read_text()))} == {}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    named = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    named += [each for group in project["dependency-groups"].values() for each in group]
    named += [each for group in project["project"].get("optional-dependencies", {}).values() for each in group]
    assert [each for each in named if asked_of_an_index(each)] == []


def test_a_pin_of_the_model_is_the_projects(model: Path) -> None:
    locked = dict(re.findall(r"(?m)^([a-z0-9-]+)==([^\s;\\]+)", (ROOT / "requirements.lock").read_text()))
    pins = dict(each.split("==") for each in (model / "requirements.txt").read_text().split())
    assert {name: version for name, version in pins.items() if locked[name] != version} == {}


def test_torch_is_required_where_an_agent_imports_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sapphire.registry.tracking import model_files

    monkeypatch.setattr(model_files, "version", lambda name: "2.15.0+cu130")
    (tmp_path / "source.py").write_text("import numpy\nif True:\n    from torch import nn\n")
    assert "torch==2.15.0" in model_files._pins(tmp_path)
    (tmp_path / "source.py").write_text("import numpy  # no torch here\nimport torchlike\n")
    assert not [each for each in model_files._pins(tmp_path) if each.startswith("torch")]


def test_a_model_says_what_it_takes_and_keeps_no_place_of_this_machine(model: Path, tmp_path: Path) -> None:
    noted = yaml.safe_load((model / "MLmodel").read_text())
    flavour = noted["flavors"]["python_function"]
    assert flavour["model_code_path"] == "release_model.py"
    assert flavour["config"] == {"release": noted["metadata"]["release"], "stage": "paper"}
    assert (noted["model_id"], noted["run_id"]) == ("m-1", "run")
    assert '"name": "open_time", "required": true' in noted["signature"]["inputs"]
    assert '"name": "mean_bps", "required": false' in noted["signature"]["outputs"]
    assert (model / "input_example.json").is_file()
    places = [str(ROOT), str(Path.home()), str(model.parent), "/tmp/"]
    assert {str(path): place for path in texts(model) for place in places if place in path.read_text()} == {}


@pytest.mark.parametrize("strange", ["sitecustomize.py", "artifacts/more.py", "code/x.py"])
def test_files_beside_a_model_are_refused(model: Path, strange: str) -> None:
    assert release_within(model, "a" * 64) == model / "artifacts" / "release"
    path = model / strange
    path.parent.mkdir(exist_ok=True)
    path.write_text("x")
    try:
        with pytest.raises(EvidenceRefused, match="files that are not its own") as refused:
            release_within(model, "a" * 64)
        assert strange.split("/")[0] in refused.value.got
    finally:
        path.unlink()
        if strange.startswith("code"):
            path.parent.rmdir()


def test_a_version_of_before_is_its_release_alone(tmp_path: Path, small: Any) -> None:
    folder = small.write_release(tmp_path / "trend")
    assert release_within(folder, "a" * 64) == folder


# cards


def test_a_workspace_may_have_its_own_cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sapphire.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    card = fill_card("registered_model", stage="paper", name="trend")
    assert card.startswith("Releases of **trend** that may trade on paper.")
    assert "models:/paper.trend@champion" in card
    (tmp_path / "mlflow" / "cards").mkdir(parents=True)
    own = tmp_path / "mlflow" / "cards" / "registered_model.md"
    own.write_text("{{ name }} of our desk\n")
    assert fill_card("registered_model", stage="paper", name="trend") == "trend of our desk"
    assert mlflow_file("cards/promoted.md").read_text() == (ROOT / "mlflow" / "cards" / "promoted.md").read_text()
    for wrong in ("{{ nome }}", "{% if %}", "{{ ''.__class__.__mro__ }}"):
        own.write_text(f"a card\n{wrong}\n")
        with pytest.raises(ConfigError, match="cannot be filled") as refused:
            fill_card("registered_model", stage="paper", name="trend")
        assert "name, stage" in refused.value.expected


def test_a_file_that_is_nowhere_is_named() -> None:
    with pytest.raises(ConfigError, match=r"no mlflow/cards/none\.md"):
        mlflow_file("cards/none.md")
