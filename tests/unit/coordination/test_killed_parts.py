"""Ten bars with every part killed several times are ten bars in which nothing happened."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, suppress

import psutil
import pytest

from sapphire.serving.process import ServerProcess
from sapphire.stack.configs import CollectorConfig, CoordinatorConfig, instrument_row
from sapphire.telemetry.bus import Bus
from sapphire.telemetry.signal_keys import SignalKey
from sapphire.telemetry.streams import AccountStreams, EntryId, end_of_bar

LAST = 10
OWN = AccountStreams("embedded", "paper")
BARS = OWN.shared.bars("5m", ["BTC/USDT", "ETH/USDT"])
AGENT = "moving-average-cross"


class Parts:
    """Collector and coordinator as the supervisor runs them."""

    def __init__(self, folder, exchange, bento_url, bus_url, state_folder, universe):
        home, release = state_folder
        lockstep = {"lockstep": True}
        collector = CollectorConfig(
            bus_url=bus_url,
            venue="embedded",
            clock=lockstep,
            exchange="embedded",
            url=exchange.address.url,
            market="GENERATED",
            symbols=universe.symbols,
            interval="5m",
            history_bars=16_133,
        )
        coordinator = CoordinatorConfig(
            bus_url=bus_url,
            venue="embedded",
            clock=lockstep,
            account="paper",
            signal_key=folder / "signal-key",
            bento_url=bento_url,
            home=home,
            release=release,
            stage="paper",
            decisions=folder / "decisions.jsonl",
            instruments=tuple(map(instrument_row, universe)),
        )
        SignalKey.keep(folder / "signal-key")
        self.folder, self.release, self.running = folder, release, {}
        for name, config in (("collector", collector), ("coordinator", coordinator)):
            (folder / f"{name}.json").write_text(json.dumps(config.as_dict()))
            self.start(name)

    def start(self, name):
        words = [sys.executable, "-m", "sapphire.stack.part", name, "--config", str(self.folder / f"{name}.json")]
        self.running[name] = subprocess.Popen(words, stderr=(self.folder / f"{name}.log").open("ab"))

    def kill(self, name):
        os.kill(self.running[name].pid, signal.SIGKILL)
        self.running[name].wait()
        self.start(name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for part in self.running.values():
            part.kill()
            part.wait()

    def end(self):
        for part in self.running.values():
            part.terminate()
        return [part.wait(30) for part in self.running.values()]

    def logs(self):
        return "\n".join((self.folder / f"{name}.log").read_text() for name in self.running)


def kill_family(pid):
    """A server and its workers, which have a session of their own."""
    server = psutil.Process(pid)
    family = [server, *server.children(recursive=True)]
    for process in family:
        with suppress(psutil.NoSuchProcess):  # the server's workers end with it
            process.kill()
    psutil.wait_procs(family, timeout=10)


def streams(run, bus, parts):
    own = (BARS, OWN.views(parts.release, AGENT), OWN.signals(parts.release))
    return [run.without_times(bus, stream) for stream in own], run.decisions(parts.folder / "decisions.jsonl")


@pytest.fixture(scope="module")
def undisturbed(run, server, bus_url, bento, state_folder, universe, tmp_path_factory):
    server.client().flushall()
    bus = Bus(bus_url, patience_s=20.0)
    with ExitStack() as stack, run.exchange() as exchange:
        folder = tmp_path_factory.mktemp("undisturbed")
        parts = stack.enter_context(Parts(folder, exchange, bento.url, bus_url, state_folder, universe))
        for bar in range(1, LAST + 1):
            exchange.control.advance_fully(run.close_of(bar))
            bus.publish(OWN.shared.lockstep, *run.advanced(bar))
            bus.publish(OWN.states, *run.account(bar))
            found = bus.wait_for(OWN.signals(parts.release), end_of_bar(run.close_of(bar)), timeout_s=60.0)
            assert found is not None, parts.logs()
        assert parts.end() == [0, 0], parts.logs()
    states = {
        (e.message.envelope.producer, str(e.message.state)) for e in bus.read(OWN.shared.heartbeats, EntryId.BEGIN)
    }
    assert states == {
        (part, at) for part in ("collector", "coordinator:paper") for at in ("STARTING", "READY", "STOPPING")
    }
    return streams(run, bus, parts)


def test_every_bar_is_decided(undisturbed, run):
    (bars, views, signals), decisions = undisturbed
    assert len(bars) == LAST * 3
    assert [line["bar_close_ns"] for line in decisions] == [str(run.close_of(bar)) for bar in range(1, LAST + 1)]
    assert all(line["reason"] is None for line in decisions)
    assert len(views) == sum(len(line["views"]) for line in decisions) > LAST
    assert len(signals) == LAST + sum(len(line["signals"]) for line in decisions) > LAST
    assert {line["history_rows"] for line in decisions} == {16_133}


def test_killed_anywhere_they_say_the_same(undisturbed, run, bus, bus_url, bento, state_folder, universe, tmp_path):
    """Who is killed at which bar, and how many seconds after the conductor's word."""
    kills = {
        1: [("coordinator", 0.0)],
        2: [("collector", 0.004), ("coordinator", 0.004)],
        3: [("coordinator", 0.012)],
        4: [("coordinator", 0.016)],
        5: [("coordinator", 0.02)],
        6: [("collector", 0.008), ("coordinator", 0.02)],
        8: [("coordinator", 0.03)],
        9: [("coordinator", 0.2)],
    }
    serving = ServerProcess(bento.settings)
    with ExitStack() as stack, run.exchange() as exchange:
        serving.start().wait_until_ready()
        parts = stack.enter_context(Parts(tmp_path, exchange, serving.url, bus_url, state_folder, universe))
        try:
            for bar in range(1, LAST + 1):
                exchange.control.advance_fully(run.close_of(bar))
                if bar == LAST:  # the bento dies too, and comes back at its address
                    kill_family(serving.pid)
                bus.publish(OWN.shared.lockstep, *run.advanced(bar))
                bus.publish(OWN.states, *run.account(bar))
                if bar == LAST:
                    time.sleep(0.5)
                    serving.stop()
                    serving = ServerProcess(bento.settings, port=serving.port).start()
                for name, after_s in kills.get(bar, ()):
                    time.sleep(after_s)
                    parts.kill(name)
                found = bus.wait_for(OWN.signals(parts.release), end_of_bar(run.close_of(bar)), timeout_s=90.0)
                assert found is not None, parts.logs()
            assert parts.end() == [0, 0], parts.logs()
        finally:
            serving.stop()
    last = json.loads((tmp_path / "decisions.jsonl").read_text().splitlines()[-1])
    assert last["asked_times"] > 1
    assert streams(run, bus, parts) == undisturbed


def test_started_again_after_its_permit_was_closed_the_coordinator_goes_on_by_the_rule(
    run, bus, bus_url, bento, state_folder, universe, tmp_path, sign_permit
):
    """The bento still speaks here: it is the coordinator's own door that is closed. Without decisions none starts."""
    home, release = tmp_path / "home", state_folder[1]
    shutil.copytree(state_folder[0], home)
    closed_from, last = 4, 5
    with ExitStack() as stack, run.exchange() as exchange:
        parts = stack.enter_context(Parts(tmp_path, exchange, bento.url, bus_url, (home, release), universe))
        for bar in range(1, last + 1):
            if bar == closed_from:
                sign_permit(home, release, passed=False)
                parts.kill("coordinator")
            exchange.control.advance_fully(run.close_of(bar))
            bus.publish(OWN.shared.lockstep, *run.advanced(bar))
            bus.publish(OWN.states, *run.account(bar))
            assert (
                bus.wait_for(OWN.signals(parts.release), end_of_bar(run.close_of(bar)), timeout_s=60.0) is not None
            ), parts.logs()
        (tmp_path / "decisions.jsonl").rename(tmp_path / "decided.jsonl")
        parts.kill("coordinator")
        assert parts.running["coordinator"].wait(60) == 1, "what was never let in here does not start"
    assert "PermitClosed" in parts.logs()
    lines = [json.loads(line) for line in (tmp_path / "decided.jsonl").read_text().splitlines()]
    assert [line["reason"] and line["reason"]["code"] for line in lines] == [None] * 3 + ["views_refused"] * 2
    assert lines[-2]["remembered"]
    assert all(line["signals"] for line in lines[-2:]), "positions are held to the rule, not left alone"
    assert not any(line["views"] for line in lines[-2:])
