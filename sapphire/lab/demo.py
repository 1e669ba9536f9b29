"""The demo: the loop as far as it is built, on the embedded exchange, with nothing but this checkout.

An unmodified ccxt trades on the exchange; then the notebooks collect bars, write and train agents, replay a study's
evidence by the engine, and promote a release to paper. The summary at the end is made of what they showed.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from sapphire.domain.errors import ConfigError, ExchangeError
from sapphire.domain.evidence import need_text
from sapphire.domain.workspace import home, workspace
from sapphire.execution import Exchange
from sapphire.lab.running import results_of, run_notebook
from sapphire.registry import Registry

__all__ = ["run_demo"]

Result = TypeVar("Result")

RECORDINGS = "SAPPHIRE_RECORDINGS"
_SYMBOLS = ("BTC/USDT", "ETH/USDT")
_VENUE = "binanceusdm-as-spot"


@dataclass(frozen=True, slots=True)
class Market:
    """What the demo runs on."""

    label: str
    study: dict[str, Any]
    candles: Path | None


@dataclass(frozen=True, slots=True)
class Traded:
    """What ccxt did on the exchange."""

    orders: int
    fills: int
    balances_agree: bool


def run_demo(*, seed: int, as_json: bool) -> None:
    """Run it all and print the summary.

    Raises
    ------
    SapphireError : the first step that failed.
    """
    began = time.monotonic()
    notebooks = workspace() / "notebooks"
    if not (notebooks / "30_backtest.ipynb").is_file():
        raise ConfigError(
            "the demo's notebooks are not here",
            expected=f"30_backtest.ipynb and its sisters in {notebooks}",
            next="run sapphire demo in a checkout of Sapphire",
        )
    folder = home() / "demo"
    steps = _Steps(total=6)
    market = steps.run("market", lambda: _market(seed, folder))
    traded = steps.run("exchange: ccxt trades", lambda: _trade(seed, market))
    runs = {
        "10_data.ipynb": {"seed": seed},
        "20_agents.ipynb": {"seed": seed},
        "30_backtest.ipynb": {"seed": seed, **market.study},
        "40_promotion.ipynb": {"seed": seed, **market.study},
    }
    for name, parameters in runs.items():
        steps.run(
            f"notebook {name}",
            lambda name=name, parameters=parameters: run_notebook(  # type: ignore[misc]
                notebooks / name, folder / name, parameters, cwd=workspace()
            ),
        )
    results = [result for name in ("30_backtest.ipynb", "40_promotion.ipynb") for result in results_of(folder / name)]
    _summarise(market, traded, results, folder, began, as_json=as_json)


class _Steps:
    """Progress on stderr: one line a step, with how long it took."""

    def __init__(self, *, total: int) -> None:
        self._total = total
        self._done = 0

    def run(self, what: str, step: Callable[[], Result]) -> Result:
        began = time.monotonic()
        self._done += 1
        sys.stderr.write(f" {self._done}/{self._total}  {what} ...\n")
        result = step()
        sys.stderr.write(f"      {what}: {time.monotonic() - began:.0f} s\n")
        return result


def _market(seed: int, folder: Path) -> Market:
    """The recorded candles that the environment names, else the generated market."""
    named = os.environ.get(RECORDINGS)
    if not named:
        return Market(f"generated market, seed {seed}", {"source": "embedded", "venue": None}, None)
    from sapphire.data import export_candles, import_candles

    candles = folder / "candles"
    export_candles(Path(named) / "candles", candles, _SYMBOLS, interval="5m")
    import_candles(candles, venue=_VENUE)
    return Market(f"recorded candles ({_VENUE})", {"source": "recorded", "venue": _VENUE}, candles)


def _trade(seed: int, market: Market) -> Traded:
    """A round trip by an unmodified ccxt: buy at market, sell at a limit through the book, and count the money."""
    import ccxt

    start = None if market.candles else "2025-03-07"
    with Exchange(symbols=_SYMBOLS, seed=seed, speed=60.0, start=start, candles=market.candles) as exchange:
        client = ccxt.binance(exchange.address.ccxt_config())
        before = _holdings(client)
        bought = client.create_order("BTC/USDT", "market", "buy", 0.1)
        worst = client.price_to_precision("BTC/USDT", client.fetch_ticker("BTC/USDT")["bid"] * 0.99)
        held = _holdings(client)["BTC"] - before.get("BTC", Decimal(0))
        sold = client.create_order("BTC/USDT", "limit", "sell", client.amount_to_precision("BTC/USDT", held), worst)
        fills = client.fetch_my_trades("BTC/USDT")
        after = _holdings(client)
    return Traded(2, len(fills), _agree(before, after, fills) and {bought["status"], sold["status"]} == {"closed"})


def _holdings(client: Any) -> dict[str, Decimal]:
    """Free and locked together, exact, from the venue's own text."""
    balances = client.fetch_balance()["info"]["balances"]
    return {row["asset"]: Decimal(row["free"]) + Decimal(row["locked"]) for row in balances}


def _agree(before: dict[str, Decimal], after: dict[str, Decimal], fills: list[dict[str, Any]]) -> bool:
    """Whether the fills, fee by fee, explain the change of every balance to the last digit."""
    changes: dict[str, Decimal] = {}
    for fill in (fill["info"] for fill in fills):
        sign = 1 if fill["isBuyer"] else -1
        for asset, amount in (
            ("BTC", sign * Decimal(fill["qty"])),
            ("USDT", -sign * Decimal(fill["quoteQty"])),
            (fill["commissionAsset"], -Decimal(fill["commission"])),
        ):
            changes[asset] = changes.get(asset, Decimal(0)) + amount
    if not fills:
        raise ExchangeError("the demo's orders did not trade", expected="fills of BTC/USDT", got="none")
    return all(after.get(asset, 0) - before.get(asset, 0) == change for asset, change in changes.items())


def _summarise(
    market: Market,
    traded: Traded,
    results: list[dict[str, Any]],
    folder: Path,
    began: float,
    *,
    as_json: bool,
) -> None:
    replays = [result for result in results if result["method"] == "replay"]
    comparison = next(result for result in results if result["method"] == "compare")
    submitted = next(result for result in results if result["method"] == "submit")
    evidence = replays[-1]
    identical = len({replay["digest"] for replay in replays}) == 1
    summary = {
        "market": market.label,
        "seconds": round(time.monotonic() - began, 1),
        "ccxt": {"orders": traded.orders, "fills": traded.fills, "balances_agree": traded.balances_agree},
        "evidence": evidence,
        "release": _released(submitted["digest"], submitted["release"]),
        "compare": comparison,
        "replays": len(replays),
        "replays_identical": identical,
        "notebooks": str(folder),
    }
    if as_json:
        sys.stdout.write(json.dumps(summary, sort_keys=True) + "\n")
    else:
        sys.stdout.write(_words(summary))
    if not (traded.balances_agree and identical):
        raise ExchangeError(
            "the demo's own checks failed",
            expected="balances that the fills explain to the last digit, and replays with one digest",
            got=f"balances agree: {traded.balances_agree}; identical replays: {identical}",
            next=f"the notebooks that were run are in {folder}",
        )


def _released(digest: str, release: str) -> dict[str, Any]:
    """What the registry says of the release: its gates for paper and for live, and what failed."""
    registry = Registry(home())
    paper, live = (registry.gates(digest, to=target) for target in ("paper", "live"))
    return {
        "release": release,
        "digest": digest,
        "paper": paper.permits == "paper",
        "live": live.permits == "live",
        "skill_failed": paper.skill_failed,
        "failed_for_live": [f"{row.measure} {row.has} (needs {need_text(row.needs)})" for row in live.failed],
    }


def _words(summary: dict[str, Any]) -> str:
    evidence, compare, ccxt = summary["evidence"], summary["compare"], summary["ccxt"]
    sharpe, error = evidence["sharpe_annual"], evidence["sharpe_annual_standard_error"]
    known = "no Sharpe ratio" if sharpe is None else f"Sharpe {sharpe:.2f} ± {error:.2f} a year"
    steps = ", ".join(f"{name} {change:+.1f} bps" for name, change in compare["steps_bps"])
    agree = "balances explained to the last digit" if ccxt["balances_agree"] else "balances NOT explained"
    same = "one digest" if summary["replays_identical"] else "DIFFERENT digests"
    released = summary["release"]
    where = "paper" if released["paper"] else "refused for paper"
    if not released["live"]:
        where += " only: " + "; ".join(released["failed_for_live"][:3]) + ", ..."
    minutes, seconds = divmod(round(summary["seconds"]), 60)
    traded = f"{evidence['orders']:,} orders, {evidence['fills']:,} fills"
    equal = f"screen and engine equal to {compare['largest_relative_difference']:.0e} under equal assumptions"
    return f"""
 Sapphire demo, {summary["market"]}{minutes:>12} min {seconds:02d} s

 exchange    unmodified ccxt: {ccxt["orders"]} orders, {ccxt["fills"]} fills; {agree}
 evidence    {100 * evidence["total_return"]:+.2f} %, {known}; {traded}
 trials      N = {evidence["trials"]} in the ledger
 release     {released["release"]} {released["digest"][:12]}: {where}
 parity      {equal}; then {steps}
 replay      {summary["replays"]} runs, {same} ({evidence["digest"][:12]})

 look at     {summary["notebooks"]}      make lab

"""
