"""The workspace is found upward, the state folder is where the variable says, and both are looked up at every call."""

import os
import subprocess
import sys

import pytest

from sapphire.domain import ConfigError, EngineMissing
from sapphire.domain.engine import load_engine
from sapphire.domain.workspace import home, workspace


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """A folder outside of any workspace."""
    monkeypatch.delenv("SAPPHIRE_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_nearest_folder_upward_is_the_workspace(nowhere, monkeypatch):
    inner = nowhere / "outer" / "inner" / "notebooks"
    inner.mkdir(parents=True)
    (nowhere / "outer" / "sapphire.toml").touch()
    monkeypatch.chdir(inner)
    assert workspace() == nowhere / "outer"
    assert home() == nowhere / "outer" / ".sapphire"
    (nowhere / "outer" / "inner" / "sapphire.toml").touch()
    assert workspace() == nowhere / "outer" / "inner"


def test_the_variable_wins_and_is_read_at_every_call(nowhere, monkeypatch):
    (nowhere / "sapphire.toml").touch()
    monkeypatch.setenv("SAPPHIRE_HOME", str(nowhere / "a"))
    assert home() == nowhere / "a"
    monkeypatch.setenv("SAPPHIRE_HOME", "b")
    assert home() == nowhere / "b"
    monkeypatch.setenv("SAPPHIRE_HOME", "")
    assert home() == nowhere / ".sapphire"


def test_outside_of_a_workspace_it_says_what_to_do(nowhere):
    with pytest.raises(ConfigError, match="not inside a workspace") as refused:
        home()
    assert "sapphire new FOLDER" in refused.value.next
    assert "SAPPHIRE_HOME" in refused.value.next


def test_looking_up_makes_nothing(nowhere, monkeypatch):
    monkeypatch.setenv("SAPPHIRE_HOME", str(nowhere / "state"))
    home()
    assert not (nowhere / "state").exists()


def test_the_engine_is_found_or_says_how_to_make_it():
    assert load_engine().engine_version()
    blocked = (
        "import sys; sys.modules['sapphire_engine'] = None\n"
        "from sapphire.domain import EngineMissing\nfrom sapphire.domain.engine import load_engine\n"
        "try: load_engine()\nexcept EngineMissing as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", blocked], env={**os.environ}, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(EngineMissing.__name__)
    assert "next:     make engine" in done.stdout
