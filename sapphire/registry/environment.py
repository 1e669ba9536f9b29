"""The environment of evidence: whether what is installed is what the lock says, and whether the code is committed.

Both are measured where the evidence is made. A lock names every distribution with its version; what is installed beside
it, the platform itself and tools for working on it, is named as well.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from sapphire.registry.installed_files import strange_files

__all__ = ["GitState", "LockState", "git_state", "lock_state"]

LOCK_FILE = "requirements.lock"
"""Name of the lock in a workspace."""

_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\]+)[ \t]*(;?)", re.MULTILINE)
_PLATFORM = ("sapphire", "sapphire-engine")
_GIT_SECONDS = 20


@dataclass(frozen=True, slots=True)
class LockState:
    """What is installed, against a lock.

    Parameters
    ----------
    sha256 : of the lock file; of the list of installed distributions where there is none.
    pinned : names of the distributions that the lock has.
    differs : those that are not installed as the lock says, "numpy 2.4.0, not 2.4.1", and files among the installed
        packages that were not installed (`installed_files`).
    beside : what is installed and not in the lock.
    """

    sha256: str
    pinned: frozenset[str]
    differs: tuple[str, ...]
    beside: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GitState:
    """What version control says of a folder.

    Parameters
    ----------
    commit : 40 hexadecimal digits; empty where there is none.
    dirty : whether anything differs from the commit, new files included; true without a commit.
    uncommitted : the files that were asked about and are not in the commit byte for byte.
    """

    commit: str
    dirty: bool
    uncommitted: tuple[str, ...] = ()


def lock_state(folder: Path, *, installed: Mapping[str, str] | None = None) -> LockState:
    """Compare what is installed with the lock of a workspace.

    Parameters
    ----------
    folder : the workspace. Where it has no `requirements.lock`, the installed distributions are the lock.
    installed : distribution to version; those of this interpreter unless given.
    """
    there = {_plain(name): version for name, version in (installed or _installed()).items()}
    strange = strange_files() if installed is None else ()
    lock = folder / LOCK_FILE
    if not lock.is_file():
        listed = sorted(f"{name}=={version}" for name, version in there.items())
        return LockState(hashlib.sha256("\n".join(listed).encode()).hexdigest(), frozenset(there), strange, ())
    data = lock.read_bytes()
    lines = [(_plain(name), version, bool(marker)) for name, version, marker in _PIN.findall(data.decode())]
    pins = {name for name, _, _ in lines}
    differs = [
        f"{name} {there.get(name, 'not installed')}, not {version}"
        for name, version, conditional in sorted(lines)
        # a line for another platform stands in the lock and is not installed here
        if there.get(name) != version and not (conditional and name not in there)
    ]
    beside = sorted(set(there) - pins - set(_PLATFORM))
    return LockState(hashlib.sha256(data).hexdigest(), frozenset(pins), (*differs, *strange), tuple(beside))


def git_state(folder: Path, files: Iterable[tuple[str, Path | None, bytes]] = ()) -> GitState:
    """Commit and cleanness of the working tree that `folder` is in.

    Parameters
    ----------
    files : name, place and content of what ran. Each must lie in the tree's commit with exactly that content; one that
        git ignores or does not know is not committed, and neither is one that lies nowhere.
    """
    commit = (_git(folder, "rev-parse", "--verify", "HEAD") or b"").decode().strip()
    changes = _git(folder, "status", "--porcelain") if commit else None
    missing = tuple(name for name, place, content in files if not commit or _committed(folder, place) != content)
    return GitState(commit, changes != b"" or bool(missing), missing)


def _committed(folder: Path, place: Path | None) -> bytes | None:
    """What the commit of the tree around `folder` holds at a place; None where it holds nothing or lies outside."""
    top = _git(folder, "rev-parse", "--show-toplevel")
    if place is None or top is None:
        return None
    root, inside = Path(top.decode().strip()).resolve(), place.parent.resolve() / place.name
    if not inside.is_relative_to(root):
        return None
    return _git(folder, "cat-file", "blob", f"HEAD:{inside.relative_to(root).as_posix()}")


def _installed() -> dict[str, str]:
    versions: dict[str, str] = {}
    for found in metadata.distributions():
        # The first on the path is the one that is imported; setuptools puts older copies of its own at its end.
        versions.setdefault(found.name, found.version)
    return versions


def _plain(name: str) -> str:
    """A distribution's name as the package index compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _git(folder: Path, *words: str) -> bytes | None:
    """What git prints; None where it refuses, is not there or does not end."""
    try:
        done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, check=True, timeout=_GIT_SECONDS)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
