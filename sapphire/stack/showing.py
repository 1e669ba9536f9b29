"""How a stack shows itself: parts, positions, orders and fills as tables for people."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any

from sapphire.domain.display import stamp
from sapphire.domain.evidence import MARKED

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = [
    "age",
    "console_on",
    "print_table",
    "show_fills",
    "show_orders",
    "show_parts",
    "show_permit",
    "show_positions",
    "show_views",
    "table_of",
]

_NS_PER_S = 1_000_000_000
_ATOMS_DIGITS = 8
_SHORT = 12
_PIPE_WIDTH = 200
_ORDER = ("bus", "exchange", "mlflow", "bento", "collector", "coordinator", "service")


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]], *, to: IO[str] | None = None) -> None:
    """A table on stdout unless `to` is given: as wide as the terminal, or as `COLUMNS` says where there is none.

    A pipe without that variable gets lines as long as they need to be, which are easier to search.
    """
    stream = to or sys.stdout
    console = console_on(stream)
    console.print(table_of(title, header, rows), soft_wrap=False)


def console_on(stream: IO[str]) -> Console:
    """A console that knows how wide a line may be."""
    from rich.console import Console

    console = Console(file=stream, highlight=False)
    if console.is_terminal or os.environ.get("COLUMNS", "").isdecimal():
        return console
    return Console(file=stream, highlight=False, width=_PIPE_WIDTH)


def table_of(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """A table whose cells are shown as they are, and folded where the line is too short."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=Text(title) if title else None,
        title_justify="left",
        title_style="",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
    )
    for name in header:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def show_parts(facts: Mapping[str, Any], *, now_ns: int, is_running: bool) -> None:
    """What runs where, and how: per part its state, since when, address, release."""
    release, market = facts["release"], facts["market"]
    mark = f"  {MARKED}{', '.join(release['marks'])}" if release["marks"] else ""
    clock = "lock-step" if facts["clock"].get("lockstep") else f"{facts['clock']['speed']:g} times as fast"
    of = f"seed {market['seed']}" if market["source"] == "generated" else market["candles"]
    state = facts["state"] if is_running or facts["state"] in ("stopped", "failed") else "gone: its keeper was killed"
    title = (
        f"stack {state}: {release['label']} on {release['stage']}{mark}\n"
        f"{', '.join(facts['symbols'])}, {facts['interval']} bars, {market['source']} market ({of}), {clock}"
    )
    rows = []
    known = [name for name in _ORDER if name in facts["parts"]]
    for name in (*known, *(name for name in facts["parts"] if name not in known)):
        part = facts["parts"][name]
        since = f"{part['state']} for {age(now_ns - int(part['since_ns']))}" if is_running else "not running"
        again = f"{part['restarts']} ({part['why']})" if part["restarts"] else ""
        pid = str(part["pid"] or "") if is_running else ""
        rows.append((name, since, part["address"] or "", (part["release"] or "")[:_SHORT], pid, again))
    print_table(title, ("part", "state", "address", "release", "process", "restarts"), rows)


def show_permit(permit: Mapping[str, Any], *, to: IO[str] | None = None) -> None:
    """Why the release's permit does not hold, and what that means for its positions; nothing while it holds.

    Parameters
    ----------
    permit : what `releases.permit_now` says.
    """
    if permit["holds"]:
        return
    stream = to or sys.stdout
    print(f"permit closed: {permit['why']}", file=stream)
    if permit["rule"] is not None:
        print(f"no new exposure; positions follow the release's rule: {permit['rule']}", file=stream)


def show_views(views: Mapping[str, Any] | None, *, to: IO[str] | None = None) -> None:
    """Whose views have stopped, since when, and what the rule does with the position; nothing while all speak.

    Parameters
    ----------
    views : `Decision.standing` of the newest bar.
    """
    if views is None:
        return
    stream = to or sys.stdout
    if views["reason"] is not None:
        at, reason = stamp(int(views["bar_close_ns"])), views["reason"]
        print(f"bar {at}: {reason['code'].replace('_', ' ')}: {reason['text']}", file=stream)
    rows = [
        (each["symbol"], f"stopped since {stamp(int(each['since_ns']))}", f"{each['bar']:,}", each["stage"])
        for each in views["stopped"]
    ]
    if rows:
        print_table("views that have stopped", ("symbol", "views", "bars since", "position"), rows, to=to)


def show_positions(told: Mapping[str, Any]) -> None:
    """Cash, equity and holdings."""
    quote = told["quote"]
    equity = told.get("equity_quote_atoms")
    title = f"account {told['account']}: cash {_amount(told['cash_quote_atoms'])} {quote}, equity " + (
        f"{_amount(equity)} {quote}" if equity is not None else "not known: a price is missing, or it is too large"
    )
    rows = [
        (
            row["symbol"],
            _amount(row["atoms"]),
            row["lots"],
            row["in_flight_lots"],
            _amount(row["average_price_atoms"]) if row["average_price_atoms"] is not None else "",
            _amount(row["realised_atoms"]),
        )
        for row in told["positions"]
    ]
    header = ("symbol", "held", "lots", "lots on the way", f"average price, {quote}", f"realised, {quote}")
    print_table(title, header, rows)
    if told.get("others"):
        print_table(
            "also held, in no equity", ("asset", "held"), [(at["asset"], _amount(at["atoms"])) for at in told["others"]]
        )
    if told.get("fees"):
        fees = [
            (
                fee["asset"],
                _amount(fee["atoms"]),
                _amount(fee["quote_atoms"]) if fee["quote_atoms"] else "no price known",
            )
            for fee in told["fees"]
        ]
        print_table("fees paid", ("asset", "paid", f"value, {quote}"), fees)


def show_orders(rows: Sequence[Mapping[str, Any]]) -> None:
    """Orders, oldest first."""
    lines = [
        (
            row["order"],
            row["symbol"],
            row["side"],
            row["lots"],
            row["ticks"],
            row["state"],
            row["filled_lots"],
            row["denied"] or "",
            stamp(int(row["made_ns"])),
        )
        for row in rows
    ]
    header = ("order", "symbol", "side", "lots", "limit, ticks", "state", "filled", "denied for", "made")
    print_table(_count(len(lines), "order"), header, lines)


def show_fills(rows: Sequence[Mapping[str, Any]]) -> None:
    """Fills, oldest first."""
    lines = [
        (
            row["order"],
            row["symbol"],
            row["side"],
            row["lots"],
            row["ticks"],
            _amount(row["quote_atoms"]),
            f"{_amount(row['fee_atoms'])} {row['fee_asset']}",
            row["trade"],
            stamp(int(row["market_ns"])),
        )
        for row in rows
    ]
    header = ("order", "symbol", "side", "lots", "price, ticks", "value", "fee", "trade", "market time")
    print_table(_count(len(lines), "fill"), header, lines)


def age(ns: int) -> str:
    """How long, in two units at most.

    Examples
    --------
    >>> age(3_000_000_000), age(75 * 60_000_000_000)
    ('3 s', '1 h 15 min')
    """
    seconds = max(0, ns) // _NS_PER_S
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def _amount(atoms: str) -> str:
    """Atoms of 1e-8 as a plain decimal."""
    value = int(atoms)
    whole, part = divmod(abs(value), 10**_ATOMS_DIGITS)
    text = f"{whole:,}.{part:0{_ATOMS_DIGITS}d}".rstrip("0").rstrip(".")
    return f"-{text}" if value < 0 else text


def _count(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
