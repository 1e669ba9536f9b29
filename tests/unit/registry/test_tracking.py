"""Where a run came from is known, whatever started it; and where MLflow's records are is nobody's guess."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from sapphire.domain.errors import ConfigError
from sapphire.registry import GitState, git_state
from sapphire.registry.tracking import Tracking, lineage_tags, notebook_name


def git(folder: Path, *words: str) -> str:
    settings = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", *settings, *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository with one commit and an ignored folder."""
    git(tmp_path, "init", "-q")
    (tmp_path / ".gitignore").write_text(".sapphire/\n")
    (tmp_path / "agent.py").write_text("fast = 12\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "agent")
    return tmp_path


def test_a_clean_tree_is_its_commit(tree: Path) -> None:
    (tree / "notebooks").mkdir()
    (tree / ".sapphire").mkdir()
    (tree / ".sapphire" / "state").write_text("x")
    commit = git(tree, "rev-parse", "HEAD")
    assert git_state(tree) == git_state(tree / "notebooks") == GitState(commit, dirty=False)


@pytest.mark.parametrize("change", ["changed", "new", "deleted", "staged"])
def test_any_change_beside_the_commit_is_seen(tree: Path, change: str) -> None:
    agent = tree / "agent.py"
    if change == "deleted":
        agent.unlink()
    elif change == "new":
        (tree / "momentum.py").write_text("x")
    else:
        agent.write_text("fast = 13\n")
    if change == "staged":
        git(tree, "add", ".")
    assert git_state(tree).dirty
    assert git_state(tree).commit == git(tree, "rev-parse", "HEAD")


def test_what_is_under_no_version_control_is_never_clean(tmp_path: Path) -> None:
    assert git_state(tmp_path) == GitState("", dirty=True)
    assert git_state(tmp_path / "nowhere") == GitState("", dirty=True)
    git(tmp_path, "init", "-q")
    assert git_state(tmp_path) == GitState("", dirty=True)


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({"JPY_SESSION_NAME": "/desk/30_backtest.ipynb"}, "30_backtest.ipynb"),
        ({"SAPPHIRE_NOTEBOOK": "daily.ipynb", "JPY_SESSION_NAME": "/x/other.ipynb"}, "daily.ipynb"),
    ],
)
def test_the_notebook_is_known_by_its_file_name(environment: dict[str, str], name: str) -> None:
    assert notebook_name(environment) == name


def test_a_script_is_known_where_there_is_no_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["/desk/trend.py", "--fast"])
    assert notebook_name({}) == "trend.py"
    monkeypatch.setattr("sys.argv", [""])
    assert notebook_name({}) == ""


def test_the_tags_of_a_run_are_complete_without_a_commit_too() -> None:
    tags = lineage_tags(
        git=GitState("", dirty=True), notebook="", snapshot_hash="ab" * 32, data="generated", engine_version="0.1.0"
    )
    assert tags == {
        "mlflow.source.name": "interactive",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": "none",
        "git.commit": "none",
        "git.dirty": "true",
        "notebook": "none",
        "snapshot.hash": "ab" * 32,
        "data": "generated",
        "engine.version": "0.1.0",
    }


def test_the_records_are_in_the_state_folder_unless_a_server_is_named(tmp_path: Path) -> None:
    own = Tracking.of(tmp_path, {})
    assert own.uri == f"sqlite:///{tmp_path}/mlflow/mlflow.db"
    assert own.artifacts == tmp_path / "mlflow" / "artifacts"
    named = Tracking.of(tmp_path, {"MLFLOW_TRACKING_URI": "http://127.0.0.1:5000"})
    assert (named.uri, named.artifacts) == ("http://127.0.0.1:5000", None)


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9", "sqlite:///{folder}/text"])
def test_an_mlflow_that_does_not_answer_is_an_error_that_helps(
    tmp_path: Path, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    (tmp_path / "text").write_text("this is no database\n" * 100)
    tracking = Tracking.of(tmp_path, {"MLFLOW_TRACKING_URI": uri.format(folder=tmp_path)})
    with pytest.raises(ConfigError, match="MLflow does not answer") as refused:
        tracking.client()
    assert "unset MLFLOW_TRACKING_URI" in str(refused.value)
