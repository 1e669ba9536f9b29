"""The verbs `sapphire positions|orders|fills|halt|resume`."""

from __future__ import annotations

from typing import Annotated

import typer

from sapphire.stack.command_line import AsJson, Limit, RunOption, put, run_folder, say

__all__ = ["fills", "halt", "orders", "positions", "resume"]


def positions(run: RunOption = None, as_json: AsJson = False) -> None:
    """Show cash, equity and what the account holds, as the engine has it.

    Example: sapphire positions --json
    """
    from sapphire.stack.background import service_of
    from sapphire.stack.showing import show_positions

    told = service_of(run_folder(run)).positions()
    put(told, as_json=as_json)
    if not as_json:
        show_positions(told)


def orders(limit: Limit = 50, run: RunOption = None, as_json: AsJson = False) -> None:
    """List the latest orders, oldest first.

    Example: sapphire orders --limit 20
    """
    from sapphire.stack.background import service_of
    from sapphire.stack.showing import show_orders

    rows = service_of(run_folder(run)).orders(limit=limit)
    put({"orders": rows}, as_json=as_json)
    if not as_json:
        show_orders(rows)
        say("next: sapphire trace ORDER tells one order's life")


def fills(limit: Limit = 50, run: RunOption = None, as_json: AsJson = False) -> None:
    """List the latest fills, oldest first.

    Example: sapphire fills --limit 20
    """
    from sapphire.stack.background import service_of
    from sapphire.stack.showing import show_fills

    rows = service_of(run_folder(run)).fills(limit=limit)
    put({"fills": rows}, as_json=as_json)
    if not as_json:
        show_fills(rows)


def halt(
    reason: Annotated[str, typer.Argument(help="Why; it is kept in the journal.")] = "by hand",
    run: RunOption = None,
    as_json: AsJson = False,
) -> None:
    """Stop trading at once. It stays stopped until `sapphire resume`, over restarts as well.

    Example: sapphire halt "prices look wrong"
    """
    from sapphire.stack.background import service_of

    told = service_of(run_folder(run)).halt(reason)
    put(told, as_json=as_json)
    say(f"trading is {told['state']}")
    say("next: sapphire orders shows what is open; sapphire resume REASON trades again")


def resume(
    reason: Annotated[str, typer.Argument(help="Why it is safe again; it is kept in the journal.")],
    run: RunOption = None,
    as_json: AsJson = False,
) -> None:
    """Trade again after a halt: a deliberate act, so it wants a reason.

    Example: sapphire resume "the feed is back"
    """
    from sapphire.stack.background import service_of

    told = service_of(run_folder(run)).resume(reason)
    put(told, as_json=as_json)
    say(f"trading is {told['state']}")
