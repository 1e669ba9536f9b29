"""What the demo says at its end: plain values, and the same in eight lines."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sapphire.domain.evidence import need_text
from sapphire.lab.demo.market import DemoMarket
from sapphire.lab.demo.research import Researched
from sapphire.monitoring.judging.days_on_paper import witnessed_registry

__all__ = ["Summary", "summarised"]

_SIGNS = {"min": "<", "max": ">", "above": "<="}
_WIDTH = 80
_LEAST_BPS = 0.05
"""Of a cost that is named."""


@dataclass(frozen=True, slots=True)
class Summary:
    """The summary of one demo.

    Parameters
    ----------
    facts : plain values with stable keys, for `--json`.
    """

    facts: dict[str, Any]

    @property
    def is_sound(self) -> bool:
        """Whether every check of the demo held."""
        facts = self.facts
        traded = facts["traded"]["sound"] and facts["traded"]["books"] is not None
        return bool(facts["ccxt"]["balances_agree"] and facts["replays_identical"] and traded)

    def __str__(self) -> str:
        facts, traded = self.facts, self.facts["traded"]
        minutes, seconds = divmod(round(facts["seconds"]), 60)
        title = f"Sapphire demo, {traded['bars']:,} bars of {' and '.join(facts['symbols'])}, {facts['market']}"
        lines = {
            "release": _release(facts["release"]),
            "traded": _traded(traded),
            "parity": _parity(traded),
            "costs": _costs(traded),
            "latency": _latency(traded),
            "replay": _replay(traded),
        }
        table = "\n".join(f" {name:<12}{text}" for name, text in lines.items())
        look = "      ".join(facts["look_at"])
        return f"\n {title:<{_WIDTH}}    {minutes} min {seconds:02d} s\n\n{table}\n\n {'look at':<12}{look}\n\n"


def summarised(
    market: DemoMarket,
    researched: Researched,
    traded: dict[str, Any],
    *,
    home: Path,
    folder: Path,
    html: Path,
    order: str | None,
    seconds: float,
) -> Summary:
    """Everything that was measured.

    Parameters
    ----------
    traded : what the daily report says of the run.
    folder : where the notebooks that were run are.
    html : the report's page.
    order : an order to trace; None where none was sent.
    """
    submitted = researched.last("submit")
    digests = {replay["digest"] for replay in researched.replays}
    trip = researched.round_trip
    look_at = [_short(html), "make lab"]
    look_at += [f"sapphire trace {order}"] if order else []
    look_at += ["sapphire up"]
    return Summary(
        {
            "market": market.label,
            "symbols": list(market.symbols),
            "interval": market.windows.interval.text,
            "study": {"start": market.windows.start, "end": market.windows.end, "bars": market.windows.bars},
            "seconds": round(seconds, 1),
            "ccxt": {"orders": trip.orders, "fills": trip.fills, "balances_agree": trip.balances_agree},
            "evidence": researched.replays[-1],
            "release": _released(home, submitted["digest"], submitted["release"]),
            "compare": researched.last("compare"),
            "replays": len(researched.replays),
            "replays_identical": len(digests) == 1,
            "traded": traded,
            "report": str(html),
            "notebooks": str(folder),
            "look_at": look_at,
        }
    )


def _released(home: Path, digest: str, release: str) -> dict[str, Any]:
    """What the registry says of the release: its gates for paper and for live, and what failed."""
    registry = witnessed_registry(home)
    paper, live = (registry.gates(digest, to=target) for target in ("paper", "live"))
    skill = next((row for row in live.rows if row.measure == "deflated_sharpe"), None)
    return {
        "release": release,
        "digest": digest,
        "paper": paper.permits == "paper",
        "live": live.permits == "live",
        "skill_failed": paper.skill_failed,
        "deflated_sharpe": None if skill is None else skill.value,
        "deflated_sharpe_text": "" if skill is None else _against(skill.measure, skill.has, skill.needs),
        "trials": live.trials,
        "failed_for_live": [f"{row.measure} {row.has} (needs {need_text(row.needs)})" for row in live.failed],
    }


def _against(measure: str, has: str, needs: Any) -> str:
    """A failed measure against its bound: "deflated Sharpe 0.22 < 0.95"."""
    name = measure.replace("_", " ").replace("sharpe", "Sharpe")
    if isinstance(needs, dict) and len(needs) == 1:
        ((bound, value),) = needs.items()
        return f"{name} {has} {_SIGNS.get(bound, 'against')} {value:g}"
    return f"{name} {has}, needs {need_text(needs)}"


def _release(released: dict[str, Any]) -> str:
    if released["live"]:
        standing = f"live (deflated Sharpe {released['deflated_sharpe']:.2f}"
    else:
        standing = ("paper only" if released["paper"] else "refused") + f" ({released['deflated_sharpe_text']}"
    return f"{released['release']}    {standing}, N = {released['trials']:,})"


def _traded(traded: dict[str, Any]) -> str:
    books = traded["books"]
    text = f"{traded['orders']:,} orders, {traded['fills']:,} fills"
    if traded["untraded"]:
        text += f" (never traded: {traded['untraded']})"
    if books is None:
        return f"{text}; the exchange's books were not saved"
    equal = "balances equal the exchange's to the last digit" if books["balances_equal"] else "balances DIFFER"
    changed = f", {len(books['changed']):,} CHANGED" if books["changed"] else ""
    return f"{text}, {len(books['lost']):,} lost, {len(books['doubled']):,} doubled{changed}; {equal}"


def _parity(traded: dict[str, Any]) -> str:
    parity = traded["parity"]
    returns = f"evidence {100 * traded['evidence_return']:+.2f} %, traded {100 * traded['traded_return']:+.2f} %"
    differing = ", ".join(f"{lots:,} lots {cause}" for cause, lots in parity["lots_by_cause"].items())
    lots = f"{parity['unexplained_lots']:,} lots unexplained" + (f" ({differing})" if differing else "")
    return f"{returns}: {lots}"


def _costs(traded: dict[str, Any]) -> str:
    """What each cost makes of the run that costs nothing, in basis points, and all of them in the quote asset."""
    felt = [(name, change) for name, change in traded["steps_bps"] if abs(change) >= _LEAST_BPS]
    steps = ", ".join(f"{name} {change:+.1f}" for name, change in felt) or "none that shows"
    together, quote = (sum(change for _, change in traded[key]) for key in ("steps_bps", "steps_quote"))
    return f"{steps}: {together:+.1f} bps in all, {quote:+,.2f} {traded['quote']}"


def _latency(traded: dict[str, Any]) -> str:
    wire = next(hop for hop in traded["latency"] if hop["hop"] == "signal to wire")
    if not wire["n"]:
        return "signal to wire, n = 0: nothing was sent"
    numbers = f"median {wire['median_us']:,.0f} us, max {wire['max_us']:,.0f} us"
    return f"signal to wire, n = {wire['n']:,}: {numbers}   (percentiles: make bench)"


def _replay(traded: dict[str, Any]) -> str:
    replay = traded["replay"]
    same = "byte-identical" if replay["identical"] else "NOT identical: sapphire journal replay names the step"
    return f"{replay['steps'] or 0:,} steps, {same}"


def _short(path: Path) -> str:
    """A path as it is typed from here."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative
