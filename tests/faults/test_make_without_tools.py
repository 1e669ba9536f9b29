"""`make` without a compiler says what to install, and builds nothing.

The Makefile is the real one, in a folder where the Python packages count as installed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NEEDED = ("bash", "sh", "make", "find", "touch", "env", "python3")
"""What a target asks for before it asks for a compiler."""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The Makefile, an engine of one file, and stamps that say that all packages are there."""
    folder = tmp_path / "tree"
    engine = folder / "sapphire" / "execution" / "engine" / "core"
    engine.mkdir(parents=True)
    (engine / "Cargo.toml").write_text("[package]\n")
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, folder / name)
    for name in ("build", "packages", "dev"):
        lock = "requirements.lock" if name == "packages" else f"requirements-{name}.lock"
        shutil.copy(ROOT / lock, folder / lock)
    (folder / ".venv").mkdir()
    for stamp in ("build", "packages", "dev", "sapphire"):
        (folder / ".venv" / f".{stamp}").touch()
    return folder


def contents(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.mark.parametrize("target", ["engine", "demo", "test", "check", "bench", "lab"])
@pytest.mark.parametrize("missing", ["cargo", "cc"])
def test_make_says_what_is_missing(tree: Path, tmp_path: Path, missing: str, target: str) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in {*NEEDED, "cargo", "cc"} - {missing}:
        found = shutil.which(name)
        assert found, f"{name} is not on this machine"
        (tools / name).symlink_to(found)
    before = contents(tree)
    done = subprocess.run(
        ["make", target], cwd=tree, env=os.environ | {"PATH": str(tools)}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    name = "no C compiler" if missing == "cc" else "cargo not found"
    assert lines[0] == f"make: {name}"
    assert [line.split(":")[0] for line in lines[1:3]] == ["  expected", "  next"]
    assert missing in lines[1]
    assert "install" in lines[2]
    assert contents(tree) == before
