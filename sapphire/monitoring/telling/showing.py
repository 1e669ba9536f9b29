"""The daily report's sections, as the notebook shows them one after the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sapphire.domain.clocks import from_ns
from sapphire.domain.display import counted, stamp
from sapphire.domain.money import ATOMS_PER_UNIT, from_atoms
from sapphire.monitoring.judging.daily import DailyReport
from sapphire.monitoring.reading.latency_traces import HOPS, LatencySummary
from sapphire.monitoring.telling.figures import equity_figure, latency_figure, positions_figure, steps_figure
from sapphire.monitoring.telling.sections import Section

if TYPE_CHECKING:
    import pandas as pd

    from sapphire.monitoring.reading.happened import TradedFill

__all__ = [
    "books_section",
    "costs_section",
    "equity_section",
    "fills_section",
    "latency_section",
    "parity_section",
    "positions_section",
    "refusals_section",
    "summary_section",
]


def _releases_traded(report: DailyReport) -> list[tuple[str, str]]:
    """Which release was traded from when on, where it was more than one; times are of the market."""
    day = report.run.day
    if len(day.traded) < 2:
        return []
    named = [
        f"{day.releases.get(each.release) or 'no evidence'} {each.release[:12]} since {stamp(each.market_ns)}"
        for each in day.traded
    ]
    return [("releases traded", "; ".join(named))]


def _models_of_views(report: DailyReport) -> list[tuple[str, str]]:
    """What kind of model made the views, where one did."""
    kinds = report.model_kinds
    if not kinds:
        return []
    views = sum(len(made.views) for made in report.run.decisions.values())
    named = "; ".join(f"{kind} made {count:,}" for kind, count in sorted(kinds.items()))
    return [("models", f"{named} of {counted(views, 'view')}")]


def summary_section(report: DailyReport) -> Section:
    """The run in eight lines, one more for the models behind its views, and one more why it never traded."""
    day, facts = report.run.day, report.run.facts
    books, parity, wire = report.reconciliation, report.parity, report.signal_to_wire
    mark = f" ({', '.join(facts.marks)})" if facts.marks else ""
    lines = [
        ("release", f"{facts.label} {facts.release[:12]} on {facts.stage}{mark}"),
        *_releases_traded(report),
        *_models_of_views(report),
        ("market", facts.market.label),
        (
            "traded",
            f"{100 * report.traded_return:+z.2f} %, {len(day.orders):,} orders, {len(day.fills):,} fills, "
            f"fees {report.fees}",
        ),
        *([("NEVER TRADED" if report.utc_day is None else "NO TRADE TODAY", report.untraded)] * bool(report.untraded)),
        ("evidence of the same bars", f"{100 * report.evidence.total_return:+z.2f} %"),
        (
            "parity",
            f"{parity.lots:,} lots differ, {parity.unexplained_lots:,} unexplained; cash equal to the atom at "
            f"{parity.equal_cash_bars:,} of {parity.bars:,} closes",
        ),
        (
            "books",
            "not compared while it runs"
            if books is None
            else f"{len(books.lost):,} lost, {len(books.doubled):,} doubled; balances "
            f"{'equal the exchange to the last digit' if books.balances_equal else 'DIFFER'}",
        ),
        ("signal to wire", _hop_text(wire.n, wire.median_us, wire.max_us)),
        (
            "journal",
            f"{report.replay.steps or 0:,} steps replayed, "
            f"{'byte-identical' if report.replay.identical else 'NOT identical'}",
        ),
    ]
    return Section(report.run.title, ("what", "value"), lines, report.as_dict())


def equity_section(report: DailyReport) -> Section:
    """Equity against the evidence of the same bars."""
    label = report.run.facts.market.label
    traded = _series(report.equity_atoms)
    evidence = _series([(bar.bar_close_ns, bar.equity_quote_atoms) for bar in report.evidence.bars])
    gaps = (traded / traded.iloc[0] - evidence / evidence.iloc[0]).abs()
    buy_and_hold = _buy_and_hold(report)
    lines = [
        ("traded", f"{traded.iloc[0]:,.2f}", f"{traded.iloc[-1]:,.2f}", f"{100 * report.traded_return:+z.3f} %"),
        (
            "evidence of the same bars",
            f"{evidence.iloc[0]:,.2f}",
            f"{evidence.iloc[-1]:,.2f}",
            f"{100 * report.evidence.total_return:+z.3f} %",
        ),
        ("buy and hold, equal shares, no costs", "", "", f"{100 * (buy_and_hold.iloc[-1] - 1):+z.3f} %"),
    ]
    gap = 1e4 * float(gaps.max())
    title = f"equity at {len(traded):,} closes, {label}; the two are at most {gap:.4f} bps apart"
    figure = equity_figure(label, traded / traded.iloc[0], evidence / evidence.iloc[0], buy_and_hold)
    header = ("account", "first close", "last close", "return")
    return Section(title, header, lines, {"method": "equity", "largest_gap_bps": gap}, figure)


def positions_section(report: DailyReport) -> Section:
    """Every fill on the price, and what was held."""
    import pandas as pd

    run, states = report.run, report.run.states
    index = pd.DatetimeIndex([from_ns(state.bar_close_ns) for state in states], name="close")
    equity = pd.Series([atoms for _, atoms in report.equity_atoms], index=index)
    symbols = run.facts.symbols
    closes = pd.DataFrame({symbol: _closes(report, symbol) for symbol in symbols}, index=index)
    values = {
        symbol: [
            run.marks.value_atoms(symbol, state.positions[symbol].atoms, state.bar_close_ns)
            if symbol in state.positions
            else 0
            for state in states
        ]
        for symbol in symbols
    }
    weights = pd.DataFrame(values, index=index).div(equity, axis=0) * 100
    marks = {
        symbol: [
            (from_ns(fill.market_ns), float(run.instruments[symbol].price(fill.ticks)), fill.side)
            for fill in run.day.fills
            if fill.symbol == symbol
        ]
        for symbol in symbols
    }
    last, closed = states[-1], set(run.closes_ns)
    lines = [
        (
            symbol,
            f"{run.instruments[symbol].quantity(last.lots(symbol)):f}",
            f"{weights[symbol].iloc[-1]:.2f} %",
            f"{weights[symbol].mean():.2f} %",
            f"{sum(state.lots(symbol) != 0 for state in states if state.bar_close_ns in closed):,}",
        )
        for symbol in symbols
    ]
    title = f"positions at {stamp(last.bar_close_ns)}, {run.facts.market.label}"
    header = ("symbol", "held at the end", "share of equity", "mean share", "bars with a position")
    facts = {"method": "positions", "lots": {symbol: str(last.lots(symbol)) for symbol in symbols}}
    return Section(title, header, lines, facts, positions_figure(run.facts.market.label, closes, weights, marks))


def fills_section(report: DailyReport) -> Section:
    """Every fill, oldest first."""
    run = report.run
    lines = [_fill_line(report, fill) for fill in run.day.fills]
    title = (
        f"{len(lines):,} fills of {len(run.day.orders):,} orders, {run.facts.market.label}; fees paid: {report.fees}"
    )
    facts = {"method": "fills", "fills": len(lines), "fees": report.as_dict()["fees"]}
    header = ("market time", "symbol", "side", "quantity", "price", "value", "fee", "order", "trade id")
    return Section(title, header, lines, facts)


def parity_section(report: DailyReport) -> Section:
    """Every position that is not the replay's, with its cause."""
    parity = report.parity
    lines = [
        (
            stamp(each.bar_close_ns),
            each.symbol,
            f"{each.traded_lots:,}",
            f"{each.replay_lots:,}",
            str(each.cause),
            str(each.root),
            each.detail,
        )
        for each in parity.differences
    ]
    causes = ", ".join(f"{cause} {lots:,}" for cause, lots in parity.lots_by_cause.items())
    title = (
        f"traded against the engine's replay at {parity.bars:,} closes of {len(report.run.facts.symbols)} symbols: "
        f"{parity.lots:,} lots differ" + (f" ({causes})" if causes else "")
    )
    facts = {"method": "parity", **report.as_dict()["parity"]}
    return Section(title, ("close", "symbol", "traded", "replay", "cause", "goes back to", "how"), lines, facts)


def costs_section(report: DailyReport) -> Section:
    """From a run that costs nothing to what was traded, cost by cost."""
    ladder, label, quote = report.ladder, report.run.facts.market.label, report.quote
    unexplained = 1e4 * (report.traded_return - ladder.evidence_return)
    steps = {**ladder.steps_bps, "traded less evidence": unexplained}
    total, lines = 1e4 * ladder.costless_return, []
    lines.append(("no costs, no limits", "", "", f"{total / 100:+z.3f} %"))
    for name, change in steps.items():
        total += change
        lines.append(
            (name, f"{change:+z.2f} bps", f"{change / 1e4 * ladder.equity_quote:+z,.2f}", f"{total / 100:+z.3f} %")
        )
    costs = 1e4 * (ladder.evidence_return - ladder.costless_return)
    title = (
        f"without costs {100 * ladder.costless_return:+z.3f} %, traded {100 * report.traded_return:+z.3f} %: costs "
        f"together {costs:+z.2f} bps, {costs / 1e4 * ladder.equity_quote:+z,.2f} {quote}; fees of the fills: "
        f"{report.fees}; {label}"
    )
    figure = steps_figure(label, steps)
    facts = {
        "method": "costs",
        "costless_return": ladder.costless_return,
        "steps_bps": [list(step) for step in steps.items()],
        "steps_quote": [[name, change / 1e4 * ladder.equity_quote] for name, change in steps.items()],
    }
    return Section(title, ("cost made real", "change", f"in {quote}", "return so far"), lines, facts, figure)


def latency_section(report: DailyReport) -> Section:
    """Latency by hop with its n."""
    spans = {
        hop: [span / 1_000 for order in report.run.latency_traces if (span := order.span_ns(hop)) is not None]
        for hop in HOPS
    }
    lines = [(hop.hop, f"{hop.n:,}", _us(hop.median_us), _us(hop.max_us), _percentiles(hop)) for hop in report.latency]
    title = f"{len(report.run.latency_traces):,} orders, wall time; a percentile is told where ten orders lie beyond it"
    figure = latency_figure(report.run.facts.market.label, spans, report.latency) if report.run.latency_traces else None
    header = ("hop", "n", "median", "max", "percentiles")
    return Section(title, header, lines, {"method": "latency", "hops": report.as_dict()["latency"]}, figure)


def refusals_section(report: DailyReport) -> Section:
    """What was not done, and why."""
    run = report.run
    counts = (
        ("signals refused", run.day.refused_for),
        ("orders denied", run.day.denied_for),
        ("bars not decided", report.as_dict()["undecided_for"]),
        ("trading set", Counter(f"{change.state} ({change.cause})" for change in run.day.trading)),
        ("balances adjusted after the start", Counter(change.asset for change in run.adjusted_later)),
    )
    lines = [(what, str(reason), f"{count:,}") for what, found in counts for reason, count in found.items()]
    title = "refusals and denials by reason" + ("" if lines else ": none")
    return Section(title, ("what", "reason", "count"), lines, {"method": "refusals", **{k: dict(v) for k, v in counts}})


def books_section(report: DailyReport) -> Section:
    """The service's books against the exchange's."""
    books = report.reconciliation
    if books is None:
        return Section("books are compared when the run has ended", (), (), {"method": "books", "compared": False})
    lines: list[Sequence[str]] = [
        (
            each.asset,
            f"{from_atoms(each.service_atoms):,f}",
            f"{from_atoms(each.exchange_atoms):,f}",
            "equal" if each.is_equal else f"differs by {each.service_atoms - each.exchange_atoms:+,} atoms",
        )
        for each in books.balances
    ]
    named = (("lost", books.lost), ("doubled", books.doubled), ("changed", books.changed))
    lines += [(text, "", "", word) for word, found in named for text in found]
    title = (
        f"{books.orders:,} orders and {books.fills:,} fills compared by their ids both ways: {len(books.lost):,} lost, "
        f"{len(books.doubled):,} doubled, {len(books.changed):,} changed"
    )
    facts = {"method": "books", "compared": True, **(report.as_dict()["books"] or {})}
    return Section(title, ("asset", "service", "exchange", ""), lines, facts)


def _fill_line(report: DailyReport, fill: TradedFill) -> tuple[str, ...]:
    rules = report.run.instruments[fill.symbol]
    return (
        stamp(fill.market_ns),
        fill.symbol,
        fill.side,
        f"{rules.quantity(fill.lots):f}",
        f"{rules.price(fill.ticks):,f}",
        f"{from_atoms(fill.quote_atoms):,.2f}",
        f"{from_atoms(fill.fee_atoms):f} {fill.fee_asset}",
        fill.order,
        str(fill.trade),
    )


def _series(rows: Sequence[tuple[int, int]]) -> pd.Series[float]:
    """Quote by close time."""
    import pandas as pd

    index = pd.DatetimeIndex([from_ns(close_ns) for close_ns, _ in rows], name="close")
    return pd.Series([atoms / ATOMS_PER_UNIT for _, atoms in rows], index=index, dtype="float64")


def _closes(report: DailyReport, symbol: str) -> list[float]:
    """A symbol's last known close at each state, quote per base."""
    marks, states = report.run.marks, report.run.states
    return [marks.value_atoms(symbol, ATOMS_PER_UNIT, state.bar_close_ns) / ATOMS_PER_UNIT for state in states]


def _buy_and_hold(report: DailyReport) -> pd.Series[float]:
    """Growth of equal shares bought at the first close."""
    import pandas as pd

    symbols = report.run.facts.symbols
    index = pd.DatetimeIndex([from_ns(state.bar_close_ns) for state in report.run.states], name="close")
    closes = pd.DataFrame({symbol: _closes(report, symbol) for symbol in symbols}, index=index)
    growth: pd.Series[float] = (closes / closes.iloc[0]).mean(axis=1)
    return growth


def _hop_text(n: int, median_us: float | None, max_us: float | None) -> str:
    return f"n = {n:,}" + ("" if not n else f": median {_us(median_us)}, max {_us(max_us)}")


def _percentiles(hop: LatencySummary) -> str:
    text = ", ".join(f"p{percent:g} {value:,.1f} us" for percent, value in hop.percentiles.items())
    return text or f"not at n = {hop.n:,}"


def _us(value: float | None) -> str:
    return "" if value is None else f"{value:,.1f} us"
