"""The workspace and its state folder. This module is the one place that reads `SAPPHIRE_HOME`.

A workspace is any folder with a `sapphire.toml`; it is found from the current folder upward. State (snapshots,
recordings, ledger, journals) lives in `$SAPPHIRE_HOME`, by default `.sapphire/` in the workspace. Both are looked up at
every call, so that two stacks with different homes run side by side and a test can have its own.
"""

from __future__ import annotations

import os
from pathlib import Path

from sapphire.domain.errors import ConfigError

__all__ = ["HOME_VARIABLE", "MARKER", "home", "workspace"]

HOME_VARIABLE = "SAPPHIRE_HOME"
"""Environment variable that names the state folder."""
MARKER = "sapphire.toml"
"""The file that makes a folder a workspace."""


def workspace() -> Path:
    """The nearest folder with a `sapphire.toml`, from the current one upward.

    Raises
    ------
    ConfigError : there is none.
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / MARKER).is_file():
            return folder
    raise ConfigError(
        "not inside a workspace",
        expected=f"a {MARKER} in this folder or in one above it",
        got=str(here),
        next=f"sapphire new FOLDER, or set {HOME_VARIABLE} to the folder that shall hold the state",
    )


def home() -> Path:
    """The state folder: `$SAPPHIRE_HOME`, else `.sapphire/` in the workspace. It may not exist yet.

    Raises
    ------
    ConfigError : the variable is not set and there is no workspace.
    """
    named = os.environ.get(HOME_VARIABLE, "")
    return Path(named).expanduser().absolute() if named else workspace() / ".sapphire"
