"""The lock is compared with what is installed, and the code that ran with the commit, byte for byte."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sapphire.registry import git_state, lock_state
from sapphire.registry.installed_files import strange_files

LOCK = """# made by a tool
numpy==2.4.0 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
Typing_Extensions==4.15.0
colorama==0.4.6 ; sys_platform == "win32"
    # via numpy==1.0
"""
INSTALLED = {"numpy": "2.4.0", "typing-extensions": "4.15.0", "sapphire": "0.1.0", "sapphire-engine": "0.1.0"}


@pytest.fixture
def locked(tmp_path: Path) -> Path:
    (tmp_path / "requirements.lock").write_text(LOCK)
    return tmp_path


def test_what_is_installed_as_the_lock_says_differs_in_nothing(locked: Path) -> None:
    found = lock_state(locked, installed=INSTALLED)
    assert (found.differs, found.beside) == ((), ())
    assert found.pinned == {"numpy", "typing-extensions", "colorama"}


def test_another_numpy_is_named(locked: Path) -> None:
    found = lock_state(locked, installed=INSTALLED | {"numpy": "2.4.1"})
    assert found.differs == ("numpy 2.4.1, not 2.4.0",)


def test_what_is_missing_and_what_stands_beside_it_is_named(locked: Path) -> None:
    found = lock_state(locked, installed={"numpy": "2.4.0", "pytest": "9.2.0"})
    assert found.differs == ("typing-extensions not installed, not 4.15.0",)
    assert found.beside == ("pytest",)


def test_the_lock_of_the_repository_is_what_is_installed_here() -> None:
    found = lock_state(Path(__file__).parents[3])
    assert found.differs == ()
    assert {"pytest", "ruff"} <= set(found.beside)
    assert "sapphire" not in found.beside


def test_without_a_lock_what_is_installed_is_the_lock(tmp_path: Path) -> None:
    one, other = (lock_state(tmp_path, installed=INSTALLED | {"numpy": version}) for version in ("2.4.0", "2.4.1"))
    assert one.sha256 != other.sha256
    assert one.differs == ()
    assert "numpy" in one.pinned


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A folder with one installed distribution."""
    (tmp_path / "quant").mkdir()
    (tmp_path / "quant" / "core.py").write_text("fast = 12\n")
    about = tmp_path / "quant-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: quant\nVersion: 1.0\n")
    lines = ["quant/core.py,,10", "quant-1.0.dist-info/METADATA,,", "quant-1.0.dist-info/RECORD,,"]
    (about / "RECORD").write_text("\n".join(lines) + "\n")
    (tmp_path / "quant" / "__pycache__").mkdir()
    (tmp_path / "quant" / "__pycache__" / "core.cpython-311.pyc").write_bytes(b"cache")
    return tmp_path


def test_what_was_installed_is_not_strange(packages: Path) -> None:
    assert strange_files(str(packages)) == ()
    assert strange_files() == (), "nor is anything here"


def test_prices_planted_among_the_packages_are_named(packages: Path) -> None:
    (packages / "quant" / "prices.csv").write_text("42000\n")
    (packages / "quant" / "core.py").write_text("fast = 120\n")
    assert strange_files(str(packages)) == (
        "quant/core.py, 11 bytes and not 10",
        "quant/prices.csv, of no distribution",
    )


@pytest.mark.parametrize("top_level", [None, "quant\nquant_more\n"])
def test_packages_without_a_list_of_their_files_are_not_judged_and_the_rest_is(
    packages: Path, monkeypatch: pytest.MonkeyPatch, top_level: str | None
) -> None:
    about = packages / "quant-1.0.dist-info"
    (about / "RECORD").unlink()
    if top_level is not None:
        (about / "top_level.txt").write_text(top_level)
        (packages / "quant_more.py").write_text("slow = 48\n")
    (packages / "quant" / "more.py").write_text("slow = 48\n")
    (packages / "prices.csv").write_text("42000\n")
    monkeypatch.setattr("sys.prefix", sys.base_prefix)
    assert strange_files(str(packages)) == ("prices.csv, of no distribution",)
    monkeypatch.setattr("sys.prefix", str(packages))
    assert strange_files(str(packages)) == (
        "prices.csv, of no distribution",
        "quant 1.0, a distribution without a list of its files",
    )


def test_a_link_that_leads_nowhere_is_named(packages: Path) -> None:
    (packages / "prices.csv").symlink_to(packages / "nowhere")
    assert strange_files(str(packages)) == ("prices.csv, of no distribution",)


def test_what_environments_and_systems_leave_is_not_strange_while_it_is_small(packages: Path) -> None:
    for name in ("_virtualenv.py", "_virtualenv.pth", ".DS_Store", ".lock"):
        (packages / name).write_text("")
    (packages / "_virtualenv.pth").write_text("import _virtualenv")
    assert strange_files(str(packages)) == ()
    (packages / ".lock").write_text("42000\n")
    (packages / "_virtualenv.py").write_text("42000\n" * 2_000)
    (packages / "quant" / ".lock").write_text("")
    (packages / "~uant").mkdir()
    for name in ("prices.csv", "core.py"):
        (packages / "~uant" / name).write_text("42000\n")
    strange = (".lock", "_virtualenv.py", "quant/.lock", "~uant")
    assert strange_files(str(packages)) == tuple(f"{each}, of no distribution" for each in strange)


def test_only_what_is_compiled_of_a_source_is_a_cache(packages: Path) -> None:
    caches = packages / "quant" / "__pycache__"
    for name in ("core.cpython-311-pytest-9.0.0.pyc", "core.fast-1.py311.1.nbc"):
        (caches / name).write_bytes(b"cache")
    assert strange_files(str(packages)) == ()
    (caches / "inner").mkdir()
    strange = ("core.csv", "inner/core.cpython-311.pyc", "prices.cpython-311.pyc")
    for name in strange:
        (caches / name).write_text("42000\n")
    assert strange_files(str(packages)) == tuple(f"quant/__pycache__/{each}, of no distribution" for each in strange)


def git(folder: Path, *words: str) -> str:
    identity = ("-c", "user.name=Quant", "-c", "user.email=quant@example.org", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", *identity, "-C", str(folder), *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    (tmp_path / ".gitignore").write_text("private/\n")
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "trend.py").write_text("fast = 12\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "agent")
    return tmp_path


def test_a_committed_file_is_in_the_commit(tree: Path) -> None:
    agent = tree / "agents" / "trend.py"
    found = git_state(tree, [("trend.py", agent, agent.read_bytes())])
    assert (found.dirty, found.uncommitted) == (False, ())


def test_a_git_ignored_agent_is_not_clean(tree: Path) -> None:
    agent = tree / "private" / "trend.py"
    agent.parent.mkdir()
    agent.write_text("fast = 99\n")
    assert not git_state(tree).dirty
    found = git_state(tree, [("trend.py", agent, agent.read_bytes())])
    assert (found.dirty, found.uncommitted) == (True, ("trend.py",))


@pytest.mark.parametrize("content", [b"fast = 13\n", b"fast = 12\r\n", b"fast = 12"])
def test_what_ran_must_be_the_committed_bytes(tree: Path, content: bytes) -> None:
    found = git_state(tree, [("trend.py", tree / "agents" / "trend.py", content)])
    assert found.uncommitted == ("trend.py",)


def test_code_from_outside_the_tree_or_from_nowhere_is_not_committed(tree: Path, tmp_path_factory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "trend.py"
    elsewhere.write_text("fast = 12\n")
    files = [("elsewhere.py", elsewhere, elsewhere.read_bytes()), ("nowhere.py", None, b"fast = 12\n")]
    assert git_state(tree, files).uncommitted == ("elsewhere.py", "nowhere.py")
