"""Finding runs in a state folder."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from sapphire.domain.errors import MissingData

__all__ = ["RUN_FOLDERS", "latest_run", "run_folders", "run_of"]

RUN_FOLDERS = ("stack", "demo/run")
"""Where runs lie in the state folder: what `sapphire up` and `sapphire demo` make."""

ACCOUNTS = "accounts"
"""Where the runs of accounts lie that joined a stack, in its own folder."""


def run_folders(home: Path) -> list[Path]:
    """The runs in a state folder, those of accounts that joined another behind it."""
    stacks = [home / folder for folder in RUN_FOLDERS]
    there = [run for stack in stacks for run in (stack, *sorted((stack / ACCOUNTS).glob("*")))]
    return [run for run in there if (run / "stack.json").is_file()]


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


def run_of(where: Path, account: str) -> Path:
    """The run folder of an account.

    Parameters
    ----------
    where : a state folder, or the run folder of the stack that it trades on.

    Raises
    ------
    MissingData : no account of that name ran there.
    """
    folders = run_folders(where) if not (where / "stack.json").is_file() else [where, *(where / ACCOUNTS).glob("*")]
    named: dict[str, Path] = {}
    for folder in folders:
        with contextlib.suppress(OSError, ValueError):
            named.setdefault(str(json.loads((folder / "stack.json").read_bytes()).get("account")), folder)
    if account not in named:
        raise MissingData(
            f"no account {account} ran here",
            expected="one of " + (", ".join(named) or "none: nothing ran yet"),
            got=account,
            next="sapphire status lists the accounts of a stack",
        )
    return named[account]
