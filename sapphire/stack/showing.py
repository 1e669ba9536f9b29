"""How a stack shows itself: its parts, its permit and its views as tables for people."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any

from sapphire.domain.display import stamp
from sapphire.domain.evidence import MARKED

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

__all__ = [
    "age",
    "lines_of",
    "parts_table",
    "permit_lines",
    "print_table",
    "show",
    "show_parts",
    "table_of",
    "views_parts",
]

_NS_PER_S = 1_000_000_000
_SHORT = 12
_PIPE_WIDTH = 200
_ORDER = ("bus", "exchange", "mlflow", "bento", "collector", "coordinator", "service", "notices", "reports")


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]], *, to: IO[str] | None = None) -> None:
    """A table on stdout unless `to` is given."""
    show([table_of(title, header, rows)], to=to)


def show(parts: Iterable[RenderableType], *, to: IO[str] | None = None) -> None:
    """Tables and lines on stdout unless `to` is given: as wide as the terminal, or as `COLUMNS` says without one.

    A pipe without that variable gets lines as long as they need to be, which are easier to search.
    """
    from rich.console import Console

    stream = to or sys.stdout
    console = Console(file=stream, highlight=False)
    if not console.is_terminal and not os.environ.get("COLUMNS", "").isdecimal():
        console = Console(file=stream, highlight=False, width=_PIPE_WIDTH)
    for part in parts:
        console.print(part)


def table_of(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """A table whose cells are shown as they are, and folded where the line is too short."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=Text(title),
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


def lines_of(lines: Sequence[tuple[str, str]]) -> Table:
    """Named lines, one below the other."""
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, text in lines:
        grid.add_row(Text(name), Text(text))
    return grid


def show_parts(facts: Mapping[str, Any], *, now_ns: int, is_running: bool) -> None:
    """What runs where, and how: per part its state, since when, address, release."""
    show([parts_table(facts, now_ns=now_ns, is_running=is_running)])


def parts_table(facts: Mapping[str, Any], *, now_ns: int, is_running: bool) -> Table:
    """The parts of a stack as a table."""
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
    return table_of(title, ("part", "state", "address", "release", "process", "restarts"), rows)


def permit_lines(permit: Mapping[str, Any]) -> Iterator[str]:
    """Why the release's permit does not hold, and what that means for its positions; nothing while it holds.

    Parameters
    ----------
    permit : what `releases.permit_now` says.
    """
    if permit["holds"]:
        return
    yield f"permit closed: {permit['why']}"
    if permit["rule"] is not None:
        yield f"no new exposure; positions follow the release's rule: {permit['rule']}"


def views_parts(views: Mapping[str, Any] | None) -> Iterator[RenderableType]:
    """Whose views have stopped, since when, and what the rule does with the position; nothing while all speak.

    Parameters
    ----------
    views : `Decision.standing` of the newest bar.
    """
    from rich.text import Text

    if views is None:
        return
    if views["reason"] is not None:
        at, reason = stamp(int(views["bar_close_ns"])), views["reason"]
        yield Text(f"bar {at}: {reason['code'].replace('_', ' ')}: {reason['text']}")
    rows = [
        (each["symbol"], f"stopped since {stamp(int(each['since_ns']))}", f"{each['bar']:,}", each["stage"])
        for each in views["stopped"]
    ]
    if rows:
        yield table_of("views that have stopped", ("symbol", "views", "bars since", "position"), rows)


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
