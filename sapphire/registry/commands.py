"""The verbs `sapphire releases|gates|promote|rollback`. Each calls the registry and shows what came back.

With `--json` one object stands on stdout and nothing else; prose goes to stderr.
"""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

if TYPE_CHECKING:
    from sapphire.registry.registry import Registry

__all__ = ["gates", "promote", "releases", "rollback"]


class To(StrEnum):
    """Where a release may go."""

    PAPER = "paper"
    LIVE = "live"


Release = Annotated[str, typer.Argument(help="A release: NAME@VERSION, or its digest (eight digits are enough).")]
Target = Annotated[To, typer.Option("--to", help="Where it shall trade.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout and nothing else.")]


def releases(as_json: AsJson = False) -> None:
    """List every release, where it stands, and its marks.

    Example: sapphire releases --json
    """
    _show(_registry().releases(), as_json=as_json)
    _say("next: sapphire gates RELEASE --to paper")


def gates(context: typer.Context, release: Release, to: Target = To.PAPER, as_json: AsJson = False) -> None:
    """Measure a release against mlflow/gates, sign the report and keep it. Ends with 1 if it does not permit.

    Example: sapphire gates trend@1 --to live
    """
    report = _registry(context).gates(release, to=to.value)
    _show(report, as_json=as_json)
    _say(f"signed by key {report.signer[:12]} ({report.authority})")
    if report.permits is None:
        _say(f"the gates are in mlflow/gates/{to}.yaml")
        raise typer.Exit(1)
    _say(f"next: sapphire promote {release} --to {to}")


def promote(context: typer.Context, release: Release, to: Target = To.PAPER, as_json: AsJson = False) -> None:
    """Copy a release to where it may trade, and make it champion there, on a signed gate report.

    Example: sapphire promote trend@1 --to paper
    """
    done = _registry(context).promote(release, to=to.value)
    _show(done, as_json=as_json)
    _say(f"back again: sapphire rollback {done.label.rsplit('@', 1)[0]}")


def rollback(
    name: Annotated[str, typer.Argument(help="What goes back: paper.NAME or live.NAME.")],
    as_json: AsJson = False,
) -> None:
    """Let the champion and the one before it change places.

    Example: sapphire rollback paper.trend
    """
    _show(_registry().rollback(name), as_json=as_json)
    _say("sapphire releases lists what is champion where")


class _Shown(Protocol):
    def as_dict(self) -> dict[str, Any]: ...


def _registry(context: typer.Context | None = None) -> Registry:
    """The registry of the state folder, with the witness of paper days that the command line hands down."""
    from sapphire.domain.workspace import home
    from sapphire.registry.registry import Registry

    handed = context.obj if context is not None and isinstance(context.obj, dict) else {}
    state = home()
    witness = handed.get("paper_day_witness")
    return Registry(state, witness=None if witness is None else witness(state))


def _show(result: _Shown, *, as_json: bool) -> None:
    text = json.dumps(result.as_dict(), sort_keys=True) if as_json else str(result)
    sys.stdout.write(f"{text}\n")


def _say(text: str) -> None:
    sys.stderr.write(f"  {text}\n")
