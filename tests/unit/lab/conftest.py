"""A workspace of its own for each test, and a real shell."""

import pytest


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """An empty workspace, and the current folder in it."""
    (tmp_path / "sapphire.toml").write_text('name = "desk"\n')
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    return tmp_path
