"""The verb `sapphire report pods`: a report on an account of the cluster, from the volumes of its parts."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from sapphire.stack.commands.command_line import AsJson, say

__all__ = ["report_pods"]


def report_pods(
    name: Annotated[str, typer.Argument(help="A report, as `sapphire report list` names it.")],
    account: Annotated[str, typer.Option(help="An account of the plan.")],
    plan: Annotated[Path, typer.Option(help="The plan of the environment.")],
    engine: Annotated[Path, typer.Option(help="Where the engine's volume is mounted.")],
    coordinator: Annotated[Path, typer.Option(help="Where the coordinator's volume is mounted.")],
    day: Annotated[str | None, typer.Option("--day", help="A UTC day such as 2025-03-07. [its last]")] = None,
    as_json: AsJson = False,
) -> None:
    """Render a report on an account that trades in pods, and keep its page and its paper days in the place.

    Example: sapphire report pods daily --account paper --plan plan.json --engine /mnt/e --coordinator /mnt/c
    """
    from sapphire.monitoring.judging.daily import read_day
    from sapphire.stack.pod_reports import Volumes, rendered_of_pods

    volumes = Volumes(engine.absolute(), coordinator.absolute())
    made, sha256 = rendered_of_pods(name, plan, account, volumes, day=None if day is None else read_day(day))
    if as_json:
        sys.stdout.write(json.dumps({**made.as_dict(), "sha256": sha256}, sort_keys=True) + "\n")
    where = made.html if sha256 is None else f"sapphire run {made.html.name} --fetch {sha256} --room reports"
    say(f"rendered in {made.seconds:.0f} s: {where}")
