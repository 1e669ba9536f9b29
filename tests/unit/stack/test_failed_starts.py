"""A start that fails leaves nothing running, frees the folder, and says in it what went wrong."""

import socket
from dataclasses import replace

import pytest

from sapphire.domain.errors import ConfigError, EvidenceRefused, PortInUse, Refused
from sapphire.serving.ports import free_port
from sapphire.stack.folders import RunFolder
from sapphire.stack.plan import ChosenRelease, Plan
from sapphire.stack.processes.run_lock import RunLock
from sapphire.stack.releases import described
from sapphire.stack.stack import FAILED, Stack


@pytest.fixture
def plan(frozen, tmp_path):
    home, digest = frozen
    release, manifest = described(home, digest)
    return Plan(run=tmp_path / "run", home=home, release=release, symbols=manifest.universe, interval=manifest.interval)


def test_a_release_that_is_not_admitted_does_not_start(plan):
    unknown = replace(plan, release=ChosenRelease("f" * 64, "nobody", "nobody", False, ()))
    with pytest.raises(EvidenceRefused):
        Stack(unknown).start()
    facts = RunFolder(plan.run).read()
    assert facts["state"] == FAILED
    assert facts["error"].startswith("EvidenceRefused")
    assert facts["parts"] == {}
    assert RunLock(plan.run).holder() is None


def test_a_port_that_is_taken_stops_the_start_and_names_its_holder(plan):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", free_port()))
        holder.listen()
        taken = replace(plan, ports={"bus": holder.getsockname()[1]})
        with pytest.raises(PortInUse, match="is taken"):
            Stack(taken).start()
    assert "PortInUse" in RunFolder(plan.run).read()["error"]


def test_a_folder_in_use_is_left_as_it_is(plan):
    with RunLock(plan.run):
        before = sorted(plan.run.iterdir())
        with pytest.raises(Refused, match="a stack already runs in"):
            Stack(plan, fresh=True).start()
        assert sorted(plan.run.iterdir()) == before


def test_fresh_forgets_what_stacks_write_and_nothing_else(plan):
    folder = RunFolder(plan.run)
    for path in (folder.exchange, folder.account, folder.bus, folder.log("bus").parent, plan.run / "mine"):
        path.mkdir(parents=True)
        (path / "file").touch()
    for path in (folder.credentials, folder.decisions, folder.settings("collector"), plan.run / "notes.txt"):
        path.touch()
    unknown = replace(plan, release=ChosenRelease("f" * 64, "nobody", "nobody", False, ()))
    with pytest.raises(EvidenceRefused):
        Stack(unknown, fresh=True).start()
    assert sorted(path.name for path in plan.run.iterdir()) == ["lock", "mine", "notes.txt", "stack.json"]


def test_a_market_that_runs_by_itself_has_no_conductor(plan):
    with pytest.raises(Refused, match="market runs by itself"):
        Stack(replace(plan, speed=60.0, latency_ms=None)).conductor()


@pytest.mark.parametrize(
    ("variable", "text"),
    [("SAPPHIRE_COLLECTOR_PORT", "9e9"), ("SAPPHIRE_COORDINATOR_HUNG", "5"), ("SAPPHIRE_COLLECTOR_HISTORY_BARS", "-1")],
)
def test_a_wrong_setting_in_the_environment_stops_the_start_by_its_name(plan, monkeypatch, variable, text):
    monkeypatch.setenv(variable, text)
    with pytest.raises(ConfigError, match=variable):
        Stack(plan).start()
    assert variable in RunFolder(plan.run).read()["error"]
    assert RunLock(plan.run).holder() is None
