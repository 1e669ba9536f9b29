"""The verb `sapphire mlflow`: the pages of a state folder, or the server of a team; and the users of such a server."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sapphire.stack.commands.command_line import say

if TYPE_CHECKING:
    from sapphire.registry.team.roles import Role
    from sapphire.registry.team.users import User

__all__ = ["mlflow"]

mlflow = typer.Typer(invoke_without_command=True, rich_markup_mode=None)

_Named = Annotated[
    list[str] | None, typer.Option(help="NAME=FILE with the password; may be said again.", metavar="NAME=FILE")
]


@mlflow.callback()
def pages(
    context: typer.Context,
    port: Annotated[int, typer.Option(help="Where it listens; 0 takes a free port.", min=0, max=65_535)] = 0,
    bind: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
) -> None:
    """Serve MLflow until interrupted: the pages of this state folder, or the server that a team shares.

    A team's has users and roles and is on PostgreSQL, which MLFLOW_BACKEND_STORE_URI names, or a file that
    MLFLOW_BACKEND_STORE_URI_FILE names; mlflow/server says more. Where MLFLOW_TRACKING_URI names a server, what waits
    here is delivered to it, and nothing is served.

    Example: sapphire mlflow --port 5000
    """
    if context.invoked_subcommand is not None:
        return
    from sapphire.domain.workspace import home
    from sapphire.registry.team import TeamServer
    from sapphire.registry.tracking import Outbox, Tracking, models_page
    from sapphire.serving.ports import free_port

    shown = f"[{bind}]" if ":" in bind else bind
    team = TeamServer.read(home())
    if team is not None:
        from sapphire.registry.team.serving import serve as serve_team

        port = free_port(port)
        say(f"MLflow on {team.place} is at {models_page(f'http://{shown}:{port}')} in half a minute; ctrl-c ends it")
        say("next: MLFLOW_TRACKING_URI, and sapphire mlflow users")
        serve_team(team, port=port, bind=bind)
        return
    from sapphire.registry.tracking.serving import serve

    tracking, outbox = Tracking.of(home(), os.environ), Outbox.of(home())
    if tracking.uri.startswith("http"):
        delivered = outbox.deliver()
        say(f"{delivered:,} pages delivered, {outbox.waiting:,} wait; next: open {models_page(tracking.uri)}")
        if outbox.waiting:
            raise typer.Exit(1)
        return
    port = free_port(port)
    say(f"MLflow's pages are at {models_page(f'http://{shown}:{port}')} in a few seconds; ctrl-c ends them")
    serve(tracking.home, tracking.uri, port=port, bind=bind)


@mlflow.command()
def users(
    quant: _Named = None,
    promoter: _Named = None,
    reader: _Named = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout and nothing else.")] = False,
) -> None:
    """Make users of a team's MLflow, give them roles, and list them; said again, nothing changes.

    quant writes all but paper.* and live.*, promoter these too, reader nothing. MLFLOW_TRACKING_URI names the server,
    MLFLOW_TRACKING_USERNAME its administrator (admin), MLFLOW_TRACKING_PASSWORD or MLFLOW_TRACKING_PASSWORD_FILE the
    password. Files with passwords can be read by their owner alone (0600).

    Example: sapphire mlflow users --quant anna=anna.password --promoter desk=desk.password --reader grafana=g.password
    """
    from sapphire.domain.workspace import home
    from sapphire.registry.team import TeamUsers
    from sapphire.registry.tracking import Tracking

    wanted = [*_users("quant", quant), *_users("promoter", promoter), *_users("reader", reader)]
    team = TeamUsers.of(Tracking.of(home(), os.environ))
    changed = team.provide(wanted)
    found = team.all()
    if as_json:
        roles = [{"user": name, "role": role} for name, role in found]
        sys.stdout.write(json.dumps({"changed": changed, "users": roles}, sort_keys=True) + "\n")
        return
    sys.stdout.write("".join(f"{name:<24}{role}\n" for name, role in found))
    say("; ".join(changed) or "nothing changed")
    say("next: each user sets MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD_FILE")


def _users(role: Role, named: list[str] | None) -> Iterator[User]:
    from sapphire.domain.errors import ConfigError
    from sapphire.registry.team.users import User
    from sapphire.telemetry.secret_files import read_secret

    for word in named or ():
        name, found, file = word.partition("=")
        if not (name and found and file):
            raise ConfigError(
                f"--{role} names no user", expected="NAME=FILE, a file with the password", got="another word"
            )
        path = Path(file).expanduser()
        password = read_secret(path, absent=f"no password of {name}", next=f"write it, then chmod 600 {path}").strip()
        yield User(name, role, password)
