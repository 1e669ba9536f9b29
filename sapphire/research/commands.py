"""The verbs `sapphire study run|compare|submit|trials`: what the notebook's study does, from a file.

A study file is a Python file that makes two names: `study`, from `sapphire.study(...)`, and `agent`.
"""

from __future__ import annotations

import json
import runpy
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from sapphire.domain.errors import StudyError
from sapphire.research.proof.settings import Settings

if TYPE_CHECKING:
    from sapphire.agents import Agent
    from sapphire.research.results.showing import Shown
    from sapphire.research.studies import Study

__all__ = ["app"]

Result = TypeVar("Result", bound="Shown")

app = typer.Typer(help="Studies from a file: replays, comparisons, submits, trials.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(help="A Python file that makes `study` and `agent`.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout and nothing else.")]
_PROOF = Settings()


@app.command()
def run(file: File, as_json: AsJson = False) -> None:
    """Replay the agent by the compiled engine over the study's folds.

    Example: sapphire study run studies/trend.py --json
    """
    _show(file, lambda study, agent: study.replay(agent), as_json=as_json)
    _print(f"next: sapphire study compare {file}")


@app.command()
def compare(file: File, as_json: AsJson = False) -> None:
    """Screen against replay, and what each assumption costs.

    Example: sapphire study compare studies/trend.py
    """
    _show(file, lambda study, agent: study.compare(agent), as_json=as_json)


@app.command()
def submit(file: File, as_json: AsJson = False) -> None:
    """Freeze the agent, open the hold-out once, measure the release and register it.

    Example: sapphire study submit studies/trend.py
    """
    release = _show(file, lambda study, agent: study.submit(agent), as_json=as_json)
    _print(f"next: sapphire gates {release.name} --to paper")


@app.command()
def trials(file: File, as_json: AsJson = False) -> None:
    """What the ledger says of the study's tested window.

    Example: sapphire study trials studies/trend.py
    """
    _show(file, lambda study, _: study.trials(), as_json=as_json)


@app.command()
def proof(
    strategies: Annotated[int, typer.Option(help="Traders without an edge.")] = _PROOF.strategies,
    planted: Annotated[int, typer.Option(help="Traders with a known one.")] = _PROOF.planted,
    variants: Annotated[int, typer.Option(help="How many each is the best of.")] = _PROOF.variants,
    seed: Annotated[int, typer.Option(help="Of every market.")] = _PROOF.seed,
    processes: Annotated[int, typer.Option(help="That measure at the same time.")] = 2,
    as_json: AsJson = False,
) -> None:
    """Let noise and planted edges try the gates, and compare how many pass with what was computed.

    It takes an hour on two cores and goes on where it was stopped.

    Example: sapphire study proof --strategies 20 --planted 6
    """
    from sapphire.research.proof.running import folder_of, prove

    settings = Settings(strategies=strategies, planted=planted, variants=variants, seed=seed)
    kept = folder_of(settings)
    found = prove(settings, processes=processes)
    sys.stdout.write(json.dumps(found.as_dict(), sort_keys=True) + "\n" if as_json else f"{found!r}\n")
    _print(f"made: proof.json and proof.html in {kept}")
    if not found.holds:
        raise typer.Exit(1)


def _load(file: Path) -> tuple[Study, Agent]:
    """The study and the agent that a file makes.

    Raises
    ------
    StudyError : no such file, or it does not make both.
    """
    from sapphire.agents import Agent
    from sapphire.research.studies import Study

    if not file.is_file():
        raise StudyError(f"no study file {file}", expected="a Python file", got="nothing there")
    made = runpy.run_path(str(file))
    study, agent = made.get("study"), made.get("agent")
    if not isinstance(study, Study) or not isinstance(agent, Agent):
        raise StudyError(
            f"{file} does not make a study",
            expected="two names: study = sapphire.study(...), agent = an agent",
            got=f"study {type(study).__name__}, agent {type(agent).__name__}",
            next="the first cells of notebooks/00_start_here.ipynb show both",
        )
    return study, agent


def _show(file: Path, ask: Callable[[Study, Agent], Result], *, as_json: bool) -> Result:
    """Put a question to a file's study, show the answer and hand it back.

    Stdout is for the answer alone: what the file or its agent prints goes to stderr.
    """
    with redirect_stdout(sys.stderr):
        result = ask(*_load(file))
    if as_json:
        sys.stdout.write(json.dumps(result.as_dict(), sort_keys=True, allow_nan=False) + "\n")
    else:
        sys.stdout.write(f"{result!r}\n")
    return result


def _print(text: str) -> None:
    sys.stderr.write(f"  {text}\n")
