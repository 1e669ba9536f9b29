"""The workspace, its state folder and the user's own folder. The one place that reads `SAPPHIRE_HOME`.

A workspace is any folder with a `sapphire.toml`; it is found from the current folder upward. State (snapshots,
recordings, ledger, journals) lives in `$SAPPHIRE_HOME`, by default `.sapphire/` in the workspace. Both are looked up at
every call, so that two stacks with different homes run side by side and a test can have its own.

What judges a state folder does not lie in it: keys are in the user's configuration folder, which all homes share.

A `sapphire.toml` is read whole and checked (`workspace_settings`) by whoever works in the workspace or asks for a
section. `home` does not: what runs can be looked at and stopped whatever the file says meanwhile.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

from sapphire.domain.errors import ConfigError
from sapphire.domain.workspace_settings import check_settings

__all__ = [
    "CONFIG_VARIABLE",
    "HOME_VARIABLE",
    "MARKER",
    "PART_VARIABLE",
    "config_folder",
    "find_workspace",
    "home",
    "settings",
    "workspace",
]

HOME_VARIABLE = "SAPPHIRE_HOME"
"""Environment variable that names the state folder."""
PART_VARIABLE = "SAPPHIRE_PART"
"""Environment variable by which a part's processes are found again: the stack's folder and the part's name."""
CONFIG_VARIABLE = "XDG_CONFIG_HOME"
"""Environment variable that names the folder of the user's configuration; `~/.config` without it."""
MARKER = "sapphire.toml"
"""The file that makes a folder a workspace."""


def find_workspace() -> Path | None:
    """The nearest folder with a `sapphire.toml`, from the current one upward; None outside of a workspace.

    Raises
    ------
    ConfigError : the file is not TOML, or says what nobody reads.
    """
    folder = _nearest()
    if folder is not None:
        _read(folder)
    return folder


def workspace() -> Path:
    """The nearest folder with a `sapphire.toml`, from the current one upward.

    Raises
    ------
    ConfigError : there is none, or what it says cannot be meant.
    """
    folder = find_workspace()
    if folder is None:
        raise ConfigError(
            "not inside a workspace",
            expected=f"a {MARKER} in this folder or in one above it",
            got=str(Path.cwd()),
            next=f"sapphire new FOLDER, or set {HOME_VARIABLE} to the folder that shall hold the state",
        )
    return folder


def home() -> Path:
    """The state folder: `$SAPPHIRE_HOME`, else `.sapphire/` in the workspace. It may not exist yet.

    Raises
    ------
    ConfigError : the variable is not set and there is no workspace.
    """
    named = os.environ.get(HOME_VARIABLE, "")
    if named:
        return Path(named).expanduser().absolute()
    return (_nearest() or workspace()) / ".sapphire"


def config_folder() -> Path:
    """The user's own folder: `$XDG_CONFIG_HOME/sapphire`, else `~/.config/sapphire`. It may not exist yet."""
    named = os.environ.get(CONFIG_VARIABLE, "")
    return (Path(named) if named else Path.home() / ".config").expanduser().absolute() / "sapphire"


def settings(section: str) -> tuple[dict[str, Any], Path]:
    """A section of the workspace's `sapphire.toml`, and the folder it stands in; empty outside a workspace.

    Raises
    ------
    ConfigError : the file is not TOML, or says what nobody reads, in this section or in another.
    """
    folder = _nearest()
    if folder is None:
        return {}, Path.cwd()
    found: dict[str, Any] = _read(folder).get(section, {})
    return found, folder


def _nearest() -> Path | None:
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / MARKER).is_file()), None)


def _read(folder: Path) -> dict[str, Any]:
    """All of the file, checked."""
    path = folder / MARKER
    try:
        found = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{MARKER} is not TOML", expected="key = value", got=str(error), next=f"see {path}") from None
    check_settings(found, str(path))
    return found
