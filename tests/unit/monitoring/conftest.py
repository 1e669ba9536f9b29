"""A small run, as its parts leave it behind: the trades are those that the engine made, told in the service's rows."""

import json
import struct
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from sapphire.agents import Calibrated, MovingAverageCross
from sapphire.agents.release import freeze, load_release
from sapphire.coordination.decisions import Decision, Scope
from sapphire.data.generated import generated_instrument
from sapphire.domain import Interval
from sapphire.domain.clocks import to_ns
from sapphire.domain.decisions import NOTED_FORMAT
from sapphire.domain.instruments import Universe
from sapphire.domain.releases import ReleasedSizing
from sapphire.monitoring.judging.evidence import evidence_of
from sapphire.monitoring.reading.evidence_plan import EvidencePlan
from sapphire.monitoring.reading.latency_traces import order_id
from sapphire.monitoring.reading.market import Market
from sapphire.monitoring.reading.run_folder import read_run
from sapphire.registry import EvidenceStore
from sapphire.research.results.replays import REAL
from sapphire.telemetry.streams import AccountStreams

SYMBOLS = ("BTC/USDT", "ETH/USDT")
HOUR = Interval("1h")
START_NS = to_ns("2025-04-06T00:00Z")
BARS = 48
EPOCH = 1_700_000_000
ONE = 10**8


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """A state folder with one release in it, registered."""
    folder = tmp_path_factory.mktemp("home")
    train = Market(7, None).bars(SYMBOLS, HOUR, rows=600, until_ns=START_NS)
    agent = Calibrated(MovingAverageCross(fast=3, slow=12, horizon=timedelta(hours=4))).fit(train, seed=7)
    digest = freeze(
        agent,
        name="trend",
        train_bars=train,
        sizing=ReleasedSizing(class_name="volatility_target", parameters={"annual": 0.5}, source_sha256="a" * 64),
        limits={},
        execution={},
        lock_sha256="b" * 64,
        engine_version="0.1.0",
        universe=SYMBOLS,
        folder=folder / "releases",
    ).digest
    facts = {"name": "trend", "version": 1, "run_id": "r", "model": "research.trend"}
    EvidenceStore(folder / "evidence").append(digest, "registered", at_ns=1, facts=facts, files={})
    return folder


@pytest.fixture(scope="session")
def release(home):
    """That release, loaded."""
    (folder,) = (home / "releases").iterdir()
    return load_release(folder)


@pytest.fixture(scope="session")
def plan():
    """48 hours of the generated market, as a service would trade them."""
    instruments = Universe(generated_instrument(symbol, seed=7, at_ns=START_NS) for symbol in SYMBOLS)
    return EvidencePlan(
        market=Market(7, None),
        interval=HOUR,
        instruments=instruments,
        listings={each.symbol: listing(each) for each in instruments},
        closes_ns=tuple(START_NS + HOUR.ns * (row + 1) for row in range(BARS)),
        start_ns=START_NS,
        deposits_atoms={"USDT": 100_000 * ONE},
        fee_e8=100_000,
        latency_ns=(5_000_000, 25_000_000),
    )


@pytest.fixture(scope="session")
def runs(plan, release):
    """The evidence of those hours by every model."""
    return evidence_of(plan, release)


@pytest.fixture(scope="session")
def evidence(runs):
    """By the model that the market is."""
    return runs[REAL]


def listing(instrument):
    """A row of the journal's instruments."""
    return {
        "symbol": instrument.symbol,
        "base": instrument.base,
        "tick_atoms": str(instrument.tick_atoms),
        "lot_atoms": str(instrument.lot_atoms),
        "min_lots": "1",
        "max_lots": str(10**12),
        "min_ticks": "1",
        "max_ticks": str(10**12),
        "min_notional_atoms": str(5 * ONE),
    }


@dataclass
class Recorded:
    """What the parts of a run recorded; a test changes it before it is read."""

    rows: list
    decisions: list
    exchange: dict


@pytest.fixture
def recorded(plan, release, evidence):
    """A run in which everything went as the evidence says."""
    return Recorded(rows_of(plan, release, evidence), decisions_of(release, evidence), exchange_of(plan, evidence))


@pytest.fixture
def note_views(recorded):
    """Puts a note beside every view that was recorded."""

    def note(**beside):
        for place, decision in enumerate(recorded.decisions):
            views = [view | beside for view in decision.facts["views"]]
            recorded.decisions[place] = Decision(decision.facts | {"views": views, "format": NOTED_FORMAT})

    return note


@pytest.fixture
def write_run(plan, release, home, tmp_path, monkeypatch):
    """Writes what was recorded into a run folder and reads it."""

    def write(recorded):
        folder = tmp_path / "run"
        (folder / "account" / "hops").mkdir(parents=True)
        facts = {
            "release": {
                "digest": release.digest,
                "label": "paper.trend@1",
                "name": "trend",
                "skill_failed": True,
                "marks": ["skill not shown"],
                "stage": "paper",
            },
            "market": {"source": "generated", "seed": 7, "candles": None, "start": None, "start_ns": str(START_NS)},
            "symbols": list(SYMBOLS),
            "interval": "1h",
            "latency_ms": [5, 25],
            "clock": {"lockstep": True},
        }
        rules = [
            {"symbol": each.symbol, "tick": f"{each.tick:f}", "lot": f"{each.lot:f}", "min_notional": "5"}
            for each in plan.instruments
        ]
        (folder / "stack.json").write_text(json.dumps(facts))
        (folder / "coordinator.json").write_text(json.dumps({"instruments": rules}))
        (folder / "decisions.jsonl").write_bytes(b"".join(decision.line for decision in recorded.decisions))
        (folder / "exchange_state.json").write_text(json.dumps(recorded.exchange))
        (folder / "account" / "hops" / f"{EPOCH}.bin").write_bytes(hops_of(recorded.rows))
        tell_rows(tmp_path, recorded.rows, monkeypatch)
        return read_run(folder, home)

    return write


def tell_rows(folder: Path, rows, monkeypatch):
    """A program in the place of the service's binary that tells these rows: what is tested is who reads them."""
    binaries = folder / "bin"
    binaries.mkdir()
    (binaries / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    replay = json.dumps({"steps": str(len(rows)), "digest": "f" * 64, "identical": True})
    closes = [row["bar_close_ns"] for row in rows if row["kind"] == "state"]
    bars = {f"{name}_bar_close_ns": how(closes, key=int, default=None) for name, how in (("first", min), ("last", max))}
    script = f"""#!/bin/sh
case "$2" in
  export) cat {binaries}/rows.jsonl;;
  bars) echo '{json.dumps(bars)}';;
  *) echo '{replay}';;
esac
"""
    (binaries / "service").write_text(script)
    (binaries / "service").chmod(0o755)
    monkeypatch.setenv("SAPPHIRE_ENGINE_BIN", str(binaries))


def rows_of(plan, release, evidence):
    """The journal's rows of a service that did what the replay did."""
    digest = release.digest
    config = {
        "account": "paper",
        "quote": "USDT",
        "instruments": [dict(plan.listings[symbol]) for symbol in SYMBOLS],
        "fee_rate": str(plan.fee_e8),
        "execution": {"style": "Taker", "max_slippage_bps": 20, "retry_ns": "5000000000", "query_ns": "1000000000",
                      "max_signal_age_ns": "60000000000"},
        "limits": {"collar_bps": 1_000, "max_reference_age_ns": "10000000000", "symbol": {}, "symbols": {},
                   "strategy": {}, "account": {}, "max_daily_loss_bps": None},
    }  # fmt: skip
    rows = [
        {"kind": "run", "config": config, "wall_ns": "0"},
        {"kind": "epoch", "epoch": EPOCH, "step": "1", "market_ns": str(START_NS)},
        {"kind": "release", "slot": 0, "digest": digest, "name": "trend"},
        {"kind": "adjusted", "step": "2", "market_ns": str(START_NS), "asset": "USDT", "atoms": str(100_000 * ONE)},
    ]
    events = [(bar.bar_close_ns, 1, bar) for bar in evidence.bars]
    events += [(order.sent_ns, 2, order) for order in evidence.orders]
    events += [(fill.market_ns, 0, (number, fill)) for number, fill in enumerate(evidence.fills, start=1)]
    for step, (market_ns, kind, what) in enumerate(sorted(events, key=lambda event: event[:2]), start=3):
        at = {"step": str(step), "market_ns": str(market_ns)}
        if kind == 0:
            rows.append({"kind": "fill", **at, **fill_row(*what)})
        elif kind == 1:
            rows += bar_rows(what, at, digest)
        else:
            rows.append({"kind": "order", **at, **order_row(what, digest)})
    return [*rows, {"kind": "end", "steps": str(len(rows)), "digest": "f" * 64}]


def bar_rows(bar, at, digest):
    """State, signals and end of one bar."""
    close = str(bar.bar_close_ns)
    lots = {symbol: {"atoms": str(bar.atoms[symbol]), "lots": str(bar.lots[symbol])} for symbol in SYMBOLS}
    signals = [
        {"kind": "signal", **at, "entry": f"{bar.bar_close_ns // 10**6}-{SYMBOLS.index(target.symbol) + 1}",
         "release": digest, "symbol": target.symbol, "target_lots": str(target.lots), "bar_close_ns": close,
         "time_to_live_ns": str(HOUR.ns), "refused": None}
        for target in bar.targets
    ]  # fmt: skip
    state = {"kind": "state", **at, "bar_close_ns": close, "cash_quote_atoms": str(bar.cash_quote_atoms)}
    return [*signals, {**state, "positions": lots}, {"kind": "end_of_bar", **at, "bar_close_ns": close}]


def order_row(order, digest):
    """An order of the replay under an id of the service."""
    return {
        "order": order_id(1, EPOCH, order.order),
        "release": digest,
        "symbol": order.symbol,
        "side": order.side,
        "ticks": str(order.ticks),
        "lots": str(order.lots),
        "time_in_force": "IOC",
        "bar_close_ns": str(order.bar_close_ns),
    }


def fill_row(trade, fill):
    """A fill of the replay."""
    return {
        "order": order_id(1, EPOCH, fill.order),
        "symbol": fill.symbol,
        "side": fill.side,
        "trade": str(trade),
        "ticks": str(fill.ticks),
        "lots": str(fill.lots),
        "quote_atoms": str(fill.quote_atoms),
        "fee_asset": fill.fee_asset,
        "fee_atoms": str(fill.fee_atoms),
    }


def decisions_of(release, evidence):
    """The coordinator's lines, written by its own writer."""
    made = []
    for bar in evidence.bars:
        views = [
            {"symbol": view.symbol, "as_of_ns": str(bar.bar_close_ns), "horizon_ns": str(4 * HOUR.ns), "score": None,
             "mean_bps": repr(view.mean_bps), "std_bps": repr(view.std_bps), "quantiles": [], "entry": "1-1"}
            for view in bar.views
        ]  # fmt: skip
        beliefs = [
            {"symbol": view.symbol, "horizon_ns": str(4 * HOUR.ns), "mean_bps": view.mean_bps, "std_bps": view.std_bps}
            for view in bar.views
        ]
        positions = [
            {"symbol": symbol, "atoms": str(bar.atoms[symbol]), "lots": str(bar.lots[symbol])} for symbol in SYMBOLS
        ]
        account = {"account": "paper", "state": "ACTIVE", "quote": "USDT", "positions": positions, "entry": "1-1",
                   "cash_quote_atoms": str(bar.cash_quote_atoms)}  # fmt: skip
        decision = Decision.on(
            Scope(AccountStreams("embedded", "paper"), release.digest, "trend", "bars"), bar.bar_close_ns
        ).knowing(
            account=account,
            views=views,
            beliefs=beliefs,
            history_rows=1346,
            closes_ticks=dict.fromkeys(SYMBOLS, "100"),
            equity_quote_atoms=str(bar.equity_quote_atoms),
            asked_ns="1700000000000000000",
            answered_ns="1700000000005000000",
            asked_times=1,
        )
        places = {symbol: place for place, symbol in enumerate(SYMBOLS)}
        made.append(decision.signalling(bar.targets, dict.fromkeys(SYMBOLS, 100), places, HOUR.ns))
    return made


def exchange_of(plan, evidence):
    """The exchange's own books of the same trades."""
    balances = {"BTC": 0, "ETH": 0, **plan.deposits_atoms}
    history = []
    for order in evidence.orders:
        fills = [(number, fill) for number, fill in enumerate(evidence.fills, start=1) if fill.order == order.order]
        for _, fill in fills:
            base, sign = fill.symbol.split("/")[0], 1 if fill.side == "BUY" else -1
            balances[base] += sign * fill.lots * plan.instruments[fill.symbol].lot_atoms
            balances["USDT"] -= sign * fill.quote_atoms
            balances[fill.fee_asset] -= fill.fee_atoms
        history.append(
            {"symbol": order.symbol.replace("/", ""), "order_id": order.order,
             "client_order_id": order_id(1, EPOCH, order.order), "side": 1 if order.side == "BUY" else -1,
             "status": "FILLED", "price_ticks": str(order.ticks), "quantity_lots": str(order.lots),
             "executed_lots": str(sum(fill.lots for _, fill in fills)), "time_ns": str(order.arrives_ns),
             "working_ns": str(order.arrives_ns), "fills": [exchange_fill(*fill) for fill in fills]}
        )  # fmt: skip
    account = {
        "account": 1,
        "balances": {asset: {"free": str(atoms), "locked": "0"} for asset, atoms in balances.items()},
        "history": history,
    }
    return {"now_ns": str(plan.closes_ns[-1] + 60 * 10**9), "accounts": [account]}


def exchange_fill(trade, fill):
    """A fill in the exchange's words."""
    return {"trade_id": trade, "ticks": str(fill.ticks), "lots": str(fill.lots), "quote_atoms": str(fill.quote_atoms),
            "commission_asset": 0, "commission_atoms": str(fill.fee_atoms), "time_ns": str(fill.market_ns),
            "is_maker": False}  # fmt: skip


def hops_of(rows):
    """One record of stamps for each order: order k takes k microseconds to the journal and one in every other hop."""
    records = []
    for number, row in enumerate((row for row in rows if row["kind"] == "order"), start=1):
        sequence = int(row["order"].rsplit("-", 1)[1], 16)
        begin = 10**9 * number
        stamps = [begin, begin + 1_000, begin + 2_000]
        stamps += [begin + 2_000 + 1_000 * number + 1_000 * step for step in range(5)]
        market = [int(row["market_ns"]), *stamps, int(row["bar_close_ns"])]
        records.append(struct.pack("<HHIQ10q", 1, 0, EPOCH, sequence, *market))
    return b"".join(records)
