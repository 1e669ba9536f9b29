"""The parts that a plan is made of: who waits for whom."""

import json
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from sapphire.stack.addresses import Ports
from sapphire.stack.assembly import Assembly
from sapphire.stack.network import Network
from sapphire.stack.plan import Plan
from sapphire.stack.releases import described


@pytest.fixture
def assembled(frozen, tmp_path):
    """The assembly of a changed plan."""
    home, digest = frozen
    release, manifest = described(home, digest)
    plan = Plan(run=tmp_path, home=home, release=release, symbols=manifest.universe, interval=manifest.interval)

    def of(**changes):
        changed = replace(plan, **changes)
        return Assembly(changed, Ports.choose(tmp_path, network=changed.network), manifest)

    return of


@pytest.fixture
def needs(assembled):
    """A changed plan's needs, by part."""
    return lambda **changes: {part.name: part.needs for part in assembled(**changes).parts()}


def test_market_time_that_runs_by_itself_begins_when_the_release_answers(needs):
    assert needs(speed=60.0, latency_ms=None)["exchange"] == ("bento",)
    assert needs(speed=60.0, latency_ms=None, bento_url="http://127.0.0.1:9")["exchange"] == ()


def test_in_lockstep_nobody_waits_for_what_he_does_not_use(needs):
    assert needs()["exchange"] == ()
    assert needs()["service"] == needs()["collector"] == ("bus", "exchange")


def test_pages_start_behind_what_trades(needs):
    assert needs(mlflow=True)["mlflow"] == ("bento",)
    assert "mlflow" not in needs()


NETWORK = Network("0.0.0.0", "localhost", {"exchange": "127.0.0.3", "bento": "127.0.0.4"})


def test_every_server_is_bound_and_reached_as_the_network_says(assembled, tmp_path):
    made = assembled(mlflow=True, network=NETWORK)
    parts = {part.name: part for part in made.parts()}
    commands = {name: list(part.command) for name, part in parts.items()}
    ports = made.ports
    for name, flag in {"exchange": "--bind", "bus": "--bind", "bento": "--host", "mlflow": "--bind"}.items():
        assert commands[name][commands[name].index(flag) + 1] == "0.0.0.0", name
    assert commands["exchange"][commands["exchange"].index("--host") + 1] == "127.0.0.3"
    assert f"localhost:{ports.mlflow}" in parts["mlflow"].environment["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")
    service, collector, coordinator = (
        json.loads((tmp_path / f"{part}.json").read_text()) for part in ("service", "collector", "coordinator")
    )
    assert (service["bind"], service["host"], service["port"]) == ("0.0.0.0", "localhost", ports.service)
    exchange = f"127.0.0.3:{ports.exchange}"
    assert service["venue"] == {
        "name": "embedded",
        "rest_url": f"http://{exchange}",
        "ws_url": f"ws://{exchange}",
        "control_url": f"http://127.0.0.3:{ports.exchange_control}",
    }
    assert collector["url"] == f"http://{exchange}"
    assert coordinator["bento_url"] == f"http://127.0.0.4:{ports.bento}"
    for settings in (service, collector, coordinator):
        assert urlsplit(settings["bus_url"]).hostname == "localhost"
    assert made.addresses["service_url"] == f"http://localhost:{ports.service}"
    assert not any("127.0.0.1:" in str(address) for address in made.addresses.values())


def test_nothing_but_this_machine_is_bound_unless_somebody_says_so(assembled):
    commands = {part.name: list(part.command) for part in assembled(mlflow=True).parts()}
    assert "0.0.0.0" not in " ".join(word for words in commands.values() for word in words)
    assert commands["bus"][commands["bus"].index("--bind") + 1] == "127.0.0.1"


def test_a_plan_keeps_its_network(assembled):
    plan = assembled(network=NETWORK).plan
    assert Plan.from_dict(plan.as_dict()).network == NETWORK
    older = {key: value for key, value in plan.as_dict().items() if key != "network"}
    assert Plan.from_dict(older).network == Network()
