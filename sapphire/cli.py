"""The `sapphire` command: the same verbs as the notebooks.

In:    words on a command line.
Out:   what the verb made and where to look next on stderr; with `--json` one object on stdout and nothing else.
Never: decides anything. A verb calls its room and shows what came back.
Exit codes: 0 done, 1 refused or failed, 2 wrong usage.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from sapphire import __version__
from sapphire.agents.commands import app as agent
from sapphire.agents.llm.commands import app as models
from sapphire.data.commands import app as data
from sapphire.domain.errors import ConfigError, SapphireError
from sapphire.domain.workspace import find_workspace, home
from sapphire.execution.commands import exchange, round_trip
from sapphire.lab.commands import demo, new, run
from sapphire.monitoring.commands import report, trace
from sapphire.registry.commands import gates, promote, releases, revoke, rollback
from sapphire.research.commands import app as study
from sapphire.serving.commands import serve
from sapphire.serving.weights_commands import app as weights
from sapphire.stack.commands.decisions import decisions
from sapphire.stack.commands.journal import journal
from sapphire.stack.commands.logs import logs
from sapphire.stack.commands.mlflow_pages import mlflow
from sapphire.stack.commands.notify import notify
from sapphire.stack.commands.part import part
from sapphire.stack.commands.places import places
from sapphire.stack.commands.pod_reports import report_pods
from sapphire.stack.commands.secrets import secrets
from sapphire.stack.commands.status import status
from sapphire.stack.commands.trading import close, fills, flatten, halt, orders, positions, resume
from sapphire.stack.commands.up_and_down import down, up

app = typer.Typer(
    name="sapphire",
    help="Crypto trading agents from a notebook to production, decided by one engine all the way.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)
_STACK: tuple[Callable[..., None], ...] = (up, status, logs, down, demo, new, run, exchange, round_trip)
_REGISTRY: tuple[Callable[..., None], ...] = (releases, gates, promote, rollback, revoke, serve)
_TRADING: tuple[Callable[..., None], ...] = (positions, orders, fills, decisions, halt, flatten, close, resume, trace)
for _verb in _STACK + _REGISTRY + _TRADING:
    app.command(_verb.__name__.replace("_", "-"))(_verb)
_GROUPS = {
    "data": data,
    "agent": agent,
    "study": study,
    "journal": journal,
    "report": report,
    "notify": notify,
    "places": places,
    "mlflow": mlflow,
    "models": models,
    "part": part,
    "secrets": secrets,
    "weights": weights,
}
report.command("pods")(report_pods)
for _name, _verbs in _GROUPS.items():
    app.add_typer(_verbs, name=_name)


def _show_version(wanted: bool) -> None:  # noqa: FBT001
    """Print the version and end, where that is what was asked for."""
    if wanted:
        sys.stdout.write(f"sapphire {__version__}\n")
        raise typer.Exit


@app.callback()
def _before(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Crypto trading agents from a notebook to production, decided by one engine all the way."""


def _ccxt_config(url: str) -> dict[str, Any]:
    """What the data room is handed to reach the embedded exchange."""
    from sapphire.execution.ccxt_settings import ccxt_config

    return ccxt_config(url, url.replace("http", "ws", 1))


def _registry(home: Path) -> Any:
    """What the registry's verbs are handed: the registry of a state folder.

    It has the trial ledger to count on, and the journals to compare recorded paper days with.
    """
    from sapphire.monitoring.judging.days_on_paper import witnessed_registry

    return witnessed_registry(home)


_HANDED: dict[str, Any] = {"ccxt_config": _ccxt_config, "registry": _registry}
"""What lower rooms are handed from higher ones."""


_WHATEVER_IT_SAYS = (
    "new",
    "status",
    "logs",
    "down",
    "positions",
    "orders",
    "fills",
    "halt",
    "flatten",
    "close",
    "resume",
    "journal",
    "decisions",
)
"""Verbs that look at what runs or stop it: settings that cannot be meant are told, and stand in nobody's way."""


def _check_settings(words: Sequence[str]) -> None:
    """Refuse a workspace whose settings cannot be meant, before a verb goes to work in it."""
    if not words or words[0].startswith("-") or "--help" in words:
        return
    try:
        find_workspace()
    except ConfigError as error:
        if words[0] not in _WHATEVER_IT_SAYS:
            raise
        sys.stderr.write(f"{error}\n")


def main(words: Sequence[str] | None = None) -> None:
    """Run one verb and leave with its exit code."""
    try:
        _check_settings(sys.argv[1:] if words is None else words)
        app(args=list(words) if words is not None else None, obj=_HANDED)
    except SapphireError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)
    except OSError as error:
        from sapphire.data.durable import full_disk

        full = full_disk(error, Path(error.filename) if error.filename else home())
        if full is None:
            raise
        sys.stderr.write(f"{full}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
