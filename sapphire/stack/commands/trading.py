"""The verbs `sapphire positions|orders|fills|halt|resume|flatten|close`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from sapphire.stack.commands.command_line import AccountOption, AsJson, Limit, RunOption, again, put, run_folder, say

__all__ = ["close", "fills", "flatten", "halt", "orders", "positions", "resume"]


def positions(run: RunOption = None, account: AccountOption = None, as_json: AsJson = False) -> None:
    """Show what trading may do, cash, equity and what the account holds, as the engine has it.

    Example: sapphire positions --json
    """
    from sapphire.stack.account.showing import show_positions
    from sapphire.stack.account.standing import positions_now
    from sapphire.stack.background import service_of

    folder, rules = _folder(run, account)
    holdings = positions_now(service_of(folder), rules)
    put(holdings, as_json=as_json)
    if not as_json:
        show_positions(holdings)


def orders(limit: Limit = 50, run: RunOption = None, account: AccountOption = None, as_json: AsJson = False) -> None:
    """List the latest orders, oldest first.

    Example: sapphire orders --limit 20
    """
    from sapphire.stack.account.showing import show_orders
    from sapphire.stack.background import service_of

    folder, rules = _folder(run, account)
    rows = [rules.named(row) for row in service_of(folder).orders(limit=limit)]
    put({"orders": rows}, as_json=as_json)
    if not as_json:
        show_orders(rows)
        say(f"next: sapphire trace ORDER{again(run, account)} tells one order's life")


def fills(limit: Limit = 50, run: RunOption = None, account: AccountOption = None, as_json: AsJson = False) -> None:
    """List the latest fills, oldest first.

    Example: sapphire fills --limit 20
    """
    from sapphire.stack.account.showing import show_fills
    from sapphire.stack.background import service_of

    folder, rules = _folder(run, account)
    rows = [rules.named(row) for row in service_of(folder).fills(limit=limit)]
    put({"fills": rows}, as_json=as_json)
    if not as_json:
        show_fills(rows)


def halt(
    reason: Annotated[str, typer.Argument(help="Why; it is kept in the journal.")] = "by hand",
    run: RunOption = None,
    account: AccountOption = None,
    as_json: AsJson = False,
) -> None:
    """Stop trading at once. It stays stopped until `sapphire resume`, over restarts as well.

    Example: sapphire halt "prices look wrong"
    """
    from sapphire.execution.service import os_user
    from sapphire.stack.background import service_of

    answer = service_of(run_folder(run, account), acts=True).halt(reason, by=os_user())
    put(answer, as_json=as_json)
    say(f"trading is {answer['state']}")
    more = again(run, account)
    say(f"next: sapphire status{more}; sapphire flatten REASON{more} sells; sapphire resume REASON{more} trades again")


def resume(
    reason: Annotated[str, typer.Argument(help="Why it is safe again; it is kept in the journal.")],
    run: RunOption = None,
    account: AccountOption = None,
    as_json: AsJson = False,
) -> None:
    """Trade again after a halt, a flatten or a close: a deliberate act, so it wants a reason.

    Example: sapphire resume "the feed is back"
    """
    from sapphire.execution.service import os_user
    from sapphire.stack.background import service_of

    answer = service_of(run_folder(run, account), acts=True).resume(reason, by=os_user())
    put(answer, as_json=as_json)
    say(f"trading is {answer['state']}: the next bar's signals set the positions")


def flatten(
    reason: Annotated[str, typer.Argument(help="Why; it is kept in the journal.")],
    run: RunOption = None,
    account: AccountOption = None,
    as_json: AsJson = False,
) -> None:
    """Sell everything and buy nothing back: trading is REDUCING, and no signal is taken, until `sapphire resume`.

    What is being bought is called back first. It leads out of a halt too, goes on over restarts, and tries again what
    is refused; a halt ends it.

    Example: sapphire flatten "leaving the market"
    """
    from sapphire.execution.service import os_user
    from sapphire.stack.background import service_of

    folder, rules = _folder(run, account)
    answer = service_of(folder, acts=True).flatten(reason, by=os_user())
    _tell({**answer, "closed": [rules.named(row) for row in answer["closed"]]}, again(run, account), as_json=as_json)


def close(
    symbol: Annotated[str, typer.Argument(help="Such as BTC/USDT.")],
    reason: Annotated[str, typer.Argument(help="Why; it is kept in the journal.")],
    run: RunOption = None,
    account: AccountOption = None,
    as_json: AsJson = False,
) -> None:
    """Sell all of one symbol and take no signal of it until `sapphire resume`; the other symbols go on trading.

    Example: sapphire close BTC/USDT "delisting"
    """
    from sapphire.execution.service import os_user
    from sapphire.stack.background import service_of

    folder, rules = _folder(run, account)
    answer = service_of(folder, acts=True).close(symbol, reason, by=os_user())
    _tell({**answer, "closed": [rules.named(row) for row in answer["closed"]]}, again(run, account), as_json=as_json)


def _tell(answer: Mapping[str, Any], more: str, *, as_json: bool) -> None:
    """What is closed now, and how to see it through."""
    put(answer, as_json=as_json)
    say(f"trading is {answer['state']}")
    for row in answer["closed"]:
        say(f"{row['symbol']}: {row['standing']}, {row['quantity'] or row['lots']} left; no signal of it is taken")
    say(f"next: sapphire status{more} says how far it is; sapphire resume REASON{more} trades again")


def _folder(run: Path | None, account: str | None) -> tuple[Path, Any]:
    """The run folder, and the rules of its symbols."""
    from sapphire.stack.folders import RunFolder
    from sapphire.stack.rules import Rules

    folder = run_folder(run, account)
    return folder, Rules.of(RunFolder(folder))
