"""A new workspace: an agent, its test, a study and the reports, each of which runs as it stands.

The files are templates of this package, whole and valid themselves; only the names in them are put in.
"""

from __future__ import annotations

import keyword
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from sapphire.domain.errors import AgentError, ConfigError
from sapphire.domain.workspace import MARKER

__all__ = ["AGENT", "MadeWorkspace", "make_workspace"]

AGENT = "momentum"
"""Name of the agent in the templates, and of the one that is made unless another is named."""

_RENAMED = {"gitignore": ".gitignore", "settings.toml": MARKER}
"""Files that would mean something where the templates lie."""
_MAY_BE_THERE = frozenset({".git"})
_FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]*")
_OWN_WORDS = frozenset({"Agent", "View", "Window", "Bars", "ViewPanel"})
"""Names that the agent's file imports."""


@dataclass(frozen=True, slots=True)
class MadeWorkspace:
    """A workspace that was made.

    Parameters
    ----------
    folder : of it; absolute.
    agent : name of its agent.
    files : paths below it.
    """

    folder: Path
    agent: str
    files: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Stable keys, for `--json`."""
        return {"workspace": str(self.folder), "agent": self.agent, "files": list(self.files)}


def make_workspace(folder: Path, agent: str = AGENT) -> MadeWorkspace:
    """Make a workspace in a folder that is not there, or has nothing but a `.git` in it.

    Parameters
    ----------
    agent : what its agent is called: "mean_reversion"; its class is MeanReversion then.

    Raises
    ------
    ConfigError : the folder holds something, has a name that is none, or cannot be written; nothing is left behind.
    AgentError : not a name for an agent.
    """
    from sapphire.lab.cells import agent_path

    place = folder.expanduser().absolute()
    _require_empty(place)
    stem = agent_path(agent, place).stem
    name = "".join(part.capitalize() for part in stem.split("_"))
    if name in _OWN_WORDS or keyword.iskeyword(name):
        raise AgentError(f"the name {stem} is taken", expected="a name of its own", got=f"{name} as its class")
    texts = {
        path.replace(AGENT, stem): _named(text, workspace=place.name, agent=stem, class_name=name)
        for path, text in _below(files("sapphire.lab") / "templates", "")
    }
    texts |= dict(_below(files("sapphire.monitoring") / "templates", "notebooks/reports/"))
    _write(place, texts)
    return MadeWorkspace(place, stem, tuple(sorted(texts)))


def _require_empty(place: Path) -> None:
    if not _FOLDER.fullmatch(place.name):
        raise ConfigError(
            "not a name for a workspace",
            expected="letters, digits, spaces, dots and dashes, such as my-desk",
            got=repr(place.name),
            next="give another name",
        )
    try:
        there = sorted(path.name for path in place.iterdir() if path.name not in _MAY_BE_THERE)
    except FileNotFoundError:
        return
    except OSError as error:
        raise ConfigError(f"{place} cannot be a workspace", expected="a folder", got=str(error.strerror)) from None
    if there:
        raise ConfigError(
            f"{place} is not empty",
            expected="a new or empty folder",
            got=", ".join(there[:5]) + (", ..." if len(there) > 5 else ""),
            next="give another name",
        )


def _below(folder: Traversable, before: str) -> Iterator[tuple[str, str]]:
    """Path in the workspace to text, of every template in a folder."""
    for entry in sorted(folder.iterdir(), key=lambda each: each.name):
        if entry.is_dir():
            if entry.name != "__pycache__":
                yield from _below(entry, f"{before}{entry.name}/")
        else:
            yield before + _RENAMED.get(entry.name, entry.name), entry.read_text("utf-8")


def _named(text: str, *, workspace: str, agent: str, class_name: str) -> str:
    """A template with the names of this workspace in it."""
    named = text.replace("{workspace}", workspace)
    return named.replace(AGENT, agent).replace(AGENT.capitalize(), class_name)


def _write(place: Path, texts: dict[str, str]) -> None:
    """All of the files, or none."""
    was_there = place.is_dir()
    try:
        for path, text in texts.items():
            (place / path).parent.mkdir(parents=True, exist_ok=True)
            (place / path).write_text(text, encoding="utf-8")
    except OSError as error:
        if not was_there:
            shutil.rmtree(place, ignore_errors=True)
        else:
            for path in texts:
                top = place / path.split("/")[0]
                shutil.rmtree(top, ignore_errors=True) if top.is_dir() else top.unlink(missing_ok=True)
        raise ConfigError(
            f"{place} could not be written", expected="a folder that takes files", got=str(error), next="see its rights"
        ) from None
