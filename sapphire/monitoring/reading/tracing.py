"""Trace: one order's life, from the release that wanted it to the last fill.

Market time stands beside every event. Wall time is told where it was stamped: the coordinator's question and answer
by the machine's clock, the service's hops as time since the word that triggered the order came in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sapphire.domain.clocks import from_ns, to_ns
from sapphire.domain.display import stamp
from sapphire.domain.errors import MissingData, Refused
from sapphire.domain.money import from_atoms
from sapphire.domain.views import ViewNote
from sapphire.monitoring.reading.decisions import DecidedBar
from sapphire.monitoring.reading.happened import DeniedOrder, SentOrder, TakenSignal
from sapphire.monitoring.reading.latency_traces import HOPS, SIGNAL_TO_WIRE, LatencyTrace
from sapphire.monitoring.reading.run_folder import TradedRun

__all__ = ["Event", "Trace", "find_order", "trace_order"]

_NS_PER_US = 1_000
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to an order.

    Parameters
    ----------
    what, text : its kind, and what it says.
    market_ns : market time; None where it has none.
    wall_ns : the machine's time, UTC; None where it was not stamped.
    after_us : microseconds since the service received what triggered the order; None outside the service.
    """

    what: str
    text: str
    market_ns: int | None = None
    wall_ns: int | None = None
    after_us: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Stable keys; 64-bit numbers as text."""
        return {
            "what": self.what,
            "text": self.text,
            "market_ns": None if self.market_ns is None else str(self.market_ns),
            "wall_ns": None if self.wall_ns is None else str(self.wall_ns),
            "after_us": self.after_us,
        }


@dataclass(frozen=True, slots=True)
class Trace:
    """One order's life.

    Parameters
    ----------
    order : client order id.
    title : what it is, in one line.
    market : label of the market that it traded on.
    events : in the order in which they happened.
    """

    order: str
    title: str
    market: str
    run: str
    release: str
    events: tuple[Event, ...]

    def as_dict(self) -> dict[str, Any]:
        """Stable keys, for `--json`."""
        return {
            "order": self.order,
            "title": self.title,
            "market": self.market,
            "run": self.run,
            "release": self.release,
            "events": [event.as_dict() for event in self.events],
        }


def find_order(run: TradedRun, wanted: str) -> str:
    """The one order that `wanted` means: its client order id, the beginning or end of it, or its number.

    Raises
    ------
    MissingData : no such order.
    Refused : several.
    """
    orders = [order.order for order in run.day.orders] + [denial.order for denial in run.day.denials]
    known = list(dict.fromkeys(orders))
    text = wanted.strip().lower()
    exact = [order for order in known if order == text or order.rsplit("-", 1)[-1] == text]
    found = exact or [order for order in known if text and (order.startswith(text) or order.endswith(text))]
    if not found:
        raise MissingData(
            f"no order {wanted!r} in {run.folder}",
            expected=", ".join(known[-_SHOWN:]) + (" and others before" if len(known) > _SHOWN else "")
            if known
            else "a run with orders",
            got=f"{len(known):,} orders, none of which begins or ends so",
            next="sapphire orders lists them; the report's page has every fill with its order",
        )
    if len(found) > 1:
        raise Refused(
            f"{wanted!r} means {len(found):,} orders",
            expected="one",
            got=", ".join(found[:_SHOWN]) + (", ..." if len(found) > _SHOWN else ""),
            next="give more of the id",
        )
    return found[0]


def trace_order(run: TradedRun, wanted: str) -> Trace:
    """The life of the order that `wanted` means.

    Raises
    ------
    MissingData, Refused : as `find_order`.
    """
    order = find_order(run, wanted)
    sent = next((each for each in run.day.orders if each.order == order), None)
    denied = next((each for each in run.day.denials if each.order == order), None)
    subject = sent or denied
    assert subject is not None  # find_order has found it in one of the two
    decided = run.decisions.get(subject.bar_close_ns)
    events = [_release(run)]
    if sent is not None and not sent.release:
        events.append(Event("command", "an operator closes the position (sapphire journal show --kind command)"))
    else:
        events += _decision(decided, subject.symbol, run.decisions)
        events += _signal(run.day.signals, subject)
    events += [_gate(sent, denied, run)]
    if sent is not None:
        events += [_order(sent, run)]
        trace = next((each for each in run.latency_traces if each.order == order), None)
        events += _stages(trace)
        events += _venue(run, order)
        events += _end(run, sent)
    title = f"{subject.side} {subject.lots:,} lots of {subject.symbol} on the bar that closed at "
    return Trace(
        order=order,
        title=title + stamp(subject.bar_close_ns),
        market=run.facts.market.label,
        run=str(run.folder),
        release=run.facts.release,
        events=tuple(events),
    )


def _release(run: TradedRun) -> Event:
    facts = run.facts
    mark = f"; marked: {', '.join(facts.marks)}" if facts.marks else ""
    return Event("release", f"{facts.label} {facts.release[:12]} at stage {facts.stage}{mark}")


def _decision(decided: DecidedBar | None, symbol: str, decisions: Mapping[int, DecidedBar]) -> Iterator[Event]:
    """The bar, the views, the belief and the target."""
    if decided is None:
        yield Event("decision", "the coordinator left no line about the bar")
        return
    close_ns = decided.bar_close_ns
    yield Event("bar", f"close {decided.closes_ticks.get(symbol, 0):,} ticks", close_ns)
    if decided.asked_ns is not None:
        yield Event("asked", "the release's server, for its views", close_ns, decided.asked_ns)
    spoken = decided if any(view.symbol == symbol for view in decided.views) else _living(decided, symbol, decisions)
    if spoken is not None:
        yield from _view(spoken, symbol)
    for belief in decided.beliefs:
        if belief.symbol == symbol:
            yield Event("belief", f"{belief.mean_bps:+.2f} ± {belief.std_bps:.2f} bps over {belief.horizon}", close_ns)
    if decided.equity_quote_atoms is not None:
        position = decided.atoms.get(symbol, 0)
        equity, base = from_atoms(decided.equity_quote_atoms), symbol.split("/")[0]
        text = f"equity {equity:,f}, {from_atoms(position):f} of {base} held"
        yield Event("account", text, close_ns)
    for target in decided.targets:
        if target.symbol == symbol:
            text = f"{target.lots:,} lots, {100 * target.weight:+z.2f} % of equity: {target.reason}"
            yield Event("target", text, close_ns)


def _living(decided: DecidedBar, symbol: str, decisions: Mapping[int, DecidedBar]) -> DecidedBar | None:
    """The earlier bar whose view is still believed at this one; None where nothing is, or its line is not there."""
    last = next((each for each in decided.remembered if each.symbol == symbol), None)
    if last is None or last.ends <= from_ns(decided.bar_close_ns):
        return None
    return decisions.get(to_ns(last.belief.as_of))


def _view(decided: DecidedBar, symbol: str) -> Iterator[Event]:
    """A bar's view of a symbol, with what stands beside it."""
    for view in decided.views:
        if view.symbol == symbol:
            text = f"{view.mean_bps:+.2f} ± {view.std_bps:.2f} bps over {view.horizon}"
            yield Event("view", text, decided.bar_close_ns, decided.answered_ns)
            yield from _note(view.note, decided.bar_close_ns)


def _note(note: ViewNote | None, close_ns: int) -> Iterator[Event]:
    """What stands beside a view's numbers."""
    if note is None:
        return
    if made := ", ".join(each for each in (note.model_kind, note.elicitation) if each):
        yield Event("model", made, close_ns)
    if note.thesis:
        yield Event("thesis", note.thesis, close_ns)
    if note.read:
        yield Event("read", ", ".join(note.read), close_ns)


def _signal(signals: Sequence[TakenSignal], subject: SentOrder | DeniedOrder) -> Iterator[Event]:
    for signal in signals:
        if (signal.symbol, signal.bar_close_ns) == (subject.symbol, subject.bar_close_ns):
            verdict = "taken" if signal.refused is None else f"refused: {signal.refused}"
            text = f"{signal.target_lots:,} lots, entry {signal.entry}, step {signal.step:,}: {verdict}"
            yield Event("signal", text, signal.market_ns)


def _gate(sent: SentOrder | None, denied: DeniedOrder | None, run: TradedRun) -> Event:
    if denied is not None:
        limit = f"{denied.value:,} against {denied.limit:,} at the level of the {denied.level}"
        return Event("risk", f"denied: {denied.code}, {limit}", denied.market_ns)
    assert sent is not None  # one of the two is there
    return Event("risk", f"passed every limit of account {run.day.config['account']}", sent.market_ns)


def _order(sent: SentOrder, run: TradedRun) -> Event:
    price = run.instruments[sent.symbol].price(sent.ticks)
    text = f"{sent.side} {sent.lots:,} lots at {price:f} or better, {sent.time_in_force}, step {sent.step:,}"
    return Event("order", text, sent.market_ns)


def _stages(trace: LatencyTrace | None) -> Iterator[Event]:
    """When the order passed where, counted from the word that triggered it."""
    if trace is None:
        return
    begin = trace.stamps.get("received_ns")
    for hop, (_, last) in HOPS.items():
        took, end = trace.span_ns(hop), trace.stamps.get(last)
        if hop == SIGNAL_TO_WIRE or took is None or end is None or begin is None:
            continue
        yield Event("hop", f"{hop} {took / _NS_PER_US:,.1f} us", trace.market_ns, after_us=(end - begin) / _NS_PER_US)


def _venue(run: TradedRun, order: str) -> Iterator[Event]:
    """What the venue said, and each fill with its fee."""
    events: Iterable[tuple[int, int, Event]] = [
        *(
            (each.step, 0, Event("report", _words(each.kind, each.detail), each.market_ns))
            for each in run.day.reports
            if each.order == order and each.kind != "TRADE"
        ),
        *(
            (
                each.step,
                1,
                Event(
                    "fill",
                    f"{each.lots:,} lots at {run.instruments[each.symbol].price(each.ticks):f}, trade {each.trade}, "
                    f"{from_atoms(each.quote_atoms):,f} in quote, fee {from_atoms(each.fee_atoms):f} {each.fee_asset}",
                    each.market_ns,
                ),
            )
            for each in run.day.fills
            if each.order == order
        ),
    ]
    for _, _, event in sorted(events, key=lambda row: row[:2]):
        yield event


def _words(kind: str, detail: Any) -> str:
    parts = [
        f"{name} {value}"
        for name, value in detail.items()
        if name in ("venue_order", "executed_lots", "venue_code", "conclusive")
    ]
    return ", ".join([kind, *parts])


def _end(run: TradedRun, sent: SentOrder) -> Iterator[Event]:
    """How its target ended, and what the exchange's own books say."""
    for target in run.day.targets:
        if (target.symbol, target.bar_close_ns) == (sent.symbol, sent.bar_close_ns):
            yield Event("target ended", target.end, target.market_ns)
    for order in run.exchange.orders if run.exchange else ():
        if order.client_order_id == sent.order:
            filled = f"{order.executed_lots:,} of {order.lots:,} lots"
            yield Event("exchange", f"order {order.order_id}, {order.status}, {filled}", order.working_ns)
