"""The verbs `sapphire part`: one part of a deployment, alone in its container, from the plan that all parts share."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sapphire.stack.commands.command_line import AsJson, say

if TYPE_CHECKING:
    from sapphire.stack.pods import Pod

__all__ = ["part"]

part = typer.Typer(
    name="part",
    help="One part of a deployment, as a container runs it: settings from the plan, passwords from files of secrets.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

_Plan = Annotated[Path, typer.Option("--plan", help="The plan file of the deployment (POD_PLAN@1).")]
_Account = Annotated[str, typer.Option("--account", help="One of the plan's accounts.")]


def _pod(plan: Path) -> Pod:
    from sapphire.stack.pods import Pod, PodPlan

    return Pod.of(PodPlan.read(plan))


@part.command()
def collector(plan: _Plan) -> None:
    """Follow closed bars, and put them on the bus, until told to end.

    Example: sapphire part collector --plan plan.json
    """
    from sapphire.stack.part import collect
    from sapphire.telemetry.streams import COLLECTOR

    config = _pod(plan).collector().configured(COLLECTOR).overridden(COLLECTOR, os.environ)
    raise typer.Exit(collect(config))


@part.command()
def coordinator(plan: _Plan, account: _Account) -> None:
    """Decide at each closed bar for an account, until told to end. It brings its release from the place.

    Example: sapphire part coordinator --account paper --plan plan.json
    """
    from sapphire.stack.part import coordinate
    from sapphire.telemetry.streams import COORDINATOR

    pod = _pod(plan)
    config = pod.coordinator(account).configured(COORDINATOR).overridden(COORDINATOR, os.environ)
    raise typer.Exit(coordinate(config, fits=lambda manifest: pod.require_fits(account, manifest)))


@part.command()
def trimmer(plan: _Plan, account: _Account) -> None:
    """Trim an account's streams behind those who read them, until told to end.

    Example: sapphire part trimmer --account paper --plan plan.json
    """
    from sapphire.execution.bus_users import TRIMMER
    from sapphire.stack.pods.trimmer import trim_as_a_part

    config = _pod(plan).trimmer(account).overridden(TRIMMER, os.environ)
    raise typer.Exit(trim_as_a_part(config))


@part.command()
def notices(plan: _Plan, account: _Account) -> None:
    """Tell the receivers of `[notify]` what becomes of an account's orders, until told to end.

    Example: sapphire part notices --account paper --plan plan.json
    """
    from sapphire.execution.bus_users import NOTICES
    from sapphire.stack.notices.part import tell_notices

    raise typer.Exit(tell_notices(_pod(plan).notices(account).configured(NOTICES).overridden(NOTICES, os.environ)))


@part.command()
def service(
    plan: _Plan,
    account: _Account,
    settings: Annotated[Path, typer.Option("--settings", help="Where the engine's settings file is written.")],
) -> None:
    """Bring an account's release with its evidence, verify it, and write what the engine's service is told.

    It ends then: `service run --config SETTINGS` trades. While that runs, `sapphire places watch RELEASE` keeps
    evidence and revocations current in the same state folder.

    Example: sapphire part service --account paper --plan plan.json --settings service.json
    """
    from dataclasses import replace

    from sapphire.serving.admission import admit

    pod = _pod(plan)
    about = replace(pod.serving(pod.plan.account(account).agent), bars_url="")
    admitted = admit(about)
    pod.require_fits(account, admitted.manifest)
    made = pod.service(account, admitted.manifest)
    made.folder.mkdir(parents=True, exist_ok=True)
    made.write(settings)
    say(f"release {about.release[:12]} is in {pod.home}, and the service of {account} is told of it in {settings}")


@part.command()
def agent(
    plan: _Plan,
    name: Annotated[str, typer.Option("--agent", help="One of the plan's agents.")],
    as_json: AsJson = False,
) -> None:
    """Show the environment that the server of an agent's release needs: NAME=VALUE, one a line. No secret is in it.

    Example: sapphire part agent --agent trend --plan plan.json
    """
    variables = _pod(plan).serving_variables(name)
    lines = "\n".join(f"{variable}={value}" for variable, value in variables.items())
    sys.stdout.write((json.dumps(variables, indent=1) if as_json else lines) + "\n")


@part.command()
def exchange(plan: _Plan, as_json: AsJson = False) -> None:
    """Show the arguments of the exchange, one a line: its image has no Python, so a chart says them itself.

    Example: sapphire part exchange --plan plan.json --json
    """
    from sapphire.stack.pods import exchange_words

    pod = _pod(plan)
    words = exchange_words(pod.plan, home=pod.home, secrets=pod.secrets)
    sys.stdout.write((json.dumps(words) if as_json else "\n".join(words)) + "\n")
