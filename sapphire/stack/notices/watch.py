"""The watch: what happens in a run, folded into the notices that it is worth.

Storms are one message when they begin and one when they are over, which is after `QUIET_BARS` calm bars in a row. Fills
are one message for their bar. A part that ends again and again is one message a minute. All that is remembered is in
`state`, plain values, so a process that is killed goes on where it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from sapphire.domain.display import stamp
from sapphire.domain.messages import Message, OrderExecutionMessage, RiskUpdateMessage
from sapphire.domain.orders import OrderState
from sapphire.stack.notices.days import Days
from sapphire.stack.notices.fills import add_fill, fill_lines
from sapphire.stack.notices.notice import Notice
from sapphire.stack.rules import Rules

__all__ = ["QUIET_BARS", "Watch"]

QUIET_BARS: Final = 3
_SET_BY = ("COMMAND", "LOSS")
"""Causes of a change of what trading may do, as RISK_UPDATE names them."""
_QUIET_FILLS_NS = 5_000_000_000
"""Wall time without a fill after which those of a bar are told, before the bar is over."""
_BETWEEN_RESTARTS_NS = 60_000_000_000
_TITLES = {
    "ACTIVE": "Trading goes on: ACTIVE",
    "REDUCING": "Trading is REDUCING: positions only get smaller",
    "HALTED": "Trading is HALTED",
}


class Watch:
    """What is known of a run, and what to say of what comes.

    Parameters
    ----------
    about : what runs, as `About.line` says.
    rules : steps of its symbols.
    quote : asset that its equity is in.
    interval_ns : length of a bar.
    denials_in_a_bar : so many are a storm.
    state : of an earlier watch; empty at first.
    """

    def __init__(
        self, about: str, rules: Rules, *, quote: str, interval_ns: int, denials_in_a_bar: int, state: dict[str, Any]
    ) -> None:
        self._about, self._rules, self._interval_ns, self._storm = about, rules, interval_ns, denials_in_a_bar
        self.state = state
        state.setdefault("fills", {"bar": None, "sums": {}, "last_ns": None, "entry": ""})
        state.setdefault("denials", {"bar": 0, "count": 0, "codes": {}, "storm": None})
        state.setdefault("undecided", None)
        state.setdefault("parts", {"keeper": None, "ended": True, "restarts": {}, "told_ns": {}, "untold": {}})
        self._days = Days(state.setdefault("days", {}), quote)

    def message(self, entry: str, message: Message, *, now_ns: int) -> Iterator[Notice]:
        """What an entry of `executions` is worth; `now_ns` is wall time."""
        at_ns = message.envelope.event_time_ns
        yield from self._bar(at_ns // self._interval_ns, at_ns, now_ns)
        if isinstance(message, RiskUpdateMessage) and message.code in _SET_BY:
            yield self._set(entry, message, now_ns)
        if not isinstance(message, OrderExecutionMessage):
            return
        if message.fill is not None:
            self._days.fill(message, at_ns)
            fills = self.state["fills"]
            fills |= {"bar": at_ns // self._interval_ns, "last_ns": str(now_ns), "entry": entry}
            add_fill(fills["sums"], message)
        elif message.state in (OrderState.DENIED, OrderState.REJECTED):
            self._days.denied(at_ns)
            yield from self._denied(entry, message, now_ns)

    def decision(self, row: Mapping[str, Any], *, now_ns: int) -> Iterator[Notice]:
        """What a bar's decision is worth, a line of `decisions.jsonl`."""
        close_ns, reason = int(row["bar_close_ns"]), row["reason"]
        yield from self._bar(close_ns // self._interval_ns, close_ns, now_ns)
        self._days.decision(row)
        spell = self.state["undecided"]
        if reason is not None:
            if spell is None:
                self.state["undecided"] = {"since_ns": str(close_ns), "bars": 1, "quiet": 0, "codes": [reason["code"]]}
                yield self._notice(
                    f"undecided-{close_ns}",
                    "undecided",
                    f"A bar was not decided: {reason['code'].replace('_', ' ')}",
                    now_ns,
                    close_ns,
                    lines=(f"bar that closed at {stamp(close_ns)}: {reason['text']}",),
                    facts={"bar_close_ns": str(close_ns), "code": reason["code"]},
                )
                return
            spell["bars"], spell["quiet"] = spell["bars"] + 1, 0
            spell["codes"] += [code for code in (reason["code"],) if code not in spell["codes"]]
        elif spell is not None:
            spell["quiet"] += 1
            if spell["quiet"] >= QUIET_BARS:
                self.state["undecided"] = None
                yield self._over(spell, close_ns, now_ns)

    def parts(self, facts: Mapping[str, Any], *, now_ns: int) -> Iterator[Notice]:
        """What the standing of the parts is worth, as `stack.json` has it."""
        known = self.state["parts"]
        if known["keeper"] != facts["pid"]:
            yield from self._restarted(now_ns, within_ns=0)
            if not known["ended"]:
                why = "its keeper was killed, or the machine went down"
                name = f"up-{facts['pid']}-{facts['written_ns']}"
                yield self._notice(name, "restarts", f"The stack was started again: {why}", now_ns)
            known |= {"keeper": facts["pid"], "restarts": {}, "told_ns": {}}
        known["ended"] = False
        for name, part in facts["parts"].items():
            more = part["restarts"] - known["restarts"].get(name, 0)
            if more > 0:
                known["restarts"][name] = part["restarts"]
                before = known["untold"].get(name, {"times": 0})
                known["untold"][name] = {"times": before["times"] + more, "why": part["why"]}
                self._days.restarted(more)
        yield from self._restarted(now_ns, within_ns=_BETWEEN_RESTARTS_NS)

    def settled(self, *, now_ns: int) -> Iterator[Notice]:
        """What waited for more of its kind and is whole now: call it once everything there is was read."""
        last_ns = self.state["fills"]["last_ns"]
        if last_ns is not None and not 0 <= now_ns - int(last_ns) < _QUIET_FILLS_NS:
            yield self._filled(now_ns)
        for day in self._days.over():
            yield self._notice(
                f"day-{day.day_ns}", "report", day.title, now_ns, day.end_ns, lines=day.lines, facts=day.facts
            )

    def ends(self, *, now_ns: int) -> Iterator[Notice]:
        """The stack is ended in order: what waited for more is told now."""
        if self.state["fills"]["last_ns"] is not None:
            yield self._filled(now_ns)
        yield from self._restarted(now_ns, within_ns=0)
        self.state["parts"]["ended"] = True

    def _restarted(self, now_ns: int, *, within_ns: int) -> Iterator[Notice]:
        """Parts that ended and were not told in so much wall time before."""
        known = self.state["parts"]
        for name, part in list(known["untold"].items()):
            last_ns = known["told_ns"].get(name)
            if last_ns is not None and 0 <= now_ns - int(last_ns) < within_ns:
                continue
            known["told_ns"][name] = str(now_ns)
            del known["untold"][name]
            times = "" if part["times"] == 1 else f"; {part['times']:,} times since it was told last"
            yield self._notice(
                f"restart-{known['keeper']}-{name}-{known['restarts'][name]}",
                "restarts",
                f"{name} {part['why']} and is started again{times}",
                now_ns,
                facts={"part": name, **part},
            )

    def _set(self, entry: str, message: RiskUpdateMessage, now_ns: int) -> Notice:
        closed = "" if message.symbol is None else f"; {message.symbol} is closed"
        return self._notice(
            f"trading-{entry}",
            "halt",
            _TITLES[message.state] + closed,
            now_ns,
            message.envelope.event_time_ns,
            lines=(message.text, *(() if message.state == "ACTIVE" and not closed else ("sapphire status says more",))),
            facts={"state": str(message.state), "cause": message.code, "why": message.text, "symbol": message.symbol},
        )

    def _denied(self, entry: str, message: OrderExecutionMessage, now_ns: int) -> Iterator[Notice]:
        known, code = self.state["denials"], message.reason or str(message.state)
        known["count"] += 1
        known["codes"][code] = known["codes"].get(code, 0) + 1
        storm = known["storm"]
        if storm is not None:
            storm["count"] += 1
            storm["codes"][code] = storm["codes"].get(code, 0) + 1
            return
        if known["count"] < self._storm:
            return
        at_ns = message.envelope.event_time_ns
        known["storm"] = {
            "since_ns": str(at_ns),
            "count": known["count"],
            "codes": dict(known["codes"]),
            "quiet": 0,
        }
        yield self._notice(
            f"denials-{entry}",
            "denials",
            f"A storm of refused orders: {known['count']:,} within a bar",
            now_ns,
            at_ns,
            lines=(_codes(known["codes"]), f"the last: {message.side} {message.symbol}, order {message.order_id}"),
            facts={"count": known["count"], "codes": dict(known["codes"])},
        )

    def _bar(self, bar: int, at_ns: int, now_ns: int) -> Iterator[Notice]:
        """Market time is in this bar: tell what was filled in the one before, and look whether a storm is over."""
        fills, known = self.state["fills"], self.state["denials"]
        if fills["last_ns"] is not None and bar > fills["bar"]:
            yield self._filled(now_ns)
        if bar <= known["bar"]:
            return
        storm = known["storm"]
        if storm is not None:
            calm = bar - known["bar"] - (1 if known["count"] >= self._storm else 0)
            storm["quiet"] = calm if known["count"] >= self._storm else storm["quiet"] + calm
            if storm["quiet"] >= QUIET_BARS:
                known["storm"] = None
                yield self._notice(
                    f"denials-over-{storm['since_ns']}",
                    "denials",
                    f"The storm of refused orders is over: {storm['count']:,} since {stamp(int(storm['since_ns']))}",
                    now_ns,
                    at_ns,
                    lines=(_codes(storm["codes"]),),
                    facts={"count": storm["count"], "codes": storm["codes"]},
                )
        known |= {"bar": bar, "count": 0, "codes": {}}

    def _filled(self, now_ns: int) -> Notice:
        fills = self.state["fills"]
        count = sum(row["fills"] for row in fills["sums"].values())
        begin_ns = fills["bar"] * self._interval_ns
        notice = self._notice(
            f"fills-{fills['entry']}",
            "fills",
            f"{count:,} fill{'' if count == 1 else 's'} in the bar from {stamp(begin_ns)}",
            now_ns,
            begin_ns,
            lines=tuple(fill_lines(fills["sums"], self._rules)),
            facts={"bar_open_ns": str(begin_ns), "fills": fills["sums"]},
        )
        self.state["fills"] = {"bar": None, "sums": {}, "last_ns": None, "entry": ""}
        return notice

    def _over(self, spell: Mapping[str, Any], close_ns: int, now_ns: int) -> Notice:
        since_ns = int(spell["since_ns"])
        bars = (close_ns - since_ns) // self._interval_ns + 1 - spell["quiet"]
        codes = ", ".join(code.replace("_", " ") for code in spell["codes"])
        return self._notice(
            f"decided-{close_ns}",
            "undecided",
            f"Bars are decided again: {spell['bars']:,} of {bars:,} were not since {stamp(since_ns)}",
            now_ns,
            close_ns,
            lines=(codes,),
            facts={"since_ns": spell["since_ns"], "bars": spell["bars"], "codes": spell["codes"]},
        )

    def _notice(
        self,
        name: str,
        kind: str,
        title: str,
        now_ns: int,
        market_ns: int | None = None,
        *,
        lines: tuple[str, ...] = (),
        facts: Mapping[str, Any] | None = None,
    ) -> Notice:
        return Notice(
            id=name,
            kind=kind,
            title=title,
            about=self._about,
            wall_ns=now_ns,
            market_ns=market_ns,
            lines=lines,
            facts=facts or {},
        )


def _codes(codes: Mapping[str, int]) -> str:
    """Codes by how often they came."""
    return ", ".join(f"{code} {count:,}" for code, count in sorted(codes.items(), key=lambda pair: -pair[1]))
