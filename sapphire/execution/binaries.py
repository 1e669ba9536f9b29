"""Where the engine's binaries are."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from sapphire.domain.errors import EngineMissing

__all__ = ["ENGINE_BIN", "engine_binary"]

ENGINE_BIN = "SAPPHIRE_ENGINE_BIN"
"""Environment variable that names the folder with the engine's binaries, where it is not the build's own."""

_RELEASE = Path(__file__).parent / "engine" / "target" / "release"


def engine_binary(name: str, *, environment: Mapping[str, str] | None = None) -> Path:
    """Path of one of the engine's binaries.

    Parameters
    ----------
    name : file name, such as "exchange".
    environment : where `SAPPHIRE_ENGINE_BIN` is looked up; the process's own by default.

    Raises
    ------
    EngineMissing : there is no such executable file; says which command makes it.
    """
    named = (os.environ if environment is None else environment).get(ENGINE_BIN)
    path = Path(named) / name if named else _RELEASE / name
    if not (path.is_file() and os.access(path, os.X_OK)):
        raise EngineMissing(
            f"the engine's binary {name!r} is not there",
            expected=f"an executable file {path}",
            got=f"{ENGINE_BIN}={named}" if named else f"{ENGINE_BIN} is not set, and nothing is built at that place",
            next="make engine",
        )
    return path
