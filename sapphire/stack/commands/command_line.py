"""What the verbs of the stack share: their options, and how they speak.

With `--json` one object stands on stdout and nothing else; progress and prose go to stderr.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["AccountOption", "AsJson", "Limit", "RunOption", "again", "put", "run_folder", "say"]

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout and nothing else.")]
RunOption = Annotated[
    Path | None, typer.Option("--run", help="Run folder; $SAPPHIRE_HOME/stack unless given. The demo's is demo/run.")
]
AccountOption = Annotated[
    str | None, typer.Option("--account", help="An account of the stack. [the one that it began with]")
]
Limit = Annotated[int, typer.Option(min=1, help="The latest so many.")]


def run_folder(run: Path | None, account: str | None = None) -> Path:
    """The run folder that is meant, that of the stack's first account unless another is named; absolute.

    Raises
    ------
    ValueRefused : not the name of an account.
    """
    from sapphire.domain.workspace import home
    from sapphire.stack.folders import RunFolder
    from sapphire.stack.plan import FIRST_ACCOUNT

    first = RunFolder(run.expanduser().absolute() if run is not None else home() / "stack")
    return first.path if account in (None, FIRST_ACCOUNT) else first.of_account(account).path


def again(run: Path | None, account: str | None = None) -> str:
    """The words that name the same run folder and account in the next command; empty for the usual ones."""
    words = f" --run {run}" if run is not None else ""
    return words if account is None else f"{words} --account {account}"


def put(content: Mapping[str, Any], *, as_json: bool) -> None:
    """The object on stdout, where it is asked for."""
    if as_json:
        sys.stdout.write(json.dumps(content, sort_keys=True) + "\n")


def say(text: str) -> None:
    """A line for people, on stderr."""
    sys.stderr.write(f"  {text}\n")
