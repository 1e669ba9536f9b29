"""Days of market time, UTC: what each came to, told once it is over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sapphire.domain.clocks import from_ns
from sapphire.domain.display import stamp
from sapphire.domain.order_messages import OrderExecutionMessage
from sapphire.domain.orders import Side
from sapphire.stack.account.showing import money
from sapphire.stack.notices.fills import add_fees, fees_text

__all__ = ["Day", "Days"]

_DAY_NS = 86_400_000_000_000


@dataclass(frozen=True, slots=True)
class Day:
    """A day that is over.

    Parameters
    ----------
    day_ns : its begin.
    title, lines : for people.
    facts : for programs.
    """

    day_ns: int
    title: str
    lines: tuple[str, ...]
    facts: Mapping[str, Any]

    @property
    def end_ns(self) -> int:
        """Its end."""
        return self.day_ns + _DAY_NS


class Days:
    """What is known of the days that are not told yet.

    Parameters
    ----------
    state : plain values; empty at first.
    quote : asset that equity is in.
    """

    def __init__(self, state: dict[str, Any], quote: str) -> None:
        self._state, self._quote = state, quote
        state.setdefault("open", {})
        state.setdefault("newest", None)
        state.setdefault("equity", None)

    def decision(self, row: Mapping[str, Any]) -> None:
        """Take in a bar's decision; a bar that closes at midnight belongs to the day that ends."""
        close_ns = int(row["bar_close_ns"])
        day = self._day(close_ns - 1)
        self._state["newest"] = max(self._state["newest"] or 0, (close_ns - 1) // _DAY_NS)
        day["bars"] += 1
        day["undecided"] += row["reason"] is not None
        equity = row["equity_quote_atoms"]
        if equity is not None:
            before = self._state["equity"] or {"at_ns": str(close_ns), "atoms": str(equity)}
            day["from"] = day["from"] or before
            day["to"] = self._state["equity"] = {"at_ns": str(close_ns), "atoms": str(equity)}

    def fill(self, execution: OrderExecutionMessage, at_ns: int) -> None:
        """Take in a fill."""
        if execution.fill is None:
            return
        day = self._day(at_ns)
        day["fills"] += 1
        key = "bought" if execution.side is Side.BUY else "sold"
        day[key] = str(int(day[key]) + execution.fill.quote_atoms)
        add_fees(day["fees"], execution)

    def denied(self, at_ns: int) -> None:
        """Take in an order that was refused."""
        self._day(at_ns)["denied"] += 1

    def restarted(self, times: int) -> None:
        """Take in restarts of a part; they count for the newest day."""
        if self._state["open"]:
            self._state["open"][max(self._state["open"], key=int)]["restarts"] += times

    def over(self) -> Iterator[Day]:
        """Days that ended: a bar of a later one was decided. Each comes once."""
        newest = self._state["newest"]
        for key in sorted(self._state["open"], key=int):
            if newest is not None and int(key) < newest:
                yield self._summary(int(key) * _DAY_NS, self._state["open"].pop(key))

    def _day(self, at_ns: int) -> dict[str, Any]:
        """The sums of a day; what comes late for one that is told counts for the newest."""
        day = max(at_ns // _DAY_NS, self._state["newest"] or 0)
        counts: dict[str, Any] = dict.fromkeys(("bars", "undecided", "fills", "denied", "restarts"), 0)
        empty = {**counts, "bought": "0", "sold": "0", "fees": {}, "from": None, "to": None}
        found: dict[str, Any] = self._state["open"].setdefault(str(day), empty)
        return found

    def _summary(self, day_ns: int, day: dict[str, Any]) -> Day:
        equity = "equity not known"
        if day["to"] is not None:
            begun, ended = int(day["from"]["atoms"]), int(day["to"]["atoms"])
            change = f", {100.0 * (ended / begun - 1.0):+.2f} % since {stamp(int(day['from']['at_ns']))}"
            equity = f"equity {money(ended)} {self._quote}{change if begun > 0 else ''}"
        lines = (
            f"{_count(day['fills'], 'fill')}: bought {money(day['bought'])}, sold {money(day['sold'])} {self._quote}; "
            f"fees {fees_text(day['fees'])}",
            f"{_count(day['bars'], 'bar')}, {day['undecided']:,} undecided; "
            f"{_count(day['denied'], 'order')} refused; {_count(day['restarts'], 'restart')}",
            "sapphire report run daily compares it with the evidence, lot by lot",
        )
        return Day(day_ns, f"{from_ns(day_ns):%Y-%m-%d}: {equity}", lines, {"day_ns": str(day_ns), **day})


def _count(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
