"""The coordinator's decisions as rows: for each bar and symbol what was believed, held and aimed at, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sapphire.stack.command_line import AsJson, Limit, RunOption, put, run_folder, say

if TYPE_CHECKING:
    from sapphire.coordination.decisions import Decision
    from sapphire.stack.rules import Rules

__all__ = ["decision_rows", "decisions", "why"]


def decisions(
    symbol: Annotated[str | None, typer.Option(help="Only this symbol, such as BTC/USDT.")] = None,
    limit: Limit = 50,
    run: RunOption = None,
    as_json: AsJson = False,
) -> None:
    """List what was decided at the latest closes, oldest first, with the reason of each target.

    Example: sapphire decisions --symbol BTC/USDT --limit 20
    """
    from sapphire.coordination.decision_log import latest_decisions
    from sapphire.stack.folders import RunFolder
    from sapphire.stack.rules import Rules
    from sapphire.stack.showing import print_table

    folder = RunFolder(run_folder(run))
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


def decision_rows(made: Iterable[Decision], rules: Rules, symbol: str | None = None) -> Iterable[dict[str, Any]]:
    """One row for each target of each decision; one for a bar that could not be decided.

    Parameters
    ----------
    rules : the run's, for quantities in coins.
    symbol : of this one alone.

    Returns
    -------
    Stable keys: `bar_close_ns`, `symbol`, `mean_bps`, `std_bps`, `horizon_ns`, `held_lots`, `held_quantity`,
    `target_lots`, `target_quantity`, `weight`, `reason`, `obstacle`, `why`. What is not known is None; 64-bit numbers
    are text. `why` says it all in one line.
    """
    for decision in made:
        facts = decision.facts
        obstacle = facts["reason"]
        beliefs = {each["symbol"]: each for each in (*facts["remembered"], *facts["beliefs"])}
        held = {each["symbol"]: each["lots"] for each in (facts["account"] or {"positions": ()})["positions"]}
        for target in facts["targets"] or ({"symbol": None, "lots": None, "weight": None, "reason": None},):
            name = target["symbol"]
            if symbol is not None and name not in (symbol, None):
                continue
            believed = beliefs.get(name, {})
            row = {
                "bar_close_ns": facts["bar_close_ns"],
                "symbol": name,
                **{key: believed.get(key) for key in ("mean_bps", "std_bps", "horizon_ns")},
                "held_lots": held.get(name),
                "target_lots": target["lots"],
                "weight": target["weight"],
                "reason": target["reason"],
                "obstacle": obstacle,
            }
            yield {**rules.named(row), "why": why(row)}


def why(row: Mapping[str, Any]) -> str:
    """The reason of a row in one line, with what was believed.

    Examples
    --------
    >>> why({"reason": "kept: a change would not earn its cost", "mean_bps": -0.1512, "obstacle": None})
    'kept: a change would not earn its cost, mean -0.15 bps'
    """
    told = [] if row["reason"] is None else [row["reason"]]
    if row["mean_bps"] is not None and told:
        told.append(f"mean {row['mean_bps']:+.2f} bps")
    if row["obstacle"] is not None:
        told.append(f"{row['obstacle']['code'].replace('_', ' ')}: {row['obstacle']['text']}")
    return ", ".join(told)


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
