"""A new workspace is whole and runs as it stands, or nothing of it is there."""

import filecmp
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer
from setuptools import Distribution
from setuptools.config.pyprojecttoml import apply_configuration
from typer.testing import CliRunner

from sapphire.agents import load_agent_file
from sapphire.cli import app
from sapphire.domain.errors import AgentError, ConfigError
from sapphire.domain.workspace import settings, workspace
from sapphire.lab.commands import new
from sapphire.lab.workspaces import make_workspace
from sapphire.monitoring.telling.reports import known_reports
from sapphire.registry import policy_folder

ROOT = Path(__file__).parents[3]
FILES = {
    *(".gitignore", "README.md", "sapphire.toml", "agents/mean_reversion.py", "tests/test_mean_reversion.py"),
    *("notebooks/study.ipynb", "notebooks/reports/daily.ipynb"),
}


def everything_in(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A workspace, and the current folder in it."""
    found = make_workspace(tmp_path / "below" / "my-desk", "mean_reversion")
    monkeypatch.chdir(found.folder)
    monkeypatch.delenv("SAPPHIRE_HOME", raising=False)
    return found


def test_it_has_an_agent_its_test_a_study_and_the_reports_under_its_names(made):
    assert set(made.files) == everything_in(made.folder) == FILES
    assert workspace() == made.folder
    assert tomllib.loads((made.folder / "sapphire.toml").read_text()) == {"name": "my-desk"}
    cls = load_agent_file(made.folder / "agents" / "mean_reversion.py")
    assert cls.__name__ == "MeanReversion"
    for path in sorted(FILES):
        text = (made.folder / path).read_text()
        assert "momentum" not in text.lower(), path
        assert "{workspace}" not in text, path
    assert (made.folder / "README.md").read_text().startswith("# my-desk\n")


def test_the_report_is_the_one_that_there_is_and_a_workspace_without_it_has_it_too(made, tmp_path):
    own = known_reports(made.folder)["daily"]
    assert own == made.folder / "notebooks" / "reports" / "daily.ipynb"
    assert filecmp.cmp(own, ROOT / "notebooks" / "reports" / "daily.ipynb", shallow=False)
    bare = known_reports(tmp_path)["daily"]
    assert filecmp.cmp(bare, ROOT / "notebooks" / "reports" / "daily.ipynb", shallow=False)


def test_the_examples_in_its_settings_are_settings(made):
    path = made.folder / "sapphire.toml"
    lines = path.read_text().splitlines()
    begin = lines.index(next(line for line in lines if line.startswith("# [notify")))
    path.write_text("\n".join(lines[:begin] + [line.removeprefix("# ") for line in lines[begin:]]))
    section, _ = settings("notify")
    assert section["slack"]["kinds"] == ["halt", "denials", "undecided", "restarts", "fills", "report"]


def test_its_own_tests_pass_and_its_five_commands_are_there(made):
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "tests"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout
    commands = re.findall(r"^\| `(.*?)` \|", (made.folder / "README.md").read_text(), re.MULTILINE)[:5]
    assert [command.split()[0] for command in commands] == ["sapphire", "pytest", "jupyter", "sapphire", "sapphire"]
    for command in commands:
        if command.startswith("sapphire "):
            assert CliRunner().invoke(app, [*command.split()[1:], "--help"]).exit_code == 0, command
    listed = CliRunner().invoke(app, ["agent", "list", "--json"])
    assert {"mean_reversion": "workspace"}.items() <= {
        row["name"].replace("-", "_"): row["origin"] for row in json.loads(listed.stdout)["agents"]
    }.items()


@pytest.mark.parametrize(
    "name", ["", "Momentum", "2fast", "a b", "class", "../up", "lag_llama", "none", "view", "bars"]
)
def test_a_name_that_no_agent_can_have_is_refused_and_nothing_is_made(tmp_path, name):
    with pytest.raises(AgentError, match=r"not a name for an agent|is taken"):
        make_workspace(tmp_path / "desk", name)
    assert not (tmp_path / "desk").exists()


@pytest.mark.parametrize("name", ['a"b', "-x", "a\nb", ".hidden", "ä"])
def test_a_folder_that_cannot_be_called_so_is_refused(tmp_path, name):
    with pytest.raises(ConfigError, match="not a name for a workspace"):
        make_workspace(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_is_refused_and_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="is not empty") as refused:
        make_workspace(tmp_path)
    assert refused.value.got == "notes.txt"
    with pytest.raises(ConfigError, match="cannot be a workspace"):
        make_workspace(tmp_path / "notes.txt")
    assert everything_in(tmp_path) == {"notes.txt"}


def test_an_empty_repository_is_taken(tmp_path):
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    make_workspace(tmp_path, "mean_reversion")
    assert everything_in(tmp_path) == FILES | {".git/HEAD"}


@pytest.mark.parametrize("was_there", [True, False], ids=["an empty folder", "a new folder"])
def test_a_disk_that_takes_half_of_it_keeps_nothing(tmp_path, monkeypatch, was_there):
    place, write = tmp_path / "desk", Path.write_text
    if was_there:
        (place / ".git").mkdir(parents=True)

    def full(path, text, **kwargs):
        if path.name == "study.ipynb":
            raise OSError(28, "No space left on device")
        return write(path, text, **kwargs)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(ConfigError, match="could not be written") as refused:
        make_workspace(place)
    assert "No space left" in refused.value.got
    assert [path.name for path in tmp_path.rglob("*")] == (["desk", ".git"] if was_there else [])


def test_the_verb_says_what_it_made_and_what_is_next(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    alone = typer.Typer()
    alone.command("new")(new)
    alone.callback()(lambda: None)
    alone(["new", "desk", "--agent", "mean_reversion", "--json"], standalone_mode=False)
    printed = capsys.readouterr()
    written = json.loads(printed.out)
    assert (written["workspace"], written["agent"], set(written["files"])) == (
        str(tmp_path / "desk"),
        "mean_reversion",
        FILES,
    )
    assert "next: cd desk && sapphire agent list" in printed.err
    assert "git init" in printed.err


def test_an_installed_package_has_the_templates_and_the_policies_with_it(monkeypatch):
    monkeypatch.chdir(ROOT)
    package = Distribution()
    apply_configuration(package, "pyproject.toml")
    build = package.get_command_obj("build_py")
    build.ensure_finalized()
    build.manifest_files = {}
    packed = set(build.find_data_files("sapphire", "sapphire"))
    wanted = {path for path in (ROOT / "sapphire" / "lab" / "templates").rglob("*") if path.is_file()}
    wanted |= {*(ROOT / "sapphire").glob("*/templates/*.ipynb"), *(ROOT / "sapphire").glob("*/mlflow_files/*/*")}
    wanted = {str(path.relative_to(ROOT)) for path in wanted if "__pycache__" not in path.parts}
    assert len(wanted) == 14
    assert wanted <= packed
    own = ROOT / "sapphire" / "registry" / "mlflow_files" / "gates"
    for name in ("paper.yaml", "live.yaml"):
        assert filecmp.cmp(own / name, policy_folder(None) / name, shallow=False)
