"""The verbs that compose rooms: `new` makes a workspace, `demo` runs the loop, `run` a notebook."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sapphire.domain.errors import ConfigError

__all__ = ["demo", "new", "run"]


class DemoAgents(StrEnum):
    """Which agents the demo's pool has."""

    TWO = "two"
    ALL = "all"


def new(
    folder: Annotated[Path, typer.Argument(help="A folder that does not exist yet, or is empty.")],
    agent: Annotated[str, typer.Option(help="What its agent is called.")] = "momentum",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout and nothing else.")] = False,
) -> None:
    """Make a workspace: an agent, its test, a study notebook and the reports, which all run as they stand.

    Example: sapphire new my-desk --agent mean_reversion
    """
    from sapphire.lab.workspaces import make_workspace

    made = make_workspace(folder, agent)
    if as_json:
        sys.stdout.write(json.dumps(made.as_dict(), sort_keys=True) + "\n")
    lines = (
        f"made {made.folder}: {', '.join(made.files)}",
        f"next: cd {folder} && sapphire agent list && pytest tests && jupyter lab notebooks/study.ipynb",
        'live asks for a commit, paper does not: git init && git add --all && git commit -m "A workspace"',
    )
    sys.stderr.write("".join(f"  {line}\n" for line in lines))


def demo(
    more: Annotated[list[str] | None, typer.Argument(hidden=True)] = None,
    seed: Annotated[int, typer.Option(help="Seed of the generated market.")] = 7,
    bars: Annotated[
        int | None,
        typer.Option(min=2, help="Bars that the release trades on paper. [500; of few candles a fifth]"),
    ] = None,
    candles: Annotated[
        Path | None,
        typer.Option(help="Folder of candle files of any period and length of a bar. [SAPPHIRE_RECORDINGS; none]"),
    ] = None,
    symbols: Annotated[
        list[str] | None, typer.Option(help="What is traded, of one quote. [BTC/USDT ETH/USDT; what the folder has]")
    ] = None,
    agents: Annotated[
        DemoAgents, typer.Option(help="two trade by prices; all adds those that ask language models and read news.")
    ] = DemoAgents.TWO,
    record: Annotated[
        bool, typer.Option("--record", help="With --agents all: ask models about all, and keep it as the recording.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The summary as one JSON object on stdout.")] = False,
) -> None:
    """Run the whole loop on the embedded exchange: collect, train, study, promote, trade on paper, report.

    The market is generated, or made of the candles in a folder: symbols, length of a bar and period are what is there,
    and the windows of the study follow from them. Perpetuals stand in for spot where there is no spot; every label then
    says it, and nothing of it passes for live.

    Example: sapphire demo --seed 7

    Example: sapphire demo --candles data/spot --symbols BTC/USDT ETH/USDT

    Example: sapphire demo --agents all
    """
    from sapphire.lab.demo import run_demo

    if more and not symbols:
        raise typer.BadParameter(f"{' '.join(more)}: --symbols {' '.join(more)} names what is traded")
    named = [name for word in [*(symbols or []), *(more or [])] for name in word.split(",") if name]
    reading = agents is DemoAgents.ALL
    if record and not reading:
        raise typer.BadParameter("--record keeps answers of models: --agents all has agents that ask some")
    run_demo(seed=seed, bars=bars, as_json=as_json, candles=candles, symbols=named, reading=reading, anew=record)


def run(
    notebook: Annotated[Path, typer.Argument(help="A notebook; with --fetch, the file to write.")],
    on: Annotated[str, typer.Option(help="Where: here, or cluster.")] = "here",
    gpu: Annotated[bool, typer.Option("--gpu", help="On the cluster: with a share of a GPU.")] = False,
    parameter: Annotated[
        list[str] | None,
        typer.Option("--set", help="A parameter of the notebook, NAME=VALUE; the value as JSON, else text."),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Put the notebook as it was run into the place, and say its sha256.")
    ] = False,
    follow: Annotated[
        bool, typer.Option("--follow", help="On the cluster: show the job's log until it is over.")
    ] = False,
    fetch: Annotated[str | None, typer.Option(help="Get a notebook that was kept, by its sha256.")] = None,
    room: Annotated[str, typer.Option(help="With --fetch: notebooks, or reports for a report's page.")] = "notebooks",
    namespace: Annotated[
        str, typer.Option(envvar="SAPPHIRE_NAMESPACE", help="On the cluster: of the trading system.")
    ] = "trading-system",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout and nothing else.")] = False,
) -> None:
    """Run a notebook from its first cell to its last, here or as a research job on the cluster.

    What was run lies in the state folder's notebooks/; the notebook itself is not changed. On the cluster it runs
    alone: what it needs stands in it, in the images or in the place. The cluster is the one that kubectl would ask.

    Example: sapphire run notebooks/study.ipynb --set 'symbols=["BTC/USDT"]'

    Example: sapphire run notebooks/study.ipynb --on cluster --gpu
    """
    from sapphire.lab import cluster_jobs, notebooks

    if on not in ("here", "cluster"):
        raise ConfigError("where a notebook runs", expected="--on here or --on cluster", got=f"--on {on}")
    if gpu and on != "cluster":
        raise ConfigError("a GPU of the cluster", expected="--on cluster --gpu", got="--gpu alone")
    if follow and (on != "cluster" or fetch is not None):
        raise ConfigError("the log of a job", expected="--on cluster --follow", got="--follow without a job")
    given = notebooks.parameters_of(parameter or ())
    job = None
    if fetch is not None:
        outcome = notebooks.fetched(fetch, notebook, room)
    elif on == "cluster":
        job = cluster_jobs.start(cluster_jobs.read_notebook(notebook), given, gpu=gpu, namespace=namespace)
        outcome = job.as_dict()
    else:
        outcome = notebooks.run_here(notebook, given, keep=keep)
    if as_json:
        sys.stdout.write(json.dumps(outcome, sort_keys=True) + "\n")
    sys.stderr.write(f"  {outcome['next']}\n")
    if follow and job is not None:
        cluster_jobs.follow(job)
