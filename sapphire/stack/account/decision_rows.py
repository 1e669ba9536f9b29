"""The coordinator's decisions as rows: for each bar and symbol what was believed, held and aimed at, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sapphire.coordination.decisions import Decision
    from sapphire.stack.rules import Rules

__all__ = ["decision_rows", "why"]


def decision_rows(made: Iterable[Decision], rules: Rules, symbol: str | None = None) -> Iterable[dict[str, Any]]:
    """One row for each target of each decision; one for a bar that could not be decided.

    Parameters
    ----------
    made : oldest first. A view of an earlier bar that is still believed is known where that bar is among them.
    rules : the run's, for quantities in coins.
    symbol : of this one alone.

    Returns
    -------
    Stable keys: `bar_close_ns`, `symbol`, `mean_bps`, `std_bps`, `horizon_ns`, `held_lots`, `held_quantity`,
    `target_lots`, `target_quantity`, `weight`, `reason`, `obstacle`, `model_kind`, `why`. What is not known is None;
    64-bit numbers are text. `why` says it all in one line.
    """
    # of a symbol's newest view: its moment, and the kind of its model
    kinds: dict[str | None, tuple[str | None, str | None]] = {}
    for decision in made:
        facts = decision.facts
        obstacle = facts["reason"]
        beliefs = {each["symbol"]: each for each in (*facts["remembered"], *facts["beliefs"])}
        kinds |= {each["symbol"]: (each["as_of_ns"], each.get("model_kind") or None) for each in facts["views"]}
        lots = {each["symbol"]: each["lots"] for each in (facts["account"] or {"positions": ()})["positions"]}
        for target in facts["targets"] or ({"symbol": None, "lots": None, "weight": None, "reason": None},):
            name = target["symbol"]
            if symbol is not None and name not in (symbol, None):
                continue
            believed = beliefs.get(name, {})
            as_of_ns, kind = kinds.get(name, (None, None))
            row = {
                "bar_close_ns": facts["bar_close_ns"],
                "symbol": name,
                **{key: believed.get(key) for key in ("mean_bps", "std_bps", "horizon_ns")},
                "held_lots": lots.get(name),
                "target_lots": target["lots"],
                "weight": target["weight"],
                "reason": target["reason"],
                "obstacle": obstacle,
                "model_kind": kind if as_of_ns == believed.get("as_of_ns", facts["bar_close_ns"]) else None,
            }
            yield {**rules.named(row), "why": why(row)}


def why(row: Mapping[str, Any]) -> str:
    """The reason of a row in one line, with what was believed.

    Examples
    --------
    >>> why({"reason": "kept: a change would not earn its cost", "mean_bps": -0.1512, "obstacle": None})
    'kept: a change would not earn its cost, mean -0.15 bps'
    """
    parts = [] if row["reason"] is None else [row["reason"]]
    if row["mean_bps"] is not None and parts:
        parts.append(f"mean {row['mean_bps']:+.2f} bps")
    if row.get("model_kind"):
        parts.append(row["model_kind"])
    if row["obstacle"] is not None:
        parts.append(f"{row['obstacle']['code'].replace('_', ' ')}: {row['obstacle']['text']}")
    return ", ".join(parts)
