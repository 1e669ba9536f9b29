"""The accounts of a stack side by side: who trades what, since when, and how it stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sapphire.domain.evidence import MARKED
from sapphire.stack.account.showing import money
from sapphire.stack.folders import RunFolder
from sapphire.stack.showing import age, table_of

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["account_row", "accounts_table", "rows_beside"]

_GONE = "gone: its keeper was killed"


def account_row(facts: Mapping[str, Any], account: Mapping[str, Any] | None, *, is_running: bool) -> dict[str, Any]:
    """One account.

    Parameters
    ----------
    facts : of its `stack.json`.
    account : as `account.account_now` tells it; None where it is not known.

    Returns
    -------
    Stable keys: `account`, `run`, `release`, its label, `digest`, `stage`, `marks`, `state`, `since_ns`, `quote`,
    `equity_quote_atoms`, `positions`, each with its symbol and quantity, `trading` and `halted`; the last four are
    None where they are not known.
    """
    release, service = facts["release"], facts["parts"].get("service")
    is_over = facts["state"] in ("stopped", "failed")
    holdings = None if account is None else account["positions"]
    positions = None if holdings is None else [row for row in holdings["positions"] if row["lots"] != "0"]
    trading = None if account is None else account["trading"]["state"]
    return {
        "account": facts["account"],
        "run": facts["run"],
        "release": release["label"],
        "digest": release["digest"],
        "stage": release["stage"],
        "marks": release["marks"],
        "state": facts["state"] if is_running or is_over else _GONE,
        "since_ns": facts["written_ns"] if service is None else service["since_ns"],
        "quote": facts["quote"],
        "equity_quote_atoms": None if holdings is None else holdings["equity_quote_atoms"],
        "positions": None
        if positions is None
        else [{key: row[key] for key in ("symbol", "quantity")} for row in positions],
        "trading": trading,
        "halted": None if trading is None else trading == "HALTED",
    }


def rows_beside(first: RunFolder) -> list[dict[str, Any]]:
    """The accounts that joined a stack, by name."""
    from sapphire.stack.account.standing import last_account
    from sapphire.stack.background import service_at
    from sapphire.stack.processes.run_lock import RunLock

    rows = []
    for folder in first.joined:
        facts, is_running = folder.read(), RunLock(folder.path).holder() is not None
        service = service_at(folder, facts) if is_running else None
        last = last_account(folder, is_running=is_running, service=service)
        rows.append(account_row(facts, last["account"], is_running=is_running))
    return rows


def accounts_table(rows: Sequence[Mapping[str, Any]], *, now_ns: int) -> Table:
    """The accounts as a table.

    Parameters
    ----------
    rows : as `account_row` makes them.
    now_ns : wall time.
    """
    return table_of(
        f"{len(rows)} accounts",
        ("account", "release", "stage", "state", "since", "equity", "positions", "trading"),
        [
            (
                row["account"],
                row["release"] + (f"  {MARKED}{', '.join(row['marks'])}" if row["marks"] else ""),
                row["stage"],
                row["state"],
                age(now_ns - int(row["since_ns"])),
                "unknown"
                if row["equity_quote_atoms"] is None
                else f"{money(row['equity_quote_atoms'])} {row['quote']}",
                _positions_text(row["positions"]),
                row["trading"] or "unknown",
            )
            for row in rows
        ],
    )


def _positions_text(positions: Sequence[Mapping[str, Any]] | None) -> str:
    if positions is None:
        return "unknown"
    return ", ".join(f"{row['quantity']} {row['symbol'].partition('/')[0]}" for row in positions) or "none"
