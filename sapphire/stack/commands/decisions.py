"""The verb `sapphire decisions`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from sapphire.stack.commands.command_line import AccountOption, AsJson, Limit, RunOption, put, run_folder, say

__all__ = ["decisions"]


def decisions(
    symbol: Annotated[str | None, typer.Option(help="Only this symbol, such as BTC/USDT.")] = None,
    limit: Limit = 50,
    run: RunOption = None,
    account: AccountOption = None,
    as_json: AsJson = False,
) -> None:
    """List what was decided at the latest closes, oldest first, with the reason of each target.

    Example: sapphire decisions --symbol BTC/USDT --limit 20
    """
    from sapphire.coordination.decision_log import latest_decisions
    from sapphire.stack.account.decision_rows import decision_rows
    from sapphire.stack.folders import RunFolder
    from sapphire.stack.rules import Rules
    from sapphire.stack.showing import print_table

    folder = RunFolder(run_folder(run, account))
    facts = folder.read()
    _check_symbol(symbol, facts["symbols"])
    rows = list(decision_rows(latest_decisions(folder.decisions, limit), Rules.of(folder), symbol))
    put({"decisions": rows}, as_json=as_json)
    if as_json:
        return
    header = ("bar closed", "symbol", "held", "target", "weight", "why")
    print_table(f"the latest decisions of {facts['release']['label']}", header, [_cells(row) for row in rows])
    if not rows:
        say("nothing was decided yet: the first bar has not closed, or the agent still warms up; sapphire status")
        return
    for reason, count in Counter(row["reason"] or "not decided" for row in rows).most_common():
        say(f"{count:,} of {len(rows):,}: {reason}")


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    from sapphire.domain.display import stamp

    weight = "" if row["weight"] is None else f"{100 * row['weight']:+.1f} %"
    quantities = (row.get("held_quantity") or row["held_lots"], row.get("target_quantity") or row["target_lots"])
    return (
        stamp(int(row["bar_close_ns"])),
        row["symbol"] or "",
        *(quantity or "" for quantity in quantities),
        weight,
        row["why"],
    )


def _check_symbol(symbol: str | None, known: Sequence[str]) -> None:
    if symbol is not None and symbol not in known:
        raise typer.BadParameter(f"{symbol}: this run trades {', '.join(known)}", param_hint="--symbol")
