"""`make test` and `make check` run their Python and their Rust half beside each other, and lose the failure of neither.

The Makefile is the real one; the tools are scripts that say their name and end as they are told to.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHON_TOOLS = ("python", "ruff", "mypy", "lint-imports", "nbstripout")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A checkout in which everything counts as installed and built."""
    folder = tmp_path / "tree"
    engine = folder / "sapphire" / "execution" / "engine"
    built = engine / "target" / "release"
    built.mkdir(parents=True)
    (engine / "Cargo.toml").write_text("[workspace]\n")
    for name in ("Makefile", "pyproject.toml", *(path.name for path in ROOT.glob("requirements*.lock"))):
        shutil.copy(ROOT / name, folder / name)
    chart = folder / "tests" / "deploy" / "chart"
    chart.mkdir(parents=True)
    for name in ("checkov.lock", "package.json", "package-lock.json"):
        shutil.copy(ROOT / "tests" / "deploy" / "chart" / name, chart / name)
    (folder / ".venv" / "bin").mkdir(parents=True)
    for stamp in (".build", ".packages", ".dev", ".sapphire", ".engine", ".checkov", ".custom-resources"):
        (folder / ".venv" / stamp).touch()
    (built / ".built").touch()
    return folder


def tool(path: Path, *, fails_at: str | None) -> None:
    """A script that says how it was called, on both of its outputs, and fails where a word of the call is given."""
    fails = f'case "$*" in *"{fails_at}"*) exit 3;; esac\n' if fails_at is not None else ""
    name = path.name
    path.write_text(
        f'#!/bin/sh\necho "{name} says: $*"\necho "{name} complains: $*" >&2\n'
        f'[ -z "$MAKEFLAGS" ] || echo "{name} is told of make: $MAKEFLAGS"\n'
        f'[ -z "$PYTHONDONTWRITEBYTECODE" ] || echo "{name} compiles all libraries again"\n{fails}'
    )
    path.chmod(0o755)


def made(tree: Path, target: str, *, python_fails: str | None, cargo_fails: str | None) -> subprocess.CompletedProcess:
    """`make TARGET` with these tools."""
    for name in PYTHON_TOOLS:
        tool(tree / ".venv" / "bin" / name, fails_at=python_fails)
    tools = tree.parent / "bin"
    tools.mkdir()
    tool(tools / "cargo", fails_at=cargo_fails)
    environment = os.environ | {"PATH": f"{tools}:{os.environ['PATH']}", "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("MAKEFLAGS", None)
    return subprocess.run(["make", target], cwd=tree, env=environment, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("target", "python_fails", "cargo_fails"),
    [
        ("test", None, None),
        ("test", "-m pytest", None),
        ("test", None, "--no-fail-fast"),
        ("test", "-m pytest", "--no-fail-fast"),
        ("check", None, None),
        ("check", "generate --check", None),
        ("check", None, "clippy"),
        ("check", None, "doc"),
    ],
)
def test_both_halves_are_run_and_shown_and_either_fails_the_whole(
    tree: Path, target: str, python_fails: str | None, cargo_fails: str | None
) -> None:
    done = made(tree, target, python_fails=python_fails, cargo_fails=cargo_fails)
    assert done.returncode == (0 if python_fails is cargo_fails is None else 2), done.stderr
    output = done.stdout + done.stderr
    assert "compiles all libraries again" not in output
    assert target == "check" or "jobserver" not in output, (
        "cargo and a test's own make have nothing to do with this one"
    )
    if target == "test":
        calls = ("python", "-m pytest"), ("cargo", "test --workspace --exclude sapphire-engine --quiet --no-fail-fast")
    else:
        calls = ("python", "generate --check"), ("cargo", "clippy")
    for name, call in calls:
        for voice in ("says", "complains"):
            assert [line for line in output.splitlines() if line.startswith(f"{name} {voice}:") and call in line]


def test_rust_that_does_not_compile_fails_the_whole_and_pytest_is_run(tree: Path) -> None:
    done = made(tree, "test", python_fails=None, cargo_fails="--no-run")
    assert done.returncode == 2, done.stderr
    output = done.stdout + done.stderr
    assert "cargo complains: test --workspace --exclude sapphire-engine --quiet --no-run" in output
    assert "python says: -m pytest" in output
    assert "--no-fail-fast" not in output
