"""The dress rehearsal of the pods: every part of a plan starts alone, from the plan and its own secrets, and trades."""

import json
import os
import subprocess
from pathlib import Path

import httpx
import pytest
from place_servers import BUCKET, KEY, PASSWORD, SECRET, USER
from pod_plans import plan_facts, written
from pod_processes import SAPPHIRE, Pods, on_this_machine

from sapphire.domain.limits import STANDARD
from sapphire.execution.binaries import engine_binary
from sapphire.execution.service import Service
from sapphire.registry import Deployment
from sapphire.telemetry.secret_files import write_secret

SPEED, BARS = 300, 6
"""A bar of 5 minutes a second."""
PATIENT_NS = 600_000_000_000


@pytest.fixture(scope="module")
def pods(restless, postgres, s3, tmp_path_factory):
    """The deployment of an account that trades, its release in a place; all of it is up."""
    home, digest = restless
    folder = tmp_path_factory.mktemp("pods")
    facts = on_this_machine(plan_facts(digest))
    facts["market"] |= {"speed": SPEED}
    # At this speed the machine's own pauses are many seconds of market time, which an age of prices is counted in.
    facts["accounts"]["paper"]["limits"] = STANDARD.settings(10_000_000_000_000) | {"max_reference_age_ns": PATIENT_NS}
    facts["postgresql"] = None
    del facts["accounts"]["second"]
    plan, secrets = written(folder, facts), folder / "secrets"
    places = {
        "SAPPHIRE_PLACES_DATABASE": f"postgresql://{USER}@{postgres.host}:{postgres.port}/pods",
        "SAPPHIRE_PLACES_BUCKET": f"s3://{BUCKET}/pods",
        "SAPPHIRE_PLACES_BUCKET_URL": s3.endpoint,
        "SAPPHIRE_PLACES_CREDENTIALS": str(folder / "places.json"),
    }
    postgres.url("pods")  # makes the database
    credentials = {"database_password": PASSWORD, "bucket_key": KEY, "bucket_secret": SECRET}
    write_secret(folder / "places.json", json.dumps(credentials))
    variables = {**Deployment.read().variables, **places}
    subprocess.run([*SAPPHIRE, "places", "send"], check=True, env=os.environ | variables | {"SAPPHIRE_HOME": str(home)})
    made = Pods(folder, plan, secrets, variables)
    try:
        made.done("maker", *SAPPHIRE, "secrets", "make", str(secrets), "--plan", str(plan))
        made.valkey()
        made.agent("trend")
        made.until(lambda: made.is_ready(made.plan.agents["trend"]), "agent")
        made.exchange()
        made.part("collector", "collector")
        made.part("coordinator-paper", "coordinator", "--account", "paper")
        made.settings = made.engine("paper")
        made.part("trimmer-paper", "trimmer", "--account", "paper")
        account = made.plan.accounts["paper"]
        made.until(lambda: made.is_ready(account.engine) and made.is_ready(account.coordinator), "engine")
        yield made
        codes = made.end()
        assert {name: code for name, code in codes.items() if code and not name.endswith("-places")} == {}
    finally:
        made.end()


def decisions(pods):
    path = pods.pod("coordinator-paper").run.decisions
    return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def exchange_state(pods, **how):
    keys = json.loads((pods.secrets / "exchange" / "exchange-keys.json").read_text())
    url = f"{pods.plan.exchange.control_url}/control/state"
    answer = httpx.get(
        url, params=how, headers={"Authorization": f"Bearer {keys['control_read_token']}"}, trust_env=False
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_an_account_trades_and_nothing_is_refused(pods):
    def decided():
        sound = [line for line in decisions(pods) if line["reason"] is None]
        return sound if len(sound) >= BARS else None

    lines = pods.until(decided, "decisions")
    assert any(line["signals"] for line in lines)
    first = pods.until(lambda: exchange_state(pods, full="true")["accounts"][0]["fills"], "fills")
    assert first > 0
    tokens = json.loads((pods.secrets / "engine-paper" / "service-tokens.json").read_text())
    service = Service(pods.plan.accounts["paper"].engine.url(), tokens["service_token"])
    state = service.state()
    assert (state["trading"], state["refused_releases"]) == ("ACTIVE", [])
    assert [release["standing"] for release in state["releases"]] == ["open"]
    assert service.fills()
    assert [order for order in service.orders() if order["state"] in ("DENIED", "REJECTED")] == []


def test_the_trimmer_asks_the_consumers_themselves(pods):
    account = pods.plan.accounts["paper"]
    facts = pods.facts(account.coordinator)
    assert facts["agent"]
    assert int(facts["decided_close_ns"]) in [int(line["bar_close_ns"]) for line in decisions(pods)]

    def trimmed():
        facts = pods.facts(account.trimmer) if pods.is_ready(account.trimmer) else {"trimmed": ()}
        return facts if any(name.startswith("bars:") for name in facts["trimmed"]) else None

    assert pods.until(trimmed, "bars that are deleted")["why"] is None


def test_binaries_say_whether_they_are_well(pods):
    service, exchange = str(engine_binary("service")), str(engine_binary("exchange"))
    control = pods.plan.exchange.control_url
    pods.done("engine-paper", service, "health", "--config", str(pods.settings), "--ready")
    pods.done("exchange", exchange, "health", "--control-url", control, "--ready")
    pods.done("exchange", exchange, "health", "--control-url", control)
    other = json.loads(pods.settings.read_text()) | {"port": 1}
    path = pods.folder / "other.json"
    path.write_text(json.dumps(other))
    for words in (
        (service, "health", "--config", str(path)),
        (exchange, "health", "--control-url", "http://127.0.0.1:1"),
    ):
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert "is not well" in done.stderr


def test_no_secret_is_in_a_log_or_on_a_command_line(pods):
    words = [path.read_text().strip() for path in pods.secrets.rglob("*password")]
    words += [
        text
        for name in ("venue-keys", "service-tokens")
        for text in json.loads((pods.secrets / "engine-paper" / f"{name}.json").read_text()).values()
    ]
    logs = "".join(path.read_text(errors="replace") for path in pods.folder.glob("*.log"))
    lines = "".join(Path(f"/proc/{process.pid}/cmdline").read_text() for process in pods.running.values())
    settings = pods.settings.read_text()
    assert len(words) > 6
    assert not [word for word in words if word in logs + lines + settings]
