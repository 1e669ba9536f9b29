"""Finding runs in a state folder."""

from __future__ import annotations

from pathlib import Path

from sapphire.domain.errors import MissingData

__all__ = ["RUN_FOLDERS", "latest_run", "run_folders"]

RUN_FOLDERS = ("stack", "demo/run")
"""Where runs lie in the state folder: what `sapphire up` and `sapphire demo` make."""


def run_folders(home: Path) -> list[Path]:
    """The runs in a state folder."""
    return [home / folder for folder in RUN_FOLDERS if (home / folder / "stack.json").is_file()]


def latest_run(home: Path) -> Path:
    """The run folder that was written to last.

    Raises
    ------
    MissingData : nothing ran yet.
    """
    there = [folder / "stack.json" for folder in run_folders(home)]
    if not there:
        raise MissingData(
            "nothing ran here yet",
            expected=" or ".join(str(home / folder) for folder in RUN_FOLDERS),
            got="neither",
            next="sapphire up, or sapphire demo",
        )
    return max(there, key=lambda path: path.stat().st_mtime_ns).parent
