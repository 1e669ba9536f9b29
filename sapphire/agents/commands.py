"""The `sapphire agent` verbs: which agents there are, and whether they look ahead.

With `--json` one object stands on stdout and nothing else; prose and progress go to stderr.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from sapphire.domain.errors import AgentError, ConfigError

__all__ = ["app"]

app = typer.Typer(
    name="agent",
    help="Agents: list, check for leaks.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

_WIDTH = 100
"""Of tables that no terminal limits."""
_GENERATED: dict[str, Any] = {
    "symbols": ["BTC/USDT", "ETH/USDT"],
    "interval": "1h",
    "start": "2024-01-01",
    "end": "2024-03-31",
    "source": "embedded",
}
"""What an agent is checked on where nobody names a snapshot."""

Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, nothing else.")]
Folder = Annotated[
    Path | None, typer.Option("--agents", help="Folder of agent files; the workspace's agents/ unless stated.")
]


@app.command("list")
def list_command(agents: Folder = None, as_json: Json = False) -> None:
    """List the built-in agents and those of the workspace, with their parameters.

    Example: sapphire agent list
    """
    from rich.console import Console
    from rich.table import Table

    from sapphire.agents.catalogue import list_agents

    folder = _folder(agents)
    entries, broken = list_agents(folder)
    rows = [entry.as_dict() for entry in entries]
    if as_json:
        sys.stdout.write(
            json.dumps({"agents": rows, "broken": [error.what for error in broken]}, sort_keys=True) + "\n"
        )
    else:
        table = Table(box=None, pad_edge=False)
        for name in ("name", "origin", "parameters", "warm-up", "learns", "twin", "summary"):
            table.add_column(name, justify="left", overflow="fold")
        for row in rows:
            table.add_row(
                row["name"],
                row["origin"],
                " ".join(f"{name}={_short(value)}" for name, value in row["parameters"].items()),
                f"{row['warmup']:,}",
                "yes" if row["learns"] else "no",
                "yes" if row["twin"] else "no",
                row["summary"],
            )
        Console(file=sys.stdout, width=None if sys.stdout.isatty() else _WIDTH, highlight=False).print(table)
    for error in broken:
        sys.stderr.write(f"{error}\n")
    sys.stderr.write("next: sapphire agent check NAME\n")
    if broken:
        raise typer.Exit(1)


@app.command("check")
def check_command(
    name: Annotated[str, typer.Argument(help="An agent's name, as sapphire agent list shows it.")],
    snapshot: Annotated[
        str | None,
        typer.Option("--snapshot", help="Hash of a snapshot, or the start of one. [ninety days of generated hours]"),
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A parameter: fast=12. May be given several times.")
    ] = None,
    features: Annotated[
        list[str] | None, typer.Option("--feature", help="A feature to check as well: log_return_24.")
    ] = None,
    agents: Folder = None,
    seed: Annotated[
        int, typer.Option("--seed", help="Seed of the bars to look at, of the changed futures, and of the fit.")
    ] = 7,
    moments: Annotated[int, typer.Option("--moments", min=1, help="Bars that each check looks at.")] = 460,
    as_json: Json = False,
) -> None:
    """Check an agent for leaks: truncation, warm-up, twin, fit. Exits with 1 if any fails.

    Example: sapphire agent check moving-average-cross --set fast=8
    """
    from sapphire.agents.catalogue import agent_class
    from sapphire.agents.leaks import check_agent
    from sapphire.agents.parameters import read_parameters
    from sapphire.data.catalog import load_snapshot
    from sapphire.data.catalog import snapshot as taken_of
    from sapphire.data.features import FeatureSet

    cls = agent_class(name, agents_folder=_folder(agents))
    agent = cls().replace(**read_parameters(cls, _words(settings or [])))
    taken = taken_of(**_GENERATED) if snapshot is None else load_snapshot(snapshot)
    sys.stderr.write(f"checking {agent.name} on {len(taken):,} bars of {', '.join(taken.symbols)}\n")
    report = check_agent(agent, taken.bars, features=FeatureSet(features or []), seed=seed, moments=moments)
    if as_json:
        about = {"snapshot": taken.hash, "label": taken.provenance.label}
        sys.stdout.write(json.dumps({**report.as_dict(), **about}, sort_keys=True) + "\n")
    else:
        sys.stdout.write(f"{report}\n  {taken.provenance.label}, snapshot {taken.hash[:12]}\n")
    if not report.ok:
        sys.stderr.write("next: the notes say at which bar and by how much; a leak is not a parameter\n")
        raise typer.Exit(1)
    sys.stderr.write(f"next: study.replay(agent), in a study of snapshot {taken.hash[:12]}\n")


def _folder(agents: Path | None) -> Path | None:
    """The folder that was named, else that of the workspace, else none."""
    from sapphire.domain.workspace import workspace

    if agents is not None:
        if not agents.is_dir():
            raise ConfigError("no such folder of agents", expected="a folder of agent files", got=str(agents))
        return agents
    try:
        return workspace() / "agents"
    except ConfigError:  # outside a workspace the built-in agents are still there
        return None


def _words(settings: list[str]) -> dict[str, str]:
    words = {}
    for setting in settings:
        name, separator, value = setting.partition("=")
        if not separator or not name:
            raise AgentError("a setting that does not read", expected="--set NAME=VALUE", got=setting)
        words[name.strip()] = value.strip()
    return words


def _short(value: object) -> str:
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= 16 else f"{text[:13]}..."
