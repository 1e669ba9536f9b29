"""The verb `sapphire mlflow`."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from sapphire.stack.commands.command_line import say

__all__ = ["mlflow"]


def mlflow(
    port: Annotated[int, typer.Option(help="Where it listens; 0 takes a free port.", min=0, max=65_535)] = 0,
) -> None:
    """Serve MLflow's pages of this state folder until interrupted: studies, releases, gates.

    Where MLFLOW_TRACKING_URI names a server, what waits here is delivered to it, and nothing is served.

    Example: sapphire mlflow --port 5000
    """
    from sapphire.domain.workspace import home
    from sapphire.registry.tracking import Outbox, Tracking, models_page
    from sapphire.registry.tracking.serving import serve
    from sapphire.serving.ports import LOCAL, free_port

    tracking, outbox = Tracking.of(home(), os.environ), Outbox.of(home())
    if tracking.uri.startswith("http"):
        delivered = outbox.deliver()
        say(f"{delivered:,} pages delivered, {outbox.waiting:,} wait; next: open {models_page(tracking.uri)}")
        if outbox.waiting:
            raise typer.Exit(1)
        return
    port = free_port(port)
    say(f"MLflow's pages are at {models_page(f'http://{LOCAL}:{port}')} in a few seconds; ctrl-c ends them")
    serve(tracking.home, tracking.uri, port=port)
