"""The verbs `sapphire releases|gates|promote|rollback|revoke`. Each calls the registry and shows what came back.

With `--json` one object stands on stdout and nothing else; prose goes to stderr. What lies in higher rooms is handed in
as the command's context object: a mapping that has, under "registry", a function from a state folder to its registry
with the trial ledger to count on.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

if TYPE_CHECKING:
    from sapphire.registry.registry import Registry

__all__ = ["gates", "promote", "releases", "revoke", "rollback"]


class To(StrEnum):
    """Where a release may go."""

    PAPER = "paper"
    LIVE = "live"


Release = Annotated[str, typer.Argument(help="A release: NAME@VERSION, or its digest (eight digits are enough).")]
Target = Annotated[To, typer.Option("--to", help="Where it shall trade.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout and nothing else.")]


def releases(context: typer.Context, as_json: AsJson = False) -> None:
    """List every release, where it stands, and its marks.

    Example: sapphire releases --json
    """
    _show(_registry(context).releases(), as_json=as_json)
    _say("next: sapphire gates RELEASE --to paper")


def gates(context: typer.Context, release: Release, to: Target = To.PAPER, as_json: AsJson = False) -> None:
    """Measure a release against mlflow/gates, sign the report and keep it. Ends with 1 if it does not permit.

    Example: sapphire gates trend@1 --to live
    """
    from sapphire.domain.display import stamp

    report = _registry(context).gates(release, to=to.value)
    _show(report, as_json=as_json)
    _say(f"signed by key {report.signer[:12]} ({report.authority})")
    if report.permits is None:
        _say(f"the gates are in mlflow/gates/{to}.yaml")
        raise typer.Exit(1)
    _say(f"it permits until {stamp(report.valid_until_ns // 1_000_000_000 * 1_000_000_000)}")
    _say(f"next: sapphire promote {release} --to {to}")


def promote(context: typer.Context, release: Release, to: Target = To.PAPER, as_json: AsJson = False) -> None:
    """Copy a release to where it may trade, and make it champion there, on a signed gate report.

    Example: sapphire promote trend@1 --to paper
    """
    done = _registry(context).promote(release, to=to.value)
    _show(done, as_json=as_json)
    _say(f"back again: sapphire rollback {done.label.rsplit('@', 1)[0]}")


def rollback(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What goes back: paper.NAME or live.NAME.")],
    leaving: Annotated[
        str | None, typer.Option("--from", help="The champion that is left, such as paper.trend@2. [the one of now]")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Let the champion before come back. Said again, it goes no further; --from names the next one to leave.

    Example: sapphire rollback paper.trend --from paper.trend@2
    """
    done = _registry(context).rollback(name, leaving=leaving)
    _show(done, as_json=as_json)
    if not done.moved:
        _say(f"it was gone back to before; further back: sapphire rollback {name} --from {done.label}")
    _say("sapphire releases lists what is champion where")


def revoke(
    context: typer.Context,
    release: Release,
    why: Annotated[str, typer.Option("--why", help="The reason; it is kept and shown.")],
    as_json: AsJson = False,
) -> None:
    """Close a release for good: no door lets it in any more, and what trades follows its rule for views that stop.

    Example: sapphire revoke trend@2 --why "its prices were of tomorrow"
    """
    made = _registry(context).revoke(release, why=why)
    text = json.dumps(made.as_dict(), sort_keys=True) if as_json else f"{made.name} is revoked: {made.why} ({made.who})"
    sys.stdout.write(f"{text}\n")
    _say("sapphire rollback paper.NAME goes back where it is champion")


class _Shown(Protocol):
    def as_dict(self) -> dict[str, Any]: ...


def _registry(context: typer.Context) -> Registry:
    from sapphire.domain.workspace import home
    from sapphire.registry.registry import Registry

    given = context.obj.get("registry") if isinstance(context.obj, Mapping) else None
    made: Registry = Registry(home()) if given is None else given(home())
    return made


def _show(result: _Shown, *, as_json: bool) -> None:
    text = json.dumps(result.as_dict(), sort_keys=True) if as_json else str(result)
    sys.stdout.write(f"{text}\n")


def _say(text: str) -> None:
    sys.stderr.write(f"  {text}\n")
