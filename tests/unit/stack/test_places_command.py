"""`sapphire places` says where state lies and whether it answers, and `send` brings up what was kept here alone."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from place_servers import free_ports
from restless import restless
from typer.testing import CliRunner

from sapphire.cli import app
from sapphire.data import load_snapshot, snapshot
from sapphire.domain.errors import ConfigError
from sapphire.domain.workspace import HOME_VARIABLE
from sapphire.registry import Registry

__all__ = ["restless"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "a"))
    return tmp_path / "a"


def ask(*words: str) -> tuple[int, dict[str, object]]:
    done = CliRunner().invoke(app, ["places", *words, "--json"])
    return done.exit_code, json.loads(done.stdout)


def test_without_a_place_the_state_folder_is_all_there_is(here: Path) -> None:
    assert ask() == (0, {"home": str(here), "place": None})
    done = CliRunner().invoke(app, ["places", "send"])
    assert isinstance(done.exception, ConfigError)


def test_a_place_that_does_not_answer_is_said_and_no_password_with_it(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (port,) = free_ports(1)
    monkeypatch.setenv("SAPPHIRE_PLACES_DATABASE", f"postgresql://desk:hunter2@127.0.0.1:{port}/state")
    monkeypatch.setenv("SAPPHIRE_PLACES_BUCKET", "s3://state")
    monkeypatch.setenv("SAPPHIRE_PLACES_BUCKET_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("SAPPHIRE_PLACES_BUCKET_KEY", "k")
    monkeypatch.setenv("SAPPHIRE_PLACES_BUCKET_SECRET", "hunter2")
    code, shown = ask()
    assert code == 1
    assert "PlaceUnreachable" in str(shown)
    done = CliRunner().invoke(app, ["places"])
    assert done.exit_code == 1
    assert "does not answer" in done.output
    assert "hunter2" not in done.output + str(shown)


def test_what_was_kept_here_alone_is_sent_and_found_elsewhere(
    here: Path,
    registered: SimpleNamespace,
    wire: Callable[..., Registry],
    with_mlflow: Callable[[Path], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = snapshot(["BTC/USDT"], interval="1h", start="2024-01-01", end="2024-01-03", source="embedded")
    registry = wire(with_mlflow(here), policies=registered.POLICIES, count=registered.as_submitted)
    frozen = registered.write_release(tmp_path / "frozen")
    digest = registry.register(frozen, registered.bundle_of(frozen)).digest
    registry.gates(digest, to="paper")
    registry.revoke(digest, why="a test")
    (tmp_path / "place").mkdir()
    monkeypatch.setenv("SAPPHIRE_PLACES_FOLDER", str(tmp_path / "place"))
    for _ in range(2):
        done = CliRunner().invoke(app, ["places", "send"])
        assert done.exit_code == 0, done.exception
    code, shown = ask()
    assert code == 0
    holds = shown["place"]["holds"]  # type: ignore[index]
    assert (holds["releases with evidence"], holds["snapshots"]) == (1, 1)
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "b"))
    assert load_snapshot(made.hash) == made
    there = wire(with_mlflow(tmp_path / "b"), policies=registered.POLICIES, count=registered.as_submitted)
    assert there.find("trend@1") == digest
    (listed,) = there.releases()
    assert there.releases().standings[listed.digest].mark == "revoked"


def test_who_keeps_a_release_current_ends_when_it_is_told_to(
    restless: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a container's first process, which no signal ends that it does not handle."""
    home, digest = restless
    (tmp_path / "place").mkdir()
    monkeypatch.setenv("SAPPHIRE_PLACES_FOLDER", str(tmp_path / "place"))
    monkeypatch.setenv(HOME_VARIABLE, str(home))
    assert CliRunner().invoke(app, ["places", "send"]).exit_code == 0
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "there"))
    words = (sys.executable, "-m", "sapphire.cli", "places", "watch", digest)
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as watching:
        assert watching.stderr is not None
        assert "is kept current" in watching.stderr.readline()
        watching.terminate()
        assert watching.wait(30) == 0
    assert (tmp_path / "there" / "releases" / digest).is_dir()
