"""The verbs `sapphire secrets`: the files with passwords, keys and tokens that a deployment's containers read."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from sapphire.stack.commands.command_line import AsJson, put, say

__all__ = ["secrets"]

secrets = typer.Typer(
    name="secrets",
    help="The files with secrets of a deployment, a folder for each workload.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@secrets.callback()
def _secrets() -> None:
    """The files with secrets of a deployment, a folder for each workload."""


@secrets.command()
def make(
    folder: Annotated[Path, typer.Argument(help="Where they are drawn: FOLDER/WORKLOAD/NAME, for their owner alone.")],
    plan: Annotated[Path, typer.Option("--plan", help="The plan file of the deployment (POD_PLAN@1).")],
    bucket: Annotated[bool, typer.Option("--bucket", help="Draw keys of an S3 bucket too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Draw every secret that a deployment needs and does not have yet. What is there stays.

    Example: sapphire secrets make secrets --plan plan.json
    """
    from sapphire.stack.pods import PodPlan
    from sapphire.stack.pods.secret_making import make_secrets

    made = make_secrets(folder, PodPlan.read(plan), bucket=bucket)
    for what, names in asdict(made).items():
        if names:
            say(f"{what:<9}  {', '.join(names)}")
    say(f"next: make a Secret of each folder in {folder}; nobody else may read it")
    put(asdict(made), as_json=as_json)
