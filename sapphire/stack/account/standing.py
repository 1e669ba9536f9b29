"""The account of a run as its service tells it: what passes and why, what is held and worth, what was done today."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sapphire.domain.errors import ConfigError, DataError, EngineError, NotReady, Refused, SapphireError
from sapphire.stack.account.decision_rows import decision_rows
from sapphire.stack.folders import RunFolder
from sapphire.stack.rules import Rules

if TYPE_CHECKING:
    from sapphire.execution.service import Service

__all__ = ["account_now", "last_account", "positions_now", "trading_of", "untraded_so_far"]

_ATOMS = 10**8
_DAY_NS = 86_400_000_000_000
_FILLS = 10_000
"""As many as the service keeps."""
_DECISIONS = 1_000
"""Of how many of the latest bars the reasons are counted where nothing was ever traded."""


def account_now(service: Service, run: RunFolder) -> dict[str, Any]:
    """The account at this moment.

    Returns
    -------
    Stable keys: `trading` as `trading_of` says; `untraded`, why nothing was ever traded, None where something was or
    nothing is decided yet; `market_ns`; `last_bar_close_ns`; `last_decision`, rows as `sapphire
    decisions` shows them; `positions` as `positions_now`; `fills_today`, of the UTC day of market time; `latency` of
    orders since the service started. 64-bit numbers are text, what is not known is None.

    Raises
    ------
    NotReady, Refused : the service does not answer.
    """
    from sapphire.coordination.decision_log import last_decision

    rules, state = Rules.of(run), service.state()
    fills, decided = service.fills(limit=_FILLS), last_decision(run.decisions)
    return {
        "trading": trading_of(state, rules),
        "untraded": None if fills or decided is None else untraded_so_far(run, service.orders()),
        "market_ns": state["market_ns"],
        "last_bar_close_ns": state["last_bar_close_ns"],
        "last_decision": [] if decided is None else list(decision_rows([decided], rules)),
        "positions": positions_now(service, rules),
        "fills_today": _today(fills, int(state["market_ns"])),
        "latency": state["latency"],
    }


def last_account(run: RunFolder, *, is_running: bool, service: Service | None) -> dict[str, Any]:
    """The account now; where nothing runs, as it was when it was ended, or as the journal has it after a kill.

    Returns
    -------
    `account` as `account_now`, or None with `why` it is not known. It has `told_by` too: "service", "last words",
    "journal"; the journal knows no average prices, gains or orders under way.
    """
    try:
        if not is_running:
            return {"account": _ended(run), "why": None}
        if service is not None:
            return {"account": {**account_now(service, run), "told_by": "service"}, "why": None}
    except (NotReady, Refused, DataError, EngineError, ConfigError) as error:
        return {"account": None, "why": _line(error)}
    return {"account": None, "why": "the stack is still starting"}


def _ended(run: RunFolder) -> dict[str, Any]:
    """What the service said when it was ended; after a kill, what the journal says."""
    from sapphire.coordination.decision_log import latest_decisions
    from sapphire.stack.account.from_journal import journal_account

    if run.account_state.exists():
        last: dict[str, Any] = json.loads(run.account_state.read_bytes())
        return {**last, "told_by": "last words"}
    rules, (account, latency) = Rules.of(run), journal_account(run)
    decided = latest_decisions(run.decisions, 1)
    closes = decided[0].closes_ticks if decided else {}
    prices = {symbol: int(ticks * rules.steps[symbol][0] * _ATOMS) for symbol, ticks in closes.items()}
    holdings = {**account.trading(), **account.positions(prices)}
    trading = trading_of(holdings, rules)
    return {
        "trading": trading,
        "untraded": None if account.fills or not decided else untraded_so_far(run, account.denied),
        "market_ns": str(account.market_ns),
        "last_bar_close_ns": None if account.last_bar_close_ns is None else str(account.last_bar_close_ns),
        "last_decision": [] if not decided else list(decision_rows(decided, rules)),
        "positions": {**holdings, "trading": trading, "positions": [rules.named(row) for row in holdings["positions"]]},
        "fills_today": _today(account.fills, account.market_ns),
        "latency": latency,
        "told_by": "journal",
    }


def trading_of(state: Mapping[str, Any], rules: Rules) -> dict[str, Any]:
    """What passes, and what commands have closed.

    Parameters
    ----------
    state : the service's state, or its positions.

    Returns
    -------
    `state`, "ACTIVE", "REDUCING" or "HALTED"; `set`, the word that set it, with `word`, `market_ns`, `by` and `why`, or
    None; `closed`, for each symbol that is closed its `set`, `lots` and `quantity` left, and `standing`: "selling",
    "refused", "halted" or "flat".
    """
    return {
        "state": state["trading"],
        "set": state["trading_set"],
        "closed": [rules.named(row) for row in state["closed"]],
    }


def positions_now(service: Service, rules: Rules) -> dict[str, Any]:
    """Cash, equity, gains and what is held, with prices and coins beside atoms and lots."""
    holdings = service.positions()
    return {
        **holdings,
        "trading": trading_of(holdings, rules),
        "positions": [rules.named(row) for row in holdings["positions"]],
    }


def untraded_so_far(run: RunFolder, orders: Sequence[Mapping[str, Any]]) -> str:
    """Why an account without a fill has none: the reasons of the latest decisions, and what the risk gate denied.

    Parameters
    ----------
    orders : as the service tells them; a denied one has its code.

    Raises
    ------
    DataError : a line of the decisions is none.
    """
    from sapphire.coordination.decision_log import latest_decisions
    from sapphire.monitoring.reading.decisions import DecidedBar, why_untraded

    made = [DecidedBar.of(decision.facts) for decision in latest_decisions(run.decisions, _DECISIONS)]
    denied = Counter(str(order["denied"]) for order in orders if order["denied"])
    return why_untraded(made, run.read()["symbols"], denied=denied, refused={})


def _today(fills: Sequence[Mapping[str, Any]], market_ns: int) -> dict[str, Any]:
    """What was traded in the UTC day of a moment; the last fills that the service keeps are enough for any day here."""
    begin_ns = market_ns - market_ns % _DAY_NS
    today = [fill for fill in fills if int(fill["market_ns"]) >= begin_ns]
    fees: dict[str, int] = {}
    for fill in today:
        fees[fill["fee_asset"]] = fees.get(fill["fee_asset"], 0) + int(fill["fee_atoms"])
    return {
        "day_ns": str(begin_ns),
        "fills": len(today),
        **{
            f"{side.lower()}_quote_atoms": str(sum(int(fill["quote_atoms"]) for fill in today if fill["side"] == side))
            for side in ("BUY", "SELL")
        },
        "fees": {asset: str(atoms) for asset, atoms in sorted(fees.items())},
    }


def _line(error: SapphireError) -> str:
    return "; ".join(text for text in (error.what, error.got) if text)
